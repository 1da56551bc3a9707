/* views_test.c - several views of a picture are the mean of their rows, however batches fall; and
 * rows of other views or layers are never taken from the cache. */
#include "world.h"

#include "features/cache.h"

typedef struct scene {
    tw_ctx *ctx;
    twi_network *network;
    twi_extractor_opts opts;
    album pictures;
} scene;

static scene scene_new(size_t pictures)
{
    scene s = {.pictures = album_new(pictures)};
    assert_int_equal(tw_ctx_new(&s.ctx), TW_OK);
    s.network = small_network(s.ctx);
    s.opts = small_opts(s.ctx);
    s.opts.recipe.geometry = TWI_CROP;
    s.opts.recipe.short_side = 40;
    return s;
}

static void scene_free(scene *s)
{
    twi_network_free(s->network);
    tw_ctx_free(s->ctx);
    album_free(&s->pictures);
}

static tw_status run(scene *s, size_t threads, landing *l, twi_extract_stats *stats)
{
    twi_extractor *ex;
    const twi_source source = {.path = album_path, .user = &s->pictures, .total = s->pictures.n};
    tw_ctx_set_threads(s->ctx, threads);
    const tw_status made = twi_extractor_new(s->ctx, s->network, &s->opts, &ex);
    if (made != TW_OK) fail_msg("%s", tw_last_error(s->ctx));
    assert_int_equal(twi_extractor_feature_count(ex), l->d);
    const tw_status st = twi_extractor_run(s->ctx, ex, &source, land, l, stats);
    twi_extractor_free(ex);
    return st;
}

/* ---- means --------------------------------------------------------------------------------- */

/* Each view of picture i as the only picture of a run, one after the other: their mean. */
static void mean_of_views(scene *s, const char *path, double *mean)
{
    const twi_recipe *r = &s->opts.recipe;
    const twi_network *cut;
    twi_network *made;
    twi_program *program;
    twi_workspace *workspace;
    twi_recipe_scratch scratch = {0};
    float view[SIDE * SIDE * 3], row[CHANNELS];
    unsigned char bytes[65536];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    const twi_encoded_photo photo = {{bytes, size}, path, 0};
    const twi_engine_opts opts = {
        .precision = TW_PRECISION_F32, .batch = 1, .height = SIDE, .width = SIDE, .threads = 1};
    assert_int_equal(twi_network_for_inference(s->ctx, s->network, TWI_OUTPUT_AVG, true, &made),
                     TW_OK);
    cut = made;
    assert_int_equal(twi_program_new(s->ctx, cut, &opts, NULL, &program), TW_OK);
    assert_int_equal(twi_workspace_new(s->ctx, program, &workspace), TW_OK);
    assert_int_equal(twi_recipe_open(s->ctx, r, &photo, &scratch), TW_OK);
    for (size_t k = 0; k < CHANNELS; k++) mean[k] = 0;
    for (size_t i = 0; i < scratch.n_views; i++) {
        assert_int_equal(twi_recipe_view(s->ctx, r, &scratch, i, view), TW_OK);
        assert_int_equal(twi_program_run(s->ctx, program, workspace, view, 1, row), TW_OK);
        for (size_t k = 0; k < CHANNELS; k++) mean[k] += (double)row[k] / (double)scratch.n_views;
    }
    twi_workspace_free(workspace);
    twi_program_free(program);
    twi_network_free(made);
    twi_recipe_scratch_free(&scratch);
}

static void rows_are_means(scene *s)
{
    landing first = {0};
    const size_t batches[] = {0, 1, 3, 7, 64};
    for (size_t b = 0; b < 5; b++)
        for (size_t threads = 1; threads <= 3; threads += 2) {
            landing l = landing_new(CHANNELS, s->pictures.n);
            s->opts.batch = batches[b];
            assert_int_equal(run(s, threads, &l, NULL), TW_OK);
            assert_int_equal(l.n, s->pictures.n);
            assert_int_equal(l.failed, 0);
            for (size_t i = 0; i < l.n; i += 7) {
                double mean[CHANNELS];
                mean_of_views(s, s->pictures.paths[i], mean);
                for (size_t k = 0; k < CHANNELS; k++)
                    assert_true(fabs(mean[k] - (double)l.rows[i * CHANNELS + k]) < 1e-5);
            }
            if (!first.rows) {
                first = l;
                continue;
            }
            /* of another batch size, another program; of the same, the same bits */
            for (size_t k = 0; k < l.n * CHANNELS; k++)
                assert_true(fabsf(first.rows[k] - l.rows[k]) < 1e-5f);
            landing_free(&l);
        }
    landing_free(&first);
    s->opts.batch = 0;
}

