/* random.h - an architecture's weights before training. */
#ifndef TWI_IMPORTER_RANDOM_H
#define TWI_IMPORTER_RANDOM_H

#include "importer/importer.h"

/* Draws torchvision's initialisation of opts->arch, seeded, as a weight file of its names would
 * hold it; free it whatever comes. TW_ERR_ARG: an architecture without one, a width, size or number
 * of classes that cannot be. */
tw_status twi_weights_draw(tw_ctx *ctx, const twi_random_opts *opts, twi_weights *out);

/* The recipe of opts->side: centre crop of 224/256, torchvision's means. *out is new. */
tw_status twi_random_recipe(tw_ctx *ctx, const twi_random_opts *opts, twi_json **out);

#endif
