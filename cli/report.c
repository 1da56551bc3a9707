#include "report.h"

#include <stdlib.h>
#include <string.h>

enum { LIST_MOST = 10, MATRIX_COLUMNS = 100, TABLE_MOST = 40 };

/* ---- small things -------------------------------------------------------------------------- */

const char *report_precision_name(tw_precision precision)
{
    static const char *const names[] = {[TW_PRECISION_AUTO] = "auto",
                                        [TW_PRECISION_F32] = "f32",
                                        [TW_PRECISION_BF16] = "bf16",
                                        [TW_PRECISION_INT8] = "int8"};
    return (size_t)precision < LEN(names) ? names[precision] : "unknown";
}

void report_views_text(const tw_summary *sum)
{
    const bool several = sum->views != 1, joined = sum->layers > 1;
    if (!several && !joined) return;
    printf(" (");
    if (sum->views > 1) printf("mean of %zu views", sum->views);
    if (sum->views == 0) printf("mean of its patches");
    if (joined) printf("%s%zu layers", several ? ", " : "", sum->layers);
    putchar(')');
}

void report_views_json(js *j, const tw_summary *sum)
{
    if (sum->views > 1) js_size(j, "views", sum->views);
    if (sum->views == 0) js_null(j, "views");
    if (sum->layers > 1) js_size(j, "layers", sum->layers);
}

const char *report_train_file(const void *report, size_t i)
{
    return tw_report_file(report, TW_PART_TRAIN, i);
}

const char *report_test_file(const void *report, size_t i)
{
    return tw_report_file(report, TW_PART_TEST, i);
}

const char *report_class_at(const void *report, size_t i)
{
    tw_summary sum;
    tw_report_summary(report, &sum);
    return i < sum.classes ? tw_report_class_name(report, i) : NULL;
}

const char *dataset_class_at(const void *dataset, size_t i)
{
    return i < tw_dataset_class_count(dataset) ? tw_dataset_class_name(dataset, i) : NULL;
}

const char *dataset_path_at(const void *dataset, size_t i)
{
    return i < tw_dataset_count(dataset) ? tw_dataset_path(dataset, i) : NULL;
}

static void spaces(size_t n)
{
    while (n--) putchar(' ');
}

/* Columns that a name takes once escaped: each escape is longer than what it stands for. */
static size_t shown_columns(const char *name)
{
    char *const shown = text_escape(name);
    const size_t columns = shown ? text_columns(shown) : text_columns(name);
    free(shown);
    return columns;
}

static void put_left(const char *name, size_t width)
{
    const size_t columns = shown_columns(name);
    text_escaped(stdout, name);
    spaces(columns < width ? width - columns : 0);
}

static void put_right(const char *name, size_t width)
{
    const size_t columns = shown_columns(name);
    spaces(columns < width ? width - columns : 0);
    text_escaped(stdout, name);
}

static size_t digits(size_t n)
{
    size_t count = 1;
    for (; n >= 10; n /= 10) count++;
    return count;
}

/* ---- before the work ----------------------------------------------------------------------- */

void report_classes_text(const tw_dataset *dataset)
{
    const size_t n = tw_dataset_count(dataset), k = tw_dataset_class_count(dataset);
    printf("%zu photo%s in %zu class%s\n", n, n == 1 ? "" : "s", k, k == 1 ? "" : "es");
    size_t *const counts = calloc(k + 1, sizeof *counts);
    if (!counts) return; /* the counts are a courtesy; work that needs memory will say so */
    size_t width = 0;
    for (size_t i = 0; i < n; i++) counts[tw_dataset_label(dataset, i)]++;
    for (size_t c = 0; c < k; c++) {
        const size_t columns = shown_columns(tw_dataset_class_name(dataset, c));
        if (columns > width) width = columns;
    }
    for (size_t c = 0; c < k && c < TABLE_MOST; c++) {
        printf("  ");
        put_left(tw_dataset_class_name(dataset, c), width);
        printf("  %*zu\n", (int)digits(n), counts[c]);
    }
    if (k > TABLE_MOST) printf("  ... and %zu more classes\n", k - TABLE_MOST);
    free(counts);
}

