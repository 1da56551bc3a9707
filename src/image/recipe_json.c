/* recipe_json.c - recipes by name, and as JSON in a model or backbone file. */
#include "image/image.h"

#include <math.h>
#include <string.h>

#define MAX_SIDE 16384

static const char *const filter_names[] = {
    [TWI_NEAREST] = "nearest", [TWI_BOX] = "box",         [TWI_BILINEAR] = "bilinear",
    [TWI_HAMMING] = "hamming", [TWI_BICUBIC] = "bicubic", [TWI_LANCZOS] = "lanczos",
    [TWI_SKIMAGE] = "skimage",
};

static const char *const geometry_names[] = {
    [TWI_SQUASH] = "squash", [TWI_CROP] = "crop", [TWI_LETTERBOX] = "letterbox"};

static const char *const decode_names[] = {
    [TWI_DECODE_RGB] = "rgb", [TWI_DECODE_SKIMAGE] = "skimage"};

static const char *const view_names[] = {[TWI_VIEWS_ONE] = "1",
                                         [TWI_VIEWS_FLIP] = "flip",
                                         [TWI_VIEWS_FIVE] = "5",
                                         [TWI_VIEWS_TEN] = "10"};

static const char *const channel_names[] = {"rgb", "bgr"};

/* Index of word in names [n], n when it is not there. */
static size_t find(const char *const *names, size_t n, const char *word)
{
    size_t i = 0;
    while (i < n && strcmp(names[i], word) != 0) i++;
    return i;
}

const char *twi_filter_name(twi_filter filter)
{
    return filter_names[filter];
}

const char *twi_geometry_name(twi_geometry geometry)
{
    return geometry_names[geometry];
}

tw_status twi_filter_parse(tw_ctx *ctx, const char *word, twi_filter *out)
{
    const size_t i = find(filter_names, TWI_LEN(filter_names), word);
    if (i == TWI_LEN(filter_names))
        return twi_fail(ctx, TW_ERR_ARG,
                        "resize \"%s\" is none of nearest, box, bilinear, hamming, bicubic, "
                        "lanczos, skimage",
                        word);
    *out = (twi_filter)i;
    return TW_OK;
}

tw_status twi_geometry_parse(tw_ctx *ctx, const char *word, twi_geometry *out)
{
    const size_t i = find(geometry_names, TWI_LEN(geometry_names), word);
    if (i == TWI_LEN(geometry_names))
        return twi_fail(ctx, TW_ERR_ARG, "geometry \"%s\" is none of squash, crop, letterbox",
                        word);
    *out = (twi_geometry)i;
    return TW_OK;
}

const char *twi_views_name(twi_view_kind views)
{
    return view_names[views];
}

tw_status twi_views_parse(tw_ctx *ctx, const char *word, twi_view_kind *out)
{
    const size_t i = find(view_names, TWI_LEN(view_names), word);
    if (i == TWI_LEN(view_names))
        return twi_fail(ctx, TW_ERR_ARG, "views \"%s\" is none of 1, flip, 5, 10", word);
    *out = (twi_view_kind)i;
    return TW_OK;
}

/* ---- named recipes -------------------------------------------------------------------------- */

/* keras/src/applications/imagenet_utils.py (semantics 5.9); means and stds in the network's channel
 * order. */
typedef struct named_mode {
    const char *name;
    bool bgr;
    double scale, mean[3], std[3];
} named_mode;

static const named_mode modes[] = {
    {"caffe", true, 1.0, {103.939, 116.779, 123.68}, {1, 1, 1}},
    {"tf", false, 1.0 / 127.5, {1, 1, 1}, {1, 1, 1}},
    {"torch", false, 1.0 / 255.0, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}},
};

tw_status twi_recipe_init(tw_ctx *ctx, const char *name, size_t height, size_t width,
                          twi_recipe *out)
{
    for (size_t i = 0; i < TWI_LEN(modes); i++) {
        const named_mode *const m = &modes[i];
        if (strcmp(m->name, name) != 0) continue;
        *out = (twi_recipe){.height = height,
                            .width = width,
                            .geometry = TWI_SQUASH,
                            .filter = TWI_BILINEAR,
                            .decode = TWI_DECODE_RGB,
                            .exif = true,
                            .bgr = m->bgr,
                            .scale = m->scale};
        memcpy(out->mean, m->mean, sizeof out->mean);
        memcpy(out->std, m->std, sizeof out->std);
        return TW_OK;
    }
    return twi_fail(ctx, TW_ERR_ARG, "preprocessing \"%s\" is none of caffe, tf, torch", name);
}

