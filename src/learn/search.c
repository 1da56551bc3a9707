/* search.c - cross-validation of many settings, fold by fold. */
#include "learn/search.h"

#include "base/threads.h"
#include "learn/rows.h"

#include <math.h>
#include <string.h>

typedef struct search {
    const twi_search_problem *p;
    double *accuracy, *seconds;
    bool *active; /* [n_candidates] still in the race */
    /* Tasks of one round: a view and a column of accuracies each. */
    size_t *task_view, *task_column, n_tasks, done, total;
} search;

static size_t columns_of(const twi_search_problem *p)
{
    return p->folds * p->repeats;
}

static bool wanted(const search *s, size_t candidate, size_t view, size_t column)
{
    const twi_search_problem *p = s->p;
    return s->active[candidate] && p->candidates[candidate].view == view &&
           isnan(s->accuracy[candidate * columns_of(p) + column]);
}

/* ---- one fold of one view ------------------------------------------------------------------ */

/* The rows of a fold: those to train on, then those to test on. The classes that training lacks are
 * left out; k is how many it has. */
typedef struct fold {
    const search *s;
    size_t view, column, n_train, n_test, k;
    size_t *rows;
    uint32_t *compact;     /* [n] the class by its place among those present; k: not there */
    const size_t *members; /* candidates of the group going through */
    size_t n_members;
    double started;
} fold;

static tw_status divide(tw_ctx *ctx, fold *f)
{
    const twi_search_problem *p = f->s->p;
    const uint32_t *fold_of = p->fold_of + f->column / p->folds * p->n;
    const size_t number = f->column % p->folds;
    uint32_t *place = NULL;
    tw_status st = twi_alloc(ctx, p->n, &f->rows);
    if (st == TW_OK) st = twi_alloc(ctx, p->n, &f->compact);
    if (st == TW_OK) st = twi_alloc(ctx, p->k, &place);
    if (st != TW_OK) goto done;
    for (size_t i = 0; i < p->n; i++)
        if (fold_of[i] != number) f->rows[f->n_train++] = i;
    for (size_t i = 0; i < p->n; i++)
        if (fold_of[i] == number) f->rows[f->n_train + f->n_test++] = i;
    memset(place, 0xff, p->k * sizeof *place);
    for (size_t i = 0; i < f->n_train; i++) place[p->y[f->rows[i]]] = 0;
    for (size_t c = 0; c < p->k; c++)
        if (place[c] == 0) place[c] = (uint32_t)f->k++;
    for (size_t i = 0; i < p->n; i++) f->compact[i] = place[p->y[i]];
    if (f->k < 2 || f->n_test == 0)
        st =
            twi_fail(ctx, TW_ERR_DATA,
                     "fold %zu has %zu samples of %zu classes to train on and %zu to test on; need "
                     "at least two classes and a sample",
                     number, f->n_train, f->k, f->n_test);
done:
    twi_free(place);
    return st;
}

static tw_status take(tw_ctx *ctx, void *user, size_t at, const twi_head *shape,
                      const double *decision)
{
    const fold *f = user;
    const twi_search_problem *p = f->s->p;
    const size_t candidate = f->members[at];
    uint32_t *label;
    size_t correct = 0;
    tw_status st = twi_alloc(ctx, f->n_test, &label);
    if (st != TW_OK) return st;
    twi_head_label(shape, decision, f->n_test, label);
    for (size_t i = 0; i < f->n_test; i++)
        correct += label[i] == f->compact[f->rows[f->n_train + i]];
    f->s->accuracy[candidate * columns_of(p) + f->column] = (double)correct / (double)f->n_test;
    twi_free(label);
    return TW_OK;
}

static bool same_steps(const tw_head_opts *a, const tw_head_opts *b)
{
    return !a->no_standardise == !b->no_standardise && a->pca == b->pca &&
           !a->normalise == !b->normalise;
}

/* Settings of one kind that take one kind of input. */
static bool same_group(const twi_candidate *a, const twi_candidate *b)
{
    return strcmp(a->opts.kind, b->opts.kind) == 0 && same_steps(&a->opts, &b->opts);
}

