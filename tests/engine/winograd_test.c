/* winograd_test.c - our own convolution: each kernel against plain C, and the whole against the
 * definition, on random shapes. */
#include "networks.h"

#include "engine/kernels/winograd.h"
#include "engine/operators.h"
#include "engine/training/backward.h"

typedef struct trial {
    tw_ctx *ctx;
    twi_rng rng;
    twi_dtype dtype; /* of matrices */
    twi_dtype maps;  /* of what goes in and comes out: bfloat16 for 8 bits */
    const twi_wino_kernels *kernels;
} trial;

/* What this machine can run. */
static size_t kernels_here(const twi_wino_kernels *list[2], twi_dtype dtype)
{
    const twi_isa least = dtype == TWI_F32 ? TWI_ISA_AVX512 : TWI_ISA_AVX512_BF16;
    list[0] = twi_wino_plain(dtype);
    list[1] = twi_device_isa() >= least ? twi_wino_avx512(dtype) : NULL;
    return list[1] ? 2 : 1;
}

static void write_element(void *data, size_t i, float value, twi_dtype dtype)
{
    if (dtype == TWI_BF16)
        ((uint16_t *)data)[i] = twi_f32_to_bf16(value);
    else
        ((float *)data)[i] = value;
}

static float read_element(const void *data, size_t i, twi_dtype dtype)
{
    return dtype == TWI_BF16 ? twi_bf16_to_f32(((const uint16_t *)data)[i])
                             : ((const float *)data)[i];
}

/* Random elements, and what they are after rounding. */
static void *random_elements(trial *t, size_t count, float **floats)
{
    void *data = test_malloc(count * twi_dtype_size(t->maps));
    *floats = random_floats(&t->rng, count);
    for (size_t i = 0; i < count; i++) {
        write_element(data, i, (*floats)[i], t->maps);
        (*floats)[i] = read_element(data, i, t->maps);
    }
    return data;
}

static double apart(const float *a, const float *b, size_t count)
{
    const outcome x = {.values = (float *)(uintptr_t)a, .count = count};
    const outcome y = {.values = (float *)(uintptr_t)b, .count = count};
    return distance(&x, &y);
}

/* ---- kernels against plain C --------------------------------------------------------------- */

static void check_multiply(trial *t)
{
    const size_t tiles = between(&t->rng, 0, 20), lanes16 = between(&t->rng, 1, 4);
    const size_t depth = 16 * between(&t->rng, 1, 5);
    float *unused, *unused_too;
    void *v = random_elements(t, tiles * depth + 1, &unused);
    void *u = random_elements(t, depth * 16 * lanes16, &unused_too);
    float *got = test_calloc((tiles + 1) * TWI_WINO_GROUP, sizeof *got);
    float *want = test_calloc((tiles + 1) * TWI_WINO_GROUP, sizeof *want);
    t->kernels->multiply(tiles, depth, lanes16, v, u, NULL, got);
    twi_wino_plain(t->dtype)->multiply(tiles, depth, lanes16, v, u, NULL, want);
    assert_true(apart(got, want, (tiles + 1) * TWI_WINO_GROUP) < 1e-6);
    test_free(unused), test_free(unused_too), test_free(v), test_free(u);
    test_free(got), test_free(want);
}

