/* head.c - scaler and head as tensors and JSON, and back. */
#include "learn/learn.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define TYPE        "logistic_regression"
#define CLASSES_MAX 1000000

static tw_status add(tw_ctx *ctx, twi_tensors *tensors, const char *name, size_t rows,
                     size_t columns, const double *values)
{
    const size_t dims[2] = {rows, columns}, rank = rows ? 2 : 1;
    void *data;
    const tw_status st =
        twi_tensors_add(ctx, tensors, name, TWI_F64, rank, rows ? dims : dims + 1, NULL, &data);
    if (st == TW_OK) memcpy(data, values, (rows ? rows : 1) * columns * sizeof *values);
    return st;
}

tw_status twi_head_save(tw_ctx *ctx, const twi_scaler *scaler, const twi_logreg *head,
                        twi_tensors *tensors, twi_json **json)
{
    tw_status st;
    if ((st = add(ctx, tensors, "scaler.mean", 0, scaler->d, scaler->mean)) != TW_OK) return st;
    if ((st = add(ctx, tensors, "scaler.scale", 0, scaler->d, scaler->scale)) != TW_OK) return st;
    if ((st = add(ctx, tensors, "head.coef", head->rows, head->d, head->coef)) != TW_OK) return st;
    if ((st = add(ctx, tensors, "head.intercept", 0, head->rows, head->intercept)) != TW_OK)
        return st;
    twi_json *object = twi_json_object();
    bool ok = object != NULL;
    ok = twi_json_set(object, "type", twi_json_text(TYPE)) && ok;
    ok = twi_json_set(object, "classes", twi_json_integer((int64_t)head->k)) && ok;
    ok = twi_json_set(object, "features", twi_json_integer((int64_t)head->d)) && ok;
    ok = twi_json_set(object, "objective", twi_json_number(head->objective)) && ok;
    ok = twi_json_set(object, "gradient", twi_json_number(head->gradient)) && ok;
    ok = twi_json_set(object, "iterations", twi_json_integer((int64_t)head->iterations)) && ok;
    ok = twi_json_set(object, "converged", twi_json_boolean(head->converged)) && ok;
    if (!ok) {
        twi_json_free(object);
        return twi_fail(ctx, TW_ERR_NOMEM, "no memory for the head's description");
    }
    *json = object;
    return TW_OK;
}

/* ---- back ---------------------------------------------------------------------------------- */

/* The doubles of tensor `what` [rows, columns] (rows 0: [columns]), every one finite. */
static tw_status take(tw_ctx *ctx, const char *name, const twi_tensors *tensors, const char *what,
                      const size_t shape[2], double **out)
{
    const twi_tensor *t = twi_tensors_find(tensors, what);
    if (!t) return twi_fail(ctx, TW_ERR_FORMAT, "%s: tensor \"%s\" is missing", name, what);
    const size_t rank = shape[0] ? 2 : 1;
    if (t->dtype != TWI_F64 || t->rank != rank || t->dims[rank - 1] != shape[1] ||
        (rank == 2 && t->dims[0] != shape[0]))
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: tensor \"%s\" is not F64 of shape [%zu, %zu]",
                        name, what, shape[0] ? shape[0] : 1, shape[1]);
    double *values;
    const tw_status st = twi_alloc(ctx, t->count, &values);
    if (st != TW_OK) return st;
    memcpy(values, t->data, t->count * sizeof *values); /* a mapped tensor need not be aligned */
    for (size_t i = 0; i < t->count; i++)
        if (!isfinite(values[i])) {
            twi_free(values);
            return twi_fail(ctx, TW_ERR_FORMAT,
                            "%s: tensor \"%s\" holds a number that is not finite", name, what);
        }
    *out = values;
    return TW_OK;
}

static tw_status check_scale(tw_ctx *ctx, const char *name, const twi_scaler *scaler)
{
    for (size_t j = 0; j < scaler->d; j++)
        if (!(scaler->scale[j] > 0.0))
            return twi_fail(ctx, TW_ERR_FORMAT, "%s: scale of feature %zu is not above 0", name, j);
    return TW_OK;
}

static tw_status read_numbers(tw_ctx *ctx, const char *name, const twi_json *json, twi_logreg *head)
{
    const char *type = twi_json_as_text(twi_json_get(json, "type"), "");
    if (strcmp(type, TYPE) != 0)
        return twi_fail(ctx, TW_ERR_FORMAT,
                        "%s: head is of type \"%s\"; this version knows \"" TYPE "\"", name, type);
    const int64_t k = twi_json_as_integer(twi_json_get(json, "classes"), 0);
    const int64_t d = twi_json_as_integer(twi_json_get(json, "features"), 0);
    const int64_t iterations = twi_json_as_integer(twi_json_get(json, "iterations"), 0);
    if (k < 2 || k > CLASSES_MAX)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: head has %" PRId64 " classes; allowed are 2 to %d",
                        name, k, CLASSES_MAX);
    if (d < 1) return twi_fail(ctx, TW_ERR_FORMAT, "%s: head has %" PRId64 " features", name, d);
    head->k = (size_t)k;
    head->d = (size_t)d;
    head->rows = k == 2 ? 1 : (size_t)k;
    head->objective = twi_json_as_number(twi_json_get(json, "objective"), NAN);
    head->gradient = twi_json_as_number(twi_json_get(json, "gradient"), NAN);
    head->iterations = iterations > 0 ? (size_t)iterations : 0;
    head->converged = twi_json_as_boolean(twi_json_get(json, "converged"), false);
    return TW_OK;
}

tw_status twi_head_load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                        const twi_json *json, twi_scaler *scaler, twi_logreg *head)
{
    twi_scaler s = {0};
    twi_logreg h = {0};
    tw_status st;
    if ((st = read_numbers(ctx, name, json, &h)) != TW_OK) goto done;
    s.d = h.d;
    const size_t features[2] = {0, h.d}, coef[2] = {h.rows, h.d}, intercept[2] = {0, h.rows};
    if ((st = take(ctx, name, tensors, "scaler.mean", features, &s.mean)) != TW_OK) goto done;
    if ((st = take(ctx, name, tensors, "scaler.scale", features, &s.scale)) != TW_OK) goto done;
    if ((st = take(ctx, name, tensors, "head.coef", coef, &h.coef)) != TW_OK) goto done;
    if ((st = take(ctx, name, tensors, "head.intercept", intercept, &h.intercept)) != TW_OK)
        goto done;
    if ((st = check_scale(ctx, name, &s)) != TW_OK) goto done;
    *scaler = s, s = (twi_scaler){0};
    *head = h, h = (twi_logreg){0};
done:
    twi_scaler_free(&s);
    twi_logreg_free(&h);
    return st;
}
