/* load.c - a batch of photos, decoded and varied in parallel. */
#include "tune/private.h"

#include "base/file.h"
#include "base/threads.h"

#include <string.h>

#define MOST_BYTES ((size_t)1 << 30) /* of one encoded photo */

typedef struct loading {
    twi_tune_loop *l;
    const size_t *photo;
    size_t epoch;
} loading;

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
    st = see(ctx, work, i, &encoded, &own, l->pictures + i * l->each);
    if (st != TW_OK || !l->opts->teacher) return st;
    seeing teacher = {twi_teacher_recipe(l->opts->teacher), l->opts->augment};
    teacher.augment.width = teacher.recipe->width; /* holes are drawn in pixels of the input */
    teacher.augment.height = teacher.recipe->height;
    return see(ctx, work, i, &encoded, &teacher, l->shown + i * l->shown_each);
}

tw_status twi_tune_load(twi_tune_loop *l, const size_t *photo, size_t n, size_t epoch)
{
    loading work = {l, photo, epoch};
    return twi_parallel(l->ctx, 0, n, load_one, &work);
}
