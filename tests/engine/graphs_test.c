/* graphs_test.c - whole networks: fusion, precision, and what a batch, a thread or a shared program
 * must not change. */
#include "networks.h"

#include "base/threads.h"

typedef struct trial {
    tw_ctx *ctx;
    twi_rng rng;
    builder b;
    twi_engine_opts opts;
} trial;

static uint32_t add_norm(builder *b, uint32_t from, size_t channels)
{
    twi_node norm = {.op = TWI_OP_BATCH_NORM, .epsilon = 1e-5};
    norm.params[TWI_PARAM_SCALE] = weight(b, 1, &channels, 1.0, 0.3);
    norm.params[TWI_PARAM_SHIFT] = weight(b, 1, &channels, 0.0, 0.3);
    norm.params[TWI_PARAM_MEAN] = weight(b, 1, &channels, 0.0, 0.3);
    norm.params[TWI_PARAM_VARIANCE] = weight(b, 1, &channels, 1.0, 0.5);
    return add_node(b, norm, 1, &from);
}

static uint32_t add_relu(builder *b, uint32_t from)
{
    return add_node(b, (twi_node){.op = TWI_OP_RELU}, 1, &from);
}

/* conv, norm, relu, conv, norm, + shortcut, relu: the shortcut is the input, a convolution of it,
 * or both the input and somebody else's too. */
static uint32_t add_residual(builder *b, uint32_t from, size_t in, size_t out, bool reused)
{
    const twi_window w = square_window(3, 1, 1);
    uint32_t x = add_conv(b, from, (size_t[4]){out, in, 3, 3}, 1, w, false);
    x = add_relu(b, add_norm(b, x, out));
    x = add_norm(b, add_conv(b, x, (size_t[4]){out, out, 3, 3}, 1, w, false), out);
    uint32_t shortcut = from;
    if (in != out) {
        shortcut = add_conv(b, from, (size_t[4]){out, in, 1, 1}, 1, square_window(1, 1, 0), true);
        shortcut = add_norm(b, shortcut, out);
    }
    x = add_relu(b, add_node(b, (twi_node){.op = TWI_OP_ADD}, 2, (uint32_t[2]){x, shortcut}));
    if (reused && in == out)
        x = add_node(b, (twi_node){.op = TWI_OP_ADD}, 2, (uint32_t[2]){x, shortcut});
    return x;
}

/* squeeze, then two expansions side by side (SqueezeNet's fire). */
static uint32_t add_fire(builder *b, uint32_t from, size_t in, size_t out)
{
    const size_t half = out / 2;
    uint32_t x = add_conv(b, from, (size_t[4]){half, in, 1, 1}, 1, square_window(1, 1, 0), true);
    x = add_relu(b, x);
    uint32_t side[2];
    side[0] = add_conv(b, x, (size_t[4]){half, half, 1, 1}, 1, square_window(1, 1, 0), true);
    side[0] = add_relu(b, side[0]);
    side[1] = add_conv(b, x, (size_t[4]){out - half, half, 3, 3}, 1, square_window(3, 1, 1), true);
    side[1] = add_relu(b, side[1]);
    return add_node(b, (twi_node){.op = TWI_OP_CONCAT}, 2, side);
}

