/* hostile_test.c - every file of shared/data/hostile, and the traps among the real photos, through
 * the whole line: each ends in a picture or in a message that names it, soon, and under a cap on
 * memory. */
#include "../testing.h"

#include "base/file.h"
#include "image/image.h"

#include <ftw.h>
#include <math.h>
#include <sys/resource.h>
#include <time.h>

/* Generous: a sanitizer on a busy machine is still far below, a bomb is far above. */
#define MAX_CPU_SECONDS 20.0
#define MAX_MEMORY      ((rlim_t)1 << 31)

/* A sanitizer's shadow alone is terabytes of address space: no cap there. */
#if defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static tw_ctx *ctx;
static unsigned char *file;
static size_t file_capacity, pictures, messages;
static twi_recipe_scratch scratch;
static twi_recipe recipes[2];
static float *input;

static int setup(void **state)
{
    (void)state;
#if !SANITIZED
    const struct rlimit cap = {MAX_MEMORY, MAX_MEMORY};
    if (setrlimit(RLIMIT_AS, &cap) != 0) return -1;
#endif
    input = malloc(224 * 224 * 3 * sizeof *input);
    if (tw_ctx_new(&ctx) != TW_OK || !input) return -1;
    twi_recipe_reference(&recipes[1], 224, 224);
    return twi_recipe_init(ctx, "torch", 224, 224, &recipes[0]) == TW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    twi_recipe_scratch_free(&scratch);
    twi_free(file);
    free(input);
    tw_ctx_free(ctx);
    return 0;
}

static tw_status apply(const char *path, const twi_recipe *recipe)
{
    tw_bytes bytes;
    assert_int_equal(
        twi_file_read(ctx, path, (size_t)1 << 30, &file, &file_capacity, &bytes.size_bytes), TW_OK);
    /* exactly as long as the file: one byte read too many is a sanitizer's finding */
    unsigned char *const exact = malloc(bytes.size_bytes ? bytes.size_bytes : 1);
    memcpy(exact, file, bytes.size_bytes);
    bytes.data = exact;
    const clock_t start = clock();
    const tw_status st = twi_recipe_apply(ctx, recipe, bytes, path, 0, &scratch, input);
    const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    free(exact);
    if (seconds > MAX_CPU_SECONDS) fail_msg("%s: %.1f s", path, seconds);
    return st;
}

static int visit(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)where;
    if (type != FTW_F) return 0;
    for (size_t i = 0; i < TWI_LEN(recipes); i++) {
        const tw_status st = apply(path, &recipes[i]);
        if (st == TW_OK) {
            pictures++;
            for (size_t v = 0; v < 224 * 224 * 3; v++)
                assert_true(input[v] > -200 && input[v] < 200);
            continue;
        }
        messages++;
        assert_true(st == TW_ERR_FORMAT || st == TW_ERR_UNSUPPORTED || st == TW_ERR_DATA);
        if (strncmp(tw_last_error(ctx), path, strlen(path)) != 0)
            fail_msg("%s: the message is \"%s\"", path, tw_last_error(ctx));
    }
    return 0;
}

static void test_hostile(void **state)
{
    (void)state;
    assert_int_equal(nftw(shared_data("hostile"), visit, 16, FTW_PHYS), 0);
    printf("%zu pictures, %zu messages\n", pictures, messages);
    assert_true(pictures > 1000);
    assert_true(messages > 200);
}

/* What the folder's README warns of; the last two are a GIF posing as a photo and a PNG named .jpg.
 */
static void test_traps(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        tw_status status;
    } traps[] = {
        {"hostile/jpeg_crash/all/max_size.jpg", TW_ERR_DATA},
        {"hostile/pillow/all/truncated_jpeg.jpg", TW_ERR_FORMAT},
        {"hostile/pillow/all/truncated_image.png", TW_ERR_FORMAT},
        {"hostile/jpeg_ok/lossless_2/XA1.jpg", TW_ERR_UNSUPPORTED},
        {"hostile/jpeg_ok/reftest/ycck.jpg", TW_OK},
        {"hostile/jpeg_ok/mozilla/jpg-cmyk-2.jpg", TW_OK},
        {"photos/hymenoptera_train/ants/imageNotFound.gif", TW_ERR_UNSUPPORTED},
        {"hostile/jpeg_ok/mozilla/jpg-size-6x6.jpg", TW_OK},
    };
    for (size_t i = 0; i < TWI_LEN(traps); i++) {
        const tw_status st = apply(shared_data(traps[i].name), &recipes[0]);
        if (st != traps[i].status)
            fail_msg("%s: %s (%s)", traps[i].name, tw_status_name(st), tw_last_error(ctx));
    }
}

/* The same picture stored in eight orientations comes out upright each time (apart from JPEG's
 * loss). */
static void test_orientation_photos(void **state)
{
    (void)state;
    static const char *const kinds[] = {"Landscape", "Portrait"};
    float *const upright = malloc(224 * 224 * 3 * sizeof *upright);

    for (size_t k = 0; k < TWI_LEN(kinds); k++)
        for (int o = 1; o <= 8; o++) {
            char name[64];
            double distance = 0;
            snprintf(name, sizeof name, "hostile/exif/all/%s_%d.jpg", kinds[k], o);
            assert_int_equal(apply(shared_data(name), &recipes[0]), TW_OK);
            if (o == 1) memcpy(upright, input, 224 * 224 * 3 * sizeof *upright);
            for (size_t i = 0; i < 224 * 224 * 3; i++)
                distance += fabs((double)input[i] - (double)upright[i]) / (224 * 224 * 3);
            if (distance > 0.1) fail_msg("%s: %.3f from the upright one", name, distance);
        }
    free(upright);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_traps),
        cmocka_unit_test(test_orientation_photos),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
