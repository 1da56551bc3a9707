/* audit.c - topwork audit: everything about a data set that would make its numbers lie. */
#include "api/calibrate.h"
#include "api/audit.h"

#include "api/options.h"
#include "learn/search.h"

#include <math.h>
#include <string.h>

#define FOLDS   5
#define REPEATS 5

void tw_audit_opts_init(tw_audit_opts *opts)
{
    *opts = (tw_audit_opts){
        .size_bytes = sizeof *opts, .test_size = 0.2, .seed = 42, .stratify = TW_DEFAULT};
    tw_extract_opts_init(&opts->extract);
}

static tw_status read_options(twi_auditing *s, const tw_audit_opts *given)
{
    tw_audit_opts *o = &s->opts;
    tw_audit_opts_init(o);
    const tw_status st =
        twi_options_read(s->ctx, o, sizeof *o, given, given ? given->size_bytes : 0);
    if (st != TW_OK) return st;
    o->extract.classifier = 0;
    if (!o->backbone) o->backbone = "sapling";
    s->parts_opts = (twi_parts_opts){.test_size = o->test_size,
                                     .seed = o->seed,
                                     .stratify = o->stratify != TW_NO,
                                     .groups = o->groups != 0};
    return TW_OK;
}

/* ---- features ------------------------------------------------------------------------------ */

/* The split that train would make. Where none can be made, all pictures are looked at undivided,
 * and the log says why. */
static tw_status divide(twi_auditing *s)
{
    const size_t n = tw_dataset_count(s->dataset);
    tw_status st = twi_parts_make(s->ctx, s->dataset, &s->parts_opts, &s->parts);
    if (st != TW_ERR_DATA) return st;
    twi_log(s->ctx, TW_LOG_WARNING, "leaks between training and test part were not looked for: %s",
            tw_last_error(s->ctx));
    if ((st = twi_alloc(s->ctx, n, &s->parts.order)) != TW_OK) return st;
    for (size_t i = 0; i < n; i++) s->parts.order[i] = i;
    s->parts.n_train = n;
    s->undivided = true;
    return TW_OK;
}

static tw_status harvest(twi_auditing *s)
{
    tw_backbone *backbone = NULL;
    twi_extractor *extractor = NULL;
    twi_extractor_opts extract;
    tw_status st = tw_backbone_open(s->ctx, s->opts.backbone, &backbone);
    if (st == TW_OK)
        st = twi_extract_prepare(s->ctx, backbone, &s->opts.extract, s->dataset, s->parts.order,
                                 s->parts.n_train, &extract);
    if (st == TW_OK) st = twi_extractor_new(s->ctx, backbone->network, &extract, &extractor);
    if (st == TW_OK)
        st = twi_harvest_run(s->ctx, extractor, s->dataset, s->parts.order,
                             s->parts.n_train + s->parts.n_test, s->report, &s->harvest);
    twi_extractor_free(extractor);
    tw_backbone_free(backbone);
    return st;
}

static tw_status describe_rows(twi_auditing *s)
{
    const twi_harvest *h = &s->harvest;
    tw_status st = twi_alloc(s->ctx, h->rows, &s->y);
    if (st == TW_OK) st = twi_alloc(s->ctx, h->rows, &s->part);
    if (st != TW_OK) return st;
    for (size_t r = 0, at = 0; r < h->rows; r++, at++) {
        while (s->parts.order[at] != h->sample[r]) at++; /* those that could not be read */
        s->y[r] = tw_dataset_label(s->dataset, h->sample[r]);
        s->part[r] = s->undivided            ? TW_PART_NONE
                     : at < s->parts.n_train ? TW_PART_TRAIN
                                             : TW_PART_TEST;
    }
    return TW_OK;
}

/* ---- findings ------------------------------------------------------------------------------ */