static void a_row_is_the_mean_of_its_views(void **state)
{
    (void)state;
    scene s = scene_new(30);
    for (s.opts.recipe.views = TWI_VIEWS_FLIP; s.opts.recipe.views <= TWI_VIEWS_TEN;
         s.opts.recipe.views++)
        rows_are_means(&s);
    s.opts.recipe.views = TWI_VIEWS_ONE;
    s.opts.recipe.patches = (twi_patches){20, 24, 6, 3};
    rows_are_means(&s);
    s.opts.recipe.patches = (twi_patches){SIDE, SIDE, 0, 0}; /* some have 81, some hundreds */
    rows_are_means(&s);
    scene_free(&s);
}

/* Three pictures of five views make a short run, computed one view at a time; twenty a long one. */
static void short_runs_agree(void **state)
{
    (void)state;
    scene s = scene_new(20);
    landing all = landing_new(CHANNELS, 20), few = landing_new(CHANNELS, 3);
    s.opts.recipe.views = TWI_VIEWS_FIVE;
    assert_int_equal(run(&s, 2, &all, NULL), TW_OK);
    const album whole = s.pictures;
    s.pictures.n = 3;
    assert_int_equal(run(&s, 2, &few, NULL), TW_OK);
    for (size_t k = 0; k < 3 * CHANNELS; k++) assert_true(fabsf(all.rows[k] - few.rows[k]) < 1e-5f);
    s.pictures = whole;
    landing_free(&all);
    landing_free(&few);
    scene_free(&s);
}

/* A picture that has no such views leaves the others as they are. */
static void pictures_without_such_views_are_rows_with_a_message(void **state)
{
    (void)state;
    scene s = scene_new(25);
    landing good = landing_new(CHANNELS, 25), some = landing_new(CHANNELS, 25);
    s.opts.recipe.views = TWI_VIEWS_TEN;
    s.opts.batch = 4;
    assert_int_equal(run(&s, 2, &good, NULL), TW_OK);
    FILE *file = fopen(s.pictures.paths[3], "wb");
    assert_non_null(file);
    fclose(file);
    unsigned char line[600 * 3] = {0};
    assert_int_equal(png_write(s.pictures.paths[11], line, 600, 1), 0);
    s.opts.max_pixels = 40 * 600; /* resized it has 40 x 24,000 */
    assert_int_equal(run(&s, 2, &some, NULL), TW_OK);
    assert_int_equal(some.failed, 2);
    assert_int_equal(some.status[3], TW_ERR_FORMAT);
    assert_int_equal(some.status[11], TW_ERR_DATA);
    assert_non_null(strstr(some.message[11], "24000 x 40 pixels"));
    for (size_t i = 0; i < 25; i++)
        if (i != 3 && i != 11)
            assert_memory_equal(good.rows + i * CHANNELS, some.rows + i * CHANNELS,
                                CHANNELS * sizeof(float));
    landing_free(&good);
    landing_free(&some);
    scene_free(&s);
}

static void stopping_in_the_middle_of_views_does_no_harm(void **state)
{
    (void)state;
    scene s = scene_new(40);
    s.opts.recipe.views = TWI_VIEWS_TEN;
    s.opts.batch = 3;
    twi_extractor *ex;
    const twi_source source = {.path = album_path, .user = &s.pictures, .total = 40};
    tw_ctx_set_threads(s.ctx, 3);
    assert_int_equal(twi_extractor_new(s.ctx, s.network, &s.opts, &ex), TW_OK);
    landing all = landing_new(CHANNELS, 40);
    assert_int_equal(twi_extractor_run(s.ctx, ex, &source, land, &all, NULL), TW_OK);
    for (size_t stop = 1; stop < 30; stop += 9) {
        landing l = landing_new(CHANNELS, 40), again = landing_new(CHANNELS, 40);
        l.stop_after = stop;
        assert_int_equal(twi_extractor_run(s.ctx, ex, &source, land, &l, NULL), TW_ERR_CANCELLED);
        assert_int_equal(twi_extractor_run(s.ctx, ex, &source, land, &again, NULL), TW_OK);
        assert_memory_equal(all.rows, again.rows, 40 * CHANNELS * sizeof(float));
        landing_free(&l);
        landing_free(&again);
    }
    landing_free(&all);
    twi_extractor_free(ex);
    scene_free(&s);
}

/* ---- layers -------------------------------------------------------------------------------- */

static void layers_stand_one_after_the_other(void **state)
{
    (void)state;
    scene s = scene_new(20);
    landing own = landing_new(CHANNELS, 20), both = landing_new(CHANNELS + 8, 20);
    s.opts.recipe.views = TWI_VIEWS_FLIP;
    assert_int_equal(run(&s, 2, &own, NULL), TW_OK);
    assert_int_equal(twi_network_find(s.ctx, s.network, "relu3", &s.opts.layers[0]), TW_OK);
    assert_int_equal(twi_network_find(s.ctx, s.network, "relu1", &s.opts.layers[1]), TW_OK);
    s.opts.n_layers = 2;
    assert_int_equal(run(&s, 2, &both, NULL), TW_OK);
    for (size_t i = 0; i < 20; i++)
        for (size_t k = 0; k < CHANNELS; k++)
            assert_true(fabsf(own.rows[i * CHANNELS + k] - both.rows[i * (CHANNELS + 8) + k]) <
                        1e-5f);
    landing_free(&own);
    landing_free(&both);
    scene_free(&s);
}

