/* shapes.c - new shapes, orders and cuts, as nodes ask for them. */
#include "importer/onnx/graph.h"

#include <string.h>

static size_t count_of(const twi_onnx_value *in)
{
    size_t n = 1;
    for (size_t d = 0; d < in->rank; d++) n *= in->dims[d]; /* checked when it was made */
    return n;
}

/* 0: as it was (unless allowzero), -1: what is left. */
static tw_status reshape(twi_onnx_graph *g, const twi_onnx_value *in, size_t *rank, size_t *dims)
{
    const bool zeros = twi_onnx_int(g->at, "allowzero", 0) != 0;
    const twi_onnx_const *target;
    size_t left = SIZE_MAX, known = 1;
    tw_status st = twi_onnx_input_ints(g, 1, &target);
    if (st != TW_OK) return st;
    if (target->count > TWI_ONNX_DIMS)
        return twi_onnx_fail(g, "a shape of %zu axes; %d are read", target->count, TWI_ONNX_DIMS);
    *rank = target->count;
    for (size_t d = 0; d < *rank; d++) {
        const int64_t size = target->i[d];
        if (size == -1 && left == SIZE_MAX)
            left = d, dims[d] = 1;
        else if (size == 0 && !zeros && d < in->rank)
            dims[d] = in->dims[d];
        else if (size < 0 || size > UINT32_MAX)
            return twi_onnx_fail(g, "axis %zu of a shape is %lld", d, (long long)size);
        else
            dims[d] = (size_t)size;
        if (twi_mul(known, dims[d], &known)) return twi_onnx_fail(g, "a shape that cannot be");
    }
    if (left != SIZE_MAX && known > 0) {
        dims[left] = count_of(in) / known;
        known *= dims[left];
    }
    if (known != count_of(in))
        return twi_onnx_fail(g, "a shape of %zu numbers for %zu (is its batch fixed?)", known,
                             count_of(in));
    return TW_OK;
}

static tw_status squeeze(twi_onnx_graph *g, const twi_onnx_value *in, size_t *rank, size_t *dims)
{
    const int64_t *axes;
    size_t n;
    bool gone[TWI_ONNX_DIMS] = {false};
    tw_status st = twi_onnx_list(g, "axes", 1, &axes, &n);
    for (size_t k = 0; st == TW_OK && k < n; k++) {
        size_t axis;
        st = twi_onnx_axis(g, axes[k], in->rank, &axis);
        if (st == TW_OK && in->dims[axis] != 1)
            st = twi_onnx_fail(g, "axis %zu has %zu elements; need 1", axis, in->dims[axis]);
        if (st == TW_OK) gone[axis] = true;
    }
    if (st != TW_OK) return st;
    *rank = 0;
    for (size_t d = 0; d < in->rank; d++)
        if (!(axes ? gone[d] : in->dims[d] == 1)) dims[(*rank)++] = in->dims[d];
    return TW_OK;
}

static tw_status unsqueeze(twi_onnx_graph *g, const twi_onnx_value *in, size_t *rank, size_t *dims)
{
    const int64_t *axes;
    size_t n;
    bool fresh[TWI_ONNX_DIMS] = {false};
    tw_status st = twi_onnx_list(g, "axes", 1, &axes, &n);
    if (st != TW_OK) return st;
    if (!axes || in->rank + n > TWI_ONNX_DIMS) return twi_onnx_fail(g, "axes that cannot be");
    *rank = in->rank + n;
    for (size_t k = 0; k < n; k++) {
        size_t axis;
        if ((st = twi_onnx_axis(g, axes[k], *rank, &axis)) != TW_OK) return st;
        if (fresh[axis]) return twi_onnx_fail(g, "axis %zu twice", axis);
        fresh[axis] = true;
    }
    for (size_t d = 0, from = 0; d < *rank; d++) dims[d] = fresh[d] ? 1 : in->dims[from++];
    return TW_OK;
}

