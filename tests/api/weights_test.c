/* weights_test.c - real pretrained weights against the figures written beside them
 * (shared/data/weights/README.md): the fixed check without photos, through the importer, the file
 * format, folding, fusion and both engines. */
#include "folder.h"
#include "testing.h"
#include "api/backbone.h"
#include "engine/engine.h"

#include <math.h>

#define SIDE 224

static int set_up(void **state)
{
    (void)state;
    return folder_new("weights");
}

static int tear_down(void **state)
{
    (void)state;
    return folder_free();
}

#define OK(call)                                                                                   \
    do {                                                                                           \
        const tw_status status_ = (call);                                                          \
        if (status_ != TW_OK)                                                                      \
            fail_msg("%s: %s: %s", #call, tw_status_name(status_), tw_last_error(ctx));            \
    } while (0)

/* The input of the fixed check, [SIDE, SIDE, 3], preprocessed by recipe. */
static float *fixed_input(const twi_recipe *recipe)
{
    float *image = malloc(sizeof *image * SIDE * SIDE * 3);
    assert_non_null(image);
    for (size_t y = 0; y < SIDE; y++)
        for (size_t x = 0; x < SIDE; x++)
            for (size_t c = 0; c < 3; c++) {
                const size_t rgb = recipe->bgr ? 2 - c : c;
                const double v = (double)((7 * x + 13 * y + 31 * rgb + x * y / 16) % 256);
                image[(y * SIDE + x) * 3 + c] =
                    (float)((v * recipe->scale - recipe->mean[c]) / recipe->std[c]);
            }
    return image;
}

typedef struct expected {
    twi_output output;
    double sum, largest;
    size_t index, count;
} expected;

static void check_output(tw_ctx *ctx, const tw_backbone *backbone, const expected *want,
                         bool reference)
{
    twi_network *network = NULL;
    twi_program *program = NULL;
    twi_workspace *workspace = NULL;
    const twi_engine_opts opts = {.precision = TW_PRECISION_F32,
                                  .batch = 1,
                                  .height = SIDE,
                                  .width = SIDE,
                                  .threads = 2,
                                  .reference = reference};
    float *image = fixed_input(&backbone->recipe), *out;
    OK(twi_network_for_inference(ctx, backbone->network, want->output, !reference, &network));
    OK(twi_program_new(ctx, network, &opts, NULL, &program));
    OK(twi_workspace_new(ctx, program, &workspace));
    assert_int_equal(twi_program_output_count(program), want->count);
    out = malloc(want->count * sizeof *out);
    OK(twi_program_run(ctx, program, workspace, image, 1, out));
    double sum = 0;
    size_t best = 0;
    for (size_t i = 0; i < want->count; i++) {
        sum += (double)out[i];
        if (out[i] > out[best]) best = i;
    }
    assert_int_equal(best, want->index);
    /* The README allows 1e-4 of the largest value on a single one; sums are printed with six
     * digits. */
    assert_true(fabs((double)out[best] - want->largest) <= 1e-4 * want->largest);
    assert_true(fabs(sum - want->sum) <= 1e-4 * fabs(want->sum));
    free(out);
    free(image);
    twi_workspace_free(workspace);
    twi_program_free(program);
    twi_network_free(network);
}

static void squeezenet_fixed_check(void **state)
{
    (void)state;
    static const expected wanted[] = {
        {TWI_OUTPUT_AVG, 891.057, 75.2372, 109, 512},
        {TWI_OUTPUT_LOGITS, 7945.93, 31.6945, 858, 1000},
    };
    const char *weights = shared_data("weights/squeezenet1_1.safetensors");
    char path[512];
    tw_ctx *ctx = NULL;
    tw_backbone *backbone = NULL;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    snprintf(path, sizeof path, "%s/squeezenet1_1.tw", folder);
    OK(tw_backbone_import(ctx, weights, "squeezenet1_1", NULL, path));
    OK(tw_backbone_open(ctx, path, &backbone));
    assert_int_equal(tw_backbone_parameters(backbone), 1235496);
    assert_int_equal(tw_backbone_class_count(backbone), 1000);
    for (size_t i = 0; i < TWI_LEN(wanted); i++) check_output(ctx, backbone, &wanted[i], false);
    check_output(ctx, backbone, &wanted[0], true);
    tw_backbone_free(backbone);
    tw_ctx_free(ctx);
}

static void sapling_is_what_its_readme_says(void **state)
{
    (void)state;
    tw_ctx *ctx = NULL;
    tw_backbone *backbone = NULL;
    size_t height, width;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    OK(tw_backbone_open(ctx, "sapling", &backbone));
    tw_backbone_input(backbone, &height, &width);
    assert_int_equal(height, 128);
    assert_int_equal(width, 128);
    assert_int_equal(tw_backbone_feature_count(backbone), 256);
    assert_int_equal(tw_backbone_class_count(backbone), 200);
    assert_int_equal(backbone->recipe.short_side, 141);
    assert_int_equal(tw_backbone_parameters(backbone), 2846440);
    tw_backbone_free(backbone);
    tw_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(squeezenet_fixed_check),
        cmocka_unit_test(sapling_is_what_its_readme_says),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
