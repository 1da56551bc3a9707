/* optimiser_test.c - steps, rates, averages and resuming; PyTorch's numbers are parity_tune.py's.
 */
#include "tune/optimiser.h"

#include "testing.h"
#include "tune/loss.h"

#include <math.h>

typedef struct world {
    tw_ctx *ctx;
    twi_network *network;
    twi_trainer *trainer;
    twi_optimiser *optimiser;
    twi_optimiser_opts opts;
} world;

static void must(const world *w, tw_status st)
{
    if (st != TW_OK) print_error("%s\n", tw_last_error(w->ctx));
    assert_int_equal(st, TW_OK);
}

/* n dense layers of 1 value each, weight 0.5, bias 0.25, on a picture of 1 pixel. */
static void start(world *w, size_t n, twi_optimiser_opts opts, uint32_t head)
{
    *w = (world){.opts = opts};
    uint32_t last = 0;
    must(w, tw_ctx_new(&w->ctx));
    must(w, twi_network_new(w->ctx, 1, &w->network));
    must(w, twi_grow(w->ctx, &w->network->weights.items, &w->network->weights.capacity, 2 * n));
    for (size_t i = 0; i < n; i++) {
        char names[3][16];
        float *data;
        for (int k = 0; k < 3; k++) snprintf(names[k], sizeof names[k], "%c%zu", "wbn"[k], i);
        must(w, twi_tensors_add(w->ctx, &w->network->weights, names[0], TWI_F32, 2,
                                (size_t[2]){1, 1}, NULL, (void **)&data));
        *data = 0.5f;
        must(w, twi_tensors_add(w->ctx, &w->network->weights, names[1], TWI_F32, 1, (size_t[1]){1},
                                NULL, (void **)&data));
        *data = 0.25f;
    }
    const twi_node pool = {
        .op = TWI_OP_GLOBAL_AVG_POOL, .name = "pool", .n_inputs = 1, .inputs = &(uint32_t){0}};
    must(w, twi_network_add(w->ctx, w->network, &pool, &last));
    for (size_t i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%zu", i);
        const uint32_t before = last;
        twi_node node = {.op = TWI_OP_DENSE, .name = name, .n_inputs = 1, .inputs = &before};
        node.params[0] = &w->network->weights.items[2 * i];
        node.params[1] = &w->network->weights.items[2 * i + 1];
        must(w, twi_network_add(w->ctx, w->network, &node, &last));
    }
    const twi_trainer_opts trainer = {.precision = TW_PRECISION_F32,
                                      .batch = 1,
                                      .height = 1,
                                      .width = 1,
                                      .threads = 1,
                                      .reference = true};
    must(w, twi_trainer_new(w->ctx, w->network, &trainer, &w->trainer));
    must(w, twi_optimiser_new(w->ctx, w->trainer, &w->opts, head, &w->optimiser));
}

static void end(world *w)
{
    twi_optimiser_free(w->optimiser);
    twi_trainer_free(w->trainer);
    twi_network_free(w->network);
    tw_ctx_free(w->ctx);
}

static float *value(const world *w, size_t i)
{
    return twi_trainer_parameter(w->trainer, i)->value;
}

static void set_gradients(const world *w, float g)
{
    for (size_t i = 0; i < twi_trainer_parameter_count(w->trainer); i++)
        *twi_trainer_parameter(w->trainer, i)->gradient = g;
}

static bool near(float a, double b)
{
    return fabs((double)a - b) < 1e-6;
}

static twi_optimiser_opts adamw_opts(void)
{
    return (twi_optimiser_opts){.kind = TWI_ADAMW,
                                .weight_decay = 0.1,
                                .beta1 = 0.9,
                                .beta2 = 0.999,
                                .epsilon = 1e-8,
                                .layer_decay = 1.0,
                                .threads = 1};
}

/* Adam's first step is rate * sign of the gradient; weights decay, biases do not. */
static void test_first_steps(void **state)
{
    (void)state;
    world w;
    start(&w, 1, adamw_opts(), TWI_NO_NODE);
    set_gradients(&w, -3.0f);
    twi_optimiser_step(w.optimiser, 0.01);
    assert_true(near(*value(&w, 0), 0.5 * (1 - 0.01 * 0.1) + 0.01));
    assert_true(near(*value(&w, 1), 0.25 + 0.01));
    end(&w);
    twi_optimiser_opts sgd = adamw_opts();
    sgd.kind = TWI_SGD, sgd.momentum = 0.9, sgd.nesterov = true;
    start(&w, 1, sgd, TWI_NO_NODE);
    set_gradients(&w, 1.0f);
    twi_optimiser_step(w.optimiser, 0.01);
    assert_true(near(*value(&w, 0), 0.5 - 0.01 * 1.9 * (1 + 0.1 * 0.5)));
    assert_true(near(*value(&w, 1), 0.25 - 0.01 * 1.9));
    end(&w);
}

static void test_layers_learn_slower(void **state)
{
    (void)state;
    world w;
    twi_optimiser_opts opts = adamw_opts();
    opts.weight_decay = 0.0, opts.layer_decay = 0.5;
    start(&w, 13, opts, 14); /* node 0 is the input, 1 the pool; 14 is the last layer */
    set_gradients(&w, 1.0f);
    twi_optimiser_step(w.optimiser, 0.1);
    for (size_t layer = 0; layer < 13; layer++) {
        const double rate = layer == 12 ? 0.1 : 0.1 * pow(0.5, 12.0 - (double)layer);
        assert_true(near(*value(&w, 2 * layer), 0.5 - rate));
        assert_true(near(*value(&w, 2 * layer + 1), 0.25 - rate));
    }
    end(&w);
}