static void check_input(trial *t)
{
    const size_t blocks = between(&t->rng, 1, 3), point = blocks * 16 + 5;
    const twi_wino_strides strides = {0, (ptrdiff_t)(6 * 16 * blocks), (ptrdiff_t)(16 * blocks),
                                      16};
    twi_wino_inside in = {(int)between(&t->rng, 0, 2), (int)between(&t->rng, 2, 6),
                          (int)between(&t->rng, 0, 2), (int)between(&t->rng, 2, 6)};
    if (between(&t->rng, 0, 1)) in = (twi_wino_inside){0, 6, 0, 6};
    float *unused;
    const size_t count = TWI_WINO_POINTS * point;
    void *src = random_elements(t, 36 * 16 * blocks, &unused);
    void *got = test_calloc(count, 4), *want = test_calloc(count, 4);
    t->kernels->input(src, t->dtype, &strides, in, blocks, got, point);
    twi_wino_plain(t->dtype)->input(src, t->dtype, &strides, in, blocks, want, point);
    /* Fused multiply-adds may round a bfloat16 the other way: one unit in the last of 8 bits. */
    const float step = t->dtype == TWI_BF16 ? 0x1p-7f : 1e-5f;
    for (size_t i = 0; i < count; i++) {
        const float a = read_element(got, i, t->dtype), b = read_element(want, i, t->dtype);
        assert_true(fabsf(a - b) <= step * fabsf(b) + 1e-5f);
    }
    test_free(unused), test_free(src), test_free(got), test_free(want);
}

static void check_output(trial *t)
{
    const size_t lanes16 = between(&t->rng, 1, 4), point = 16 * lanes16 + 16;
    const ptrdiff_t pixel = (ptrdiff_t)(16 * lanes16);
    const twi_wino_strides strides = {0, 4 * pixel, pixel, 16};
    const twi_wino_inside in = {0, (int)between(&t->rng, 1, 4), 0, (int)between(&t->rng, 1, 4)};
    const twi_wino_end end = {.relu = between(&t->rng, 0, 1),
                              .sum = between(&t->rng, 0, 1),
                              .dtype = t->dtype,
                              .old_dtype = t->dtype,
                              .unit = 1.0f,
                              .old_scale = 1.0f};
    float *floats, *m = random_floats(&t->rng, TWI_WINO_POINTS * point);
    float *bias = random_floats(&t->rng, 64);
    const size_t count = 16 * 16 * lanes16;
    void *got = random_elements(t, count, &floats), *want = test_malloc(count * 4);
    memcpy(want, got, count * twi_dtype_size(t->dtype));
    t->kernels->output(m, point, lanes16, bias, &end, in, &strides, got);
    twi_wino_plain(t->dtype)->output(m, point, lanes16, bias, &end, in, &strides, want);
    const float step = t->dtype == TWI_BF16 ? 0x1p-7f : 1e-5f;
    for (size_t i = 0; i < count; i++) {
        const float a = read_element(got, i, t->dtype), b = read_element(want, i, t->dtype);
        assert_true(fabsf(a - b) <= step * fabsf(b) + 1e-5f);
    }
    test_free(floats), test_free(m), test_free(bias), test_free(got), test_free(want);
}

static void each_kernel(void (*check)(trial *t))
{
    const twi_dtype dtypes[] = {TWI_F32, TWI_BF16};
    for (size_t d = 0; d < 2; d++) {
        const twi_wino_kernels *list[2];
        const size_t n = kernels_here(list, dtypes[d]);
        for (size_t k = 0; k < n; k++)
            for (uint32_t seed = 0; seed < 40; seed++) {
                trial t = {.dtype = dtypes[d], .maps = dtypes[d], .kernels = list[k]};
                twi_rng_seed(&t.rng, seed);
                check(&t);
            }
    }
}

static void test_multiply(void **state)
{
    (void)state;
    each_kernel(check_multiply);
}

static void test_input(void **state)
{
    (void)state;
    each_kernel(check_input);
}

static void test_output(void **state)
{
    (void)state;
    each_kernel(check_output);
}

/* ---- 8 bits -------------------------------------------------------------------------------- */