void report_backbone_text(const tw_backbone *backbone)
{
    size_t height, width;
    tw_backbone_input(backbone, &height, &width);
    printf("backbone: ");
    text_escaped(stdout, tw_backbone_name(backbone));
    printf(", %.1f million weights, input %zu x %zu\n",
           (double)tw_backbone_parameters(backbone) / 1e6, height, width);
}

/* ---- passed over --------------------------------------------------------------------------- */

/* Entry i of both lists, one after the other; NULL past the end. */
static const char *skipped_at(const tw_dataset *dataset, const tw_report *report, size_t i,
                              const char **reason)
{
    const size_t listed = dataset ? tw_dataset_skipped_count(dataset) : 0;
    if (i < listed) {
        *reason = tw_dataset_skipped_reason(dataset, i);
        return tw_dataset_skipped_path(dataset, i);
    }
    const char *const path = report ? tw_report_skipped_path(report, i - listed) : NULL;
    *reason = path ? tw_report_skipped_reason(report, i - listed) : NULL;
    return path;
}

size_t report_skipped_count(const tw_dataset *dataset, const tw_report *report)
{
    const char *reason;
    size_t n = 0;
    while (skipped_at(dataset, report, n, &reason)) n++;
    return n;
}

void report_skipped_text(const tw_dataset *dataset, const tw_report *report)
{
    const size_t n = report_skipped_count(dataset, report);
    if (n == 0) return;
    printf("skipped: %zu file%s\n", n, n == 1 ? "" : "s");
    for (size_t i = 0; i < n && i < LIST_MOST; i++) {
        const char *reason;
        const char *const path = skipped_at(dataset, report, i, &reason);
        printf("  ");
        text_escaped(stdout, path);
        printf(": ");
        text_escaped(stdout, reason);
        putchar('\n');
    }
    if (n > LIST_MOST) printf("  ... and %zu more\n", n - LIST_MOST);
}

void report_skipped_json(js *j, const tw_dataset *dataset, const tw_report *report)
{
    const char *path, *reason;
    js_array(j, "skipped");
    for (size_t i = 0; (path = skipped_at(dataset, report, i, &reason)) != NULL; i++) {
        js_object(j, NULL);
        js_name(j, "path", path);
        js_text(j, "reason", reason);
        js_object_end(j);
    }
    js_array_end(j);
}

/* ---- confusion ----------------------------------------------------------------------------- */

static void confusion_matrix(const tw_report *report, size_t k, size_t name_width, size_t cell)
{
    puts("\nconfusion (rows: what it is, columns: what was answered)");
    spaces(name_width + 2);
    for (size_t c = 0; c < k; c++) {
        spaces(2);
        put_right(tw_report_class_name(report, c), cell);
    }
    putchar('\n');
    for (size_t r = 0; r < k; r++) {
        printf("  ");
        put_left(tw_report_class_name(report, r), name_width);
        for (size_t c = 0; c < k; c++)
            printf("  %*zu", (int)cell, tw_report_confusion(report, r, c));
        putchar('\n');
    }
}

typedef struct mistake {
    size_t truth, answer, count;
} mistake;

/* Keeps the LIST_MOST largest, in order; earlier pairs first among equals. */
static void keep_worst(mistake worst[LIST_MOST], size_t *kept, mistake m)
{
    size_t at = *kept;
    while (at > 0 && worst[at - 1].count < m.count) at--;
    if (at >= LIST_MOST) return;
    if (*kept < LIST_MOST) (*kept)++;
    memmove(&worst[at + 1], &worst[at], (*kept - 1 - at) * sizeof *worst);
    worst[at] = m;
}

static void confusion_worst(const tw_report *report, size_t k)
{
    mistake worst[LIST_MOST];
    size_t kept = 0;
    for (size_t r = 0; r < k; r++)
        for (size_t c = 0; c < k; c++) {
            const size_t count = r == c ? 0 : tw_report_confusion(report, r, c);
            if (count) keep_worst(worst, &kept, (mistake){r, c, count});
        }
    if (kept == 0) return;
    puts("\nmost frequent mistakes (--json has the whole confusion matrix)");
    for (size_t i = 0; i < kept; i++) {
        printf("  %6zu  ", worst[i].count);
        text_escaped(stdout, tw_report_class_name(report, worst[i].truth));
        printf(" taken for ");
        text_escaped(stdout, tw_report_class_name(report, worst[i].answer));
        putchar('\n');
    }
}

