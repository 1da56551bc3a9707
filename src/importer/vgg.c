/* vgg.c - VGG: Simonyan and Zisserman (2014), arXiv:1409.1556, configurations D and E. Widths are
 * the weights'. */
#include "importer/builder.h"

static const twi_taps conv3x3 = {.kernel = 3, .stride = 1, .pad = 1, .bias = true};
static const twi_taps halve = {.kernel = 2, .stride = 2};

static uint32_t conv_relu(twi_builder *b, uint32_t in, const char *conv, const char *relu)
{
    return twi_build_relu(b, twi_build_conv(b, in, conv, conv3x3), relu);
}

/* Names of keras.applications.vgg16: block1_conv1, ..., block5_pool. */
static uint32_t keras_trunk(twi_builder *b, const size_t *sizes)
{
    uint32_t at = 0;
    for (size_t block = 1; sizes[block - 1] > 0; block++) {
        for (size_t i = 1; i <= sizes[block - 1]; i++)
            at = conv_relu(b, at, twi_name("block%zu_conv%zu", block, i).text,
                           twi_name("block%zu_conv%zu_relu", block, i).text);
        at = twi_build_max_pool(b, at, twi_name("block%zu_pool", block).text, halve);
    }
    return at;
}

/* torchvision numbers every module of the trunk, activations and pools too: features.0, features.1,
 * ... */
static uint32_t torchvision_trunk(twi_builder *b, const size_t *sizes)
{
    uint32_t at = 0;
    size_t module = 0;
    for (size_t block = 0; sizes[block] > 0; block++) {
        for (size_t i = 0; i < sizes[block]; i++, module += 2)
            at = conv_relu(b, at, twi_name("features.%zu", module).text,
                           twi_name("features.%zu", module + 1).text);
        at = twi_build_max_pool(b, at, twi_name("features.%zu", module++).text, halve);
    }
    return at;
}

/* With a batch norm after each convolution, of which each takes a number too. */
static uint32_t torchvision_norm_trunk(twi_builder *b, const size_t *sizes)
{
    const twi_style style = {1e-5, TWI_RELU, false};
    uint32_t at = 0;
    size_t module = 0;
    for (size_t block = 0; sizes[block] > 0; block++, module++) {
        for (size_t i = 0; i < sizes[block]; i++, module += 3)
            at = twi_build_conv_norm(b, at, twi_name("features.%zu", module).text,
                                     twi_name("features.%zu", module + 1).text, conv3x3, style);
        at = twi_build_pool(b, at, halve);
    }
    return at;
}

/* Three dense layers, ReLU between them. names: dense, relu, dense, relu, dense. */
static uint32_t classifier(twi_builder *b, uint32_t at, bool nhwc, const char *const names[5])
{
    at = twi_build_flatten(b, at, "flatten", nhwc);
    at = twi_build_relu(b, twi_build_dense(b, at, names[0]), names[1]);
    at = twi_build_relu(b, twi_build_dense(b, at, names[2]), names[3]);
    return twi_build_dense(b, at, names[4]);
}

static tw_status build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                       bool norms, twi_network **out)
{
    static const char *const keras[] = {"fc1", "fc1_relu", "fc2", "fc2_relu", "predictions"};
    /* Between them stand dropouts; the adaptive pool before them is the identity at 224 x 224. */
    static const char *const torchvision[] = {"classifier.0", "classifier.1", "classifier.3",
                                              "classifier.4", "classifier.6"};
    const bool is_keras = weights->convention == TWI_KERAS;
    twi_builder b;
    twi_builder_start(ctx, weights, &b);
    const uint32_t feature = is_keras ? keras_trunk(&b, self->sizes)
                             : norms  ? torchvision_norm_trunk(&b, self->sizes)
                                      : torchvision_trunk(&b, self->sizes);
    uint32_t logits = TWI_NO_NODE;
    if (is_keras ? twi_builder_has(&b, "fc") || twi_builder_has(&b, "predictions.")
                 : twi_builder_has(&b, "classifier."))
        logits = classifier(&b, feature, is_keras, is_keras ? keras : torchvision);
    return twi_builder_finish(&b, feature, logits, out);
}

tw_status twi_vgg_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                        twi_network **out)
{
    return build(ctx, self, weights, false, out);
}

tw_status twi_vgg_bn_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                           twi_network **out)
{
    return build(ctx, self, weights, true, out);
}