/* A network of three to five random blocks. */
static trial trial_new(uint32_t seed)
{
    static const size_t widths[] = {8, 16, 24, 32, 64};
    trial t = {0};
    assert_int_equal(tw_ctx_new(&t.ctx), TW_OK);
    twi_rng_seed(&t.rng, seed);
    t.opts = (twi_engine_opts){.precision = TW_PRECISION_F32,
                               .batch = between(&t.rng, 1, 5),
                               .height = between(&t.rng, 16, 33),
                               .width = between(&t.rng, 16, 33),
                               .threads = between(&t.rng, 1, 2)};
    t.b = builder_new(t.ctx, &t.rng, 3);
    reserve_weights(&t.b, 200);
    size_t in = widths[between(&t.rng, 0, 4)];
    uint32_t x = add_conv(&t.b, 0, (size_t[4]){in, 3, 3, 3}, 1, square_window(3, 1, 1), true);
    x = add_relu(&t.b, x);
    const size_t blocks = between(&t.rng, 3, 5);
    for (size_t i = 0; i < blocks; i++) {
        const size_t out = between(&t.rng, 0, 1) ? in : widths[between(&t.rng, 0, 4)];
        const size_t kind = between(&t.rng, 0, 3);
        if (kind < 2)
            x = add_residual(&t.b, x, in, out, kind);
        else if (kind == 2)
            x = add_fire(&t.b, x, in, out);
        else
            x = add_relu(&t.b, add_conv(&t.b, x, (size_t[4]){out, in, 3, 3}, 1,
                                        square_window(3, 1, 1), true));
        in = out;
        twi_node pool = {.op = i % 2 ? TWI_OP_AVG_POOL : TWI_OP_MAX_POOL,
                         .window = square_window(2, 2, 0)};
        pool.window.ceil_mode = between(&t.rng, 0, 1);
        if (i < 2) x = add_node(&t.b, pool, 1, &x);
    }
    return t;
}

static void trial_finish(trial *t)
{
    twi_network_free(t->b.network);
    tw_ctx_free(t->ctx);
}

static const twi_output outputs[] = {TWI_OUTPUT_AVG, TWI_OUTPUT_MAX, TWI_OUTPUT_FLAT};

/* Every network fused and computed by oneDNN equals the same network as written, in plain C. */
static void test_fused_equals_plain(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 16; seed++) {
        trial t = trial_new(seed);
        t.b.rng = &t.rng;
        twi_network *plain, *fused;
        const twi_output output = outputs[seed % TWI_LEN(outputs)];
        must(t.ctx, twi_network_for_inference(t.ctx, t.b.network, output, false, &plain));
        must(t.ctx, twi_network_for_inference(t.ctx, t.b.network, output, true, &fused));
        twi_engine_opts opts = t.opts;
        opts.reference = true;
        const outcome want = compute(t.ctx, plain, &opts, opts.batch, seed);
        const outcome fused_c = compute(t.ctx, fused, &opts, opts.batch, seed);
        assert_true(distance(&fused_c, &want) < 3e-6);
        opts.reference = false;
        const outcome unfused = compute(t.ctx, plain, &opts, opts.batch, seed);
        const outcome got = compute(t.ctx, fused, &opts, opts.batch, seed);
        assert_true(distance(&unfused, &want) < 1e-5);
        assert_true(distance(&got, &want) < 1e-5);
        opts.precision = TW_PRECISION_BF16;
        if (twi_precision_native(opts.precision)) {
            const outcome half = compute(t.ctx, fused, &opts, opts.batch, seed);
            assert_true(distance(&half, &want) < 4e-2);
            test_free(half.values);
        }
        opts.precision = TW_PRECISION_INT8;
        if (calibrate(t.ctx, fused, &t.opts, t.opts.batch, seed)) {
            const outcome eight = compute(t.ctx, fused, &opts, opts.batch, seed);
            assert_true(distance(&eight, &want) < 8e-2);
            test_free(eight.values);
        }
        test_free(want.values), test_free(fused_c.values);
        test_free(unfused.values), test_free(got.values);
        twi_network_free(plain);
        twi_network_free(fused);
        trial_finish(&t);
    }
}

static void run(tw_ctx *ctx, const twi_program *program, const float *images, size_t n, float *out)
{
    twi_workspace *workspace;
    must(ctx, twi_workspace_new(ctx, program, &workspace));
    must(ctx, twi_program_run(ctx, program, workspace, images, n, out));
    twi_workspace_free(workspace);
}

