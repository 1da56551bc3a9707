/* augment_test.c - variations: the same for the same photo and epoch, others for others, and always
 * inside the photo. */
#include "tune/augment.h"

#include "testing.h"

static twi_augment_opts usual(void)
{
    return (twi_augment_opts){.least_area = 0.3,
                              .stretch = 4.0 / 3.0,
                              .mirror = true,
                              .jitter = 0.4,
                              .erase = 0.5,
                              .width = 64,
                              .height = 48};
}

static void test_repeats(void **state)
{
    (void)state;
    const twi_augment_opts opts = usual();
    twi_variation a, b, c;
    twi_draw draw = {&opts, 42, 7, 3};
    twi_draw_variation(&draw, 300, 200, &a);
    twi_draw_variation(&draw, 300, 200, &b);
    assert_memory_equal(a.box, b.box, sizeof a.box);
    assert_true(a.mirror == b.mirror && a.brightness == b.brightness);
    draw.epoch = 4;
    twi_draw_variation(&draw, 300, 200, &c);
    assert_true(memcmp(a.box, c.box, sizeof a.box) != 0);
    draw.epoch = 3, draw.photo = 8;
    twi_draw_variation(&draw, 300, 200, &c);
    assert_true(memcmp(a.box, c.box, sizeof a.box) != 0);
}

static void check_one(const twi_augment_opts *o, const twi_variation *v, double w, double h)
{
    const double width = v->box[2] - v->box[0], height = v->box[3] - v->box[1];
    assert_true(v->box[0] >= 0.0 && v->box[1] >= 0.0 && v->box[2] <= w && v->box[3] <= h);
    assert_true(width >= 1.0 && height >= 1.0);
    assert_true(v->brightness >= 0.6 && v->brightness <= 1.4);
    assert_true(v->contrast >= 0.6 && v->contrast <= 1.4);
    assert_true(v->saturation >= 0.6 && v->saturation <= 1.4);
    assert_true(v->erase[0] <= v->erase[2] && v->erase[2] <= o->width);
    assert_true(v->erase[1] <= v->erase[3] && v->erase[3] <= o->height);
}

static void test_ranges(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{300, 200}, {1, 1}, {1000, 3}, {2, 900}, {64, 64}};
    const twi_augment_opts opts = usual();
    size_t mirrored = 0, erased = 0, n = 0;
    double area = 0.0;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (size_t photo = 0; photo < 200; photo++, n++) {
            const twi_draw draw = {&opts, 1, photo, s + 1};
            twi_variation v;
            twi_draw_variation(&draw, sizes[s][0], sizes[s][1], &v);
            check_one(&opts, &v, (double)sizes[s][0], (double)sizes[s][1]);
            mirrored += v.mirror;
            erased += v.erase[2] > 0;
            if (s == 0) area += (v.box[2] - v.box[0]) * (v.box[3] - v.box[1]) / 60000.0;
        }
    assert_true(mirrored > n * 4 / 10 && mirrored < n * 6 / 10);
    assert_true(erased > n * 4 / 10 && erased < n * 6 / 10);
    assert_true(area / 200 > 0.5 && area / 200 < 0.75); /* about the middle of 0.3 to 1 */
}

/* Without anything random a variation is the whole photo as the recipe has it. */
static void test_nothing(void **state)
{
    (void)state;
    const twi_augment_opts opts = {.least_area = 1.0, .stretch = 1.0, .width = 8, .height = 8};
    twi_variation v;
    twi_draw_variation(&(twi_draw){&opts, 1, 2, 3}, 30, 20, &v);
    assert_true(v.whole && !v.mirror && v.erase[2] == 0);
    assert_true(v.brightness == 1.0 && v.contrast == 1.0 && v.saturation == 1.0);
}

/* torchvision 0.14's RandAugment()._augmentation_space(31, (48, 64)) at bins 0, 9 and 30. */
static void test_magnitudes(void **state)
{
    (void)state;
    static const struct {
        twi_image_op op;
        double at[3];
        bool has_sign;
    } rows[] = {{TWI_IMAGE_IDENTITY, {0, 0, 0}, false},
                {TWI_IMAGE_SHEAR_Y, {0, 0.09, 0.3}, true},
                {TWI_IMAGE_TRANSLATE_X, {0, 8.7009, 29.0030}, true},
                {TWI_IMAGE_TRANSLATE_Y, {0, 6.5257, 21.7523}, true},
                {TWI_IMAGE_ROTATE, {0, 9, 30}, true},
                {TWI_IMAGE_SHARPNESS, {0, 0.27, 0.9}, true},
                {TWI_IMAGE_POSTERIZE, {8, 7, 4}, false},
                {TWI_IMAGE_SOLARIZE, {255, 178.5, 0}, false},
                {TWI_IMAGE_EQUALIZE, {0, 0, 0}, false}};
    static const size_t bins[] = {0, 9, 30};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t b = 0; b < 3; b++) {
            bool has_sign;
            const double m = twi_randaugment_magnitude(rows[i].op, bins[b], 64, 48, &has_sign);
            assert_true(m > rows[i].at[b] - 1e-3 && m < rows[i].at[b] + 1e-3);
            assert_true(has_sign == rows[i].has_sign);
        }
}

/* Two of fourteen a photo, all of them in turn, either sign; and none unless asked for, with all
 * else drawn as before. */
static void test_randaugment(void **state)
{
    (void)state;
    twi_augment_opts opts = usual();
    size_t seen[TWI_IMAGE_OPS] = {0}, minus = 0, plus = 0;
    for (size_t photo = 0; photo < 1400; photo++) {
        twi_variation with, without;
        const twi_draw draw = {&opts, 9, photo, 1};
        opts.randaugment = 9, opts.rotate = 10.0;
        twi_draw_variation(&draw, 300, 200, &with);
        opts.randaugment = 0, opts.rotate = 0.0;
        twi_draw_variation(&draw, 300, 200, &without);
        assert_true(with.n_ops == 2 && without.n_ops == 0 && without.angle == 0.0);
        assert_true(with.angle >= -10.0 && with.angle <= 10.0);
        assert_memory_equal(with.box, without.box, sizeof with.box);
        assert_memory_equal(with.erase, without.erase, sizeof with.erase);
        for (size_t i = 0; i < 2; i++) {
            seen[with.ops[i].op]++;
            minus += with.ops[i].magnitude < 0.0;
            plus += with.ops[i].op == TWI_IMAGE_ROTATE && with.ops[i].magnitude > 0.0;
        }
    }
    for (size_t i = 0; i < TWI_IMAGE_OPS; i++) assert_true(seen[i] > 140 && seen[i] < 260);
    assert_true(minus > 720 && minus < 1080 && plus > 60); /* half of nine in fourteen */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeats),     cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_nothing),     cmocka_unit_test(test_magnitudes),
        cmocka_unit_test(test_randaugment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
