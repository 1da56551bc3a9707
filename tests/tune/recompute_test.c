/* recompute_test.c - gradients when activations are computed twice, and when the backward pass ends
 * early: the same bits. */
#include "../engine/networks.h"

#include "engine/trainer.h"

enum { BATCH = 3, SIDE = 14, CLASSES = 4, BLOCKS = 6, WIDTH = 8 };

static uint32_t norm(builder *b, uint32_t x, bool relu)
{
    const size_t channels = WIDTH;
    twi_node node = {.op = TWI_OP_BATCH_NORM, .epsilon = 1e-5};
    node.params[TWI_PARAM_SCALE] = weight(b, 1, &channels, 1.0, 0.3);
    node.params[TWI_PARAM_SHIFT] = weight(b, 1, &channels, 0.0, 0.3);
    node.params[TWI_PARAM_MEAN] = weight(b, 1, &channels, 0.0, 0.1);
    node.params[TWI_PARAM_VARIANCE] = weight(b, 1, &channels, 1.0, 0.1);
    x = add_node(b, node, 1, &x);
    return relu ? add_node(b, (twi_node){.op = TWI_OP_RELU}, 1, &x) : x;
}

/* Residual blocks, a pool, a concatenation and functions of one value between them. */
static void build(builder *b)
{
    const size_t first[4] = {WIDTH, 3, 3, 3}, inner[4] = {WIDTH, WIDTH, 3, 3};
    reserve_weights(b, 100);
    uint32_t x = norm(b, add_conv(b, 0, first, 1, square_window(3, 1, 1), false), true);
    for (int i = 0; i < BLOCKS; i++) {
        uint32_t y = norm(b, add_conv(b, x, inner, 1, square_window(3, 1, 1), false), true);
        y = norm(b, add_conv(b, y, inner, 1, square_window(3, 1, 1), i % 2), false);
        x = add_node(b, (twi_node){.op = TWI_OP_ADD}, 2, (uint32_t[2]){x, y});
        x = add_node(b, (twi_node){.op = i % 2 ? TWI_OP_RELU : TWI_OP_HARD_SWISH}, 1, &x);
        if (i == 2)
            x = add_node(b, (twi_node){.op = TWI_OP_MAX_POOL, .window = square_window(2, 2, 0)}, 1,
                         &x);
    }
    const uint32_t left = add_conv(b, x, inner, 1, square_window(3, 1, 1), true);
    x = add_node(b, (twi_node){.op = TWI_OP_CONCAT}, 2, (uint32_t[2]){x, left});
    x = add_node(b, (twi_node){.op = TWI_OP_GLOBAL_AVG_POOL}, 1, &x);
    twi_node node = {.op = TWI_OP_DENSE};
    node.params[TWI_PARAM_WEIGHT] = weight(b, 2, (size_t[2]){CLASSES, 2 * WIDTH}, 0.0, 0.3);
    node.params[TWI_PARAM_BIAS] = weight(b, 1, (size_t[1]){CLASSES}, 0.0, 0.3);
    add_node(b, node, 1, &x);
}

typedef struct world {
    tw_ctx *ctx;
    builder b;
    float *images, *gradient;
} world;

static twi_trainer *trainer_of(const world *w, twi_trainer_opts opts)
{
    twi_trainer *trainer = NULL;
    opts.batch = BATCH, opts.height = opts.width = SIDE, opts.threads = 2, opts.momentum = 0.1;
    must(w->ctx, twi_trainer_new(w->ctx, w->b.network, &opts, &trainer));
    return trainer;
}

/* Two passes, so that what the first left behind would show. */
static void run(const world *w, twi_trainer *trainer)
{
    float scores[BATCH * CLASSES];
    for (int i = 0; i < 2; i++) {
        must(w->ctx, twi_trainer_forward(w->ctx, trainer, w->images, scores));
        must(w->ctx, twi_trainer_backward(w->ctx, trainer, w->gradient));
    }
}

