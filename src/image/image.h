/* image.h - from the bytes of a photo to the floats a network eats.
 *
 * Semantics: Pillow 9.4 for decoding and the 8-bit filters (bit-exact), scikit-image 0.19.3 for
 * "skimage" (semantics 5.7, 5.8), Keras imagenet_utils for normalisation (5.9). */
#ifndef TWI_IMAGE_IMAGE_H
#define TWI_IMAGE_IMAGE_H

#include "base/json.h"
#include "base/memory.h"

/* ---- pictures ------------------------------------------------------------------------------ */

/* A decoded picture: rows top to bottom, samples interleaved. bits 8: uint8_t; 16: uint16_t
 * (native). */
typedef struct twi_picture {
    size_t width, height;
    unsigned channels; /* 1 grey, 2 grey+alpha, 3 RGB, 4 RGBA */
    unsigned bits;     /* 8 or 16 */
    void *samples;     /* [height, width, channels] twi_alloc'ed; reused between decodes */
    size_t capacity_bytes;
} twi_picture;

typedef enum twi_decode_mode {
    TWI_DECODE_RGB, /* 8-bit RGB as Pillow's convert('RGB'); alpha dropped, 16 bits to the high byte
                     */
    TWI_DECODE_SKIMAGE /* what skimage.io.imread hands over: 1, 3 or 4 channels, 8 or 16 bits */
} twi_decode_mode;

#define TWI_MAX_PIXELS ((size_t)178956970) /* Pillow 9.4: beyond this it calls a picture a bomb */

typedef struct twi_decode_opts {
    twi_decode_mode mode;
    bool exif;         /* apply EXIF orientation */
    size_t max_pixels; /* a declared size above it is refused before anything is allocated; 0:
                          TWI_MAX_PIXELS */
    size_t fast_width,
        fast_height; /* not 0: a JPEG may be DCT-scaled while it stays at least this large */
} twi_decode_opts;

/* Decodes the still picture in src by its content, never its name. name is for the message only.
 * TW_ERR_FORMAT: damaged or truncated; TW_ERR_UNSUPPORTED: a known format or variant not built in,
 * or no picture at all; TW_ERR_DATA: larger than max_pixels. picture: zeroed, or from an earlier
 * call. */
tw_status twi_picture_decode(tw_ctx *ctx, tw_bytes src, const char *name,
                             const twi_decode_opts *opts, twi_picture *picture);
void twi_picture_free(twi_picture *picture); /* releases samples and zeroes it */

/* "JPEG", "PNG", "WebP" for bytes this build can decode, another format's name ("GIF") or NULL.
 * *readable: the former. Looks at the first size bytes (32 are enough). */
const char *twi_picture_format(const void *head, size_t size, bool *readable);

/* An 8-bit RGB picture as a PNG file, replaced atomically. */
tw_status twi_png_write(tw_ctx *ctx, const twi_picture *picture, const char *path);

/* ---- resizing ------------------------------------------------------------------------------ */

typedef enum twi_filter {
    TWI_NEAREST,
    TWI_BOX,
    TWI_BILINEAR,
    TWI_HAMMING,
    TWI_BICUBIC,
    TWI_LANCZOS, /* Pillow's */
    TWI_SKIMAGE  /* skimage.transform.resize defaults, >= 0.15 */
} twi_filter;

/* Pillow's Image.resize((width, height), filter) of an 8-bit picture, bit-exact; every channel. box
 * (may be NULL): the source region {left, top, right, bottom} in pixels. out: zeroed or from an
 * earlier call. */
tw_status twi_resize_pillow(tw_ctx *ctx, const twi_picture *in, twi_filter filter,
                            const double box[4], size_t width, size_t height, twi_picture *out);

/* skimage.transform.resize(in, (height, width[, channels])) to doubles in [0, 1]: out [height,
 * width, channels], channels 0: as in. Within 1e-6 of scikit-image 0.19.3. */
tw_status twi_resize_skimage(tw_ctx *ctx, const twi_picture *in, size_t width, size_t height,
                             size_t channels, double *out);

/* ---- the recipe: everything between a file and the network's input ------------------------- */

typedef enum twi_geometry {
    TWI_SQUASH,   /* to width x height, whatever the shape */
    TWI_CROP,     /* see short_side */
    TWI_LETTERBOX /* as large as fits, centred on black: Pillow's ImageOps.pad() */
} twi_geometry;

/* Which pictures the network sees of one photo; their features are averaged (docs/views.md). */
typedef enum twi_view_kind {
    TWI_VIEWS_ONE,  /* the recipe's own */
    TWI_VIEWS_FLIP, /* that and its mirror image */
    TWI_VIEWS_FIVE, /* torchvision's FiveCrop of the resized photo: corners, then the centre */
    TWI_VIEWS_TEN   /* TenCrop: those, then those of its mirror image */
} twi_view_kind;

#define TWI_MAX_VIEWS 10000 /* of one photo */

/* Patches of the resized photo instead, as scikit-learn's extract_patches_2d() takes them: at every
 * position, row by row, or at drawn ones. Each is resized to the network's input. */
typedef struct twi_patches {
    size_t height, width; /* 0: none */
    double most;          /* max_patches: 0: all; below 1: that share of all; else a whole number */
    uint32_t seed;        /* random_state, the same for every photo */
} twi_patches;

