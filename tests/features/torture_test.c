/* torture_test.c - extraction with the k-th allocation, then the k-th thread, failing, for every k:
 * an error or a row with a message, every thread joined, nothing leaked. Linked with --wrap for
 * both. */
#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

enum { PICTURES = 9, THREADS = 3 };

static atomic_long allocations = -1, threads_left = -1; /* < 0: never fail */

typedef void *(*thread_fn)(void *);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, thread_fn fn, void *user);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, thread_fn fn, void *user);

/* True for the k-th call since *left was set to k, and for that one only. */
static bool fails(atomic_long *left)
{
    return atomic_load(left) >= 0 && atomic_fetch_sub(left, 1) == 0;
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    return fails(&allocations) ? NULL : __real_aligned_alloc(align, size);
}

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, thread_fn fn, void *user)
{
    return atomic_load(&threads_left) >= 0 && atomic_fetch_sub(&threads_left, 1) <= 0
               ? EAGAIN
               : __real_pthread_create(t, attr, fn, user);
}

static bool many_views; /* patches, which are resized, and joined layers */

static tw_status run_once(tw_ctx *ctx, const twi_network *network, album *pictures, landing *l)
{
    twi_extractor_opts opts = small_opts(ctx);
    if (many_views) {
        opts.recipe.patches = (twi_patches){9, 11, 3, 1};
        opts.layers[0] = network->feature;
        opts.layers[1] = 2;
        opts.n_layers = 2;
        opts.made_for[0] = opts.made_for[1] = 2 * SIDE;
    }
    opts.reference_engine = true;
    opts.batch = 2;
    twi_extractor *ex = NULL;
    const twi_source source = {.path = album_path, .user = pictures};
    tw_status st = twi_extractor_new(ctx, network, &opts, &ex);
    if (st == TW_OK) st = twi_extractor_run(ctx, ex, &source, land, l, NULL);
    twi_extractor_free(ex);
    return st;
}

static void survive_failing_allocations(void)
{
    tw_ctx *ctx;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    tw_ctx_set_threads(ctx, THREADS);
    twi_network *network = small_network(ctx);
    const size_t n = many_views ? 4 : PICTURES;
    album pictures = album_new(n);
    size_t errors = 0, rows = 0;
    bool clean = false;
    for (long k = 0; !clean; k++) {
        landing l = landing_new(many_views ? CHANNELS + 8 : CHANNELS, n);
        atomic_store(&allocations, k);
        const tw_status st = run_once(ctx, network, &pictures, &l);
        clean = atomic_exchange(&allocations, -1) >= 0; /* fewer than k were asked for */
        if (st == TW_OK) assert_int_equal(l.n, n);
        if (st != TW_OK) assert_int_equal(st, TW_ERR_NOMEM);
        for (size_t i = 0; i < l.n; i++)
            assert_true(l.status[i] == TW_OK || l.status[i] == TW_ERR_NOMEM);
        assert_true(l.failed <= 1);
        if (clean) assert_int_equal(st != TW_OK || l.failed, 0);
        errors += st != TW_OK;
        rows += l.failed;
        landing_free(&l);
    }
    assert_true(errors > 10 && rows > 0);
    twi_network_free(network);
    tw_ctx_free(ctx);
    album_free(&pictures);
}

static void extraction_survives_failing_allocations(void **state)
{
    (void)state;
    survive_failing_allocations();
}

static void views_survive_failing_allocations(void **state)
{
    (void)state;
    many_views = true;
    survive_failing_allocations();
    many_views = false;
}

static void extraction_survives_a_lack_of_threads(void **state)
{
    (void)state;
    tw_ctx *ctx;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    tw_ctx_set_threads(ctx, THREADS);
    twi_network *network = small_network(ctx);
    album pictures = album_new(PICTURES);
    for (long k = 0; k <= THREADS; k++) {
        landing l = landing_new(CHANNELS, PICTURES);
        atomic_store(&threads_left, k);
        const tw_status st = run_once(ctx, network, &pictures, &l);
        atomic_store(&threads_left, -1);
        assert_int_equal(st, k == 0 ? TW_ERR_NOMEM : TW_OK);
        assert_int_equal(l.n, k == 0 ? 0 : PICTURES);
        landing_free(&l);
    }
    twi_network_free(network);
    tw_ctx_free(ctx);
    album_free(&pictures);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extraction_survives_failing_allocations),
        cmocka_unit_test(views_survive_failing_allocations),
        cmocka_unit_test(extraction_survives_a_lack_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
