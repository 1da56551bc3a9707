/* finetune_seen.c - a model as the backbone: photos that it was trained on prove nothing. */
#include "api/finetune.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

#define MOST_BYTES ((size_t)1 << 30) /* of one encoded photo */

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, TWI_DIGEST_BYTES);
}

/* The digests [*n, 32] of the photos that the model was trained on; none: NULL. */
static tw_status trained_on(const twi_finetuning *f, unsigned char **out, size_t *n)
{
    const twi_tensors *tensors = twi_bundle_tensors(f->backbone->bundle);
    const twi_tensor *digests = twi_tensors_find(tensors, "photo_digests");
    twi_names names = {0};
    *out = NULL, *n = 0;
    if (!digests || digests->dtype != TWI_U8 || digests->rank != 2 ||
        digests->dims[1] != TWI_DIGEST_BYTES)
        return TW_OK;
    tw_status st = twi_names_load(f->ctx, f->opts.backbone, tensors, "train_files", &names);
    *n = names.n < digests->dims[0] ? names.n : digests->dims[0];
    twi_names_free(&names);
    if (st == TW_OK) st = twi_alloc(f->ctx, *n * TWI_DIGEST_BYTES, out);
    if (st != TW_OK) return st;
    memcpy(*out, digests->data, *n * TWI_DIGEST_BYTES);
    qsort(*out, *n, TWI_DIGEST_BYTES, by_bytes);
    return TW_OK;
}

tw_status twi_finetune_seen(twi_finetuning *f)
{
    unsigned char *seen, sum[TWI_DIGEST_BYTES], *file = NULL;
    size_t n, capacity = 0, size, count = 0;
    tw_status st = trained_on(f, &seen, &n);
    for (size_t i = 0; i < f->parts.n_test && n > 0 && st == TW_OK; i++) {
        const char *path = tw_dataset_path(f->dataset, f->parts.order[f->parts.n_train + i]);
        twi_digest digest;
        if (twi_file_read(f->ctx, path, MOST_BYTES, &file, &capacity, &size) != TW_OK)
            continue; /* measuring will leave it out and say why */
        twi_digest_start(&digest);
        twi_digest_add(&digest, file, size);
        twi_digest_bytes(&digest, sum);
        count += bsearch(sum, seen, n, TWI_DIGEST_BYTES, by_bytes) != NULL;
    }
    if (count > 0)
        twi_log(f->ctx, TW_LOG_WARNING,
                "%zu of %zu test photos are among those that %s was trained on: the accuracy will "
                "say too much; give the seed it was trained with, or other photos",
                count, f->parts.n_test, f->opts.backbone);
    twi_free(file);
    twi_free(seen);
    return st;
}
