/* calibration.c - placeholder until the methods are merged: it knows "none" and refuses the rest.
 */
#include "learn/calibration.h"

#include <string.h>

tw_status twi_calibration_fit(tw_ctx *ctx, twi_calibration_method method, const double *score,
                              const uint32_t *y, size_t n, size_t k, twi_calibration *out)
{
    (void)method, (void)score, (void)y, (void)n, (void)k, (void)out;
    return twi_fail(ctx, TW_ERR_UNSUPPORTED, "calibration is not there yet");
}

void twi_calibration_apply(const twi_calibration *c, const double *score, size_t n, double *prob)
{
    if (prob != score) memcpy(prob, score, n * c->k * sizeof *prob);
}

void twi_calibration_free(twi_calibration *c)
{
    *c = (twi_calibration){0};
}

const char *twi_calibration_name(twi_calibration_method method)
{
    static const char *const names[] = {"none", "sigmoid", "isotonic"};
    return names[method];
}

tw_status twi_calibration_save(tw_ctx *ctx, const twi_calibration *c, twi_tensors *tensors,
                               twi_json **json)
{
    (void)tensors;
    twi_json *object = twi_json_object();
    if (!twi_json_set(object, "method", twi_json_text(twi_calibration_name(c->method)))) {
        twi_json_free(object);
        return twi_fail(ctx, TW_ERR_NOMEM, "no memory for the calibration's description");
    }
    *json = object;
    return TW_OK;
}

tw_status twi_calibration_load(tw_ctx *ctx, const char *name, const twi_tensors *tensors,
                               const twi_json *json, size_t k, twi_calibration *out)
{
    (void)tensors;
    const char *method = twi_json_as_text(twi_json_get(json, "method"), "none");
    if (strcmp(method, "none") != 0)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: calibration \"%s\" is not known", name, method);
    *out = (twi_calibration){.k = k};
    return TW_OK;
}
