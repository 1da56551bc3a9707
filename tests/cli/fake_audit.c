/* fake_audit.c - the test double's audit: one finding of each kind, about the first photos. */
#include "fake.h"

#include <stdlib.h>
#include <string.h>

struct tw_audit {
    tw_finding findings[TW_FINDING_RARE + 1];
    size_t n;
    char path[2][64];
};

void tw_audit_opts_init(tw_audit_opts *opts)
{
    *opts = (tw_audit_opts){
        .size_bytes = sizeof *opts, .test_size = 0.2, .seed = 42, .stratify = TW_DEFAULT};
    tw_extract_opts_init(&opts->extract);
}

/* FAKE_CLEAN: nothing is found. */
tw_status tw_audit_run(tw_ctx *ctx, const tw_dataset *dataset, const tw_audit_opts *opts,
                       tw_audit **out)
{
    static const double values[] = {0, 1, 0.97, 0.875, 32, 5, 1.5, 6, 3, 3};
    tw_status status = planned(ctx, "tw_audit_run");
    (void)opts;
    for (size_t i = 0; i < tw_dataset_count(dataset) && status == TW_OK; i++) {
        misbehave(i);
        status = progress(ctx, "look", i, tw_dataset_count(dataset), 0);
    }
    if (status != TW_OK) return status;
    tw_audit *const a = calloc(1, sizeof *a);
    if (!a) abort(); /* a test double may */
    strcpy(a->path[0], "cat/a,b.pic");
    strcpy(a->path[1], "dog/it\nself.pic");
    for (size_t kind = 0; kind < LEN(values) && !getenv("FAKE_CLEAN"); kind++) {
        const bool of_class = kind >= TW_FINDING_FEW, copy = kind == 1 || kind == 2;
        a->findings[a->n++] = (tw_finding){.kind = (tw_finding_kind)kind,
                                           .path = of_class ? NULL : a->path[kind % 2],
                                           .class_name = kind ? "cat" : NULL,
                                           .part = of_class || !kind ? TW_PART_NONE : TW_PART_TEST,
                                           .other = copy ? a->path[1 - kind % 2] : NULL,
                                           .other_class = copy || kind == 3 ? "dog" : NULL,
                                           .other_part = copy ? TW_PART_TRAIN : TW_PART_NONE,
                                           .reason = kind ? NULL : "damaged",
                                           .group = copy ? kind : 0,
                                           .leak = copy,
                                           .contradiction = kind == 2,
                                           .value = values[kind]};
    }
    *out = a;
    return TW_OK;
}

void tw_audit_free(tw_audit *audit)
{
    free(audit);
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
    *out = (tw_audit_summary){.pictures = 18,
                              .n_train = 14,
                              .n_test = 4,
                              .copy_sets = audit->n ? 2 : 0,
                              .leaks = audit->n ? 2 : 0,
                              .contradictions = audit->n ? 1 : 0,
                              .labels_checked = 1,
                              .accuracy = 0.9};
}
