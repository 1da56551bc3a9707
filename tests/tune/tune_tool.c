/* tune_tool.c - what parity_tune.py and bench/tune/tune.py talk to: trains the network of a
 * backbone file.
 *
 *     tune-tool FILE f32|bf16|reference frozen|own BATCH SIDE adamw|sgd RATE STEPS
 *
 * Reads pictures [batch, side, side, channels] (float32) and labels [batch] (float32) from standard
 * input. Writes the loss and all gradients of the first step (float32, parameters in the order of
 * nodes), then, of what is left after STEPS steps on the same batch, the loss before each and all
 * parameters, running statistics included.
 *
 *     tune-tool FILE f32|bf16|reference frozen|own BATCH SIDE time SECONDS
 *
 * prints pictures a second of whole steps (AdamW), bytes of activations, and by how many bytes the
 * process grew at its peak. */
#include "base/threads.h"
#include "bundle/bundle.h"
#include "tune/loss.h"
#include "tune/optimiser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* A line of /proc/self/status, in bytes. Not getrusage(): its peak is also that of who started us.
 */
static size_t memory(const char *key)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    size_t kib = 0;
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, key, strlen(key)) == 0) kib = strtoul(line + strlen(key), NULL, 10);
    if (status) fclose(status);
    return kib * 1024;
}

typedef struct step { /* one batch */
    tw_ctx *ctx;
    twi_trainer *trainer;
    twi_optimiser *optimiser;
    size_t batch, classes, before; /* before: bytes of the process at its start */
    float *pictures, *scores, *gradient;
    uint32_t *labels;
} step;

static tw_status differentiate(step *s, double *loss)
{
    const twi_targets targets = {.labels = s->labels};
    tw_status st = twi_trainer_forward(s->ctx, s->trainer, s->pictures, s->scores);
    if (st != TW_OK) return st;
    *loss = twi_cross_entropy(&targets, s->scores, s->batch, s->classes, s->gradient);
    return twi_trainer_backward(s->ctx, s->trainer, s->gradient);
}

static void write_floats(const float *x, size_t n)
{
    fwrite(x, sizeof *x, n, stdout);
}

static tw_status parity(step *s, double rate, size_t steps)
{
    tw_status st = TW_OK;
    for (size_t i = 0; i < steps && st == TW_OK; i++) {
        double loss;
        st = differentiate(s, &loss);
        write_floats(&(float){(float)loss}, 1);
        for (size_t k = 0; i == 0 && k < twi_trainer_parameter_count(s->trainer); k++) {
            const twi_parameter *p = twi_trainer_parameter(s->trainer, k);
            if (p->gradient) write_floats(p->gradient, p->count);
        }
        if (st == TW_OK) twi_optimiser_step(s->optimiser, rate);
    }
    for (size_t k = 0; k < twi_trainer_parameter_count(s->trainer); k++) {
        const twi_parameter *p = twi_trainer_parameter(s->trainer, k);
        write_floats(p->value, p->count);
    }
    return st;
}

static tw_status timed(step *s, double seconds)
{
    double loss, start = 0.0;
    size_t done = 0;
    tw_status st = differentiate(s, &loss);
    for (start = twi_seconds(); st == TW_OK && twi_seconds() < start + seconds; done += s->batch) {
        st = differentiate(s, &loss);
        twi_optimiser_step(s->optimiser, 1e-4);
    }
    printf("%.3f %zu %zu\n", (double)done / (twi_seconds() - start), twi_trainer_bytes(s->trainer),
           memory("VmHWM:") - s->before);
    return st;
}

static tw_status run(step *s, size_t pixels, char **argv, int argc)
{
    const twi_optimiser_opts opts = {.kind = strcmp(argv[6], "sgd") == 0 ? TWI_SGD : TWI_ADAMW,
                                     .weight_decay = 0.05,
                                     .beta1 = 0.9,
                                     .beta2 = 0.999,
                                     .epsilon = 1e-8,
                                     .momentum = 0.9,
                                     .nesterov = true,
                                     .layer_decay = 1.0,
                                     .threads = 2};
    s->classes = twi_trainer_output_count(s->trainer);
    s->pictures = calloc(s->batch * pixels, sizeof *s->pictures);
    s->scores = calloc(s->batch * s->classes, sizeof *s->scores);
    s->gradient = calloc(s->batch * s->classes, sizeof *s->gradient);
    s->labels = calloc(s->batch, sizeof *s->labels);
    tw_status st = twi_optimiser_new(s->ctx, s->trainer, &opts, TWI_NO_NODE, &s->optimiser);
    if (st != TW_OK) return st;
    if (strcmp(argv[6], "time") == 0) {
        for (size_t i = 0; i < s->batch * pixels; i++)
            s->pictures[i] = (float)(i * 7919 % 1013) / 506.0f - 1.0f;
        return timed(s, strtod(argv[7], NULL));
    }
    if (fread(s->pictures, sizeof *s->pictures, s->batch * pixels, stdin) != s->batch * pixels)
        return twi_fail(s->ctx, TW_ERR_ARG, "need %zu numbers", s->batch * pixels);
    for (size_t i = 0; i < s->batch; i++) {
        float label = 0.0f;
        if (fread(&label, sizeof label, 1, stdin) != 1 || !(label >= 0.0f) ||
            !(label < (float)s->classes))
            return twi_fail(s->ctx, TW_ERR_ARG, "label %zu is missing or too large", i);
        s->labels[i] = (uint32_t)label;
    }
    return argc == 9 ? parity(s, strtod(argv[7], NULL), strtoul(argv[8], NULL, 10)) : TW_ERR_ARG;
}

int main(int argc, char **argv)
{
    step s = {.before = memory("VmRSS:")};
    twi_bundle *bundle = NULL;
    twi_network *network = NULL, *cut = NULL;
    if ((argc != 8 && argc != 9) || tw_ctx_new(&s.ctx) != TW_OK) return 2;
    s.batch = strtoul(argv[4], NULL, 10);
    const size_t side = strtoul(argv[5], NULL, 10);
    const char *threads = getenv("TUNE_TOOL_THREADS");
    const char *checkpointing = getenv("TUNE_TOOL_CHECKPOINTING"); /* set: yes */
    const twi_trainer_opts opts = {.precision = strcmp(argv[2], "bf16") == 0 ? TW_PRECISION_BF16
                                                                             : TW_PRECISION_F32,
                                   .batch = s.batch,
                                   .height = side,
                                   .width = side,
                                   .threads = threads ? strtoul(threads, NULL, 10) : 2,
                                   .reference = strcmp(argv[2], "reference") == 0,
                                   .batch_statistics = strcmp(argv[3], "own") == 0,
                                   .momentum = 0.1,
                                   .checkpointing = checkpointing != NULL};
    tw_status st = read_backbone(s.ctx, argv[1], &bundle, &network);
    if (st == TW_OK) st = twi_network_for_inference(s.ctx, network, TWI_OUTPUT_AVG, false, &cut);
    if (st == TW_OK) st = twi_trainer_new(s.ctx, cut, &opts, &s.trainer);
    if (st == TW_OK) st = run(&s, side * side * network->input_channels, argv, argc);
    if (st != TW_OK) fprintf(stderr, "%s\n", tw_last_error(s.ctx));
    twi_optimiser_free(s.optimiser);
    twi_trainer_free(s.trainer);
    twi_network_free(cut);
    twi_network_free(network);
    twi_bundle_free(bundle);
    free(s.pictures);
    free(s.scores);
    free(s.gradient);
    free(s.labels);
    tw_ctx_free(s.ctx);
    return st != TW_OK;
}
