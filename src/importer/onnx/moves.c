/* moves.c - what changes where values lie, and what is known without a picture. */
#include "importer/onnx/graph.h"

#include <string.h>

#define PIECES 64 /* that a gather may be put together from */

/* ---- known numbers ------------------------------------------------------------------------------
 */

static tw_status give_const(twi_onnx_graph *g, const twi_onnx_const *c)
{
    twi_onnx_value value = {.kind = TWI_ONNX_CONST, .rank = c->rank, .data = *c};
    memcpy(value.dims, c->dims, sizeof value.dims);
    return twi_onnx_output(g, 0, &value);
}

static tw_status give_ints(twi_onnx_graph *g, size_t rank, const size_t *values, size_t n)
{
    int64_t *i;
    twi_onnx_const c = {.rank = rank, .dims = {n}, .count = n, .type = 7};
    const tw_status st = twi_arena_take(g->ctx, &g->model->memory, n, &i);
    if (st != TW_OK) return st;
    for (size_t at = 0; at < n; at++) i[at] = (int64_t)values[at];
    c.i = i;
    return give_const(g, &c);
}

static tw_status lower_constant(twi_onnx_graph *g)
{
    const twi_onnx_attribute *a = twi_onnx_attribute_of(g->at, "value");
    twi_onnx_const c = {.type = 1, .count = 1};
    if (a && a->tensor.left > 0) {
        const tw_status st = twi_onnx_tensor(g->ctx, g->model, g->at->outputs[0], a->tensor, &c);
        return st == TW_OK ? give_const(g, &c) : st;
    }
    if ((a = twi_onnx_attribute_of(g->at, "value_float")))
        c.f = &a->f;
    else if ((a = twi_onnx_attribute_of(g->at, "value_int")))
        c.i = &a->i;
    else if ((a = twi_onnx_attribute_of(g->at, "value_floats")))
        c = (twi_onnx_const){
            .rank = 1, .dims = {a->n_floats}, .count = a->n_floats, .f = a->floats};
    else if ((a = twi_onnx_attribute_of(g->at, "value_ints")))
        c = (twi_onnx_const){.rank = 1, .dims = {a->n_ints}, .count = a->n_ints, .i = a->ints};
    if (!c.f && !c.i) return twi_onnx_fail(g, "a constant that is no tensor of numbers");
    return give_const(g, &c);
}

static tw_status lower_shape(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    const tw_status st = twi_onnx_input(g, 0, &x);
    if (st != TW_OK) return st;
    const int64_t rank = (int64_t)x->rank;
    int64_t start = twi_onnx_int(g->at, "start", 0), end = twi_onnx_int(g->at, "end", rank);
    if (start < 0) start += rank;
    if (end < 0) end += rank;
    if (start < 0 || end > rank || start > end) return twi_onnx_fail(g, "axes that cannot be");
    return give_ints(g, 1, x->dims + start, (size_t)(end - start));
}

static tw_status lower_size(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    size_t n = 1;
    const tw_status st = twi_onnx_input(g, 0, &x);
    if (st != TW_OK) return st;
    for (size_t d = 0; d < x->rank; d++) n *= x->dims[d];
    return give_ints(g, 0, &n, 1);
}

/* ---- the same elements in the same order
 * ---------------------------------------------------------- */

static tw_status lower_relabel(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    twi_onnx_value out;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st != TW_OK) return st;
    out = *x;
    st = twi_onnx_new_shape(g, x, &out.rank, out.dims);
    if (st == TW_OK && x->kind == TWI_ONNX_CONST) {
        out.data.rank = out.rank;
        memcpy(out.data.dims, out.dims, sizeof out.dims);
    }
    return st == TW_OK ? twi_onnx_output(g, 0, &out) : st;
}

/* ---- parts
 * ----------------------------------------------------------------------------------------- */

