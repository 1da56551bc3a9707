/* engine_tool.c - what parity_engine.py talks to: runs the network of a backbone file.
 *
 *     engine-tool FILE f32|bf16|int8|reference BATCH HEIGHT WIDTH [SECONDS]
 *
 * Reads pictures [batch, height, width, channels] (float32) from standard input and writes the
 * features, or, when ENGINE_TOOL_LOGITS is set, the raw class scores. With SECONDS: no input,
 * prints pictures a second instead. int8 is calibrated on the pictures of the file
 * ENGINE_TOOL_WATCH, as many as it holds; without one, on what it then runs. With ENGINE_TOOL_BUSY
 * seconds are the processors', which a busy machine disturbs less. */
#include "base/threads.h"
#include "bundle/bundle.h"
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The network in a backbone file. Its weights stay in the bundle, which must outlive it. */
static tw_status read_backbone(tw_ctx *ctx, const char *path, twi_bundle **bundle,
                               twi_network **out)
{
    twi_tensors weights = {0};
    tw_status st = twi_bundle_open(ctx, path, "backbone", bundle);
    if (st != TW_OK) return st;
    const twi_tensors *stored = twi_bundle_tensors(*bundle);
    for (size_t i = 0; i < stored->n && st == TW_OK; i++) {
        const twi_tensor *t = &stored->items[i];
        st = twi_tensors_add(ctx, &weights, t->name, t->dtype, t->rank, t->dims, t->data, NULL);
    }
    if (st == TW_OK)
        st = twi_network_from_json(ctx, path, twi_json_get(twi_bundle_document(*bundle), "graph"),
                                   &weights, out);
    twi_tensors_free(&weights);
    return st;
}

static double now(void)
{
    struct timespec t;
    const bool busy = getenv("ENGINE_TOOL_BUSY") != NULL;
    clock_gettime(busy ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Ranges of network's values on pictures [batch], and on those of the file as well. */
static tw_status watch(tw_ctx *ctx, twi_network *network, const twi_engine_opts *opts,
                       float *pictures)
{
    twi_engine_opts watching = *opts;
    twi_program *program = NULL;
    twi_workspace *workspace = NULL;
    double(*observed)[2] = calloc(network->n, sizeof *observed);
    const char *path = getenv("ENGINE_TOOL_WATCH");
    FILE *file = path ? fopen(path, "rb") : NULL;
    const size_t each = opts->height * opts->width * network->input_channels;
    watching.precision = TW_PRECISION_F32;
    watching.watch = true;
    tw_status st = twi_program_new(ctx, network, &watching, NULL, &program);
    float *out = calloc(opts->batch * (st == TW_OK ? twi_program_output_count(program) : 0), 4);
    if (st == TW_OK) st = twi_workspace_new(ctx, program, &workspace);
    float *from_file = calloc(opts->batch * each, sizeof *from_file);
    while (st == TW_OK) {
        const size_t n = file ? fread(from_file, each * 4, opts->batch, file) : opts->batch;
        if (n == 0) break;
        st = twi_program_run(ctx, program, workspace, file ? from_file : pictures, n, out);
        if (!file) break;
    }
    if (st == TW_OK) st = twi_workspace_observed(ctx, workspace, observed);
    for (size_t i = 0; st == TW_OK && i < network->n; i++)
        memcpy(network->nodes[i].observed, observed[i], sizeof observed[i]);
    if (file) fclose(file);
    twi_workspace_free(workspace);
    twi_program_free(program);
    free(from_file);
    free(observed);
    free(out);
    return st;
}

/* Runs for seconds, or once on what standard input has. */
static tw_status run(tw_ctx *ctx, twi_network *network, const twi_engine_opts *opts, double seconds)
{
    const size_t count = opts->batch * opts->height * opts->width * network->input_channels;
    float *pictures = calloc(count, sizeof *pictures), *out = NULL;
    twi_program *program = NULL;
    twi_workspace *workspace = NULL;
    size_t n_out = 0;
    tw_status st = TW_OK;
    for (size_t i = 0; seconds > 0 && i < count; i++)
        pictures[i] = (float)(i * 7919 % 1013) / 506.0f - 1.0f;
    if (seconds <= 0 && fread(pictures, sizeof *pictures, count, stdin) != count)
        st = twi_fail(ctx, TW_ERR_ARG, "need %zu numbers", count);
    if (st == TW_OK && opts->precision == TW_PRECISION_INT8)
        st = watch(ctx, network, opts, pictures);
    if (st == TW_OK) st = twi_program_new(ctx, network, opts, NULL, &program);
    if (st == TW_OK) {
        n_out = opts->batch * twi_program_output_count(program);
        out = calloc(n_out, sizeof *out);
        st = twi_workspace_new(ctx, program, &workspace);
    }
    if (seconds > 0) {
        if (st == TW_OK) st = twi_program_run(ctx, program, workspace, pictures, opts->batch, out);
        size_t done = 0;
        const double start = now();
        while (st == TW_OK && now() < start + seconds) {
            st = twi_program_run(ctx, program, workspace, pictures, opts->batch, out);
            done += opts->batch;
        }
        printf("%.2f\n", (double)done / (now() - start));
    } else if (st == TW_OK) {
        st = twi_program_run(ctx, program, workspace, pictures, opts->batch, out);
        fwrite(out, sizeof *out, n_out, stdout);
    }
    twi_workspace_free(workspace);
    twi_program_free(program);
    free(pictures);
    free(out);
    return st;
}

int main(int argc, char **argv)
{
    tw_ctx *ctx;
    twi_bundle *bundle = NULL;
    twi_network *network = NULL, *frozen = NULL;
    if ((argc != 6 && argc != 7) || tw_ctx_new(&ctx) != TW_OK) return 2;
    const char *threads = getenv("ENGINE_TOOL_THREADS");
    const twi_engine_opts opts = {.precision = strcmp(argv[2], "bf16") == 0   ? TW_PRECISION_BF16
                                               : strcmp(argv[2], "int8") == 0 ? TW_PRECISION_INT8
                                                                              : TW_PRECISION_F32,
                                  .batch = strtoul(argv[3], NULL, 10),
                                  .height = strtoul(argv[4], NULL, 10),
                                  .width = strtoul(argv[5], NULL, 10),
                                  .threads = threads ? strtoul(threads, NULL, 10) : 2,
                                  .reference = strcmp(argv[2], "reference") == 0};
    tw_status st = read_backbone(ctx, argv[1], &bundle, &network);
    if (st == TW_OK)
        st = twi_network_for_inference(
            ctx, network, getenv("ENGINE_TOOL_LOGITS") ? TWI_OUTPUT_LOGITS : TWI_OUTPUT_AVG,
            !opts.reference, &frozen);
    if (st == TW_OK) st = run(ctx, frozen, &opts, argc == 7 ? atof(argv[6]) : 0);
    if (st != TW_OK) fprintf(stderr, "%s\n", tw_last_error(ctx));
    twi_network_free(frozen);
    twi_network_free(network);
    twi_bundle_free(bundle);
    tw_ctx_free(ctx);
    return st != TW_OK;
}
