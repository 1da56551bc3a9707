/* v2.c - devices, layouts and execution with oneDNN 2.x (written against 2.6.3). */
#include "engine/onednn/v2.h"

#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

tw_status twi_dnnl_check(tw_ctx *ctx, dnnl_status_t status, const char *what, const char *name)
{
    switch (status) {
    case dnnl_success:
        return TW_OK;
    case dnnl_out_of_memory:
        return twi_fail(ctx, TW_ERR_NOMEM, "%s: no memory to %s", name, what);
    default:
        return twi_fail(ctx, TW_ERR_UNSUPPORTED, "%s: oneDNN cannot %s (its status %d)", name, what,
                        (int)status);
    }
}

/* ---- device -------------------------------------------------------------------------------- */

tw_status twi_device_new(tw_ctx *ctx, twi_device **out)
{
    twi_device *device;
    tw_status st = twi_zalloc(ctx, 1, &device);
    if (st != TW_OK) return st;
    st = twi_dnnl_check(ctx, dnnl_engine_create(&device->engine, dnnl_cpu, 0), "start", "engine");
    if (st == TW_OK)
        *out = device;
    else
        twi_free(device);
    return st;
}

void twi_device_free(twi_device *device)
{
    if (!device) return;
    for (twi_primitive *p = device->primitives; p; p = p->next) dnnl_primitive_destroy(p->handle);
    dnnl_engine_destroy(device->engine);
    twi_arena_free(&device->memory);
    twi_free(device);
}

/* ---- layouts ------------------------------------------------------------------------------- */

dnnl_data_type_t twi_dnnl_type(twi_dtype dtype)
{
    return dtype == TWI_BF16 ? dnnl_bf16
           : dtype == TWI_U8 ? dnnl_u8
           : dtype == TWI_I8 ? dnnl_s8
                             : dnnl_f32;
}

static dnnl_format_tag_t order_tag(size_t rank, twi_order order)
{
    static const dnnl_format_tag_t plain[] = {
        dnnl_format_tag_undef, dnnl_a, dnnl_ab, dnnl_abc, dnnl_abcd, dnnl_abcde};
    if (rank == 4 && order == TWI_ORDER_NHWC) return dnnl_nhwc;
    if (rank == 4 && order == TWI_ORDER_BLOCK16) return dnnl_nChw16c;
    return order == TWI_ORDER_PLAIN && rank < TWI_LEN(plain) ? plain[rank] : dnnl_format_tag_undef;
}

tw_status twi_layout_new(tw_ctx *ctx, twi_device *device, size_t rank, const size_t *dims,
                         twi_dtype dtype, twi_order order, const twi_layout **out)
{
    twi_layout *layout;
    const tw_status st = twi_arena_take(ctx, &device->memory, 1, &layout);
    if (st != TW_OK) return st;
    dnnl_dims_t d = {0};
    for (size_t i = 0; i < rank && i < DNNL_MAX_NDIMS; i++) {
        if (dims[i] > INT32_MAX)
            return twi_fail(ctx, TW_ERR_NOMEM, "a dimension of %zu is too large", dims[i]);
        d[i] = (dnnl_dim_t)dims[i];
    }
    *out = layout;
    return twi_dnnl_check(ctx,
                          dnnl_memory_desc_init_by_tag(&layout->desc, (int)rank, d,
                                                       twi_dnnl_type(dtype),
                                                       order_tag(rank, order)),
                          "describe a layout", "engine");
}

tw_status twi_layout_copy(tw_ctx *ctx, const twi_layout *layout, twi_layout **out)
{
    const tw_status st = twi_alloc(ctx, 1, out);
    if (st == TW_OK) **out = *layout;
    return st;
}

tw_status twi_layout_retyped(tw_ctx *ctx, twi_device *device, const twi_layout *layout,
                             twi_dtype dtype, const twi_layout **out)
{
    twi_layout *copy;
    const tw_status st = twi_arena_take(ctx, &device->memory, 1, &copy);
    if (st != TW_OK) return st;
    *copy = *layout;
    copy->desc.data_type = twi_dnnl_type(dtype);
    *out = copy;
    return TW_OK;
}

size_t twi_layout_bytes(const twi_layout *layout)
{
    return dnnl_memory_desc_get_size(&layout->desc);
}

size_t twi_layout_rank(const twi_layout *layout)
{
    return (size_t)layout->desc.ndims;
}

twi_dtype twi_layout_dtype(const twi_layout *layout)
{
    const dnnl_data_type_t type = layout->desc.data_type;
    return type == dnnl_bf16 ? TWI_BF16
           : type == dnnl_u8 ? TWI_U8
           : type == dnnl_s8 ? TWI_I8
                             : TWI_F32;
}

bool twi_layout_equal(const twi_layout *a, const twi_layout *b)
{
    return dnnl_memory_desc_equal(&a->desc, &b->desc) != 0;
}

/* ---- primitives: what they share ----------------------------------------------------------- */

const twi_layout *twi_primitive_layout(const twi_primitive *primitive, twi_role role)
{
    switch (role) {
    case TWI_ROLE_SRC:
        return primitive->src;
    case TWI_ROLE_WEIGHTS:
        return primitive->weights;
    default:
        return primitive->dst;
    }
}

