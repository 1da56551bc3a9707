/* rows.h - passes over standardised rows: scores, weighted sums, and loss with its gradient in one
 * reading.
 *
 * The rows are cut into chunks by their shape alone and partial sums are added in chunk order, so
 * no result depends on the number of threads. */
#ifndef TWI_LEARN_ROWS_H
#define TWI_LEARN_ROWS_H

#include "learn/kernels.h"
#include "learn/loss.h"

/* Multiply-adds below which starting threads costs more than it saves. */
#define TWI_WORTH_A_THREAD ((size_t)1 << 22)

typedef struct twi_rows {
    const void *x;       /* [?, stride] floats; halves when shift.half */
    const size_t *index; /* [n] or NULL: row i of ours is row index[i] of x */
    size_t n, d, stride;
    twi_shift shift;
} twi_rows;

static inline const void *twi_row(const twi_rows *rows, size_t i)
{
    const size_t size = rows->shift.half ? sizeof(uint16_t) : sizeof(float);
    return (const char *)rows->x + (rows->index ? rows->index[i] : i) * rows->stride * size;
}

/* TW_ERR_DATA naming the first feature that is not finite; TW_OK when all are. */
tw_status twi_finite(tw_ctx *ctx, const twi_samples *samples);

/* The scaler as floats for the kernels: buffer [2, d] is filled and borrowed by the result. The
 * float mean is off by a rounding, a shift of a whole column that the intercept takes up. scaler
 * NULL: no shift. */
twi_shift twi_shift_from(const twi_scaler *scaler, float *buffer);

/* A copy [n, width] of the standardised rows, one block of 16 columns in every `every`, times
 * factor; width is twi_thinned_width(d, every). every 1: all columns. copy's stride is width;
 * buffer is to be freed by the caller. */
size_t twi_thinned_width(size_t d, size_t every);
tw_status twi_rows_thin(tw_ctx *ctx, const twi_rows *rows, size_t every, float factor,
                        float **buffer, twi_rows *copy);

/* A copy [n, d] of the standardised rows in halves: a pass over it reads half the bytes, and is off
 * by 2^-11 a value. Sets *buffer to NULL where the machine has no such instructions. buffer is to
 * be freed by the caller. */
tw_status twi_rows_halve(tw_ctx *ctx, const twi_rows *rows, uint16_t **buffer, twi_rows *copy);

/* Memory for passes with up to k scores a row. */
typedef struct twi_pass {
    const twi_rows *rows;
    size_t k, chunk_rows, chunks;
    double traffic;   /* bytes of rows read so far */
    float *weights;   /* [k, d] */
    float *partial;   /* [chunks, k, d] sums over a few rows; made when first needed */
    double *sums;     /* [chunks, k, d] sums over a chunk; likewise */
    double *loss;     /* [chunks] */
    double *scores;   /* [n, k] */
    double *residual; /* [n, k] */
} twi_pass;

tw_status twi_pass_new(tw_ctx *ctx, const twi_rows *rows, size_t k, twi_pass *out);
void twi_pass_free(twi_pass *pass);

/* pass->scores = z w^T + bias: w [k, d], bias [k]. */
tw_status twi_pass_scores(tw_ctx *ctx, twi_pass *pass, const double *w, const double *bias);
/* sum [k, d] = residual^T z: pass->residual [n, k] is the caller's. */
tw_status twi_pass_sums(tw_ctx *ctx, twi_pass *pass, double *sum);
/* Both with the loss between them, while each row is in cache: scores, residual, *loss and
 * gradient [k, d] = residual^T z. */
tw_status twi_pass_loss(tw_ctx *ctx, twi_pass *pass, const twi_targets *targets, const double *w,
                        const double *bias, double *loss, double *gradient);

#endif
