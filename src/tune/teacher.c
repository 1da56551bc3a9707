/* teacher.c - the teacher's features, standardised. */
#include "tune/teacher.h"

#include <math.h>

struct twi_teacher {
    twi_recipe recipe;
    twi_program *program;
    twi_workspace *workspace;
    size_t d;
    float *mean, *scale; /* [d] target = (feature - mean) * scale */
};

tw_status twi_teacher_new(tw_ctx *ctx, const twi_network *network, const twi_teacher_opts *opts,
                          twi_teacher **out)
{
    const twi_engine_opts engine = {.precision = opts->precision,
                                    .batch = opts->batch,
                                    .height = opts->recipe->height,
                                    .width = opts->recipe->width,
                                    .threads = opts->threads};
    twi_teacher *t;
    twi_network *cut = NULL;
    tw_status st = twi_zalloc(ctx, 1, &t);
    if (st != TW_OK) return st;
    t->recipe = *opts->recipe;
    st = twi_network_for_inference(ctx, network, TWI_OUTPUT_AVG, true, &cut);
    if (st != TW_OK) goto done;
    if ((st = twi_program_new(ctx, cut, &engine, NULL, &t->program)) != TW_OK) goto done;
    if ((st = twi_workspace_new(ctx, t->program, &t->workspace)) != TW_OK) goto done;
    t->d = twi_program_output_count(t->program);
    if ((st = twi_zalloc(ctx, t->d, &t->mean)) != TW_OK) goto done;
    if ((st = twi_alloc(ctx, t->d, &t->scale)) != TW_OK) goto done;
    for (size_t i = 0; i < t->d; i++) t->scale[i] = 1.0f;
    *out = t, t = NULL; /* handed over */
done:
    twi_network_free(cut);
    twi_teacher_free(t);
    return st;
}

void twi_teacher_free(twi_teacher *t)
{
    if (!t) return;
    twi_workspace_free(t->workspace);
    twi_program_free(t->program);
    twi_free(t->mean);
    twi_free(t->scale);
    twi_free(t);
}

size_t twi_teacher_feature_count(const twi_teacher *t)
{
    return t->d;
}

const twi_recipe *twi_teacher_recipe(const twi_teacher *t)
{
    return &t->recipe;
}

tw_status twi_teacher_features(tw_ctx *ctx, twi_teacher *t, const float *pictures, size_t n,
                               float *out)
{
    return twi_program_run(ctx, t->program, t->workspace, pictures, n, out);
}

void twi_teacher_settle(twi_teacher *t, const double *sums, const double *squares, size_t n)
{
    for (size_t i = 0; i < t->d; i++) {
        const double mean = sums[i] / (double)n;
        const double variance = squares[i] / (double)n - mean * mean;
        /* What rounding leaves of a constant is no deviation. */
        const bool varies = variance > 1e-10 * (mean * mean) && variance > 0.0;
        t->mean[i] = (float)mean;
        t->scale[i] = varies ? (float)(1.0 / sqrt(variance)) : 1.0f;
    }
}

tw_status twi_teacher_targets(tw_ctx *ctx, twi_teacher *t, const float *pictures, size_t n,
                              float *out)
{
    const tw_status st = twi_teacher_features(ctx, t, pictures, n, out);
    for (size_t i = 0; st == TW_OK && i < n; i++)
        for (size_t k = 0; k < t->d; k++)
            out[i * t->d + k] = (out[i * t->d + k] - t->mean[k]) * t->scale[k];
    return st;
}
