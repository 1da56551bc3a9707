/* winograd_plain.c - the kernels' definition in plain C. */
#include "engine/kernels/winograd.h"

#include <math.h>
#include <string.h>

static const float A = (float)TWI_WINO_A, B = (float)TWI_WINO_B;
static const float A2 = (float)(TWI_WINO_A * TWI_WINO_A), B2 = (float)(TWI_WINO_B * TWI_WINO_B);
static const float A3 = (float)(TWI_WINO_A * TWI_WINO_A * TWI_WINO_A);
static const float B3 = (float)(TWI_WINO_B * TWI_WINO_B * TWI_WINO_B);
static const float PRODUCT = (float)(TWI_WINO_A * TWI_WINO_A * TWI_WINO_B * TWI_WINO_B);
static const float SUM = (float)(TWI_WINO_A * TWI_WINO_A + TWI_WINO_B * TWI_WINO_B);

static float load(const void *at, ptrdiff_t i, twi_dtype dtype)
{
    switch (dtype) {
    case TWI_U8:
        return ((const uint8_t *)at)[i];
    case TWI_I8:
        return ((const int8_t *)at)[i];
    case TWI_BF16:
        return twi_bf16_to_f32(((const uint16_t *)at)[i]);
    default:
        return ((const float *)at)[i];
    }
}

static float held(float value, float least, float most)
{
    return value < least ? least : value > most ? most : value;
}

static void store(void *at, ptrdiff_t i, float value, twi_dtype dtype)
{
    switch (dtype) {
    case TWI_U8:
        ((uint8_t *)at)[i] = (uint8_t)held(nearbyintf(value), 0.0f, 255.0f);
        break;
    case TWI_I8:
        ((int8_t *)at)[i] = (int8_t)held(nearbyintf(value), -128.0f, 127.0f);
        break;
    case TWI_BF16:
        ((uint16_t *)at)[i] = twi_f32_to_bf16(value);
        break;
    default:
        ((float *)at)[i] = value;
    }
}

/* t = B' x: the values, at each point, of the polynomials that vanish at all the others. */
static void input_1d(const float x[6], float t[6])
{
    const float p = x[4] - B2 * x[2], q = x[3] - B2 * x[1];
    const float r = x[4] - A2 * x[2], s = x[3] - A2 * x[1];
    t[0] = PRODUCT * x[0] - SUM * x[2] + x[4];
    t[1] = p + A * q;
    t[2] = p - A * q;
    t[3] = r + B * s;
    t[4] = r - B * s;
    t[5] = PRODUCT * x[1] - SUM * x[3] + x[5];
}

/* y = A' m: y[i] = sum of point^i m. */
static void output_1d(const float m[6], float y[4])
{
    const float p = m[1] + m[2], q = m[1] - m[2], r = m[3] + m[4], s = m[3] - m[4];
    y[0] = m[0] + p + r;
    y[1] = A * q + B * s;
    y[2] = A2 * p + B2 * r;
    y[3] = A3 * q + B3 * s + m[5];
}

/* t = G x; rows of G are (1, s, s^2) / N(s), N(s) the product of s - t over the other finite points
 * t. */
static void weight_1d(const double x[3], double t[6])
{
    const double a = TWI_WINO_A, b = TWI_WINO_B, a2 = a * a, b2 = b * b;
    const double at_zero = 1.0 / (a2 * b2), at_a = 0.5 / (a2 * (a2 - b2)),
                 at_b = 0.5 / (b2 * (b2 - a2));
    t[0] = at_zero * x[0];
    t[1] = at_a * (x[0] + a * x[1] + a2 * x[2]);
    t[2] = at_a * (x[0] - a * x[1] + a2 * x[2]);
    t[3] = at_b * (x[0] + b * x[1] + b2 * x[2]);
    t[4] = at_b * (x[0] - b * x[1] + b2 * x[2]);
    t[5] = x[2];
}