/* x with `count` indices of axis, from start on. */
static tw_status cut(twi_onnx_graph *g, const twi_onnx_value *x, size_t axis, twi_onnx_cut by,
                     twi_onnx_value *out)
{
    size_t ours;
    uint32_t in;
    *out = *x;
    if (by.count == 0) return twi_onnx_fail(g, "nothing is left of axis %zu", axis);
    if (by.start == 0 && by.count == x->dims[axis] && by.step == 1) return TW_OK;
    const bool pixels = twi_onnx_is_pixels(g, x) && (axis == 1 || axis == 2);
    tw_status st =
        pixels ? twi_onnx_pixels_to_map(g, x, &in) : twi_onnx_around(g, x, axis, &in, &ours);
    if (st != TW_OK) return st;
    if (pixels) ours = axis;
    const size_t step = (size_t)by.step;
    const twi_node node = {.op = TWI_OP_SLICE,
                           .axis = ours,
                           .start = by.start,
                           .stop = by.start + (by.count - 1) * step + 1,
                           .step = step};
    out->kind = TWI_ONNX_NODE;
    out->dims[axis] = by.count;
    st = twi_onnx_make1(g, node, in, &out->node);
    return st == TW_OK && pixels ? twi_onnx_map_to_pixels(g, out->node, out) : st;
}

static tw_status gather(twi_onnx_graph *g, const twi_onnx_value *x, size_t axis,
                        const twi_onnx_const *index, twi_onnx_value *out);

/* Backwards: index by index. */
static tw_status turned(twi_onnx_graph *g, const twi_onnx_value *x, size_t axis, twi_onnx_cut by,
                        twi_onnx_value *out)
{
    int64_t at[PIECES];
    if (by.count > PIECES)
        return twi_onnx_fail(g, "%zu indices backwards; %d are read", by.count, PIECES);
    for (size_t k = 0; k < by.count; k++) at[k] = (int64_t)by.start + (int64_t)k * by.step;
    return gather(g, x, axis, &(twi_onnx_const){.rank = 1, .count = by.count, .i = at}, out);
}

static tw_status lower_slice(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    twi_onnx_value out, next;
    twi_onnx_cut cuts[TWI_ONNX_DIMS];
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = twi_onnx_cuts(g, x->rank, x->dims, cuts);
    if (st != TW_OK) return st;
    out = *x;
    for (size_t d = 0; d < x->rank && st == TW_OK; d++) {
        st =
            cuts[d].step > 0 ? cut(g, &out, d, cuts[d], &next) : turned(g, &out, d, cuts[d], &next);
        out = next;
    }
    return st == TW_OK ? twi_onnx_output(g, 0, &out) : st;
}

static tw_status lower_split(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    const int64_t *sizes;
    size_t axis, n, from = 0;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = twi_onnx_axis(g, twi_onnx_int(g->at, "axis", 0), x->rank, &axis);
    if (st == TW_OK) st = twi_onnx_list(g, "split", 1, &sizes, &n);
    if (st != TW_OK) return st;
    const size_t parts = g->at->n_outputs, all = x->dims[axis];
    if (parts == 0 || (sizes && n != parts)) return twi_onnx_fail(g, "sizes that do not fit");
    const size_t even = (all + parts - 1) / parts;
    for (size_t i = 0; i < parts && st == TW_OK; i++) {
        twi_onnx_value part;
        size_t size = sizes ? (size_t)sizes[i] : all - from < even ? all - from : even;
        if ((sizes && sizes[i] < 0) || size > all - from)
            return twi_onnx_fail(g, "sizes that do not fit axis %zu of %zu", axis, all);
        st = cut(g, x, axis, (twi_onnx_cut){from, size, 1}, &part);
        if (st == TW_OK) st = twi_onnx_output(g, i, &part);
        from += size;
    }
    return st;
}

