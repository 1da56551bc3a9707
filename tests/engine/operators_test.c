/* operators_test.c - every operator on random shapes: oneDNN against plain C. */
#include "networks.h"

typedef struct trial {
    tw_ctx *ctx;
    twi_rng rng;
    uint32_t seed;
    builder b;
    twi_engine_opts opts;
} trial;

static trial trial_new(uint32_t seed, size_t channels)
{
    trial t = {.seed = seed};
    assert_int_equal(tw_ctx_new(&t.ctx), TW_OK);
    twi_rng_seed(&t.rng, seed);
    t.opts = (twi_engine_opts){.precision = TW_PRECISION_F32,
                               .batch = between(&t.rng, 1, 3),
                               .height = between(&t.rng, 7, 19),
                               .width = between(&t.rng, 7, 19),
                               .threads = between(&t.rng, 1, 3)};
    return t.b = builder_new(t.ctx, &t.rng, channels), t;
}

static void trial_finish(trial *t)
{
    t->b.rng = &t->rng;
    check_precisions(t->ctx, t->b.network, &t->opts, t->seed);
    twi_network_free(t->b.network);
    tw_ctx_free(t->ctx);
}

static twi_window random_window(twi_rng *rng, bool dilated)
{
    twi_window w = {0};
    for (int i = 0; i < 2; i++) {
        w.kernel[i] = between(rng, 1, 3);
        w.stride[i] = between(rng, 1, 3);
        w.dilation[i] = dilated ? between(rng, 1, 2) : 1;
        w.pad_begin[i] = between(rng, 0, w.kernel[i] - 1);
        w.pad_end[i] = between(rng, 0, w.kernel[i] - 1);
    }
    return w;
}

static const size_t widths[] = {1, 3, 8, 16, 17, 32, 48};

static size_t random_width(twi_rng *rng)
{
    return widths[between(rng, 0, TWI_LEN(widths) - 1)];
}

static void test_conv(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 60; seed++) {
        const size_t channels = widths[seed % TWI_LEN(widths)];
        trial t = trial_new(seed, channels);
        t.b.rng = &t.rng;
        reserve_weights(&t.b, 8);
        const twi_window w = random_window(&t.rng, true);
        const size_t dims[4] = {random_width(&t.rng), channels, w.kernel[0], w.kernel[1]};
        add_conv(&t.b, 0, dims, 1, w, seed % 3 != 0);
        trial_finish(&t);
    }
}

/* A first convolution, so that the second one gets a blocked source. */
static void test_conv_after_conv(void **state)
{
    (void)state;
    for (uint32_t seed = 100; seed < 140; seed++) {
        trial t = trial_new(seed, 3);
        t.b.rng = &t.rng;
        reserve_weights(&t.b, 8);
        const size_t middle = random_width(&t.rng);
        const uint32_t first =
            add_conv(&t.b, 0, (size_t[4]){middle, 3, 3, 3}, 1, square_window(3, 1, 1), true);
        const twi_window w = random_window(&t.rng, false);
        const size_t dims[4] = {random_width(&t.rng), middle, w.kernel[0], w.kernel[1]};
        add_conv(&t.b, first, dims, 1, w, true);
        trial_finish(&t);
    }
}

static void test_conv_groups(void **state)
{
    (void)state;
    for (uint32_t seed = 200; seed < 240; seed++) {
        trial t = trial_new(seed, 3);
        t.b.rng = &t.rng;
        reserve_weights(&t.b, 8);
        const bool depthwise = seed % 2;
        const size_t groups = depthwise ? random_width(&t.rng) : between(&t.rng, 2, 4);
        const size_t in = depthwise ? groups : groups * between(&t.rng, 1, 16);
        const size_t out = depthwise ? groups : groups * between(&t.rng, 1, 16);
        const uint32_t first =
            add_conv(&t.b, 0, (size_t[4]){in, 3, 1, 1}, 1, square_window(1, 1, 0), true);
        const twi_window w = random_window(&t.rng, false);
        const size_t dims[4] = {out, in / groups, w.kernel[0], w.kernel[1]};
        add_conv(&t.b, first, dims, groups, w, true);
        trial_finish(&t);
    }
}

static void test_pools(void **state)
{
    (void)state;
    for (uint32_t seed = 300; seed < 400; seed++) {
        trial t = trial_new(seed, 3);
        t.b.rng = &t.rng;
        reserve_weights(&t.b, 8);
        const size_t channels = random_width(&t.rng);
        const uint32_t first =
            add_conv(&t.b, 0, (size_t[4]){channels, 3, 1, 1}, 1, square_window(1, 1, 0), true);
        twi_node pool = {.op = seed % 2 ? TWI_OP_MAX_POOL : TWI_OP_AVG_POOL};
        pool.window = random_window(&t.rng, false);
        for (int i = 0; i < 2; i++) { /* at most half the window: PyTorch's rule */
            pool.window.pad_begin[i] = between(&t.rng, 0, pool.window.kernel[i] / 2);
            pool.window.pad_end[i] = between(&t.rng, 0, pool.window.kernel[i] / 2);
        }
        pool.window.ceil_mode = between(&t.rng, 0, 1);
        pool.window.count_include_pad = between(&t.rng, 0, 1);
        add_node(&t.b, pool, 1, &first);
        trial_finish(&t);
    }
}