void twi_recipe_reference(twi_recipe *recipe, size_t height, size_t width)
{
    twi_recipe_init(NULL, "caffe", height, width, recipe);
    recipe->filter = TWI_SKIMAGE;
    recipe->decode = TWI_DECODE_SKIMAGE;
}

void twi_recipe_set_filter(twi_recipe *recipe, twi_filter filter)
{
    const bool was = recipe->filter == TWI_SKIMAGE, is = filter == TWI_SKIMAGE;
    if (is && !was) recipe->scale *= 255.0;
    if (was && !is) recipe->scale /= 255.0;
    recipe->filter = filter;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static twi_json *numbers(const double values[3])
{
    twi_json *const array = twi_json_array();
    bool ok = array != NULL;
    for (int c = 0; ok && c < 3; c++) ok = twi_json_append(array, twi_json_number(values[c]));
    if (ok) return array;
    twi_json_free(array);
    return NULL;
}

static twi_json *patches_json(const twi_patches *p)
{
    twi_json *const o = twi_json_object();
    twi_json *const most = p->most > 0.0 && p->most < 1.0 ? twi_json_number(p->most)
                                                          : twi_json_integer((int64_t)p->most);
    bool ok = twi_json_set(o, "height", twi_json_integer((int64_t)p->height));
    ok &= twi_json_set(o, "width", twi_json_integer((int64_t)p->width));
    ok &= twi_json_set(o, "max", most);
    ok &= twi_json_set(o, "seed", twi_json_integer(p->seed));
    if (ok) return o;
    twi_json_free(o);
    return NULL;
}

/* Left out where they are the default, so that files of recipes without them keep their bytes. */
static bool set_views(twi_json *o, const twi_recipe *recipe)
{
    bool ok = true;
    if (recipe->views != TWI_VIEWS_ONE)
        ok = twi_json_set(o, "views", twi_json_text(view_names[recipe->views]));
    if (recipe->patches.height > 0)
        ok = ok && twi_json_set(o, "patches", patches_json(&recipe->patches));
    return ok;
}

twi_json *twi_recipe_to_json(const twi_recipe *recipe)
{
    twi_json *const o = twi_json_object();
    if (o && twi_json_set(o, "height", twi_json_integer((int64_t)recipe->height)) &&
        twi_json_set(o, "width", twi_json_integer((int64_t)recipe->width)) &&
        twi_json_set(o, "geometry", twi_json_text(geometry_names[recipe->geometry])) &&
        twi_json_set(o, "short_side", twi_json_integer((int64_t)recipe->short_side)) &&
        twi_json_set(o, "resize", twi_json_text(filter_names[recipe->filter])) &&
        twi_json_set(o, "decode", twi_json_text(decode_names[recipe->decode])) &&
        twi_json_set(o, "exif", twi_json_boolean(recipe->exif)) &&
        twi_json_set(o, "fast_decode", twi_json_boolean(recipe->fast_decode)) &&
        twi_json_set(o, "channels", twi_json_text(channel_names[recipe->bgr])) &&
        twi_json_set(o, "scale", twi_json_number(recipe->scale)) &&
        twi_json_set(o, "mean", numbers(recipe->mean)) &&
        twi_json_set(o, "std", numbers(recipe->std)) && set_views(o, recipe))
        return o;
    twi_json_free(o);
    return NULL;
}

/* What is being read, so that each reader below is one line at its caller; st is sticky. */
typedef struct json_reader {
    tw_ctx *ctx;
    const char *name;
    const twi_json *json;
    tw_status st;
} json_reader;

static void refuse(json_reader *in, const char *key, const char *need)
{
    in->st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: recipe: \"%s\" is missing or not %s", in->name,
                      key, need);
}

static size_t read_side(json_reader *in, const char *key, int64_t least, int64_t fallback)
{
    const twi_json *const value = twi_json_get(in->json, key);
    const int64_t side = value ? twi_json_as_integer(value, -1) : fallback;
    if (in->st != TW_OK) return 0;
    if (side < least || side > MAX_SIDE) {
        refuse(in, key, "a whole number of pixels up to 16384");
        return 0;
    }
    return (size_t)side;
}

