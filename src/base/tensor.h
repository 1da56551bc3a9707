/* tensor.h - a named array and a list of them: what a bundle file holds, what rooms turn their
 * nouns into. */
#ifndef TWI_BASE_TENSOR_H
#define TWI_BASE_TENSOR_H

#include "base/memory.h"

#define TWI_TENSOR_DIMS 8

typedef enum twi_dtype { /* safetensors' names: U8 I8 I32 U32 I64 F16 BF16 F32 F64 */
                         TWI_U8,
                         TWI_I8,
                         TWI_I32,
                         TWI_U32,
                         TWI_I64,
                         TWI_F16,
                         TWI_BF16,
                         TWI_F32,
                         TWI_F64
} twi_dtype;

size_t twi_dtype_size(twi_dtype dtype);
const char *twi_dtype_name(twi_dtype dtype); /* safetensors' word */

typedef struct twi_tensor {
    const char *name; /* owned by the list */
    twi_dtype dtype;
    size_t rank, dims[TWI_TENSOR_DIMS];
    size_t count;     /* product of dims */
    const void *data; /* row-major; borrowed from a map, or owned by the list */
} twi_tensor;

/* A list of tensors and the memory it owns. Zero-initialise. Names are unique. */
typedef struct twi_tensors {
    twi_tensor *items;
    size_t n, capacity;
    twi_arena owned;
} twi_tensors;

/* Adds a tensor whose data is borrowed (must outlive the list), or, when data is NULL, fresh zeroed
 * memory of the list's; *data_out (may be NULL) is where to write. A name already present or a
 * product of dims that does not fit is TW_ERR_FORMAT. */
tw_status twi_tensors_add(tw_ctx *ctx, twi_tensors *list, const char *name, twi_dtype dtype,
                          size_t rank, const size_t *dims, const void *data, void **data_out);
const twi_tensor *twi_tensors_find(const twi_tensors *list, const char *name); /* NULL: none */
void twi_tensors_free(twi_tensors *list);

/* Widens a F16/BF16/F32/F64 tensor to float, dst [t->count]. TW_ERR_UNSUPPORTED for integer types.
 */
tw_status twi_tensor_floats(tw_ctx *ctx, const twi_tensor *t, float *dst);

/* IEEE half and bfloat16, round to nearest even; NaN stays NaN. */
float twi_f16_to_f32(uint16_t bits);
uint16_t twi_f32_to_f16(float value);
float twi_bf16_to_f32(uint16_t bits);
uint16_t twi_f32_to_bf16(float value);

#endif
