/* pretrain_photos.c - the photos that can be read, and their parts. */
#include "api/pretrain.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/threads.h"

#include <string.h>

#define VAL_FOLDS  10 /* one of them validates */
#define MOST_BYTES ((size_t)1 << 30)
#define CHUNK      256 /* photos between two reports of progress */

typedef struct scanning {
    twi_pretraining *p;
    size_t first;
    char (*why)[256]; /* [CHUNK] */
} scanning;

/* Every photo is decoded once before the first epoch: one that cannot be read would end it. */
static tw_status scan_one(tw_ctx *ctx, void *user, size_t i)
{
    const scanning *s = user;
    twi_pretraining *p = s->p;
    const size_t photo = s->first + i;
    unsigned char *file = NULL;
    size_t capacity = 0, size = 0;
    twi_recipe_scratch scratch = {0};
    twi_digest digest;
    float *pixels = NULL;
    tw_status st = twi_file_read(ctx, p->paths[photo], MOST_BYTES, &file, &capacity, &size);
    if (st == TW_OK) st = twi_alloc(ctx, p->recipe.height * p->recipe.width * 3, &pixels);
    if (st == TW_OK)
        st = twi_recipe_apply(ctx, &p->recipe, (tw_bytes){file, size}, p->paths[photo],
                              p->max_pixels, &scratch, pixels);
    if (st == TW_OK) {
        twi_digest_start(&digest);
        twi_digest_add(&digest, file, size);
        twi_digest_bytes(&digest, p->digests[photo]);
        p->readable[photo] = true;
    } else if (st != TW_ERR_NOMEM && st != TW_ERR_CANCELLED) {
        const char *why = tw_last_error(ctx);
        const size_t length =
            strlen(why) < sizeof s->why[i] - 1 ? strlen(why) : sizeof s->why[i] - 1;
        memcpy(s->why[i], why, length);
        s->why[i][length] = '\0';
        st = TW_OK;
    }
    twi_recipe_scratch_free(&scratch);
    twi_free(pixels);
    twi_free(file);
    return st;
}

static tw_status scan(twi_pretraining *p)
{
    scanning s = {.p = p};
    tw_status st = twi_zalloc(p->ctx, p->n, &p->readable);
    if (st == TW_OK) st = twi_zalloc(p->ctx, p->n, &p->digests);
    if (st == TW_OK) st = twi_alloc(p->ctx, CHUNK, &s.why);
    for (; st == TW_OK && s.first < p->n; s.first += CHUNK) {
        const size_t n = p->n - s.first < CHUNK ? p->n - s.first : CHUNK;
        if ((st = twi_parallel(p->ctx, 0, n, scan_one, &s)) != TW_OK) break;
        for (size_t i = 0; i < n; i++)
            if (!p->readable[s.first + i]) {
                twi_log(p->ctx, TW_LOG_WARNING, "skipped: %s", s.why[i]);
                p->n_skipped++;
            }
        st = twi_progress(p->ctx, "scan", s.first + n, p->n, p->n_skipped);
    }
    twi_free(s.why);
    return st;
}

/* Rows of the training part that can be read -> train and val. */
static tw_status hold_back(twi_pretraining *p, const twi_parts_opts *opts, const size_t *order,
                           size_t n_order)
{
    size_t *sample = NULL, n = 0, folds = VAL_FOLDS;
    uint32_t *y = NULL, *fold_of = NULL;
    tw_status st = twi_alloc(p->ctx, n_order, &sample);
    if (st == TW_OK) st = twi_alloc(p->ctx, n_order, &y);
    for (size_t i = 0; st == TW_OK && i < n_order; i++)
        if (p->readable[order[i]]) y[n] = p->labels[order[i]], sample[n++] = order[i];
    if (st == TW_OK)
        st = twi_parts_folds(p->ctx, p->dataset, opts, sample, n, y, p->k, &folds, 1, &fold_of);
    if (st == TW_OK && folds == 0)
        st = twi_fail(p->ctx, TW_ERR_DATA,
                      "a class (or all, by groups) has too few training pictures to hold some "
                      "back to validate on; each needs 2 at least");
    for (size_t i = 0; st == TW_OK && i < n; i++)
        *(fold_of[i] == 0 ? &p->val[p->n_val++] : &p->train[p->n_train++]) = sample[i];
    twi_free(fold_of);
    twi_free(sample);
    twi_free(y);
    return st;
}

/* The parts of train's split: what is tested here is what a head would be tested on. */
static tw_status labelled_parts(twi_pretraining *p)
{
    const twi_parts_opts opts = {.test_size = p->opts.test_size,
                                 .seed = p->opts.seed,
                                 .stratify = p->opts.stratify != TW_NO,
                                 .groups = p->opts.groups != 0};
    twi_parts parts = {0};
    tw_status st = twi_parts_make(p->ctx, p->dataset, &opts, &parts);
    if (st == TW_OK) st = hold_back(p, &opts, parts.order, parts.n_train);
    for (size_t i = 0; st == TW_OK && i < parts.n_test; i++) {
        const size_t photo = parts.order[parts.n_train + i];
        if (p->readable[photo]) p->test[p->n_test++] = photo;
    }
    twi_parts_free(&parts);
    return st;
}

/* One photo in VAL_FOLDS validates; there is no test part without labels. */
static tw_status unlabelled_parts(twi_pretraining *p)
{
    size_t *order, n = 0;
    twi_rng rng;
    tw_status st = twi_alloc(p->ctx, p->n, &order);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < p->n; i++)
        if (p->readable[i]) order[n++] = i;
    if (n < 2) {
        st = twi_fail(p->ctx, TW_ERR_DATA, "%zu photos that can be read; need at least 2", n);
    } else {
        twi_rng_seed(&rng, p->opts.seed);
        twi_rng_shuffle(&rng, order, n);
        const size_t held = n / VAL_FOLDS > 0 ? n / VAL_FOLDS : 1;
        for (size_t i = 0; i < n; i++)
            *(i < held ? &p->val[p->n_val++] : &p->train[p->n_train++]) = order[i];
    }
    twi_free(order);
    return st;
}

static tw_status list(twi_pretraining *p)
{
    p->n = p->dataset ? tw_dataset_count(p->dataset) : p->opts.n_photos;
    tw_status st = twi_alloc(p->ctx, p->n, &p->paths);
    if (st == TW_OK) st = twi_alloc(p->ctx, p->n, &p->train);
    if (st == TW_OK) st = twi_alloc(p->ctx, p->n, &p->val);
    if (st == TW_OK) st = twi_alloc(p->ctx, p->n, &p->test);
    if (st == TW_OK && p->dataset) st = twi_alloc(p->ctx, p->n, &p->labels);
    for (size_t i = 0; st == TW_OK && i < p->n; i++) {
        p->paths[i] = p->dataset ? tw_dataset_path(p->dataset, i) : p->opts.photos[i];
        if (p->dataset) p->labels[i] = tw_dataset_label(p->dataset, i);
    }
    return st;
}

tw_status twi_pretrain_photos(twi_pretraining *p)
{
    tw_status st = list(p);
    if (st == TW_OK) st = scan(p);
    if (st == TW_OK) st = p->dataset ? labelled_parts(p) : unlabelled_parts(p);
    return st;
}
