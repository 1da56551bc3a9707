/* fold_resize.c - Resize of known numbers: positions of transformers, which exporters leave to be
 * interpolated from the size they were trained at. Source of every formula: the ONNX operator
 * specification, Resize, opsets 11 to 19. */
#include "importer/onnx/fold.h"

#include <math.h>
#include <string.h>

enum { TAPS = 4 };

typedef struct way { /* how one axis is sampled */
    const char *mode, *where, *round;
    double a; /* the cubic's free coefficient */
    bool inside_only;
} way;

/* One output position: out = sum of weight * in[at]. */
typedef struct tap {
    size_t at[TAPS];
    double weight[TAPS];
} tap;

static double coordinate(const way *w, double x, double scale, size_t in, size_t out)
{
    if (strcmp(w->where, "align_corners") == 0)
        return out > 1 ? x * ((double)in - 1) / ((double)out - 1) : 0.0;
    if (strcmp(w->where, "asymmetric") == 0) return x / scale;
    if (strcmp(w->where, "pytorch_half_pixel") == 0 && out == 1) return 0.0;
    if (strcmp(w->where, "half_pixel_symmetric") == 0) {
        const double kept = (double)out / (scale * (double)in), centre = (double)in / 2;
        return centre * (1 - kept) + (x + 0.5) / scale - 0.5;
    }
    return (x + 0.5) / scale - 0.5;
}

static double nearest(const way *w, double x)
{
    if (strcmp(w->round, "floor") == 0) return floor(x);
    if (strcmp(w->round, "ceil") == 0) return ceil(x);
    return strcmp(w->round, "round_prefer_ceil") == 0 ? floor(x + 0.5) : ceil(x - 0.5);
}

/* Keys (1981), "Cubic convolution interpolation for digital image processing", eq. 4, with a free
 * coefficient: of a tap at distance |x|. */
static double cubic(double x, double a)
{
    const double t = fabs(x);
    if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

static tap sample(const way *w, double x, size_t in)
{
    const bool rough = strcmp(w->mode, "nearest") == 0, linear = strcmp(w->mode, "linear") == 0;
    const double base = rough ? nearest(w, x) : floor(x), last = (double)in - 1;
    double sum = 0.0;
    tap t;
    for (int k = 0; k < TAPS; k++) {
        const double at = base + (rough ? 0 : k - 1);
        const bool outside = at < 0 || at > last;
        double weight = rough ? k == 0 : linear ? fmax(0.0, 1 - fabs(x - at)) : cubic(x - at, w->a);
        if (outside && w->inside_only && !rough) weight = 0;
        t.at[k] = (size_t)fmin(fmax(at, 0), last);
        t.weight[k] = weight;
        sum += weight;
    }
    for (int k = 0; k < TAPS && w->inside_only; k++) t.weight[k] /= sum;
    return t;
}

/* Taps [out] of one axis. */
static tw_status make_taps(twi_folding *f, const way *w, size_t in, size_t out, double scale,
                           tap **taps)
{
    const tw_status st = twi_arena_take(f->g->ctx, &f->g->model->memory, out, taps);
    for (size_t i = 0; st == TW_OK && i < out; i++)
        (*taps)[i] = sample(w, coordinate(w, (double)i, scale, in, out), in);
    return st;
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0) return true;
    return false;
}

static tw_status take_way(twi_folding *f, way *w)
{
    static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
    static const char *const places[] = {"half_pixel",    "pytorch_half_pixel",   "asymmetric",
                                         "align_corners", "half_pixel_symmetric", NULL};
    static const char *const roundings[] = {"floor", "ceil", "round_prefer_floor",
                                            "round_prefer_ceil", NULL};
    const twi_onnx_node *at = f->g->at;
    const bool old = f->g->model->opset < 11;
    *w = (way){
        twi_onnx_text(at, "mode", "nearest"),
        twi_onnx_text(at, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel"),
        twi_onnx_text(at, "nearest_mode", old ? "floor" : "round_prefer_floor"),
        twi_onnx_float(at, "cubic_coeff_a", -0.75), twi_onnx_int(at, "exclude_outside", 0) != 0};
    if (!is_one_of(w->mode, modes) || !is_one_of(w->where, places) ||
        !is_one_of(w->round, roundings) || twi_onnx_int(at, "antialias", 0) != 0)
        return twi_onnx_fail(f->g, "mode %s, %s, %s%s is not read of known numbers", w->mode,
                             w->where, w->round,
                             twi_onnx_int(at, "antialias", 0) ? ", with antialias" : "");
    return TW_OK;
}

/* The outcome's height and width and what they are to the input's: from sizes, input 3, or scales.
 */
static tw_status take_sizes(twi_folding *f, size_t size[2], double scale[2])
{
    twi_onnx_graph *g = f->g;
    const twi_onnx_const *c, *in = f->in[0];
    const bool sizes = twi_onnx_has_input(g, 3);
    tw_status st = sizes ? twi_onnx_input_ints(g, 3, &c)
                         : twi_onnx_input_floats(g, g->model->opset < 11 ? 1 : 2, &c);
    if (st != TW_OK) return st;
    if (in->rank != 4 || !in->f || c->count != 4 || twi_onnx_attribute_of(g->at, "axes"))
        return twi_onnx_fail(g, "sizes or scales that are not of [1, c, h, w]");
    for (size_t d = 0; d < 4; d++) {
        const double from = (double)in->dims[d], by = twi_fold_get(c, d);
        const double to = sizes ? by : floor(from * by + 1e-7);
        if (!(to >= 1 && to <= (double)TWI_MAX_SIDE) || (d < 2 && to != from) || from < 1)
            return twi_onnx_fail(g, "sizes or scales that are not of height and width");
        if (d < 2) continue;
        size[d - 2] = (size_t)to;
        scale[d - 2] = sizes ? to / from : by;
    }
    return TW_OK;
}

static void resample(const float *in, const size_t from[2], const tap *rows, const tap *columns,
                     const size_t to[2], float *out)
{
    for (size_t y = 0; y < to[0]; y++)
        for (size_t x = 0; x < to[1]; x++) {
            double sum = 0.0;
            for (int i = 0; i < TAPS; i++)
                for (int j = 0; j < TAPS; j++)
                    sum += rows[y].weight[i] * columns[x].weight[j] *
                           (double)in[rows[y].at[i] * from[1] + columns[x].at[j]];
            out[y * to[1] + x] = (float)sum;
        }
}

tw_status twi_fold_resize(twi_folding *f)
{
    const twi_onnx_const *in = f->in[0];
    way w;
    size_t size[2];
    double scale[2];
    tap *rows, *columns;
    float *out;
    tw_status st = take_way(f, &w);
    if (st == TW_OK) st = take_sizes(f, size, scale);
    if (st != TW_OK) return st;
    twi_fold_shape(f, 4, (const size_t[]){in->dims[0], in->dims[1], size[0], size[1]});
    st = twi_fold_room(f, true, NULL, &out);
    if (st == TW_OK) st = make_taps(f, &w, in->dims[2], size[0], scale[0], &rows);
    if (st == TW_OK) st = make_taps(f, &w, in->dims[3], size[1], scale[1], &columns);
    for (size_t i = 0; st == TW_OK && i < in->dims[0] * in->dims[1]; i++)
        resample(in->f + i * in->dims[2] * in->dims[3], in->dims + 2, rows, columns, size,
                 out + i * size[0] * size[1]);
    return st;
}