/* The parts as [before, n, after] each, without axes of 1. */
static tw_status shape_parts(twi_onnx_graph *g, const twi_onnx_value *const *parts, size_t n,
                             size_t axis, uint32_t *in, size_t *ours)
{
    size_t before = 1, after = 1;
    tw_status st = TW_OK;
    for (size_t d = 0; d < axis; d++) before *= parts[0]->dims[d];
    for (size_t d = axis + 1; d < parts[0]->rank; d++) after *= parts[0]->dims[d];
    *ours = before > 1;
    for (size_t k = 0; k < n && st == TW_OK; k++) {
        twi_shape shape = {0};
        if (before > 1) shape.dims[shape.rank++] = before;
        shape.dims[shape.rank++] = parts[k]->dims[axis];
        if (after > 1) shape.dims[shape.rank++] = after;
        st = twi_onnx_shaped(g, parts[k], &shape, &in[k]);
    }
    return st;
}

/* Maps whose channels come last. */
static tw_status join_pixels(twi_onnx_graph *g, const twi_onnx_value *const *parts, size_t n,
                             size_t axis, twi_onnx_value *out)
{
    uint32_t maps[TWI_MAX_INPUTS], joined;
    tw_status st = TW_OK;
    for (size_t k = 0; k < n && st == TW_OK; k++)
        st = twi_onnx_pixels_to_map(g, parts[k], &maps[k]);
    if (st == TW_OK) st = twi_onnx_join_maps(g, maps, n, axis % 3, &joined);
    return st == TW_OK ? twi_onnx_map_to_pixels(g, joined, out) : st;
}

/* Values one after the other along axis: as they are where their axes agree, else reshaped. */
static tw_status join(twi_onnx_graph *g, const twi_onnx_value *const *parts, size_t n, size_t axis,
                      twi_onnx_value *out)
{
    uint32_t in[TWI_MAX_INPUTS];
    size_t ours = 0, rank = 0, total = 0;
    bool alike = true, pixels = axis > 0;
    tw_status st = TW_OK;
    for (size_t k = 0; k < n; k++) pixels = pixels && twi_onnx_is_pixels(g, parts[k]);
    if (pixels) return join_pixels(g, parts, n, axis, out);
    for (size_t k = 0; k < n; k++) {
        size_t own = 0;
        total += parts[k]->dims[axis];
        alike = alike && twi_onnx_same_axes(g, parts[k], axis, &own);
        if (!alike) continue;
        in[k] = parts[k]->node;
        if (k == 0) ours = own, rank = g->shapes[in[k]].rank;
        alike = own == ours && g->shapes[in[k]].rank == rank;
    }
    if (st == TW_OK && !alike) st = shape_parts(g, parts, n, axis, in, &ours);
    if (st != TW_OK) return st;
    *out = *parts[0];
    out->kind = TWI_ONNX_NODE;
    out->dims[axis] = total;
    return twi_onnx_make(g, (twi_node){.op = TWI_OP_CONCAT, .axis = ours}, in, n, &out->node);
}

static tw_status lower_concat(twi_onnx_graph *g)
{
    const twi_onnx_value *parts[TWI_MAX_INPUTS];
    twi_onnx_value out;
    size_t axis, n = g->at->n_inputs;
    tw_status st = TW_OK;
    if (n == 0 || n > TWI_MAX_INPUTS) return twi_onnx_fail(g, "%zu inputs", n);
    for (size_t k = 0; k < n && st == TW_OK; k++) st = twi_onnx_input(g, k, &parts[k]);
    if (st == TW_OK) st = twi_onnx_axis(g, twi_onnx_int(g->at, "axis", 0), parts[0]->rank, &axis);
    for (size_t k = 1; k < n && st == TW_OK; k++) {
        bool fits = parts[k]->rank == parts[0]->rank;
        for (size_t d = 0; d < parts[0]->rank && fits; d++)
            fits = d == axis || parts[k]->dims[d] == parts[0]->dims[d];
        if (!fits) st = twi_onnx_fail(g, "inputs 0 and %zu differ along other axes", k);
    }
    if (st == TW_OK) st = join(g, parts, n, axis, &out);
    return st == TW_OK ? twi_onnx_output(g, 0, &out) : st;
}