static void test_average(void **state)
{
    (void)state;
    world w;
    twi_optimiser_opts opts = adamw_opts();
    opts.weight_decay = 0.0, opts.average = 0.999;
    start(&w, 1, opts, TWI_NO_NODE);
    set_gradients(&w, 1.0f);
    twi_optimiser_step(w.optimiser, 0.1);
    const double stays = 2.0 / 11.0;
    twi_optimiser_exchange(w.optimiser);
    assert_true(near(*value(&w, 0), stays * 0.5 + (1 - stays) * 0.4));
    twi_optimiser_exchange(w.optimiser);
    assert_true(near(*value(&w, 0), 0.4));
    end(&w);
}

/* Steps after a state was copied are the steps that would have come. */
static void test_resume(void **state)
{
    (void)state;
    world a, b;
    size_t count, again;
    twi_optimiser_opts opts = adamw_opts();
    opts.average = 0.9;
    start(&a, 2, opts, TWI_NO_NODE);
    start(&b, 2, opts, TWI_NO_NODE);
    for (int i = 0; i < 3; i++) {
        set_gradients(&a, (float)(i - 1) * 0.3f + 0.1f);
        twi_optimiser_step(a.optimiser, 0.01);
    }
    const float *from = twi_optimiser_state(a.optimiser, &count);
    float *to = twi_optimiser_state(b.optimiser, &again);
    assert_int_equal(count, again);
    memcpy(to, from, count * sizeof *to);
    twi_optimiser_resume(b.optimiser, twi_optimiser_steps(a.optimiser));
    for (size_t i = 0; i < 4; i++) *value(&b, i) = *value(&a, i);
    for (world *w = &a;; w = &b) {
        set_gradients(w, 0.7f);
        twi_optimiser_step(w->optimiser, 0.02);
        if (w == &b) break;
    }
    for (size_t i = 0; i < 4; i++) assert_memory_equal(value(&a, i), value(&b, i), sizeof(float));
    assert_memory_equal(from, to, count * sizeof *to);
    end(&a);
    end(&b);
}

/* What rests stays, and steps as if newly made when it is let go; the rest does not notice. */
static void test_train_from(void **state)
{
    (void)state;
    static const twi_optimiser_kind kinds[] = {TWI_ADAMW, TWI_SGD};
    for (size_t k = 0; k < 2; k++) {
        world a, b;
        twi_optimiser_opts opts = adamw_opts();
        opts.kind = kinds[k], opts.momentum = 0.9, opts.average = 0.9;
        start(&a, 2, opts, TWI_NO_NODE); /* layers are nodes 2 and 3 */
        start(&b, 2, opts, TWI_NO_NODE);
        twi_optimiser_train_from(a.optimiser, 3);
        for (int i = 0; i < 5; i++) {
            set_gradients(&a, 0.4f);
            set_gradients(&b, 0.4f);
            twi_optimiser_step(a.optimiser, 0.01);
            twi_optimiser_step(b.optimiser, 0.01);
        }
        assert_true(*value(&a, 0) == 0.5f && *value(&a, 1) == 0.25f);
        assert_true(*value(&a, 2) == *value(&b, 2) && *value(&a, 3) == *value(&b, 3));
        twi_optimiser_exchange(a.optimiser); /* its average stayed, too */
        assert_true(*value(&a, 0) == 0.5f);
        twi_optimiser_exchange(a.optimiser);
        twi_optimiser_train_from(a.optimiser, 0);
        twi_optimiser_step(a.optimiser, 0.01);
        world c;
        start(&c, 2, opts, TWI_NO_NODE);
        set_gradients(&c, 0.4f);
        twi_optimiser_step(c.optimiser, 0.01);
        assert_true(*value(&a, 0) == *value(&c, 0) && *value(&a, 0) != 0.5f);
        twi_optimiser_restart(b.optimiser);
        *value(&b, 0) = 0.5f;
        twi_optimiser_step(b.optimiser, 0.01);
        assert_true(*value(&b, 0) == *value(&c, 0));
        end(&a);
        end(&b);
        end(&c);
    }
}

static void test_schedule(void **state)
{
    (void)state;
    const twi_schedule s = {.rate = 2.0, .floor = 0.1, .warmup = 4, .steps = 14};
    assert_true(fabs(twi_schedule_rate(&s, 0) - 0.5) < 1e-12);
    assert_true(fabs(twi_schedule_rate(&s, 3) - 2.0) < 1e-12);
    assert_true(fabs(twi_schedule_rate(&s, 4) - 2.0) < 1e-12);
    assert_true(fabs(twi_schedule_rate(&s, 9) - 1.1) < 1e-12);
    assert_true(fabs(twi_schedule_rate(&s, 14) - 0.2) < 1e-12);
    assert_true(fabs(twi_schedule_rate(&s, 99) - 0.2) < 1e-12);
}

static void test_refusals(void **state)
{
    (void)state;
    world w;
    twi_optimiser *none = NULL;
    twi_optimiser_opts opts = adamw_opts();
    start(&w, 1, opts, TWI_NO_NODE);
    opts.beta2 = 1.0;
    assert_int_equal(twi_optimiser_new(w.ctx, w.trainer, &opts, TWI_NO_NODE, &none), TW_ERR_ARG);
    opts = adamw_opts(), opts.layer_decay = 0.0;
    assert_int_equal(twi_optimiser_new(w.ctx, w.trainer, &opts, TWI_NO_NODE, &none), TW_ERR_ARG);
    assert_null(none);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_steps), cmocka_unit_test(test_layers_learn_slower),
        cmocka_unit_test(test_average),     cmocka_unit_test(test_resume),
        cmocka_unit_test(test_train_from),  cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