static void check_quantise(trial *t)
{
    const size_t channels = 16 * between(&t->rng, 1, 6), point = channels + 3, step = 5;
    float *v = random_floats(&t->rng, TWI_WINO_POINTS * channels);
    uint8_t *got = test_calloc(TWI_WINO_POINTS, point), *want = test_calloc(TWI_WINO_POINTS, point);
    float *scales = test_calloc(2 * TWI_WINO_POINTS * step, sizeof *scales);
    float *wanted = scales + TWI_WINO_POINTS * step;
    memset(v, 0, channels * sizeof *v); /* a row of zeros has no largest value */
    t->kernels->quantise(v, channels, 0.25f, got, point, scales, step);
    twi_wino_plain(TWI_I8)->quantise(v, channels, 0.25f, want, point, wanted, step);
    assert_memory_equal(got, want, TWI_WINO_POINTS * point);
    for (size_t i = 0; i < TWI_WINO_POINTS; i++) {
        assert_float_equal(scales[i * step], wanted[i * step], 1e-9f);
        for (size_t k = 0; k < channels; k++) /* half a step, and what rounding adds */
            assert_true(fabsf(((float)got[i * point + k] - 128.0f) * scales[i * step] -
                              0.25f * v[i * channels + k]) <= 0.5001f * scales[i * step]);
    }
    test_free(v), test_free(got), test_free(want), test_free(scales);
}

static void check_multiply_eight(trial *t)
{
    const size_t tiles = between(&t->rng, 1, 20), lanes16 = between(&t->rng, 1, 4);
    const size_t depth = 16 * between(&t->rng, 1, 5), width = 16 * lanes16;
    uint8_t *v = test_malloc(tiles * depth);
    int8_t *u = test_malloc(depth * width);
    int32_t start[64];
    float *rows = random_floats(&t->rng, tiles), *columns = random_floats(&t->rng, 64);
    const twi_wino_scales scales = {rows, columns, start};
    float *got = test_calloc((tiles + 1) * TWI_WINO_GROUP, sizeof *got);
    float *want = test_calloc((tiles + 1) * TWI_WINO_GROUP, sizeof *want);
    for (size_t i = 0; i < tiles * depth; i++) v[i] = (uint8_t)between(&t->rng, 0, 255);
    for (size_t i = 0; i < depth * width; i++) u[i] = (int8_t)((int)between(&t->rng, 1, 255) - 128);
    for (size_t i = 0; i < 64; i++) start[i] = (int32_t)between(&t->rng, 0, 100000) - 50000;
    t->kernels->multiply(tiles, depth, lanes16, v, u, &scales, got);
    twi_wino_plain(TWI_I8)->multiply(tiles, depth, lanes16, v, u, &scales, want);
    assert_true(apart(got, want, (tiles + 1) * TWI_WINO_GROUP) < 1e-7);
    test_free(v), test_free(u), test_free(rows), test_free(columns);
    test_free(got), test_free(want);
}

/* What is read and written in each of the types. */
static void check_eight_ends(trial *t)
{
    static const twi_dtype types[] = {TWI_U8, TWI_I8, TWI_BF16};
    const twi_dtype from = types[between(&t->rng, 0, 2)], to = types[between(&t->rng, 0, 2)];
    const twi_wino_strides strides = {0, 6 * 16, 16, 16};
    const twi_wino_inside all = {0, 6, 0, 6}, some = {0, (int)between(&t->rng, 1, 4), 0, 4};
    const twi_wino_end end = {.relu = between(&t->rng, 0, 1),
                              .sum = between(&t->rng, 0, 1),
                              .dtype = to,
                              .old_dtype = to == TWI_BF16 ? to : types[between(&t->rng, 0, 1)],
                              .unit = to == TWI_BF16 ? 1.0f : 40.0f,
                              .old_scale = to == TWI_BF16 ? 1.0f : 0.01f};
    const twi_wino_kernels *plain = twi_wino_plain(TWI_I8);
    unsigned char src[36 * 16 * 2], dst[2][16 * 16 * 2];
    float got[TWI_WINO_POINTS * 16], want[TWI_WINO_POINTS * 16], *bias = random_floats(&t->rng, 16);
    for (size_t i = 0; i < sizeof src; i++) src[i] = (unsigned char)between(&t->rng, 0, 62);
    t->kernels->input(src, from, &strides, all, 1, got, 16);
    plain->input(src, from, &strides, all, 1, want, 16);
    assert_true(apart(got, want, TWI_WINO_POINTS * 16) < 1e-5);
    float *m = random_floats(&t->rng, TWI_WINO_POINTS * 16);
    for (size_t i = 0; i < sizeof dst[0]; i++) dst[0][i] = dst[1][i] = src[i];
    const twi_wino_strides tile = {0, 4 * 16, 16, 16};
    t->kernels->output(m, 16, 1, bias, &end, some, &tile, dst[0]);
    plain->output(m, 16, 1, bias, &end, some, &tile, dst[1]);
    for (size_t i = 0; i < sizeof dst[0] / (to == TWI_BF16 ? 2 : 1); i++) {
        const float a = to == TWI_BF16 ? read_element(dst[0], i, to)
                        : to == TWI_U8 ? (float)dst[0][i]
                                       : (float)(int8_t)dst[0][i];
        const float b = to == TWI_BF16 ? read_element(dst[1], i, to)
                        : to == TWI_U8 ? (float)dst[1][i]
                                       : (float)(int8_t)dst[1][i];
        assert_true(fabsf(a - b) <= (to == TWI_BF16 ? 0x1p-7f * fabsf(b) + 1e-5f : 1.0f));
    }
    test_free(m), test_free(bias);
}

