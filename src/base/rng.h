/* rng.h - NumPy's legacy generator (RandomState), bit for bit: MT19937 seeded with init_genrand.
 * Source: Matsumoto & Nishimura (1998); numpy/random/mtrand, reference/semantics 5.1. */
#ifndef TWI_BASE_RNG_H
#define TWI_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct twi_rng {
    uint32_t state[624];
    size_t at;
} twi_rng;

void twi_rng_seed(twi_rng *rng, uint32_t seed);        /* RandomState(seed) */
uint32_t twi_rng_u32(twi_rng *rng);                    /* the next 32 bits */
double twi_rng_double(twi_rng *rng);                   /* random_sample(): [0, 1), 53 bits */
uint32_t twi_rng_interval(twi_rng *rng, uint32_t max); /* uniform in [0, max], masked rejection */
double twi_rng_normal(twi_rng *rng,
                      double *spare); /* unit normal by Box-Muller from doubles; NOT NumPy's
                                         order. spare: NaN at first, then ours */
/* shuffle() of indices [n], n <= 2^32. */
void twi_rng_shuffle(twi_rng *rng, size_t *indices, size_t n);
/* permutation(n) into indices [n]. */
void twi_rng_permutation(twi_rng *rng, size_t *indices, size_t n);

#endif