static void test_pool_of_pictures(void **state)
{
    (void)state;
    trial t = trial_new(450, 3);
    twi_node pool = {.op = TWI_OP_MAX_POOL, .window = square_window(2, 2, 0)};
    add_node(&t.b, pool, 1, &(uint32_t){0});
    trial_finish(&t);
}

/* conv -> op, for the operators that need nothing of their own. */
static void check_after_conv(uint32_t seed, const twi_node *node)
{
    trial t = trial_new(seed, 3);
    t.b.rng = &t.rng;
    reserve_weights(&t.b, 8);
    const uint32_t first = add_conv(&t.b, 0, (size_t[4]){random_width(&t.rng), 3, 3, 3}, 1,
                                    square_window(3, 1, 1), true);
    add_node(&t.b, *node, 1, &first);
    trial_finish(&t);
}

static void test_global_pools(void **state)
{
    (void)state;
    for (uint32_t seed = 500; seed < 510; seed++) {
        check_after_conv(seed, &(twi_node){.op = TWI_OP_GLOBAL_AVG_POOL});
        check_after_conv(seed, &(twi_node){.op = TWI_OP_GLOBAL_MAX_POOL});
    }
}

static void test_relu_and_flatten(void **state)
{
    (void)state;
    for (uint32_t seed = 520; seed < 530; seed++) {
        check_after_conv(seed, &(twi_node){.op = TWI_OP_RELU});
        check_after_conv(seed, &(twi_node){.op = TWI_OP_FLATTEN, .nhwc = seed % 2});
    }
}

static void test_batch_norm(void **state)
{
    (void)state;
    for (uint32_t seed = 540; seed < 545; seed++) {
        trial t = trial_new(seed, 3);
        t.b.rng = &t.rng;
        reserve_weights(&t.b, 16);
        const size_t c = random_width(&t.rng);
        const uint32_t first =
            add_conv(&t.b, 0, (size_t[4]){c, 3, 3, 3}, 1, square_window(3, 1, 1), true);
        twi_node norm = {.op = TWI_OP_BATCH_NORM, .epsilon = 1e-3};
        norm.params[TWI_PARAM_SCALE] = weight(&t.b, 1, &c, 1.0, 0.5);
        norm.params[TWI_PARAM_SHIFT] = weight(&t.b, 1, &c, 0.0, 0.5);
        norm.params[TWI_PARAM_MEAN] = weight(&t.b, 1, &c, 0.0, 0.5);
        norm.params[TWI_PARAM_VARIANCE] = weight(&t.b, 1, &c, 1.0, 0.9);
        add_node(&t.b, norm, 1, &first);
        trial_finish(&t);
    }
}

static void test_dense_and_softmax(void **state)
{
    (void)state;
    for (uint32_t seed = 600; seed < 620; seed++) {
        trial t = trial_new(seed, 3);
        t.b.rng = &t.rng;
        reserve_weights(&t.b, 8);
        const size_t features = 3 * t.opts.height * t.opts.width, width = between(&t.rng, 1, 40);
        const uint32_t flat =
            add_node(&t.b, (twi_node){.op = TWI_OP_FLATTEN, .nhwc = seed % 2}, 1, &(uint32_t){0});
        twi_node dense = {.op = TWI_OP_DENSE};
        dense.params[TWI_PARAM_WEIGHT] =
            weight(&t.b, 2, (size_t[2]){width, features}, 0.0, sqrt(3.0 / (double)features));
        if (seed % 3) dense.params[TWI_PARAM_BIAS] = weight(&t.b, 1, &width, 0.0, 0.5);
        const uint32_t scores = add_node(&t.b, dense, 1, &flat);
        if (seed % 4 < 2) add_node(&t.b, (twi_node){.op = TWI_OP_SOFTMAX}, 1, &scores);
        trial_finish(&t);
    }
}

static void test_add_and_concat(void **state)
{
    (void)state;
    for (uint32_t seed = 700; seed < 730; seed++) {
        trial t = trial_new(seed, 3);
        t.b.rng = &t.rng;
        reserve_weights(&t.b, 8);
        uint32_t in[3];
        const bool add = seed % 2;
        const size_t same = random_width(&t.rng), n = add ? 2 : between(&t.rng, 1, 3);
        for (size_t i = 0; i < n; i++) {
            const size_t width = add ? same : random_width(&t.rng);
            in[i] = add_conv(&t.b, 0, (size_t[4]){width, 3, 3, 3}, 1, square_window(3, 1, 1), true);
        }
        add_node(&t.b, (twi_node){.op = add ? TWI_OP_ADD : TWI_OP_CONCAT}, n, in);
        trial_finish(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_conv_after_conv),
        cmocka_unit_test(test_conv_groups),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_pool_of_pictures),
        cmocka_unit_test(test_global_pools),
        cmocka_unit_test(test_relu_and_flatten),
        cmocka_unit_test(test_batch_norm),
        cmocka_unit_test(test_dense_and_softmax),
        cmocka_unit_test(test_add_and_concat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