static void confusion_text(const tw_report *report, const tw_summary *sum)
{
    size_t name_width = 0, cell = digits(sum->n_test);
    for (size_t c = 0; c < sum->classes; c++) {
        const size_t columns = shown_columns(tw_report_class_name(report, c));
        if (columns > name_width) name_width = columns;
    }
    if (name_width > cell) cell = name_width;
    if (sum->classes <= MATRIX_COLUMNS / 3 &&
        name_width + 2 + sum->classes * (cell + 2) <= MATRIX_COLUMNS)
        confusion_matrix(report, sum->classes, name_width, cell);
    else
        confusion_worst(report, sum->classes);
}

/* ---- per class ----------------------------------------------------------------------------- */

typedef struct class_row {
    size_t k;
    tw_class_score score;
} class_row;

static int by_f1(const void *a, const void *b)
{
    const class_row *const x = a, *const y = b;
    if (x->score.f1 != y->score.f1) return x->score.f1 < y->score.f1 ? -1 : 1;
    return x->k < y->k ? -1 : x->k > y->k;
}

static void class_table(const tw_report *report, const class_row *rows, size_t n)
{
    size_t width = 5;
    for (size_t i = 0; i < n; i++) {
        const size_t columns = shown_columns(tw_report_class_name(report, rows[i].k));
        if (columns > width) width = columns;
    }
    printf("  ");
    put_left("class", width);
    puts("  precision  recall      f1  photos");
    for (size_t i = 0; i < n; i++) {
        const tw_class_score *const score = &rows[i].score;
        printf("  ");
        put_left(tw_report_class_name(report, rows[i].k), width);
        printf("     %.4f  %.4f  %.4f  %6zu\n", score->precision, score->recall, score->f1,
               score->support);
    }
}