/* Runs of indices that follow each other are cuts; they are put together again. */
static tw_status gather(twi_onnx_graph *g, const twi_onnx_value *x, size_t axis,
                        const twi_onnx_const *index, twi_onnx_value *out)
{
    twi_onnx_value pieces[PIECES];
    const twi_onnx_value *list[PIECES];
    const int64_t size = (int64_t)x->dims[axis];
    size_t n = 0;
    tw_status st = TW_OK;
    for (size_t k = 0; k < index->count && st == TW_OK;) {
        const int64_t first = index->i[k] < 0 ? index->i[k] + size : index->i[k];
        if (first < 0 || first >= size)
            return twi_onnx_fail(g, "index %lld of %lld", (long long)index->i[k], (long long)size);
        size_t run = 1;
        while (k + run < index->count && index->i[k + run] == index->i[k] + (int64_t)run &&
               first + (int64_t)run < size)
            run++;
        if (n == PIECES) return twi_onnx_fail(g, "indices in no order that is read");
        st = cut(g, x, axis, (twi_onnx_cut){(size_t)first, run, 1}, &pieces[n]);
        list[n] = &pieces[n];
        n++;
        k += run;
    }
    if (st != TW_OK) return st;
    if (n == 0) return twi_onnx_fail(g, "no index");
    *out = pieces[0];
    return n == 1 ? TW_OK : join(g, list, n, axis, out);
}

static tw_status lower_gather(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    const twi_onnx_const *index;
    twi_onnx_value out, shown;
    size_t axis;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = twi_onnx_input_ints(g, 1, &index);
    if (st == TW_OK) st = twi_onnx_axis(g, twi_onnx_int(g->at, "axis", 0), x->rank, &axis);
    if (st == TW_OK && x->rank - 1 + index->rank > TWI_ONNX_DIMS)
        st = twi_onnx_fail(g, "a value of more axes than are read");
    if (st == TW_OK) st = gather(g, x, axis, index, &out);
    if (st != TW_OK) return st;
    shown = out;
    shown.rank = 0;
    for (size_t d = 0; d < axis; d++) shown.dims[shown.rank++] = x->dims[d];
    for (size_t d = 0; d < index->rank; d++) shown.dims[shown.rank++] = index->dims[d];
    for (size_t d = axis + 1; d < x->rank; d++) shown.dims[shown.rank++] = x->dims[d];
    return twi_onnx_output(g, 0, &shown);
}

static tw_status lower_expand(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    const twi_onnx_const *shape;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = twi_onnx_input_ints(g, 1, &shape);
    if (st != TW_OK) return st;
    const size_t rank = shape->count > x->rank ? shape->count : x->rank;
    size_t dims[TWI_ONNX_DIMS];
    bool same = true;
    if (rank > TWI_ONNX_DIMS) return twi_onnx_fail(g, "a shape of %zu axes", rank);
    for (size_t d = 0; d < rank; d++) { /* from the last axis on; the shape may say 1 */
        const int64_t given = d < shape->count ? shape->i[shape->count - 1 - d] : 1;
        const size_t own = d < x->rank ? x->dims[x->rank - 1 - d] : 1;
        if (given < 1 || given > UINT32_MAX || (own != 1 && given != 1 && (size_t)given != own))
            return twi_onnx_fail(g, "an axis of %zu cannot be repeated to %lld", own,
                                 (long long)given);
        dims[rank - 1 - d] = own == 1 ? (size_t)given : own;
        same = same && dims[rank - 1 - d] == own;
    }
    if (!same) return twi_onnx_repeat(g, x, rank, dims);
    twi_onnx_value out = *x;
    out.rank = rank;
    memcpy(out.dims, dims, rank * sizeof *dims);
    return twi_onnx_output(g, 0, &out);
}

