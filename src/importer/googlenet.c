/* googlenet.c - GoogLeNet: Szegedy et al. (2014), arXiv:1409.4842, as torchvision has it: with
 * batch norms, and 3x3 where the paper has 5x5. The two classifiers of training are left out. */
#include "importer/builder.h"

static uint32_t unit(twi_builder *b, uint32_t in, const char *name, twi_taps taps)
{
    return twi_build_conv_norm(b, in, twi_name("%s.conv", name).text, twi_name("%s.bn", name).text,
                               taps, (twi_style){0.001, TWI_RELU, false});
}

static uint32_t inception(twi_builder *b, uint32_t in, const char *name)
{
    const twi_taps one = {.kernel = 1, .stride = 1}, three = {.kernel = 3, .stride = 1, .pad = 1};
    const twi_taps pool = {.kernel = 3, .stride = 1, .pad = 1, .ceil_mode = true};
    uint32_t parts[4];
    parts[0] = unit(b, in, twi_name("%s.branch1", name).text, one);
    for (size_t i = 1; i < 3; i++) {
        parts[i] = unit(b, in, twi_name("%s.branch%zu.0", name, i + 1).text, one);
        parts[i] = unit(b, parts[i], twi_name("%s.branch%zu.1", name, i + 1).text, three);
    }
    parts[3] = unit(b, twi_build_pool(b, in, pool), twi_name("%s.branch4.1", name).text, one);
    return twi_build_join(b, 4, parts);
}

tw_status twi_googlenet_build(tw_ctx *ctx, const twi_architecture *self, const twi_weights *weights,
                              twi_network **out)
{
    static const char *const modules[] = {"3a", "3b", "",  "4a", "4b", "4c",
                                          "4d", "4e", "-", "5a", "5b"};
    const twi_taps pool3 = {.kernel = 3, .stride = 2, .ceil_mode = true};
    const twi_taps pool2 = {.kernel = 2, .stride = 2, .ceil_mode = true};
    twi_builder b;
    (void)self;
    twi_builder_start(ctx, weights, &b);
    twi_builder_ignore(&b, "aux1.");
    twi_builder_ignore(&b, "aux2.");
    uint32_t at = unit(&b, 0, "conv1", (twi_taps){.kernel = 7, .stride = 2, .pad = 3});
    at = unit(&b, twi_build_pool(&b, at, pool3), "conv2", (twi_taps){.kernel = 1, .stride = 1});
    at = unit(&b, at, "conv3", (twi_taps){.kernel = 3, .stride = 1, .pad = 1});
    at = twi_build_pool(&b, at, pool3);
    for (size_t i = 0; i < TWI_LEN(modules); i++) {
        if (modules[i][0] == '\0')
            at = twi_build_pool(&b, at, pool3);
        else if (modules[i][0] == '-')
            at = twi_build_pool(&b, at, pool2);
        else
            at = inception(&b, at, twi_name("inception%s", modules[i]).text);
    }
    return twi_builder_finish(&b, at, twi_build_classifier(&b, at, "fc"), out);
}