static void test_eight(void **state)
{
    const twi_wino_kernels *list[2];
    const size_t n = kernels_here(list, TWI_I8);
    (void)state;
    for (size_t k = 0; k < n; k++)
        for (uint32_t seed = 0; seed < 60; seed++) {
            trial t = {.dtype = TWI_I8, .kernels = list[k]};
            twi_rng_seed(&t.rng, seed);
            check_quantise(&t);
            check_multiply_eight(&t);
            check_eight_ends(&t);
        }
}

/* ---- gradients of weights ------------------------------------------------------------------ */

/* Rounding of a fused multiply-add may differ, and with it one unit in the last of 8 bits. */
static void assert_words_near(const void *got, const void *want, size_t words, twi_dtype dtype)
{
    const float step = dtype == TWI_BF16 ? 0x1p-7f : 1e-5f;
    const size_t count = dtype == TWI_BF16 ? 2 * words : words;
    for (size_t i = 0; i < count; i++) {
        const float a = read_element(got, i, dtype), b = read_element(want, i, dtype);
        assert_true(fabsf(a - b) <= step * fabsf(b) + 1e-5f);
    }
}

/* Two tiles that share their words, the second over the first. */
static void check_gather_and_spread(trial *t)
{
    const size_t blocks = between(&t->rng, 1, 4), point = blocks * 16 + 5;
    const ptrdiff_t pixel = (ptrdiff_t)(16 * blocks);
    const twi_wino_strides strides = {0, 6 * pixel, pixel, 16};
    const twi_wino_kernels *plain = twi_wino_plain(t->dtype);
    float *unused;
    void *src = random_elements(t, 36 * 16 * blocks, &unused);
    uint32_t *got = test_malloc(TWI_WINO_POINTS * point * 4);
    uint32_t *want = test_malloc(TWI_WINO_POINTS * point * 4);
    for (int pass = 0; pass < 2; pass++) {
        memset(got, 0x55, TWI_WINO_POINTS * point * 4);
        memset(want, 0x55, TWI_WINO_POINTS * point * 4);
        for (int odd = 0; odd < 2; odd++) {
            const int end = pass == 0 ? 6 : 4;
            const twi_wino_inside in = {
                pass == 0 ? (int)between(&t->rng, 0, 1) : 0, (int)between(&t->rng, 1, (size_t)end),
                pass == 0 ? (int)between(&t->rng, 0, 1) : 0, (int)between(&t->rng, 1, (size_t)end)};
            (pass == 0 ? t->kernels->gather : t->kernels->spread)(src, &strides, in, blocks, got,
                                                                  point, odd == 1);
            (pass == 0 ? plain->gather : plain->spread)(src, &strides, in, blocks, want, point,
                                                        odd == 1);
        }
        for (size_t i = 0; i < TWI_WINO_POINTS; i++) {
            assert_words_near(got + i * point, want + i * point, 16 * blocks, t->dtype);
            for (size_t k = 16 * blocks; k < point; k++)
                assert_int_equal(got[i * point + k], 0x55555555);
        }
    }
    test_free(unused), test_free(src), test_free(got), test_free(want);
}