/* ---- windows of a map
 * -------------------------------------------------------------------------------- */

static tw_status give_moved(twi_onnx_graph *g, const twi_onnx_value *x, twi_node node)
{
    uint32_t in, out;
    tw_status st = twi_onnx_as_map(g, x, &in);
    if (st == TW_OK) st = twi_onnx_make1(g, node, in, &out);
    if (st != TW_OK) return st;
    const twi_shape *s = &g->shapes[out];
    return twi_onnx_give(g, out, 4, (const size_t[]){1, s->dims[0], s->dims[1], s->dims[2]});
}

/* Input 3: which axes the pads are of; then pads [2 rank] of all of them. */
static tw_status spread_pads(twi_onnx_graph *g, size_t rank, const int64_t *given, size_t n,
                             int64_t pads[2 * TWI_ONNX_DIMS])
{
    const twi_onnx_const *axes = NULL;
    tw_status st = twi_onnx_has_input(g, 3) ? twi_onnx_input_ints(g, 3, &axes) : TW_OK;
    if (st != TW_OK) return st;
    const size_t listed = axes ? axes->count : rank;
    if (!given || n != 2 * listed || listed > rank)
        return twi_onnx_fail(g, "pads of %zu numbers for %zu axes", n, listed);
    memset(pads, 0, 2 * TWI_ONNX_DIMS * sizeof *pads);
    for (size_t k = 0; k < listed; k++) {
        size_t axis = k;
        if (axes && (st = twi_onnx_axis(g, axes->i[k], rank, &axis)) != TW_OK) return st;
        pads[axis] = given[k];
        pads[axis + rank] = given[k + listed];
    }
    return TW_OK;
}

/* Pads of height and width; first: the axis that is the height. */
static tw_status take_map_pads(twi_onnx_graph *g, const twi_onnx_value *x, const int64_t *pads,
                               size_t first, twi_node *node)
{
    for (size_t d = 0; d < x->rank; d++) {
        const int64_t begin = pads[d], end = pads[d + x->rank];
        const bool side = x->rank == 4 && d >= first && d < first + 2;
        if (begin < 0 || end < 0 || begin > TWI_MAX_WINDOW || end > TWI_MAX_WINDOW ||
            ((begin || end) && !side))
            return twi_onnx_fail(g, "pads that are not of height and width");
        if (!side) continue;
        node->window.pad_begin[d - first] = (size_t)begin;
        node->window.pad_end[d - first] = (size_t)end;
    }
    return TW_OK;
}

static tw_status take_pad_mode(twi_onnx_graph *g, twi_node *node)
{
    const char *mode = twi_onnx_text(g->at, "mode", "constant");
    const twi_onnx_const *value;
    tw_status st = TW_OK;
    node->value = twi_onnx_float(g->at, "value", 0.0);
    if (twi_onnx_has_input(g, 2)) {
        st = twi_onnx_input_floats(g, 2, &value);
        if (st == TW_OK && value->count == 1) node->value = (double)value->f[0];
    }
    node->pad_mode = strcmp(mode, "reflect") == 0 ? TWI_PAD_REFLECT
                     : strcmp(mode, "edge") == 0  ? TWI_PAD_EDGE
                                                  : TWI_PAD_CONSTANT;
    if (node->pad_mode == TWI_PAD_CONSTANT && strcmp(mode, "constant") != 0)
        return twi_onnx_fail(g, "mode %s", mode);
    return st;
}

