/* plain_norm.c - batch norm while training, in plain C: by the statistics of its own batch, or by
 * stored ones.
 *
 * y = (x - mean) / sqrt(variance + epsilon) scale + shift; with the batch's own mean and variance
 * (divided by n), d loss / d x is Ioffe & Szegedy (2015), section 3, the chain rule behind
 * algorithm 1. */
#include "engine/training/tape.h"

#include <math.h>

typedef struct norm_state {
    size_t batch, channels, inner; /* values of a channel lie inner by inner */
    double epsilon, momentum;
    bool own;
} norm_state;

bool twi_tape_own_statistics(const twi_tape *t)
{
    return t->trainer->opts.batch_statistics && t->trained[t->node];
}

static tw_status state_of(twi_tape *t, norm_state **out)
{
    const twi_shape *shape = &t->shapes[t->node];
    tw_status st = twi_arena_take(t->ctx, &t->trainer->memory, 1, out);
    if (st != TW_OK) return st;
    **out = (norm_state){.batch = t->trainer->opts.batch * (shape->rank == 2 ? shape->dims[0] : 1),
                         .channels = shape->dims[twi_channel_axis(shape->rank)],
                         .inner = shape->rank == 3 ? shape->dims[1] * shape->dims[2] : 1,
                         .epsilon = twi_tape_node(t)->epsilon,
                         .momentum = t->trainer->opts.momentum,
                         .own = twi_tape_own_statistics(t)};
    if (!(*out)->own || (*out)->batch * (*out)->inner > 1) return TW_OK;
    return twi_fail(t->ctx, TW_ERR_ARG,
                    "layer %s: one value a channel has no variance; batch statistics need a "
                    "larger batch",
                    twi_tape_node(t)->name);
}

static void moments_of(const norm_state *s, const float *x, size_t c, double *mean,
                       double *variance)
{
    const double n = (double)(s->batch * s->inner);
    double sum = 0.0, squares = 0.0;
    for (size_t b = 0; b < s->batch; b++)
        for (size_t i = 0; i < s->inner; i++)
            sum += (double)x[(b * s->channels + c) * s->inner + i];
    *mean = sum / n;
    for (size_t b = 0; b < s->batch; b++)
        for (size_t i = 0; i < s->inner; i++) {
            const double d = (double)x[(b * s->channels + c) * s->inner + i] - *mean;
            squares += d * d;
        }
    *variance = squares / n;
}

/* The values of a step, forward: x, scale, shift, mean, variance, y. */
static tw_status run_forward(tw_ctx *ctx, const twi_tape_step *step, twi_trainer *p)
{
    (void)ctx;
    const norm_state *s = step->state;
    const float *x = p->at[step->values[0]];
    const float *scale = step->values[1] == TWI_NO_VALUE ? NULL : p->at[step->values[1]];
    const float *shift = step->values[2] == TWI_NO_VALUE ? NULL : p->at[step->values[2]];
    float *mean = p->at[step->values[3]], *variance = p->at[step->values[4]];
    float *y = p->at[step->values[5]];
    for (size_t c = 0; c < s->channels; c++) {
        double m = (double)mean[c], v = (double)variance[c];
        if (s->own) {
            moments_of(s, x, c, &m, &v);
            mean[c] = (float)m, variance[c] = (float)v;
        }
        const double a = (scale ? (double)scale[c] : 1.0) / sqrt(v + s->epsilon);
        const double b = shift ? (double)shift[c] : 0.0;
        for (size_t n = 0; n < s->batch; n++)
            for (size_t i = 0; i < s->inner; i++) {
                const size_t k = (n * s->channels + c) * s->inner + i;
                y[k] = (float)(((double)x[k] - m) * a + b);
            }
    }
    return TW_OK;
}

/* running, batch mean; running, batch variance. The variance that is kept is divided by n - 1, as
 * PyTorch 1.13's BatchNorm keeps it. */
static tw_status run_keep(tw_ctx *ctx, const twi_tape_step *step, twi_trainer *p)
{
    (void)ctx;
    const norm_state *s = step->state;
    float *mean = p->at[step->values[0]], *variance = p->at[step->values[2]];
    const float *new_mean = p->at[step->values[1]], *new_variance = p->at[step->values[3]];
    const double n = (double)(s->batch * s->inner), unbiased = n / (n - 1.0);
    for (size_t c = 0; c < s->channels; c++) {
        mean[c] =
            (float)((1.0 - s->momentum) * (double)mean[c] + s->momentum * (double)new_mean[c]);
        variance[c] = (float)((1.0 - s->momentum) * (double)variance[c] +
                              s->momentum * unbiased * (double)new_variance[c]);
    }
    return TW_OK;
}

