/* winograd.h - 3 x 3 convolution with stride 1 in a quarter of the multiplications.
 *
 * Lavin & Gray (2016), Fast Algorithms for Convolutional Neural Networks: a 4 x 4 block of outputs
 * ("tile") comes from 6 x 6 inputs d and the 3 x 3 filter g as Y = A' [(G g G') . (B' d B)] A, 36
 * multiplications for 144. Summed over input channels the product in the middle is 36 matrix
 * multiplications, one for each point of the tile.
 *
 * The interpolation points are 0, +-0.7, +-1.4 and infinity instead of the usual 0, +-1, +-2: with
 * matrices in bfloat16 that halves the error (measured: 0.7-1.0 % of the output against 1.6-2.2 %,
 * direct bfloat16 0.16 %); that such points are better is Barabasz et al. (2020), Error Analysis
 * and Improving the Accuracy of Winograd Convolution for Deep Neural Networks.
 *
 * With matrices in 8 bits each row of a transformed tile (one point, all channels) has a scale of
 * its own, found when it is made, and so has each column of the filters: nothing has to be known of
 * the values before, and what a tile becomes depends on that tile alone. That scales must differ
 * from point to point is Li et al. (2021), LoWino: Towards Efficient Low-Precision Winograd
 * Convolutions on Modern CPUs, section 4. */
#ifndef TWI_ENGINE_KERNELS_WINOGRAD_H
#define TWI_ENGINE_KERNELS_WINOGRAD_H

#include "base/memory.h"
#include "base/tensor.h"

#define TWI_WINO_OUT    4 /* outputs of a tile along one side */
#define TWI_WINO_IN     6 /* inputs */
#define TWI_WINO_POINTS (TWI_WINO_IN * TWI_WINO_IN)
#define TWI_WINO_LANES  16 /* channels handled together */
#define TWI_WINO_GROUP  64 /* output channels multiplied together, at most */

/* The points +-A, +-B. */
#define TWI_WINO_A 0.7
#define TWI_WINO_B 1.4

/* Where the channels of a pixel are, in elements: 16 of them are always together. */
typedef struct twi_wino_strides {
    ptrdiff_t image, row, pixel, block; /* block: from 16 channels to the next 16 */
} twi_wino_strides;

/* The part [first, end) of a tile's rows and columns that is inside the picture. */
typedef struct twi_wino_inside {
    int row_first, row_end, column_first, column_end;
} twi_wino_inside;

/* What becomes of a sum: dst = unit * relu?(sum + bias + old_scale * old dst?), rounded and held to
 * what its type can say. */
typedef struct twi_wino_end {
    bool relu, sum;
    twi_dtype dtype, old_dtype; /* of dst, and of what is there: F32 or BF16, as the matrices are;
                                   for 8 bits BF16, U8 or I8, old_dtype as large */
    float unit, old_scale;      /* 1 for floating point */
} twi_wino_end;

/* The scales of 8-bit matrices, and what their sums begin with. */
typedef struct twi_wino_scales {
    const float *rows;    /* [tiles] */
    const float *columns; /* [16 * lanes16] */
    const int32_t *start; /* [16 * lanes16]: rows are stored 128 too high */
} twi_wino_scales;

/* sum [outputs, 16 * lanes16] += m' v over rows, of words of 32 bits: a float32, or two bfloat16 of
 * two tiles. */
typedef struct twi_wino_product {
    size_t rows, outputs, lanes16; /* lanes16: 1 to 4 */
    const void *v, *m;             /* [rows, 16 * lanes16], [rows, outputs] */
    size_t v_row, m_row, sum_row;  /* from a row to the next, in words */
    float *sum;
    bool first; /* sum is written, not added to */
} twi_wino_product;

/* What one instruction set computes with. Matrices have elements of element bytes. */
typedef struct twi_wino_kernels {
    size_t element;
    /* u = G g G' for the filters g [3, 3] of 16 outputs, the next output's stride floats on; the
     * nine of a filter are step apart, 1 or -1. */
    void (*filters)(const float *g, ptrdiff_t stride, ptrdiff_t step,
                    float u[TWI_WINO_POINTS][TWI_WINO_LANES]);
    /* n_blocks times 16 channels of a tile: src at its top left pixel, which may lie outside -> v,
     * points v_point elements apart, blocks 16 elements apart. dtype is src's; v has the matrices'
     * type, or is float32 where they have 8 bits. */
    void (*input)(const void *src, twi_dtype dtype, const twi_wino_strides *strides,
                  twi_wino_inside inside, size_t n_blocks, void *v, size_t v_point);
    /* NULL unless matrices have 8 bits: v [points, channels] -> q, points q_point elements apart,
     * and scales, scale_point apart, times unit. */
    void (*quantise)(const float *v, size_t channels, float unit, uint8_t *q, size_t q_point,
                     float *scales, size_t scale_point);
    /* m [tiles, TWI_WINO_GROUP] = v [tiles, depth] * u [depth, 16 * lanes16], u as twi_wino_pack()
     * leaves it. scales: NULL unless matrices have 8 bits. */
    void (*multiply)(size_t tiles, size_t depth, size_t lanes16, const void *v, const void *u,
                     const twi_wino_scales *scales, float *m);
    /* lanes16 times 16 channels of a tile: m, points m_point elements apart -> dst. */
    void (*output)(const float *m, size_t m_point, size_t lanes16, const float *bias,
                   const twi_wino_end *end, twi_wino_inside inside, const twi_wino_strides *strides,
                   void *dst);
    /* What follows is for gradients of weights, and NULL where matrices have 8 bits.
     *
     * As input, v in words: with bfloat16 the tile is the lower (odd false, the upper becomes zero)
     * or the upper half of each. */
    void (*gather)(const void *src, const twi_wino_strides *strides, twi_wino_inside inside,
                   size_t n_blocks, void *v, size_t v_point, bool odd);
    /* The transpose of what output does: gradients of 4 x 4 outputs -> those of the 36 sums. */
    void (*spread)(const void *gradient, const twi_wino_strides *strides, twi_wino_inside inside,
                   size_t n_blocks, void *m, size_t m_point, bool odd);
    void (*accumulate)(const twi_wino_product *product);
    /* The transpose of what filters does: u, 16 inputs at 36 points -> weights [16, 3, 3]. */
    void (*collect)(const float *u, size_t u_point, float *weights);
    /* sums [16] of the 16 channels of count pixels. */
    void (*add)(const void *src, ptrdiff_t pixel, size_t count, float sums[TWI_WINO_LANES]);
} twi_wino_kernels;