static void check_accumulate(trial *t)
{
    const size_t lanes16 = between(&t->rng, 1, 4), outputs = 16 * between(&t->rng, 1, 4);
    const size_t rows = between(&t->rng, 1, 30), width = 16 * lanes16, sum_row = width + 7;
    float *a, *b, *sum = random_floats(&t->rng, outputs * sum_row);
    void *v = random_elements(t, 2 * rows * width, &a),
         *m = random_elements(t, 2 * rows * outputs, &b);
    float *want = test_malloc(outputs * sum_row * sizeof *want);
    memcpy(want, sum, outputs * sum_row * sizeof *want);
    twi_wino_product product = {.rows = rows,
                                .outputs = outputs,
                                .lanes16 = lanes16,
                                .v = v,
                                .m = m,
                                .v_row = width,
                                .m_row = outputs,
                                .sum_row = sum_row,
                                .sum = sum,
                                .first = between(&t->rng, 0, 1)};
    t->kernels->accumulate(&product);
    product.sum = want;
    twi_wino_plain(t->dtype)->accumulate(&product);
    assert_true(apart(sum, want, outputs * sum_row) < 1e-6);
    test_free(a), test_free(b), test_free(sum), test_free(v), test_free(m), test_free(want);
}

static void check_collect_and_add(trial *t)
{
    const size_t point = 16 + between(&t->rng, 0, 9), pixels = between(&t->rng, 1, 20);
    const size_t pixel = 16 + between(&t->rng, 0, 9);
    float *u = random_floats(&t->rng, TWI_WINO_POINTS * point), *floats;
    float got[16 * 9], want[16 * 9];
    void *src = random_elements(t, pixels * pixel, &floats);
    t->kernels->collect(u, point, got);
    twi_wino_plain(t->dtype)->collect(u, point, want);
    assert_true(apart(got, want, 16 * 9) < 1e-6);
    t->kernels->add(src, (ptrdiff_t)pixel, pixels, got);
    for (size_t l = 0; l < 16; l++) {
        double sum = 0.0;
        for (size_t i = 0; i < pixels; i++) sum += (double)floats[i * pixel + l];
        assert_float_equal(got[l], (float)sum, 1e-5f);
    }
    test_free(u), test_free(src), test_free(floats);
}

static void test_gradients(void **state)
{
    (void)state;
    each_kernel(check_gather_and_spread);
    each_kernel(check_accumulate);
    each_kernel(check_collect_and_add);
}

/* ---- the whole against the definition ------------------------------------------------------ */

typedef struct problem {
    twi_shape in, out;
    size_t batch;
    twi_node node;
    bool blocked;
} problem;

static problem random_problem(twi_rng *rng)
{
    problem p = {.batch = between(rng, 1, 4), .blocked = between(rng, 0, 1)};
    p.in = (twi_shape){3, {16 * between(rng, 1, 6), between(rng, 3, 21), between(rng, 3, 21)}};
    p.out = (twi_shape){3, {16 * between(rng, 1, 6)}};
    p.node = (twi_node){.op = TWI_OP_CONV, .groups = 1, .window = square_window(3, 1, 0)};
    for (int i = 0; i < 2; i++) {
        p.node.window.pad_begin[i] = between(rng, 0, 2);
        p.node.window.pad_end[i] = between(rng, 0, 2);
        p.out.dims[1 + i] =
            p.in.dims[1 + i] + p.node.window.pad_begin[i] + p.node.window.pad_end[i] - 2;
    }
    return p;
}

static twi_wino_strides strides_of(const twi_shape *s, bool blocked)
{
    const ptrdiff_t c = (ptrdiff_t)s->dims[0], h = (ptrdiff_t)s->dims[1], w = (ptrdiff_t)s->dims[2];
    return blocked ? (twi_wino_strides){c * h * w, 16 * w, 16, 16 * h * w}
                   : (twi_wino_strides){c * h * w, c * w, c, 16};
}

