/* optimiser.c - steps down a gradient. */
#include "tune/optimiser.h"

#include "engine/team.h"

#include <math.h>
#include <string.h>

typedef struct slot { /* one parameter */
    float *value;
    const float *gradient; /* NULL: averaged only */
    float *first, *second; /* moments; SGD: momentum, none */
    float *average;        /* NULL: none */
    size_t count;
    double rate, decay; /* factors of both */
    uint32_t node;
    bool rests;    /* see twi_optimiser_train_from() */
    uint64_t born; /* steps taken before it was first trained */
} slot;

struct twi_optimiser {
    twi_optimiser_opts opts;
    slot *slots;
    size_t n, total; /* total: elements of all slots */
    float *state;
    size_t state_count;
    uint64_t steps;
};

/* ---- setting up ---------------------------------------------------------------------------- */

static bool holds_layer(const twi_trainer *t, size_t i)
{
    const twi_parameter *p = twi_trainer_parameter(t, i);
    return i == 0 || p->node != twi_trainer_parameter(t, i - 1)->node;
}

/* How much slower each parameter learns: layer_decay to the power of its distance from the end. */
static void set_rates(twi_optimiser *o, const twi_trainer *t, uint32_t head)
{
    size_t layers = 0, layer = 0;
    for (size_t i = 0; i < o->n; i++)
        layers += holds_layer(t, i) && twi_trainer_parameter(t, i)->node < head;
    for (size_t i = 0; i < o->n; i++) {
        const uint32_t node = twi_trainer_parameter(t, i)->node;
        if (i > 0 && holds_layer(t, i)) layer++;
        const size_t group = layers ? layer * TWI_LAYER_GROUPS / layers : 0;
        o->slots[i].rate =
            node >= head ? 1.0 : pow(o->opts.layer_decay, (double)(TWI_LAYER_GROUPS - group));
    }
}

static void place_state(twi_optimiser *o)
{
    float *at = o->state;
    const bool two = o->opts.kind == TWI_ADAMW, average = o->opts.average > 0.0;
    for (size_t i = 0; i < o->n; i++) {
        slot *s = &o->slots[i];
        if (s->gradient) s->first = at, at += s->count;
        if (s->gradient && two) s->second = at, at += s->count;
        if (average) s->average = at, at += s->count;
        if (average) memcpy(s->average, s->value, s->count * sizeof *s->value);
    }
}

static tw_status check_opts(tw_ctx *ctx, const twi_optimiser_opts *o)
{
    const double shares[] = {o->beta1, o->beta2, o->momentum, o->average};
    for (size_t i = 0; i < TWI_LEN(shares); i++)
        if (!(shares[i] >= 0.0 && shares[i] < 1.0))
            return twi_fail(ctx, TW_ERR_ARG, "betas, momentum and average must be 0 to below 1");
    if (!(o->weight_decay >= 0.0) || !(o->layer_decay > 0.0 && o->layer_decay <= 1.0))
        return twi_fail(ctx, TW_ERR_ARG,
                        "weight decay must be 0 or more, layer decay above 0 and at most 1");
    return TW_OK;
}

tw_status twi_optimiser_new(tw_ctx *ctx, const twi_trainer *trainer, const twi_optimiser_opts *opts,
                            uint32_t head, twi_optimiser **out)
{
    twi_optimiser *o = NULL;
    tw_status st = check_opts(ctx, opts);
    if (st != TW_OK) return st;
    if ((st = twi_zalloc(ctx, 1, &o)) != TW_OK) return st;
    o->opts = *opts;
    o->n = twi_trainer_parameter_count(trainer);
    if ((st = twi_zalloc(ctx, o->n, &o->slots)) != TW_OK) goto done;
    const size_t each = opts->kind == TWI_ADAMW ? 2 : 1, averages = opts->average > 0.0;
    for (size_t i = 0; i < o->n; i++) {
        const twi_parameter *p = twi_trainer_parameter(trainer, i);
        o->slots[i] = (slot){.value = p->value,
                             .gradient = p->gradient,
                             .count = p->count,
                             .node = p->node,
                             .decay = p->rank >= 2 ? opts->weight_decay : 0.0};
        o->total += p->count;
        o->state_count += p->count * ((p->gradient ? each : 0) + averages);
    }
    set_rates(o, trainer, head);
    if ((st = twi_zalloc(ctx, o->state_count, &o->state)) != TW_OK) goto done;
    place_state(o);
    *out = o, o = NULL; /* handed over */
done:
    twi_optimiser_free(o);
    return st;
}

void twi_optimiser_free(twi_optimiser *o)
{
    if (!o) return;
    twi_free(o->slots);
    twi_free(o->state);
    twi_free(o);
}

/* ---- one step ------------------------------------------------------------------------------ */

typedef struct factors { /* of one step */
    double rate, bias1, bias2, stays;
    uint64_t step;
    bool start; /* SGD's first step: momentum is the gradient */
} factors;

static factors factors_for(const twi_optimiser_opts *o, const factors *all, const slot *s)
{
    factors f = *all;
    const double t = (double)(f.step - s->born);
    f.bias1 = 1.0 - pow(o->beta1, t);
    f.bias2 = 1.0 - pow(o->beta2, t);
    f.start = f.step - s->born == 1;
    return f;
}