tw_status twi_tape_keep_statistics(twi_tape *t, uint32_t mean, uint32_t variance)
{
    const uint32_t *params = t->params[t->node];
    norm_state *s;
    if (t->again) return TW_OK; /* they have moved */
    tw_status st = state_of(t, &s);
    const twi_tape_step step = {
        .run = run_keep,
        .n = 4,
        .values = (uint32_t[4]){params[TWI_PARAM_MEAN], mean, params[TWI_PARAM_VARIANCE], variance},
        .state = s};
    return st == TW_OK ? twi_tape_append(t, &step) : st;
}

tw_status twi_plain_norm_forward(twi_tape *t)
{
    const uint32_t from = twi_tape_node(t)->inputs[0], *params = t->params[t->node];
    twi_tape_record *r = twi_tape_record_of(t);
    norm_state *s;
    uint32_t x = TWI_NO_VALUE, y = TWI_NO_VALUE;
    tw_status st = state_of(t, &s);
    r->mean = params[TWI_PARAM_MEAN], r->variance = params[TWI_PARAM_VARIANCE];
    if (st == TW_OK) st = twi_tape_floats(t, t->value_of[from], from, &x);
    if (st == TW_OK && s->own) st = twi_tape_value(t, NULL, s->channels * sizeof(float), &r->mean);
    if (st == TW_OK && s->own)
        st = twi_tape_value(t, NULL, s->channels * sizeof(float), &r->variance);
    if (st == TW_OK) st = twi_tape_new_floats(t, t->node, &y);
    const twi_tape_step step = {.run = run_forward,
                                .n = 6,
                                .values =
                                    (uint32_t[6]){x, params[TWI_PARAM_SCALE],
                                                  params[TWI_PARAM_SHIFT], r->mean, r->variance, y},
                                .state = s};
    if (st == TW_OK) st = twi_tape_append(t, &step);
    if (st == TW_OK && s->own) st = twi_tape_keep_statistics(t, r->mean, r->variance);
    if (st != TW_OK) return st;
    r->in = x;
    twi_tape_done(t, y);
    return TW_OK;
}

typedef struct sums { /* over a channel: of gradients, and of them times the standardised x */
    double gradient, product;
} sums;

static sums sums_of(const norm_state *s, const float *x, const float *g, size_t c, double m,
                    double deviation)
{
    sums r = {0};
    for (size_t n = 0; n < s->batch; n++)
        for (size_t i = 0; i < s->inner; i++) {
            const size_t k = (n * s->channels + c) * s->inner + i;
            r.gradient += (double)g[k];
            r.product += (double)g[k] * ((double)x[k] - m) / deviation;
        }
    return r;
}

/* x, scale, mean, variance, gradient of y; gradients of x, scale, shift. */
static tw_status run_backward(tw_ctx *ctx, const twi_tape_step *step, twi_trainer *p)
{
    (void)ctx;
    const norm_state *s = step->state;
    float *at[8];
    for (size_t i = 0; i < 8; i++)
        at[i] = step->values[i] == TWI_NO_VALUE ? NULL : p->at[step->values[i]];
    const double n = (double)(s->batch * s->inner);
    for (size_t c = 0; c < s->channels; c++) {
        const double m = (double)at[2][c], deviation = sqrt((double)at[3][c] + s->epsilon);
        const sums r = sums_of(s, at[0], at[4], c, m, deviation);
        const double a = (at[1] ? (double)at[1][c] : 1.0) / deviation;
        if (at[6]) at[6][c] = (float)r.product;
        if (at[7]) at[7][c] = (float)r.gradient;
        for (size_t b = 0; at[5] && b < s->batch; b++)
            for (size_t i = 0; i < s->inner; i++) {
                const size_t k = (b * s->channels + c) * s->inner + i;
                const double unit = ((double)at[0][k] - m) / deviation;
                const double own = s->own ? (r.gradient + unit * r.product) / n : 0.0;
                at[5][k] = (float)(((double)at[4][k] - own) * a);
            }
    }
    return TW_OK;
}

tw_status twi_plain_norm_backward(twi_tape *t)
{
    const twi_tape_record *r = twi_tape_record_of(t);
    const uint32_t *gradients = t->gradients[t->node], from = twi_tape_node(t)->inputs[0];
    norm_state *s;
    uint32_t g = TWI_NO_VALUE, back = TWI_NO_VALUE;
    tw_status st = state_of(t, &s);
    if (st == TW_OK) st = twi_tape_floats(t, twi_tape_gradient(t), t->node, &g);
    if (st == TW_OK && twi_tape_wanted(t, 0)) st = twi_tape_new_floats(t, from, &back);
    const twi_tape_step step = {
        .run = run_backward,
        .n = 8,
        .values = (uint32_t[8]){r->in, t->params[t->node][TWI_PARAM_SCALE], r->mean, r->variance, g,
                                back, gradients[TWI_PARAM_SCALE], gradients[TWI_PARAM_SHIFT]},
        .state = s};
    if (st == TW_OK) st = twi_tape_append(t, &step);
    return st == TW_OK && back != TWI_NO_VALUE ? twi_tape_give(t, 0, back) : st;
}