tw_status twi_audit_add(twi_auditing *s, const tw_finding *finding)
{
    tw_audit *a = s->audit;
    const tw_status st = twi_grow(s->ctx, &a->findings, &a->capacity, a->n + 1);
    if (st == TW_OK) a->findings[a->n++] = *finding;
    return st;
}

tw_finding twi_audit_of_row(const twi_auditing *s, size_t row, tw_finding_kind kind)
{
    return (tw_finding){.kind = kind,
                        .path = twi_audit_text(s, row),
                        .class_name = twi_names_get(&s->audit->classes, s->y[row]),
                        .part = s->part[row]};
}

const char *twi_audit_text(const twi_auditing *s, size_t row)
{
    return twi_names_get(&s->audit->paths, row);
}

/* Texts stay with the audit: it does not borrow from the data set. */
static tw_status keep_texts(twi_auditing *s)
{
    const twi_harvest *h = &s->harvest;
    tw_status st = TW_OK;
    for (size_t k = 0; k < tw_dataset_class_count(s->dataset) && st == TW_OK; k++)
        st = twi_names_add(s->ctx, &s->audit->classes, tw_dataset_class_name(s->dataset, k));
    for (size_t r = 0; r < h->rows && st == TW_OK; r++)
        st = twi_names_add(s->ctx, &s->audit->paths,
                           twi_dataset_relative_path(s->dataset, h->sample[r]));
    return st;
}

static tw_status list_unreadable(twi_auditing *s)
{
    const tw_dataset *d = s->dataset;
    const twi_names *paths = &s->report->skipped_paths, *reasons = &s->report->skipped_reasons;
    tw_audit *a = s->audit;
    const size_t passed_over = tw_dataset_skipped_count(d), total = passed_over + paths->n;
    tw_status st = TW_OK;
    for (size_t i = 0; i < total && st == TW_OK; i++) {
        const size_t j = i - passed_over;
        st = twi_names_add(s->ctx, &a->unread,
                           i < passed_over ? tw_dataset_skipped_path(d, i) : paths->items[j]);
        if (st == TW_OK)
            st = twi_names_add(s->ctx, &a->reasons,
                               i < passed_over ? tw_dataset_skipped_reason(d, i)
                                               : reasons->items[j]);
        if (st == TW_OK)
            st = twi_audit_add(s, &(tw_finding){.kind = TW_FINDING_UNREADABLE,
                                                .path = twi_names_get(&a->unread, i),
                                                .reason = twi_names_get(&a->reasons, i)});
    }
    return st;
}

/* Below ten photos a class is learned by heart, and a hundredth of another's photos it is drowned:
 * where the learning curves of docs/ bend. */
#define FEW     10
#define DROWNED 10.0

static tw_status list_classes(twi_auditing *s)
{
    const size_t k = s->audit->classes.n;
    size_t *count, most = 0;
    tw_status st = twi_zalloc(s->ctx, k, &count);
    if (st != TW_OK) return st;
    for (size_t r = 0; r < s->harvest.rows; r++) count[s->y[r]]++;
    for (size_t c = 0; c < k; c++) most = count[c] > most ? count[c] : most;
    for (size_t c = 0; c < k && st == TW_OK; c++) {
        tw_finding finding = {.kind = TW_FINDING_FEW,
                              .class_name = twi_names_get(&s->audit->classes, c),
                              .value = (double)count[c]};
        if (count[c] < FEW) st = twi_audit_add(s, &finding);
        finding.kind = TW_FINDING_RARE;
        if (st == TW_OK && (double)count[c] * DROWNED < (double)most)
            st = twi_audit_add(s, &finding);
    }
    twi_free(count);
    return st;
}

/* ---- labels -------------------------------------------------------------------------------- */

/* Copies of one picture are tested in one fold: they would vouch for each other's label. */
static void keep_copies_together(twi_auditing *s, uint32_t *fold_of)
{
    for (size_t r = 0; r < s->harvest.rows; r++)
        fold_of[r] = fold_of[twi_clusters_root(&s->clusters, r)];
}

