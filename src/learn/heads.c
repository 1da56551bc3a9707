/* heads.c - the table of heads: finding one, its options and defaults, and what its row leaves out.
 */
#include "learn/head.h"

#include "base/text.h"

#include <math.h>
#include <string.h>

const twi_head_type *const twi_head_types[] = {
    &twi_head_logreg, &twi_head_linear_svm, &twi_head_svm_rbf,  &twi_head_mlp,
    &twi_head_ridge,  &twi_head_knn,        &twi_head_centroid, NULL};

tw_status twi_head_find(tw_ctx *ctx, const char *name, const twi_head_type **out)
{
    twi_text known = {0};
    for (size_t i = 0; twi_head_types[i]; i++) {
        if (!name || strcmp(twi_head_types[i]->name, name) == 0) {
            *out = twi_head_types[i];
            twi_text_free(&known);
            return TW_OK;
        }
        twi_text_format(&known, "%s%s", i ? ", " : "", twi_head_types[i]->name);
    }
    const tw_status st =
        known.failed
            ? twi_fail(ctx, TW_ERR_NOMEM, "no memory for a message")
            : twi_fail(ctx, TW_ERR_ARG, "no head is called %s; known are %s", name, known.text);
    twi_text_free(&known);
    return st;
}

/* ---- options ------------------------------------------------------------------------------- */

void tw_head_opts_init(tw_head_opts *opts)
{
    *opts = (tw_head_opts){.size_bytes = sizeof *opts, .seed = 42, .l1_ratio = 0.5};
}

/* Which of the options that belong to some heads only were given, and under which bit. */
static tw_status check_taken(tw_ctx *ctx, const twi_head_type *type, const tw_head_opts *o)
{
    const struct {
        unsigned bit;
        bool given;
        const char *name;
    } some[] = {
        {TWI_TAKES_C, o->C != 0.0, "C"},
        {TWI_TAKES_ALPHA, o->alpha != 0.0, "alpha"},
        {TWI_TAKES_PENALTY, o->penalty != NULL, "penalty"},
        {TWI_TAKES_LOSS, o->loss != NULL, "loss"},
        {TWI_TAKES_GAMMA, o->gamma != 0.0, "gamma"},
        {TWI_TAKES_LAYERS, o->n_hidden != 0, "hidden"},
        {TWI_TAKES_LAYERS, o->learning_rate != 0.0, "learning_rate"},
        {TWI_TAKES_LAYERS, o->batch_size != 0, "batch_size"},
        {TWI_TAKES_LAYERS, o->early_stopping != 0, "early_stopping"},
        {TWI_TAKES_LAYERS, o->n_iter_no_change != 0, "n_iter_no_change"},
        {TWI_TAKES_NEIGHBORS, o->neighbors != 0, "neighbors"},
        {TWI_TAKES_NEIGHBORS, o->metric != NULL, "metric"},
        {TWI_TAKES_NEIGHBORS, o->weights != NULL, "weights"},
        {TWI_TAKES_BALANCED, o->balanced != 0, "class weight"},
        {TWI_TAKES_LIMITS, o->max_iter != 0, "max_iter"},
        {TWI_TAKES_LIMITS, o->tol != 0.0, "tol"},
    };
    for (size_t i = 0; i < TWI_LEN(some); i++)
        if (some[i].given && !(type->takes & some[i].bit))
            return twi_fail(ctx, TW_ERR_ARG, "the head %s has no option %s", type->name,
                            some[i].name);
    return TW_OK;
}

/* A word among words (NULL-ended); NULL becomes the first. */
static tw_status check_word(tw_ctx *ctx, const char *option, const char *const *words,
                            const char **word)
{
    if (!*word) *word = words[0];
    twi_text known = {0};
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(words[i], *word) == 0) {
            *word = words[i]; /* the caller's text need not live on */
            twi_text_free(&known);
            return TW_OK;
        }
        twi_text_format(&known, "%s%s", i ? ", " : "", words[i]);
    }
    const tw_status st = known.failed ? twi_fail(ctx, TW_ERR_NOMEM, "no memory for a message")
                                      : twi_fail(ctx, TW_ERR_ARG, "%s is %s; allowed are %s",
                                                 option, *word, known.text);
    twi_text_free(&known);
    return st;
}