/* Element i of a plain [n, c, h, w] array is where in the other order. */
static size_t moved(const twi_shape *s, bool blocked, size_t i)
{
    const twi_wino_strides to = strides_of(s, blocked);
    const size_t area = s->dims[1] * s->dims[2], channel = i / area % s->dims[0];
    const size_t y = i % area / s->dims[2], x = i % s->dims[2], n = i / area / s->dims[0];
    return (size_t)((ptrdiff_t)n * to.image + (ptrdiff_t)y * to.row + (ptrdiff_t)x * to.pixel +
                    (ptrdiff_t)(channel / 16) * to.block) +
           channel % 16;
}

static size_t count_of(const problem *p, const twi_shape *s)
{
    return p->batch * s->dims[0] * s->dims[1] * s->dims[2];
}

/* Gradients of outputs lie in the other order than the source: flipped. */
static twi_wino describe(trial *t, const problem *p, bool flipped)
{
    return (twi_wino){.kernels = t->kernels,
                      .batch = p->batch,
                      .in_channels = p->in.dims[0],
                      .out_channels = p->out.dims[0],
                      .in_size = {p->in.dims[1], p->in.dims[2]},
                      .out_size = {p->out.dims[1], p->out.dims[2]},
                      .pad = {p->node.window.pad_begin[0], p->node.window.pad_begin[1]},
                      .src = strides_of(&p->in, p->blocked),
                      .dst = strides_of(&p->out, p->blocked != flipped),
                      .src_dtype = t->maps,
                      .src_scale = 1.0f,
                      .end = {.relu = p->node.fused.op == TWI_OP_RELU,
                              .dtype = t->maps,
                              .old_dtype = t->maps,
                              .unit = 1.0f,
                              .old_scale = 1.0f},
                      .threads = between(&t->rng, 1, 3)};
}

/* src, dst: plain order, rounded; dst holds what is summed, and then the result. */
static void run_wino(trial *t, const problem *p, const float *src, const float *weights,
                     const float *bias, float *dst)
{
    const size_t n_src = count_of(p, &p->in), n_dst = count_of(p, &p->out);
    twi_wino conv = describe(t, p, false);
    conv.end.sum = true;
    must(t->ctx, twi_wino_plan(t->ctx, &conv));
    void *in = test_malloc(n_src * 4), *out = test_malloc(n_dst * 4);
    void *u = test_malloc(twi_wino_packed_bytes(&conv)), *scratch = test_malloc(conv.scratch_bytes);
    for (size_t i = 0; i < n_src; i++)
        write_element(in, moved(&p->in, p->blocked, i), src[i], t->maps);
    for (size_t i = 0; i < n_dst; i++)
        write_element(out, moved(&p->out, p->blocked, i), dst[i], t->maps);
    const twi_wino_filters filters = twi_wino_filters_of(weights, p->in.dims[0]);
    twi_wino_pack(&conv, &filters, u);
    twi_wino_run(&conv, in, u, bias, out, scratch);
    for (size_t i = 0; i < n_dst; i++)
        dst[i] = read_element(out, moved(&p->out, p->blocked, i), t->maps);
    test_free(in), test_free(out), test_free(u), test_free(scratch);
}