size_t twi_primitive_scratch_bytes(const twi_primitive *primitive)
{
    return primitive->scratch_bytes;
}

size_t twi_primitive_arg_count(const twi_primitive *primitive)
{
    return primitive->n_args;
}

/* ---- execution ----------------------------------------------------------------------------- */

struct twi_bound {
    const twi_primitive *primitive;
    dnnl_stream_t stream;
    dnnl_exec_arg_t *args; /* [n_args] */
};

static tw_status bound_fill(tw_ctx *ctx, twi_device *device, void *const *memory, twi_bound *bound)
{
    const twi_primitive *p = bound->primitive;
    tw_status st = twi_zalloc(ctx, p->n_args, &bound->args);
    if (st != TW_OK) return st;
    for (size_t i = 0; i < p->n_args && st == TW_OK; i++) {
        bound->args[i].arg = p->args[i];
        st = twi_dnnl_check(ctx,
                            dnnl_memory_create(&bound->args[i].memory, &p->layouts[i]->desc,
                                               device->engine, memory[i]),
                            "use memory", "engine");
    }
    if (st != TW_OK) return st;
    return twi_dnnl_check(
        ctx, dnnl_stream_create(&bound->stream, device->engine, dnnl_stream_default_flags),
        "make a stream", "engine");
}

tw_status twi_bound_new(tw_ctx *ctx, twi_device *device, const twi_primitive *primitive,
                        void *const *memory, twi_bound **out)
{
    twi_bound *bound;
    tw_status st = twi_zalloc(ctx, 1, &bound);
    if (st != TW_OK) return st;
    bound->primitive = primitive;
    if ((st = bound_fill(ctx, device, memory, bound)) == TW_OK)
        *out = bound;
    else
        twi_bound_free(bound);
    return st;
}

void twi_bound_free(twi_bound *bound)
{
    if (!bound) return;
    for (size_t i = 0; bound->args && i < bound->primitive->n_args; i++)
        dnnl_memory_destroy(bound->args[i].memory);
    dnnl_stream_destroy(bound->stream);
    twi_free(bound->args);
    twi_free(bound);
}

tw_status twi_bound_move(tw_ctx *ctx, twi_bound *bound, size_t arg, void *memory)
{
    return twi_dnnl_check(ctx, dnnl_memory_set_data_handle(bound->args[arg].memory, memory),
                          "use memory", "engine");
}

tw_status twi_bound_run(tw_ctx *ctx, twi_bound *bound)
{
    const twi_primitive *p = bound->primitive;
    const dnnl_status_t status =
        dnnl_primitive_execute(p->handle, bound->stream, (int)p->n_args, bound->args);
    if (status != dnnl_success) return twi_dnnl_check(ctx, status, "compute", "engine");
    return twi_dnnl_check(ctx, dnnl_stream_wait(bound->stream), "compute", "engine");
}

/* ---- the machine --------------------------------------------------------------------------- */

twi_isa twi_device_isa(void)
{
    /* The AVX512 family is nested: a later member has all bits of an earlier one. */
    static const struct {
        unsigned bits;
        twi_isa isa;
    } rows[] = {{dnnl_cpu_isa_avx512_core_amx, TWI_ISA_AMX},
                {dnnl_cpu_isa_avx512_core_bf16, TWI_ISA_AVX512_BF16},
                {dnnl_cpu_isa_avx512_core, TWI_ISA_AVX512},
                {dnnl_cpu_isa_avx2, TWI_ISA_AVX2}};
    const unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
    for (size_t i = 0; i < TWI_LEN(rows); i++)
        if ((isa & rows[i].bits) == rows[i].bits) return rows[i].isa;
    return TWI_ISA_OTHER;
}

bool twi_precision_native(tw_precision precision)
{
    const unsigned isa = (unsigned)dnnl_get_effective_cpu_isa(),
                   vnni = dnnl_cpu_isa_avx512_core_vnni;
    /* Without VNNI sums of two products saturate at 16 bits. */
    if (precision == TW_PRECISION_INT8) return (isa & vnni) == vnni;
    return precision != TW_PRECISION_BF16 || twi_device_isa() >= TWI_ISA_AVX512_BF16;
}

const char *twi_engine_isa(void)
{
    static const struct {
        dnnl_cpu_isa_t isa;
        const char *name;
    } names[] = {
        {dnnl_cpu_isa_sse41, "sse41"},
        {dnnl_cpu_isa_avx, "avx"},
        {dnnl_cpu_isa_avx2, "avx2"},
        {dnnl_cpu_isa_avx2_vnni, "avx2_vnni"},
        {dnnl_cpu_isa_avx512_mic, "avx512_mic"},
        {dnnl_cpu_isa_avx512_mic_4ops, "avx512_mic_4ops"},
        {dnnl_cpu_isa_avx512_core, "avx512_core"},
        {dnnl_cpu_isa_avx512_core_vnni, "avx512_core_vnni"},
        {dnnl_cpu_isa_avx512_core_bf16, "avx512_core_bf16"},
        {dnnl_cpu_isa_avx512_core_amx, "avx512_core_amx"},
    };
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    for (size_t i = 0; i < TWI_LEN(names); i++)
        if (names[i].isa == isa) return names[i].name;
    return "generic";
}

const char *twi_engine_version(void)
{
    return dnnl_version()->hash;
}
