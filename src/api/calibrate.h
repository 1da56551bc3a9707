/* calibrate.h - a backbone made ready for 8 bits. */
#ifndef TWI_API_CALIBRATE_H
#define TWI_API_CALIBRATE_H

#include "api/extract.h"
#include "dataset/dataset.h"

/* twi_extract_resolve(); but when opts asks for int8 and backbone is not calibrated, it first is,
 * on 64 of the pictures order [n] of dataset, evenly spaced. */
tw_status twi_extract_prepare(tw_ctx *ctx, tw_backbone *backbone, const tw_extract_opts *opts,
                              const tw_dataset *dataset, const size_t *order, size_t n,
                              twi_extractor_opts *out);

/* Makes backbone uncalibrated, when its weights have changed. */
tw_status twi_backbone_forget_ranges(tw_ctx *ctx, tw_backbone *backbone);

#endif