static tw_status lower_pad(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    const int64_t *given;
    int64_t pads[2 * TWI_ONNX_DIMS];
    size_t n;
    twi_node node = {.op = TWI_OP_PAD};
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = twi_onnx_list(g, "pads", 1, &given, &n);
    if (st == TW_OK) st = spread_pads(g, x->rank, given, n, pads);
    if (st == TW_OK) st = take_pad_mode(g, &node);
    if (st != TW_OK) return st;
    bool none = true;
    for (size_t d = 0; d < 2 * x->rank; d++) none = none && pads[d] == 0;
    if (none) return twi_onnx_output(g, 0, x);
    const bool last = x->rank == 4 && (pads[3] != 0 || pads[7] != 0);
    const bool pixels = !last && twi_onnx_is_pixels(g, x);
    st = take_map_pads(g, x, pads, pixels ? 1 : 2, &node);
    if (st != TW_OK) return st;
    if (!pixels) return give_moved(g, x, node);
    uint32_t map;
    twi_onnx_value out;
    st = twi_onnx_pixels_to_map(g, x, &map);
    if (st == TW_OK) st = twi_onnx_make1(g, node, map, &map);
    if (st == TW_OK) st = twi_onnx_map_to_pixels(g, map, &out);
    return st == TW_OK ? twi_onnx_output(g, 0, &out) : st;
}

static const struct {
    const char *word;
    int value;
} coordinates[] = {{"half_pixel", TWI_COORDINATES_HALF_PIXEL},
                   {"pytorch_half_pixel", TWI_COORDINATES_PYTORCH},
                   {"align_corners", TWI_COORDINATES_ALIGN_CORNERS},
                   {"asymmetric", TWI_COORDINATES_ASYMMETRIC}},
  roundings[] = {{"round_prefer_floor", TWI_ROUND_PREFER_FLOOR},
                 {"round_prefer_ceil", TWI_ROUND_PREFER_CEIL},
                 {"floor", TWI_ROUND_FLOOR},
                 {"ceil", TWI_ROUND_CEIL}};

