/* write.c - writes a bundle: header, tensors, then the digest into the place left for it. */
#include "bundle/layout.h"

#include "base/file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef struct placed { /* a tensor and where its bytes go */
    const twi_tensor *tensor;
    size_t bytes;
    size_t alignment; /* the largest power of two up to TWI_ALIGN that divides bytes */
    size_t given;     /* its place in the caller's list */
} placed;

/* Widest alignment first, the caller's order within: every tensor then starts at a multiple of its
 * own alignment, which its type's size divides, and no hole is needed (safetensors allows none). */
static int compare_placed(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->alignment != y->alignment) return x->alignment > y->alignment ? -1 : 1;
    return x->given < y->given ? -1 : x->given > y->given;
}

static tw_status place(tw_ctx *ctx, const twi_tensors *tensors, placed **out)
{
    placed *list;
    if (tensors->n > TWI_MAX_TENSORS)
        return twi_fail(ctx, TW_ERR_DATA, "%zu tensors; a file holds at most %d", tensors->n,
                        TWI_MAX_TENSORS);
    const tw_status st = twi_alloc(ctx, tensors->n, &list);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < tensors->n; i++) {
        const twi_tensor *t = &tensors->items[i];
        const size_t bytes = t->count * twi_dtype_size(t->dtype); /* twi_tensors_add() checked */
        const size_t widest = bytes & -bytes;
        list[i] = (placed){t, bytes, widest == 0 || widest > TWI_ALIGN ? TWI_ALIGN : widest, i};
    }
    if (tensors->n > 0) qsort(list, tensors->n, sizeof *list, compare_placed);
    *out = list;
    return TW_OK;
}

/* ---- the header ---------------------------------------------------------------------------- */

/* document with the keys that belong to the format in front; its own of those names are left out,
 * but for what it requires, so that the document of an opened bundle can be written again as it
 * is. */
static twi_json *full_document(const char *kind, const twi_json *document)
{
    static const char *const ours[] = {"digest", "version", "required_features", "kind"};
    const twi_json *needed = document ? twi_json_get(document, "required_features") : NULL;
    twi_json *full = twi_json_object();
    bool ok = twi_json_set(
        full, "digest",
        twi_json_text("sha256:"
                      "0000000000000000000000000000000000000000000000000000000000000000"));
    ok = ok && twi_json_set(full, "version", twi_json_integer(TWI_BUNDLE_VERSION));
    ok = ok && twi_json_set(full, "required_features",
                            twi_json_is_array(needed) ? twi_json_copy(needed) : twi_json_array());
    ok = ok && twi_json_set(full, "kind", twi_json_text(kind));
    for (const char *key = document ? twi_json_next_key(document, NULL) : NULL; key && ok;
         key = twi_json_next_key(document, key)) {
        bool reserved = false;
        for (size_t i = 0; i < TWI_LEN(ours); i++) reserved |= strcmp(key, ours[i]) == 0;
        if (!reserved) ok = twi_json_set(full, key, twi_json_copy(twi_json_get(document, key)));
    }
    if (ok) return full;
    twi_json_free(full);
    return NULL;
}

static tw_status document_text(tw_ctx *ctx, const char *kind, const twi_json *document, char **text)
{
    size_t size;
    twi_json *full = full_document(kind, document);
    if (!full) return twi_fail(ctx, TW_ERR_NOMEM, "no memory for a document");
    tw_status st = twi_json_print(ctx, full, text, &size);
    twi_json_free(full);
    if (st != TW_OK) return st;
    if (size > TWI_MAX_DOCUMENT) {
        st = twi_fail(ctx, TW_ERR_DATA, "a document of %zu bytes; at most %zu are allowed", size,
                      TWI_MAX_DOCUMENT);
        twi_free(*text);
    }
    return st;
}

static twi_json *sizes_json(const size_t *sizes, size_t n)
{
    twi_json *array = twi_json_array();
    bool ok = array != NULL;
    for (size_t i = 0; i < n && ok; i++)
        ok = twi_json_append(array, twi_json_integer((int64_t)sizes[i]));
    if (ok) return array;
    twi_json_free(array);
    return NULL;
}

static twi_json *entry_json(const placed *p, size_t begin)
{
    const size_t offsets[] = {begin, begin + p->bytes};
    twi_json *entry = twi_json_object();
    if (twi_json_set(entry, "dtype", twi_json_text(twi_dtype_name(p->tensor->dtype))) &&
        twi_json_set(entry, "shape", sizes_json(p->tensor->dims, p->tensor->rank)) &&
        twi_json_set(entry, "data_offsets", sizes_json(offsets, 2)))
        return entry;
    twi_json_free(entry);
    return NULL;
}

