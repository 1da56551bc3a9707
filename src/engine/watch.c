/* watch.c - what values occur in a network, and the ranges to quantise them with.
 *
 * A histogram a node whose bins are as wide as the values in them are large: the top bits of a
 * float32. Of the ranges that end at a bin, the one with the least expected squared error of 8-bit
 * steps: a value inside is off by up to half a step (step^2 / 12 on average), a value beyond the
 * end by its distance to it. Banner et al. (2019), Post training 4-bit quantization of
 * convolutional networks for rapid-deployment, section 2, minimise the same sum for a fitted
 * distribution. */
#include "engine/program.h"

#include <math.h>
#include <string.h>

#define KEPT_BITS 12 /* exponent and 4 bits of the fraction: bins 4 to 6 % wide */
#define BINS      ((size_t)1 << KEPT_BITS)
#define DROPPED   (31 - KEPT_BITS)
#define TRIED     80 /* bins down from the largest value: 5 octaves */

typedef struct watch_state {
    uint32_t node;
    size_t elements;
} watch_state;

typedef struct seen {
    uint64_t count[2][BINS]; /* of 0 and more; of less */
    float least, most;
} seen;

static tw_status watch_bind(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace,
                            void **bound)
{
    seen *s;
    (void)step, (void)workspace;
    const tw_status st = twi_zalloc(ctx, 1, &s);
    if (st == TW_OK) *bound = s;
    return st;
}

static tw_status watch_run(tw_ctx *ctx, const twi_step *step, twi_workspace *workspace, void *bound)
{
    (void)ctx;
    const watch_state *state = step->state;
    const float *values = workspace->at[step->in[0]];
    seen *s = bound;
    for (size_t i = 0; i < state->elements; i++) {
        const float value = values[i];
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        s->count[bits >> 31][(bits & INT32_MAX) >> DROPPED]++;
        if (value < s->least) s->least = value;
        if (value > s->most) s->most = value;
    }
    return TW_OK;
}

static const twi_step_kind watch_kind = {watch_bind, twi_free, watch_run};

tw_status twi_build_watch(twi_build *b)
{
    watch_state *state;
    const uint32_t value = b->value_of[b->node];
    const tw_status st = twi_arena_take(b->ctx, &b->program->memory, 1, &state);
    if (st != TW_OK) return st;
    /* Padding of a blocked layout is 0, which every range holds. */
    *state = (watch_state){b->node, b->program->values[value].bytes / sizeof(float)};
    const twi_step step = {.kind = &watch_kind,
                           .n_in = 1,
                           .in = &value,
                           .out = value,
                           .scratch = TWI_NO_VALUE,
                           .state = state};
    return twi_build_step(b, &step);
}

/* ---- the range ----------------------------------------------------------------------------- */

/* The middle of bin i. */
static double middle(size_t i)
{
    const uint32_t ends[2] = {(uint32_t)i << DROPPED, (uint32_t)(i + 1) << DROPPED};
    float low, high;
    memcpy(&low, &ends[0], sizeof low);
    memcpy(&high, &ends[1], sizeof high);
    return ((double)low + (double)high) / 2;
}

/* Expected squared error, summed, of steps levels from 0 to end (each way). */
static double error_of(const seen *s, size_t largest, double end, double levels)
{
    const double step = end / levels, inside = step * step / 12;
    double sum = 0;
    for (size_t i = 1; i <= largest; i++) { /* bin 0 is 0 itself, and what is next to it */
        const double n = (double)(s->count[0][i] + s->count[1][i]);
        if (n == 0) continue;
        const double x = middle(i);
        sum += n * (x > end ? (x - end) * (x - end) : x < step / 2 ? x * x : inside);
    }
    return sum;
}

static void choose_range(const seen *s, double out[2])
{
    size_t largest = BINS - 1;
    while (largest > 0 && s->count[0][largest] + s->count[1][largest] == 0) largest--;
    const double levels = s->least < 0 ? 127 : 255;
    const double most = (double)(-s->least > s->most ? -s->least : s->most);
    double best = most, least_error = error_of(s, largest, most, levels);
    for (size_t i = 1; i < TRIED && i < largest; i++) {
        const double end = middle(largest - i), error = error_of(s, largest, end, levels);
        if (end < most && error < least_error) best = end, least_error = error;
    }
    out[0] = fmax((double)s->least, -best);
    out[1] = fmin((double)s->most, best);
}

tw_status twi_workspace_observed(tw_ctx *ctx, const twi_workspace *workspace, double (*observed)[2])
{
    const twi_program *p = workspace->program;
    for (size_t i = 0; i < p->n_steps; i++) {
        if (p->steps[i].kind != &watch_kind) continue;
        const watch_state *state = p->steps[i].state;
        const seen *s = workspace->bound[i];
        if (!isfinite(s->least) || !isfinite(s->most))
            return twi_fail(ctx, TW_ERR_DATA, "layer %s: its values are not finite",
                            p->steps[i].name);
        choose_range(s, observed[state->node]);
    }
    return TW_OK;
}
