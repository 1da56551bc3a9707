/* checkpoint.c - a run of the loop in a file, between two steps, and back.
 *
 * The file is of this run: a header of fixed size, little-endian, then the parameters, the best
 * ones, and the optimiser's state, as float32; at the end the SHA-256 of all before. Replaced
 * atomically. Nothing that is drawn at random is in it: what epoch and step draw follows from the
 * seed and their numbers (see twi_draw_rng()). */
#include "tune/checkpoint.h"

#include "base/cursor.h"
#include "base/file.h"
#include "tune/private.h"

#include <math.h>
#include <string.h>

static const char magic[8] = {'t', 'w', '-', 't', 'u', 'n', 'e', '2'};

enum {
    EPOCH_BYTES = 9 * 8,
    HEADER_BYTES = sizeof magic + TWI_DIGEST_BYTES + 7 * 8 + 2 * EPOCH_BYTES
};

static void identify(const twi_tune_loop *l, unsigned char out[TWI_DIGEST_BYTES])
{
    const twi_tune_opts *o = l->opts;
    const twi_tune_photos *p = l->photos;
    const double numbers[] = {o->find_rate ? -1.0 : o->rate,
                              o->warmup,
                              o->smoothing,
                              o->mixup,
                              (double)o->balanced,
                              o->augment.least_area,
                              o->augment.stretch,
                              (double)o->augment.mirror,
                              o->augment.jitter,
                              o->augment.erase,
                              o->augment.rotate,
                              (double)o->augment.randaugment,
                              (double)o->seed,
                              (double)o->epochs,
                              (double)o->batch};
    twi_digest digest;
    twi_digest_start(&digest);
    twi_digest_add(&digest, numbers, sizeof numbers);
    if (o->train_from) twi_digest_add(&digest, o->train_from, o->epochs * sizeof *o->train_from);
    if (o->identity) twi_digest_add(&digest, o->identity, strlen(o->identity) + 1);
    twi_digest_add(&digest, p->train, p->n_train * sizeof *p->train);
    twi_digest_add(&digest, p->val, p->n_val * sizeof *p->val);
    for (size_t i = 0; i < p->n_train; i++) {
        const char *path = p->path(p->user, p->train[i]);
        twi_digest_add(&digest, path, strlen(path) + 1);
        if (p->labels) twi_digest_add(&digest, &p->labels[p->train[i]], sizeof *p->labels);
    }
    twi_digest_bytes(&digest, out);
}

/* ---- writing ------------------------------------------------------------------------------- */

static unsigned char *put_u64(unsigned char *to, uint64_t value)
{
    for (int i = 0; i < 8; i++) *to++ = (unsigned char)(value >> 8 * i);
    return to;
}

static unsigned char *put_double(unsigned char *to, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_u64(to, bits);
}

static unsigned char *put_epoch(unsigned char *to, const twi_tune_epoch *e)
{
    to = put_u64(to, e->epoch);
    to = put_u64(to, e->epochs);
    const double numbers[] = {e->loss, e->val_loss,          e->val_accuracy,
                              e->rate, e->photos_per_second, e->seconds};
    for (size_t i = 0; i < TWI_LEN(numbers); i++) to = put_double(to, numbers[i]);
    return put_u64(to, e->best);
}

static void put_header(const twi_tune_loop *l, size_t n_state, unsigned char out[HEADER_BYTES])
{
    unsigned char *to = out;
    memcpy(to, magic, sizeof magic), to += sizeof magic;
    identify(l, to), to += TWI_DIGEST_BYTES;
    to = put_u64(to, l->n_values);
    to = put_u64(to, n_state);
    to = put_u64(to, l->epoch);
    to = put_u64(to, l->step);
    to = put_u64(to, twi_optimiser_steps(l->optimiser));
    to = put_double(to, l->loss);
    to = put_double(to, l->rate);
    to = put_epoch(to, &l->result.first);
    put_epoch(to, &l->result.best);
}

static tw_status put(tw_ctx *ctx, twi_outfile *file, twi_digest *digest, const void *data,
                     size_t size)
{
    twi_digest_add(digest, data, size);
    return twi_outfile_write(ctx, file, data, size);
}

tw_status twi_tune_save(twi_tune_loop *l)
{
    unsigned char header[HEADER_BYTES], sum[TWI_DIGEST_BYTES];
    size_t n_state;
    const float *state = twi_optimiser_state(l->optimiser, &n_state);
    twi_outfile *file = NULL;
    twi_digest digest;
    put_header(l, n_state, header);
    twi_tune_gather(l, l->values);
    twi_digest_start(&digest);
    tw_status st = twi_outfile_open(l->ctx, l->opts->checkpoint, &file);
    if (st == TW_OK) st = put(l->ctx, file, &digest, header, sizeof header);
    if (st == TW_OK) st = put(l->ctx, file, &digest, l->values, l->n_values * sizeof *l->values);
    if (st == TW_OK) st = put(l->ctx, file, &digest, l->best, l->n_values * sizeof *l->best);
    if (st == TW_OK) st = put(l->ctx, file, &digest, state, n_state * sizeof *state);
    if (st == TW_OK) {
        twi_digest_bytes(&digest, sum);
        st = twi_outfile_write(l->ctx, file, sum, sizeof sum);
    }
    if (st == TW_OK) st = twi_outfile_commit(l->ctx, file);
    twi_outfile_free(file);
    l->saved = twi_seconds();
    return st;
}

/* ---- reading ------------------------------------------------------------------------------- */

