/* values_test.c - the operators that compute or move values, on random shapes: the engine against
 * plain C. Every one follows a convolution, and is followed by whatever comes next in its row. */
#include "networks.h"

typedef struct trial {
    tw_ctx *ctx;
    twi_rng rng;
    uint32_t seed;
    builder b;
    twi_engine_opts opts;
    size_t channels;
} trial;

static const size_t widths[] = {1, 3, 8, 16, 17, 24, 32, 48};

/* Pictures of 3 channels, and a convolution of them. */
static trial *trial_new(uint32_t seed, uint32_t *last)
{
    trial *t = test_calloc(1, sizeof *t);
    t->seed = seed;
    assert_int_equal(tw_ctx_new(&t->ctx), TW_OK);
    twi_rng_seed(&t->rng, seed);
    t->opts = (twi_engine_opts){.batch = between(&t->rng, 1, 3),
                                .height = 2 * between(&t->rng, 2, 7),
                                .width = 3 * between(&t->rng, 2, 5),
                                .threads = between(&t->rng, 1, 3)};
    t->b = builder_new(t->ctx, &t->rng, 3);
    reserve_weights(&t->b, 30);
    t->channels = widths[between(&t->rng, 0, TWI_LEN(widths) - 1)];
    *last = add_conv(&t->b, 0, (size_t[4]){t->channels, 3, 3, 3}, 1, square_window(3, 1, 1), true);
    return t;
}

static void trial_finish(trial *t)
{
    twi_network *fused;
    check_precisions_within(t->ctx, t->b.network, &t->opts, 2.0, t->seed);
    must(t->ctx, twi_network_for_inference(t->ctx, t->b.network, TWI_OUTPUT_FLAT, true, &fused));
    check_precisions_within(t->ctx, fused, &t->opts, 2.0, t->seed);
    twi_network_free(fused);
    twi_network_free(t->b.network);
    tw_ctx_free(t->ctx);
    test_free(t);
}

static uint32_t unary(trial *t, twi_node node, uint32_t from)
{
    return add_node(&t->b, node, 1, &from);
}

/* ---- activations --------------------------------------------------------------------------- */

static const twi_node activations[] = {
    {.op = TWI_OP_CLIP, .low = -0.3, .high = 0.8},
    {.op = TWI_OP_LEAKY_RELU, .alpha = 0.2},
    {.op = TWI_OP_ELU, .alpha = 0.7},
    {.op = TWI_OP_SIGMOID},
    {.op = TWI_OP_TANH},
    {.op = TWI_OP_HARD_SIGMOID, .alpha = 0.4, .beta = 0.3},
    {.op = TWI_OP_HARD_SWISH},
    {.op = TWI_OP_SILU},
    {.op = TWI_OP_GELU},
    {.op = TWI_OP_GELU_TANH},
    {.op = TWI_OP_MISH},
    {.op = TWI_OP_SOFTPLUS},
    {.op = TWI_OP_EXP},
    {.op = TWI_OP_ERF},
    {.op = TWI_OP_ABS},
    {.op = TWI_OP_NEG},
};

/* f of a value, which for exp is brought near 0 first: it is used several times in a row. */
static uint32_t activate(trial *t, twi_node f, uint32_t from)
{
    if (f.op == TWI_OP_EXP) from = unary(t, (twi_node){.op = TWI_OP_TANH}, from);
    return unary(t, f, from);
}

/* conv -> activation, conv 3 x 3 of 32 channels (our own kernels) -> activation, dense of tokens ->
 * activation, and one that nothing can take. */
static void test_activations(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 2 * TWI_LEN(activations); seed++) {
        uint32_t last;
        trial *t = trial_new(seed, &last);
        const twi_node f = activations[seed / 2];
        last = activate(t, f, activate(t, f, last));
        last = add_conv(&t->b, last, (size_t[4]){32, t->channels, 1, 1}, 1, square_window(1, 1, 0),
                        true);
        last = add_conv(&t->b, last, (size_t[4]){32, 32, 3, 3}, 1, square_window(3, 1, 1), true);
        last = activate(t, f, last);
        if (seed % 2) {
            twi_node dense = {.op = TWI_OP_DENSE};
            dense.params[TWI_PARAM_WEIGHT] = weight(&t->b, 2, (size_t[2]){9, 32}, 0.0, 0.3);
            last = unary(t, (twi_node){.op = TWI_OP_TOKENS}, last);
            activate(t, f, unary(t, dense, last));
        }
        trial_finish(t);
    }
}

