/* report.h - the struct behind tw_report. */
#ifndef TWI_API_REPORT_H
#define TWI_API_REPORT_H

#include "base/json.h"
#include "base/memory.h"

typedef struct twi_names { /* a growing list of texts */
    char **items;
    size_t n, capacity;
    twi_arena text;
} twi_names;

tw_status twi_names_add(tw_ctx *ctx, twi_names *names, const char *text);
const char *twi_names_get(const twi_names *names, size_t i); /* NULL past the end */
void twi_names_free(twi_names *names);

struct tw_report {
    tw_summary summary;
    twi_names classes, train_files, test_files, skipped_paths, skipped_reasons;
    size_t *confusion;   /* [k, k], row truth */
    double *familiarity; /* [n_test], ascending; NULL: the model does not reject */
};

/* An empty report for the k class names given by name(user, k). */
tw_status twi_report_new(tw_ctx *ctx, size_t classes,
                         const char *(*name)(const void *user, size_t k), const void *user,
                         tw_report **out);
/* Fills confusion, accuracy, interval, baseline and top-k from truth [n], and decision scores:
 * predicted [n], score [n, k]. */
tw_status twi_report_measure(tw_ctx *ctx, tw_report *report, const uint32_t *truth,
                             const uint32_t *predicted, const double *score, size_t n);
/* What was measured, as the "metrics" object of a model file (no times). New, NULL: no memory. */
twi_json *twi_report_to_json(const tw_report *report);

#endif
