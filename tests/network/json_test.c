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
        for (size_t i = 0; i < network->n; i += 1 + seed % 3) /* some of them, the input too */
            network->nodes[i].observed[0] = -0.1 * seed,
            network->nodes[i].observed[1] = 0.7 + (double)i;
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
            assert_memory_equal(a->observed, b->observed, sizeof a->observed);
            assert_true(a->epsilon == b->epsilon && a->nhwc == b->nhwc && a->groups == b->groups);
        }
        twi_free(text);
        twi_free(text_again);
        twi_network_free(network);
        twi_network_free(again);
    }
}

/* fuzz/corpus/network_json/wide.json: every operator that graphs.h does not have. */
static const char wide[] =
    "{\"input_channels\":4,\"feature\":61,\"logits\":63,\"nodes\":[{\"name\":\"input\",\"op\":"
    "\"input\"},{"
    "\"name\":\"conv1\",\"op\":\"conv\",\"inputs\":[0],\"params\":{\"weight\":\"k1\"},\"kernel\":["
    "1,1],\"stride\":[1,1],\"dilation\":[1,1],\"pad_begin\":[0,0],\"pad_end\":[0,0],\"groups\":1},{"
    "\"name\":\"relu2\",\"op\":\"relu\",\"inputs\":[1]},{"
    "\"name\":\"sigmoid3\",\"op\":\"sigmoid\",\"inputs\":[2]},{"
    "\"name\":\"tanh4\",\"op\":\"tanh\",\"inputs\":[3]},{"
    "\"name\":\"hard_swish5\",\"op\":\"hard_swish\",\"inputs\":[4]},{"
    "\"name\":\"silu6\",\"op\":\"silu\",\"inputs\":[5]},{"
    "\"name\":\"gelu7\",\"op\":\"gelu\",\"inputs\":[6]},{"
    "\"name\":\"gelu_tanh8\",\"op\":\"gelu_tanh\",\"inputs\":[7]},{"
    "\"name\":\"mish9\",\"op\":\"mish\",\"inputs\":[8]},{"
    "\"name\":\"softplus10\",\"op\":\"softplus\",\"inputs\":[9]},{"
    "\"name\":\"exp11\",\"op\":\"exp\",\"inputs\":[10]},{"
    "\"name\":\"erf12\",\"op\":\"erf\",\"inputs\":[11]},{"
    "\"name\":\"abs13\",\"op\":\"abs\",\"inputs\":[12]},{"
    "\"name\":\"neg14\",\"op\":\"neg\",\"inputs\":[13]},{"
    "\"name\":\"clip15\",\"op\":\"clip\",\"inputs\":[14],\"low\":0.5,\"high\":6},{"
    "\"name\":\"sqrt16\",\"op\":\"sqrt\",\"inputs\":[15]},{"
    "\"name\":\"log17\",\"op\":\"log\",\"inputs\":[16]},{"
    "\"name\":\"reciprocal18\",\"op\":\"reciprocal\",\"inputs\":[17]},{"
    "\"name\":\"leaky_relu19\",\"op\":\"leaky_relu\",\"inputs\":[18],\"alpha\":0.1},{"
    "\"name\":\"elu20\",\"op\":\"elu\",\"inputs\":[19],\"alpha\":1.0},{"
    "\"name\":\"pow21\",\"op\":\"pow\",\"inputs\":[20],\"alpha\":2.0},{"
    "\"name\":\"hard_sigmoid22\",\"op\":\"hard_sigmoid\",\"inputs\":[21],\"alpha\":0.25,\"beta\":0."
    "5},{"
    "\"name\":\"prelu23\",\"op\":\"prelu\",\"inputs\":[22],\"params\":{\"slope\":\"a\"}},{"
    "\"name\":\"reduce_mean24\",\"op\":\"reduce_mean\",\"inputs\":[23],\"axes\":[1,2]},{"
    "\"name\":\"reduce_max25\",\"op\":\"reduce_max\",\"inputs\":[23],\"axes\":[0]},{"
    "\"name\":\"add_broadcast26\",\"op\":\"add_broadcast\",\"inputs\":[23,24]},{"
    "\"name\":\"sub27\",\"op\":\"sub\",\"inputs\":[26,24]},{"
    "\"name\":\"mul28\",\"op\":\"mul\",\"inputs\":[27,24]},{"
    "\"name\":\"div29\",\"op\":\"div\",\"inputs\":[28,24]},{"
    "\"name\":\"min30\",\"op\":\"min\",\"inputs\":[29,24]},{"
    "\"name\":\"max31\",\"op\":\"max\",\"inputs\":[30,24]},{"
    "\"name\":\"mul32\",\"op\":\"mul\",\"inputs\":[31,25]},{"
    "\"name\":\"add33\",\"op\":\"add\",\"inputs\":[32,1]},{"
    "\"name\":\"add_constant34\",\"op\":\"add_constant\",\"inputs\":[33],\"params\":{\"value\":"
    "\"a\"}},{"
    "\"name\":\"mul_constant35\",\"op\":\"mul_constant\",\"inputs\":[34],\"params\":{\"value\":"
    "\"a\"}},{"
    "\"name\":\"lrn36\",\"op\":\"lrn\",\"inputs\":[35],\"size\":3,\"alpha\":0.0001,\"beta\":0.75,"
    "\"bias\":1.0},{"
    "\"name\":\"layer_norm37\",\"op\":\"layer_norm\",\"inputs\":[36],\"params\":{\"scale\":\"a\","
    "\"shift\":\"a\"},\"epsilon\":1e-06},{"
    "\"name\":\"group_norm38\",\"op\":\"group_norm\",\"inputs\":[37],\"params\":{\"scale\":\"a\","
    "\"shift\":\"a\"},\"groups\":2,\"epsilon\":1e-05},{"
    "\"name\":\"l2_normalise39\",\"op\":\"l2_normalise\",\"inputs\":[38],\"epsilon\":1e-12},{"
    "\"name\":\"pad40\",\"op\":\"pad\",\"inputs\":[39],\"pad_begin\":[1,2],\"pad_end\":[0,1],"
    "\"mode\":\"reflect\",\"value\":0},{"
    "\"name\":\"resize41\",\"op\":\"resize\",\"inputs\":[40],\"size\":[6,8],\"scales\":[0.0,0.0],"
    "\"filter\":\"bilinear\",\"coordinates\":\"half_pixel\",\"rounding\":\"floor\"},{"
    "\"name\":\"space_to_depth42\",\"op\":\"space_to_depth\",\"inputs\":[41],\"block\":2,\"order\":"
    "\"crd\"},{"
    "\"name\":\"channel_shuffle43\",\"op\":\"channel_shuffle\",\"inputs\":[42],\"groups\":4},{"
    "\"name\":\"depth_to_space44\",\"op\":\"depth_to_space\",\"inputs\":[43],\"block\":2,\"order\":"
    "\"dcr\"},{"
    "\"name\":\"roll45\",\"op\":\"roll\",\"inputs\":[44],\"shift\":[-1,2]},{"
    "\"name\":\"slice46\",\"op\":\"slice\",\"inputs\":[45],\"axis\":2,\"start\":0,\"stop\":6,"
    "\"step\":1},{"
    "\"name\":\"concat47\",\"op\":\"concat\",\"inputs\":[46,46],\"axis\":1},{"
    "\"name\":\"transpose48\",\"op\":\"transpose\",\"inputs\":[47],\"axes\":[0,2,1]},{"
    "\"name\":\"window_partition49\",\"op\":\"window_partition\",\"inputs\":[48],\"size\":[3,4],"
    "\"grid\":false},{"
    "\"name\":\"attention50\",\"op\":\"attention\",\"inputs\":[49,49,49],\"heads\":2,\"scale\":0.7,"
    "\"tokens\":12},{"
    "\"name\":\"window_reverse51\",\"op\":\"window_reverse\",\"inputs\":[50],\"size\":[3,4],"
    "\"grid\":true,\"shape\":[4,6,12]},{"
    "\"name\":\"tokens52\",\"op\":\"tokens\",\"inputs\":[51]},{"
    "\"name\":\"dense53\",\"op\":\"dense\",\"inputs\":[52],\"params\":{\"weight\":\"w\",\"bias\":"
    "\"a\"}},{"
    "\"name\":\"map54\",\"op\":\"map\",\"inputs\":[53],\"size\":[6,12]},{"
    "\"name\":\"prepend_token55\",\"op\":\"prepend_token\",\"inputs\":[53],\"params\":{\"token\":"
    "\"w\"}},{"
    "\"name\":\"softmax56\",\"op\":\"softmax\",\"inputs\":[55]},{"
    "\"name\":\"matmul57\",\"op\":\"matmul\",\"inputs\":[56,56],\"transpose_a\":true,\"transpose_"
    "b\":false,\"scale\":0.5},{"
    "\"name\":\"constant58\",\"op\":\"constant\",\"inputs\":[],\"params\":{\"value\":\"w\"}},{"
    "\"name\":\"add59\",\"op\":\"add\",\"inputs\":[57,58]},{"
    "\"name\":\"reshape60\",\"op\":\"reshape\",\"inputs\":[59],\"shape\":[2,0]},{"
    "\"name\":\"reshape61\",\"op\":\"reshape\",\"inputs\":[60],\"shape\":[4,4]},{"
    "\"name\":\"take_token62\",\"op\":\"take_token\",\"inputs\":[61],\"index\":1},{"
    "\"name\":\"dense63\",\"op\":\"dense\",\"inputs\":[62],\"params\":{\"weight\":\"w\"}}]}";