static void test_positive_functions(void **state)
{
    (void)state;
    static const twi_node functions[] = {{.op = TWI_OP_SQRT},
                                         {.op = TWI_OP_LOG},
                                         {.op = TWI_OP_RECIPROCAL},
                                         {.op = TWI_OP_POW, .alpha = 1.7}};
    for (uint32_t seed = 0; seed < TWI_LEN(functions); seed++) {
        uint32_t last;
        trial *t = trial_new(40 + seed, &last);
        last = unary(t, (twi_node){.op = TWI_OP_CLIP, .low = 0.5, .high = 3}, last);
        unary(t, functions[seed], last);
        trial_finish(t);
    }
}

/* ---- arithmetic ---------------------------------------------------------------------------- */

static const twi_op operations[] = {TWI_OP_ADD_BROADCAST, TWI_OP_SUB, TWI_OP_MUL,
                                    TWI_OP_DIV,           TWI_OP_MIN, TWI_OP_MAX};

/* A second value that the first, a map, can be combined with: of every way of repeating. */
static uint32_t other_operand(trial *t, uint32_t from, size_t way)
{
    static const twi_shape axes[] = {{2, {1, 2}}, {1, {0}}, {1, {1}}, {2, {0, 2}}};
    twi_node reduce = {.op = way % 2 ? TWI_OP_REDUCE_MAX : TWI_OP_REDUCE_MEAN};
    if (way < TWI_LEN(axes)) {
        reduce.axes = axes[way];
        return unary(t, reduce, from);
    }
    if (way == 4) return unary(t, (twi_node){.op = TWI_OP_GLOBAL_AVG_POOL}, from);
    return unary(t, (twi_node){.op = TWI_OP_SIGMOID}, from);
}

static void test_arithmetic(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 72; seed++) {
        uint32_t last;
        trial *t = trial_new(100 + seed, &last);
        twi_node node = {.op = operations[seed % TWI_LEN(operations)]};
        uint32_t in[2] = {last, other_operand(t, last, seed / TWI_LEN(operations) % 6)};
        if (node.op == TWI_OP_DIV)
            in[1] = unary(t, (twi_node){.op = TWI_OP_CLIP, .low = 0.5, .high = 2}, in[1]);
        if (seed >= 36) { /* the small one first */
            const uint32_t large = in[0];
            in[0] = in[1];
            in[1] = node.op == TWI_OP_DIV
                        ? unary(t, (twi_node){.op = TWI_OP_CLIP, .low = 0.5, .high = 2}, large)
                        : large;
        }
        last = add_node(&t->b, node, 2, in);
        /* The first operand is read again: it must not have been written over. */
        add_node(&t->b, (twi_node){.op = TWI_OP_ADD_BROADCAST}, 2, (uint32_t[2]){last, in[0]});
        trial_finish(t);
    }
}

static void test_constants(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 40; seed++) {
        uint32_t last;
        trial *t = trial_new(200 + seed, &last);
        const size_t h = t->opts.height, w = t->opts.width, c = t->channels;
        const size_t dims[5][3] = {{1}, {c}, {c, h, w}, {c, 1, 1}, {1, h, w}};
        const size_t ranks[5] = {1, 1, 3, 3, 3};
        const size_t way = seed % 5;
        twi_node node = {.op = seed / 5 % 2 ? TWI_OP_MUL_CONSTANT : TWI_OP_ADD_CONSTANT};
        node.params[TWI_PARAM_VALUE] = weight(&t->b, ranks[way], dims[way], 0.5, 1.0);
        if (seed < 20) { /* behind the convolution it can be folded into it */
            unary(t, node, last);
        } else {
            last = unary(t, (twi_node){.op = TWI_OP_TANH}, last);
            unary(t, node, last);
            if (way < 2) unary(t, node, unary(t, (twi_node){.op = TWI_OP_TOKENS}, last));
        }
        trial_finish(t);
    }
}