static void classes_text(const tw_report *report, size_t k)
{
    class_row *const rows = calloc(k + 1, sizeof *rows);
    if (!rows) return; /* as above: a courtesy */
    for (size_t c = 0; c < k; c++) {
        rows[c].k = c;
        tw_report_class(report, c, &rows[c].score);
    }
    const bool all = k <= TABLE_MOST;
    putchar('\n');
    if (!all) {
        qsort(rows, k, sizeof *rows, by_f1);
        printf("the %d classes of lowest f1 (--json has all %zu)\n", LIST_MOST, k);
    }
    class_table(report, rows, all ? k : LIST_MOST);
    free(rows);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void times_text(const tw_summary *sum)
{
    printf("\ntime: %.1f s", sum->seconds_total);
    printf(" (features %.1f s, %.1f photos/s", sum->seconds_features, sum->photos_per_second);
    if (sum->n_cached) printf(", %zu from the cache", sum->n_cached);
    if (sum->n_train) printf("; fit %.1f s", sum->seconds_fit);
    puts(")");
}

static double share(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : 0.0;
}

static void known_text(const tw_summary *sum)
{
    if (!(sum->reject > 0)) return;
    printf("accepted  %.4f  (%zu of %zu; the others would be unknown)\n",
           share(sum->n_accepted, sum->n_test), sum->n_accepted, sum->n_test);
    if (sum->n_accepted)
        printf("of these  %.4f  (%zu of %zu right)\n",
               share(sum->n_accepted_correct, sum->n_accepted), sum->n_accepted_correct,
               sum->n_accepted);
}

static void unknown_text(const tw_summary *sum)
{
    if (!sum->n_unknown) return;
    printf("\nphotos of no class: %zu\n", sum->n_unknown);
    printf("  accepted  %.4f  (%zu of %zu are taken for a class)\n",
           share(sum->n_unknown_accepted, sum->n_unknown), sum->n_unknown_accepted, sum->n_unknown);
    printf("  at 95 %%   %.4f  (the same where 95 %% of the photos above are accepted)\n",
           sum->unknown_accepted_at_95);
    printf("  AUROC     %.4f  (how often a photo above is more familiar than one of no class)\n",
           sum->unknown_auroc);
}

void report_text(const tw_report *report)
{
    tw_summary sum;
    tw_report_summary(report, &sum);
    printf("\naccuracy  %.4f  (%zu of %zu; 95 %% interval %.4f to %.4f)\n", sum.accuracy,
           sum.n_correct, sum.n_test, sum.interval[0], sum.interval[1]);
    printf("baseline  %.4f  (always answering the commonest class)\n", sum.baseline_accuracy);
    if (sum.n_leaked)
        printf("leaks     %zu of the %zu test photos have a copy among the training photos\n",
               sum.n_leaked, sum.n_test);
    if (sum.classes > 2 && sum.top_k > 1)
        printf("top-%zu     %.4f  (the right class is among the %zu most probable)\n", sum.top_k,
               sum.top_k_accuracy, sum.top_k);
    known_text(&sum);
    confusion_text(report, &sum);
    classes_text(report, sum.classes);
    unknown_text(&sum);
    times_text(&sum);
}

static void confusion_json(js *j, const tw_report *report, size_t k)
{
    js_array(j, "confusion");
    for (size_t r = 0; r < k; r++) {
        js_array(j, NULL);
        for (size_t c = 0; c < k; c++) js_size(j, NULL, tw_report_confusion(report, r, c));
        js_array_end(j);
    }
    js_array_end(j);
}

static void classes_json(js *j, const tw_report *report, size_t k)
{
    js_array(j, "per_class");
    for (size_t c = 0; c < k; c++) {
        tw_class_score score;
        tw_report_class(report, c, &score);
        js_object(j, NULL);
        js_name(j, "label", tw_report_class_name(report, c));
        js_double(j, "precision", score.precision);
        js_double(j, "recall", score.recall);
        js_double(j, "f1", score.f1);
        js_size(j, "support", score.support);
        js_object_end(j);
    }
    js_array_end(j);
}

static void seconds_json(js *j, const tw_summary *sum)
{
    js_object(j, "seconds");
    js_double(j, "decode", sum->seconds_decode);
    js_double(j, "network", sum->seconds_network);
    js_double(j, "features", sum->seconds_features);
    if (sum->n_train) js_double(j, "fit", sum->seconds_fit);
    js_double(j, "total", sum->seconds_total);
    js_object_end(j);
    js_double(j, "photos_per_second", sum->photos_per_second);
    js_size(j, "n_cached", sum->n_cached);
}

static void known_json(js *j, const tw_summary *sum)
{
    if (!(sum->reject > 0)) return;
    js_object(j, "reject");
    js_double(j, "accept", sum->reject);
    js_double(j, "expected", sum->reject_expected);
    js_double(j, "threshold", sum->threshold);
    js_size(j, "n_accepted", sum->n_accepted);
    js_size(j, "n_correct", sum->n_accepted_correct);
    js_double(j, "accuracy", share(sum->n_accepted_correct, sum->n_accepted));
    js_object_end(j);
}

void report_unknown_json(js *j, const tw_report *report, size_t skipped)
{
    tw_summary sum;
    tw_report_summary(report, &sum);
    js_object(j, "unknown");
    js_size(j, "n", sum.n_unknown);
    js_size(j, "n_skipped", skipped);
    js_size(j, "n_accepted", sum.n_unknown_accepted);
    js_double(j, "false_accept", share(sum.n_unknown_accepted, sum.n_unknown));
    js_double(j, "false_accept_at_95", sum.unknown_accepted_at_95);
    js_double(j, "auroc", sum.unknown_auroc);
    js_object_end(j);
}

void report_json(js *j, const tw_report *report)
{
    tw_summary sum;
    tw_report_summary(report, &sum);
    js_double(j, "accuracy", sum.accuracy);
    js_array(j, "accuracy_interval");
    js_double(j, NULL, sum.interval[0]);
    js_double(j, NULL, sum.interval[1]);
    js_array_end(j);
    js_double(j, "baseline_accuracy", sum.baseline_accuracy);
    js_size(j, "top_k", sum.top_k);
    js_double(j, "top_k_accuracy", sum.top_k_accuracy);
    if (sum.n_train) js_size(j, "n_leaked", sum.n_leaked);
    known_json(j, &sum);
    confusion_json(j, report, sum.classes);
    classes_json(j, report, sum.classes);
    seconds_json(j, &sum);
}