/* Steps fitted on the training rows; both parts as the head takes them. */
static tw_status run_group(tw_ctx *ctx, fold *f, const tw_head_opts *grid, size_t n_grid)
{
    const twi_search_problem *p = f->s->p;
    const twi_view *view = &p->views[f->view];
    const twi_head_type *type;
    twi_steps steps = {0};
    twi_stepped both = {0};
    const twi_samples all = {.x = view->x,
                             .y = f->compact,
                             .rows = f->rows,
                             .n = f->n_train + f->n_test,
                             .d = view->d,
                             .k = f->k};
    twi_samples train = all;
    train.n = f->n_train;
    tw_status st = twi_head_find(ctx, grid->kind, &type);
    if (st == TW_OK) st = twi_steps_fit(ctx, &train, grid, &steps);
    if (st == TW_OK) st = twi_steps_prepare(ctx, &steps, &all, type->shifts, &both);
    if (st != TW_OK) goto done;
    /* A copy holds the training rows first, in order; else rows are still picked. */
    twi_samples trained = both.samples, tested = both.samples;
    size_t *after = NULL;
    trained.n = f->n_train;
    tested.n = f->n_test;
    if (both.samples.rows) {
        tested.rows += f->n_train;
    } else if ((st = twi_alloc(ctx, f->n_test, &after)) == TW_OK) {
        for (size_t i = 0; i < f->n_test; i++) after[i] = f->n_train + i;
        tested.rows = after;
    }
    if (st == TW_OK) st = twi_head_path(ctx, &trained, &tested, both.scaler, grid, n_grid, take, f);
    twi_free(after);
done:
    twi_stepped_free(&both);
    twi_steps_free(&steps);
    return st;
}

/* A setting that cannot be fitted on these rows (more neighbours than samples, more components than
 * features) is wrong everywhere rather than the end of the search; anything else ends it. */
static tw_status run_or_excuse(tw_ctx *ctx, fold *f, const tw_head_opts *grid, size_t n_grid)
{
    tw_status st = run_group(ctx, f, grid, n_grid);
    if (st != TW_ERR_DATA && st != TW_ERR_DIVERGED) return st;
    const size_t *members = f->members;
    for (size_t g = 0; g < n_grid; g++) {
        f->members = members + g;
        st = run_group(ctx, f, grid + g, 1);
        if (st == TW_ERR_DATA || st == TW_ERR_DIVERGED)
            f->s->accuracy[members[g] * columns_of(f->s->p) + f->column] = 0.0;
        else if (st != TW_OK)
            return st;
    }
    return TW_OK;
}

/* All candidates that want this fold of this view, group by group. */
static tw_status run_task(tw_ctx *ctx, void *user, size_t task)
{
    search *s = user;
    const twi_search_problem *p = s->p;
    fold f = {.s = s, .view = s->task_view[task], .column = s->task_column[task]};
    size_t *members = NULL;
    tw_head_opts *grid = NULL;
    bool *gone = NULL;
    tw_status st = divide(ctx, &f);
    if (st == TW_OK) st = twi_alloc(ctx, p->n_candidates, &members);
    if (st == TW_OK) st = twi_alloc(ctx, p->n_candidates, &grid);
    if (st == TW_OK) st = twi_zalloc(ctx, p->n_candidates, &gone);
    for (size_t first = 0; first < p->n_candidates && st == TW_OK; first++) {
        if (gone[first] || !wanted(s, first, f.view, f.column)) continue;
        size_t n = 0;
        for (size_t c = first; c < p->n_candidates; c++) {
            if (gone[c] || !wanted(s, c, f.view, f.column)) continue;
            if (!same_group(&p->candidates[c], &p->candidates[first])) continue;
            gone[c] = true;
            members[n] = c;
            grid[n++] = p->candidates[c].opts;
        }
        f.members = members;
        f.n_members = n;
        const double start = twi_seconds();
        st = run_or_excuse(ctx, &f, grid, n);
        const double each = (twi_seconds() - start) / (double)n;
        for (size_t i = 0; i < n; i++) s->seconds[members[i] * columns_of(p) + f.column] = each;
    }
    twi_free(gone);
    twi_free(grid);
    twi_free(members);
    twi_free(f.compact);
    twi_free(f.rows);
    return st;
}

