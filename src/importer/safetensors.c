/* safetensors.c - torchvision-named weights in a safetensors file. */
#include "importer/readers.h"
#include "base/cursor.h"
#include "base/file.h"
#include "bundle/bundle.h"

#include <string.h>

/* The format's own limit on its header. Source: safetensors 0.3, MAX_HEADER_SIZE. */
#define MAX_HEADER_BYTES 100000000

static bool recognises(const unsigned char *head, size_t size)
{
    twi_cursor cursor = twi_cursor_over(head, size);
    const uint64_t header = twi_take_u64le(&cursor);
    const uint8_t first = twi_take_u8(&cursor);
    return !cursor.failed && header <= MAX_HEADER_BYTES && first == '{';
}

static void release(void *owner)
{
    twi_map_close(owner);
    twi_free(owner);
}

/* "classes" of __metadata__ holds names divided by single spaces; out: one a line. */
static tw_status take_classes(tw_ctx *ctx, const twi_json *metadata, char **out)
{
    const char *classes = twi_json_as_text(twi_json_get(metadata, "classes"), NULL);
    if (!classes) return TW_OK;
    const tw_status st = twi_strdup(ctx, classes, out);
    if (st != TW_OK) return st;
    for (char *at = *out; *at; at++)
        if (*at == ' ') *at = '\n';
    return TW_OK;
}

static tw_status read_file(tw_ctx *ctx, const char *path, twi_weights *out)
{
    twi_weights weights = {.format = "safetensors", .convention = TWI_TORCHVISION};
    twi_json *metadata = NULL;
    twi_map *map;
    tw_status st = twi_zalloc(ctx, 1, &map);
    if (st != TW_OK) return st;
    weights.owner = map;
    weights.release = release;
    if ((st = twi_map_open(ctx, path, map)) != TW_OK) goto done;
    st = twi_safetensors_parse(ctx, path, map->data, map->size, &weights.tensors, &metadata);
    if (st != TW_OK) goto done;
    if ((st = take_classes(ctx, metadata, &weights.classes)) != TW_OK) goto done;
    *out = weights, weights = (twi_weights){0}; /* handed over */
done:
    twi_json_free(metadata);
    twi_weights_free(&weights);
    return st;
}

const twi_weights_reader twi_safetensors_reader = {"safetensors", recognises, read_file};
