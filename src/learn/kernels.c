/* kernels.c - which build of the inner loops this machine runs. */
#include "learn/kernels.h"
#include "learn/columns.h"
#include "learn/doubles.h"

const twi_kernels *twi_kernels_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return &twi_kernels_avx512;
    /* F16C, which clang 14 cannot ask for, came a generation before AVX2. */
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &twi_kernels_avx2;
#endif
    return &twi_kernels_plain;
}

const twi_columns *twi_columns_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return &twi_columns_avx512;
    if (__builtin_cpu_supports("avx2")) return &twi_columns_avx2;
#endif
    return &twi_columns_plain;
}

const twi_doubles *twi_doubles_best(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return &twi_doubles_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &twi_doubles_avx2;
#endif
    return &twi_doubles_plain;
}
