/* cmd_audit.c - topwork audit: what in these photos and labels would make the numbers lie. */
#include "labelled.h"
#include "report.h"

#include <string.h>

enum { LIST_MOST = 20 };

/* One row a kind, in the order of tw_finding_kind. */
static const struct {
    const char *word; /* in --json and --csv */
    const char *title;
    const char *value; /* what --json calls .value; NULL: it has none */
} kinds[] = {
    [TW_FINDING_UNREADABLE] = {"unreadable", "cannot be read", NULL},
    [TW_FINDING_DUPLICATE] = {"duplicate", "the same bytes as another", NULL},
    [TW_FINDING_NEAR_DUPLICATE] = {"near-duplicate", "nearly the same picture as another",
                                   "similarity"},
    [TW_FINDING_LABEL] = {"label", "perhaps wrongly labelled", "probability"},
    [TW_FINDING_TINY] = {"tiny", "tiny", "short_side"},
    [TW_FINDING_DARK] = {"dark", "dark", "brightness"},
    [TW_FINDING_BLANK] = {"blank", "nearly of one tone", "contrast"},
    [TW_FINDING_SHAPE] = {"shape", "very long and narrow", "ratio"},
    [TW_FINDING_FEW] = {"few", "classes of fewer than 10 photos", "photos"},
    [TW_FINDING_RARE] = {"rare", "classes of less than a tenth of another's photos", "photos"},
};

static const char *part_name(tw_part part)
{
    return part == TW_PART_TRAIN ? "train" : part == TW_PART_TEST ? "test" : NULL;
}

/* ---- for people ---------------------------------------------------------------------------- */

static void name_text(const char *path, tw_part part)
{
    text_escaped(stdout, path);
    if (part_name(part)) printf(" [%s]", part_name(part));
}

static void finding_text(const tw_finding *f)
{
    printf("  ");
    if (f->path && (f->kind == TW_FINDING_DUPLICATE || f->kind == TW_FINDING_NEAR_DUPLICATE)) {
        name_text(f->path, f->part);
        printf(" = ");
        name_text(f->other, f->other_part);
        if (f->kind == TW_FINDING_NEAR_DUPLICATE) printf("  %.2f", f->value);
        if (f->leak) printf("  leak");
        if (f->contradiction) printf("  labels differ");
        putchar('\n');
        return;
    }
    text_escaped(stdout, f->path ? f->path : f->class_name);
    switch (f->kind) {
    case TW_FINDING_UNREADABLE:
        printf(": ");
        text_escaped(stdout, f->reason);
        break;
    case TW_FINDING_LABEL:
        printf("  %.2f ", f->value);
        text_escaped(stdout, f->other_class);
        printf(", labelled ");
        text_escaped(stdout, f->class_name);
        break;
    case TW_FINDING_TINY:
        printf("  short side %.0f pixels", f->value);
        break;
    case TW_FINDING_DARK:
        printf("  mean brightness %.0f of 255", f->value);
        break;
    case TW_FINDING_BLANK:
        printf("  contrast %.1f of 255", f->value);
        break;
    case TW_FINDING_SHAPE:
        printf("  %.1f times as long as wide", f->value);
        break;
    default:
        printf("  %.0f", f->value);
        break;
    }
    putchar('\n');
}

static size_t count_of(const tw_audit *audit, tw_finding_kind kind)
{
    size_t n = 0;
    tw_finding f;
    for (size_t i = 0; i < tw_audit_count(audit); i++) {
        tw_audit_finding(audit, i, &f);
        n += f.kind == kind;
    }
    return n;
}

