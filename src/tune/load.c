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
    float *dst = l->pictures + i * l->each;
    if (work->epoch == 0)
        return twi_recipe_apply(ctx, p->recipe, encoded.bytes, encoded.name, p->max_pixels,
                                &slot->scratch, dst);
    const twi_draw draw = {&l->opts->augment, l->opts->seed, photo, work->epoch};
    return twi_recipe_vary(ctx, p->recipe, &encoded, twi_draw_variation, &draw, &slot->scratch,
                           dst);
}

tw_status twi_tune_load(twi_tune_loop *l, const size_t *photo, size_t n, size_t epoch)
{
    loading work = {l, photo, epoch};
    return twi_parallel(l->ctx, 0, n, load_one, &work);
}
