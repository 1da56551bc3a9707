/* attributes.c - the attributes of nodes as JSON: one row each, both directions. docs/graph.md says
 * which operator has which. */
#include "network/operators.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define MOST_WORDS 4

typedef enum kind {
    SIZE,    /* size_t */
    COUNT,   /* size_t, above 0: 0 would mean "the usual" to twi_network_append() */
    SIZES,   /* size_t [2]: height, width */
    COUNTS,  /* the same, above 0 */
    SHIFTS,  /* long [2] */
    LIST,    /* twi_shape */
    NUMBER,  /* double */
    NUMBERS, /* double [2] */
    SPAN,    /* double [2], the second not below the first; not written when both are 0 */
    FLAG,    /* bool */
    CHOICE,  /* bool, one of two words */
    WORD     /* an enumeration, whose words are in order */
} kind;

static const struct attribute {
    unsigned bit; /* TWI_ATTR_...: of operators that have it */
    const char *key;
    kind kind;
    size_t offset; /* in twi_node */
    const char *words[MOST_WORDS];
    bool optional; /* files older than the attribute lack it: 0 */
} attributes[] = {
#define AT(field) .offset = offsetof(twi_node, field)
    {TWI_ATTR_WINDOW, "kernel", COUNTS, AT(window.kernel)},
    {TWI_ATTR_WINDOW, "stride", COUNTS, AT(window.stride)},
    {TWI_ATTR_WINDOW, "dilation", COUNTS, AT(window.dilation)},
    {TWI_ATTR_WINDOW | TWI_ATTR_PAD, "pad_begin", SIZES, AT(window.pad_begin)},
    {TWI_ATTR_WINDOW | TWI_ATTR_PAD, "pad_end", SIZES, AT(window.pad_end)},
    {TWI_ATTR_CEIL, "ceil_mode", FLAG, AT(window.ceil_mode)},
    {TWI_ATTR_COUNT_PAD, "count_include_pad", FLAG, AT(window.count_include_pad)},
    {TWI_ATTR_GROUPS, "groups", COUNT, AT(groups)},
    {TWI_ATTR_EPSILON, "epsilon", NUMBER, AT(epsilon)},
    {TWI_ATTR_FLATTEN_ORDER, "order", CHOICE, AT(nhwc), .words = {"chw", "hwc"}},
    {TWI_ATTR_ALPHA, "alpha", NUMBER, AT(alpha)},
    {TWI_ATTR_BETA, "beta", NUMBER, AT(beta)},
    {TWI_ATTR_RANGE, "low", NUMBER, AT(low)},
    {TWI_ATTR_RANGE, "high", NUMBER, AT(high)},
    {TWI_ATTR_LRN, "size", COUNT, AT(span)},
    {TWI_ATTR_LRN, "bias", NUMBER, AT(bias)},
    {TWI_ATTR_PAD, "mode", WORD, AT(pad_mode), .words = {"constant", "reflect", "edge"}},
    {TWI_ATTR_PAD, "value", NUMBER, AT(value)},
    {TWI_ATTR_RESIZE, "filter", WORD, AT(filter), .words = {"nearest", "bilinear"}},
    {TWI_ATTR_RESIZE, "coordinates", WORD, AT(coordinates),
     .words = {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"}},
    {TWI_ATTR_RESIZE, "rounding", WORD, AT(rounding),
     .words = {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"}},
    {TWI_ATTR_RESIZE, "scales", NUMBERS, AT(scales)},
    {TWI_ATTR_SIZE, "size", SIZES, AT(size)},
    {TWI_ATTR_BLOCK, "block", COUNT, AT(block)},
    {TWI_ATTR_BLOCK, "order", CHOICE, AT(crd), .words = {"dcr", "crd"}},
    {TWI_ATTR_SHIFT, "shift", SHIFTS, AT(shift)},
    {TWI_ATTR_AXIS, "axis", SIZE, AT(axis), .optional = true},
    {TWI_ATTR_RANGE_OF_AXIS, "start", SIZE, AT(start)},
    {TWI_ATTR_RANGE_OF_AXIS, "stop", SIZE, AT(stop)},
    {TWI_ATTR_RANGE_OF_AXIS, "step", COUNT, AT(step)},
    {TWI_ATTR_AXES, "axes", LIST, AT(axes)},
    {TWI_ATTR_TARGET, "shape", LIST, AT(target)},
    {TWI_ATTR_INDEX, "index", SIZE, AT(index)},
    {TWI_ATTR_GRID, "grid", FLAG, AT(grid)},
    {TWI_ATTR_TRANSPOSES, "transpose_a", FLAG, AT(transpose_a)},
    {TWI_ATTR_TRANSPOSES, "transpose_b", FLAG, AT(transpose_b)},
    {TWI_ATTR_SCALE, "scale", NUMBER, AT(scale)},
    {TWI_ATTR_HEADS, "heads", COUNT, AT(heads)},
    {TWI_ATTR_HEADS, "tokens", SIZE, AT(tokens)},
    {TWI_ATTR_OBSERVED, "observed", SPAN, AT(observed), .optional = true},
#undef AT
};

/* ---- writing ------------------------------------------------------------------------------- */

/* New; NULL: no memory. */
static twi_json *sizes_to_json(size_t n, const size_t *values)
{
    twi_json *array = twi_json_array();
    for (size_t i = 0; i < n; i++)
        if (!twi_json_append(array, twi_json_integer((int64_t)values[i]))) {
            twi_json_free(array);
            return NULL;
        }
    return array;
}

/* Both values are taken over. */
static twi_json *pair_to_json(twi_json *first, twi_json *second)
{
    twi_json *array = twi_json_array();
    bool ok = twi_json_append(array, first);
    ok = twi_json_append(array, second) && ok;
    if (ok) return array;
    twi_json_free(array);
    return NULL;
}

static twi_json *value_to_json(const struct attribute *a, const void *field)
{
    switch (a->kind) {
    case SIZE:
    case COUNT:
        return twi_json_integer((int64_t) * (const size_t *)field);
    case SIZES:
    case COUNTS:
        return sizes_to_json(2, field);
    case SHIFTS:
        return pair_to_json(twi_json_integer(((const long *)field)[0]),
                            twi_json_integer(((const long *)field)[1]));
    case LIST:
        return sizes_to_json(((const twi_shape *)field)->rank, ((const twi_shape *)field)->dims);
    case NUMBER:
        return twi_json_number(*(const double *)field);
    case NUMBERS:
    case SPAN:
        return pair_to_json(twi_json_number(((const double *)field)[0]),
                            twi_json_number(((const double *)field)[1]));
    case FLAG:
        return twi_json_boolean(*(const bool *)field);
    case CHOICE:
        return twi_json_text(a->words[*(const bool *)field]);
    default:
        return twi_json_text(a->words[*(const unsigned *)field]);
    }
}

static unsigned attributes_of(const twi_node *node)
{
    return twi_operator_at(node->op)->attributes | TWI_ATTR_OBSERVED;
}

static bool is_unknown(const struct attribute *a, const twi_node *node)
{
    return a->kind == SPAN && node->observed[0] == 0 && node->observed[1] == 0;
}

bool twi_attributes_write(const twi_node *node, twi_json *to)
{
    const unsigned has = attributes_of(node);
    for (size_t i = 0; i < TWI_LEN(attributes); i++) {
        const struct attribute *a = &attributes[i];
        if (!(has & a->bit) || is_unknown(a, node)) continue;
        if (!twi_json_set(to, a->key, value_to_json(a, (const char *)node + a->offset)))
            return false;
    }
    return true;
}

/* ---- reading ------------------------------------------------------------------------------- */

/* A number that a size may be; the operator's own check knows what is sensible. */
static bool take_size(const twi_json *value, size_t least, size_t *out)
{
    const int64_t number = twi_json_as_integer(value, -1);
    if (number < (int64_t)least || number > UINT32_MAX) return false;
    *out = (size_t)number;
    return true;
}

static bool take_sizes(const twi_json *array, size_t n, size_t least, size_t *out)
{
    if (!twi_json_is_array(array) || twi_json_length(array) != n) return false;
    for (size_t i = 0; i < n; i++)
        if (!take_size(twi_json_at(array, i), least, &out[i])) return false;
    return true;
}

static bool take_shifts(const twi_json *array, long out[2])
{
    if (!twi_json_is_array(array) || twi_json_length(array) != 2) return false;
    for (size_t i = 0; i < 2; i++) {
        const int64_t number = twi_json_as_integer(twi_json_at(array, i), INT64_MIN);
        if (number < -TWI_MAX_SIDE || number > TWI_MAX_SIDE) return false;
        out[i] = (long)number;
    }
    return true;
}

static bool take_list(const twi_json *array, twi_shape *out)
{
    const size_t n = twi_json_is_array(array) ? twi_json_length(array) : 0;
    out->rank = n;
    return n >= 1 && n <= TWI_LEN(out->dims) && take_sizes(array, n, 0, out->dims);
}

static bool take_number(const twi_json *value, double *out)
{
    *out = twi_json_as_number(value, (double)NAN);
    return isfinite(*out);
}

static bool take_numbers(const twi_json *array, double out[2])
{
    return twi_json_is_array(array) && twi_json_length(array) == 2 &&
           take_number(twi_json_at(array, 0), &out[0]) &&
           take_number(twi_json_at(array, 1), &out[1]);
}

static bool take_span(const twi_json *array, double out[2])
{
    return take_numbers(array, out) && out[0] <= out[1];
}

static bool take_flag(const twi_json *value, bool *out)
{
    *out = twi_json_as_boolean(value, false);
    return *out == twi_json_as_boolean(value, true);
}

static bool take_word(const struct attribute *a, const twi_json *value, size_t *out)
{
    const char *word = twi_json_as_text(value, "");
    for (*out = 0; *out < MOST_WORDS && a->words[*out]; (*out)++)
        if (strcmp(a->words[*out], word) == 0) return true;
    return false;
}

static bool value_from_json(const struct attribute *a, const twi_json *value, void *field)
{
    size_t word = 0;
    switch (a->kind) {
    case SIZE:
    case COUNT:
        return take_size(value, a->kind == COUNT, field);
    case SIZES:
    case COUNTS:
        return take_sizes(value, 2, a->kind == COUNTS, field);
    case SHIFTS:
        return take_shifts(value, field);
    case LIST:
        return take_list(value, field);
    case NUMBER:
        return take_number(value, field);
    case NUMBERS:
        return take_numbers(value, field);
    case SPAN:
        return take_span(value, field);
    case FLAG:
        return take_flag(value, field);
    case CHOICE:
        if (!take_word(a, value, &word)) return false;
        *(bool *)field = word == 1;
        return true;
    default:
        if (!take_word(a, value, &word)) return false;
        *(unsigned *)field = (unsigned)word;
        return true;
    }
}

static tw_status fail_value(tw_ctx *ctx, const twi_node *node, const struct attribute *a)
{
    static const char *const needs[] = {
        [SIZE] = "an integer from 0 up",
        [COUNT] = "an integer above 0",
        [SIZES] = "two integers from 0 up",
        [COUNTS] = "two integers above 0",
        [SHIFTS] = "two integers",
        [LIST] = "one to three integers from 0 up",
        [NUMBER] = "a number",
        [NUMBERS] = "two numbers",
        [SPAN] = "two numbers, the second not below the first",
        [FLAG] = "true or false",
    };
    char words[120] = "";
    size_t at = 0;
    if (a->kind != CHOICE && a->kind != WORD)
        return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: \"%s\" is not %s", node->name, a->key,
                        needs[a->kind]);
    for (size_t i = 0; i < MOST_WORDS && a->words[i]; i++)
        at += (size_t)snprintf(words + at, sizeof words - at, "%s\"%s\"", i ? " or " : "",
                               a->words[i]);
    return twi_fail(ctx, TW_ERR_FORMAT, "layer %s: \"%s\" is not %s", node->name, a->key, words);
}

tw_status twi_attributes_read(tw_ctx *ctx, const twi_json *from, twi_node *node)
{
    const unsigned has = attributes_of(node);
    for (size_t i = 0; i < TWI_LEN(attributes); i++) {
        const struct attribute *a = &attributes[i];
        const twi_json *value = twi_json_get(from, a->key);
        if (!(has & a->bit) || (!value && a->optional)) continue;
        if (!value_from_json(a, value, (char *)node + a->offset)) return fail_value(ctx, node, a);
    }
    return TW_OK;
}