static tw_status add_entries(tw_ctx *ctx, twi_json *header, const placed *list, size_t n)
{
    size_t at = 0, end;
    for (size_t i = 0; i < n; i++) {
        const char *name = list[i].tensor->name;
        if (twi_json_get(header, name))
            return twi_fail(ctx, TW_ERR_ARG, "a tensor called %s is there twice", name);
        if (twi_add(at, list[i].bytes, &end) || end > INT64_MAX)
            return twi_fail(ctx, TW_ERR_DATA, "tensor %s: the file would be too large", name);
        if (!twi_json_set(header, name, entry_json(&list[i], at)))
            return twi_fail(ctx, TW_ERR_DATA, "tensor %s: its name is not UTF-8, or memory ran out",
                            name);
        at = end;
    }
    return TW_OK;
}

/* The length, the header with the digest as zeros, and spaces up to a multiple of TWI_ALIGN. */
static tw_status pack(tw_ctx *ctx, const twi_json *header, unsigned char **out, size_t *out_size)
{
    char *text;
    unsigned char *bytes;
    size_t length;
    tw_status st = twi_json_print(ctx, header, &text, &length);
    if (st != TW_OK) return st;
    const size_t used = TWI_LENGTH_BYTES + length;
    const size_t size = (used + TWI_ALIGN - 1) / TWI_ALIGN * TWI_ALIGN;
    assert(memcmp(text, TWI_BUNDLE_START, sizeof TWI_BUNDLE_START - 1) == 0);
    if (size - TWI_LENGTH_BYTES > TWI_MAX_HEADER)
        st = twi_fail(ctx, TW_ERR_DATA, "a header of %zu bytes; at most %zu are allowed", length,
                      TWI_MAX_HEADER);
    if (st == TW_OK && (st = twi_alloc(ctx, size, &bytes)) == TW_OK) {
        for (int i = 0; i < TWI_LENGTH_BYTES; i++)
            bytes[i] = (unsigned char)((uint64_t)(size - TWI_LENGTH_BYTES) >> 8 * i);
        memcpy(bytes + TWI_LENGTH_BYTES, text, length);
        memset(bytes + used, ' ', size - used);
        *out = bytes;
        *out_size = size;
    }
    twi_free(text);
    return st;
}

static tw_status make_header(tw_ctx *ctx, const char *document, const placed *list, size_t n,
                             unsigned char **out, size_t *out_size)
{
    twi_json *header = twi_json_object(), *metadata = twi_json_object();
    tw_status st;
    bool ok = twi_json_set(metadata, "topwork", twi_json_text(document));
    ok = twi_json_set(header, "__metadata__", metadata) && ok;
    if (!ok) {
        st = twi_fail(ctx, TW_ERR_NOMEM, "no memory for a file's header");
        goto done;
    }
    if ((st = add_entries(ctx, header, list, n)) != TW_OK) goto done;
    st = pack(ctx, header, out, out_size);
done:
    twi_json_free(header);
    return st;
}

/* ---- the file ------------------------------------------------------------------------------ */

typedef struct job { /* all that is decided before the first byte is written */
    placed *list;
    size_t n;
    unsigned char *header;
    size_t header_size;
} job;

static tw_status prepare(tw_ctx *ctx, const char *kind, const twi_tensors *tensors,
                         const twi_json *document, job *j)
{
    char *text;
    tw_status st = document_text(ctx, kind, document, &text);
    if (st != TW_OK) return st;
    j->n = tensors->n;
    if ((st = place(ctx, tensors, &j->list)) == TW_OK)
        st = make_header(ctx, text, j->list, j->n, &j->header, &j->header_size);
    twi_free(text);
    return st;
}

static tw_status write_job(tw_ctx *ctx, const job *j, twi_outfile *file,
                           char hex[TWI_DIGEST_HEX + 1])
{
    twi_digest digest;
    twi_digest_start(&digest);
    twi_digest_add(&digest, j->header, j->header_size);
    tw_status st = twi_outfile_write(ctx, file, j->header, j->header_size);
    for (size_t i = 0; i < j->n && st == TW_OK; i++) {
        twi_digest_add(&digest, j->list[i].tensor->data, j->list[i].bytes);
        st = twi_outfile_write(ctx, file, j->list[i].tensor->data, j->list[i].bytes);
    }
    if (st != TW_OK) return st;
    twi_digest_finish(&digest, hex);
    return twi_outfile_write_at(ctx, file, TWI_DIGEST_OFFSET, hex, TWI_DIGEST_HEX);
}

tw_status twi_bundle_write(tw_ctx *ctx, const char *path, const char *kind,
                           const twi_tensors *tensors, const twi_json *document, char digest[65])
{
    char hex[TWI_DIGEST_HEX + 1];
    job j = {0};
    twi_outfile *file = NULL;
    tw_status st = prepare(ctx, kind, tensors, document, &j);
    if (st != TW_OK) {
        st = twi_fail_prefix(ctx, st, "%s: ", path);
        goto done;
    }
    if ((st = twi_outfile_open(ctx, path, &file)) != TW_OK) goto done;
    if ((st = write_job(ctx, &j, file, hex)) != TW_OK) goto done;
    if ((st = twi_outfile_commit(ctx, file)) != TW_OK) goto done;
    if (digest) memcpy(digest, hex, sizeof hex);
done:
    twi_outfile_free(file);
    twi_free(j.header);
    twi_free(j.list);
    return st;
}
