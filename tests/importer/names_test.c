/* names_test.c - what architectures say of weights: missing, misshapen and extra ones are named. A
 * network is grown from the messages alone: each names a weight, and the shape that it needs. */
#include "foreign.h"

static tw_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    return tw_ctx_new(&ctx) == TW_OK ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    tw_ctx_free(ctx);
    return 0;
}

static tw_status build(const char *arch, const twi_weights *weights)
{
    const twi_architecture *a = twi_architecture_find(arch);
    twi_network *network = NULL;
    assert_non_null(a);
    const tw_status st = a->build(ctx, a, weights, &network);
    twi_network_free(network);
    return st;
}

static void add(twi_tensors *list, const char *name, size_t rank, const size_t *dims)
{
    assert_int_equal(twi_tensors_add(ctx, list, name, TWI_F32, rank, dims, NULL, NULL), TW_OK);
}

/* "[any, 3, 7, 7]" with any for what may be any. */
static size_t read_dims(const char *text, size_t any, size_t *dims)
{
    size_t rank = 0;
    for (text = strchr(text, '[') + 1; *text != ']'; text += strspn(text, ", ")) {
        assert_true(rank < TWI_TENSOR_DIMS);
        dims[rank++] = *text == 'a' ? any : (size_t)atol(text);
        text += strcspn(text, ",]");
    }
    return rank;
}

/* Adds what a failed build asks for. */
static void answer(twi_tensors *list, size_t any)
{
    char name[160];
    size_t dims[TWI_TENSOR_DIMS], rank;
    const char *said = tw_last_error(ctx), *need = strstr(said, "; need ");
    assert_int_equal(sscanf(said, "weight %159s", name), 1);
    if (strstr(said, " is missing")) {
        add(list, name, 5, (size_t[]){1, 1, 1, 1, 2}); /* no layer's shape */
        return;
    }
    assert_non_null(need);
    rank = read_dims(need, any, dims);
    twi_tensor *last = &list->items[list->n - 1];
    assert_string_equal(last->name, name);
    list->n--;
    add(list, name, rank, dims);
}

static size_t grow(const char *arch, twi_convention convention, size_t any)
{
    twi_weights weights = {.convention = convention, .format = "test"};
    tw_status st;
    size_t asked = 0;
    while ((st = build(arch, &weights)) == TW_ERR_FORMAT && asked++ < 4000)
        answer(&weights.tensors, any);
    if (st != TW_OK) fail_msg("%s: %s", arch, tw_last_error(ctx));
    const size_t n = weights.tensors.n;
    add(&weights.tensors, "stranger.weight", 1, (size_t[]){1});
    assert_int_equal(build(arch, &weights), TW_ERR_FORMAT);
    assert_non_null(strstr(tw_last_error(ctx), "weight stranger.weight belongs to no layer"));
    twi_weights_free(&weights);
    return n;
}

static void networks_grow_from_messages(void **state)
{
    (void)state;
    static const struct {
        const char *arch;
        twi_convention convention;
        size_t any, weights;
    } rows[] = {
        {"squeezenet1_0", TWI_TORCHVISION, 4, 50},
        {"mobilenet", TWI_KERAS, 4, 135},
        {"mobilenet_v2", TWI_TORCHVISION, 4, 260},
        {"mobilenet_v2", TWI_KERAS, 4, 260},
        {"mobilenet_v3_small", TWI_KERAS, 4, 206},
        {"shufflenet_v2_x1_0", TWI_TORCHVISION, 4, 280},
        {"regnet_x_400mf", TWI_TORCHVISION, 4, 355},
        {"vit_b_32", TWI_TORCHVISION, 24, 150},
        {"xception", TWI_KERAS, 4, 234},
        {"convnext_tiny", TWI_TORCHVISION, 4, 178},
        {"regnetx002", TWI_KERAS, 4, 220},
        {"regnety006", TWI_KERAS, 4, 310},
    };
    for (size_t i = 0; i < TWI_LEN(rows); i++) {
        const size_t n = grow(rows[i].arch, rows[i].convention, rows[i].any);
        if (n != rows[i].weights) fail_msg("%s has %zu weights", rows[i].arch, n);
    }
}

static void every_architecture_names_what_is_missing(void **state)
{
    (void)state;
    const twi_architecture *arch;
    for (size_t i = 0; (arch = twi_architecture_at(i)); i++)
        for (int c = 0; c < TWI_CONVENTIONS; c++) {
            twi_weights weights = {.convention = (twi_convention)c, .format = "test"};
            if (!arch->recipes[c]) continue;
            add(&weights.tensors, "stranger.weight", 1, (size_t[]){1});
            assert_int_equal(build(arch->name, &weights), TW_ERR_FORMAT);
            assert_non_null(
                strstr(tw_last_error(ctx), "is missing; the file has 1, from stranger"));
            twi_weights_free(&weights);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_grow_from_messages),
        cmocka_unit_test(every_architecture_names_what_is_missing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