/* ---- rounds -------------------------------------------------------------------------------- */

/* The tasks of columns [from, to). */
static void list_tasks(search *s, size_t from, size_t to)
{
    const twi_search_problem *p = s->p;
    s->n_tasks = 0;
    for (size_t column = from; column < to; column++)
        for (size_t view = 0; view < p->n_views; view++)
            for (size_t c = 0; c < p->n_candidates; c++)
                if (wanted(s, c, view, column)) {
                    s->task_view[s->n_tasks] = view;
                    s->task_column[s->n_tasks++] = column;
                    break;
                }
}

static void tell(search *s, size_t from, size_t to, const bool *known)
{
    const twi_search_problem *p = s->p;
    const size_t columns = columns_of(p);
    for (size_t t = from; t < to && p->learned; t++)
        for (size_t c = 0; c < p->n_candidates; c++) {
            const size_t cell = c * columns + s->task_column[t];
            if (p->candidates[c].view == s->task_view[t] && !known[cell] &&
                !isnan(s->accuracy[cell]))
                p->learned(p->user, c, s->task_column[t], s->accuracy[cell], s->seconds[cell]);
        }
}

/* Small tasks side by side, one thread each; large ones one after the other with all threads. */
static tw_status run_tasks(tw_ctx *ctx, search *s, bool *late)
{
    const twi_search_problem *p = s->p;
    const size_t threads = twi_threads(ctx), columns = columns_of(p);
    size_t widest = 0;
    bool *known;
    tw_status st = twi_alloc(ctx, p->n_candidates * columns, &known);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < p->n_candidates * columns; i++) known[i] = !isnan(s->accuracy[i]);
    for (size_t v = 0; v < p->n_views; v++)
        if (p->views[v].d > widest) widest = p->views[v].d;
    const size_t step = p->n * widest < TWI_WORTH_A_THREAD ? threads : 1;
    for (size_t at = 0; at < s->n_tasks && st == TW_OK; at += step) {
        const size_t n = s->n_tasks - at < step ? s->n_tasks - at : step;
        st = twi_progress(ctx, "compare", s->done, s->total, 0);
        if (st == TW_OK && p->until > 0.0 && twi_seconds() >= p->until) *late = true;
        if (st != TW_OK || *late) break;
        search part = *s;
        part.task_view += at;
        part.task_column += at;
        if (step > 1) tw_ctx_set_threads(ctx, 1); /* workers take over what is set here */
        st = twi_parallel(ctx, step, n, run_task, &part);
        if (step > 1) tw_ctx_set_threads(ctx, threads);
        if (st == TW_OK) tell(s, at, at + n, known);
        s->done += n;
    }
    twi_free(known);
    return st;
}

size_t twi_search_mean(const double *accuracy, size_t columns, double *mean)
{
    size_t n = 0;
    double sum = 0.0;
    for (size_t i = 0; i < columns; i++)
        if (!isnan(accuracy[i])) sum += accuracy[i], n++;
    *mean = n ? sum / (double)n : NAN;
    return n;
}

size_t twi_search_best(const double *accuracy, size_t n_candidates, size_t columns)
{
    size_t best = 0, furthest = 0;
    double highest = -1.0;
    for (size_t c = 0; c < n_candidates; c++) {
        double mean;
        const size_t n = twi_search_mean(accuracy + c * columns, columns, &mean);
        if (n == 0 || n < furthest || (n == furthest && !(mean > highest))) continue;
        best = c;
        furthest = n;
        highest = mean;
    }
    return best;
}

