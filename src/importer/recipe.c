/* recipe.c - overriding keys of a recipe. */
#include "importer/recipe.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

typedef enum kind { KIND_OTHER, KIND_TEXT, KIND_NUMBER, KIND_BOOLEAN, KIND_NUMBERS } kind;

static const char *const kind_names[] = {"something else", "text", "a number", "true or false",
                                         "three numbers"};

static bool is_number(const twi_json *value)
{
    return isfinite(twi_json_as_number(value, NAN));
}

static kind kind_of(const twi_json *value)
{
    if (twi_json_as_text(value, NULL)) return KIND_TEXT;
    if (is_number(value)) return KIND_NUMBER;
    /* A boolean is what does not take the fallback, whichever that is. */
    if (twi_json_as_boolean(value, true) == twi_json_as_boolean(value, false)) return KIND_BOOLEAN;
    if (!twi_json_is_array(value) || twi_json_length(value) != 3) return KIND_OTHER;
    for (size_t i = 0; i < 3; i++)
        if (!is_number(twi_json_at(value, i))) return KIND_OTHER;
    return KIND_NUMBERS;
}

static tw_status fail_key(tw_ctx *ctx, const twi_json *recipe, const char *key)
{
    twi_text known = {0};
    for (size_t i = 0; twi_json_key(recipe, i); i++) {
        if (i > 0) twi_text_add(&known, ", ");
        twi_text_add(&known, twi_json_key(recipe, i));
    }
    const tw_status st = known.failed ? twi_fail(ctx, TW_ERR_NOMEM, "no memory for a message")
                                      : twi_fail(ctx, TW_ERR_ARG, "recipe key \"%s\" is none of %s",
                                                 key, known.text ? known.text : "none");
    twi_text_free(&known);
    return st;
}

static tw_status override_key(tw_ctx *ctx, twi_json *recipe, const twi_json *over, const char *key)
{
    const twi_json *old = twi_json_get(recipe, key), *value = twi_json_get(over, key);
    if (!old) return fail_key(ctx, recipe, key);
    if (kind_of(old) != kind_of(value))
        return twi_fail(ctx, TW_ERR_ARG, "recipe key \"%s\" is %s; need %s", key,
                        kind_names[kind_of(value)], kind_names[kind_of(old)]);
    if (!twi_json_set(recipe, key, twi_json_copy(value)))
        return twi_fail(ctx, TW_ERR_NOMEM, "no memory for the recipe");
    return TW_OK;
}

tw_status twi_recipe_override(tw_ctx *ctx, const char *recipe, const char *overrides,
                              twi_json **out)
{
    twi_json *result = NULL, *over = NULL;
    tw_status st = twi_json_parse(ctx, "the default recipe", recipe, strlen(recipe), &result);
    if (st != TW_OK || !overrides) goto done;
    st = twi_json_parse(ctx, "the recipe given", overrides, strlen(overrides), &over);
    if (st != TW_OK) {
        st = twi_fail_prefix(ctx, TW_ERR_ARG, "%s", "");
        goto done;
    }
    if (!twi_json_is_object(over)) {
        st = twi_fail(ctx, TW_ERR_ARG, "the recipe given is not a JSON object");
        goto done;
    }
    for (size_t i = 0; twi_json_key(over, i) && st == TW_OK; i++)
        st = override_key(ctx, result, over, twi_json_key(over, i));
done:
    if (st == TW_OK) *out = result, result = NULL; /* handed over */
    twi_json_free(over);
    twi_json_free(result);
    return st;
}
