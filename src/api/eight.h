/* eight.h - what computing features in 8 bits costs in accuracy. */
#ifndef TWI_API_EIGHT_H
#define TWI_API_EIGHT_H

#include "api/backbone.h"
#include "api/harvest.h"
#include "api/parts.h"
#include "learn/learn.h"

typedef struct twi_eight_question {
    const tw_backbone *backbone;
    const twi_extractor_opts *extract; /* how harvest was made, in int8 */
    const tw_dataset *dataset;
    const twi_parts_opts *parts;
    const twi_harvest *harvest;
    const uint32_t *y; /* labels of its first n rows, the training part */
    size_t n, k;
    const tw_head_opts *head; /* resolved; a strength left to TW_AUTO counts as 1 */
} twi_eight_question;

typedef struct twi_eight_answer {
    size_t photos;          /* cross-validated on; 0: a class was too small to */
    double eight, floats;   /* mean accuracy over the folds */
    double error;           /* standard error of the folds' differences */
    tw_precision precision; /* of floats */
} twi_eight_answer;

/* Computes at most 1,000 of the training photos once more in floating point and cross-validates the
 * head on both. TW_ERR_DATA: 8 bits cost more than a hundredth, and more than the standard error of
 * the difference. */
tw_status twi_eight_ask(tw_ctx *ctx, const twi_eight_question *question, twi_eight_answer *out);

#endif
