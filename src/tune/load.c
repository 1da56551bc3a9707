/* load.c - a batch of photos, decoded and varied in parallel, the next one while this one trains.
 */
#include "tune/private.h"

#include "base/file.h"
#include "base/threads.h"

#include <pthread.h>

#define MOST_BYTES ((size_t)1 << 30) /* of one encoded photo */

typedef struct loading {
    twi_tune_loop *l;
    const size_t *photo;
    size_t n, epoch;
    float *to; /* [n, each] */
} loading;

struct twi_tune_ahead { /* a batch on its way */
    loading work;
    tw_ctx *ctx; /* the thread's */
    pthread_t thread;
    size_t threads;
    tw_status status;
};

typedef struct seeing { /* how a network sees a photo */
    const twi_recipe *recipe;
    twi_augment_opts augment;
} seeing;

static tw_status see(tw_ctx *ctx, const loading *work, size_t i, const twi_encoded_photo *encoded,
                     const seeing *how, float *dst)
{
    const twi_tune_loop *l = work->l;
    twi_recipe_scratch *scratch = &l->slots[i].scratch;
    if (work->epoch == 0)
        return twi_recipe_apply(ctx, how->recipe, encoded->bytes, encoded->name,
                                encoded->max_pixels, scratch, dst);
    const twi_draw draw = {&how->augment, l->opts->seed, work->photo[i], work->epoch};
    return twi_recipe_vary(ctx, how->recipe, encoded, twi_draw_variation, &draw, scratch, dst);
}

static tw_status load_one(tw_ctx *ctx, void *user, size_t i)
{
    const loading *work = user;
    const twi_tune_loop *l = work->l;
    const twi_tune_photos *p = l->photos;
    twi_tune_slot *slot = &l->slots[i];
    const size_t photo = work->photo[i];
    size_t size;
    twi_encoded_photo encoded = {.name = p->path(p->user, photo), .max_pixels = p->max_pixels};
    tw_status st =
        twi_file_read(ctx, encoded.name, MOST_BYTES, &slot->file, &slot->capacity, &size);
    if (st != TW_OK) return st;
    encoded.bytes = (tw_bytes){slot->file, size};
    const seeing own = {p->recipe, l->opts->augment};
    st = see(ctx, work, i, &encoded, &own, work->to + i * l->each);
    if (st != TW_OK || !l->opts->teacher) return st;
    seeing teacher = {twi_teacher_recipe(l->opts->teacher), l->opts->augment};
    teacher.augment.width = teacher.recipe->width; /* holes are drawn in pixels of the input */
    teacher.augment.height = teacher.recipe->height;
    return see(ctx, work, i, &encoded, &teacher, l->shown + i * l->shown_each);
}

static void *run_ahead(void *user)
{
    twi_tune_ahead *a = user;
    a->status = twi_parallel(a->ctx, a->threads, a->work.n, load_one, &a->work);
    return NULL;
}

/* Waits for it; l->ahead is NULL then. */
static tw_status finish(twi_tune_loop *l)
{
    twi_tune_ahead *a = l->ahead;
    if (!a) return TW_OK;
    pthread_join(a->thread, NULL);
    const tw_status st = a->status;
    if (st != TW_OK) twi_ctx_adopt(l->ctx, a->ctx, st);
    tw_ctx_free(a->ctx);
    twi_free(a);
    l->ahead = NULL;
    return st;
}

tw_status twi_tune_load(twi_tune_loop *l, const size_t *photo, size_t n, size_t epoch)
{
    loading work = {l, photo, n, epoch, l->pictures};
    const bool coming = l->ahead && l->ahead->work.photo == photo && l->ahead->work.n == n &&
                        l->ahead->work.epoch == epoch;
    const tw_status st = finish(l);
    if (!coming) return twi_parallel(l->ctx, 0, n, load_one, &work);
    if (st != TW_OK) return st;
    float *const kept = l->pictures;
    l->pictures = l->next;
    l->next = kept;
    return TW_OK;
}

void twi_tune_load_ahead(twi_tune_loop *l, const size_t *photo, size_t n, size_t epoch)
{
    const size_t threads = twi_threads(l->ctx);
    twi_tune_ahead *a;
    if (threads < 2 || l->ahead || !l->next || l->opts->teacher) return;
    if (twi_zalloc(NULL, 1, &a) != TW_OK) return;
    a->work = (loading){l, photo, n, epoch, l->next};
    a->threads = (threads + 1) / 2;
    if (twi_ctx_child(l->ctx, &a->ctx) == TW_OK) {
        if (pthread_create(&a->thread, NULL, run_ahead, a) == 0) {
            l->ahead = a;
            return;
        }
        tw_ctx_free(a->ctx);
    }
    twi_free(a);
}

void twi_tune_load_none(twi_tune_loop *l)
{
    (void)finish(l);
}