/* One of names [n]; fallback (may be NULL: the key must be there) when it is missing. */
static size_t read_word(json_reader *in, const char *key, const char *const *names, size_t n,
                        const char *fallback)
{
    const twi_json *const value = twi_json_get(in->json, key);
    const char *const word = value ? twi_json_as_text(value, "") : fallback;
    if (in->st != TW_OK) return 0;
    const size_t i = word ? find(names, n, word) : n;
    if (i == n) {
        refuse(in, key, "a word this version knows");
        return 0;
    }
    return i;
}

static bool read_flag(json_reader *in, const char *key, bool fallback)
{
    const twi_json *const value = twi_json_get(in->json, key);
    if (value && in->st == TW_OK &&
        twi_json_as_boolean(value, true) != twi_json_as_boolean(value, false))
        refuse(in, key, "true or false");
    return value ? twi_json_as_boolean(value, fallback) : fallback;
}

/* A number within +-limit; not_zero: and not so small that dividing by it overflows. */
static double checked(json_reader *in, const twi_json *value, const char *key, bool not_zero)
{
    const double limit = 1e6, number = twi_json_as_number(value, NAN);
    if (in->st != TW_OK) return 1.0;
    if (!(fabs(number) <= limit) || (not_zero && fabs(number) < 1.0 / limit)) {
        refuse(in, key, not_zero ? "between 1e-6 and 1e6" : "between -1e6 and 1e6");
        return 1.0;
    }
    return number;
}

static void read_three(json_reader *in, const char *key, bool not_zero, double out[3])
{
    const twi_json *const array = twi_json_get(in->json, key);
    if (in->st == TW_OK && (!twi_json_is_array(array) || twi_json_length(array) != 3))
        refuse(in, key, "three numbers");
    for (size_t c = 0; c < 3 && in->st == TW_OK; c++)
        out[c] = checked(in, twi_json_at(array, c), key, not_zero);
}

static void read_patches(json_reader *in, twi_patches *out)
{
    const twi_json *const json = twi_json_get(in->json, "patches");
    if (!json || in->st != TW_OK) return;
    json_reader inner = {in->ctx, in->name, json, TW_OK};
    const twi_json *const most = twi_json_get(json, "max");
    const twi_json *const number = twi_json_get(json, "seed");
    const int64_t seed = number ? twi_json_as_integer(number, -1) : 0;
    out->height = read_side(&inner, "height", 1, 0);
    out->width = read_side(&inner, "width", 1, 0);
    out->most = most ? twi_json_as_number(most, (double)NAN) : 0.0;
    if (inner.st == TW_OK && (seed < 0 || seed > UINT32_MAX))
        refuse(&inner, "seed", "a whole number of 32 bits");
    out->seed = (uint32_t)seed;
    in->st = inner.st;
}

tw_status twi_recipe_from_json(tw_ctx *ctx, const char *name, const twi_json *json, twi_recipe *out)
{
    json_reader in = {ctx, name, json, TW_OK};
    twi_recipe r = {0};

    if (!twi_json_is_object(json))
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: there is no recipe in it", name);
    r.height = read_side(&in, "height", 1, 0);
    r.width = read_side(&in, "width", 1, 0);
    r.geometry =
        (twi_geometry)read_word(&in, "geometry", geometry_names, TWI_LEN(geometry_names), NULL);
    r.short_side = read_side(&in, "short_side", 0, 0);
    r.filter = (twi_filter)read_word(&in, "resize", filter_names, TWI_LEN(filter_names), NULL);
    r.decode =
        (twi_decode_mode)read_word(&in, "decode", decode_names, TWI_LEN(decode_names), "rgb");
    r.exif = read_flag(&in, "exif", true);
    r.fast_decode = read_flag(&in, "fast_decode", false);
    r.bgr = read_word(&in, "channels", channel_names, TWI_LEN(channel_names), NULL) == 1;
    r.scale = checked(&in, twi_json_get(json, "scale"), "scale", true);
    read_three(&in, "mean", false, r.mean);
    read_three(&in, "std", true, r.std);
    if (in.st == TW_OK && r.geometry == TWI_CROP &&
        (r.short_side < r.height || r.short_side < r.width))
        refuse(&in, "short_side", "at least as long as the crop");
    r.views = (twi_view_kind)read_word(&in, "views", view_names, TWI_LEN(view_names), "1");
    read_patches(&in, &r.patches);
    if (in.st == TW_OK && twi_recipe_check_views(ctx, &r) != TW_OK) {
        (void)twi_fail_prefix(ctx, TW_ERR_FORMAT, "%s: recipe: ", name);
        in.st = TW_ERR_FORMAT;
    }
    if (in.st == TW_OK) *out = r;
    return in.st;
}