/* A picture's row is the same bits whatever is beside it, and in a short batch. */
static void check_rows(trial *t, const twi_network *network, tw_precision precision)
{
    enum { BATCH = 5 };
    twi_engine_opts opts = t->opts;
    opts.precision = precision;
    opts.batch = BATCH;
    twi_program *program;
    must(t->ctx, twi_program_new(t->ctx, network, &opts, NULL, &program));
    const size_t each = 3 * opts.height * opts.width, d = twi_program_output_count(program);
    float *images = random_floats(&t->rng, BATCH * each);
    float *all = test_malloc(BATCH * d * sizeof *all),
          *some = test_malloc(BATCH * d * sizeof *some);
    run(t->ctx, program, images, BATCH, all);
    for (size_t n = 1; n < BATCH; n++) {
        run(t->ctx, program, images, n, some);
        assert_memory_equal(some, all, n * d * sizeof *some);
    }
    /* The last row with other pictures before it. */
    for (size_t i = 0; i < (BATCH - 1) * each; i++) images[i] = (float)(10.0 * unit(&t->rng));
    run(t->ctx, program, images, BATCH, some);
    assert_memory_equal(some + (BATCH - 1) * d, all + (BATCH - 1) * d, d * sizeof *some);
    test_free(images), test_free(all), test_free(some);
    twi_program_free(program);
}

static void test_rows_stand_alone(void **state)
{
    (void)state;
    for (uint32_t seed = 50; seed < 60; seed++) {
        trial t = trial_new(seed);
        t.b.rng = &t.rng;
        twi_network *fused;
        must(t.ctx, twi_network_for_inference(t.ctx, t.b.network, TWI_OUTPUT_AVG, true, &fused));
        check_rows(&t, fused, TW_PRECISION_F32);
        if (twi_precision_native(TW_PRECISION_BF16)) check_rows(&t, fused, TW_PRECISION_BF16);
        if (calibrate(t.ctx, fused, &t.opts, 1, seed)) check_rows(&t, fused, TW_PRECISION_INT8);
        twi_network_free(fused);
        trial_finish(&t);
    }
}

typedef struct crowd {
    const twi_program *program;
    const float *images, *want;
    size_t n, d;
} crowd;

static tw_status one_of_crowd(tw_ctx *ctx, void *user, size_t i)
{
    const crowd *c = user;
    twi_workspace *workspace;
    float *out;
    tw_status st = twi_alloc(ctx, c->n * c->d, &out);
    if (st == TW_OK) st = twi_workspace_new(ctx, c->program, &workspace);
    for (int k = 0; k < 5 && st == TW_OK; k++) {
        st = twi_program_run(ctx, c->program, workspace, c->images, c->n, out);
        if (st == TW_OK && memcmp(out, c->want, c->n * c->d * sizeof *out) != 0)
            st = twi_fail(ctx, TW_ERR_DIVERGED, "thread %zu got other bits", i);
    }
    if (st == TW_OK) twi_workspace_free(workspace);
    twi_free(out);
    return st;
}

/* Several threads run one program, each with a workspace of its own. */
static void test_many_threads(void **state)
{
    (void)state;
    for (uint32_t seed = 80; seed < 84; seed++) {
        trial t = trial_new(seed);
        t.b.rng = &t.rng;
        twi_network *fused;
        twi_program *program;
        must(t.ctx, twi_network_for_inference(t.ctx, t.b.network, TWI_OUTPUT_AVG, true, &fused));
        must(t.ctx, twi_program_new(t.ctx, fused, &t.opts, NULL, &program));
        twi_network_free(fused); /* the program does not need it */
        crowd c = {.program = program, .n = t.opts.batch, .d = twi_program_output_count(program)};
        float *images = random_floats(&t.rng, c.n * 3 * t.opts.height * t.opts.width);
        float *want = test_malloc(c.n * c.d * sizeof *want);
        run(t.ctx, program, images, c.n, want);
        c.images = images, c.want = want;
        must(t.ctx, twi_parallel(t.ctx, 4, 8, one_of_crowd, &c));
        test_free(images), test_free(want);
        twi_program_free(program);
        trial_finish(&t);
    }
}

