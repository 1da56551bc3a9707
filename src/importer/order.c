/* order.c - Keras's order of an architecture's layers, and the names that follow for the groups of
 * a Keras 3 file. */
#include "importer/order.h"
#include "importer/keras.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LAYERS 16384
#define MAX_PATH   128

typedef struct plan_layer {
    const char *kind; /* NULL: no weights */
    const char *name;
    size_t container;     /* 0: the model itself; or which Sequential */
    size_t first, inputs; /* of plan.inputs */
    size_t depth, met;    /* the longest way to the output; when the walk meets it, from 1 on */
    char group[MAX_PATH]; /* "conv2d_3", "sequential/conv2d" */
} plan_layer;

struct twi_plan {
    plan_layer *layers; /* [n] in the order in which they are built; 0 is the picture */
    size_t n, capacity;
    uint32_t *inputs;
    size_t n_inputs, inputs_capacity;
    size_t containers, container; /* how many there are, and the one that is being filled */
    bool top;                     /* the plan is for a network with its classifier */
    twi_arena memory;
};

tw_status twi_plan_new(tw_ctx *ctx, twi_plan **out)
{
    twi_plan *plan;
    uint32_t picture;
    tw_status st = twi_zalloc(ctx, 1, &plan);
    if (st != TW_OK) return st;
    if ((st = twi_plan_add(ctx, plan, NULL, "input", 0, NULL, &picture)) != TW_OK) goto done;
    *out = plan, plan = NULL; /* handed over */
done:
    twi_plan_free(plan);
    return st;
}

void twi_plan_free(twi_plan *plan)
{
    if (!plan) return;
    twi_free(plan->layers);
    twi_free(plan->inputs);
    twi_arena_free(&plan->memory);
    twi_free(plan);
}

/* A separable convolution is two nodes here and one layer there: the second is called
 * "NAME.pointwise". True when name is that of the layer it follows. */
static bool is_second_half(const twi_plan *plan, const char *name, size_t n, const uint32_t *inputs)
{
    const char *tail = strrchr(name, '.');
    if (n != 1 || !tail || strcmp(tail, ".pointwise") != 0) return false;
    const char *before = plan->layers[inputs[0]].name;
    const size_t length = (size_t)(tail - name);
    return strlen(before) == length && memcmp(before, name, length) == 0;
}

tw_status twi_plan_add(tw_ctx *ctx, twi_plan *plan, const char *kind, const char *name, size_t n,
                       const uint32_t *inputs, uint32_t *id)
{
    if (is_second_half(plan, name, n, inputs)) {
        plan->layers[inputs[0]].kind = "separable_conv2d";
        *id = inputs[0];
        return TW_OK;
    }
    char *copy;
    if (plan->n == MAX_LAYERS)
        return twi_fail(ctx, TW_ERR_FORMAT, "more than %d layers", MAX_LAYERS);
    tw_status st = twi_arena_text(ctx, &plan->memory, name, strlen(name), &copy);
    if (st == TW_OK) st = twi_grow(ctx, &plan->layers, &plan->capacity, plan->n + 1);
    if (st == TW_OK)
        st = twi_grow(ctx, &plan->inputs, &plan->inputs_capacity, plan->n_inputs + n + 1);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < n; i++) {
        assert(inputs[i] < plan->n);
        plan->inputs[plan->n_inputs + i] = inputs[i];
    }
    plan->layers[plan->n] = (plan_layer){.kind = kind,
                                         .name = copy,
                                         .container = plan->container,
                                         .first = plan->n_inputs,
                                         .inputs = n};
    plan->n_inputs += n;
    *id = (uint32_t)plan->n++;
    return TW_OK;
}

void twi_plan_enter(twi_plan *plan)
{
    plan->container = ++plan->containers;
}

void twi_plan_leave(twi_plan *plan)
{
    plan->container = 0;
}

/* ---- Keras's order ------------------------------------------------------------------------- */

/* Depth first from output, inputs first to last; each layer gets its turn when it is first met. */
static tw_status walk(tw_ctx *ctx, twi_plan *plan, uint32_t output)
{
    struct {
        uint32_t layer;
        size_t next; /* input */
    } * way;
    const tw_status st = twi_alloc(ctx, plan->n, &way);
    if (st != TW_OK) return st;
    size_t height = 1, met = 1;
    way[0].layer = output, way[0].next = 0;
    plan->layers[output].met = met++;
    while (height > 0) {
        const plan_layer *layer = &plan->layers[way[height - 1].layer];
        if (way[height - 1].next == layer->inputs) {
            height--;
            continue;
        }
        const uint32_t input = plan->inputs[layer->first + way[height - 1].next++];
        if (plan->layers[input].met > 0) continue;
        plan->layers[input].met = met++;
        way[height].layer = input, way[height++].next = 0; /* inputs are earlier: n at most */
    }
    twi_free(way);
    return TW_OK;
}

static void measure_depths(twi_plan *plan)
{
    for (size_t i = plan->n; i-- > 0;) { /* inputs are earlier: what reads a layer comes first */
        const plan_layer *layer = &plan->layers[i];
        for (size_t k = 0; k < layer->inputs && layer->met > 0; k++) {
            plan_layer *input = &plan->layers[plan->inputs[layer->first + k]];
            if (input->depth < layer->depth + 1) input->depth = layer->depth + 1;
        }
    }
}

