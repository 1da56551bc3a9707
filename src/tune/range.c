/* range.c - how high the learning rate may be: Smith (2017), Cyclical Learning Rates, section 3.3.
 *
 * The rate grows exponentially from step to step until the loss runs away from the least it has
 * been. A tenth of where it did is what training may safely rise to: the loss follows the rate with
 * a delay of some steps, and a few dozen of them tell less than epochs will. */
#include "tune/private.h"

#include <math.h>

enum { PER_DECADE = 8, DECADES = 5 };
static const double least = 1e-5; /* the first rate */
static const double stays = 0.7;  /* of the running mean of the loss, each step */
/* Away from its least by this share of log k, the loss of one who knows nothing: beyond the noise
 * of a smoothed batch's loss. */
static const double away = 0.25;

typedef struct smooth { /* a running mean, its start not counted in (Kingma & Ba 2015, section 3) */
    double sum, weight;
} smooth;

static double add(smooth *s, double x)
{
    s->sum = stays * s->sum + (1.0 - stays) * x;
    s->weight = stays * s->weight + (1.0 - stays);
    return s->sum / s->weight;
}

/* *rate: the one at which it ran away, or the last. */
static tw_status run_away(twi_tune_loop *l, double *rate)
{
    const size_t steps = twi_tune_steps(l), most = PER_DECADE * DECADES;
    double lowest = INFINITY, loss = 0.0;
    /* Of standardised features it is 1. */
    const double ignorant = l->opts->teacher ? 1.0 : log((double)l->photos->k);
    smooth mean = {0};
    for (size_t s = 0; s <= most; s++) {
        /* photos varied as in an epoch after the last, in an order of their own */
        const size_t epoch = l->opts->epochs + 1 + s / steps;
        if (s % steps == 0) twi_tune_shuffle(l, epoch);
        l->step = s % steps;
        tw_status st = twi_tune_batch(l, l->order + l->step * l->opts->batch, epoch, &loss);
        *rate = least * pow(10.0, (double)s / PER_DECADE);
        if (st == TW_ERR_DIVERGED) return TW_OK;
        if (st != TW_OK) return st;
        twi_optimiser_step(l->optimiser, *rate);
        const double now = add(&mean, loss);
        lowest = fmin(lowest, now);
        if (now > lowest + away * ignorant) return TW_OK;
        if ((st = twi_progress(l->ctx, "rate", s + 1, most + 1, 0)) != TW_OK) return st;
    }
    return TW_OK;
}

tw_status twi_tune_find_rate(twi_tune_loop *l, double *rate)
{
    double found = 0.0;
    twi_tune_gather(l, l->values);
    const tw_status st = run_away(l, &found);
    twi_tune_scatter(l, l->values);
    twi_optimiser_restart(l->optimiser);
    l->step = 0;
    if (st != TW_OK) return st;
    *rate = found / 10.0;
    twi_log(l->ctx, TW_LOG_INFO,
            "learning rate %.2g: a tenth of where the loss ran away in a range test", *rate);
    return TW_OK;
}
