/* json_test.c - graphs to JSON and back, and what a stranger may put there. */
#include "graphs.h"

static tw_ctx *ctx;

static int set_up(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

static char *graph_text(const twi_network *network)
{
    char *text;
    size_t size;
    twi_json *graph = twi_network_to_json(network);
    assert_non_null(graph);
    assert_int_equal(twi_json_print(ctx, graph, &text, &size), TW_OK);
    twi_json_free(graph);
    return text;
}

/* Reads text over weights, which are taken over on success only. */
static tw_status from_text(const char *text, twi_tensors *weights, twi_network **out)
{
    twi_json *graph;
    assert_int_equal(twi_json_parse(ctx, "test", text, strlen(text), &graph), TW_OK);
    const tw_status st = twi_network_from_json(ctx, "x.tw", graph, weights, out);
    twi_json_free(graph);
    return st;
}

static void random_graphs_come_back(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 200; seed++) {
        twi_network *network = random_graph(ctx, seed, 3 + seed % 14), *again;
        char *text = graph_text(network);
        twi_tensors weights = network->weights;
        network->weights = (twi_tensors){0};
        assert_int_equal(from_text(text, &weights, &again), TW_OK);
        assert_int_equal(weights.n, 0);
        assert_int_equal(again->feature, network->feature);
        assert_int_equal(again->logits, network->logits);
        char *text_again = graph_text(again);
        assert_string_equal(text, text_again);
        for (size_t i = 0; i < network->n; i++) {
            const twi_node *a = &network->nodes[i], *b = &again->nodes[i];
            assert_memory_equal(&a->window, &b->window, sizeof a->window);
            assert_memory_equal(a->params, b->params, sizeof a->params); /* the same tensors */
            assert_true(a->epsilon == b->epsilon && a->nhwc == b->nhwc && a->groups == b->groups);
        }
        twi_free(text);
        twi_free(text_again);
        twi_network_free(network);
        twi_network_free(again);
    }
}

#define INPUT        "{\"name\":\"input\",\"op\":\"input\"}"
#define GRAPH(nodes) "{\"input_channels\":3,\"feature\":1,\"nodes\":[" INPUT "," nodes "]}"
#define WINDOW                                                                                     \
    "\"kernel\":[1,1],\"stride\":[1,1],\"dilation\":[1,1],\"pad_begin\":[0,0],\"pad_end\":[0,0]"
#define CONV(links, window, groups)                                                                \
    GRAPH("{\"name\":\"c\",\"op\":\"conv\"," links "," window ",\"groups\":" groups "}")
#define LINKS "\"inputs\":[0],\"params\":{\"weight\":\"w\"}"
#define RELU  "{\"name\":\"r\",\"op\":\"relu\",\"inputs\":[0]}"

