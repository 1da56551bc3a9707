/* tune_checkpoint_fuzz.c - a checkpoint from anywhere: as it is, and once more with the digest that
 * its bytes have, so that what stands behind that check is reached. */
#include "tune/checkpoint.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Everything that an accepted checkpoint points at can be read. */
static unsigned use(const twi_checkpoint *c)
{
    unsigned sum = 0;
    for (size_t i = 0; i < TWI_DIGEST_BYTES; i++) sum += c->identity[i];
    for (size_t i = 0; i < c->n_values * sizeof(float); i++)
        sum += (unsigned)c->values[i] + c->best_values[i];
    for (size_t i = 0; i < c->n_state * sizeof(float); i++) sum += c->state[i];
    return sum;
}

static void parse(tw_ctx *ctx, const uint8_t *data, size_t size)
{
    static const unsigned char untouched[sizeof(twi_checkpoint)];
    volatile unsigned sum;
    twi_checkpoint c;
    memset(&c, 0, sizeof c);
    const tw_status st = twi_checkpoint_parse(ctx, "fuzz", data, size, &c);
    if (st == TW_OK)
        sum = use(&c);
    else if (st != TW_ERR_FORMAT || memcmp(&c, untouched, sizeof c) != 0)
        abort(); /* outputs change only on TW_OK */
    (void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    twi_digest digest;
    tw_ctx *ctx;
    if (tw_ctx_new(&ctx) != TW_OK) return 0;
    parse(ctx, data, size);
    if (size >= TWI_DIGEST_BYTES) {
        uint8_t *copy = malloc(size);
        if (copy) {
            memcpy(copy, data, size);
            twi_digest_start(&digest);
            twi_digest_add(&digest, copy, size - TWI_DIGEST_BYTES);
            twi_digest_bytes(&digest, copy + size - TWI_DIGEST_BYTES);
            parse(ctx, copy, size);
        }
        free(copy);
    }
    tw_ctx_free(ctx);
    return 0;
}