static void test_prelu(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 6; seed++) {
        uint32_t last;
        trial *t = trial_new(260 + seed, &last);
        twi_node node = {.op = TWI_OP_PRELU};
        node.params[TWI_PARAM_SLOPE] =
            weight(&t->b, 1, (size_t[1]){seed % 2 ? t->channels : 1}, 0.2, 0.2);
        last = unary(t, node, last);
        if (seed > 2) unary(t, node, unary(t, (twi_node){.op = TWI_OP_TOKENS}, last));
        trial_finish(t);
    }
}

/* ---- norms --------------------------------------------------------------------------------- */

static twi_node norm_node(trial *t, twi_op op, size_t groups)
{
    twi_node node = {.op = op, .epsilon = 1e-3, .groups = groups};
    if (op == TWI_OP_L2_NORMALISE) return node;
    node.params[TWI_PARAM_SCALE] = weight(&t->b, 1, &t->channels, 1.0, 0.5);
    node.params[TWI_PARAM_SHIFT] = weight(&t->b, 1, &t->channels, 0.0, 0.5);
    return node;
}

static void test_norms(void **state)
{
    (void)state;
    static const twi_op ops[] = {TWI_OP_LAYER_NORM, TWI_OP_L2_NORMALISE, TWI_OP_GROUP_NORM};
    for (uint32_t seed = 0; seed < 24; seed++) {
        uint32_t last;
        trial *t = trial_new(300 + seed, &last);
        const twi_op op = ops[seed % TWI_LEN(ops)];
        size_t groups = op == TWI_OP_GROUP_NORM ? between(&t->rng, 1, t->channels) : 1;
        while (t->channels % groups) groups--;
        const twi_node node = norm_node(t, op, groups);
        const bool tokens = op != TWI_OP_GROUP_NORM && seed % 2;
        if (tokens) last = unary(t, (twi_node){.op = TWI_OP_TOKENS}, last);
        last = unary(t, node, last);
        if (op == TWI_OP_LAYER_NORM && t->channels == 1) /* all shift */
            last = unary(t, (twi_node){.op = TWI_OP_EXP}, last);
        unary(t, (twi_node){.op = TWI_OP_SOFTMAX}, last);
        trial_finish(t);
    }
}

static void test_lrn(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 8; seed++) {
        uint32_t last;
        trial *t = trial_new(330 + seed, &last);
        unary(t,
              (twi_node){.op = TWI_OP_LRN,
                         .span = 2 * (seed % 3) + 1,
                         .alpha = 0.5,
                         .beta = 0.75,
                         .bias = 1.2},
              last);
        trial_finish(t);
    }
}

/* ---- moves --------------------------------------------------------------------------------- */

/* What fits a map [channels, even, a multiple of 3]. */
static twi_node random_move(trial *t, size_t kind)
{
    const size_t h = t->opts.height, w = t->opts.width, c = t->channels;
    twi_node n = {0};
    switch (kind) {
    case 0:
        n = (twi_node){.op = TWI_OP_SLICE, .axis = between(&t->rng, 0, 2)};
        n.start = between(&t->rng, 0, (n.axis == 0 ? c : 4) - 1);
        n.stop = between(&t->rng, n.start + 1, 60);
        n.step = between(&t->rng, 1, 3);
        return n;
    case 1:
        n = (twi_node){.op = TWI_OP_TRANSPOSE, .axes = {3, {1, 2, 0}}};
        n.axes.dims[0] = between(&t->rng, 0, 2);
        n.axes.dims[1] = (n.axes.dims[0] + 1 + (t->seed & 1)) % 3;
        n.axes.dims[2] = 3 - n.axes.dims[0] - n.axes.dims[1];
        return n;
    case 2:
        return (twi_node){.op = TWI_OP_RESHAPE, .target = {2, {between(&t->rng, 1, 2) * c, 0}}};
    case 3:
        return (twi_node){
            .op = TWI_OP_ROLL,
            .shift = {(long)between(&t->rng, 0, 20) - 10, (long)between(&t->rng, 0, 20) - 10}};
    case 4:
        n = (twi_node){.op = TWI_OP_PAD, .pad_mode = t->seed % 3, .value = 0.4};
        for (int i = 0; i < 2; i++) {
            n.window.pad_begin[i] = between(&t->rng, 0, 3);
            n.window.pad_end[i] = between(&t->rng, 0, 3);
        }
        return n;
    case 5:
        return (twi_node){.op = TWI_OP_WINDOW_PARTITION, .size = {2, 3}, .grid = t->seed & 1};
    case 6:
        return (twi_node){.op = TWI_OP_RESIZE,
                          .size = {between(&t->rng, 1, 20), between(&t->rng, 1, 20)},
                          .filter = t->seed % 2,
                          .coordinates = t->seed / 2 % 4,
                          .rounding = t->seed / 8 % 4};
    default:
        (void)h, (void)w;
        return (twi_node){.op = TWI_OP_FLATTEN, .nhwc = t->seed & 1};
    }
}