static const struct hostile {
    const char *text;
    tw_status status;
    const char *part; /* of the message */
} hostile[] = {
    {CONV(LINKS, WINDOW, "1"), TW_OK, NULL},
    {GRAPH(RELU), TW_OK, NULL},
    {GRAPH("{\"name\":\"r\",\"op\":\"relu\",\"inputs\":[0],\"later\":{\"a\":[1]}}"), TW_OK, NULL},
    {"[]", TW_ERR_FORMAT, "without \"input_channels\""},
    {"{\"input_channels\":0,\"nodes\":[" INPUT "]}", TW_ERR_FORMAT, "0 input channels"},
    {"{\"input_channels\":-3,\"nodes\":[" INPUT "]}", TW_ERR_FORMAT, "without"},
    {"{\"input_channels\":3.5,\"nodes\":[" INPUT "]}", TW_ERR_FORMAT, "without"},
    {"{\"input_channels\":4294967295,\"nodes\":[" INPUT "]}", TW_ERR_FORMAT, "need 1 to"},
    {"{\"input_channels\":3}", TW_ERR_FORMAT, "\"nodes\" is not an array"},
    {"{\"input_channels\":3,\"nodes\":{}}", TW_ERR_FORMAT, "\"nodes\" is not an array"},
    {"{\"input_channels\":3,\"nodes\":[]}", TW_ERR_FORMAT, "\"nodes\" is not an array"},
    {"{\"input_channels\":3,\"nodes\":[7]}", TW_ERR_FORMAT, "layer 0 has no \"op\""},
    {"{\"input_channels\":3,\"nodes\":[" RELU "]}", TW_ERR_FORMAT, "layer 0 is not the input"},
    {"{\"input_channels\":3,\"nodes\":[" INPUT "]}", TW_ERR_FORMAT, "\"feature\" is not"},
    {"{\"input_channels\":3,\"feature\":1,\"nodes\":[" INPUT "]}", TW_ERR_FORMAT, "\"feature\" is"},
    {"{\"input_channels\":3,\"feature\":0,\"logits\":null,\"nodes\":[" INPUT "]}", TW_ERR_FORMAT,
     "\"logits\" is not"},
    {"{\"input_channels\":3,\"feature\":0,\"logits\":1,\"nodes\":[" INPUT "]}", TW_ERR_FORMAT,
     "\"logits\" is not"},
    {GRAPH(INPUT), TW_ERR_FORMAT, "\"inputs\" is not an array"},
    {GRAPH("{\"name\":\"g\",\"op\":\"warp\"},{\"name\":\"m\",\"op\":\"weft\"},{\"op\":\"warp\"}"),
     TW_ERR_UNSUPPORTED, "x.tw: operators this build does not know: warp, weft"},
    {GRAPH("{\"op\":\"relu\",\"inputs\":[0]}"), TW_ERR_FORMAT, "layer 1 has no name"},
    {GRAPH("{\"name\":\"r\",\"op\":\"relu\",\"inputs\":[1]}"), TW_ERR_FORMAT,
     "layer r: input 0 is layer 1; only 1 layers come before it"},
    {GRAPH("{\"name\":\"r\",\"op\":\"relu\",\"inputs\":[-1]}"), TW_ERR_FORMAT, "\"inputs\" is not"},
    {GRAPH("{\"name\":\"r\",\"op\":\"relu\",\"inputs\":[\"input\"]}"), TW_ERR_FORMAT, "\"inputs\""},
    {GRAPH("{\"name\":\"r\",\"op\":\"relu\",\"inputs\":[]}"), TW_ERR_FORMAT, "relu takes 1 to 1"},
    {GRAPH("{\"name\":\"r\",\"op\":\"relu\",\"inputs\":[0,0]}"), TW_ERR_FORMAT, "relu takes 1"},
    {GRAPH("{\"name\":\"a\",\"op\":\"add\",\"inputs\":[0]}"), TW_ERR_FORMAT, "add takes 2 to 2"},
    {GRAPH(RELU "," RELU), TW_ERR_FORMAT, "two layers are called r"},
    {CONV("\"inputs\":[0]", WINDOW, "1"), TW_ERR_FORMAT, "weight is missing"},
    {CONV("\"inputs\":[0],\"params\":[]", WINDOW, "1"), TW_ERR_FORMAT, "\"params\" is not an obj"},
    {CONV("\"inputs\":[0],\"params\":{\"weight\":7}", WINDOW, "1"), TW_ERR_FORMAT, "\"weight\" is"},
    {CONV("\"inputs\":[0],\"params\":{\"weight\":\"no\"}", WINDOW, "1"), TW_ERR_FORMAT,
     "layer c: no tensor no in the file"},
    {CONV("\"inputs\":[0],\"params\":{\"weight\":\"v\"}", WINDOW, "1"), TW_ERR_FORMAT,
     "has 1 dimensions; need 4"},
    {CONV("\"inputs\":[0],\"params\":{\"weight\":\"i\"}", WINDOW, "1"), TW_ERR_FORMAT, "holds I32"},
    {CONV("\"inputs\":[0],\"params\":{\"weight\":\"e\"}", WINDOW, "1"), TW_ERR_FORMAT,
     "dimension 0 of weight e is 0"},
    {CONV("\"inputs\":[0],\"params\":{\"weight\":\"w\",\"alpha\":\"v\"}", WINDOW, "1"),
     TW_ERR_FORMAT, "2 parameters; conv knows 1"},
    {CONV("\"inputs\":[0],\"params\":{\"weight\":\"w\",\"bias\":\"v\"}", WINDOW, "1"),
     TW_ERR_FORMAT, "bias v has 5 values; need 4"},
    {CONV(LINKS, WINDOW, "0"), TW_ERR_FORMAT, "\"groups\" is not"},
    {CONV(LINKS, WINDOW, "3"), TW_ERR_FORMAT, "3 groups"},
    {CONV(LINKS, WINDOW, "4294967296"), TW_ERR_FORMAT, "\"groups\" is not"},
    {CONV(LINKS, "\"kernel\":[1]", "1"), TW_ERR_FORMAT, "\"kernel\" is not two"},
    {CONV(LINKS, "\"kernel\":[0,1]", "1"), TW_ERR_FORMAT, "\"kernel\" is not two"},
    {CONV(LINKS, "\"kernel\":{\"a\":1,\"b\":1}", "1"), TW_ERR_FORMAT, "\"kernel\" is not two"},
    {CONV(LINKS, "\"kernel\":[1,1],\"stride\":[0,1]", "1"), TW_ERR_FORMAT, "\"stride\" is not two"},
    {CONV(LINKS,
          "\"kernel\":[2,1],"
          "\"stride\":[1,1],\"dilation\":[1,1],\"pad_begin\":[0,0],\"pad_end\":[0,0]",
          "1"),
     TW_ERR_FORMAT, "is for a 1 x 1 kernel"},
    {CONV(LINKS, "\"kernel\":[1,1],\"stride\":[1,1],\"dilation\":[1,1],\"pad_begin\":[-1,0]", "1"),
     TW_ERR_FORMAT, "\"pad_begin\" is not two"},
    {GRAPH("{\"name\":\"p\",\"op\":\"max_pool\",\"inputs\":[0]," WINDOW "}"), TW_ERR_FORMAT,
     "\"ceil_mode\" is not true or false"},
    {GRAPH("{\"name\":\"p\",\"op\":\"max_pool\",\"inputs\":[0],\"ceil_mode\":true,"
           "\"kernel\":[2,2],\"stride\":[2,2],\"dilation\":[1,1],\"pad_begin\":[2,0],"
           "\"pad_end\":[0,0]}"),
     TW_ERR_FORMAT, "padding 2; a pooling window that spans 2 allows 1"},
    {GRAPH("{\"name\":\"n\",\"op\":\"batch_norm\",\"inputs\":[0],\"epsilon\":-1,"
           "\"params\":{\"mean\":\"v\",\"variance\":\"v\"}}"),
     TW_ERR_FORMAT, "epsilon is negative"},
    {GRAPH("{\"name\":\"f\",\"op\":\"flatten\",\"inputs\":[0],\"order\":\"nhwc\"}"), TW_ERR_FORMAT,
     "\"order\" is not"},
};

