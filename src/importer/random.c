/* random.c - the weights of an architecture before anything was learned, as torchvision draws them.
 *
 * Sources: He et al. (2015), arXiv:1502.01852, eqs. 10 and 14 (a ReLU halves the variance: 2 /
 * fan); which fan, which distribution and what the last layer gets: torchvision 0.14's resnet.py,
 * mobilenetv2.py, squeezenet.py and torch.nn.Linear. The names are torchvision's, so that the
 * architectures' own build functions check every one of them. */
#include "importer/random.h"
#include "base/rng.h"
#include "base/text.h"
#include "importer/builder.h"

#include <math.h>
#include <string.h>

typedef struct drawing {
    tw_ctx *ctx;
    const twi_random_opts *opts;
    const twi_architecture *arch;
    twi_tensors *list;
    twi_rng rng;
    double spare;
    tw_status status; /* sticky */
} drawing;

/* Fills count values from draw(rng) * size. */
typedef enum spread { NORMAL, UNIFORM, SAME } spread;

static void draw(drawing *d, const char *layer, const char *part, spread kind, double size,
                 const size_t *dims, size_t rank)
{
    void *data = NULL;
    if (d->status != TW_OK) return;
    d->status = twi_tensors_add(d->ctx, d->list, twi_name("%s.%s", layer, part).text, TWI_F32, rank,
                                dims, NULL, &data);
    if (d->status != TW_OK) return;
    float *values = data;
    const size_t count = d->list->items[d->list->n - 1].count;
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(kind == NORMAL    ? size * twi_rng_normal(&d->rng, &d->spare)
                            : kind == UNIFORM ? size * (2.0 * twi_rng_double(&d->rng) - 1.0)
                                              : size);
}

static void vector(drawing *d, const char *layer, const char *part, double value, size_t n)
{
    draw(d, layer, part, SAME, value, &n, 1);
}

/* kaiming_normal_(mode="fan_out"): of a depthwise convolution too, PyTorch counts all outputs. */
static void conv(drawing *d, const char *layer, size_t out, size_t in, size_t kernel)
{
    const size_t dims[] = {out, in, kernel, kernel};
    const double fan_out = (double)(out * kernel * kernel);
    draw(d, layer, "weight", NORMAL, sqrt(2.0 / fan_out), dims, 4);
}

static void norm(drawing *d, const char *layer, size_t channels)
{
    vector(d, layer, "weight", 1.0, channels);
    vector(d, layer, "bias", 0.0, channels);
    vector(d, layer, "running_mean", 0.0, channels);
    vector(d, layer, "running_var", 1.0, channels);
}

/* ---- residual networks --------------------------------------------------------------------- */

static void basic_block(drawing *d, const char *prefix, size_t out, size_t in, bool shrinks)
{
    conv(d, twi_name("%s.conv1", prefix).text, out, in, 3);
    norm(d, twi_name("%s.bn1", prefix).text, out);
    conv(d, twi_name("%s.conv2", prefix).text, out, out, 3);
    norm(d, twi_name("%s.bn2", prefix).text, out);
    if (!shrinks) return;
    conv(d, twi_name("%s.downsample.0", prefix).text, out, in, 1);
    norm(d, twi_name("%s.downsample.1", prefix).text, out);
}

static void resnet(drawing *d, size_t width, size_t stem)
{
    size_t in = width;
    conv(d, "conv1", width, 3, stem);
    norm(d, "bn1", width);
    for (size_t stage = 0; d->arch->sizes[stage] > 0; stage++) {
        const size_t out = width << stage;
        for (size_t block = 0; block < d->arch->sizes[stage]; block++, in = out)
            basic_block(d, twi_name("layer%zu.%zu", stage + 1, block).text, out, in, in != out);
    }
    const size_t dims[] = {d->opts->classes, in};
    if (d->opts->classes == 0) return;
    /* torch.nn.Linear: kaiming_uniform_(a = sqrt(5)) comes to this. */
    draw(d, "fc", "weight", UNIFORM, 1.0 / sqrt((double)in), dims, 2);
    draw(d, "fc", "bias", UNIFORM, 1.0 / sqrt((double)in), dims, 1);
}

static void draw_resnet(drawing *d)
{
    resnet(d, (size_t)d->opts->width, 7);
}

static void draw_sapling(drawing *d)
{
    resnet(d, (size_t)d->opts->width, 3);
}

/* ---- MobileNetV2 --------------------------------------------------------------------------- */

