/* suspects.c - confident learning: labels that out-of-fold probabilities speak against. */
#include "audit/audit.h"

#include <stdlib.h>

static int surest_first(const void *a, const void *b)
{
    const twi_suspect *x = a, *y = b;
    const double mx = x->given_p - x->suggested_p, my = y->given_p - y->suggested_p;
    if (mx != my) return mx < my ? -1 : 1;
    return x->sample < y->sample ? -1 : x->sample > y->sample;
}

tw_status twi_suspects_find(tw_ctx *ctx, const double *prob, const uint32_t *y, size_t n, size_t k,
                            twi_suspect *out, size_t *found)
{
    double *threshold;
    size_t *members = NULL;
    tw_status st = twi_zalloc(ctx, k, &threshold);
    if (st == TW_OK) st = twi_zalloc(ctx, k, &members);
    if (st != TW_OK) goto done;
    for (size_t i = 0; i < n; i++) {
        threshold[y[i]] += prob[i * k + y[i]];
        members[y[i]]++;
    }
    for (size_t c = 0; c < k; c++) /* a class without members suggests itself to nobody */
        threshold[c] = members[c] ? threshold[c] / (double)members[c] : 2.0;
    *found = 0;
    for (size_t i = 0; i < n; i++) {
        const double *p = prob + i * k;
        size_t best = k;
        for (size_t c = 0; c < k; c++)
            if (p[c] >= threshold[c] && (best == k || p[c] > p[best])) best = c;
        if (best == k || best == y[i]) continue;
        out[(*found)++] = (twi_suspect){i, (uint32_t)best, p[y[i]], p[best]};
    }
    qsort(out, *found, sizeof *out, surest_first);
done:
    twi_free(threshold);
    twi_free(members);
    return st;
}
