/* networks.h - networks to time: the shapes of known ones with drawn weights (speed does not depend
 * on what was learnt, and VGG16's own weights are not ours to ship). */
#ifndef TW_BENCH_EXTRACT_NETWORKS_H
#define TW_BENCH_EXTRACT_NETWORKS_H

#include "features/features.h"

/* name: "vgg16" or "sapling". Fills recipe too. TW_ERR_NOT_FOUND for another. */
tw_status bench_network(tw_ctx *ctx, const char *name, twi_network **out, twi_recipe *recipe);

#endif