typedef struct twi_recipe {
    size_t height, width; /* of the network's input */
    twi_geometry geometry;
    size_t short_side; /* TWI_CROP: the short side is resized to this (long = int(short * long /
                          short_in)), then the centre is cut out: left = (w - width) / 2 */
    twi_filter filter;
    twi_decode_mode decode; /* counts with the skimage filter; Pillow's filters always get RGB */
    bool exif;
    bool fast_decode;
    bool bgr;     /* channel order of the network's input */
    double scale; /* y = (v * scale - mean[c]) / std[c], v in 0..255 (skimage: 0..1), c in input
                     order */
    double mean[3], std[3];
    twi_view_kind views;
    twi_patches patches; /* with TWI_VIEWS_ONE alone */
} twi_recipe;

/* Named starting points: "caffe", "tf", "torch" (Keras modes: channel order, scale, mean, std only;
 * geometry squash, bilinear, EXIF on). TW_ERR_ARG for another name. */
tw_status twi_recipe_init(tw_ctx *ctx, const char *mode, size_t height, size_t width,
                          twi_recipe *out);
/* Changes the filter and keeps what the network sees on the same scale: values are 0..1 after
 * "skimage" and 0..255 after any other, so scale is multiplied or divided by 255. */
void twi_recipe_set_filter(twi_recipe *recipe, twi_filter filter);
/* The well-known script's recipe: skimage decode and resize to values 0..1, then caffe mode
 * (semantics 6). */
void twi_recipe_reference(twi_recipe *recipe, size_t height, size_t width);

const char *twi_filter_name(twi_filter filter);
const char *twi_geometry_name(twi_geometry geometry);
tw_status twi_filter_parse(tw_ctx *ctx, const char *word, twi_filter *out);
tw_status twi_geometry_parse(tw_ctx *ctx, const char *word, twi_geometry *out);
const char *twi_views_name(twi_view_kind views); /* "1", "flip", "5", "10" */
tw_status twi_views_parse(tw_ctx *ctx, const char *word, twi_view_kind *out);

/* How many views a photo has; 0: that depends on its shape. */
size_t twi_recipe_view_count(const twi_recipe *recipe);
/* Whether the recipe's views can be made of any photo. TW_ERR_ARG: patches beside other views, of a
 * side above 16384, larger than every resized photo, or a number of them that cannot be;
 * TW_ERR_UNSUPPORTED: patches that scikit-image's resize would have to bring to the input's size.
 */
tw_status twi_recipe_check_views(tw_ctx *ctx, const twi_recipe *recipe);

/* New JSON object, NULL when memory ran out; and back, every field checked against its range
 * (TW_ERR_FORMAT).
 *     {"height": 128, "width": 128, "geometry": "crop", "short_side": 141, "resize": "bilinear",
 * "decode": "rgb", "exif": true, "fast_decode": false, "channels": "rgb", "scale":
 * 0.00392156862745098, "mean": [0.48, 0.448, 0.397], "std": [0.272, 0.265, 0.274]} short_side (0),
 * decode (rgb), exif (true), fast_decode (false), views ("1") and patches ({"height": 64, "width":
 * 64, "max": 10, "seed": 42}, max 0 or missing: all) may be missing, and the last two are only
 * written when they are not the default; unknown keys are ignored. */
twi_json *twi_recipe_to_json(const twi_recipe *recipe);
tw_status twi_recipe_from_json(tw_ctx *ctx, const char *name, const twi_json *json,
                               twi_recipe *out);

/* A view: where its corner lies on the canvas that the resized photo fills, and whether left
 * becomes right. */
typedef struct twi_photo_view {
    size_t left, top;
    bool mirror;
} twi_photo_view;

/* The canvas that views are cut from, and the part of the resized photo that lies on it. */
typedef struct twi_frame {
    size_t width, height;               /* of the resized photo */
    size_t part_left, part_top;         /* of it, the part that is wanted */
    size_t part_width, part_height;     /* likewise */
    size_t left, top;                   /* where that part lies on the canvas */
    size_t canvas_width, canvas_height; /* what it does not cover is black */
    size_t view_width, view_height;     /* of every view: the network's input, or a patch */
} twi_frame;

/* Scratch one decode thread reuses; zero-initialise, then free. */
typedef struct twi_recipe_scratch {
    twi_picture decoded, resized;
    double *doubles;
    size_t doubles_capacity;
    twi_frame frame;
    twi_photo_view *views; /* [n_views] of the photo that is open */
    size_t n_views, views_capacity;
    twi_picture patch, fitted; /* one patch, cut out and resized */
} twi_recipe_scratch;
void twi_recipe_scratch_free(twi_recipe_scratch *scratch);

typedef struct twi_encoded_photo {
    tw_bytes bytes;
    const char *name;  /* for messages */
    size_t max_pixels; /* as in twi_decode_opts */
} twi_encoded_photo;

/* File bytes -> dst [recipe height, width, 3] (NHWC, one picture), the recipe's own view whatever
 * its views are. Same errors as twi_picture_decode(). */
tw_status twi_recipe_apply(tw_ctx *ctx, const twi_recipe *recipe, tw_bytes src, const char *name,
                           size_t max_pixels, twi_recipe_scratch *scratch, float *dst);

/* The same for all views, in two steps: decodes and resizes once into scratch, whose n_views (1 to
 * TWI_MAX_VIEWS) is set; then view i of them -> dst, as often as wanted. Besides the errors of
 * twi_picture_decode(), TW_ERR_DATA: the resized photo would have more than max_pixels, is smaller
 * than a patch, or has too many patches or none. */
tw_status twi_recipe_open(tw_ctx *ctx, const twi_recipe *recipe, const twi_encoded_photo *photo,
                          twi_recipe_scratch *scratch);
tw_status twi_recipe_view(tw_ctx *ctx, const twi_recipe *recipe, twi_recipe_scratch *scratch,
                          size_t i, float *dst);

#endif
