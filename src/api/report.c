/* report.c - what an evaluation found, and asking for it. */
#include "api/report.h"
#include "learn/learn.h"

#include <string.h>

/* ---- lists of names ------------------------------------------------------------------------ */

tw_status twi_names_add(tw_ctx *ctx, twi_names *names, const char *text)
{
    tw_status st = twi_grow(ctx, &names->items, &names->capacity, names->n + 1);
    if (st != TW_OK) return st;
    st = twi_arena_text(ctx, &names->text, text, strlen(text), &names->items[names->n]);
    if (st == TW_OK) names->n++;
    return st;
}

const char *twi_names_get(const twi_names *names, size_t i)
{
    return i < names->n ? names->items[i] : NULL;
}

void twi_names_free(twi_names *names)
{
    twi_free(names->items);
    twi_arena_free(&names->text);
    *names = (twi_names){0};
}

/* ---- making -------------------------------------------------------------------------------- */

tw_status twi_report_new(tw_ctx *ctx, size_t classes,
                         const char *(*name)(const void *user, size_t k), const void *user,
                         tw_report **out)
{
    tw_report *report;
    size_t cells;
    tw_status st = twi_zalloc(ctx, 1, &report);
    if (st != TW_OK) return st;
    report->summary.classes = classes;
    report->summary.top_k = classes < 5 ? classes : 5;
    for (size_t k = 0; k < classes && st == TW_OK; k++)
        st = twi_names_add(ctx, &report->classes, name(user, k));
    if (st == TW_OK && twi_mul(classes, classes, &cells))
        st = twi_fail(ctx, TW_ERR_NOMEM, "a confusion matrix of %zu classes does not fit", classes);
    if (st == TW_OK) st = twi_zalloc(ctx, cells, &report->confusion);
    if (st != TW_OK) {
        tw_report_free(report);
        return st;
    }
    *out = report;
    return TW_OK;
}

tw_status twi_report_measure(tw_ctx *ctx, tw_report *report, const uint32_t *truth,
                             const uint32_t *predicted, const double *score, size_t n)
{
    tw_summary *s = &report->summary;
    const size_t k = s->classes;
    if (n == 0) return twi_fail(ctx, TW_ERR_DATA, "no picture left to measure on");
    twi_confusion(truth, predicted, n, k, report->confusion);
    size_t commonest = 0;
    for (size_t c = 0; c < k; c++) {
        tw_class_score class_score;
        twi_class_score(report->confusion, k, c, &class_score);
        if (class_score.support > commonest) commonest = class_score.support;
    }
    s->n_test = n;
    s->n_correct = twi_correct(report->confusion, k);
    s->accuracy = (double)s->n_correct / (double)n;
    s->baseline_accuracy = (double)commonest / (double)n;
    s->top_k_accuracy = (double)twi_top_k_correct(score, truth, n, k, s->top_k) / (double)n;
    twi_wilson(s->n_correct, n, s->interval);
    return TW_OK;
}

twi_json *twi_report_to_json(const tw_report *report)
{
    const tw_summary *s = &report->summary;
    twi_json *json = twi_json_object(), *interval = twi_json_array(), *confusion = twi_json_array();
    bool ok = twi_json_set(json, "n_train", twi_json_integer((int64_t)s->n_train));
    ok &= twi_json_set(json, "n_test", twi_json_integer((int64_t)s->n_test));
    ok &= twi_json_set(json, "n_skipped", twi_json_integer((int64_t)s->n_skipped));
    if (s->n_leaked > 0)
        ok &= twi_json_set(json, "n_leaked", twi_json_integer((int64_t)s->n_leaked));
    ok &= twi_json_set(json, "accuracy", twi_json_number(s->accuracy));
    for (size_t i = 0; i < 2; i++) ok &= twi_json_append(interval, twi_json_number(s->interval[i]));
    ok &= twi_json_set(json, "accuracy_interval", interval);
    ok &= twi_json_set(json, "baseline_accuracy", twi_json_number(s->baseline_accuracy));
    ok &= twi_json_set(json, "top_k", twi_json_integer((int64_t)s->top_k));
    ok &= twi_json_set(json, "top_k_accuracy", twi_json_number(s->top_k_accuracy));
    /* Beyond this the matrix would crowd the document; it can be measured again with evaluate. */
    for (size_t i = 0; s->classes <= 64 && i < s->classes; i++) {
        twi_json *row = twi_json_array();
        for (size_t j = 0; j < s->classes; j++)
            ok &= twi_json_append(row,
                                  twi_json_integer((int64_t)report->confusion[i * s->classes + j]));
        ok &= twi_json_append(confusion, row);
    }
    ok &= twi_json_set(json, "confusion", confusion);
    if (s->reject > 0.0) {
        ok &= twi_json_set(json, "n_accepted", twi_json_integer((int64_t)s->n_accepted));
        ok &= twi_json_set(json, "n_accepted_correct",
                           twi_json_integer((int64_t)s->n_accepted_correct));
    }
    if (ok) return json;
    twi_json_free(json);
    return NULL;
}

/* ---- asking -------------------------------------------------------------------------------- */

void tw_report_free(tw_report *report)
{
    if (!report) return;
    twi_names_free(&report->classes);
    twi_names_free(&report->train_files);
    twi_names_free(&report->test_files);
    twi_names_free(&report->skipped_paths);
    twi_names_free(&report->skipped_reasons);
    twi_free(report->confusion);
    twi_free(report->familiarity);
    twi_free(report);
}

void tw_report_summary(const tw_report *report, tw_summary *out)
{
    *out = report->summary;
}

size_t tw_report_confusion(const tw_report *report, size_t truth, size_t predicted)
{
    const size_t k = report->summary.classes;
    return truth < k && predicted < k ? report->confusion[truth * k + predicted] : 0;
}

void tw_report_class(const tw_report *report, size_t k, tw_class_score *out)
{
    *out = (tw_class_score){0};
    if (k < report->summary.classes)
        twi_class_score(report->confusion, report->summary.classes, k, out);
}

const char *tw_report_class_name(const tw_report *report, size_t k)
{
    return twi_names_get(&report->classes, k);
}

const char *tw_report_file(const tw_report *report, tw_part part, size_t i)
{
    return twi_names_get(part == TW_PART_TRAIN ? &report->train_files : &report->test_files, i);
}

const char *tw_report_skipped_path(const tw_report *report, size_t i)
{
    return twi_names_get(&report->skipped_paths, i);
}

const char *tw_report_skipped_reason(const tw_report *report, size_t i)
{
    return twi_names_get(&report->skipped_reasons, i);
}
