/* clusters.c - disjoint sets. */
#include "audit/audit.h"

tw_status twi_clusters_new(tw_ctx *ctx, size_t n, twi_clusters *out)
{
    size_t *first;
    const tw_status st = twi_alloc(ctx, n, &first);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < n; i++) first[i] = i;
    *out = (twi_clusters){first, n};
    return TW_OK;
}

size_t twi_clusters_root(twi_clusters *clusters, size_t i)
{
    size_t *first = clusters->first;
    while (first[i] != i) { /* path halving: Tarjan & van Leeuwen (1984) */
        first[i] = first[first[i]];
        i = first[i];
    }
    return i;
}

void twi_clusters_join(twi_clusters *clusters, size_t a, size_t b)
{
    const size_t x = twi_clusters_root(clusters, a), y = twi_clusters_root(clusters, b);
    if (x < y)
        clusters->first[y] = x;
    else
        clusters->first[x] = y;
}

void twi_clusters_free(twi_clusters *clusters)
{
    twi_free(clusters->first);
    *clusters = (twi_clusters){0};
}