static void filters(const float *g, ptrdiff_t stride, ptrdiff_t step,
                    float u[TWI_WINO_POINTS][TWI_WINO_LANES])
{
    for (ptrdiff_t lane = 0; lane < TWI_WINO_LANES; lane++) {
        double half[3][TWI_WINO_IN], t[TWI_WINO_IN]; /* [column][point] */
        for (int x = 0; x < 3; x++) {
            const float *from = g + lane * stride + x * step;
            weight_1d((double[3]){(double)from[0], (double)from[3 * step], (double)from[6 * step]},
                      half[x]);
        }
        for (int i = 0; i < TWI_WINO_IN; i++) {
            weight_1d((double[3]){half[0][i], half[1][i], half[2][i]}, t);
            for (int j = 0; j < TWI_WINO_IN; j++) u[i * TWI_WINO_IN + j][lane] = (float)t[j];
        }
    }
}

static void input_lane(const void *src, const twi_wino_strides *strides, twi_wino_inside inside,
                       twi_dtype dtype, float v[TWI_WINO_POINTS])
{
    float down[TWI_WINO_IN][TWI_WINO_IN]; /* [column][point] */
    for (int x = 0; x < TWI_WINO_IN; x++) {
        float d[TWI_WINO_IN] = {0};
        for (int y = inside.row_first; y < inside.row_end; y++)
            if (x >= inside.column_first && x < inside.column_end)
                d[y] = load(src, y * strides->row + x * strides->pixel, dtype);
        input_1d(d, down[x]);
    }
    for (int i = 0; i < TWI_WINO_IN; i++) {
        float d[TWI_WINO_IN];
        for (int x = 0; x < TWI_WINO_IN; x++) d[x] = down[x][i];
        input_1d(d, v + i * TWI_WINO_IN);
    }
}

static void input(const void *src, const twi_wino_strides *strides, twi_wino_inside inside,
                  size_t n_blocks, void *v, size_t v_point, twi_dtype from, twi_dtype to)
{
    const ptrdiff_t size = (ptrdiff_t)twi_dtype_size(from);
    for (size_t lane = 0; lane < n_blocks * TWI_WINO_LANES; lane++) {
        float points[TWI_WINO_POINTS];
        const ptrdiff_t at = (ptrdiff_t)(lane / TWI_WINO_LANES) * strides->block +
                             (ptrdiff_t)(lane % TWI_WINO_LANES);
        input_lane((const void *)((uintptr_t)src + (uintptr_t)(at * size)), strides, inside, from,
                   points);
        for (size_t i = 0; i < TWI_WINO_POINTS; i++)
            store(v, (ptrdiff_t)(i * v_point + lane), points[i], to);
    }
}

static void quantise_i8(const float *v, size_t channels, float unit, uint8_t *q, size_t q_point,
                        float *scales, size_t scale_point)
{
    for (size_t i = 0; i < TWI_WINO_POINTS; i++) {
        const float *row = v + i * channels;
        float most = 0.0f;
        for (size_t k = 0; k < channels; k++) most = fmaxf(most, fabsf(row[k]));
        const float inverse = most > 0.0f ? 127.0f / most : 0.0f;
        scales[i * scale_point] = most / 127.0f * unit;
        for (size_t k = 0; k < channels; k++)
            q[i * q_point + k] = (uint8_t)(nearbyintf(row[k] * inverse) + 128.0f);
    }
}

static void multiply(size_t tiles, size_t depth, size_t lanes16, const void *v, const void *u,
                     float *m, bool half)
{
    const size_t width = lanes16 * TWI_WINO_LANES;
    const twi_dtype dtype = half ? TWI_BF16 : TWI_F32;
    for (size_t t = 0; t < tiles; t++)
        for (size_t o = 0; o < width; o++) {
            double sum = 0.0;
            for (size_t k = 0; k < depth; k++) {
                const size_t at = half ? (k / 2 * width + o) * 2 + k % 2 : k * width + o;
                sum += (double)load(v, (ptrdiff_t)(t * depth + k), dtype) *
                       (double)load(u, (ptrdiff_t)at, dtype);
            }
            m[t * TWI_WINO_GROUP + o] = (float)sum;
        }
}