/* torchvision's _make_divisible: to a multiple of 8, by no more than a tenth down. */
static size_t channels_of(size_t channels, double width)
{
    const double wanted = (double)channels * width;
    size_t near = (size_t)(wanted + 4.0) / 8 * 8;
    if (near < 8) near = 8;
    return (double)near < 0.9 * wanted ? near + 8 : near;
}

static void inverted_block(drawing *d, size_t feature, size_t in, size_t out, size_t expand)
{
    const size_t mid = in * expand;
    size_t module = 0;
    if (expand > 1) {
        conv(d, twi_name("features.%zu.conv.0.0", feature).text, mid, in, 1);
        norm(d, twi_name("features.%zu.conv.0.1", feature).text, mid);
        module++;
    }
    conv(d, twi_name("features.%zu.conv.%zu.0", feature, module).text, mid, 1, 3);
    norm(d, twi_name("features.%zu.conv.%zu.1", feature, module).text, mid);
    conv(d, twi_name("features.%zu.conv.%zu", feature, module + 1).text, out, mid, 1);
    norm(d, twi_name("features.%zu.conv.%zu", feature, module + 2).text, out);
}

static void draw_mobilenet_v2(drawing *d)
{
    static const size_t rows[][3] = {{1, 16, 1}, {6, 24, 2},  {6, 32, 3}, {6, 64, 4},
                                     {6, 96, 3}, {6, 160, 3}, {6, 320, 1}};
    const double width = d->opts->width;
    size_t in = channels_of(32, width), feature = 1;
    conv(d, "features.0.0", in, 3, 3);
    norm(d, "features.0.1", in);
    for (size_t r = 0; r < TWI_LEN(rows); r++)
        for (size_t i = 0; i < rows[r][2]; i++, feature++) {
            const size_t out = channels_of(rows[r][1], width);
            inverted_block(d, feature, in, out, rows[r][0]);
            in = out;
        }
    const size_t last = channels_of(1280, fmax(1.0, width));
    const size_t dims[] = {d->opts->classes, last};
    conv(d, "features.18.0", last, in, 1);
    norm(d, "features.18.1", last);
    if (d->opts->classes == 0) return;
    draw(d, "classifier.1", "weight", NORMAL, 0.01, dims, 2);
    vector(d, "classifier.1", "bias", 0.0, dims[0]);
}

/* ---- SqueezeNet 1.1 ------------------------------------------------------------------------ */

/* kaiming_uniform_(): fan in. */
static void squeeze_conv(drawing *d, const char *layer, size_t out, size_t in, size_t kernel)
{
    const size_t dims[] = {out, in, kernel, kernel};
    draw(d, layer, "weight", UNIFORM, sqrt(6.0 / (double)(in * kernel * kernel)), dims, 4);
    vector(d, layer, "bias", 0.0, out);
}

static size_t scaled(size_t channels, double width)
{
    const double wanted = floor((double)channels * width + 0.5);
    return wanted < 1.0 ? 1 : (size_t)wanted;
}

static void draw_squeezenet(drawing *d)
{
    static const size_t fires[][2] = {{16, 64},  {16, 64},  {32, 128}, {32, 128},
                                      {48, 192}, {48, 192}, {64, 256}, {64, 256}};
    static const size_t modules[] = {3, 4, 6, 7, 9, 10, 11, 12};
    const double width = d->opts->width;
    size_t in = scaled(64, width);
    squeeze_conv(d, "features.0", in, 3, 3);
    for (size_t i = 0; i < TWI_LEN(fires); i++) {
        const size_t thin = scaled(fires[i][0], width), wide = scaled(fires[i][1], width);
        squeeze_conv(d, twi_name("features.%zu.squeeze", modules[i]).text, thin, in, 1);
        squeeze_conv(d, twi_name("features.%zu.expand1x1", modules[i]).text, wide, thin, 1);
        squeeze_conv(d, twi_name("features.%zu.expand3x3", modules[i]).text, wide, thin, 3);
        in = 2 * wide;
    }
    const size_t dims[] = {d->opts->classes, in, 1, 1};
    if (d->opts->classes == 0) return;
    draw(d, "classifier.1", "weight", NORMAL, 0.01, dims, 4);
    vector(d, "classifier.1", "bias", 0.0, dims[0]);
}

/* ---- the table ----------------------------------------------------------------------------- */

