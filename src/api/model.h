/* model.h - the struct behind tw_model. */
#ifndef TWI_API_MODEL_H
#define TWI_API_MODEL_H

#include "api/extract.h"
#include "api/harvest.h"
#include "api/report.h"
#include "learn/classifier.h"
#include "learn/reject.h"

/* A model is a document and tensors (what its file holds) and what was read out of them. A freshly
 * trained one owns both; an opened one borrows them from its bundle. */
struct tw_model {
    twi_bundle *bundle;
    twi_json *document;  /* owned */
    twi_tensors tensors; /* data borrowed from bundle or backbone, or owned */
    tw_backbone *backbone;
    twi_extractor_opts extract; /* recipe, output and precision it was trained with */
    twi_classifier classifier;
    twi_reject reject; /* n 0: every photo is of a class */
    twi_names classes;
};

/* What tw_model_train() may be told beside its options. */
typedef struct twi_train_extra {
    const twi_json *selection; /* for the document: how the options were chosen; NULL: nothing */
    /* Features made already, of all pictures of the data set in its order; NULL: to be made. It and
     * backbone are taken over. */
    twi_harvest *harvest;
    tw_backbone *backbone;
    twi_extractor_opts extract;
    twi_classifier *classifier; /* fitted already, and taken over; NULL: to be fitted */
    double seconds;             /* that the work took before; of which seconds_fit trained */
    double seconds_fit;
    const twi_json *finetuning; /* for the document: how the backbone was; NULL: it was not */
} twi_train_extra;
tw_status twi_model_train(tw_ctx *ctx, const tw_dataset *dataset, const tw_train_opts *opts,
                          const twi_train_extra *extra, tw_model **out, tw_report **report);

/* Reads everything but bundle, document and tensors out of these; name is for messages. */
tw_status twi_model_read(tw_ctx *ctx, const char *name, tw_model *model);

/* Answers rows x [n, d] and puts what truth [n] makes of them into report. */
tw_status twi_model_measure(tw_ctx *ctx, const tw_model *model, const float *x,
                            const uint32_t *truth, size_t n, tw_report *report);

/* Sets the threshold below which photos are unknown, and warns of classes that it cuts into. name
 * as for twi_report_new(). */
tw_status twi_model_fit_reject(tw_ctx *ctx, const twi_samples *samples, double accept,
                               const char *(*name)(const void *user, size_t k), const void *user,
                               twi_reject *out);
/* Puts into report how many rows of x [n, d] the model accepts, and how many of these predicted [n]
 * has right; keeps their familiarity for tw_report_unknown(). Nothing without a threshold. */
tw_status twi_model_measure_known(tw_ctx *ctx, const tw_model *model, const float *x,
                                  const uint32_t *truth, const uint32_t *predicted, size_t n,
                                  tw_report *report);

/* A U8 tensor of texts, each ended by a NUL; and back. */
tw_status twi_names_save(tw_ctx *ctx, const twi_names *names, const char *tensor_name,
                         twi_tensors *tensors);
tw_status twi_names_load(tw_ctx *ctx, const char *file, const twi_tensors *tensors,
                         const char *tensor_name, twi_names *out);

#endif