static double take_double(twi_cursor *in)
{
    const uint64_t bits = twi_take_u64le(in);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void take_epoch(twi_cursor *in, twi_tune_epoch *e)
{
    e->epoch = twi_take_u64le(in);
    e->epochs = twi_take_u64le(in);
    double *const numbers[] = {&e->loss, &e->val_loss,          &e->val_accuracy,
                               &e->rate, &e->photos_per_second, &e->seconds};
    for (size_t i = 0; i < TWI_LEN(numbers); i++) *numbers[i] = take_double(in);
    e->best = twi_take_u64le(in) != 0;
}

/* The floats behind the header; false: their number is not what the file's size says. */
static bool take_floats(twi_cursor *in, twi_checkpoint *c)
{
    const uint64_t all = in->left / sizeof(float);
    if (in->left < TWI_DIGEST_BYTES || c->n_values > all || c->n_state > all ||
        (2 * c->n_values + c->n_state) * sizeof(float) != in->left - TWI_DIGEST_BYTES)
        return false;
    c->values = twi_take_bytes(in, c->n_values * sizeof(float));
    c->best_values = twi_take_bytes(in, c->n_values * sizeof(float));
    c->state = twi_take_bytes(in, c->n_state * sizeof(float));
    return !in->failed;
}

tw_status twi_checkpoint_parse(tw_ctx *ctx, const char *name, const void *bytes, size_t size,
                               twi_checkpoint *out)
{
    twi_cursor in = twi_cursor_over(bytes, size);
    unsigned char sum[TWI_DIGEST_BYTES];
    twi_checkpoint c = {0};
    twi_digest digest;
    const uint8_t *head = twi_take_bytes(&in, sizeof magic);
    if (!head || memcmp(head, magic, sizeof magic) != 0)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: not a checkpoint of this version", name);
    c.identity = twi_take_bytes(&in, TWI_DIGEST_BYTES);
    c.n_values = twi_take_u64le(&in);
    c.n_state = twi_take_u64le(&in);
    c.epoch = twi_take_u64le(&in);
    c.step = twi_take_u64le(&in);
    c.steps = twi_take_u64le(&in);
    c.loss = take_double(&in);
    c.rate = take_double(&in);
    take_epoch(&in, &c.first);
    take_epoch(&in, &c.best);
    if (in.failed || !take_floats(&in, &c))
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "%s: %zu bytes do not hold the checkpoint its header tells of", name, size);
    twi_digest_start(&digest);
    twi_digest_add(&digest, bytes, size - sizeof sum);
    twi_digest_bytes(&digest, sum);
    if (memcmp(sum, twi_take_bytes(&in, sizeof sum), sizeof sum) != 0)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: damaged: its digest differs", name);
    *out = c;
    return TW_OK;
}

/* Whether c is one of this run. */
static tw_status fits(const twi_tune_loop *l, const twi_checkpoint *c, size_t n_state)
{
    const char *path = l->opts->checkpoint;
    unsigned char identity[TWI_DIGEST_BYTES];
    identify(l, identity);
    if (memcmp(c->identity, identity, sizeof identity) != 0)
        return twi_fail(l->ctx, TW_ERR_FORMAT,
                        "%s: the checkpoint of a run with other photos or options", path);
    if (c->n_values != l->n_values || c->n_state != n_state)
        return twi_fail(l->ctx, TW_ERR_FORMAT,
                        "%s: a checkpoint of %llu parameters and %llu numbers of state; need %zu "
                        "and %zu",
                        path, (unsigned long long)c->n_values, (unsigned long long)c->n_state,
                        l->n_values, n_state);
    if (c->epoch > l->opts->epochs || c->step > twi_tune_steps(l) || c->best.epoch > c->epoch ||
        (c->epoch == l->opts->epochs && c->step > 0) || !isfinite(c->loss) || !(c->rate > 0.0))
        return twi_fail(l->ctx, TW_ERR_FORMAT, "%s: a checkpoint of epoch %llu, step %llu: no such",
                        path, (unsigned long long)c->epoch, (unsigned long long)c->step);
    return TW_OK;
}

/* When each parameter's first step was follows from the epochs. */
static void replay(twi_tune_loop *l, size_t epochs)
{
    for (size_t e = 1; e <= epochs; e++) {
        twi_optimiser_resume(l->optimiser, (e - 1) * twi_tune_steps(l));
        twi_tune_thaw(l, e);
    }
    twi_optimiser_resume(l->optimiser, epochs * twi_tune_steps(l));
    if (epochs < l->opts->epochs) twi_tune_thaw(l, epochs + 1);
}

tw_status twi_tune_restore(twi_tune_loop *l)
{
    twi_checkpoint c;
    size_t n_state;
    float *state = twi_optimiser_state(l->optimiser, &n_state);
    twi_map map = {0};
    if (!l->opts->checkpoint)
        return twi_fail(l->ctx, TW_ERR_ARG, "resuming needs the path of a checkpoint");
    tw_status st = twi_map_open(l->ctx, l->opts->checkpoint, &map);
    if (st == TW_OK) st = twi_checkpoint_parse(l->ctx, l->opts->checkpoint, map.data, map.size, &c);
    if (st == TW_OK) st = fits(l, &c, n_state);
    if (st == TW_OK) {
        memcpy(l->values, c.values, l->n_values * sizeof *l->values);
        memcpy(l->best, c.best_values, l->n_values * sizeof *l->best);
        memcpy(state, c.state, n_state * sizeof *state);
        twi_tune_scatter(l, l->values);
        replay(l, (size_t)c.epoch);
        twi_optimiser_resume(l->optimiser, c.steps);
        l->epoch = (size_t)c.epoch, l->step = (size_t)c.step;
        l->loss = c.loss, l->rate = c.rate;
        l->result.first = c.first, l->result.best = c.best;
    }
    twi_map_close(&map);
    return st;
}
