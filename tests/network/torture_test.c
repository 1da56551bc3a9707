/* torture_test.c - graphs with the k-th allocation failing, for every k: an error, nothing leaked,
 * nothing half-done. Linked with --wrap=aligned_alloc, which is where all of our memory comes from.
 */
#include "graphs.h"

static long countdown = -1; /* < 0: never fail */

void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    if (countdown == 0) return NULL;
    if (countdown > 0) countdown--;
    return __real_aligned_alloc(align, size);
}

static void graphs_survive_failing_allocations(void **state)
{
    (void)state;
    tw_ctx *ctx;
    assert_int_equal(tw_ctx_new(&ctx), TW_OK);
    twi_network *network = random_graph(ctx, 17, 14);
    twi_json *graph = twi_network_to_json(network);
    assert_non_null(graph);
    tw_status st = TW_ERR_NOMEM;
    size_t failures = 0;
    twi_tensors weights = network->weights;
    network->weights = (twi_tensors){0};
    const size_t n = weights.n;
    for (long k = 0; st != TW_OK; k++) {
        twi_network *again = NULL, *fused = NULL;
        countdown = k;
        st = twi_network_from_json(ctx, "x", graph, &weights, &again);
        if (st != TW_OK) assert_int_equal(weights.n, n); /* still ours */
        if (st == TW_OK)
            st = twi_network_for_inference(ctx, again, TWI_OUTPUT_PROBABILITIES, true, &fused);
        countdown = -1;
        if (st != TW_OK) {
            assert_int_equal(st, TW_ERR_NOMEM);
            assert_null(fused);
            failures++;
        }
        if (again) {
            weights = again->weights;
            again->weights = (twi_tensors){0};
        }
        twi_network_free(fused);
        twi_network_free(again);
    }
    assert_true(failures > 10);
    twi_tensors_free(&weights);
    twi_json_free(graph);
    twi_network_free(network);
    tw_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(graphs_survive_failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
