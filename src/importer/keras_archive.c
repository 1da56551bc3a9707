/* keras_archive.c - Keras 3's .keras: a zip archive of config.json and model.weights.h5. Where that
 * file has no names of layers, config.json tells them: it lists each model's layers in the order in
 * which the groups of one class are numbered. */
#include "importer/keras.h"
#include "importer/readers.h"
#include "importer/zip.h"
#include "base/file.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

#define WEIGHTS          "model.weights.h5"
#define CONFIG           "config.json"
#define MAX_CONFIG_BYTES ((size_t)16 << 20)
#define MAX_IMAGE_BYTES  ((size_t)4 << 30)
#define MAX_LAYERS       16384
#define MAX_DEPTH        8

static bool recognises(const unsigned char *data, size_t size)
{
    twi_zip zip;
    twi_zip_entry entry;
    return twi_zip_recognises(data, size) && twi_zip_open(NULL, "", data, size, &zip) == TW_OK &&
           twi_zip_find(&zip, WEIGHTS, &entry) == TW_OK;
}

/* ---- names --------------------------------------------------------------------------------- */

typedef struct naming {
    tw_ctx *ctx;
    const char *path;
    twi_tensors *all;
    bool *named; /* [all->n] */
} naming;

/* keras/src/utils/naming.py: "BatchNormalization" is batch_normalization, "Conv2D" conv2d. false:
 * too long. */
static bool snake_case(const char *name, char *out, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; name[i]; i++) {
        const char c = name[i], before = i > 0 ? name[i - 1] : '\0';
        const bool upper = c >= 'A' && c <= 'Z', after_small = before >= 'a' && before <= 'z';
        const bool small_next = name[i + 1] >= 'a' && name[i + 1] <= 'z';
        if (n + 2 >= room) return false;
        if (upper && i > 0 && (small_next || after_small)) /* a word starts */
            out[n++] = '_';
        out[n++] = (char)(upper ? c - 'A' + 'a' : c);
    }
    out[n] = '\0';
    return n > 0;
}

/* Gives the weights "<group>.<part>" their layer's name. */
static tw_status name_group(const naming *n, const char *group, const char *name)
{
    const size_t length = strlen(group);
    for (size_t i = 0; i < n->all->n; i++) {
        const char *old = n->all->items[i].name;
        char *fresh, *kept;
        if (n->named[i] || strncmp(old, group, length) != 0 || old[length] != '.') continue;
        tw_status st = twi_asprintf(n->ctx, &fresh, "%s%s", name, old + length);
        if (st != TW_OK) return st;
        st = twi_arena_text(n->ctx, &n->all->owned, fresh, strlen(fresh), &kept);
        twi_free(fresh);
        if (st != TW_OK) return st;
        n->all->items[i].name = kept;
        n->named[i] = true;
    }
    return TW_OK;
}

typedef struct member { /* of a model's list of layers */
    char kind[96];
    const twi_json *config;
    const char *name;
} member;

/* What saving_lib.py numbers; false: an operation, which is no layer. */
static tw_status read_member(const naming *n, const twi_json *layer, member *out, bool *counts)
{
    const char *class_name = twi_json_as_text(twi_json_get(layer, "class_name"), NULL);
    const char *module = twi_json_as_text(twi_json_get(layer, "module"), "");
    out->config = twi_json_get(layer, "config");
    out->name = twi_json_as_text(twi_json_get(out->config, "name"), NULL);
    *counts = !strstr(module, ".ops");
    if (class_name && out->name && snake_case(class_name, out->kind, sizeof out->kind))
        return TW_OK;
    return twi_fail(n->ctx, TW_ERR_FORMAT, "%s: %s: a layer without class_name or name", n->path,
                    CONFIG);
}

static tw_status name_layers(const naming *n, const twi_json *config, const char *within,
                             size_t depth);

static bool is_functional(const member *m)
{
    return strcmp(m->kind, "functional") == 0;
}

static tw_status name_member(const naming *n, const member *m, size_t number, const char *within,
                             size_t depth)
{
    char group[256], count[32] = "";
    if (number > 0) snprintf(count, sizeof count, "_%zu", number);
    const int length =
        snprintf(group, sizeof group, "%s%s%s%s", within, *within ? "/" : "", m->kind, count);
    if (length < 0 || (size_t)length >= sizeof group)
        return twi_fail(n->ctx, TW_ERR_FORMAT, "%s: %s: layers inside layers without end", n->path,
                        CONFIG);
    const tw_status st = name_group(n, group, m->name);
    return st == TW_OK && twi_json_get(m->config, "layers")
               ? name_layers(n, m->config, group, depth + 1)
               : st;
}