/* prob [n, k] += share of what logistic regression made score [n, k] of. Of two classes the scores
 * are minus and plus the one decision, whose sigmoid is wanted. */
static void add_probabilities(const double *score, size_t n, size_t k, double share, double *prob)
{
    const double scale = k == 2 ? 0.5 : 1.0;
    for (size_t i = 0; i < n; i++) {
        const double *u = score + i * k;
        double top = u[0], sum = 0.0;
        for (size_t c = 1; c < k; c++) top = u[c] > top ? u[c] : top;
        for (size_t c = 0; c < k; c++) sum += exp(scale * (u[c] - top));
        for (size_t c = 0; c < k; c++) prob[i * k + c] += share * exp(scale * (u[c] - top)) / sum;
    }
}

/* fold_of [repeats, n]: the mean over the repeats is surer of itself than one of them. C is chosen
 * on the first. */
static tw_status predict_out_of_fold(twi_auditing *s, const twi_samples *samples, size_t folds,
                                     size_t repeats, const uint32_t *fold_of, double *prob)
{
    const twi_head_type *type = &twi_head_logreg;
    tw_head_opts given, opts;
    double *score = NULL;
    size_t n_grid = 0;
    tw_head_opts_init(&given);
    tw_status st = twi_head_resolve(s->ctx, &given, &opts);
    if (st == TW_OK) st = twi_alloc(s->ctx, samples->n * samples->k, &score);
    if (st != TW_OK) return st;
    while (n_grid < TWI_LEN(type->grid) && type->grid[n_grid] > 0.0) n_grid++;
    const twi_logreg_opts linear = {.C = 1.0, .tol = opts.tol, .max_iter = opts.max_iter};
    st = twi_logreg_choose_c(s->ctx, samples, fold_of, folds, type->grid, n_grid, &linear, &opts.C,
                             NULL);
    for (size_t i = 0; i < repeats && st == TW_OK; i++) {
        const twi_folding folding = {fold_of + i * samples->n, folds};
        st = twi_classifier_out_of_fold(s->ctx, samples, &opts, &folding, score);
        if (st == TW_OK)
            add_probabilities(score, samples->n, samples->k, 1.0 / (double)repeats, prob);
    }
    twi_free(score);
    return st;
}

static tw_status list_suspects(twi_auditing *s, const twi_samples *samples, const double *prob)
{
    twi_suspect *suspects;
    size_t found, correct = 0;
    tw_status st = twi_alloc(s->ctx, samples->n, &suspects);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < samples->n; i++) {
        size_t best = 0;
        for (size_t c = 1; c < samples->k; c++)
            if (prob[i * samples->k + c] > prob[i * samples->k + best]) best = c;
        correct += best == samples->y[i];
    }
    s->audit->summary.accuracy = (double)correct / (double)samples->n;
    s->audit->summary.labels_checked = 1;
    st = twi_suspects_find(s->ctx, prob, samples->y, samples->n, samples->k, suspects, &found);
    for (size_t i = 0; i < found && st == TW_OK; i++) {
        tw_finding finding = twi_audit_of_row(s, suspects[i].sample, TW_FINDING_LABEL);
        finding.other_class = twi_names_get(&s->audit->classes, suspects[i].suggested);
        finding.value = suspects[i].suggested_p;
        st = twi_audit_add(s, &finding);
    }
    twi_free(suspects);
    return st;
}