static const struct seedling {
    const char *name;
    void (*draw)(drawing *d);
    double usual, least, most; /* width */
    bool whole;                /* width counts channels */
} seedlings[] = {
    {"sapling", draw_sapling, 32, 1, 1024, true},
    {"resnet18", draw_resnet, 64, 1, 1024, true},
    {"resnet34", draw_resnet, 64, 1, 1024, true},
    {"mobilenet_v2", draw_mobilenet_v2, 1, 0.05, 8, false},
    {"squeezenet1_1", draw_squeezenet, 1, 0.05, 8, false},
};

static const struct seedling *find(tw_ctx *ctx, const char *arch)
{
    twi_text names = {0};
    for (size_t i = 0; i < TWI_LEN(seedlings); i++) {
        if (strcmp(seedlings[i].name, arch) == 0) {
            twi_text_free(&names);
            return &seedlings[i];
        }
        twi_text_format(&names, i > 0 ? ", %s" : "%s", seedlings[i].name);
    }
    if (names.failed)
        twi_fail(ctx, TW_ERR_NOMEM, "no memory for a message");
    else
        twi_fail(ctx, TW_ERR_ARG, "no random weights for architecture %s; need one of %s", arch,
                 names.text);
    twi_text_free(&names);
    return NULL;
}

static tw_status fail_width(tw_ctx *ctx, double width, const struct seedling *s)
{
    twi_text text = {0};
    twi_text_double(&text, width);
    const tw_status st =
        text.failed ? twi_fail(ctx, TW_ERR_NOMEM, "no memory for a message")
        : s->whole
            ? twi_fail(ctx, TW_ERR_ARG, "%s of width %s; need a whole number of channels, %d to %d",
                       s->name, text.text, (int)s->least, (int)s->most)
            : twi_fail(ctx, TW_ERR_ARG,
                       "%s of width %s; need a multiple of the usual one, 0.05 to %d", s->name,
                       text.text, (int)s->most);
    twi_text_free(&text);
    return st;
}

static tw_status check(tw_ctx *ctx, const twi_random_opts *o, const struct seedling *s)
{
    if (!(o->width >= s->least && o->width <= s->most) || (s->whole && floor(o->width) < o->width))
        return fail_width(ctx, o->width, s);
    if (o->side < 16 || o->side > 1024)
        return twi_fail(ctx, TW_ERR_ARG, "pictures of %zu pixels a side; 16 to 1024 are allowed",
                        o->side);
    if (o->classes == 1 || o->classes > 65536)
        return twi_fail(ctx, TW_ERR_ARG,
                        "a classifier of %zu classes; 2 to 65536 are allowed, or 0: none",
                        o->classes);
    return TW_OK;
}

tw_status twi_weights_draw(tw_ctx *ctx, const twi_random_opts *opts, twi_weights *out)
{
    twi_random_opts o = *opts;
    const struct seedling *s = find(ctx, o.arch);
    if (!s) return TW_ERR_ARG;
    if (o.width == 0.0) o.width = s->usual;
    const tw_status st = check(ctx, &o, s);
    if (st != TW_OK) return st;
    drawing d = {.ctx = ctx,
                 .opts = &o,
                 .arch = twi_architecture_find(o.arch),
                 .list = &out->tensors,
                 .spare = (double)NAN,
                 .status = TW_OK};
    *out = (twi_weights){.convention = TWI_TORCHVISION, .side = o.side, .format = "random"};
    twi_rng_seed(&d.rng, o.seed);
    s->draw(&d);
    return d.status;
}

tw_status twi_random_recipe(tw_ctx *ctx, const twi_random_opts *opts, twi_json **out)
{
    twi_text text = {0};
    twi_text_format(
        &text,
        "{\"height\":%zu,\"width\":%zu,\"geometry\":\"crop\",\"short_side\":%zu,"
        "\"resize\":\"bilinear\",\"decode\":\"rgb\",\"exif\":true,\"fast_decode\":false,"
        "\"channels\":\"rgb\",\"scale\":0.0039215686274509803,"
        "\"mean\":[0.485,0.456,0.406],\"std\":[0.229,0.224,0.225]}",
        opts->side, opts->side, (opts->side * 256 + 112) / 224);
    const tw_status st = text.failed
                             ? twi_fail(ctx, TW_ERR_NOMEM, "no memory for the recipe")
                             : twi_json_parse(ctx, "the recipe", text.text, text.length, out);
    twi_text_free(&text);
    return st;
}
