/* golden_test.c - every operator against PyTorch: the plain C reference, then oneDNN. */
#include "networks.h"

#include "operators_golden.h"

/* As make_operators_golden.py has them. */
static float formula(size_t i, size_t seed)
{
    return (float)((double)((i * 37 + seed * 11) % 101) / 50.0 - 1.0);
}

/* "4x2 3": a weight w0 of two dimensions and w1 of one. */
static twi_tensors weights_of(tw_ctx *ctx, const char *words)
{
    twi_tensors list = {0};
    for (size_t n = 0; *words; n++) {
        size_t dims[4], rank = 0;
        char name[16], *end;
        float *data;
        do {
            dims[rank++] = strtoul(words, &end, 10);
            words = end + 1;
        } while (*end == 'x');
        snprintf(name, sizeof name, "w%zu", n);
        must(ctx, twi_tensors_add(ctx, &list, name, TWI_F32, rank, dims, NULL, (void **)&data));
        for (size_t i = 0; i < list.items[n].count; i++) data[i] = formula(i, n + 1);
        if (!*end) break;
    }
    return list;
}

static twi_network *network_of(tw_ctx *ctx, const struct golden_case *c)
{
    twi_json *graph;
    twi_network *network;
    twi_tensors weights = weights_of(ctx, c->weights);
    must(ctx, twi_json_parse(ctx, c->name, c->graph, strlen(c->graph), &graph));
    must(ctx, twi_network_from_json(ctx, c->name, graph, &weights, &network));
    twi_json_free(graph);
    return network;
}

static bool close_to(const struct golden_case *c, const float *got, double tolerance)
{
    double most = 1e-3, worst = 0.0;
    for (size_t i = 0; i < c->count; i++) {
        most = fmax(most, fabs((double)c->values[i]));
        worst = fmax(worst, fabs((double)got[i] - (double)c->values[i]));
        if (!isfinite(got[i])) worst = INFINITY;
    }
    if (worst > tolerance * most)
        print_error("%s: apart by %g, the largest is %g\n", c->name, worst, most);
    return worst <= tolerance * most;
}

/* Two pictures at once, the second all zeros: rows must not depend on each other. */
static bool check_program(tw_ctx *ctx, const struct golden_case *c, const twi_network *network,
                          twi_engine_opts opts, double tolerance)
{
    twi_program *program;
    twi_workspace *workspace;
    const size_t area = c->dims[1] * c->dims[2], each = c->dims[0] * area;
    float *pictures = calloc(2 * each, sizeof *pictures);
    for (size_t i = 0; i < each; i++) pictures[i % area * c->dims[0] + i / area] = formula(i, 0);
    must(ctx, twi_program_new(ctx, network, &opts, NULL, &program));
    must(ctx, twi_workspace_new(ctx, program, &workspace));
    assert_int_equal(twi_program_output_count(program), c->count);
    float *out = malloc(2 * c->count * sizeof *out);
    must(ctx, twi_program_run(ctx, program, workspace, pictures, 2, out));
    const bool ok = close_to(c, out, tolerance);
    twi_workspace_free(workspace);
    twi_program_free(program);
    free(pictures);
    free(out);
    return ok;
}

/* What make() of the golden file cannot tell apart: the network as it is, and fused. */
static void check_all(twi_engine_opts opts, double tolerance)
{
    size_t bad = 0;
    for (size_t i = 0; i < TWI_LEN(golden_cases); i++) {
        const struct golden_case *c = &golden_cases[i];
        tw_ctx *ctx;
        twi_network *fused;
        assert_int_equal(tw_ctx_new(&ctx), TW_OK);
        twi_network *network = network_of(ctx, c);
        opts.height = c->dims[1], opts.width = c->dims[2];
        bad += !check_program(ctx, c, network, opts, tolerance);
        /* As the class scores the value would be taken as it is; a vector is, as features, too. */
        const uint32_t last = network->feature;
        const twi_node flat = {.op = TWI_OP_RESHAPE,
                               .name = "flat",
                               .n_inputs = 1,
                               .inputs = &last,
                               .target = {1, {0}}};
        must(ctx, twi_network_add(ctx, network, &flat, &network->feature));
        must(ctx, twi_network_for_inference(ctx, network, TWI_OUTPUT_AVG, true, &fused));
        bad += !check_program(ctx, c, fused, opts, tolerance);
        twi_network_free(fused);
        twi_network_free(network);
        tw_ctx_free(ctx);
    }
    assert_int_equal(bad, 0);
}

static const twi_engine_opts common = {.precision = TW_PRECISION_F32, .batch = 2, .threads = 2};

static void test_reference(void **state)
{
    (void)state;
    twi_engine_opts opts = common;
    opts.reference = true;
    check_all(opts, 1e-6);
}

static void test_onednn(void **state)
{
    (void)state;
    check_all(common, 1e-5);
}

static void test_bf16(void **state)
{
    (void)state;
    twi_engine_opts opts = common;
    opts.precision = TW_PRECISION_BF16;
    if (twi_precision_native(opts.precision)) check_all(opts, 3e-2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_onednn),
        cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