static tw_status flatten(twi_onnx_graph *g, const twi_onnx_value *in, size_t *rank, size_t *dims)
{
    const int64_t asked = twi_onnx_int(g->at, "axis", 1);
    const int64_t axis = asked < 0 ? asked + (int64_t)in->rank : asked;
    if (axis < 0 || axis > (int64_t)in->rank)
        return twi_onnx_fail(g, "axis %lld of a value of %zu axes", (long long)asked, in->rank);
    *rank = 2;
    dims[0] = dims[1] = 1;
    for (size_t d = 0; d < in->rank; d++) dims[(int64_t)d < axis ? 0 : 1] *= in->dims[d];
    return TW_OK;
}

tw_status twi_onnx_new_shape(twi_onnx_graph *g, const twi_onnx_value *in, size_t *rank,
                             size_t dims[TWI_ONNX_DIMS])
{
    switch (g->at->op[0]) { /* Reshape, Squeeze, Unsqueeze, Flatten */
    case 'R':
        return reshape(g, in, rank, dims);
    case 'S':
        return squeeze(g, in, rank, dims);
    case 'U':
        return unsqueeze(g, in, rank, dims);
    default:
        return flatten(g, in, rank, dims);
    }
}

tw_status twi_onnx_perm(twi_onnx_graph *g, size_t rank, size_t perm[TWI_ONNX_DIMS])
{
    const int64_t *given;
    size_t n;
    bool seen[TWI_ONNX_DIMS] = {false};
    const tw_status st = twi_onnx_list(g, "perm", SIZE_MAX, &given, &n);
    if (st != TW_OK) return st;
    for (size_t d = 0; d < rank; d++) perm[d] = rank - 1 - d; /* as ONNX does where none is given */
    if (!given) return TW_OK;
    bool fine = n == rank;
    for (size_t d = 0; d < rank && fine; d++) {
        fine = given[d] >= 0 && given[d] < (int64_t)rank && !seen[given[d]];
        if (!fine) break;
        perm[d] = (size_t)given[d];
        seen[perm[d]] = true;
    }
    return fine ? TW_OK : twi_onnx_fail(g, "an order of axes that cannot be");
}

static int64_t clamp(int64_t at, int64_t low, int64_t high)
{
    return at < low ? low : at > high ? high : at;
}

tw_status twi_onnx_cuts(twi_onnx_graph *g, size_t rank, const size_t *dims,
                        twi_onnx_cut cut[TWI_ONNX_DIMS])
{
    const int64_t *starts, *ends, *axes, *steps;
    size_t n, n_ends, n_axes, n_steps;
    tw_status st = twi_onnx_list(g, "starts", 1, &starts, &n);
    if (st == TW_OK) st = twi_onnx_list(g, "ends", 2, &ends, &n_ends);
    if (st == TW_OK) st = twi_onnx_list(g, "axes", 3, &axes, &n_axes);
    if (st == TW_OK) st = twi_onnx_list(g, "steps", 4, &steps, &n_steps);
    if (st != TW_OK) return st;
    if (!starts || !ends || n_ends != n || (axes && n_axes != n) || (steps && n_steps != n) ||
        n > rank)
        return twi_onnx_fail(g, "starts, ends, axes and steps that do not fit each other");
    for (size_t d = 0; d < rank; d++) cut[d] = (twi_onnx_cut){0, dims[d], 1};
    for (size_t k = 0; k < n; k++) {
        size_t axis;
        if ((st = twi_onnx_axis(g, axes ? axes[k] : (int64_t)k, rank, &axis)) != TW_OK) return st;
        const int64_t size = (int64_t)dims[axis], step = steps ? steps[k] : 1;
        if (step == 0 || step < -INT32_MAX || step > INT32_MAX)
            return twi_onnx_fail(g, "a step of %lld", (long long)step);
        int64_t start = starts[k] < 0 ? clamp(starts[k], -size, 0) + size : starts[k];
        int64_t end = ends[k] < 0 ? clamp(ends[k], -size - 1, 0) + size : ends[k];
        start = step > 0 ? clamp(start, 0, size) : clamp(start, 0, size - 1);
        end = step > 0 ? clamp(end, 0, size) : clamp(end, -1, size - 1);
        const int64_t count =
            step > 0 ? (end - start + step - 1) / step : (start - end - step - 1) / -step;
        cut[axis] = (twi_onnx_cut){(size_t)start, count > 0 ? (size_t)count : 0, step};
    }
    return TW_OK;
}