static tw_status check_words(tw_ctx *ctx, const twi_head_type *type, tw_head_opts *o)
{
    static const char *const penalties[] = {"l2", "l1", "elasticnet", NULL};
    static const char *const losses[] = {"squared_hinge", "hinge", NULL};
    static const char *const metrics[] = {"euclidean", "cosine", NULL};
    static const char *const weights[] = {"uniform", "distance", NULL};
    static const char *const calibrations[] = {"none", "sigmoid", "isotonic", NULL};
    tw_status st = TW_OK;
    if (type->takes & TWI_TAKES_PENALTY) st = check_word(ctx, "penalty", penalties, &o->penalty);
    if (st == TW_OK && type->takes & TWI_TAKES_LOSS) st = check_word(ctx, "loss", losses, &o->loss);
    if (st == TW_OK && type->takes & TWI_TAKES_NEIGHBORS) {
        st = check_word(ctx, "metric", metrics, &o->metric);
        if (st == TW_OK) st = check_word(ctx, "weights", weights, &o->weights);
    }
    if (st == TW_OK && !o->calibrate && !type->probability) o->calibrate = "sigmoid";
    return st == TW_OK ? check_word(ctx, "calibrate", calibrations, &o->calibrate) : st;
}

/* value must be finite and above 0, or be what `fallback` replaces: 0; TW_AUTO may stand. */
static tw_status check_positive(tw_ctx *ctx, const char *option, double fallback, bool may_be_auto,
                                double *value)
{
    if (*value == 0.0) *value = fallback;
    if (may_be_auto && *value == TW_AUTO) return TW_OK;
    if (*value > 0.0 && *value <= 1e300) return TW_OK;
    return twi_fail(ctx, TW_ERR_ARG, "%s must be a finite number above 0%s", option,
                    may_be_auto ? ", or auto" : "");
}

static tw_status check_numbers(tw_ctx *ctx, const twi_head_type *type, tw_head_opts *o)
{
    tw_status st = TW_OK;
    if (type->takes & TWI_TAKES_C) st = check_positive(ctx, "C", 1.0, true, &o->C);
    if (st == TW_OK && type->takes & TWI_TAKES_ALPHA)
        st =
            check_positive(ctx, "alpha", type->alpha, !(type->takes & TWI_TAKES_LAYERS), &o->alpha);
    if (st == TW_OK && type->takes & TWI_TAKES_LIMITS)
        st = check_positive(ctx, "tol", type->tol, false, &o->tol);
    if (st == TW_OK && type->takes & TWI_TAKES_GAMMA && o->gamma != 0.0)
        st = check_positive(ctx, "gamma", 0.0, true, &o->gamma);
    if (st == TW_OK && type->takes & TWI_TAKES_LAYERS)
        st = check_positive(ctx, "learning_rate", 1e-3, false, &o->learning_rate);
    if (st == TW_OK && !(o->l1_ratio >= 0.0 && o->l1_ratio <= 1.0))
        st = twi_fail(ctx, TW_ERR_ARG, "l1_ratio must lie between 0 and 1");
    return st;
}

static tw_status check_layers(tw_ctx *ctx, tw_head_opts *o)
{
    if (o->n_hidden > TW_HIDDEN_MAX)
        return twi_fail(ctx, TW_ERR_ARG, "%zu hidden layers; at most %d are allowed", o->n_hidden,
                        TW_HIDDEN_MAX);
    if (o->n_hidden == 0) {
        o->hidden[0] = 100;
        o->n_hidden = 1;
    }
    for (size_t i = 0; i < o->n_hidden; i++)
        if (o->hidden[i] < 1 || o->hidden[i] > 65536)
            return twi_fail(ctx, TW_ERR_ARG,
                            "hidden layer %zu has %zu units; allowed are 1 to 65536", i + 1,
                            o->hidden[i]);
    if (o->n_iter_no_change == 0) o->n_iter_no_change = 10;
    return TW_OK;
}

tw_status twi_head_resolve(tw_ctx *ctx, const tw_head_opts *given, tw_head_opts *out)
{
    tw_head_opts o;
    const twi_head_type *type;
    tw_head_opts_init(&o);
    if (given) {
        if (given->size_bytes != sizeof o)
            return twi_fail(ctx, TW_ERR_ARG,
                            "head options of %zu bytes; this library has %zu: use _init",
                            given->size_bytes, sizeof o);
        o = *given;
    }
    tw_status st = twi_head_find(ctx, o.kind, &type);
    if (st != TW_OK) return st;
    o.kind = type->name;
    if ((st = check_taken(ctx, type, &o)) != TW_OK) return st;
    if ((st = check_words(ctx, type, &o)) != TW_OK) return st;
    if ((st = check_numbers(ctx, type, &o)) != TW_OK) return st;
    if (o.max_iter == 0) o.max_iter = type->max_iter;
    if (type->takes & TWI_TAKES_LAYERS && (st = check_layers(ctx, &o)) != TW_OK) return st;
    if (type->takes & TWI_TAKES_NEIGHBORS && o.neighbors == 0) o.neighbors = 5;
    if (o.calibrate_folds == 0) o.calibrate_folds = 5;
    if (o.calibrate_folds < 2)
        return twi_fail(ctx, TW_ERR_ARG, "calibration needs at least 2 folds");
    *out = o;
    return TW_OK;
}