static int compare(const void *a, const void *b)
{
    const plan_layer *one = a, *other = b;
    if (one->depth != other->depth) return one->depth > other->depth ? -1 : 1;
    return one->met < other->met ? -1 : one->met > other->met;
}

static void set_group(plan_layer *layer, size_t sequential, size_t number)
{
    char within[40] = "", count[32] = "";
    if (layer->container > 0 && sequential == 0) strcpy(within, "sequential/");
    if (layer->container > 0 && sequential > 0)
        snprintf(within, sizeof within, "sequential_%zu/", sequential);
    if (number > 0) snprintf(count, sizeof count, "_%zu", number);
    snprintf(layer->group, sizeof layer->group, "%s%s%s", within, layer->kind, count);
}

tw_status twi_plan_sort(tw_ctx *ctx, twi_plan *plan, uint32_t output)
{
    size_t *turns, met = 0; /* when each Sequential comes, from 1 on */
    assert(output < plan->n);
    tw_status st = walk(ctx, plan, output);
    if (st == TW_OK) st = twi_zalloc(ctx, plan->containers + 1, &turns);
    if (st != TW_OK) return st;
    measure_depths(plan);
    qsort(plan->layers, plan->n, sizeof *plan->layers, compare);
    for (size_t i = 0; i < plan->n; i++) {
        plan_layer *layer = &plan->layers[i];
        size_t number = 0;
        if (!layer->kind) continue;
        if (layer->container > 0 && turns[layer->container] == 0) turns[layer->container] = ++met;
        for (size_t k = 0; k < i; k++)
            number += plan->layers[k].container == layer->container && plan->layers[k].kind &&
                      strcmp(plan->layers[k].kind, layer->kind) == 0;
        set_group(layer, turns[layer->container] - (layer->container > 0), number);
    }
    twi_free(turns);
    return TW_OK;
}

/* ---- names --------------------------------------------------------------------------------- */

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool twi_plan_has(const twi_plan *plan, const twi_tensors *all, const char *prefix)
{
    for (size_t i = 0; i < all->n; i++)
        if (starts_with(all->items[i].name, prefix)) return true;
    return plan->top && strcmp(prefix, "normalization.") != 0;
}

/* Length of the group in a weight's name: of "sequential/conv2d" in "sequential/conv2d.weight". */
static size_t group_length(const char *name)
{
    return strcspn(name, ".");
}

static const plan_layer *find_layer(const twi_plan *plan, const char *group, size_t length)
{
    for (size_t i = 0; i < plan->n; i++)
        if (plan->layers[i].kind && strlen(plan->layers[i].group) == length &&
            memcmp(plan->layers[i].group, group, length) == 0)
            return &plan->layers[i];
    return NULL;
}

/* How many weights the plan has no layer for, and how many layers have no weight. */
static size_t mismatches(const twi_plan *plan, const twi_tensors *all)
{
    size_t count = 0;
    for (size_t i = 0; i < all->n; i++)
        count += !find_layer(plan, all->items[i].name, group_length(all->items[i].name));
    for (size_t k = 0; k < plan->n; k++) {
        bool found = !plan->layers[k].kind;
        const size_t length = strlen(plan->layers[k].group);
        for (size_t i = 0; i < all->n && !found; i++)
            found = group_length(all->items[i].name) == length &&
                    memcmp(all->items[i].name, plan->layers[k].group, length) == 0;
        count += !found;
    }
    return count;
}

static tw_status make_plan(tw_ctx *ctx, const twi_architecture *arch, twi_weights *weights,
                           bool top, twi_plan **out)
{
    twi_network *none = NULL;
    twi_plan *plan;
    tw_status st = twi_plan_new(ctx, &plan);
    if (st != TW_OK) return st;
    plan->top = top;
    weights->plan = plan;
    st = arch->build(ctx, arch, weights, &none);
    weights->plan = NULL;
    assert(!none);
    if (st == TW_OK)
        *out = plan;
    else
        twi_plan_free(plan);
    return st;
}

static tw_status rename_weights(tw_ctx *ctx, const twi_plan *plan, twi_tensors *all)
{
    for (size_t i = 0; i < all->n; i++) {
        const char *name = all->items[i].name;
        const size_t length = group_length(name);
        const plan_layer *layer = find_layer(plan, name, length);
        char *fresh, *kept;
        if (!layer) continue;
        tw_status st = twi_asprintf(ctx, &fresh, "%s%s", layer->name, name + length);
        if (st != TW_OK) return st;
        st = twi_arena_text(ctx, &all->owned, fresh, strlen(fresh), &kept);
        twi_free(fresh);
        if (st != TW_OK) return st;
        all->items[i].name = kept;
    }
    return TW_OK;
}

tw_status twi_keras_name_layers(tw_ctx *ctx, const twi_architecture *arch, twi_weights *weights)
{
    twi_plan *bare = NULL, *topped = NULL;
    tw_status st = make_plan(ctx, arch, weights, false, &bare);
    if (st == TW_OK) st = make_plan(ctx, arch, weights, true, &topped);
    if (st == TW_OK) {
        const bool top =
            mismatches(topped, &weights->tensors) < mismatches(bare, &weights->tensors);
        st = rename_weights(ctx, top ? topped : bare, &weights->tensors);
    }
    if (st == TW_OK) weights->numbered = false;
    twi_plan_free(bare);
    twi_plan_free(topped);
    return st;
}
