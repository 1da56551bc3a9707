/* load_test.c - batches loaded ahead are those loaded when asked for, whatever was begun; what
 * cannot be read is said when it is asked for. */
#include "tune/private.h"

#include "folder.h"
#include "testing.h"

enum { SIDE = 20, PHOTOS = 9, BATCH = 3, EACH = SIDE * SIDE * 3 };

static char paths[PHOTOS + 1][300]; /* the last photo is not there */

static int set_up(void **state)
{
    (void)state;
    static unsigned char rgb[SIDE * SIDE * 3];
    if (folder_new("load")) return 1;
    for (unsigned i = 0; i <= PHOTOS; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%u.png", folder, i);
        draw_stripes(rgb, SIDE, SIDE, i % 4, i);
        if (i < PHOTOS && png_write(paths[i], rgb, SIDE, SIDE) != 0) return 1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return folder_free();
}

static const char *path_of(const void *user, size_t photo)
{
    (void)user;
    return paths[photo];
}

typedef struct world {
    twi_recipe recipe;
    twi_tune_photos photos;
    twi_tune_opts opts;
    twi_tune_slot slots[BATCH];
    twi_tune_loop l;
} world;

static void start(world *w, size_t threads)
{
    memset(w, 0, sizeof *w);
    assert_int_equal(tw_ctx_new(&w->l.ctx), TW_OK);
    tw_ctx_set_threads(w->l.ctx, threads);
    assert_int_equal(twi_recipe_init(w->l.ctx, "torch", SIDE, SIDE, &w->recipe), TW_OK);
    w->photos =
        (twi_tune_photos){.path = path_of, .recipe = &w->recipe, .max_pixels = TWI_MAX_PIXELS};
    w->opts = (twi_tune_opts){.seed = 3,
                              .batch = BATCH,
                              .augment = {.least_area = 0.4,
                                          .stretch = 4.0 / 3.0,
                                          .mirror = true,
                                          .jitter = 0.3,
                                          .rotate = 10.0,
                                          .width = SIDE,
                                          .height = SIDE}};
    w->l.photos = &w->photos;
    w->l.opts = &w->opts;
    w->l.slots = w->slots;
    w->l.each = EACH;
    assert_int_equal(twi_alloc(w->l.ctx, BATCH * EACH, &w->l.pictures), TW_OK);
    assert_int_equal(twi_alloc(w->l.ctx, BATCH * EACH, &w->l.next), TW_OK);
}

static void end(world *w)
{
    twi_tune_load_none(&w->l);
    for (size_t i = 0; i < BATCH; i++) {
        twi_recipe_scratch_free(&w->slots[i].scratch);
        twi_free(w->slots[i].file);
    }
    twi_free(w->l.pictures);
    twi_free(w->l.next);
    tw_ctx_free(w->l.ctx);
}

static void test_ahead(void **state)
{
    (void)state;
    static const size_t photo[PHOTOS] = {4, 2, 8, 0, 1, 7, 3, 5, 6};
    world plain, ahead;
    start(&plain, 1);
    start(&ahead, 4);
    for (size_t round = 0; round < 200; round++) {
        const size_t at = round % 3 * BATCH, n = round % 5 ? BATCH : 2, epoch = round % 4;
        /* the one that is wanted, another, or none */
        if (round % 7) twi_tune_load_ahead(&ahead.l, photo + at, n, round % 3 ? epoch : epoch + 1);
        if (round % 11 == 0) twi_tune_load_none(&ahead.l);
        assert_int_equal(twi_tune_load(&plain.l, photo + at, n, epoch), TW_OK);
        assert_int_equal(twi_tune_load(&ahead.l, photo + at, n, epoch), TW_OK);
        assert_null(ahead.l.ahead);
        assert_memory_equal(plain.l.pictures, ahead.l.pictures, n * EACH * sizeof(float));
    }
    twi_tune_load_ahead(&plain.l, photo, BATCH, 1); /* one thread: none is begun */
    assert_null(plain.l.ahead);
    end(&plain);
    end(&ahead);
}

static void test_missing(void **state)
{
    (void)state;
    static const size_t photo[2 * BATCH] = {1, PHOTOS, 2, 3, 4, 5};
    world w;
    start(&w, 2);
    twi_tune_load_ahead(&w.l, photo, BATCH, 1);
    assert_int_equal(twi_tune_load(&w.l, photo, BATCH, 1), TW_ERR_IO);
    assert_non_null(strstr(tw_last_error(w.l.ctx), paths[PHOTOS]));
    twi_tune_load_ahead(&w.l, photo, BATCH, 1); /* not what is asked for next */
    assert_int_equal(twi_tune_load(&w.l, photo + BATCH, BATCH, 1), TW_OK);
    twi_tune_load_ahead(&w.l, photo, BATCH, 1); /* nor ever */
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ahead),
                                       cmocka_unit_test(test_missing)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