static void check_whole(trial *t)
{
    problem p = random_problem(&t->rng);
    if (between(&t->rng, 0, 1)) p.node.fused.op = TWI_OP_RELU;
    const size_t n_src = count_of(&p, &p.in), n_dst = count_of(&p, &p.out);
    float *src, *sum;
    void *rounded_src = random_elements(t, n_src, &src),
         *rounded_sum = random_elements(t, n_dst, &sum);
    float *weights = random_floats(&t->rng, 9 * p.in.dims[0] * p.out.dims[0]);
    float *bias = random_floats(&t->rng, p.out.dims[0]), *want = test_malloc(n_dst * sizeof *want);
    const float *params[TWI_PARAMS] = {weights, bias}, *in[1] = {src};
    const twi_reference_args args = {&p.node, p.batch, &p.in, p.out, in, params, want, {{0}}};
    twi_ref_conv(&args);
    for (size_t i = 0; i < n_dst; i++) {
        want[i] += sum[i];
        if (p.node.fused.op == TWI_OP_RELU && want[i] < 0.0f) want[i] = 0.0f;
    }
    run_wino(t, &p, src, weights, bias, sum);
    assert_true(apart(sum, want, n_dst) < (t->dtype == TWI_F32    ? 1.5e-6
                                           : t->dtype == TWI_BF16 ? 1.6e-2
                                                                  : 5e-2));
    test_free(src), test_free(sum), test_free(rounded_src), test_free(rounded_sum);
    test_free(weights), test_free(bias), test_free(want);
}

static void test_whole(void **state)
{
    (void)state;
    const twi_dtype dtypes[] = {TWI_F32, TWI_BF16, TWI_I8};
    for (size_t d = 0; d < 3; d++) {
        const twi_wino_kernels *list[2];
        const size_t n = kernels_here(list, dtypes[d]);
        for (uint32_t seed = 0; seed < 30; seed++) {
            trial t = {.dtype = dtypes[d], .kernels = list[n - 1]};
            t.maps = dtypes[d] == TWI_I8 ? TWI_BF16 : dtypes[d];
            twi_rng_seed(&t.rng, 1000 + seed);
            assert_int_equal(tw_ctx_new(&t.ctx), TW_OK);
            check_whole(&t);
            tw_ctx_free(t.ctx);
        }
    }
}

/* The convolution's backward pass, both gradients, against the definition. */
typedef struct backward {
    float *src, *gradient, *weights; /* plain; the maps rounded */
    float *back, *of_weights, *of_bias;
} backward;

static void run_weights(trial *t, const problem *p, const backward *b)
{
    const size_t n_src = count_of(p, &p->in), n_dst = count_of(p, &p->out);
    void *in = test_malloc(n_src * 4), *gradient = test_malloc(n_dst * 4);
    twi_wino_weights plan = {.conv = describe(t, p, true)};
    must(t->ctx, twi_wino_plan(t->ctx, &plan.conv));
    must(t->ctx, twi_wino_weights_plan(t->ctx, &plan));
    for (size_t i = 0; i < n_src; i++)
        write_element(in, moved(&p->in, p->blocked, i), b->src[i], t->maps);
    for (size_t i = 0; i < n_dst; i++)
        write_element(gradient, moved(&p->out, !p->blocked, i), b->gradient[i], t->maps);
    void *scratch = test_malloc(plan.scratch_bytes);
    memset(scratch, 0xff, plan.scratch_bytes); /* not a number, where nothing is written */
    const twi_wino_weights_args args = {in, gradient, b->of_weights, b->of_bias, scratch};
    twi_wino_weights_run(&plan, &args);
    if (plan.conv.threads != 2) { /* whatever their number: the same bytes */
        const size_t count = 9 * p->in.dims[0] * p->out.dims[0];
        float *again = test_malloc(count * sizeof *again);
        const twi_wino_weights_args second = {in, gradient, again, NULL, scratch};
        plan.conv.threads = 2;
        twi_wino_weights_run(&plan, &second);
        assert_memory_equal(again, b->of_weights, count * sizeof *again);
        test_free(again);
    }
    test_free(in), test_free(gradient), test_free(scratch);
}

