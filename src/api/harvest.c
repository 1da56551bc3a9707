/* harvest.c - extracting the chosen pictures of a data set into a matrix on disk. */
#include "api/harvest.h"
#include "base/digest.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

typedef struct run {
    tw_ctx *ctx;
    const tw_dataset *dataset;
    const size_t *order;
    size_t n;
    tw_report *report;
    twi_harvest *harvest;
    twi_failure failure;
} run;

static const char *next_path(void *user, size_t i)
{
    const run *r = user;
    return i < r->n ? tw_dataset_path(r->dataset, r->order[i]) : NULL;
}

/* message is "path: reason"; the list keeps them apart. */
static tw_status note_skipped(run *r, size_t i, const char *message)
{
    const char *path = tw_dataset_path(r->dataset, r->order[i]);
    const tw_status st = twi_names_add(r->ctx, &r->report->skipped_paths, path);
    if (st != TW_OK) return st;
    return twi_names_add(r->ctx, &r->report->skipped_reasons, twi_text_reason(message, path));
}

/* Comes just before the row. */
static void take_digest(void *user, size_t i, const unsigned char digest[TWI_DIGEST_BYTES])
{
    const run *r = user;
    (void)i;
    memcpy(r->harvest->digest[r->harvest->rows], digest, TWI_DIGEST_BYTES);
}

static int take_row(void *user, size_t i, tw_status status, const char *message,
                    const float *features)
{
    run *r = user;
    tw_status st;
    if (status != TW_OK) {
        st = note_skipped(r, i, message);
    } else {
        st = twi_matrix_file_append(r->ctx, r->harvest->file, features, 1);
        r->harvest->sample[r->harvest->rows++] = r->order[i];
    }
    if (st == TW_OK) return 0;
    twi_failure_keep(&r->failure, st, tw_last_error(r->ctx));
    return 1;
}

tw_status twi_harvest_run(tw_ctx *ctx, twi_extractor *extractor, const tw_dataset *dataset,
                          const size_t *order, size_t n, tw_report *report, twi_harvest *out)
{
    twi_harvest harvest = {.d = twi_extractor_feature_count(extractor)};
    run r = {ctx, dataset, order, n, report, &harvest, {TW_OK, ""}};
    size_t mapped_rows;
    tw_status st = twi_alloc(ctx, n, &harvest.sample);
    if (st == TW_OK) st = twi_alloc(ctx, n, &harvest.digest);
    if (st != TW_OK) goto done;
    if ((st = twi_matrix_file_create(ctx, NULL, harvest.d, &harvest.file)) != TW_OK) goto done;
    const twi_source source = {.path = next_path, .digest = take_digest, .user = &r, .total = n};
    st = twi_extractor_run(ctx, extractor, &source, take_row, &r, &harvest.stats);
    if ((st = twi_failure_raise(ctx, &r.failure, st)) != TW_OK) goto done;
    if (harvest.rows == 0) {
        st = twi_fail(ctx, TW_ERR_DATA, "none of the %zu pictures could be read; the first: %s: %s",
                      n, twi_names_get(&report->skipped_paths, 0),
                      twi_names_get(&report->skipped_reasons, 0));
        goto done;
    }
    if ((st = twi_matrix_file_map(ctx, harvest.file, &harvest.x, &mapped_rows)) != TW_OK) goto done;
    harvest.precision = twi_extractor_precision(extractor);
    *out = harvest, harvest = (twi_harvest){0}; /* handed over */
done:
    twi_harvest_free(&harvest);
    return st;
}

void twi_harvest_free(twi_harvest *harvest)
{
    twi_matrix_file_free(harvest->file);
    twi_free(harvest->sample);
    twi_free(harvest->digest);
    *harvest = (twi_harvest){0};
}

/* ---- digest of the data -------------------------------------------------------------------- */

void twi_harvest_digest(const twi_harvest *harvest, const tw_dataset *dataset, char hex[65])
{
    twi_digest all;
    twi_digest_start(&all);
    for (size_t i = 0; i < harvest->rows; i++) {
        char label[32], file[TWI_DIGEST_HEX + 1];
        const size_t sample = harvest->sample[i];
        const char *path = twi_dataset_relative_path(dataset, sample);
        snprintf(label, sizeof label, "%u ", (unsigned)tw_dataset_label(dataset, sample));
        twi_digest_hex(harvest->digest[i], file);
        twi_digest_add(&all, label, strlen(label));
        twi_digest_add(&all, path, strlen(path) + 1);
        twi_digest_add(&all, file, TWI_DIGEST_HEX);
    }
    twi_digest_finish(&all, hex);
}