static twi_tensors some_weights(void)
{
    static const size_t w[] = {4, 3, 1, 1}, e[] = {0, 3, 1, 1}, five = 5;
    twi_tensors list = {0};
    assert_int_equal(twi_tensors_add(ctx, &list, "w", TWI_F32, 4, w, NULL, NULL), TW_OK);
    assert_int_equal(twi_tensors_add(ctx, &list, "i", TWI_I32, 4, w, NULL, NULL), TW_OK);
    assert_int_equal(twi_tensors_add(ctx, &list, "e", TWI_F32, 4, e, NULL, NULL), TW_OK);
    assert_int_equal(twi_tensors_add(ctx, &list, "v", TWI_F32, 1, &five, NULL, NULL), TW_OK);
    return list;
}

static void hostile_graphs_get_a_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < TWI_LEN(hostile); i++) {
        twi_network *network = NULL;
        twi_tensors weights = some_weights();
        const tw_status st = from_text(hostile[i].text, &weights, &network);
        if (st != hostile[i].status) fail_msg("case %zu: status %d: %s", i, st, tw_last_error(ctx));
        if (st != TW_OK && !strstr(tw_last_error(ctx), hostile[i].part))
            fail_msg("\"%s\" does not say \"%s\"", tw_last_error(ctx), hostile[i].part);
        assert_int_equal(weights.n, st == TW_OK ? 0 : 4); /* taken over on success only */
        twi_network_free(network);
        twi_tensors_free(&weights);
    }
}

static void too_many_layers_are_refused(void **state)
{
    (void)state;
    enum { LAYERS = 10000 };
    char *text = malloc(LAYERS * 64 + 256);
    size_t at = (size_t)sprintf(text, "{\"input_channels\":3,\"feature\":0,\"nodes\":[" INPUT);
    for (int i = 0; i < LAYERS; i++)
        at += (size_t)sprintf(text + at, ",{\"name\":\"%d\",\"op\":\"relu\",\"inputs\":[0]}", i);
    sprintf(text + at, "]}");
    twi_tensors weights = {0};
    twi_network *network;
    assert_int_equal(from_text(text, &weights, &network), TW_ERR_FORMAT);
    assert_non_null(strstr(tw_last_error(ctx), "1 to 8192 layers"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs_come_back),
        cmocka_unit_test(hostile_graphs_get_a_message),
        cmocka_unit_test(too_many_layers_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