/* The gradient of the source: a convolution of the gradient with turned filters. */
static void run_back(trial *t, const problem *p, const backward *b)
{
    problem turned = {.in = p->out, .out = p->in, .batch = p->batch, .blocked = p->blocked};
    for (int i = 0; i < 2; i++) turned.node.window.pad_begin[i] = 2 - p->node.window.pad_begin[i];
    const size_t n_src = count_of(p, &p->in), n_dst = count_of(p, &p->out);
    twi_wino conv = describe(t, &turned, true);
    float *zeros = test_calloc(p->in.dims[0], sizeof *zeros);
    must(t->ctx, twi_wino_plan(t->ctx, &conv));
    void *from = test_malloc(n_dst * 4), *to = test_malloc(n_src * 4);
    void *u = test_malloc(twi_wino_packed_bytes(&conv)), *scratch = test_malloc(conv.scratch_bytes);
    const twi_wino_filters filters = twi_wino_filters_back(b->weights, p->in.dims[0]);
    for (size_t i = 0; i < n_dst; i++)
        write_element(from, moved(&p->out, p->blocked, i), b->gradient[i], t->maps);
    twi_wino_pack(&conv, &filters, u);
    twi_wino_run(&conv, from, u, zeros, to, scratch);
    for (size_t i = 0; i < n_src; i++)
        b->back[i] = read_element(to, moved(&p->in, !p->blocked, i), t->maps);
    test_free(from), test_free(to), test_free(u), test_free(scratch), test_free(zeros);
}

static void check_backward(trial *t)
{
    problem p = random_problem(&t->rng);
    const size_t n_src = count_of(&p, &p.in), n_dst = count_of(&p, &p.out), out = p.out.dims[0];
    const size_t n_weights = 9 * p.in.dims[0] * out;
    backward got, want = {.back = test_malloc(n_src * 4),
                          .of_weights = test_malloc(n_weights * 4),
                          .of_bias = test_malloc(out * 4)};
    test_free(random_elements(t, n_src, &want.src));
    test_free(random_elements(t, n_dst, &want.gradient));
    want.weights = random_floats(&t->rng, n_weights);
    got = want;
    got.back = test_malloc(n_src * 4), got.of_weights = test_malloc(n_weights * 4);
    got.of_bias = test_malloc(out * 4);
    const float *in[1] = {want.src}, *params[TWI_PARAMS] = {want.weights};
    float *grad_in[1] = {want.back}, *grad_params[TWI_PARAMS] = {want.of_weights, want.of_bias};
    const twi_backward_args args = {.node = &p.node,
                                    .batch = p.batch,
                                    .in_shapes = &p.in,
                                    .out_shape = p.out,
                                    .in = in,
                                    .params = params,
                                    .grad_out = want.gradient,
                                    .grad_in = grad_in,
                                    .grad_params = grad_params};
    twi_back_conv(&args);
    run_weights(t, &p, &got);
    run_back(t, &p, &got);
    const double most = t->dtype == TWI_F32 ? 2e-6 : 1.6e-2;
    assert_true(apart(got.of_weights, want.of_weights, n_weights) < most);
    assert_true(apart(got.of_bias, want.of_bias, out) < 1e-6);
    assert_true(apart(got.back, want.back, n_src) < most);
    test_free(want.src), test_free(want.gradient), test_free(want.weights);
    test_free(want.back), test_free(want.of_weights), test_free(want.of_bias);
    test_free(got.back), test_free(got.of_weights), test_free(got.of_bias);
}

static void test_backward(void **state)
{
    (void)state;
    const twi_dtype dtypes[] = {TWI_F32, TWI_BF16};
    for (size_t d = 0; d < 2; d++) {
        const twi_wino_kernels *list[2];
        const size_t n = kernels_here(list, dtypes[d]);
        for (size_t k = 0; k < n; k++)
            for (uint32_t seed = 0; seed < 20; seed++) {
                trial t = {.dtype = dtypes[d], .maps = dtypes[d], .kernels = list[k]};
                twi_rng_seed(&t.rng, 2000 + seed);
                assert_int_equal(tw_ctx_new(&t.ctx), TW_OK);
                check_backward(&t);
                tw_ctx_free(t.ctx);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_multiply),  cmocka_unit_test(test_input),
        cmocka_unit_test(test_output),    cmocka_unit_test(test_eight),
        cmocka_unit_test(test_gradients), cmocka_unit_test(test_whole),
        cmocka_unit_test(test_backward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