static void test_moves(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 96; seed++) {
        uint32_t last;
        trial *t = trial_new(400 + seed, &last);
        last = unary(t, random_move(t, seed % 8), last);
        unary(t, (twi_node){.op = TWI_OP_TANH}, last);
        trial_finish(t);
    }
}

/* Along any axes of a map, of tokens, of a vector. */
static void test_reductions(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 66; seed++) {
        uint32_t last;
        trial *t = trial_new(700 + seed, &last);
        const size_t rank = 3 - seed % 3, all = ((size_t)1 << rank) - 1;
        const size_t chosen = between(&t->rng, 1, all);
        twi_node node = {.op = seed / 3 % 2 ? TWI_OP_REDUCE_MAX : TWI_OP_REDUCE_MEAN};
        if (rank == 2) last = unary(t, (twi_node){.op = TWI_OP_TOKENS}, last);
        if (rank == 1) last = unary(t, (twi_node){.op = TWI_OP_FLATTEN}, last);
        for (size_t d = 0; d < rank; d++)
            if (chosen >> d & 1) node.axes.dims[node.axes.rank++] = d;
        last = unary(t, node, last);
        unary(t, (twi_node){.op = TWI_OP_TANH}, last);
        trial_finish(t);
    }
}

/* There and back again. */
static void test_round_trips(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 24; seed++) {
        uint32_t last;
        trial *t = trial_new(520 + seed, &last);
        const size_t h = t->opts.height, w = t->opts.width;
        const bool odd = seed & 1;
        const twi_node tanh_node = {.op = TWI_OP_TANH};
        last = add_conv(&t->b, last, (size_t[4]){16, t->channels, 1, 1}, 1, square_window(1, 1, 0),
                        true);
        if (seed % 4 == 0) {
            last = unary(t, (twi_node){.op = TWI_OP_DEPTH_TO_SPACE, .block = 2, .crd = odd}, last);
            last = unary(t, tanh_node, last);
            last = unary(t, (twi_node){.op = TWI_OP_SPACE_TO_DEPTH, .block = 2, .crd = !odd}, last);
        } else if (seed % 4 == 1) {
            const twi_node to = {.op = TWI_OP_WINDOW_PARTITION, .size = {2, 3}, .grid = seed & 4};
            twi_node back = to;
            back.op = TWI_OP_WINDOW_REVERSE;
            back.target = (twi_shape){3, {16, h, w}};
            last = unary(t, back, unary(t, tanh_node, unary(t, to, last)));
        } else if (seed % 4 == 2) {
            last = unary(t, (twi_node){.op = TWI_OP_TOKENS}, last);
            last = unary(t, (twi_node){.op = TWI_OP_MAP, .size = {h, w}}, last);
        } else {
            last = unary(t, (twi_node){.op = TWI_OP_CHANNEL_SHUFFLE, .groups = 4}, last);
        }
        add_conv(&t->b, last, (size_t[4]){5, 16, 3, 3}, 1, square_window(3, 1, 1), true);
        trial_finish(t);
    }
}