static tw_status check_labels(twi_auditing *s)
{
    const twi_harvest *h = &s->harvest;
    const twi_samples samples = {
        .x = h->x, .y = s->y, .n = h->rows, .d = h->d, .k = s->audit->classes.n};
    const size_t repeats = s->opts.groups ? 1 : REPEATS;
    size_t folds = FOLDS, cells;
    uint32_t *fold_of = NULL;
    double *prob = NULL;
    tw_status st = TW_OK;
    if (samples.k >= 2)
        st = twi_parts_folds(s->ctx, s->dataset, &s->parts_opts, h->sample, h->rows, s->y,
                             samples.k, &folds, repeats, &fold_of);
    if (st != TW_OK) goto done;
    if (samples.k < 2 || folds == 0) {
        twi_log(s->ctx, TW_LOG_WARNING,
                "labels were not checked: that needs two classes and two pictures of each at "
                "least");
        goto done;
    }
    if (twi_mul(samples.n, samples.k, &cells)) {
        st = twi_fail(s->ctx, TW_ERR_NOMEM, "%zu pictures of %zu classes do not fit in memory",
                      samples.n, samples.k);
        goto done;
    }
    for (size_t i = 0; i < repeats; i++) keep_copies_together(s, fold_of + i * samples.n);
    if ((st = twi_zalloc(s->ctx, cells, &prob)) != TW_OK) goto done;
    st = predict_out_of_fold(s, &samples, folds, repeats, fold_of, prob);
    if (st == TW_OK) st = list_suspects(s, &samples, prob);
done:
    twi_free(fold_of);
    twi_free(prob);
    return st;
}

/* ---- the line ------------------------------------------------------------------------------ */

static const char *class_name(const void *user, size_t k)
{
    return tw_dataset_class_name(user, k);
}

static void auditing_free(twi_auditing *s)
{
    tw_audit_free(s->audit);
    tw_report_free(s->report);
    twi_harvest_free(&s->harvest);
    twi_parts_free(&s->parts);
    twi_clusters_free(&s->clusters);
    twi_free(s->looks);
    twi_free(s->y);
    twi_free(s->part);
}

tw_status tw_audit_run(tw_ctx *ctx, const tw_dataset *dataset, const tw_audit_opts *opts,
                       tw_audit **out)
{
    twi_auditing s = {.ctx = ctx, .dataset = dataset};
    tw_status st = read_options(&s, opts);
    if (st != TW_OK) return st;
    if ((st = twi_zalloc(ctx, 1, &s.audit)) != TW_OK) goto done;
    st = twi_report_new(ctx, tw_dataset_class_count(dataset), class_name, dataset, &s.report);
    if (st != TW_OK) goto done;
    if ((st = divide(&s)) != TW_OK) goto done;
    if ((st = harvest(&s)) != TW_OK) goto done;
    if ((st = describe_rows(&s)) != TW_OK) goto done;
    if ((st = keep_texts(&s)) != TW_OK) goto done;
    if ((st = list_unreadable(&s)) != TW_OK) goto done;
    if ((st = twi_audit_look(&s)) != TW_OK) goto done;
    if ((st = twi_audit_copies(&s)) != TW_OK) goto done;
    if ((st = check_labels(&s)) != TW_OK) goto done;
    if ((st = twi_audit_pictures(&s)) != TW_OK) goto done;
    if ((st = list_classes(&s)) != TW_OK) goto done;
    tw_audit_summary *sum = &s.audit->summary;
    sum->pictures = s.harvest.rows;
    for (size_t r = 0; r < s.harvest.rows; r++) {
        sum->n_train += s.part[r] == TW_PART_TRAIN;
        sum->n_test += s.part[r] == TW_PART_TEST;
    }
    *out = s.audit, s.audit = NULL; /* handed over */
done:
    auditing_free(&s);
    return st;
}

void tw_audit_free(tw_audit *audit)
{
    if (!audit) return;
    twi_names_free(&audit->classes);
    twi_names_free(&audit->paths);
    twi_names_free(&audit->unread);
    twi_names_free(&audit->reasons);
    twi_free(audit->findings);
    twi_free(audit);
}

size_t tw_audit_count(const tw_audit *audit)
{
    return audit->n;
}

void tw_audit_finding(const tw_audit *audit, size_t i, tw_finding *out)
{
    *out = i < audit->n ? audit->findings[i] : (tw_finding){0};
}

void tw_audit_sum(const tw_audit *audit, tw_audit_summary *out)
{
    *out = audit->summary;
}
