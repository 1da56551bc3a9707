/* names.c - lists of names in attributes. Those over 64 KiB are split into layer_names0,
 * layer_names1, ... */
#include "importer/hdf5/private.h"

#include <stdio.h>
#include <string.h>

void twi_h5_names_free(twi_h5_names *list)
{
    twi_free(list->items);
    twi_arena_free(&list->memory);
}

static tw_status add_name(twi_h5_reader *in, twi_h5_names *list, const char *text, size_t room)
{
    const size_t length = strnlen(text, room);
    char *copy;
    if (length > TWI_H5_MAX_NAME_BYTES)
        return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: a name of more than %d bytes", in->path,
                        TWI_H5_MAX_NAME_BYTES);
    tw_status st = twi_arena_text(in->ctx, &list->memory, text, length, &copy);
    if (st != TW_OK) return st;
    st = twi_grow(in->ctx, &list->items, &list->capacity, list->n + 1);
    if (st == TW_OK) list->items[list->n++] = copy;
    return st;
}

/* Strings of one fixed length, padded with NULs. */
static tw_status read_fixed(twi_h5_reader *in, hid_t attr, hid_t type, size_t n, twi_h5_names *list)
{
    const size_t size = H5Tget_size(type);
    char *text;
    if (size == 0 || size > TWI_H5_MAX_NAME_BYTES)
        return twi_fail(in->ctx, TW_ERR_FORMAT, "%s: names of %zu bytes; at most %d are allowed",
                        in->path, size, TWI_H5_MAX_NAME_BYTES);
    tw_status st = twi_zalloc(in->ctx, n * size, &text); /* both capped: no overflow */
    if (st != TW_OK) return st;
    if (H5Aread(attr, type, text) < 0)
        st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: a list of names cannot be read", in->path);
    for (size_t i = 0; i < n && st == TW_OK; i++) st = add_name(in, list, text + i * size, size);
    twi_free(text);
    return st;
}

/* Strings of the library's making; type is the file's own, as it does not convert between ASCII and
 * UTF-8. */
static tw_status read_variable(twi_h5_reader *in, hid_t attr, hid_t type, size_t n,
                               twi_h5_names *list)
{
    char **texts;
    const hid_t space = H5Aget_space(attr);
    tw_status st = twi_zalloc(in->ctx, n, &texts);
    if (st != TW_OK) goto done;
    if (space < 0 || H5Aread(attr, type, texts) < 0) {
        st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: a list of names cannot be read", in->path);
        goto done;
    }
    for (size_t i = 0; i < n && st == TW_OK; i++)
        st = texts[i] ? add_name(in, list, texts[i], SIZE_MAX)
                      : twi_fail(in->ctx, TW_ERR_FORMAT, "%s: an empty name", in->path);
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, texts);
done:
    if (space >= 0) H5Sclose(space);
    twi_free(texts);
    return st;
}

static tw_status read_attribute(twi_h5_reader *in, hid_t group, const char *name,
                                twi_h5_names *list)
{
    tw_status st = TW_OK;
    hid_t attr = H5Aopen(group, name, H5P_DEFAULT), type = -1, space = -1;
    if (attr >= 0) type = H5Aget_type(attr), space = H5Aget_space(attr);
    const hssize_t n = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    if (type < 0 || n < 0)
        st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: attribute %s cannot be read", in->path, name);
    else if (n > TWI_H5_MAX_NAMES || list->n + (size_t)n > TWI_H5_MAX_NAMES)
        st = twi_fail(in->ctx, TW_ERR_FORMAT,
                      "%s: attribute %s has %lld names; at most %d are allowed", in->path, name,
                      (long long)n, TWI_H5_MAX_NAMES);
    else if (n > 0 && H5Tget_class(type) == H5T_STRING)
        st = H5Tis_variable_str(type) > 0 ? read_variable(in, attr, type, (size_t)n, list)
                                          : read_fixed(in, attr, type, (size_t)n, list);
    else if (n > 0) /* a list of no names is an empty array of doubles */
        st = twi_fail(in->ctx, TW_ERR_FORMAT, "%s: attribute %s holds no text", in->path, name);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (attr >= 0) H5Aclose(attr);
    return st;
}

tw_status twi_h5_read_names(twi_h5_reader *in, hid_t group, const char *name, twi_h5_names *list)
{
    if (H5Aexists(group, name) > 0) return read_attribute(in, group, name, list);
    char piece[64];
    for (size_t i = 0; i < TWI_H5_MAX_NAMES; i++) {
        snprintf(piece, sizeof piece, "%s%zu", name, i);
        if (H5Aexists(group, piece) <= 0) break;
        const tw_status st = read_attribute(in, group, piece, list);
        if (st != TW_OK) return st;
    }
    return TW_OK;
}