static void test_joins(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 24; seed++) {
        uint32_t last;
        trial *t = trial_new(560 + seed, &last);
        const bool tokens = seed % 2;
        uint32_t in[3] = {last, unary(t, (twi_node){.op = TWI_OP_TANH}, last), last};
        for (int i = 0; i < 3 && tokens; i++)
            in[i] = unary(t, (twi_node){.op = TWI_OP_TOKENS}, in[i]);
        const twi_node join = {.op = TWI_OP_CONCAT, .axis = seed / 2 % (tokens ? 2 : 3)};
        last = add_node(&t->b, join, 3, in);
        if (tokens && join.axis == 0) {
            twi_node token = {.op = TWI_OP_PREPEND_TOKEN};
            token.params[TWI_PARAM_TOKEN] = weight(&t->b, 2, (size_t[2]){2, t->channels}, 0.0, 1.0);
            last = unary(t, token, last);
            unary(t, (twi_node){.op = TWI_OP_TAKE_TOKEN, .index = seed % 5}, last);
        }
        trial_finish(t);
    }
}

/* ---- attention ----------------------------------------------------------------------------- */

static uint32_t project(trial *t, uint32_t from, size_t width)
{
    twi_node dense = {.op = TWI_OP_DENSE};
    const double scale = sqrt(3.0 / (double)t->channels);
    dense.params[TWI_PARAM_WEIGHT] = weight(&t->b, 2, (size_t[2]){width, t->channels}, 0.0, scale);
    dense.params[TWI_PARAM_BIAS] = weight(&t->b, 1, &width, 0.0, 0.3);
    return unary(t, dense, from);
}

static void test_attention(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 40; seed++) {
        uint32_t last;
        trial *t = trial_new(600 + seed, &last);
        const size_t tokens = t->opts.height * t->opts.width;
        const size_t key_heads = between(&t->rng, 1, 3), depth = between(&t->rng, 1, 40);
        const size_t heads = key_heads * between(&t->rng, 1, 3), width = between(&t->rng, 1, 40);
        const size_t window = seed % 2 ? 6 : tokens;
        last = unary(t, (twi_node){.op = TWI_OP_WINDOW_PARTITION, .size = {2, 3}, .grid = seed & 2},
                     last);
        const uint32_t in[3] = {project(t, last, heads * depth),
                                project(t, last, key_heads * depth),
                                project(t, last, key_heads * width)};
        twi_node node = {.op = TWI_OP_ATTENTION,
                         .heads = heads,
                         .scale = 1.0 / sqrt((double)depth),
                         .tokens = seed % 2 ? 6 : 0};
        if (seed % 3)
            node.params[TWI_PARAM_ATTENTION_BIAS] =
                weight(&t->b, 3, (size_t[3]){heads, window, window}, 0.0, 1.0);
        if (seed % 5 == 0)
            node.params[TWI_PARAM_ATTENTION_MASK] =
                weight(&t->b, 3, (size_t[3]){tokens / window, window, window}, 0.0, 1.0);
        last = add_node(&t->b, node, 3, in);
        if (heads * width == t->channels) last = project(t, last, t->channels);
        trial_finish(t);
    }
}

static void test_matmul(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 16; seed++) {
        uint32_t last;
        trial *t = trial_new(660 + seed, &last);
        const twi_shape turned = {3, {0, 2, 1}};
        const twi_node tokens = {.op = TWI_OP_TOKENS};
        twi_node node = {.op = TWI_OP_MATMUL,
                         .scale = 0.3,
                         .transpose_a = seed & 1,
                         .transpose_b = seed >> 1 & 1};
        if (seed < 8) last = unary(t, tokens, last);
        uint32_t other = unary(t, (twi_node){.op = TWI_OP_TANH}, last);
        if (node.transpose_a == node.transpose_b) {
            twi_node turn = {.op = TWI_OP_TRANSPOSE, .axes = turned};
            if (seed < 8) turn.axes = (twi_shape){2, {1, 0}};
            other = unary(t, turn, other);
        }
        add_node(&t->b, node, 2, (uint32_t[2]){last, other});
        trial_finish(t);
    }
}