/* ---- what a row leaves out ----------------------------------------------------------------- */

static const twi_head_type *type_of(const tw_head_opts *opts)
{
    const twi_head_type *type = twi_head_types[0];
    for (size_t i = 0; twi_head_types[i]; i++)
        if (strcmp(twi_head_types[i]->name, opts->kind) == 0) type = twi_head_types[i];
    return type;
}

tw_status twi_head_fit(tw_ctx *ctx, const twi_samples *samples, const twi_scaler *scaler,
                       const tw_head_opts *opts, twi_head **out)
{
    return type_of(opts)->fit(ctx, samples, scaler, opts, out);
}

void twi_head_label(const twi_head *head, const double *decision, size_t n, uint32_t *label)
{
    if (head->type->label) {
        head->type->label(head, decision, n, label);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const double *u = decision + i * head->width;
        uint32_t best = 0;
        for (size_t c = 1; c < head->width; c++)
            if (u[c] > u[best]) best = (uint32_t)c;
        label[i] = head->width == 1 ? u[0] > 0.0 : best;
    }
}

void twi_head_score(const twi_head *head, const double *decision, size_t n, double *score)
{
    if (head->type->score) {
        head->type->score(head, decision, n, score);
    } else if (head->width == 1) {
        for (size_t i = 0; i < n; i++) {
            score[2 * i] = -decision[i];
            score[2 * i + 1] = decision[i];
        }
    } else {
        memcpy(score, decision, n * head->width * sizeof *score);
    }
}

tw_status twi_head_stretch(tw_ctx *ctx, const twi_samples *samples, twi_stretch *out)
{
    const size_t d = samples->d;
    twi_stretch made = {samples->x, samples->n, NULL};
    size_t cells;
    if (samples->rows) {
        if (twi_mul(samples->n, d, &cells))
            return twi_fail(ctx, TW_ERR_NOMEM, "%zu samples of %zu features do not fit in memory",
                            samples->n, d);
        const tw_status st = twi_alloc(ctx, cells, &made.copy);
        if (st != TW_OK) return st;
        for (size_t i = 0; i < samples->n; i++)
            memcpy(made.copy + i * d, samples->x + samples->rows[i] * d, d * sizeof *made.copy);
        made.x = made.copy;
    }
    *out = made;
    return TW_OK;
}

typedef struct one_by_one {
    const twi_samples *train, *tested;
    const twi_scaler *scaler;
    const float *x; /* [tested->n, d] */
    twi_path_take take;
    void *user;
} one_by_one;

static tw_status one_setting(tw_ctx *ctx, const one_by_one *s, const tw_head_opts *opts, size_t at)
{
    twi_head *head = NULL;
    double *decision = NULL;
    size_t cells;
    tw_status st = twi_head_fit(ctx, s->train, s->scaler, opts, &head);
    if (st != TW_OK) return st;
    if (twi_mul(s->tested->n, head->width, &cells)) {
        st = twi_fail(ctx, TW_ERR_NOMEM, "%zu decisions do not fit in memory", s->tested->n);
        goto done;
    }
    if ((st = twi_alloc(ctx, cells, &decision)) != TW_OK) goto done;
    st = head->type->decide(ctx, head, s->scaler, s->x, s->tested->n, decision);
    if (st == TW_OK) st = s->take(ctx, s->user, at, head, decision);
done:
    twi_free(decision);
    twi_head_free(head);
    return st;
}

tw_status twi_head_one_by_one(tw_ctx *ctx, const twi_samples *train, const twi_samples *tested,
                              const twi_scaler *scaler, const tw_head_opts *grid, size_t n_grid,
                              twi_path_take take, void *user)
{
    twi_stretch x;
    tw_status st = twi_head_stretch(ctx, tested, &x);
    if (st != TW_OK) return st;
    const one_by_one s = {train, tested, scaler, x.x, take, user};
    for (size_t at = 0; at < n_grid && st == TW_OK; at++) st = one_setting(ctx, &s, &grid[at], at);
    twi_free(x.copy);
    return st;
}