/* The better half goes on, and never fewer than four; equals go on together. */
static void halve(search *s, size_t known)
{
    const twi_search_problem *p = s->p;
    const size_t columns = columns_of(p);
    size_t active = 0;
    for (size_t c = 0; c < p->n_candidates; c++) active += s->active[c];
    const size_t keep = active / 2 > 4 ? active / 2 : 4;
    for (size_t c = 0; c < p->n_candidates; c++) {
        if (!s->active[c]) continue;
        double own, other;
        size_t better = 0;
        twi_search_mean(s->accuracy + c * columns, known, &own);
        for (size_t o = 0; o < p->n_candidates; o++) {
            twi_search_mean(s->accuracy + o * columns, known, &other);
            better += other > own;
        }
        s->active[c] = better < keep;
    }
}

tw_status twi_search_run(tw_ctx *ctx, const twi_search_problem *problem, double *accuracy,
                         double *seconds, bool *stopped)
{
    const size_t columns = columns_of(problem), n = problem->n_candidates;
    search s = {.p = problem, .accuracy = accuracy};
    size_t tasks, cells;
    bool late = false;
    if (twi_mul(columns, problem->n_views, &tasks) || twi_mul(n, columns, &cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "%zu settings in %zu folds are too many", n, columns);
    tw_status st = twi_alloc(ctx, n, &s.active);
    if (st == TW_OK) st = twi_alloc(ctx, tasks, &s.task_view);
    if (st == TW_OK) st = twi_alloc(ctx, tasks, &s.task_column);
    if (st == TW_OK) st = twi_zalloc(ctx, cells, &s.seconds);
    if (st != TW_OK) goto done;
    for (size_t c = 0; c < n; c++) s.active[c] = true;
    list_tasks(&s, 0, columns);
    s.total = s.n_tasks;
    if (problem->until > 0.0) {
        for (size_t column = 0; column < columns && st == TW_OK && !late; column++) {
            list_tasks(&s, column, column + 1);
            st = run_tasks(ctx, &s, &late);
            if (st == TW_OK && !late) halve(&s, column + 1);
        }
    } else {
        st = run_tasks(ctx, &s, &late);
    }
    for (size_t c = 0; c < n; c++)
        for (size_t column = 0; column < columns; column++)
            seconds[c] += s.seconds[c * columns + column];
    if (stopped) *stopped = late;
done:
    twi_free(s.active);
    twi_free(s.task_view);
    twi_free(s.task_column);
    twi_free(s.seconds);
    return st;
}

tw_status twi_search_strength(tw_ctx *ctx, const twi_samples *samples, const twi_folding *folding,
                              tw_head_opts *opts)
{
    const twi_view view = {samples->x, samples->d};
    const twi_head_type *type;
    twi_candidate candidates[TWI_LEN(type->grid)];
    double seconds[TWI_LEN(type->grid)] = {0}, *accuracy;
    const bool is_C = opts->C == TW_AUTO;
    size_t n = 0;
    if (folding->folds == 0) {
        *(is_C ? &opts->C : &opts->alpha) = 1.0;
        return TW_OK;
    }
    tw_status st = twi_head_find(ctx, opts->kind, &type);
    if (st != TW_OK) return st;
    for (; n < TWI_LEN(type->grid) && type->grid[n] > 0.0; n++) {
        candidates[n] = (twi_candidate){0, *opts};
        *(is_C ? &candidates[n].opts.C : &candidates[n].opts.alpha) = type->grid[n];
    }
    if ((st = twi_alloc(ctx, n * folding->folds, &accuracy)) != TW_OK) return st;
    for (size_t i = 0; i < n * folding->folds; i++) accuracy[i] = (double)NAN;
    const twi_search_problem problem = {.views = &view,
                                        .n_views = 1,
                                        .y = samples->y,
                                        .n = samples->n,
                                        .k = samples->k,
                                        .candidates = candidates,
                                        .n_candidates = n,
                                        .fold_of = folding->fold_of,
                                        .folds = folding->folds,
                                        .repeats = 1};
    st = twi_search_run(ctx, &problem, accuracy, seconds, NULL);
    if (st == TW_OK) *opts = candidates[twi_search_best(accuracy, n, folding->folds)].opts;
    twi_free(accuracy);
    return st;
}
