/* audit.h - inside tw_audit_run(): what is known of each row, and the list of findings. */
#ifndef TWI_API_AUDIT_H
#define TWI_API_AUDIT_H

#include "api/harvest.h"
#include "api/parts.h"
#include "audit/audit.h"
#include "learn/classifier.h"

struct tw_audit {
    tw_finding *findings; /* [n], texts borrowed from the lists below */
    size_t n, capacity;
    twi_names classes, paths; /* paths [rows] */
    twi_names unread, reasons;
    tw_audit_summary summary;
};

typedef struct twi_auditing {
    tw_ctx *ctx;
    const tw_dataset *dataset;
    tw_audit_opts opts;
    twi_parts_opts parts_opts;
    twi_parts parts;
    bool undivided; /* no split could be made */
    tw_report *report;
    twi_harvest harvest;   /* rows, below, are its */
    uint32_t *y;           /* [rows] */
    tw_part *part;         /* [rows] */
    twi_look *looks;       /* [rows]; width 0: the file could not be read a second time */
    twi_clusters clusters; /* of rows that are one picture */
    tw_audit *audit;
} twi_auditing;

/* How many rows from n_train on are copies of one of the first n_train: of the same bytes, and,
 * of a hundred rows or more and where that takes half a second at most, nearly the same picture by
 * its features alone (some of what an audit finds, which also looks at the pictures). */
tw_status twi_leaks_count(tw_ctx *ctx, const twi_harvest *harvest, size_t n_train, size_t *count);

tw_status twi_audit_add(twi_auditing *s, const tw_finding *finding);
tw_finding twi_audit_of_row(const twi_auditing *s, size_t row, tw_finding_kind kind);
const char *twi_audit_text(const twi_auditing *s, size_t row); /* its path */

tw_status twi_audit_look(twi_auditing *s);     /* fills looks */
tw_status twi_audit_pictures(twi_auditing *s); /* tiny, dark, blank, of an odd shape */
tw_status twi_audit_copies(twi_auditing *s);   /* fills clusters */

#endif