static void multiply_f32(size_t tiles, size_t depth, size_t lanes16, const void *v, const void *u,
                         const twi_wino_scales *scales, float *m)
{
    (void)scales;
    multiply(tiles, depth, lanes16, v, u, m, false);
}

static void multiply_bf16(size_t tiles, size_t depth, size_t lanes16, const void *v, const void *u,
                          const twi_wino_scales *scales, float *m)
{
    (void)scales;
    multiply(tiles, depth, lanes16, v, u, m, true);
}

static void multiply_i8(size_t tiles, size_t depth, size_t lanes16, const void *v, const void *u,
                        const twi_wino_scales *scales, float *m)
{
    const size_t width = lanes16 * TWI_WINO_LANES;
    const uint8_t *rows = v;
    const int8_t *columns = u;
    for (size_t t = 0; t < tiles; t++)
        for (size_t o = 0; o < width; o++) {
            int32_t sum = scales->start[o];
            for (size_t k = 0; k < depth; k++)
                sum += rows[t * depth + k] * columns[(k / 4 * width + o) * 4 + k % 4];
            m[t * TWI_WINO_GROUP + o] = (float)sum * (scales->rows[t] * scales->columns[o]);
        }
}

static void output_lane(const float *m, size_t m_point, float y[TWI_WINO_OUT][TWI_WINO_OUT])
{
    float down[TWI_WINO_IN][TWI_WINO_OUT]; /* [point][row] */
    for (int j = 0; j < TWI_WINO_IN; j++) {
        float x[TWI_WINO_IN];
        for (int i = 0; i < TWI_WINO_IN; i++) x[i] = m[(size_t)(i * TWI_WINO_IN + j) * m_point];
        output_1d(x, down[j]);
    }
    for (int row = 0; row < TWI_WINO_OUT; row++) {
        float x[TWI_WINO_IN];
        for (int j = 0; j < TWI_WINO_IN; j++) x[j] = down[j][row];
        output_1d(x, y[row]);
    }
}

static void output(const float *m, size_t m_point, size_t lanes16, const float *bias,
                   const twi_wino_end *end, twi_wino_inside inside, const twi_wino_strides *strides,
                   void *dst)
{
    for (size_t lane = 0; lane < lanes16 * TWI_WINO_LANES; lane++) {
        float result[TWI_WINO_OUT][TWI_WINO_OUT];
        output_lane(m + lane, m_point, result);
        for (int y = 0; y < inside.row_end; y++)
            for (int x = 0; x < inside.column_end; x++) {
                const ptrdiff_t at = y * strides->row + x * strides->pixel +
                                     (ptrdiff_t)(lane / TWI_WINO_LANES) * strides->block +
                                     (ptrdiff_t)(lane % TWI_WINO_LANES);
                float value = result[y][x] + bias[lane];
                if (end->sum) value += load(dst, at, end->old_dtype) * end->old_scale;
                if (end->relu && !(value > 0.0f)) value = 0.0f;
                store(dst, at, value * end->unit, end->dtype);
            }
    }
}

/* ---- gradients of weights ------------------------------------------------------------------ */

/* One of the 36 words of a lane; see twi_wino_kernels.gather. */
static void store_word(void *v, size_t i, float value, twi_dtype dtype, bool odd)
{
    uint16_t *halves = (uint16_t *)v + 2 * i;
    if (dtype == TWI_F32) {
        ((float *)v)[i] = value;
        return;
    }
    halves[odd] = twi_f32_to_bf16(value);
    if (!odd) halves[1] = 0;
}