tw_status twi_head_path(tw_ctx *ctx, const twi_samples *train, const twi_samples *tested,
                        const twi_scaler *scaler, const tw_head_opts *grid, size_t n_grid,
                        twi_path_take take, void *user)
{
    if (n_grid == 0) return TW_OK;
    const twi_head_type *type = type_of(grid);
    return (type->path ? type->path : twi_head_one_by_one)(ctx, train, tested, scaler, grid, n_grid,
                                                           take, user);
}

void twi_head_free(twi_head *head)
{
    if (head) head->type->free(head);
}

/* ---- tensors ------------------------------------------------------------------------------- */

static tw_status put(tw_ctx *ctx, twi_tensors *tensors, const char *name, twi_dtype dtype,
                     const size_t shape[2], const void *values)
{
    const size_t rank = shape[0] ? 2 : 1;
    void *data;
    const tw_status st =
        twi_tensors_add(ctx, tensors, name, dtype, rank, shape[0] ? shape : shape + 1, NULL, &data);
    if (st == TW_OK)
        memcpy(data, values, (shape[0] ? shape[0] : 1) * shape[1] * twi_dtype_size(dtype));
    return st;
}

tw_status twi_head_put(tw_ctx *ctx, twi_tensors *tensors, const char *name, size_t rows,
                       size_t columns, const double *values)
{
    return put(ctx, tensors, name, TWI_F64, (const size_t[]){rows, columns}, values);
}

tw_status twi_head_put_floats(tw_ctx *ctx, twi_tensors *tensors, const char *name, size_t rows,
                              size_t columns, const float *values)
{
    return put(ctx, tensors, name, TWI_F32, (const size_t[]){rows, columns}, values);
}

static tw_status find(tw_ctx *ctx, const char *file, const twi_tensors *tensors, const char *name,
                      const size_t shape[2], twi_dtype dtype, const twi_tensor **out)
{
    const twi_tensor *t = twi_tensors_find(tensors, name);
    if (!t) return twi_fail(ctx, TW_ERR_FORMAT, "%s: tensor \"%s\" is missing", file, name);
    const size_t rank = shape[0] ? 2 : 1;
    if (t->dtype != dtype || t->rank != rank || t->dims[rank - 1] != shape[1] ||
        (rank == 2 && t->dims[0] != shape[0]))
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: tensor \"%s\" is not %s of shape [%zu, %zu]", file,
                        name, dtype == TWI_F64 ? "F64" : "F32", shape[0] ? shape[0] : 1, shape[1]);
    *out = t;
    return TW_OK;
}

static tw_status not_finite(tw_ctx *ctx, const char *file, const char *name)
{
    return twi_fail(ctx, TW_ERR_FORMAT, "%s: tensor \"%s\" holds a number that is not finite", file,
                    name);
}

tw_status twi_head_take(tw_ctx *ctx, const char *file, const twi_tensors *tensors, const char *name,
                        size_t rows, size_t columns, double **out)
{
    const twi_tensor *t;
    double *values;
    tw_status st = find(ctx, file, tensors, name, (const size_t[]){rows, columns}, TWI_F64, &t);
    if (st != TW_OK || (st = twi_alloc(ctx, t->count, &values)) != TW_OK) return st;
    if (t->count) memcpy(values, t->data, t->count * sizeof *values); /* need not be aligned */
    for (size_t i = 0; i < t->count; i++)
        if (!isfinite(values[i])) {
            twi_free(values);
            return not_finite(ctx, file, name);
        }
    *out = values;
    return TW_OK;
}

tw_status twi_head_take_floats(tw_ctx *ctx, const char *file, const twi_tensors *tensors,
                               const char *name, size_t rows, size_t columns, float **out)
{
    const twi_tensor *t;
    float *values;
    tw_status st = find(ctx, file, tensors, name, (const size_t[]){rows, columns}, TWI_F32, &t);
    if (st != TW_OK || (st = twi_alloc(ctx, t->count, &values)) != TW_OK) return st;
    if (t->count) memcpy(values, t->data, t->count * sizeof *values);
    for (size_t i = 0; i < t->count; i++)
        if (!isfinite(values[i])) {
            twi_free(values);
            return not_finite(ctx, file, name);
        }
    *out = values;
    return TW_OK;
}
