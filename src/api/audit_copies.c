/* audit_copies.c - one picture under two names: the same bytes, or nearly the same picture. */
#include "api/audit.h"

#include <stdlib.h>
#include <string.h>

/* docs/audit.md has the evidence. Pairs whose features are this close are copies whatever they look
 * like at a glance (SURE), or may be, and the glance decides (MAYBE and ALIKE). */
#define SURE  0.85
#define MANY  100  /* pictures; fewer have too few components for features alone to be sure */
#define WORK  3e10 /* multiply-adds that a training spends on looking for leaks: half a second */
#define MAYBE 0.30
#define ALIKE 0.92

typedef struct copies {
    twi_auditing *s;
    size_t *by_path; /* [rows] rows, their paths in byte order */
    size_t *rank;    /* [rows] its inverse */
    twi_nears nears; /* those that are copies */
    size_t *twin; /* [rows] a row of the same bytes that stands before it; the row itself: none */
} copies;

/* ---- exact --------------------------------------------------------------------------------- */

typedef struct named {
    const void *key; /* what it is sorted by */
    size_t row;
} named;

static int by_text(const void *a, const void *b)
{
    const named *x = a, *y = b;
    const int order = strcmp(x->key, y->key);
    return order ? order : x->row < y->row ? -1 : x->row > y->row;
}

static int by_digest(const void *a, const void *b)
{
    const named *x = a, *y = b;
    const int order = memcmp(x->key, y->key, TWI_DIGEST_BYTES);
    return order ? order : x->row < y->row ? -1 : x->row > y->row;
}

static tw_status rank_rows(copies *c)
{
    const size_t n = c->s->harvest.rows;
    named *all;
    tw_status st = twi_alloc(c->s->ctx, n, &all);
    if (st == TW_OK) st = twi_alloc(c->s->ctx, n, &c->by_path);
    if (st == TW_OK) st = twi_alloc(c->s->ctx, n, &c->rank);
    for (size_t i = 0; i < n && st == TW_OK; i++) all[i] = (named){twi_audit_text(c->s, i), i};
    if (st == TW_OK) qsort(all, n, sizeof *all, by_text);
    for (size_t i = 0; i < n && st == TW_OK; i++) {
        c->by_path[i] = all[i].row;
        c->rank[all[i].row] = i;
    }
    twi_free(all);
    return st;
}

/* Sorted by digest, then by path. */
static tw_status find_twins(copies *c)
{
    const size_t n = c->s->harvest.rows;
    named *all;
    tw_status st = twi_alloc(c->s->ctx, n, &all);
    if (st == TW_OK) st = twi_alloc(c->s->ctx, n, &c->twin);
    if (st != TW_OK) goto done;
    for (size_t i = 0; i < n; i++) all[i] = (named){c->s->harvest.digest[c->by_path[i]], i};
    qsort(all, n, sizeof *all, by_digest);
    for (size_t i = 0, first = 0; i < n; i++) {
        if (memcmp(all[first].key, all[i].key, TWI_DIGEST_BYTES) != 0) first = i;
        const size_t row = c->by_path[all[i].row];
        c->twin[row] = c->by_path[all[first].row];
        twi_clusters_join(&c->s->clusters, row, c->twin[row]);
    }
done:
    twi_free(all);
    return st;
}

/* ---- near ---------------------------------------------------------------------------------- */

static bool is_copy(const twi_auditing *s, const twi_near *near)
{
    if (near->cosine >= SURE && s->harvest.rows >= MANY) return true;
    const twi_look *a = &s->looks[near->a], *b = &s->looks[near->b];
    return a->width > 0.0f && b->width > 0.0f && twi_look_alike(a, b) >= ALIKE;
}

static tw_status find_nears(copies *c)
{
    twi_auditing *s = c->s;
    const twi_harvest *h = &s->harvest;
    size_t kept = 0;
    const tw_status st = twi_near_pairs(s->ctx, h->x, h->rows, h->d, MAYBE, &c->nears);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < c->nears.n; i++) {
        const twi_near near = c->nears.items[i];
        if (c->twin[near.a] == c->twin[near.b] || !is_copy(s, &near)) continue;
        c->nears.items[kept++] = near;
        twi_clusters_join(&s->clusters, near.a, near.b);
    }
    c->nears.n = kept;
    return TW_OK;
}

/* ---- listing ------------------------------------------------------------------------------- */

/* What is said of a set of copies, by its root. */
typedef struct set {
    size_t number; /* from 1, in the order of the first paths; 0: not numbered yet */
    size_t first;  /* the member whose path is first */
    size_t train, test;
    bool contradiction; /* members of two classes */
} set;

static void describe_sets(copies *c, set *sets)
{
    twi_auditing *s = c->s;
    for (size_t i = 0; i < s->harvest.rows; i++) {
        const size_t row = c->by_path[i];
        set *t = &sets[twi_clusters_root(&s->clusters, row)];
        if (t->train + t->test == 0)
            t->first = row;
        else if (s->y[row] != s->y[t->first])
            t->contradiction = true;
        if (s->part[row] == TW_PART_TEST)
            t->test++;
        else
            t->train++;
    }
}

