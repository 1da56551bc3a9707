/* harvest.h - the features of chosen pictures of a data set, on disk, and which rows they are. */
#ifndef TWI_API_HARVEST_H
#define TWI_API_HARVEST_H

#include "api/extract.h"
#include "api/report.h"
#include "dataset/dataset.h"

typedef struct twi_harvest {
    twi_matrix_file *file;
    const float *x; /* [rows, d] */
    size_t rows, d;
    size_t *sample; /* [rows]: which picture of the data set each row is */
    unsigned char (*digest)[TWI_DIGEST_BYTES]; /* [rows] SHA-256 of its file */
    twi_extract_stats stats;
    tw_precision precision;
} twi_harvest;

/* Extracts pictures order [n] of dataset, in that order. Pictures that cannot be read leave no row
 * and go to the skipped list of report. */
tw_status twi_harvest_run(tw_ctx *ctx, twi_extractor *extractor, const tw_dataset *dataset,
                          const size_t *order, size_t n, tw_report *report, twi_harvest *out);
void twi_harvest_free(twi_harvest *harvest);

/* SHA-256 over "label, relative path, SHA-256 of the file" of each row's picture: which data this
 * was. Hex. */
void twi_harvest_digest(const twi_harvest *harvest, const tw_dataset *dataset, char hex[65]);

#endif
