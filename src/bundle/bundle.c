/* bundle.c - opens a bundle: digest first, then what it says. */
#include "bundle/layout.h"

#include "base/file.h"
#include "base/text.h"

#include <string.h>

struct twi_bundle {
    twi_map map; /* empty when the bytes are somebody else's */
    twi_tensors tensors;
    twi_json *document;
    char digest[TWI_DIGEST_HEX + 1];
};

void twi_bundle_compute_digest(const unsigned char *data, size_t size, char hex[TWI_DIGEST_HEX + 1])
{
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    const size_t after = TWI_DIGEST_OFFSET + TWI_DIGEST_HEX;
    twi_digest digest;
    twi_digest_start(&digest);
    twi_digest_add(&digest, data, TWI_DIGEST_OFFSET);
    twi_digest_add(&digest, zeros, TWI_DIGEST_HEX);
    twi_digest_add(&digest, data + after, size - after);
    twi_digest_finish(&digest, hex);
}

/* As far as the bytes go. */
static bool starts_like_bundle(const unsigned char *data, size_t size)
{
    static const char start[] = TWI_BUNDLE_START;
    const size_t n = size < TWI_DIGEST_OFFSET ? size : TWI_DIGEST_OFFSET;
    return n > TWI_LENGTH_BYTES &&
           memcmp(data + TWI_LENGTH_BYTES, start, n - TWI_LENGTH_BYTES) == 0;
}

static tw_status check_digest(tw_ctx *ctx, const char *name, const unsigned char *data, size_t size,
                              char hex[TWI_DIGEST_HEX + 1])
{
    if (!starts_like_bundle(data, size))
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: not a topwork file (%s)", name,
                        size > TWI_LENGTH_BYTES && data[TWI_LENGTH_BYTES] == '{'
                            ? "it may be plain safetensors: import that first"
                            : "it does not start like one");
    if (size < TWI_DIGEST_OFFSET + TWI_DIGEST_HEX)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: cut short at byte %zu", name, size);
    char claimed[TWI_DIGEST_HEX + 1] = "";
    memcpy(claimed, data + TWI_DIGEST_OFFSET, TWI_DIGEST_HEX);
    twi_bundle_compute_digest(data, size, hex);
    if (memcmp(claimed, hex, TWI_DIGEST_HEX) == 0) return TW_OK;
    const bool digits = strspn(claimed, "0123456789abcdef") == TWI_DIGEST_HEX;
    return twi_fail(ctx, TW_ERR_FORMAT,
                    "%s: damaged or cut short: its SHA-256 is %s, the file states %s", name, hex,
                    digits ? claimed : "none");
}

/* ---- the document -------------------------------------------------------------------------- */

/* docs/format.md, "Versions": what a reader of version 1 may not pass over. */
static const char *const known_features[] = {"views", "layers"};

static bool is_known(const char *word)
{
    for (size_t i = 0; i < TWI_LEN(known_features); i++)
        if (strcmp(known_features[i], word) == 0) return true;
    return false;
}

static tw_status check_features(tw_ctx *ctx, const char *name, const twi_json *document)
{
    const twi_json *features = twi_json_get(document, "required_features");
    const size_t n = twi_json_length(features);
    twi_text list = {0};
    tw_status st = TW_OK;
    if (!twi_json_is_array(features))
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: \"required_features\" is not an array", name);
    for (size_t i = 0; i < n; i++) {
        const char *word = twi_json_as_text(twi_json_at(features, i), NULL);
        if (!word) {
            st = twi_fail(ctx, TW_ERR_FORMAT, "%s: \"required_features\" holds more than words",
                          name);
            goto done;
        }
        if (is_known(word)) continue;
        if (list.length > 0) twi_text_add(&list, ", ");
        twi_text_add(&list, word);
    }
    if (list.failed)
        st = twi_fail(ctx, TW_ERR_NOMEM, "no memory for a message");
    else if (list.length > 0)
        st = twi_fail(ctx, TW_ERR_UNSUPPORTED, "%s: needs what this build does not have: %s", name,
                      list.text);
done:
    twi_text_free(&list);
    return st;
}