static void sizes_that_the_network_was_not_made_for_are_refused(void **state)
{
    (void)state;
    scene s = scene_new(1);
    twi_extractor *ex = NULL;
    s.opts.made_for[0] = s.opts.made_for[1] = 33; /* where 1, 1 is what TensorFlow pads, too */
    s.opts.same_padding = true;
    assert_int_equal(twi_extractor_new(s.ctx, s.network, &s.opts, &ex), TW_ERR_UNSUPPORTED);
    assert_non_null(
        strstr(tw_last_error(s.ctx), "made for 33 x 33 pixels and cannot take 32 x 32, but "));
    s.opts.same_padding = false;
    assert_int_equal(twi_extractor_new(s.ctx, s.network, &s.opts, &ex), TW_OK);
    twi_extractor_free(ex);
    scene_free(&s);
}

/* ---- cache --------------------------------------------------------------------------------- */

static void other_views_are_never_taken_from_the_cache(void **state)
{
    (void)state;
    scene s = scene_new(20);
    char folder[] = "/tmp/topwork-views-XXXXXX";
    tw_cache_opts cache_opts;
    tw_cache *cache;
    size_t bytes;
    const struct {
        twi_view_kind views;
        twi_patches patches;
        uint32_t layers[2];
        size_t n_layers, d;
    } cases[] = {
        {TWI_VIEWS_ONE, {0, 0, 0, 0}, {0, 0}, 0, CHANNELS},
        {TWI_VIEWS_FLIP, {0, 0, 0, 0}, {0, 0}, 0, CHANNELS},
        {TWI_VIEWS_FIVE, {0, 0, 0, 0}, {0, 0}, 0, CHANNELS},
        {TWI_VIEWS_TEN, {0, 0, 0, 0}, {0, 0}, 0, CHANNELS},
        {TWI_VIEWS_ONE, {8, 8, 5, 1}, {0, 0}, 0, CHANNELS},
        {TWI_VIEWS_ONE, {8, 8, 5, 2}, {0, 0}, 0, CHANNELS},
        {TWI_VIEWS_ONE, {8, 8, 6, 1}, {0, 0}, 0, CHANNELS},
        {TWI_VIEWS_ONE, {8, 9, 5, 1}, {0, 0}, 0, CHANNELS},
        {TWI_VIEWS_ONE, {0, 0, 0, 0}, {3, 0}, 1, CHANNELS}, /* as many as the feature node has */
        {TWI_VIEWS_ONE, {0, 0, 0, 0}, {2, 3}, 2, CHANNELS + 8},
        {TWI_VIEWS_ONE, {0, 0, 0, 0}, {3, 2}, 2, CHANNELS + 8},
    };
    assert_non_null(mkdtemp(folder));
    tw_cache_opts_init(&cache_opts);
    cache_opts.folder = folder;
    assert_int_equal(tw_cache_open(s.ctx, &cache_opts, &cache), TW_OK);
    tw_ctx_set_cache(s.ctx, cache);
    strcpy(s.opts.identity, "the small network");
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            twi_extract_stats stats;
            landing l = landing_new(cases[i].d, 20);
            s.opts.recipe.views = cases[i].views;
            s.opts.recipe.patches = cases[i].patches;
            memcpy(s.opts.layers, cases[i].layers, sizeof cases[i].layers);
            s.opts.n_layers = cases[i].n_layers;
            assert_int_equal(run(&s, 2, &l, &stats), TW_OK);
            assert_int_equal(stats.cached, round == 0 ? 0 : 20);
            landing_free(&l);
        }
    tw_ctx_set_cache(s.ctx, NULL);
    tw_cache_free(cache);
    assert_int_equal(tw_cache_clear(s.ctx, folder, &bytes), TW_OK);
    assert_int_equal(rmdir(folder), 0);
    scene_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_the_mean_of_its_views),
        cmocka_unit_test(short_runs_agree),
        cmocka_unit_test(pictures_without_such_views_are_rows_with_a_message),
        cmocka_unit_test(stopping_in_the_middle_of_views_does_no_harm),
        cmocka_unit_test(layers_stand_one_after_the_other),
        cmocka_unit_test(sizes_that_the_network_was_not_made_for_are_refused),
        cmocka_unit_test(other_views_are_never_taken_from_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