static void start(world *w, twi_rng *rng)
{
    must(NULL, tw_ctx_new(&w->ctx));
    twi_rng_seed(rng, 5);
    w->b = builder_new(w->ctx, rng, 3);
    build(&w->b);
    w->images = random_floats(rng, BATCH * SIDE * SIDE * 3);
    w->gradient = random_floats(rng, BATCH * CLASSES);
}

static void end(world *w)
{
    twi_network_free(w->b.network);
    test_free(w->images);
    test_free(w->gradient);
    tw_ctx_free(w->ctx);
}

/* Running statistics, too: they must have moved once a pass. */
static void assert_equal_parameters(const twi_trainer *a, const twi_trainer *b)
{
    for (size_t i = 0; i < twi_trainer_parameter_count(a); i++) {
        const twi_parameter *p = twi_trainer_parameter(a, i), *q = twi_trainer_parameter(b, i);
        assert_memory_equal(p->value, q->value, p->count * sizeof(float));
        assert_true((p->gradient == NULL) == (q->gradient == NULL));
        if (p->gradient) assert_memory_equal(p->gradient, q->gradient, p->count * sizeof(float));
    }
}

static void test_checkpointing(void **state)
{
    (void)state;
    world w;
    twi_rng rng;
    bool part[256];
    start(&w, &rng);
    for (size_t i = 0; i < 256; i++) part[i] = i > 20;
    for (unsigned kind = 0; kind < 12; kind++) {
        twi_trainer_opts opts = {.precision = kind >= 8 ? TW_PRECISION_BF16 : TW_PRECISION_F32,
                                 .reference = kind >= 4 && kind < 8,
                                 .batch_statistics = kind & 1,
                                 .trained = kind & 2 ? part : NULL};
        if (!twi_precision_native(opts.precision)) continue;
        twi_trainer *plain = trainer_of(&w, opts);
        opts.checkpointing = true;
        twi_trainer *twice = trainer_of(&w, opts);
        run(&w, plain);
        run(&w, twice);
        assert_equal_parameters(plain, twice);
        assert_true(twi_trainer_bytes(twice) * 10 < twi_trainer_bytes(plain) * 9);
        if (kind == 0)
            print_message("activations: %zu KiB kept, %zu KiB computed twice\n",
                          twi_trainer_bytes(plain) / 1024, twi_trainer_bytes(twice) / 1024);
        twi_trainer_free(plain);
        twi_trainer_free(twice);
    }
    end(&w);
}

/* What is behind first has its gradients, what is before it keeps those it had. */
static void test_train_from(void **state)
{
    (void)state;
    world w;
    twi_rng rng;
    start(&w, &rng);
    for (unsigned kind = 0; kind < 4; kind++) {
        const twi_trainer_opts opts = {
            .precision = TW_PRECISION_F32, .reference = kind & 1, .checkpointing = kind & 2};
        twi_trainer *whole = trainer_of(&w, opts), *part = trainer_of(&w, opts);
        run(&w, whole);
        for (uint32_t first = 0; first < w.b.network->n; first += 5) {
            twi_trainer_train_from(part, first);
            for (size_t i = 0; i < twi_trainer_parameter_count(part); i++) {
                const twi_parameter *p = twi_trainer_parameter(part, i);
                for (size_t k = 0; p->gradient && k < p->count; k++) p->gradient[k] = 1e30f;
            }
            run(&w, part);
            for (size_t i = 0; i < twi_trainer_parameter_count(part); i++) {
                const twi_parameter *p = twi_trainer_parameter(whole, i);
                const twi_parameter *q = twi_trainer_parameter(part, i);
                if (!p->gradient) continue;
                if (p->node >= first)
                    assert_memory_equal(p->gradient, q->gradient, p->count * sizeof(float));
                else if (p->node + 1 < first) /* a relu has its norm's */
                    assert_true(q->gradient[0] == 1e30f);
            }
        }
        twi_trainer_free(whole);
        twi_trainer_free(part);
    }
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_checkpointing),
                                       cmocka_unit_test(test_train_from)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