static tw_status check_document(tw_ctx *ctx, const char *name, const twi_json *document)
{
    const int64_t version = twi_json_as_integer(twi_json_get(document, "version"), 0);
    if (version < 1)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: \"version\" is not an integer above 0", name);
    if (version > TWI_BUNDLE_VERSION)
        return twi_fail(ctx, TW_ERR_UNSUPPORTED,
                        "%s: format version %lld; this build reads up to %d: a newer topwork is "
                        "needed",
                        name, (long long)version, TWI_BUNDLE_VERSION);
    if (!twi_json_as_text(twi_json_get(document, "kind"), NULL))
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: \"kind\" is not a text", name);
    return check_features(ctx, name, document);
}

static tw_status read_document(tw_ctx *ctx, const char *name, const twi_json *metadata,
                               twi_json **out)
{
    const char *text = twi_json_as_text(twi_json_get(metadata, "topwork"), NULL);
    if (!text || twi_json_length(metadata) != 1)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: __metadata__ holds more than \"topwork\"", name);
    const size_t length = strlen(text);
    if (length > TWI_MAX_DOCUMENT)
        return twi_fail(ctx, TW_ERR_FORMAT, "%s: a document of %zu bytes; at most %zu are read",
                        name, length, TWI_MAX_DOCUMENT);
    twi_json *document;
    tw_status st = twi_json_parse(ctx, name, text, length, &document);
    if (st != TW_OK) return st;
    if ((st = check_document(ctx, name, document)) != TW_OK) {
        twi_json_free(document);
        return st;
    }
    *out = document;
    return TW_OK;
}

tw_status twi_bundle_read(tw_ctx *ctx, const char *name, const unsigned char *data, size_t size,
                          twi_bundle **out)
{
    twi_bundle *bundle;
    twi_json *metadata = NULL;
    tw_status st = twi_zalloc(ctx, 1, &bundle);
    if (st != TW_OK) return st;
    if ((st = check_digest(ctx, name, data, size, bundle->digest)) != TW_OK) goto done;
    st = twi_safetensors_parse(ctx, name, data, size, &bundle->tensors, &metadata);
    if (st != TW_OK) goto done;
    if ((st = read_document(ctx, name, metadata, &bundle->document)) != TW_OK) goto done;
    *out = bundle, bundle = NULL; /* handed over */
done:
    twi_json_free(metadata);
    twi_bundle_free(bundle);
    return st;
}

tw_status twi_bundle_open_bytes(tw_ctx *ctx, const char *name, tw_bytes bytes, const char *kind,
                                twi_bundle **out)
{
    twi_bundle *bundle = NULL;
    tw_status st = twi_bundle_read(ctx, name, bytes.data, bytes.size_bytes, &bundle);
    if (st != TW_OK) return st;
    const char *found = twi_json_as_text(twi_json_get(bundle->document, "kind"), "");
    if (kind && strcmp(found, kind) != 0)
        st = twi_fail(ctx, TW_ERR_FORMAT, "%s: holds a %s; a %s is needed", name, found, kind);
    else
        *out = bundle, bundle = NULL;
    twi_bundle_free(bundle);
    return st;
}

tw_status twi_bundle_open(tw_ctx *ctx, const char *path, const char *kind, twi_bundle **out)
{
    twi_map map = {0};
    tw_status st = twi_map_open(ctx, path, &map);
    if (st != TW_OK) return st;
    st = twi_bundle_open_bytes(ctx, path, (tw_bytes){map.data, map.size}, kind, out);
    if (st == TW_OK)
        (*out)->map = map; /* handed over */
    else
        twi_map_close(&map);
    return st;
}

void twi_bundle_free(twi_bundle *bundle)
{
    if (!bundle) return;
    twi_tensors_free(&bundle->tensors);
    twi_json_free(bundle->document);
    twi_map_close(&bundle->map);
    twi_free(bundle);
}

const twi_tensors *twi_bundle_tensors(const twi_bundle *bundle)
{
    return &bundle->tensors;
}

const twi_json *twi_bundle_document(const twi_bundle *bundle)
{
    return bundle->document;
}

const char *twi_bundle_digest(const twi_bundle *bundle)
{
    return bundle->digest;
}
