/* rng.c - MT19937 as NumPy's RandomState(int) uses it. */
#include "base/rng.h"

#include <assert.h>
#include <math.h>

#define N 624
#define M 397

/* init_genrand: Matsumoto & Nishimura's reference recurrence; Knuth TAOCP vol. 2, 3rd ed., p. 106.
 */
void twi_rng_seed(twi_rng *rng, uint32_t seed)
{
    rng->state[0] = seed;
    for (uint32_t i = 1; i < N; i++) {
        const uint32_t before = rng->state[i - 1];
        rng->state[i] = 1812433253u * (before ^ (before >> 30)) + i;
    }
    rng->at = N;
}

static void generate(twi_rng *rng)
{
    uint32_t *s = rng->state;
    for (size_t i = 0; i < N; i++) {
        const uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % N] & 0x7fffffffu);
        s[i] = s[(i + M) % N] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    rng->at = 0;
}

uint32_t twi_rng_u32(twi_rng *rng)
{
    if (rng->at >= N) generate(rng);
    uint32_t y = rng->state[rng->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

double twi_rng_double(twi_rng *rng)
{
    const uint32_t high = twi_rng_u32(rng) >> 5, low = twi_rng_u32(rng) >> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0; /* (high * 2^26 + low) / 2^53 */
}

uint32_t twi_rng_interval(twi_rng *rng, uint32_t max)
{
    if (max == 0) return 0; /* NumPy draws nothing here */
    uint32_t mask = max, value;
    for (unsigned shift = 1; shift <= 16; shift *= 2) mask |= mask >> shift;
    while ((value = twi_rng_u32(rng) & mask) > max) continue;
    return value;
}

double twi_rng_normal(twi_rng *rng, double *spare)
{
    if (!isnan(*spare)) {
        const double value = *spare;
        *spare = (double)NAN;
        return value;
    }
    const double radius = sqrt(-2.0 * log(1.0 - twi_rng_double(rng)));
    const double angle = 6.283185307179586 * twi_rng_double(rng);
    *spare = radius * sin(angle);
    return radius * cos(angle);
}

void twi_rng_shuffle(twi_rng *rng, size_t *indices, size_t n)
{
    assert(n <= (size_t)UINT32_MAX + 1);
    for (size_t i = n; i > 1; i--) {
        const size_t j = twi_rng_interval(rng, (uint32_t)(i - 1));
        const size_t kept = indices[i - 1];
        indices[i - 1] = indices[j];
        indices[j] = kept;
    }
}

void twi_rng_permutation(twi_rng *rng, size_t *indices, size_t n)
{
    for (size_t i = 0; i < n; i++) indices[i] = i;
    twi_rng_shuffle(rng, indices, n);
}