static void gather(const void *src, const twi_wino_strides *strides, twi_wino_inside inside,
                   size_t n_blocks, void *v, size_t v_point, bool odd, twi_dtype dtype)
{
    const ptrdiff_t size = (ptrdiff_t)twi_dtype_size(dtype);
    for (size_t lane = 0; lane < n_blocks * TWI_WINO_LANES; lane++) {
        float points[TWI_WINO_POINTS];
        const ptrdiff_t at = (ptrdiff_t)(lane / TWI_WINO_LANES) * strides->block +
                             (ptrdiff_t)(lane % TWI_WINO_LANES);
        input_lane((const void *)((uintptr_t)src + (uintptr_t)(at * size)), strides, inside, dtype,
                   points);
        for (size_t i = 0; i < TWI_WINO_POINTS; i++)
            store_word(v, i * v_point + lane, points[i], dtype, odd);
    }
}

/* t = A y, the transpose of output_1d(). */
static void spread_1d(const float y[TWI_WINO_OUT], float t[TWI_WINO_IN])
{
    const float even_a = y[0] + A2 * y[2], odd_a = A * y[1] + A3 * y[3];
    const float even_b = y[0] + B2 * y[2], odd_b = B * y[1] + B3 * y[3];
    t[0] = y[0];
    t[1] = even_a + odd_a;
    t[2] = even_a - odd_a;
    t[3] = even_b + odd_b;
    t[4] = even_b - odd_b;
    t[5] = y[3];
}

static void spread(const void *gradient, const twi_wino_strides *strides, twi_wino_inside inside,
                   size_t n_blocks, void *m, size_t m_point, bool odd, twi_dtype dtype)
{
    for (size_t lane = 0; lane < n_blocks * TWI_WINO_LANES; lane++) {
        float down[TWI_WINO_OUT][TWI_WINO_IN] = {{0}}, t[TWI_WINO_IN]; /* [column][point] */
        const ptrdiff_t at = (ptrdiff_t)(lane / TWI_WINO_LANES) * strides->block +
                             (ptrdiff_t)(lane % TWI_WINO_LANES);
        for (int x = 0; x < inside.column_end; x++) {
            float y[TWI_WINO_OUT] = {0};
            for (int row = 0; row < inside.row_end; row++)
                y[row] = load(gradient, at + row * strides->row + x * strides->pixel, dtype);
            spread_1d(y, down[x]);
        }
        for (size_t i = 0; i < TWI_WINO_IN; i++) {
            spread_1d((float[TWI_WINO_OUT]){down[0][i], down[1][i], down[2][i], down[3][i]}, t);
            for (size_t j = 0; j < TWI_WINO_IN; j++)
                store_word(m, (i * TWI_WINO_IN + j) * m_point + lane, t[j], dtype, odd);
        }
    }
}

static void accumulate(const twi_wino_product *p, bool half)
{
    const size_t n = half ? 2 : 1;
    const twi_dtype dtype = half ? TWI_BF16 : TWI_F32;
    for (size_t o = 0; o < p->outputs; o++)
        for (size_t c = 0; c < p->lanes16 * TWI_WINO_LANES; c++) {
            float *to = p->sum + o * p->sum_row + c;
            double sum = p->first ? 0.0 : (double)*to;
            for (size_t r = 0; r < p->rows; r++)
                for (size_t h = 0; h < n; h++)
                    sum += (double)load(p->m, (ptrdiff_t)((r * p->m_row + o) * n + h), dtype) *
                           (double)load(p->v, (ptrdiff_t)((r * p->v_row + c) * n + h), dtype);
            *to = (float)sum;
        }
}

/* x = G' t, the transpose of weight_1d(). */
static void collect_1d(const double t[6], double x[3])
{
    const double a = TWI_WINO_A, b = TWI_WINO_B, a2 = a * a, b2 = b * b;
    const double at_zero = 1.0 / (a2 * b2), at_a = 0.5 / (a2 * (a2 - b2)),
                 at_b = 0.5 / (b2 * (b2 - a2));
    x[0] = at_zero * t[0] + at_a * (t[1] + t[2]) + at_b * (t[3] + t[4]);
    x[1] = at_a * a * (t[1] - t[2]) + at_b * b * (t[3] - t[4]);
    x[2] = at_a * a2 * (t[1] + t[2]) + at_b * b2 * (t[3] + t[4]) + t[5];
}

