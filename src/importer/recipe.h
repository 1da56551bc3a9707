/* recipe.h - the architecture's default recipe with single keys replaced. */
#ifndef TWI_IMPORTER_RECIPE_H
#define TWI_IMPORTER_RECIPE_H

#include "base/json.h"

/* recipe: JSON text of ours; overrides: JSON text of the user's, or NULL. *out is new. A key that
 * the recipe does not have, or a value of another kind, is TW_ERR_ARG; ranges are checked by
 * whoever opens the backbone. */
tw_status twi_recipe_override(tw_ctx *ctx, const char *recipe, const char *overrides,
                              twi_json **out);

#endif
