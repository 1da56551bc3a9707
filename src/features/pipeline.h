/* pipeline.h - inside the features room: one run of the pipeline, shared by its conductor (run.c),
 * its workers (worker.c) and the choice of precision (trial.c). */
#ifndef TWI_FEATURES_PIPELINE_H
#define TWI_FEATURES_PIPELINE_H

#include "features/extractor.h"
#include "features/remembered.h"

#include <pthread.h>

/* AUTO looks at this many readable pictures, among at most so many that stand one after another. */
enum { CALIBRATION_PICTURES = 16, CALIBRATION_WINDOW = 64 };

typedef struct twi_slot {
    twi_encoded encoded;
    twi_key digest; /* of the picture's bytes, once read */
    bool done, digested, cached;
    tw_status status;
    char *message; /* NULL with a status: there was no memory for one */
} twi_slot;

/* One input of a batch: a view of a picture. The views of a picture come in order. */
typedef struct twi_place {
    size_t picture;
    size_t views; /* 0; of the picture's last view: how many it has */
} twi_place;

typedef struct twi_worker {
    struct twi_run *run;
    tw_ctx *ctx;
    pthread_t thread;
    twi_stream *stream;
    twi_place *batch; /* [opts.batch] what stands in stream->inputs */
    size_t n;         /* of them */
    size_t share;     /* the most pictures this batch may be made of */
    double seconds_decode, seconds_network, decoding_since;
} twi_worker;

typedef struct twi_run {
    tw_ctx *ctx;
    twi_extractor *extractor;
    const twi_source *source;
    tw_row_fn row;
    void *user;
    twi_slot *slots; /* [n_slots] */
    size_t n_slots;
    /* [n_slots, features] for each precision this run may compute, else NULL. */
    float *rows[TWI_PRECISIONS];
    tw_precision active; /* being computed; changes only while no slot is with a twi_worker */
    twi_worker *workers; /* [n_workers] */
    size_t n_workers, n_started;
    twi_remembered memory;                   /* rows computed before; changes with active */
    twi_encoded ahead[CALIBRATION_PICTURES]; /* asked of the source before they are fed */
    size_t n_ahead;
    bool ahead_ended;                             /* the source has no more than those */
    bool few;                                     /* pictures: see divide_budget() */
    size_t batch;                                 /* views a worker computes at once */
    size_t threads;                               /* each worker's share of the budget */
    size_t n_rows, n_failed, n_cached, delivered; /* the conductor's alone */
    bool ended; /* the source has no more; the conductor's alone */

    pthread_mutex_t lock; /* guards all below, and slot.done */
    pthread_cond_t work;  /* something to take, or a reason to leave */
    pthread_cond_t news;  /* something is done, or a worker failed */
    size_t fed, taken;
    bool wanted;   /* programs are: a picture waits for them, or surely will */
    bool compiled; /* programs are there */
    bool stop;
    tw_status failure;    /* a worker's, not a picture's */
    const tw_ctx *failed; /* that worker's context */
} twi_run;

static inline twi_slot *twi_slot_of(twi_run *r, size_t i)
{
    return &r->slots[i % r->n_slots];
}

static inline float *twi_slot_row(twi_run *r, tw_precision precision, size_t i)
{
    return r->rows[precision] + (i % r->n_slots) * r->extractor->features;
}

/* ---- workers ------------------------------------------------------------------------------- */

void *twi_worker_main(void *worker);
/* Every worker leaves; a failure is kept if it is the first. */
void twi_run_stop_all(twi_run *r, const tw_ctx *failed, tw_status failure);

/* ---- the conductor, for trial.c -------------------------------------------------------------- */

/* Feeds n more pictures, or what the source still has. The source is asked without the lock: it may
 * read a pipe. */
void twi_run_feed(twi_run *r, size_t n);
/* Waits until the oldest want pictures are done; *n gets how many are. Compiles when that is
 * wanted. */
tw_status twi_run_wait_ready(twi_run *r, size_t want, size_t *n);
/* Hands the oldest picture to the caller. */
tw_status twi_run_deliver(twi_run *r);

/* ---- precision by trial ---------------------------------------------------------------------- */

/* What the same first pictures were found to need before. False: not known. */
bool twi_run_choose_from_memory(twi_run *r);
tw_status twi_run_calibrate(twi_run *r);

#endif