/* What a file says is what is written again, and every operator is in it or in random graphs. */
static void every_operator_comes_back(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t rank, dims[4];
    } rows[] = {{"a", 1, {4}}, {"w", 2, {4, 4}}, {"k1", 4, {4, 4, 1, 1}}};
    twi_tensors weights = {0};
    twi_network *network, *again;
    bool seen[TWI_OP_COUNT] = {false};
    for (size_t i = 0; i < TWI_LEN(rows); i++)
        assert_int_equal(twi_tensors_add(ctx, &weights, rows[i].name, TWI_F32, rows[i].rank,
                                         rows[i].dims, NULL, NULL),
                         TW_OK);
    const tw_status st = from_text(wide, &weights, &network);
    if (st != TW_OK) fail_msg("%s", tw_last_error(ctx));
    twi_shape *shapes = test_calloc(network->n, sizeof *shapes);
    if (twi_network_shapes(ctx, network, 4, 5, shapes) != TW_OK) fail_msg("%s", tw_last_error(ctx));
    assert_int_equal(shapes[network->logits].rank, 1);
    assert_int_equal(shapes[network->logits].dims[0], 4);
    for (size_t i = 0; i < network->n; i++) seen[network->nodes[i].op] = true;
    for (twi_op op = TWI_OP_CLIP; op < TWI_OP_COUNT; op++)
        if (!seen[op]) fail_msg("%s is in no test of reading and writing", twi_op_name(op));
    char *text = graph_text(network);
    weights = network->weights;
    network->weights = (twi_tensors){0};
    assert_int_equal(from_text(text, &weights, &again), TW_OK);
    char *text_again = graph_text(again);
    assert_string_equal(text, text_again);
    for (size_t i = 0; i < network->n; i++)
        assert_memory_equal(network->nodes[i].params, again->nodes[i].params,
                            sizeof network->nodes[i].params); /* the same tensors */
    test_free(shapes);
    twi_free(text);
    twi_free(text_again);
    twi_network_free(network);
    twi_network_free(again);
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
    {GRAPH("{\"name\":\"r\",\"op\":\"relu\",\"inputs\":[0],\"observed\":[0,6]}"), TW_OK, NULL},
    {GRAPH("{\"name\":\"r\",\"op\":\"relu\",\"inputs\":[0],\"observed\":[6,0]}"), TW_ERR_FORMAT,
     "\"observed\" is not two numbers, the second not below the first"},
    {GRAPH("{\"name\":\"r\",\"op\":\"relu\",\"inputs\":[0],\"observed\":3}"), TW_ERR_FORMAT,
     "observed"},
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
    {GRAPH("{\"name\":\"x\",\"op\":\"clip\",\"inputs\":[0],\"low\":2,\"high\":1}"), TW_ERR_FORMAT,
     "clips to 2 at least and 1 at most"},
    {GRAPH("{\"name\":\"x\",\"op\":\"clip\",\"inputs\":[0],\"low\":2}"), TW_ERR_FORMAT,
     "\"high\" is not a number"},
    {GRAPH("{\"name\":\"x\",\"op\":\"leaky_relu\",\"inputs\":[0],\"alpha\":\"x\"}"), TW_ERR_FORMAT,
     "\"alpha\" is not a number"},
    {GRAPH("{\"name\":\"x\",\"op\":\"prelu\",\"inputs\":[0],\"params\":{}}"), TW_ERR_FORMAT,
     "slope is missing"},
    {GRAPH("{\"name\":\"x\",\"op\":\"lrn\",\"inputs\":[0],\"size\":4,\"alpha\":1,\"beta\":1,"
           "\"bias\":1}"),
     TW_ERR_UNSUPPORTED, "size is 4; need an odd number"},
    {GRAPH("{\"name\":\"x\",\"op\":\"lrn\",\"inputs\":[0],\"size\":3,\"alpha\":1,\"beta\":1,"
           "\"bias\":0}"),
     TW_ERR_FORMAT, "bias is 0; need"},
    {GRAPH("{\"name\":\"x\",\"op\":\"group_norm\",\"inputs\":[0],\"groups\":0,\"epsilon\":0}"),
     TW_ERR_FORMAT, "\"groups\" is not"},
    {GRAPH("{\"name\":\"x\",\"op\":\"pad\",\"inputs\":[0],\"pad_begin\":[1,1],\"pad_end\":[0,0],"
           "\"mode\":\"wrap\",\"value\":0}"),
     TW_ERR_FORMAT, "is not \"constant\" or \"reflect\" or \"edge\""},
    {GRAPH("{\"name\":\"x\",\"op\":\"pad\",\"inputs\":[0],\"pad_begin\":[5000,1],\"pad_end\":[0,0],"
           "\"mode\":\"edge\",\"value\":0}"),
     TW_ERR_FORMAT, "padding is 5000; need 0 to 4096"},
    {GRAPH("{\"name\":\"x\",\"op\":\"resize\",\"inputs\":[0],\"size\":[0,4],\"scales\":[0,0],"
           "\"filter\":\"nearest\",\"coordinates\":\"asymmetric\",\"rounding\":\"floor\"}"),
     TW_ERR_FORMAT, "scales by 0; need above 0"},
    {GRAPH("{\"name\":\"x\",\"op\":\"resize\",\"inputs\":[0],\"size\":[70000,4],\"scales\":[0,0],"
           "\"filter\":\"nearest\",\"coordinates\":\"asymmetric\",\"rounding\":\"floor\"}"),
     TW_ERR_FORMAT, "resizes to 70000 pixels; at most"},
    {GRAPH("{\"name\":\"x\",\"op\":\"depth_to_space\",\"inputs\":[0],\"block\":65,\"order\":"
           "\"dcr\"}"),
     TW_ERR_FORMAT, "block is 65; need 1 to 64"},
    {GRAPH("{\"name\":\"x\",\"op\":\"roll\",\"inputs\":[0],\"shift\":[1]}"), TW_ERR_FORMAT,
     "\"shift\" is not two integers"},
    {GRAPH("{\"name\":\"x\",\"op\":\"roll\",\"inputs\":[0],\"shift\":[1,-70000]}"), TW_ERR_FORMAT,
     "\"shift\" is not two integers"},
    {GRAPH("{\"name\":\"x\",\"op\":\"slice\",\"inputs\":[0],\"axis\":3,\"start\":0,\"stop\":1,"
           "\"step\":1}"),
     TW_ERR_FORMAT, "axis is 3; need 0 to 2"},
    {GRAPH("{\"name\":\"x\",\"op\":\"slice\",\"inputs\":[0],\"axis\":0,\"start\":0,\"stop\":1,"
           "\"step\":0}"),
     TW_ERR_FORMAT, "\"step\" is not"},
    {GRAPH("{\"name\":\"x\",\"op\":\"transpose\",\"inputs\":[0],\"axes\":[0,0,1]}"), TW_ERR_FORMAT,
     "axis 0 in its list"},
    {GRAPH("{\"name\":\"x\",\"op\":\"transpose\",\"inputs\":[0],\"axes\":[0,1,2,3]}"),
     TW_ERR_FORMAT, "\"axes\" is not"},
    {GRAPH("{\"name\":\"x\",\"op\":\"transpose\",\"inputs\":[0],\"axes\":[0,3,1]}"), TW_ERR_FORMAT,
     "axis 3 in its list"},
    {GRAPH("{\"name\":\"x\",\"op\":\"reduce_mean\",\"inputs\":[0],\"axes\":[]}"), TW_ERR_FORMAT,
     "\"axes\" is not"},
    {GRAPH("{\"name\":\"x\",\"op\":\"reshape\",\"inputs\":[0],\"shape\":[0,0]}"), TW_ERR_FORMAT,
     "axis 1 of its shape is 0"},
    {GRAPH("{\"name\":\"x\",\"op\":\"map\",\"inputs\":[0],\"size\":[0,4]}"), TW_ERR_FORMAT,
     "size is 0; need 1 to"},
    {GRAPH("{\"name\":\"x\",\"op\":\"window_reverse\",\"inputs\":[0],\"size\":[2,2],\"grid\":false,"
           "\"shape\":[3,5,4]}"),
     TW_ERR_FORMAT, "sides that are multiples"},
    {GRAPH("{\"name\":\"x\",\"op\":\"window_reverse\",\"inputs\":[0],\"size\":[2,2],\"grid\":false,"
           "\"shape\":[4,4]}"),
     TW_ERR_FORMAT, "a shape of 2 axes; need 3"},
    {GRAPH("{\"name\":\"x\",\"op\":\"take_token\",\"inputs\":[0],\"index\":-1}"), TW_ERR_FORMAT,
     "\"index\" is not"},
    {GRAPH("{\"name\":\"x\",\"op\":\"attention\",\"inputs\":[0,0,0],\"heads\":5000,\"scale\":1,"
           "\"tokens\":0}"),
     TW_ERR_FORMAT, "heads is 5000; need 1 to 1024"},
    {GRAPH("{\"name\":\"x\",\"op\":\"matmul\",\"inputs\":[0,0],\"transpose_a\":1,\"transpose_b\":"
           "false,\"scale\":1}"),
     TW_ERR_FORMAT, "\"transpose_a\" is not true or false"},
    {GRAPH("{\"name\":\"x\",\"op\":\"constant\",\"inputs\":[],\"params\":{\"value\":\"w\"}}"),
     TW_ERR_FORMAT, "has 4 dimensions; need 1 to 3"},
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
        cmocka_unit_test(every_operator_comes_back),
        cmocka_unit_test(hostile_graphs_get_a_message),
        cmocka_unit_test(too_many_layers_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
