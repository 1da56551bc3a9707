/* resample.c - the resampling kernels in plain C, and the choice among tables. */
#include "image/resample.h"

/* Pillow's clip8(): the table it looks up in covers every sum that its weights can make. */
static uint8_t clip8(int32_t sum)
{
    const int32_t value = sum >> TWI_PRECISION_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static inline void row_ref(const uint8_t *src, unsigned channels, const twi_taps *taps,
                           uint8_t *dst)
{
    for (size_t i = 0; i < taps->n; i++, dst += channels) {
        const uint8_t *const from = src + taps->first[i] * channels;
        const int32_t *const weights = taps->weights + i * taps->stride;
        for (unsigned c = 0; c < channels; c++) {
            int32_t sum = 1 << (TWI_PRECISION_BITS - 1);
            for (size_t j = 0; j < taps->count[i]; j++) sum += from[j * channels + c] * weights[j];
            dst[c] = clip8(sum);
        }
    }
}

static void rows_ref(const uint8_t *const src[TWI_RESAMPLE_ROWS], size_t readable,
                     unsigned channels, const twi_taps *taps, uint8_t *const dst[TWI_RESAMPLE_ROWS])
{
    (void)readable;
    for (size_t r = 0; r < TWI_RESAMPLE_ROWS; r++) switch (channels) {
        case 1:
            row_ref(src[r], 1, taps, dst[r]);
            break;
        case 3:
            row_ref(src[r], 3, taps, dst[r]);
            break;
        default:
            row_ref(src[r], channels, taps, dst[r]);
        }
}

static void column_ref(const uint8_t *const *src, const twi_taps *taps, size_t i, size_t from,
                       size_t to, uint8_t *dst)
{
    enum { BLOCK = 64 };
    const int32_t *const weights = taps->weights + i * taps->stride;

    for (size_t at = from; at < to; at += BLOCK) {
        const size_t width = to - at < BLOCK ? to - at : BLOCK;
        int32_t sum[BLOCK];
        for (size_t x = 0; x < width; x++) sum[x] = 1 << (TWI_PRECISION_BITS - 1);
        for (size_t j = 0; j < taps->count[i]; j++)
            for (size_t x = 0; x < width; x++) sum[x] += src[j][at + x] * weights[j];
        for (size_t x = 0; x < width; x++) dst[at + x] = clip8(sum[x]);
    }
}

const twi_resample_kernels twi_resample_ref = {rows_ref, column_ref};

const twi_resample_kernels *twi_resample_pick(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) return &twi_resample_avx2;
#endif
    return &twi_resample_ref;
}