/* As hdf5/groups.c labels groups: those of the one model among layers count as the outer model's,
 * and what stands beside it is "outside". */
static tw_status name_layers(const naming *n, const twi_json *config, const char *within,
                             size_t depth)
{
    const twi_json *layers = twi_json_get(config, "layers");
    const size_t count = twi_json_length(layers);
    member *members;
    size_t known = 0, models = 0;
    if (!twi_json_is_array(layers) || count > MAX_LAYERS || depth > MAX_DEPTH)
        return twi_fail(n->ctx, TW_ERR_FORMAT,
                        "%s: %s: no list of at most %d layers, %d models deep", n->path, CONFIG,
                        MAX_LAYERS, MAX_DEPTH);
    tw_status st = twi_alloc(n->ctx, count, &members);
    for (size_t i = 0; i < count && st == TW_OK; i++) {
        bool counts = false;
        st = read_member(n, twi_json_at(layers, i), &members[known], &counts);
        models += st == TW_OK && counts && is_functional(&members[known]);
        known += st == TW_OK && counts;
    }
    for (size_t i = 0; i < known && st == TW_OK; i++) {
        size_t number = 0;
        for (size_t k = 0; k < i; k++) number += strcmp(members[k].kind, members[i].kind) == 0;
        if (models == 1 && is_functional(&members[i]))
            st = name_layers(n, members[i].config, within, depth + 1);
        else
            st = name_member(n, &members[i], number, models == 1 && !*within ? "outside" : within,
                             depth);
    }
    twi_free(members);
    return st;
}

tw_status twi_keras_name_by_config(tw_ctx *ctx, const char *path, const void *text, size_t size,
                                   twi_weights *weights)
{
    twi_json *config = NULL;
    naming n = {.ctx = ctx, .path = path, .all = &weights->tensors};
    tw_status st = twi_json_parse(ctx, CONFIG, text, size, &config);
    if (st != TW_OK) return twi_fail_prefix(ctx, st, "%s: ", path);
    if ((st = twi_zalloc(ctx, n.all->n, &n.named)) == TW_OK)
        st = name_layers(&n, twi_json_get(config, "config"), "", 0);
    weights->numbered = false;
    twi_free(n.named);
    twi_json_free(config);
    return st;
}

static tw_status name_weights(const twi_zip *zip, twi_weights *weights)
{
    twi_zip_entry entry;
    unsigned char *text = NULL;
    tw_status st = twi_zip_find(zip, CONFIG, &entry);
    if (st != TW_OK) return twi_fail_prefix(zip->ctx, TW_ERR_FORMAT, "%s", "");
    st = twi_zip_read(zip, &entry, MAX_CONFIG_BYTES, &text);
    if (st == TW_OK)
        st = twi_keras_name_by_config(zip->ctx, zip->path, text, (size_t)entry.bytes, weights);
    twi_free(text);
    return st;
}

/* ---- the archive --------------------------------------------------------------------------- */

static tw_status parse(tw_ctx *ctx, const char *path, const twi_map *map, twi_weights *out)
{
    twi_zip zip;
    twi_zip_entry entry;
    twi_weights weights = {0};
    unsigned char *image = NULL;
    tw_status st = twi_zip_open(ctx, path, map->data, map->size, &zip);
    if (st == TW_OK) st = twi_zip_find(&zip, WEIGHTS, &entry);
    if (st == TW_OK) st = twi_zip_read(&zip, &entry, MAX_IMAGE_BYTES, &image);
    if (st == TW_OK) st = twi_hdf5_parse(ctx, path, image, (size_t)entry.bytes, &weights);
    twi_free(image);
    if (st == TW_OK && weights.numbered) st = name_weights(&zip, &weights);
    if (st == TW_OK)
        *out = weights;
    else
        twi_weights_free(&weights);
    return st;
}

static tw_status read_file(tw_ctx *ctx, const char *path, twi_weights *out)
{
    twi_map map;
    tw_status st = twi_map_open(ctx, path, &map);
    if (st != TW_OK) return st;
    st = parse(ctx, path, &map, out);
    twi_map_close(&map);
    if (st == TW_OK) out->format = "keras3-archive";
    return st;
}

const twi_weights_reader twi_keras_archive_reader = {"keras-archive", recognises, read_file};
