/* trial.c - precision AUTO: bf16 where its rows of the first pictures stay close to those of f32.
 */
#include "features/pipeline.h"

#include <math.h>

double twi_cosine(const float *a, const float *b, size_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    if (aa == 0 && bb == 0) return 1;
    return aa == 0 || bb == 0 ? 0 : ab / (sqrt(aa) * sqrt(bb));
}

static size_t readable_held(twi_run *r)
{
    size_t n = 0;
    for (size_t i = r->delivered; i < r->fed; i++) n += twi_slot_of(r, i)->status == TW_OK;
    return n;
}

/* From here on precision is what is computed. No slot may be with a worker. */
static void activate(twi_run *r, tw_precision precision)
{
    pthread_mutex_lock(&r->lock);
    r->active = precision;
    r->compiled = false; /* the next wait sees to it */
    r->wanted = true;
    pthread_mutex_unlock(&r->lock);
}

static void let_go(twi_run *r, tw_precision precision)
{
    twi_extractor_drop(r->extractor, twi_form(precision, false));
    twi_extractor_drop(r->extractor, twi_form(precision, true));
}

/* Hands the held readable pictures out once more, to be computed in precision. */
static void look_again(twi_run *r, tw_precision precision)
{
    activate(r, precision);
    pthread_mutex_lock(&r->lock);
    for (size_t i = r->delivered; i < r->fed; i++)
        twi_slot_of(r, i)->done = twi_slot_of(r, i)->status != TW_OK;
    r->taken = r->delivered;
    pthread_cond_broadcast(&r->work);
    pthread_mutex_unlock(&r->lock);
}

/* In millionths, rounded down: %f would write the caller's decimal point. */
static void tell_choice(twi_run *r, double least, size_t pictures)
{
    const unsigned millionths = least > 0 ? (unsigned)(least * 1e6) : 0;
    twi_log(r->ctx, TW_LOG_INFO,
            "precision %s: bf16 features of %zu pictures have a cosine of %u.%06u to those of f32; "
            "0.999 is needed",
            twi_precision_name(r->extractor->precision), pictures, millionths / 1000000,
            millionths % 1000000);
}

/* Every held picture is done in both precisions: chooses and says so. */
static void choose(twi_run *r)
{
    twi_extractor *ex = r->extractor;
    double least = 1;
    for (size_t i = r->delivered; i < r->fed; i++) {
        if (twi_slot_of(r, i)->status != TW_OK) continue;
        const double c = twi_cosine(twi_slot_row(r, TW_PRECISION_F32, i),
                                    twi_slot_row(r, TW_PRECISION_BF16, i), ex->features);
        if (!(c >= least)) least = c;
    }
    const bool bf16 = least >= TWI_AUTO_COSINE;
    ex->precision = bf16 ? TW_PRECISION_BF16 : TW_PRECISION_F32;
    twi_remembered_choice(&r->memory, ex->precision, least);
    twi_remembered_for(&r->memory, ex, ex->precision, r->few);
    if (!bf16) {
        let_go(r, TW_PRECISION_BF16);
        activate(r, TW_PRECISION_F32);
    }
    const tw_precision other = bf16 ? TW_PRECISION_F32 : TW_PRECISION_BF16;
    twi_free(r->rows[other]);
    r->rows[other] = NULL;
    tell_choice(r, least, readable_held(r));
}

/* What the same first pictures were found to need before. False: not known. */
bool twi_run_choose_from_memory(twi_run *r)
{
    twi_extractor *ex = r->extractor;
    tw_precision precision;
    double least;
    if (!r->memory.cache || !r->source->path) return false;
    while (r->n_ahead < CALIBRATION_PICTURES) {
        twi_encoded *next = &r->ahead[r->n_ahead];
        *next =
            (twi_encoded){.name = r->source->path(r->source->user, r->n_ahead), .is_file = true};
        r->ahead_ended = next->name == NULL;
        if (r->ahead_ended) break;
        r->n_ahead++;
    }
    if (!twi_remembered_chosen(r->ctx, &r->memory, ex, r->ahead, r->n_ahead, &precision, &least))
        return false;
    ex->precision = precision;
    r->active = precision;
    twi_remembered_for(&r->memory, ex, precision, r->few);
    tell_choice(r, least, r->n_ahead);
    return true;
}

/* Computes the first readable pictures in f32 and then again in bf16, holding their rows back until
 * one is chosen. One after the other, decoding twice, so that there is only ever one set of weights
 * in memory. What is looked at depends only on the pictures, never on timing. Leaves precision at
 * AUTO when none is readable. */
tw_status twi_run_calibrate(twi_run *r)
{
    tw_status st = TW_OK;
    size_t n;
    while (!r->ended) {
        size_t room = CALIBRATION_WINDOW - (r->fed - r->delivered);
        const size_t readable = readable_held(r);
        if (room > CALIBRATION_PICTURES - readable) room = CALIBRATION_PICTURES - readable;
        if (room == 0) break;
        twi_run_feed(r, room);
        if ((st = twi_run_wait_ready(r, r->fed - r->delivered, &n)) != TW_OK) return st;
        while (r->delivered < r->fed && twi_slot_of(r, r->delivered)->status != TW_OK)
            if ((st = twi_run_deliver(r)) != TW_OK) return st;
    }
    if (r->delivered == r->fed) return TW_OK;
    let_go(r, TW_PRECISION_F32);
    look_again(r, TW_PRECISION_BF16);
    if ((st = twi_run_wait_ready(r, r->fed - r->delivered, &n)) != TW_OK) return st;
    choose(r);
    while (r->delivered < r->fed)
        if ((st = twi_run_deliver(r)) != TW_OK) return st;
    return TW_OK;
}