/* The copy to name beside row: the closest, those whose paths stand before it first. */
static void name_other(const copies *c, size_t row, tw_finding *finding)
{
    size_t other = SIZE_MAX;
    bool before = false;
    float cosine = 0.0f;
    for (size_t i = 0; i < c->nears.n; i++) {
        const twi_near *near = &c->nears.items[i];
        if (near->a != row && near->b != row) continue;
        const size_t partner = near->a == row ? near->b : near->a;
        const bool earlier = c->rank[partner] < c->rank[row];
        if (other != SIZE_MAX && (before != earlier ? before : near->cosine <= cosine)) continue;
        other = partner, before = earlier, cosine = near->cosine;
    }
    if (other == SIZE_MAX) return;
    finding->other = twi_audit_text(c->s, other);
    finding->other_class = twi_names_get(&c->s->audit->classes, c->s->y[other]);
    finding->other_part = c->s->part[other];
    finding->value = (double)cosine;
}

static tw_status list_copies(copies *c, set *sets)
{
    twi_auditing *s = c->s;
    tw_audit_summary *sum = &s->audit->summary;
    size_t numbered = 0;
    tw_status st = TW_OK;
    for (size_t i = 0; i < s->harvest.rows; i++) {
        set *t = &sets[twi_clusters_root(&s->clusters, c->by_path[i])];
        if (t->train + t->test < 2 || t->number) continue;
        t->number = ++numbered;
        sum->contradictions += t->contradiction;
        if (t->train > 0) sum->leaks += t->test;
    }
    sum->copy_sets = numbered;
    for (int near = 0; near < 2; near++)
        for (size_t i = 0; i < s->harvest.rows && st == TW_OK; i++) {
            const size_t row = c->by_path[i], twin = c->twin[row];
            const set *t = &sets[twi_clusters_root(&s->clusters, row)];
            if (!t->number || row == t->first || near != (twin == row)) continue;
            tw_finding finding =
                twi_audit_of_row(s, row, near ? TW_FINDING_NEAR_DUPLICATE : TW_FINDING_DUPLICATE);
            finding.group = t->number;
            finding.leak = t->train > 0 && t->test > 0;
            finding.contradiction = t->contradiction;
            finding.other = twi_audit_text(s, twin);
            finding.other_class = twi_names_get(&s->audit->classes, s->y[twin]);
            finding.other_part = s->part[twin];
            finding.value = 1.0;
            if (near) name_other(c, row, &finding);
            st = twi_audit_add(s, &finding);
        }
    return st;
}

tw_status twi_audit_copies(twi_auditing *s)
{
    copies c = {.s = s};
    set *sets = NULL;
    tw_status st = twi_clusters_new(s->ctx, s->harvest.rows, &s->clusters);
    if (st != TW_OK) goto done;
    if ((st = twi_zalloc(s->ctx, s->harvest.rows, &sets)) != TW_OK) goto done;
    if ((st = rank_rows(&c)) != TW_OK) goto done;
    if ((st = find_twins(&c)) != TW_OK) goto done;
    if ((st = find_nears(&c)) != TW_OK) goto done;
    describe_sets(&c, sets);
    st = list_copies(&c, sets);
done:
    twi_free(sets);
    twi_free(c.by_path);
    twi_free(c.rank);
    twi_free(c.twin);
    twi_nears_free(&c.nears);
    return st;
}

/* ---- leaks, for a training ----------------------------------------------------------------- */

/* Marks the rows from n_train on that have one of the first n_train rows' bytes. */
static tw_status mark_same_bytes(tw_ctx *ctx, const twi_harvest *h, size_t n_train, bool *leaks)
{
    named *all;
    const tw_status st = twi_alloc(ctx, h->rows, &all);
    if (st != TW_OK) return st;
    for (size_t r = 0; r < h->rows; r++) all[r] = (named){h->digest[r], r};
    qsort(all, h->rows, sizeof *all, by_digest);
    for (size_t i = 0, first = 0; i < h->rows; i++) { /* training rows are first among equals */
        if (memcmp(all[first].key, all[i].key, TWI_DIGEST_BYTES) != 0) first = i;
        leaks[all[i].row] = all[first].row < n_train && all[i].row >= n_train;
    }
    twi_free(all);
    return TW_OK;
}

tw_status twi_leaks_count(tw_ctx *ctx, const twi_harvest *h, size_t n_train, size_t *count)
{
    twi_nears nears = {0};
    bool *leaks;
    tw_status st = twi_zalloc(ctx, h->rows, &leaks);
    if (st == TW_OK) st = mark_same_bytes(ctx, h, n_train, leaks);
    if (st == TW_OK && h->rows >= MANY && twi_near_work(h->rows, h->d) <= WORK)
        st = twi_near_pairs(ctx, h->x, h->rows, h->d, SURE, &nears);
    for (size_t i = 0; i < nears.n; i++)
        if (nears.items[i].a < n_train && nears.items[i].b >= n_train)
            leaks[nears.items[i].b] = true;
    *count = 0;
    for (size_t r = n_train; r < h->rows && st == TW_OK; r++) *count += leaks[r];
    twi_nears_free(&nears);
    twi_free(leaks);
    return st;
}