/* Opset 10's Resize and Upsample had no choice: asymmetric, floor. */
static tw_status how_to_resize(twi_onnx_graph *g, twi_node *node)
{
    const bool old = g->model->opset < 11;
    const char *mode = twi_onnx_text(g->at, "mode", "nearest");
    const char *where =
        twi_onnx_text(g->at, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel");
    const char *round = twi_onnx_text(g->at, "nearest_mode", old ? "floor" : "round_prefer_floor");
    int coordinate = -1, rounding = -1;
    for (size_t i = 0; i < TWI_LEN(coordinates); i++) {
        if (strcmp(coordinates[i].word, where) == 0) coordinate = coordinates[i].value;
        if (strcmp(roundings[i].word, round) == 0) rounding = roundings[i].value;
    }
    const bool linear = strcmp(mode, "linear") == 0 || strcmp(mode, "bilinear") == 0;
    if ((!linear && strcmp(mode, "nearest") != 0) || coordinate < 0 || rounding < 0 ||
        twi_onnx_int(g->at, "antialias", 0) != 0)
        return twi_onnx_fail(g, "mode %s, %s, %s%s is not read", mode, where, round,
                             twi_onnx_int(g->at, "antialias", 0) ? ", with antialias" : "");
    node->filter = linear ? TWI_RESAMPLE_BILINEAR : TWI_RESAMPLE_NEAREST;
    node->coordinates = (twi_coordinates)coordinate;
    node->rounding = (twi_rounding)rounding;
    return TW_OK;
}

/* Whether n numbers are of a map's four axes, or, as `axes` says, of its last two: *at is where
 * those two are. */
static bool are_of_map(const twi_onnx_graph *g, size_t n, size_t *at)
{
    const twi_onnx_attribute *axes = twi_onnx_attribute_of(g->at, "axes");
    *at = axes ? 0 : 2;
    if (!axes) return n == 4;
    const bool last = axes->n_ints == 2 && (axes->ints[0] == 2 || axes->ints[0] == -2) &&
                      (axes->ints[1] == 3 || axes->ints[1] == -1);
    return last && n == 2;
}

static tw_status take_scales(twi_onnx_graph *g, twi_node *node)
{
    const bool early = g->at->op[0] == 'U' || g->model->opset < 11; /* also Upsample's place */
    const twi_onnx_attribute *old = twi_onnx_attribute_of(g->at, "scales");
    const twi_onnx_const *c;
    twi_onnx_const listed = {0};
    size_t at;
    tw_status st = TW_OK;
    if (old) {
        listed = (twi_onnx_const){.count = old->n_floats, .f = old->floats};
        c = &listed;
    } else {
        st = twi_onnx_input_floats(g, early ? 1 : 2, &c);
    }
    if (st != TW_OK) return st;
    if (!are_of_map(g, c->count, &at) || (at == 2 && (c->f[0] != 1.0f || c->f[1] != 1.0f)))
        return twi_onnx_fail(g, "scales that are not of height and width");
    node->scales[0] = (double)c->f[at];
    node->scales[1] = (double)c->f[at + 1];
    return TW_OK;
}

static tw_status lower_resize(twi_onnx_graph *g)
{
    const char *aspect = twi_onnx_text(g->at, "keep_aspect_ratio_policy", "stretch");
    const twi_onnx_value *x;
    const twi_onnx_const *c;
    twi_node node = {.op = TWI_OP_RESIZE};
    size_t at;
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = how_to_resize(g, &node);
    if (st != TW_OK) return st;
    if (strcmp(aspect, "stretch") != 0)
        return twi_onnx_fail(g, "keep_aspect_ratio_policy %s; stretch is read", aspect);
    if (!twi_onnx_has_input(g, 3)) {
        st = take_scales(g, &node);
        return st == TW_OK ? give_moved(g, x, node) : st;
    }
    if ((st = twi_onnx_input_ints(g, 3, &c)) != TW_OK) return st;
    if (!are_of_map(g, c->count, &at) || c->i[at] < 1 || c->i[at + 1] < 1 ||
        c->i[at] > TWI_MAX_SIDE || c->i[at + 1] > TWI_MAX_SIDE)
        return twi_onnx_fail(g, "sizes that are not of a map");
    node.size[0] = (size_t)c->i[at];
    node.size[1] = (size_t)c->i[at + 1];
    return give_moved(g, x, node);
}

static tw_status lower_blocks(twi_onnx_graph *g)
{
    const bool to_space = g->at->op[0] == 'D';
    const twi_onnx_value *x;
    const twi_node node = {.op = to_space ? TWI_OP_DEPTH_TO_SPACE : TWI_OP_SPACE_TO_DEPTH,
                           .block = (size_t)twi_onnx_int(g->at, "blocksize", 0),
                           .crd =
                               to_space && strcmp(twi_onnx_text(g->at, "mode", "DCR"), "CRD") == 0};
    const tw_status st = twi_onnx_input(g, 0, &x);
    return st == TW_OK ? give_moved(g, x, node) : st;
}

static tw_status lower_transpose(twi_onnx_graph *g)
{
    const twi_onnx_value *x;
    size_t perm[TWI_ONNX_DIMS];
    tw_status st = twi_onnx_input(g, 0, &x);
    if (st == TW_OK) st = twi_onnx_perm(g, x->rank, perm);
    return st == TW_OK ? twi_onnx_permute(g, x, perm) : st;
}

const twi_onnx_operator twi_onnx_moves[] = {
    {"Constant", lower_constant},
    {"Shape", lower_shape},
    {"Size", lower_size},
    {"Reshape", lower_relabel},
    {"Flatten", lower_relabel},
    {"Squeeze", lower_relabel},
    {"Unsqueeze", lower_relabel},
    {"Slice", lower_slice},
    {"Split", lower_split},
    {"Concat", lower_concat},
    {"Gather", lower_gather},
    {"Expand", lower_expand},
    {"Pad", lower_pad},
    {"Resize", lower_resize},
    {"Upsample", lower_resize},
    {"DepthToSpace", lower_blocks},
    {"SpaceToDepth", lower_blocks},
    {"Transpose", lower_transpose},
    {NULL, NULL},
};