static void collect(const float *u, size_t u_point, float *weights)
{
    for (size_t lane = 0; lane < TWI_WINO_LANES; lane++) {
        double half[TWI_WINO_IN][3]; /* [column's point][row] */
        for (size_t j = 0; j < TWI_WINO_IN; j++) {
            double t[TWI_WINO_IN];
            for (size_t i = 0; i < TWI_WINO_IN; i++)
                t[i] = (double)u[(i * TWI_WINO_IN + j) * u_point + lane];
            collect_1d(t, half[j]);
        }
        for (size_t y = 0; y < 3; y++) {
            double t[TWI_WINO_IN], x[3];
            for (size_t j = 0; j < TWI_WINO_IN; j++) t[j] = half[j][y];
            collect_1d(t, x);
            for (size_t k = 0; k < 3; k++) weights[lane * 9 + y * 3 + k] = (float)x[k];
        }
    }
}

static void add(const void *src, ptrdiff_t pixel, size_t count, float sums[TWI_WINO_LANES],
                twi_dtype dtype)
{
    for (ptrdiff_t lane = 0; lane < TWI_WINO_LANES; lane++) {
        double sum = 0.0;
        for (size_t i = 0; i < count; i++)
            sum += (double)load(src, (ptrdiff_t)i * pixel + lane, dtype);
        sums[lane] = (float)sum;
    }
}

/* ---- the three element types --------------------------------------------------------------- */

#define ELEMENTS(suffix, type)                                                                     \
    static void input_##suffix(const void *src, twi_dtype dtype, const twi_wino_strides *strides,  \
                               twi_wino_inside inside, size_t n_blocks, void *v, size_t v_point)   \
    {                                                                                              \
        input(src, strides, inside, n_blocks, v, v_point, dtype, type);                            \
    }                                                                                              \
    static void gather_##suffix(const void *src, const twi_wino_strides *strides,                  \
                                twi_wino_inside inside, size_t n_blocks, void *v, size_t v_point,  \
                                bool odd)                                                          \
    {                                                                                              \
        gather(src, strides, inside, n_blocks, v, v_point, odd, type);                             \
    }                                                                                              \
    static void spread_##suffix(const void *gradient, const twi_wino_strides *strides,             \
                                twi_wino_inside inside, size_t n_blocks, void *m, size_t m_point,  \
                                bool odd)                                                          \
    {                                                                                              \
        spread(gradient, strides, inside, n_blocks, m, m_point, odd, type);                        \
    }                                                                                              \
    static void accumulate_##suffix(const twi_wino_product *product)                               \
    {                                                                                              \
        accumulate(product, type == TWI_BF16);                                                     \
    }                                                                                              \
    static void add_##suffix(const void *src, ptrdiff_t pixel, size_t count,                       \
                             float sums[TWI_WINO_LANES])                                           \
    {                                                                                              \
        add(src, pixel, count, sums, type);                                                        \
    }                                                                                              \
    static const twi_wino_kernels kernels_##suffix = {.element = type == TWI_BF16 ? 2 : 4,         \
                                                      .filters = filters,                          \
                                                      .input = input_##suffix,                     \
                                                      .multiply = multiply_##suffix,               \
                                                      .output = output,                            \
                                                      .gather = gather_##suffix,                   \
                                                      .spread = spread_##suffix,                   \
                                                      .accumulate = accumulate_##suffix,           \
                                                      .collect = collect,                          \
                                                      .add = add_##suffix};

ELEMENTS(f32, TWI_F32)
ELEMENTS(bf16, TWI_BF16)

static const twi_wino_kernels kernels_i8 = {.element = 1,
                                            .filters = filters,
                                            .input = input_f32,
                                            .quantise = quantise_i8,
                                            .multiply = multiply_i8,
                                            .output = output};

const twi_wino_kernels *twi_wino_plain(twi_dtype dtype)
{
    return dtype == TWI_I8 ? &kernels_i8 : dtype == TWI_BF16 ? &kernels_bf16 : &kernels_f32;
}