static void kind_text(const tw_audit *audit, tw_finding_kind kind)
{
    const size_t n = count_of(audit, kind);
    size_t shown = 0;
    tw_finding f;
    if (n == 0) return;
    printf("\n%s: %zu\n", kinds[kind].title, n);
    for (size_t i = 0; i < tw_audit_count(audit) && shown < LIST_MOST; i++) {
        tw_audit_finding(audit, i, &f);
        if (f.kind != kind) continue;
        finding_text(&f);
        shown++;
    }
    if (n > shown) printf("  ... and %zu more (--csv and --json have all)\n", n - shown);
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void print_text(session *s, const tw_audit *audit)
{
    tw_audit_summary sum;
    tw_audit_sum(audit, &sum);
    for (size_t kind = 0; kind < LEN(kinds); kind++) kind_text(audit, (tw_finding_kind)kind);
    puts(tw_audit_count(audit) ? "" : "\nnothing found\n");
    if (sum.leaks)
        printf("%zu of the %zu test photos %s a copy among the training photos: accuracy measured "
               "on them is too good. Give copies one group in a manifest, and train with "
               "--groups.\n",
               sum.leaks, sum.n_test, sum.leaks == 1 ? "has" : "have");
    else if (sum.n_test)
        printf("no test photo (of %zu) has a copy among the %zu training photos\n", sum.n_test,
               sum.n_train);
    if (sum.contradictions)
        printf("%zu photo%s with copies of different classes\n", sum.contradictions,
               plural(sum.contradictions));
    if (sum.labels_checked)
        printf("labels were checked by a classifier that is right on %.1f %% of photos it has not "
               "seen; look at what it found before you change a label\n",
               100.0 * sum.accuracy);
    session_flush(s);
}

/* ---- for programs -------------------------------------------------------------------------- */

static void finding_json(js *j, const tw_finding *f)
{
    js_object(j, NULL);
    js_text(j, "kind", kinds[f->kind].word);
    if (f->path) js_name(j, "path", f->path);
    if (f->class_name) js_name(j, "class", f->class_name);
    if (part_name(f->part)) js_text(j, "part", part_name(f->part));
    if (f->other) js_name(j, "other", f->other);
    if (f->kind == TW_FINDING_LABEL)
        js_name(j, "suggested", f->other_class);
    else if (f->other_class)
        js_name(j, "other_class", f->other_class);
    if (part_name(f->other_part)) js_text(j, "other_part", part_name(f->other_part));
    if (f->group) {
        js_size(j, "group", f->group);
        js_bool(j, "leak", f->leak != 0);
        js_bool(j, "contradiction", f->contradiction != 0);
    }
    if (f->reason) js_text(j, "reason", f->reason);
    if (kinds[f->kind].value) js_double(j, kinds[f->kind].value, f->value);
    js_object_end(j);
}

static void print_json(js *j, const tw_audit *audit, const tw_dataset *dataset)
{
    tw_audit_summary sum;
    tw_audit_sum(audit, &sum);
    js_object(j, NULL);
    js_size(j, "photos", sum.pictures);
    js_names(j, "classes", dataset_class_at, dataset);
    js_size(j, "n_train", sum.n_train);
    js_size(j, "n_test", sum.n_test);
    js_size(j, "copy_sets", sum.copy_sets);
    js_size(j, "leaks", sum.leaks);
    js_size(j, "contradictions", sum.contradictions);
    if (sum.labels_checked)
        js_double(j, "accuracy", sum.accuracy);
    else
        js_null(j, "accuracy");
    js_array(j, "findings");
    for (size_t i = 0; i < tw_audit_count(audit); i++) {
        tw_finding f;
        tw_audit_finding(audit, i, &f);
        finding_json(j, &f);
    }
    js_array_end(j);
    js_object_end(j);
}

static void csv_field(const char *text)
{
    putchar(',');
    if (text) text_csv(stdout, text);
}

static void print_csv(const tw_audit *audit)
{
    printf("path,finding,class,part,other,other_class,other_part,group,leak,value,reason\r\n");
    for (size_t i = 0; i < tw_audit_count(audit); i++) {
        tw_finding f;
        tw_audit_finding(audit, i, &f);
        if (f.path) text_csv(stdout, f.path);
        csv_field(kinds[f.kind].word);
        csv_field(f.class_name);
        csv_field(part_name(f.part));
        csv_field(f.other);
        csv_field(f.other_class);
        csv_field(part_name(f.other_part));
        putchar(',');
        if (f.group) printf("%zu,%s", f.group, f.leak ? "yes" : "no");
        printf(f.group ? "," : ",,");
        if (kinds[f.kind].value) text_double(stdout, f.value);
        csv_field(f.reason);
        printf("\r\n");
    }
}

/* ---- the command --------------------------------------------------------------------------- */

static int audit_of(session *s, const tw_dataset *dataset)
{
    const options *const o = &s->opts;
    tw_audit *audit = NULL;
    tw_audit_opts opts;
    tw_audit_opts_init(&opts);
    opts.backbone = o->backbone;
    opts.extract.precision = (tw_precision)o->precision;
    opts.extract.batch = o->batch;
    opts.extract.max_pixels = o->max_pixels;
    opts.test_size = o->test_size;
    opts.seed = (uint32_t)o->seed;
    opts.stratify = (tw_tristate)o->stratify;
    opts.groups = o->groups;
    const tw_status status = tw_audit_run(s->ctx, dataset, &opts, &audit);
    if (status != TW_OK) return session_fail(s, status, PHASE_WRITE);
    session_before_output(s);
    if (o->json)
        print_json(&s->json, audit, dataset);
    else if (o->csv)
        print_csv(audit);
    else
        print_text(s, audit);
    const int code = count_of(audit, TW_FINDING_UNREADABLE) ? EXIT_SOME : EXIT_FINE;
    tw_audit_free(audit);
    return code;
}

static int run(session *s)
{
    tw_dataset *dataset;
    int code = labelled_open(s, s->opts.operands[0], true, &dataset);
    if (code) return code;
    labelled_announce(s, dataset);
    session_use_cache(s);
    code = audit_of(s, dataset);
    tw_dataset_free(dataset);
    return code;
}

static const option_use uses[] = {
    {OPT_CATEGORIES, NULL},
    {OPT_BACKBONE, "The network whose features are looked at. A better one finds more wrong labels "
                   "and suspects fewer right ones."},
    {OPT_TEST_SIZE, NULL},
    {OPT_SEED, NULL},
    {OPT_STRATIFY, NULL},
    {OPT_NO_STRATIFY, NULL},
    {OPT_GROUPS, NULL},
    {OPT_PRECISION, NULL},
    {OPT_MAX_PIXELS, NULL},
    {OPT_CACHE, NULL},
    {OPT_NO_CACHE, NULL},
    {OPT_CACHE_SIZE, NULL},
    {OPT_CSV, "Print CSV with a header line (RFC 4180), one line a finding."},
    {OPT_JSON, NULL},
    {OPT_BATCH, NULL},
    {OPT_THREADS, NULL},
    {OPT_PROGRESS, NULL},
    {OPT_QUIET, NULL},
    {OPT_HELP, NULL},
};

const command command_audit = {
    .name = "audit",
    .summary = "find copies, leaks, wrong labels and useless photos",
    .operands = "(FOLDER | MANIFEST)",
    .least = 1,
    .most = 1,
    .uses = uses,
    .use_count = LEN(uses),
    .description =
        "Looks at every photo of a labelled set for what would make a training's numbers lie. "
        "Changes nothing but the feature cache.\n\n"
        "Copies: photos of the same bytes, and photos that are nearly the same picture: encoded "
        "anew, resized, cut by up to a fifth of a side, mirrored. A leak is a copy in the training "
        "part of a photo in the test part, as 'topwork train' with the same --test-size, --seed "
        "and --groups would divide them.\n\n"
        "Labels: each photo is judged by a classifier trained on other photos; where that speaks "
        "against the label with more confidence than is usual for its class, the label is suspect "
        "(confident learning: Northcutt, Jiang & Chuang 2021). Hard photos are suspected as well: "
        "look before you change.\n\n"
        "Photos: a short side below 64 pixels, mean brightness below 16 of 255, next to no "
        "contrast, sides of more than 4 to 1. Classes: fewer than 10 photos, or less than a tenth "
        "of the commonest class's.",
    .output =
        "A list for each kind of finding, the surest wrong labels first, then what it means for "
        "training. The status is 1 when a photo could not be read, whatever else was found 0.\n\n"
        "--csv: path, finding, class, part, other, other_class, other_part, group, leak, value, "
        "reason; finding is one of unreadable, duplicate, near-duplicate, label, tiny, dark, "
        "blank, shape, few and rare. Of copies every photo is listed but the first of each group: "
        "what could go.\n\n"
        "--json: {\"photos\", \"classes\", \"n_train\", \"n_test\", \"copy_sets\", \"leaks\", "
        "\"contradictions\", \"accuracy\" (of the classifier that checked labels), \"findings\": "
        "[{\"kind\", \"path\", \"class\", ...}]}.",
    .examples = "$ topwork audit photos/\n\n"
                "$ topwork audit photos/ --csv | grep ,label, > look-at-these.csv\n",
    .run = run,
};