/* Elements [from, to) of s. None of its arrays overlap. */
static void adamw(const twi_optimiser_opts *o, const factors *f, const slot *s, size_t from,
                  size_t to)
{
    const float b1 = (float)o->beta1, b2 = (float)o->beta2, epsilon = (float)o->epsilon;
    const float keep = (float)(1.0 - f->rate * s->rate * s->decay);
    const float step = (float)(f->rate * s->rate / f->bias1), root = (float)sqrt(f->bias2);
    float *restrict p = s->value, *restrict m = s->first, *restrict v = s->second;
    const float *restrict g = s->gradient;
    for (size_t i = from; i < to; i++) {
        m[i] = b1 * m[i] + (1.0f - b1) * g[i];
        v[i] = b2 * v[i] + (1.0f - b2) * g[i] * g[i];
        p[i] = p[i] * keep - step * m[i] / (sqrtf(v[i]) / root + epsilon);
    }
}

static void sgd(const twi_optimiser_opts *o, const factors *f, const slot *s, size_t from,
                size_t to)
{
    const float momentum = (float)o->momentum, decay = (float)s->decay;
    const float rate = (float)(f->rate * s->rate), keep = f->start ? 0.0f : momentum;
    float *restrict p = s->value, *restrict m = s->first;
    const float *restrict g = s->gradient;
    for (size_t i = from; i < to; i++) {
        const float gradient = g[i] + decay * p[i];
        m[i] = keep * m[i] + gradient;
        p[i] -= rate * (o->nesterov ? gradient + momentum * m[i] : m[i]);
    }
}

static void average(const factors *f, const slot *s, size_t from, size_t to)
{
    const float stays = (float)f->stays;
    for (size_t i = from; i < to; i++)
        s->average[i] = stays * s->average[i] + (1.0f - stays) * s->value[i];
}

typedef struct work {
    const twi_optimiser *o;
    factors f;
} work;

/* A share of all elements, one after the other. */
static void step_share(void *user, size_t member, size_t members)
{
    const work *w = user;
    size_t begin, end, first = 0;
    twi_team_share(w->o->total, member, members, &begin, &end);
    for (size_t i = 0; i < w->o->n; first += w->o->slots[i].count, i++) {
        const slot *s = &w->o->slots[i];
        if (first + s->count <= begin || first >= end) continue;
        if (s->rests) continue;
        const factors f = factors_for(&w->o->opts, &w->f, s);
        const size_t from = begin > first ? begin - first : 0;
        const size_t to = end - first < s->count ? end - first : s->count;
        if (s->gradient) (w->o->opts.kind == TWI_ADAMW ? adamw : sgd)(&w->o->opts, &f, s, from, to);
        if (s->average) average(&f, s, from, to);
    }
}

void twi_optimiser_step(twi_optimiser *o, double rate)
{
    const double t = (double)++o->steps, stays = (1.0 + t) / (10.0 + t);
    work w = {o,
              {.rate = rate,
               .step = o->steps,
               .stays = stays < o->opts.average ? stays : o->opts.average}};
    twi_team_run(o->opts.threads, step_share, &w);
}

void twi_optimiser_train_from(twi_optimiser *o, uint32_t first)
{
    for (size_t i = 0; i < o->n; i++) {
        slot *s = &o->slots[i];
        const bool rests = s->node < first;
        if (s->rests && !rests) s->born = o->steps;
        s->rests = rests;
    }
}

void twi_optimiser_restart(twi_optimiser *o)
{
    o->steps = 0;
    memset(o->state, 0, o->state_count * sizeof *o->state);
    for (size_t i = 0; i < o->n; i++) {
        slot *s = &o->slots[i];
        s->born = 0;
        if (s->average) memcpy(s->average, s->value, s->count * sizeof *s->value);
    }
}

void twi_optimiser_exchange(twi_optimiser *o)
{
    for (size_t i = 0; i < o->n; i++) {
        const slot *s = &o->slots[i];
        for (size_t k = 0; s->average && k < s->count; k++) {
            const float value = s->value[k];
            s->value[k] = s->average[k];
            s->average[k] = value;
        }
    }
}

float *twi_optimiser_state(twi_optimiser *o, size_t *count)
{
    *count = o->state_count;
    return o->state;
}

uint64_t twi_optimiser_steps(const twi_optimiser *o)
{
    return o->steps;
}

void twi_optimiser_resume(twi_optimiser *o, uint64_t steps)
{
    o->steps = steps;
}

double twi_schedule_rate(const twi_schedule *s, size_t step)
{
    static const double pi = 3.14159265358979323846;
    if (step < s->warmup) return s->rate * (double)(step + 1) / (double)s->warmup;
    const size_t left = s->steps > s->warmup ? s->steps - s->warmup : 1;
    const double done = fmin(1.0, (double)(step - s->warmup) / (double)left);
    return s->rate * (s->floor + (1.0 - s->floor) * 0.5 * (1.0 + cos(pi * done)));
}
