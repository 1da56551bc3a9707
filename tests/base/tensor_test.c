/* tensor_test.c - half-width floats over all their values, and lists of tensors. */
#include "../testing.h"

#include "base/tensor.h"

#include <math.h>

static tw_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 in words: (-1)^s * 2^(e - 15) * 1.m, or 2^-14 * 0.m when e is 0. */
static double f16_value(uint16_t half)
{
    const int e = half >> 10 & 31, m = half & 1023;
    const double size = e == 0 ? ldexp(m, -24) : ldexp(1024 + m, e - 25);
    return half & 0x8000 ? -size : size;
}

static void f16_widens(void **state)
{
    (void)state;
    for (uint32_t half = 0; half <= 0xffff; half++) {
        const float wide = twi_f16_to_f32((uint16_t)half);
        if ((half & 0x7c00) != 0x7c00) {
            assert_true((double)wide == f16_value((uint16_t)half));
            assert_true(!signbit(wide) == !(half & 0x8000));
        } else if (half & 0x3ff) {
            assert_true(isnan(wide));
        } else {
            assert_true(isinf(wide) && !signbit(wide) == !(half & 0x8000));
        }
        if (!isnan(wide)) assert_int_equal(twi_f32_to_f16(wide), half);
    }
}

/* Between two neighbours: the nearer one, and at the middle the even one. */
static void f16_rounds(void **state)
{
    (void)state;
    for (uint16_t half = 0; half < 0x7bff; half++) {
        const float low = twi_f16_to_f32(half), high = twi_f16_to_f32((uint16_t)(half + 1));
        const float middle = low + (high - low) / 2;
        assert_int_equal(twi_f32_to_f16(middle), half + (half & 1));
        assert_int_equal(twi_f32_to_f16(-middle), 0x8000 | (half + (half & 1)));
        assert_int_equal(twi_f32_to_f16(nextafterf(middle, low)), half);
        assert_int_equal(twi_f32_to_f16(nextafterf(middle, high)), half + 1);
    }
    assert_int_equal(twi_f32_to_f16(65519.996f), 0x7bff);
    assert_int_equal(twi_f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(twi_f32_to_f16(-1e30f), 0xfc00);
    assert_int_equal(twi_f32_to_f16(INFINITY), 0x7c00);
    assert_true(isnan(twi_f16_to_f32(twi_f32_to_f16(NAN))));
    assert_true(isnan(twi_f16_to_f32(twi_f32_to_f16(from_bits(0x7f800001u)))));
    assert_int_equal(twi_f32_to_f16(1e-30f), 0);
}

static void bf16(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits <= 0xffff; bits++) {
        const float wide = twi_bf16_to_f32((uint16_t)bits);
        if (isnan(wide)) {
            assert_true(isnan(twi_bf16_to_f32(twi_f32_to_bf16(wide))));
            continue;
        }
        assert_int_equal(twi_f32_to_bf16(wide), bits);
    }
    assert_int_equal(twi_f32_to_bf16(from_bits(0x3f808000u)), 0x3f80); /* tie, to even */
    assert_int_equal(twi_f32_to_bf16(from_bits(0x3f818000u)), 0x3f82);
    assert_int_equal(twi_f32_to_bf16(from_bits(0x3f808001u)), 0x3f81);
    assert_int_equal(twi_f32_to_bf16(from_bits(0x7f7fffffu)), 0x7f80);
    assert_true(isnan(twi_bf16_to_f32(twi_f32_to_bf16(from_bits(0x7f800001u)))));
}

static void lists(void **state)
{
    (void)state;
    twi_tensors list = {0};
    const size_t dims[] = {2, 3}, huge[] = {SIZE_MAX / 2, 3}, wide[] = {SIZE_MAX / 4};
    static const float borrowed[6] = {1, 2, 3, 4, 5, 6};
    const size_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    void *fresh;
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(twi_tensors_add(ctx, &list, name, TWI_I64, 2, dims, NULL, &fresh), TW_OK);
        for (size_t j = 0; j < 6; j++) assert_true(((int64_t *)fresh)[j] == 0);
    }
    assert_int_equal(twi_tensors_add(ctx, &list, "w", TWI_F32, 2, dims, borrowed, NULL), TW_OK);
    assert_int_equal(twi_tensors_add(ctx, &list, "w", TWI_F32, 2, dims, borrowed, NULL),
                     TW_ERR_FORMAT);
    assert_int_equal(twi_tensors_add(ctx, &list, "x", TWI_F32, 2, huge, borrowed, NULL),
                     TW_ERR_FORMAT);
    assert_int_equal(twi_tensors_add(ctx, &list, "x", TWI_F64, 1, wide, borrowed, NULL),
                     TW_ERR_FORMAT);
    assert_int_equal(twi_tensors_add(ctx, &list, "x", TWI_U8, 9, nine, borrowed, NULL),
                     TW_ERR_FORMAT);
    assert_int_equal(twi_tensors_add(ctx, &list, "scalar", TWI_F32, 0, NULL, borrowed, NULL),
                     TW_OK);
    const twi_tensor *w = twi_tensors_find(&list, "w");
    assert_ptr_equal(w->data, borrowed);
    assert_int_equal(w->count, 6);
    assert_int_equal(twi_tensors_find(&list, "scalar")->count, 1);
    assert_null(twi_tensors_find(&list, "x"));
    assert_string_equal(twi_tensors_find(&list, "t57")->name, "t57");
    twi_tensors_free(&list);
    assert_int_equal(list.n, 0);
}

static void floats(void **state)
{
    (void)state;
    static const uint16_t halves[] = {0x3c00, 0xc000}, brains[] = {0x3f80, 0xc000};
    static const double doubles[] = {1, -2};
    static const float singles[] = {1, -2};
    static const int32_t integers[] = {1, -2};
    const struct {
        twi_dtype dtype;
        const void *data;
    } all[] = {{TWI_F16, halves}, {TWI_BF16, brains}, {TWI_F64, doubles}, {TWI_F32, singles}};
    for (size_t i = 0; i < TWI_LEN(all); i++) {
        const twi_tensor t = {"t", all[i].dtype, 1, {2}, 2, all[i].data};
        float out[2];
        assert_int_equal(twi_tensor_floats(ctx, &t, out), TW_OK);
        assert_true(out[0] == 1.0f && out[1] == -2.0f);
    }
    const twi_tensor t = {"count", TWI_I32, 1, {2}, 2, integers};
    float out[2];
    assert_int_equal(twi_tensor_floats(ctx, &t, out), TW_ERR_UNSUPPORTED);
    assert_string_equal(tw_last_error(ctx), "tensor count holds I32; need a floating-point type");
    assert_int_equal(twi_dtype_size(TWI_BF16), 2);
    assert_string_equal(twi_dtype_name(TWI_BF16), "BF16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(f16_widens), cmocka_unit_test(f16_rounds),
                                       cmocka_unit_test(bf16), cmocka_unit_test(lists),
                                       cmocka_unit_test(floats)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