/* A program made with another's weights computes the same, also when the other is gone. */
static void test_shared_weights(void **state)
{
    (void)state;
    trial t = trial_new(90);
    t.b.rng = &t.rng;
    twi_network *fused;
    twi_program *first, *second;
    must(t.ctx, twi_network_for_inference(t.ctx, t.b.network, TWI_OUTPUT_AVG, true, &fused));
    must(t.ctx, twi_program_new(t.ctx, fused, &t.opts, NULL, &first));
    const size_t n = t.opts.batch, d = twi_program_output_count(first);
    float *images = random_floats(&t.rng, (n + 1) * 3 * t.opts.height * t.opts.width);
    float *a = test_malloc((n + 1) * d * sizeof *a), *b = test_malloc((n + 1) * d * sizeof *b);
    run(t.ctx, first, images, n, a);
    twi_engine_opts opts = t.opts;
    opts.batch = n + 1;
    must(t.ctx, twi_program_new(t.ctx, fused, &opts, first, &second));
    twi_program_free(first);
    run(t.ctx, second, images, n, b);
    const outcome got = {.values = b, .d = d, .count = n * d};
    const outcome want = {.values = a, .d = d, .count = n * d};
    assert_true(distance(&got, &want) < 1e-6);
    test_free(images), test_free(a), test_free(b);
    twi_program_free(second);
    twi_network_free(fused);
    trial_finish(&t);
}

/* A picture's row is the same to rounding, whatever the program's batch and number of threads are.
 */
static void test_batch_and_threads(void **state)
{
    (void)state;
    for (uint32_t seed = 100; seed < 108; seed++) {
        trial t = trial_new(seed);
        t.b.rng = &t.rng;
        twi_network *fused;
        must(t.ctx, twi_network_for_inference(t.ctx, t.b.network, TWI_OUTPUT_AVG, true, &fused));
        calibrate(t.ctx, fused, &t.opts, 1, seed);
        for (int p = 0; p < 3; p++) {
            static const tw_precision precisions[] = {TW_PRECISION_F32, TW_PRECISION_BF16,
                                                      TW_PRECISION_INT8};
            twi_engine_opts opts = t.opts;
            opts.precision = precisions[p];
            if (!twi_precision_native(opts.precision)) continue;
            opts.batch = 1, opts.threads = 1;
            const outcome want = compute(t.ctx, fused, &opts, 1, seed);
            opts.batch = 7, opts.threads = 1 + seed % 3;
            const outcome got = compute(t.ctx, fused, &opts, 1, seed);
            assert_true(distance(&got, &want) <= (p ? 1e-3 : 1e-6));
            test_free(want.values), test_free(got.values);
        }
        twi_network_free(fused);
        trial_finish(&t);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    trial t = trial_new(91);
    t.b.rng = &t.rng;
    twi_network *fused;
    twi_program *program;
    twi_workspace *workspace;
    float pixel = 0.0f;
    must(t.ctx, twi_network_for_inference(t.ctx, t.b.network, TWI_OUTPUT_AVG, true, &fused));
    twi_engine_opts opts = t.opts;
    opts.precision = TW_PRECISION_AUTO;
    assert_int_equal(twi_program_new(t.ctx, fused, &opts, NULL, &program), TW_ERR_ARG);
    opts = t.opts, opts.batch = 0;
    assert_int_equal(twi_program_new(t.ctx, fused, &opts, NULL, &program), TW_ERR_ARG);
    opts = t.opts, opts.batch = SIZE_MAX / 4;
    assert_int_equal(twi_program_new(t.ctx, fused, &opts, NULL, &program), TW_ERR_NOMEM);
    opts = t.opts, opts.precision = TW_PRECISION_BF16;
    if (!twi_precision_native(TW_PRECISION_BF16))
        assert_int_equal(twi_program_new(t.ctx, fused, &opts, NULL, &program), TW_ERR_UNSUPPORTED);
    must(t.ctx, twi_program_new(t.ctx, fused, &t.opts, NULL, &program));
    must(t.ctx, twi_workspace_new(t.ctx, program, &workspace));
    assert_int_equal(twi_program_run(t.ctx, program, workspace, &pixel, 0, &pixel), TW_ERR_ARG);
    assert_int_equal(twi_program_run(t.ctx, program, workspace, &pixel, 9, &pixel), TW_ERR_ARG);
    twi_workspace_free(workspace);
    twi_program_free(program);
    twi_network_free(fused);
    trial_finish(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fused_equals_plain), cmocka_unit_test(test_rows_stand_alone),
        cmocka_unit_test(test_many_threads),       cmocka_unit_test(test_shared_weights),
        cmocka_unit_test(test_batch_and_threads),  cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
