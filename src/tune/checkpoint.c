/* checkpoint.c - a run of the loop in a file, between two epochs, and back.
 *
 * The file is of this machine and this run: a header of fixed size, then the parameters, the best
 * ones, and the optimiser's state, as float32; at the end the SHA-256 of all before. Replaced
 * atomically. */
#include "tune/private.h"

#include "base/digest.h"
#include "base/file.h"

#include <math.h>
#include <string.h>

static const char magic[8] = {'t', 'w', '-', 't', 'u', 'n', 'e', '1'};

typedef struct header {
    char magic[8];
    unsigned char identity[TWI_DIGEST_BYTES];
    uint64_t n_values, n_state, epoch, steps;
    twi_tune_epoch first, best;
} header;

static void identify(const twi_tune_loop *l, unsigned char out[TWI_DIGEST_BYTES])
{
    const twi_tune_opts *o = l->opts;
    const twi_tune_photos *p = l->photos;
    const double numbers[] = {o->rate,
                              o->warmup,
                              o->smoothing,
                              o->mixup,
                              (double)o->balanced,
                              o->augment.least_area,
                              o->augment.stretch,
                              (double)o->augment.mirror,
                              o->augment.jitter,
                              o->augment.erase,
                              (double)o->seed,
                              (double)o->epochs,
                              (double)o->batch};
    twi_digest digest;
    twi_digest_start(&digest);
    twi_digest_add(&digest, numbers, sizeof numbers);
    if (o->identity) twi_digest_add(&digest, o->identity, strlen(o->identity) + 1);
    twi_digest_add(&digest, p->train, p->n_train * sizeof *p->train);
    twi_digest_add(&digest, p->val, p->n_val * sizeof *p->val);
    for (size_t i = 0; i < p->n_train; i++) {
        const char *path = p->path(p->user, p->train[i]);
        twi_digest_add(&digest, path, strlen(path) + 1);
        twi_digest_add(&digest, &p->labels[p->train[i]], sizeof *p->labels);
    }
    twi_digest_bytes(&digest, out);
}

static tw_status put(tw_ctx *ctx, twi_outfile *file, twi_digest *digest, const void *data,
                     size_t size)
{
    twi_digest_add(digest, data, size);
    return twi_outfile_write(ctx, file, data, size);
}

tw_status twi_tune_save(twi_tune_loop *l)
{
    header h;
    size_t n_state;
    const float *state = twi_optimiser_state(l->optimiser, &n_state);
    unsigned char sum[TWI_DIGEST_BYTES];
    twi_outfile *file = NULL;
    twi_digest digest;
    memset(&h, 0, sizeof h); /* its padding goes to the file as well */
    memcpy(h.magic, magic, sizeof magic);
    identify(l, h.identity);
    h.n_values = l->n_values, h.n_state = n_state, h.epoch = l->epoch;
    h.steps = twi_optimiser_steps(l->optimiser);
    h.first = l->result.first, h.best = l->result.best;
    twi_tune_gather(l, l->values);
    twi_digest_start(&digest);
    tw_status st = twi_outfile_open(l->ctx, l->opts->checkpoint, &file);
    if (st == TW_OK) st = put(l->ctx, file, &digest, &h, sizeof h);
    if (st == TW_OK) st = put(l->ctx, file, &digest, l->values, l->n_values * sizeof *l->values);
    if (st == TW_OK) st = put(l->ctx, file, &digest, l->best, l->n_values * sizeof *l->best);
    if (st == TW_OK) st = put(l->ctx, file, &digest, state, n_state * sizeof *state);
    if (st == TW_OK) {
        twi_digest_bytes(&digest, sum);
        st = twi_outfile_write(l->ctx, file, sum, sizeof sum);
    }
    if (st == TW_OK) st = twi_outfile_commit(l->ctx, file);
    twi_outfile_free(file);
    return st;
}

/* Nothing is believed before size, digest and identity agree. */
static tw_status verify(twi_tune_loop *l, const twi_map *map, header *h, size_t n_state)
{
    const char *path = l->opts->checkpoint;
    const size_t body = sizeof *h + (2 * l->n_values + n_state) * sizeof(float);
    unsigned char sum[TWI_DIGEST_BYTES], identity[TWI_DIGEST_BYTES];
    twi_digest digest;
    if (map->size < sizeof *h || memcmp(map->data, magic, sizeof magic) != 0)
        return twi_fail(l->ctx, TW_ERR_FORMAT, "%s: not a checkpoint", path);
    memcpy(h, map->data, sizeof *h);
    identify(l, identity);
    if (memcmp(h->identity, identity, sizeof identity) != 0)
        return twi_fail(l->ctx, TW_ERR_FORMAT,
                        "%s: the checkpoint of a run with other photos or options", path);
    if (h->n_values != l->n_values || h->n_state != n_state || h->epoch > l->opts->epochs ||
        h->best.epoch > h->epoch || map->size != body + sizeof sum)
        return twi_fail(l->ctx, TW_ERR_FORMAT, "%s: %zu bytes; need %zu", path, map->size,
                        body + sizeof sum);
    twi_digest_start(&digest);
    twi_digest_add(&digest, map->data, body);
    twi_digest_bytes(&digest, sum);
    if (memcmp(sum, map->data + body, sizeof sum) != 0)
        return twi_fail(l->ctx, TW_ERR_FORMAT, "%s: damaged: its digest differs", path);
    return TW_OK;
}

tw_status twi_tune_restore(twi_tune_loop *l)
{
    header h;
    size_t n_state;
    float *state = twi_optimiser_state(l->optimiser, &n_state);
    twi_map map = {0};
    if (!l->opts->checkpoint)
        return twi_fail(l->ctx, TW_ERR_ARG, "resuming needs the path of a checkpoint");
    tw_status st = twi_map_open(l->ctx, l->opts->checkpoint, &map);
    if (st == TW_OK) st = verify(l, &map, &h, n_state);
    if (st == TW_OK) {
        const unsigned char *at = map.data + sizeof h;
        memcpy(l->values, at, l->n_values * sizeof *l->values);
        memcpy(l->best, at + l->n_values * sizeof *l->values, l->n_values * sizeof *l->best);
        memcpy(state, at + 2 * l->n_values * sizeof *l->values, n_state * sizeof *state);
        twi_tune_scatter(l, l->values);
        twi_optimiser_resume(l->optimiser, h.steps);
        l->epoch = (size_t)h.epoch;
        l->result.first = h.first, l->result.best = h.best;
    }
    twi_map_close(&map);
    return st;
}