/* Plain C, for tests and as the definition; AVX-512 (NULL where this build has none). dtype of the
 * matrices: F32, BF16 or I8. */
const twi_wino_kernels *twi_wino_plain(twi_dtype dtype);
const twi_wino_kernels *twi_wino_avx512(twi_dtype dtype);

/* One convolution of a batch. */
typedef struct twi_wino {
    const twi_wino_kernels *kernels;
    size_t batch, in_channels, out_channels; /* channels: multiples of 16 */
    size_t in_size[2], out_size[2];          /* height, width */
    size_t pad[2];                           /* at the beginning */
    twi_wino_strides src, dst;
    twi_dtype src_dtype; /* F32 or BF16, as the matrices are; for 8 bits BF16, U8 or I8 */
    float src_scale;     /* 1 for floating point */
    twi_wino_end end;
    size_t threads;
    /* Set by twi_wino_plan(). */
    size_t tiles_down, tiles_across, tiles; /* of one picture; of the batch */
    size_t block;                           /* tiles multiplied together */
    size_t chunk;                           /* tiles transformed before they are multiplied */
    bool together;                          /* all threads work on one chunk, not each on its own */
    size_t v_point, m_point, v_bytes, m_bytes, floats_bytes, scratch_bytes;
} twi_wino;

/* Works out the tiling; TW_ERR_NOMEM when sizes do not fit. */
tw_status twi_wino_plan(tw_ctx *ctx, twi_wino *conv);

/* Where filter [3, 3] of output o and input i is: at + o * out + i * in floats, its nine step (1 or
 * -1) apart. */
typedef struct twi_wino_filters {
    const float *at;
    ptrdiff_t out, in, step;
} twi_wino_filters;

/* Of weights [out, in, 3, 3]: as they are; and as the convolution has them that takes gradients of
 * outputs to gradients of inputs: inputs and outputs change places and filters turn by 180 degrees.
 * in_channels: of the weights. */
twi_wino_filters twi_wino_filters_of(const float *weights, size_t in_channels);
twi_wino_filters twi_wino_filters_back(const float *weights, size_t in_channels);

/* Filters -> u, twi_wino_packed_bytes() of it. */
size_t twi_wino_packed_bytes(const twi_wino *conv);
void twi_wino_pack(const twi_wino *conv, const twi_wino_filters *filters, void *u);

/* bias [out_channels]; scratch [scratch_bytes]. */
void twi_wino_run(const twi_wino *conv, const void *src, const void *u, const float *bias,
                  void *dst, void *scratch);

/* The gradient of the weights of conv, which twi_wino_plan() has seen; its src is the source, its
 * dst the gradient of the outputs, both of the matrices' type. It does not depend on the number of
 * threads. */
typedef struct twi_wino_weights {
    twi_wino conv;
    /* Set by twi_wino_weights_plan(). */
    size_t chunk, rows; /* tiles transformed before they are multiplied; their words */
    size_t v_point, m_point, u_point, scratch_bytes;
} twi_wino_weights;

tw_status twi_wino_weights_plan(tw_ctx *ctx, twi_wino_weights *plan);

/* weights [out, in, 3, 3] and, unless NULL, bias [out] are written; scratch [scratch_bytes]. */
typedef struct twi_wino_weights_args {
    const void *src, *gradient;
    float *weights, *bias;
    void *scratch;
} twi_wino_weights_args;
void twi_wino_weights_run(const twi_wino_weights *plan, const twi_wino_weights_args *args);

/* Where a tile begins: its picture, and the row and column of its first output. */
typedef struct twi_wino_place {
    size_t image, row, column;
} twi_wino_place;
twi_wino_place twi_wino_tile(const twi_wino *conv, size_t tile);
/* Where its 6 x 6 inputs begin, in bytes from the source, which may be outside of the picture, and
 * which of them are inside. */
ptrdiff_t twi_wino_tile_source(const twi_wino *conv, size_t tile, twi_wino_inside *inside);
/* Its 4 x 4 outputs likewise. */
ptrdiff_t twi_wino_tile_outputs(const twi_wino *conv, size_t tile, twi_wino_inside *inside);

#endif