static void test_constant_node(void **state)
{
    (void)state;
    uint32_t last;
    trial *t = trial_new(700, &last);
    twi_node node = {.op = TWI_OP_CONSTANT};
    node.params[TWI_PARAM_VALUE] = weight(&t->b, 1, &t->channels, 0.0, 1.0);
    const uint32_t constant = add_node(&t->b, node, 0, NULL);
    add_node(&t->b, (twi_node){.op = TWI_OP_MUL}, 2, (uint32_t[2]){last, constant});
    trial_finish(t);
}

/* ---- batches ------------------------------------------------------------------------------- */

/* A squeeze-and-excite block, then a transformer's: what mixes values of one picture. */
static void add_mixture(trial *t, uint32_t last)
{
    const size_t c = 16;
    last =
        add_conv(&t->b, last, (size_t[4]){c, t->channels, 3, 3}, 1, square_window(3, 2, 1), true);
    t->channels = c;
    uint32_t gate = unary(t, (twi_node){.op = TWI_OP_REDUCE_MEAN, .axes = {2, {1, 2}}}, last);
    gate = add_conv(&t->b, gate, (size_t[4]){c, c, 1, 1}, 1, square_window(1, 1, 0), true);
    gate = unary(t, (twi_node){.op = TWI_OP_SIGMOID}, gate);
    last = add_node(&t->b, (twi_node){.op = TWI_OP_MUL}, 2, (uint32_t[2]){last, gate});
    twi_node token = {.op = TWI_OP_PREPEND_TOKEN};
    token.params[TWI_PARAM_TOKEN] = weight(&t->b, 2, (size_t[2]){1, c}, 0.0, 1.0);
    last = unary(t, token, unary(t, (twi_node){.op = TWI_OP_TOKENS}, last));
    const uint32_t x = unary(t, norm_node(t, TWI_OP_LAYER_NORM, 1), last);
    const uint32_t in[3] = {project(t, x, c), project(t, x, c), project(t, x, c)};
    const twi_node attention = {.op = TWI_OP_ATTENTION, .heads = 4, .scale = 0.5};
    uint32_t y = project(t, add_node(&t->b, attention, 3, in), c);
    y = add_node(&t->b, (twi_node){.op = TWI_OP_ADD}, 2, (uint32_t[2]){y, last});
    unary(t, (twi_node){.op = TWI_OP_TAKE_TOKEN, .index = 0}, y);
}

/* The same picture in the same place among others; then alone, with other threads. */
static void test_rows_stand_alone(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 12; seed++) {
        uint32_t last;
        trial *t = trial_new(720 + seed, &last);
        add_mixture(t, last);
        twi_network *fused;
        must(t->ctx, twi_network_for_inference(t->ctx, t->b.network, TWI_OUTPUT_AVG, true, &fused));
        twi_engine_opts opts = t->opts;
        opts.precision = seed % 2 ? TW_PRECISION_BF16 : TW_PRECISION_F32;
        if (!twi_precision_native(opts.precision)) opts.precision = TW_PRECISION_F32;
        opts.batch = 5;
        const outcome alone = compute(t->ctx, fused, &opts, 1, seed); /* padded with zeros */
        const outcome among = compute(t->ctx, fused, &opts, 5, seed);
        assert_memory_equal(alone.values, among.values, alone.d * sizeof *alone.values);
        opts.batch = 1, opts.threads = 1 + seed % 3;
        outcome small = compute(t->ctx, fused, &opts, 1, seed);
        assert_true(distance(&small, &alone) <= (opts.precision == TW_PRECISION_F32 ? 1e-6 : 5e-3));
        test_free(alone.values), test_free(among.values), test_free(small.values);
        twi_network_free(fused);
        twi_network_free(t->b.network);
        tw_ctx_free(t->ctx);
        test_free(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations),   cmocka_unit_test(test_positive_functions),
        cmocka_unit_test(test_arithmetic),    cmocka_unit_test(test_constants),
        cmocka_unit_test(test_prelu),         cmocka_unit_test(test_norms),
        cmocka_unit_test(test_lrn),           cmocka_unit_test(test_moves),
        cmocka_unit_test(test_round_trips),   cmocka_unit_test(test_joins),
        cmocka_unit_test(test_attention),     cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_constant_node), cmocka_unit_test(test_rows_stand_alone),
        cmocka_unit_test(test_reductions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
