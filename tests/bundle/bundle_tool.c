/* bundle_tool.c - what parity.py talks to: writes a bundle, or lists the tensors of any safetensors
 * file. */
#include "base/digest.h"
#include "base/file.h"
#include "bundle/bundle.h"

#include <stdio.h>
#include <string.h>

/* A few tensors whose bytes count up, so that Python can make them again. */
static tw_status write_sample(tw_ctx *ctx, const char *path)
{
    static const struct {
        const char *name;
        twi_dtype dtype;
        size_t rank, dims[4];
    } rows[] = {
        {"bytes", TWI_U8, 1, {13}},           {"half", TWI_F16, 2, {3, 5}},
        {"weight", TWI_F32, 4, {8, 4, 3, 3}}, {"doubles", TWI_F64, 1, {7}},
        {"empty", TWI_F32, 2, {0, 9}},        {"scalar", TWI_I64, 0, {0}},
        {"signed", TWI_I8, 1, {64}},          {"labels", TWI_U32, 1, {3}},
        {"brain", TWI_BF16, 1, {33}},         {"\xc3\xa9 \"q\" \\", TWI_I32, 1, {3}},
    };
    twi_tensors list = {0};
    twi_json *document = twi_json_object();
    tw_status st = TW_OK;
    for (size_t i = 0; i < TWI_LEN(rows) && st == TW_OK; i++) {
        void *data;
        st = twi_tensors_add(ctx, &list, rows[i].name, rows[i].dtype, rows[i].rank, rows[i].dims,
                             NULL, &data);
        if (st != TW_OK) break;
        const size_t bytes = list.items[i].count * twi_dtype_size(rows[i].dtype);
        for (size_t k = 0; k < bytes; k++) ((unsigned char *)data)[k] = (unsigned char)(k + i);
    }
    twi_json_set(document, "note", twi_json_text("\xc3\xa9 \"quoted\" \\ \n"));
    if (st == TW_OK) st = twi_bundle_write(ctx, path, "model", &list, document, NULL);
    twi_json_free(document);
    twi_tensors_free(&list);
    return st;
}

/* One line a tensor: type, shape, SHA-256 of its bytes, name. */
static tw_status list_tensors(tw_ctx *ctx, const char *path)
{
    twi_map map = {0};
    twi_tensors list = {0};
    tw_status st = twi_map_open(ctx, path, &map);
    if (st == TW_OK) st = twi_safetensors_parse(ctx, path, map.data, map.size, &list, NULL);
    for (size_t i = 0; st == TW_OK && i < list.n; i++) {
        const twi_tensor *t = &list.items[i];
        char hex[TWI_DIGEST_HEX + 1];
        twi_digest digest;
        twi_digest_start(&digest);
        twi_digest_add(&digest, t->data, t->count * twi_dtype_size(t->dtype));
        twi_digest_finish(&digest, hex);
        printf("%s ", twi_dtype_name(t->dtype));
        for (size_t d = 0; d < t->rank; d++) printf("%s%zu", d ? "," : "", t->dims[d]);
        printf(" %s %s\n", hex, t->name);
    }
    twi_tensors_free(&list);
    twi_map_close(&map);
    return st;
}

static tw_status verify(tw_ctx *ctx, const char *path)
{
    twi_bundle *bundle = NULL;
    const tw_status st = twi_bundle_open(ctx, path, NULL, &bundle);
    if (st == TW_OK) printf("%s\n", twi_bundle_digest(bundle));
    twi_bundle_free(bundle);
    return st;
}

int main(int argc, char **argv)
{
    tw_ctx *ctx;
    tw_status st = TW_ERR_ARG;
    if (argc != 3 || tw_ctx_new(&ctx) != TW_OK) {
        fprintf(stderr, "usage: bundle-tool write|list|verify PATH\n");
        return 2;
    }
    if (strcmp(argv[1], "write") == 0) st = write_sample(ctx, argv[2]);
    if (strcmp(argv[1], "list") == 0) st = list_tensors(ctx, argv[2]);
    if (strcmp(argv[1], "verify") == 0) st = verify(ctx, argv[2]);
    if (st != TW_OK) fprintf(stderr, "%s: %s\n", tw_status_name(st), tw_last_error(ctx));
    tw_ctx_free(ctx);
    return st == TW_OK ? 0 : 1;
}
