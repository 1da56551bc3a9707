/* overfit_test.c - a small network learns one batch by heart, in every precision and with both
 * optimisers: loss, gradients and steps belong together. */
#include "../engine/networks.h"

#include "tune/loss.h"
#include "tune/optimiser.h"

enum { BATCH = 8, SIDE = 16, CLASSES = 3, STEPS = 60 };

static void batch_norm(builder *b, uint32_t *x, size_t channels)
{
    twi_node node = {.op = TWI_OP_BATCH_NORM, .epsilon = 1e-5};
    node.params[TWI_PARAM_SCALE] = weight(b, 1, &channels, 1.0, 0.0);
    node.params[TWI_PARAM_SHIFT] = weight(b, 1, &channels, 0.0, 0.0);
    node.params[TWI_PARAM_MEAN] = weight(b, 1, &channels, 0.0, 0.0);
    node.params[TWI_PARAM_VARIANCE] = weight(b, 1, &channels, 1.0, 0.0);
    *x = add_node(b, node, 1, x);
    *x = add_node(b, (twi_node){.op = TWI_OP_RELU}, 1, x);
}

static void build(builder *b)
{
    reserve_weights(b, 40);
    uint32_t x = add_conv(b, 0, (size_t[4]){16, 3, 3, 3}, 1, square_window(3, 1, 1), false);
    batch_norm(b, &x, 16);
    x = add_conv(b, x, (size_t[4]){32, 16, 3, 3}, 1, square_window(3, 2, 1), false);
    batch_norm(b, &x, 32);
    x = add_node(b, (twi_node){.op = TWI_OP_GLOBAL_AVG_POOL}, 1, &x);
    twi_node node = {.op = TWI_OP_DENSE};
    node.params[TWI_PARAM_WEIGHT] = weight(b, 2, (size_t[2]){CLASSES, 32}, 0.0, 0.2);
    node.params[TWI_PARAM_BIAS] = weight(b, 1, (size_t[1]){CLASSES}, 0.0, 0.0);
    add_node(b, node, 1, &x);
}

static void learn(tw_precision precision, bool reference, twi_optimiser_kind kind, double rate)
{
    tw_ctx *ctx;
    twi_rng rng;
    twi_trainer *trainer;
    twi_optimiser *optimiser;
    float scores[BATCH * CLASSES], gradient[BATCH * CLASSES];
    uint32_t labels[BATCH];
    double first = 0.0, last = 0.0;
    must(NULL, tw_ctx_new(&ctx));
    twi_rng_seed(&rng, 11);
    builder b = builder_new(ctx, &rng, 3);
    build(&b);
    float *images = random_floats(&rng, BATCH * SIDE * SIDE * 3);
    for (size_t i = 0; i < BATCH; i++) labels[i] = (uint32_t)(i % CLASSES);
    const twi_trainer_opts opts = {.precision = precision,
                                   .batch = BATCH,
                                   .height = SIDE,
                                   .width = SIDE,
                                   .threads = 2,
                                   .reference = reference,
                                   .batch_statistics = true,
                                   .momentum = 0.1};
    const twi_optimiser_opts steps = {.kind = kind,
                                      .beta1 = 0.9,
                                      .beta2 = 0.999,
                                      .epsilon = 1e-8,
                                      .momentum = 0.9,
                                      .nesterov = true,
                                      .layer_decay = 1.0,
                                      .threads = 2};
    must(ctx, twi_trainer_new(ctx, b.network, &opts, &trainer));
    must(ctx, twi_optimiser_new(ctx, trainer, &steps, TWI_NO_NODE, &optimiser));
    for (int step = 0; step < STEPS; step++) {
        must(ctx, twi_trainer_forward(ctx, trainer, images, scores));
        last =
            twi_cross_entropy(&(twi_targets){.labels = labels}, scores, BATCH, CLASSES, gradient);
        if (step == 0) first = last;
        must(ctx, twi_trainer_backward(ctx, trainer, gradient));
        twi_optimiser_step(optimiser, rate);
    }
    if (!(first > 0.8 && last < 0.02)) print_error("loss from %g to %g\n", first, last);
    assert_true(first > 0.8 && last < 0.02);
    twi_optimiser_free(optimiser);
    twi_trainer_free(trainer);
    twi_network_free(b.network);
    test_free(images);
    tw_ctx_free(ctx);
}

static void test_overfit(void **state)
{
    (void)state;
    learn(TW_PRECISION_F32, false, TWI_ADAMW, 0.02);
    learn(TW_PRECISION_F32, false, TWI_SGD, 0.1);
    learn(TW_PRECISION_F32, true, TWI_ADAMW, 0.02);
    if (twi_precision_native(TW_PRECISION_BF16)) learn(TW_PRECISION_BF16, false, TWI_ADAMW, 0.02);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_overfit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
