/* labelled.c - opening labelled photos, and saying what there is. */
#include "labelled.h"

#include "report.h"

int labelled_open(session *s, const char *operand, bool to_measure, tw_dataset **out)
{
    tw_dataset_opts opts;
    *out = NULL;
    tw_dataset_opts_init(&opts);
    opts.categories = (const char *const *)s->opts.categories.items;
    opts.n_categories = s->opts.categories.count;
    opts.to_measure = to_measure;
    const tw_status status = tw_dataset_open(s->ctx, operand, &opts, out);
    return status == TW_OK ? 0 : session_fail(s, status, PHASE_DATA);
}

void labelled_announce(session *s, const tw_dataset *dataset)
{
    session_before_output(s);
    if (!s->opts.json && !s->opts.csv) report_classes_text(dataset);
    session_flush(s);
}
