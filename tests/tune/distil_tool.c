/* distil_tool.c - what parity_distil.py talks to: one step of a student towards a teacher.
 *
 *     distil-tool STUDENT TEACHER BATCH SIDE TEACHER_SIDE
 *
 * STUDENT's features are as many as TEACHER's (its last layer is the projection). Reads the
 * student's pictures [batch, side, side, 3] and the teacher's (float32) from standard input,
 * settles the teacher on these, and writes the loss and the gradient of every parameter (float32,
 * in the order of nodes), batch norm going by the batch's statistics. */
#include "bundle/bundle.h"
#include "tune/loss.h"
#include "tune/teacher.h"

#include "engine/trainer.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct opened {
    twi_bundle *bundle;
    twi_network *network;
} opened;

static tw_status open_file(tw_ctx *ctx, const char *path, opened *out)
{
    twi_tensors weights = {0};
    tw_status st = twi_bundle_open(ctx, path, "backbone", &out->bundle);
    if (st != TW_OK) return st;
    const twi_tensors *stored = twi_bundle_tensors(out->bundle);
    for (size_t i = 0; i < stored->n && st == TW_OK; i++) {
        const twi_tensor *t = &stored->items[i];
        st = twi_tensors_add(ctx, &weights, t->name, t->dtype, t->rank, t->dims, t->data, NULL);
    }
    if (st == TW_OK)
        st = twi_network_from_json(ctx, path,
                                   twi_json_get(twi_bundle_document(out->bundle), "graph"),
                                   &weights, &out->network);
    twi_tensors_free(&weights);
    return st;
}

static float *read_pictures(size_t count)
{
    float *x = calloc(count, sizeof *x);
    if (x && fread(x, sizeof *x, count, stdin) == count) return x;
    free(x);
    return NULL;
}

static tw_status settle(tw_ctx *ctx, twi_teacher *teacher, const float *pictures, size_t n,
                        float *features)
{
    const size_t d = twi_teacher_feature_count(teacher);
    double *sums;
    tw_status st = twi_zalloc(ctx, 2 * d, &sums);
    if (st == TW_OK) st = twi_teacher_features(ctx, teacher, pictures, n, features);
    for (size_t i = 0; st == TW_OK && i < n * d; i++) {
        sums[i % d] += (double)features[i];
        sums[d + i % d] += (double)features[i] * (double)features[i];
    }
    if (st == TW_OK) twi_teacher_settle(teacher, sums, sums + d, n);
    twi_free(sums);
    return st;
}

static tw_status step(tw_ctx *ctx, twi_trainer *trainer, twi_teacher *teacher, size_t batch,
                      const float *pictures, const float *shown)
{
    const size_t d = twi_teacher_feature_count(teacher);
    float *outputs = NULL, *targets = NULL, *gradient = NULL;
    if (twi_trainer_output_count(trainer) != d)
        return twi_fail(ctx, TW_ERR_ARG, "%zu outputs for %zu features",
                        twi_trainer_output_count(trainer), d);
    tw_status st = twi_alloc(ctx, batch * d, &outputs);
    if (st == TW_OK) st = twi_alloc(ctx, batch * d, &targets);
    if (st == TW_OK) st = twi_alloc(ctx, batch * d, &gradient);
    if (st == TW_OK) st = settle(ctx, teacher, shown, batch, targets);
    if (st == TW_OK) st = twi_teacher_targets(ctx, teacher, shown, batch, targets);
    if (st == TW_OK) st = twi_trainer_forward(ctx, trainer, pictures, outputs);
    if (st == TW_OK) {
        const float loss = (float)twi_squared_error(outputs, targets, batch, d, gradient);
        fwrite(&loss, sizeof loss, 1, stdout);
        st = twi_trainer_backward(ctx, trainer, gradient);
    }
    for (size_t i = 0; st == TW_OK && i < twi_trainer_parameter_count(trainer); i++) {
        const twi_parameter *p = twi_trainer_parameter(trainer, i);
        if (p->gradient) fwrite(p->gradient, sizeof *p->gradient, p->count, stdout);
    }
    twi_free(outputs);
    twi_free(targets);
    twi_free(gradient);
    return st;
}

int main(int argc, char **argv)
{
    tw_ctx *ctx;
    opened student = {0}, master = {0};
    twi_network *cut = NULL;
    twi_trainer *trainer = NULL;
    twi_teacher *teacher = NULL;
    twi_recipe recipe;
    if (argc != 6 || tw_ctx_new(&ctx) != TW_OK) return 2;
    const size_t batch = strtoul(argv[3], NULL, 10), side = strtoul(argv[4], NULL, 10),
                 wide = strtoul(argv[5], NULL, 10);
    float *pictures = read_pictures(batch * side * side * 3),
          *shown = read_pictures(batch * wide * wide * 3);
    const twi_trainer_opts opts = {.precision = TW_PRECISION_F32,
                                   .batch = batch,
                                   .height = side,
                                   .width = side,
                                   .threads = 2,
                                   .batch_statistics = true,
                                   .momentum = 0.1};
    const twi_teacher_opts taught = {
        .recipe = &recipe, .precision = TW_PRECISION_F32, .batch = batch, .threads = 2};
    tw_status st = pictures && shown ? TW_OK : twi_fail(ctx, TW_ERR_ARG, "pictures are missing");
    if (st == TW_OK) st = twi_recipe_init(ctx, "torch", wide, wide, &recipe);
    if (st == TW_OK) st = open_file(ctx, argv[1], &student);
    if (st == TW_OK) st = open_file(ctx, argv[2], &master);
    if (st == TW_OK)
        st = twi_network_for_inference(ctx, student.network, TWI_OUTPUT_AVG, false, &cut);
    if (st == TW_OK) st = twi_trainer_new(ctx, cut, &opts, &trainer);
    if (st == TW_OK) st = twi_teacher_new(ctx, master.network, &taught, &teacher);
    if (st == TW_OK) st = step(ctx, trainer, teacher, batch, pictures, shown);
    if (st != TW_OK) fprintf(stderr, "%s\n", tw_last_error(ctx));
    twi_teacher_free(teacher);
    twi_trainer_free(trainer);
    twi_network_free(cut);
    twi_network_free(student.network);
    twi_network_free(master.network);
    twi_bundle_free(student.bundle);
    twi_bundle_free(master.bundle);
    free(pictures);
    free(shown);
    tw_ctx_free(ctx);
    return st != TW_OK;
}
