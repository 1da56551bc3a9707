/* head_json.c - a head's options as JSON: what a model remembers of how it was trained. */
#include "learn/head.h"

#include <stddef.h>
#include <string.h>

typedef enum kind { TEXT, NUMBER, COUNT, FLAG } kind;

/* The options with a value of their own; the layers are an array and stand apart. bit 0: every head
 * has it. */
static const struct {
    const char *key;
    kind kind;
    size_t at;
    unsigned bit;
} fields[] = {
    {"C", NUMBER, offsetof(tw_head_opts, C), TWI_TAKES_C},
    {"penalty", TEXT, offsetof(tw_head_opts, penalty), TWI_TAKES_PENALTY},
    {"l1_ratio", NUMBER, offsetof(tw_head_opts, l1_ratio), TWI_TAKES_PENALTY},
    {"loss", TEXT, offsetof(tw_head_opts, loss), TWI_TAKES_LOSS},
    {"gamma", NUMBER, offsetof(tw_head_opts, gamma), TWI_TAKES_GAMMA},
    {"alpha", NUMBER, offsetof(tw_head_opts, alpha), TWI_TAKES_ALPHA},
    {"learning_rate_init", NUMBER, offsetof(tw_head_opts, learning_rate), TWI_TAKES_LAYERS},
    {"batch_size", COUNT, offsetof(tw_head_opts, batch_size), TWI_TAKES_LAYERS},
    {"early_stopping", FLAG, offsetof(tw_head_opts, early_stopping), TWI_TAKES_LAYERS},
    {"n_iter_no_change", COUNT, offsetof(tw_head_opts, n_iter_no_change), TWI_TAKES_LAYERS},
    {"n_neighbors", COUNT, offsetof(tw_head_opts, neighbors), TWI_TAKES_NEIGHBORS},
    {"metric", TEXT, offsetof(tw_head_opts, metric), TWI_TAKES_NEIGHBORS},
    {"weights", TEXT, offsetof(tw_head_opts, weights), TWI_TAKES_NEIGHBORS},
    {"balanced", FLAG, offsetof(tw_head_opts, balanced), TWI_TAKES_BALANCED},
    {"max_iter", COUNT, offsetof(tw_head_opts, max_iter), TWI_TAKES_LIMITS},
    {"tol", NUMBER, offsetof(tw_head_opts, tol), TWI_TAKES_LIMITS},
    {"no_standardise", FLAG, offsetof(tw_head_opts, no_standardise), 0},
    {"pca", COUNT, offsetof(tw_head_opts, pca), 0},
    {"normalise", FLAG, offsetof(tw_head_opts, normalise), 0},
    {"calibrate", TEXT, offsetof(tw_head_opts, calibrate), 0},
    {"calibrate_folds", COUNT, offsetof(tw_head_opts, calibrate_folds), 0},
};

static twi_json *value_of(const tw_head_opts *o, size_t i)
{
    const char *at = (const char *)o + fields[i].at;
    switch (fields[i].kind) {
    case TEXT:
        return twi_json_text(*(const char *const *)(const void *)at);
    case NUMBER:
        return twi_json_number(*(const double *)(const void *)at);
    case COUNT: { /* SIZE_MAX, no limit, is -1 */
        const size_t count = *(const size_t *)(const void *)at;
        return twi_json_integer(count == SIZE_MAX ? -1 : (int64_t)count);
    }
    case FLAG:
        return twi_json_boolean(*(const int *)(const void *)at != 0);
    }
    return NULL;
}

twi_json *twi_head_opts_to_json(const tw_head_opts *opts)
{
    const twi_head_type *type;
    if (twi_head_find(NULL, opts->kind, &type) != TW_OK) return NULL;
    twi_json *json = twi_json_object();
    bool ok = twi_json_set(json, "kind", twi_json_text(opts->kind));
    for (size_t i = 0; i < TWI_LEN(fields); i++)
        if (!fields[i].bit || type->takes & fields[i].bit)
            ok &= twi_json_set(json, fields[i].key, value_of(opts, i));
    ok &= twi_json_set(json, "seed", twi_json_integer(opts->seed));
    if (type->takes & TWI_TAKES_LAYERS) {
        twi_json *layers = twi_json_array();
        for (size_t i = 0; i < opts->n_hidden; i++)
            ok &= twi_json_append(layers, twi_json_integer((int64_t)opts->hidden[i]));
        ok &= twi_json_set(json, "hidden", layers);
    }
    if (ok) return json;
    twi_json_free(json);
    return NULL;
}

/* ---- back ---------------------------------------------------------------------------------- */

static void read_value(const twi_json *json, size_t i, tw_head_opts *o)
{
    char *at = (char *)o + fields[i].at;
    const twi_json *value = twi_json_get(json, fields[i].key);
    switch (fields[i].kind) {
    case TEXT:
        *(const char **)(void *)at = twi_json_as_text(value, NULL);
        break;
    case NUMBER:
        *(double *)(void *)at = twi_json_as_number(value, 0.0);
        break;
    case COUNT: {
        const int64_t count = twi_json_as_integer(value, 0);
        *(size_t *)(void *)at = count < 0 ? SIZE_MAX : (size_t)count;
        break;
    }
    case FLAG:
        *(int *)(void *)at = twi_json_as_boolean(value, false);
        break;
    }
}

tw_status twi_head_opts_from_json(tw_ctx *ctx, const twi_json *json, tw_head_opts *out)
{
    const twi_head_type *type;
    tw_head_opts o;
    tw_head_opts_init(&o);
    o.kind = twi_json_as_text(twi_json_get(json, "kind"), "(nothing)");
    const tw_status st = twi_head_find(ctx, o.kind, &type);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < TWI_LEN(fields); i++)
        if (!fields[i].bit || type->takes & fields[i].bit) read_value(json, i, &o);
    o.seed = (uint32_t)twi_json_as_integer(twi_json_get(json, "seed"), 42);
    if (type->takes & TWI_TAKES_LAYERS) {
        const twi_json *layers = twi_json_get(json, "hidden");
        o.n_hidden = twi_json_length(layers);
        for (size_t i = 0; i < o.n_hidden && i < TW_HIDDEN_MAX; i++) {
            const int64_t units = twi_json_as_integer(twi_json_at(layers, i), 0);
            o.hidden[i] = units > 0 ? (size_t)units : 0;
        }
    }
    return twi_head_resolve(ctx, &o, out);
}
