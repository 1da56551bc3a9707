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
 * and Improving the Accuracy of Winograd Convolution for Deep Neural Networks. */
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

/* What one instruction set computes with. Matrices and feature maps have elements of element bytes.
 */
typedef struct twi_wino_kernels {
    size_t element;
    /* u = G g G' for the filters g [3, 3] of 16 outputs, the next output's stride floats on. */
    void (*filters)(const float *g, size_t stride, float u[TWI_WINO_POINTS][TWI_WINO_LANES]);
    /* n_blocks times 16 channels of a tile: src at its top left pixel, which may lie outside -> v,
     * points v_point elements apart, blocks 16 elements apart. */
    void (*input)(const void *src, const twi_wino_strides *strides, twi_wino_inside inside,
                  size_t n_blocks, void *v, size_t v_point);
    /* m [tiles, TWI_WINO_GROUP] = v [tiles, depth] * u [depth, 16 * lanes16], u as twi_wino_pack()
     * leaves it. */
    void (*multiply)(size_t tiles, size_t depth, size_t lanes16, const void *v, const void *u,
                     float *m);
    /* lanes16 times 16 channels of a tile: m, points m_point elements apart -> dst = relu?(result +
     * bias + dst?). */
    void (*output)(const float *m, size_t m_point, size_t lanes16, const float *bias, bool relu,
                   bool sum, twi_wino_inside inside, const twi_wino_strides *strides, void *dst);
} twi_wino_kernels;

/* Plain C, for tests and as the definition; AVX-512 (NULL where this build has none). dtype: F32 or
 * BF16. */
const twi_wino_kernels *twi_wino_plain(twi_dtype dtype);
const twi_wino_kernels *twi_wino_avx512(twi_dtype dtype);

/* One convolution of a batch. */
typedef struct twi_wino {
    const twi_wino_kernels *kernels;
    size_t batch, in_channels, out_channels; /* channels: multiples of 16 */
    size_t in_size[2], out_size[2];          /* height, width */
    size_t pad[2];                           /* at the beginning */
    twi_wino_strides src, dst;
    bool relu, sum;
    size_t threads;
    /* Set by twi_wino_plan(). */
    size_t tiles_down, tiles_across, tiles; /* of one picture; of the batch */
    size_t block;                           /* tiles multiplied together */
    size_t chunk;                           /* tiles transformed before they are multiplied */
    bool together;                          /* all threads work on one chunk, not each on its own */
    size_t v_point, m_point, v_bytes, m_bytes, scratch_bytes;
} twi_wino;

/* Works out the tiling; TW_ERR_NOMEM when sizes do not fit. */
tw_status twi_wino_plan(tw_ctx *ctx, twi_wino *conv);

/* Weights [out, in, 3, 3] -> u, twi_wino_packed_bytes() of it. */
size_t twi_wino_packed_bytes(const twi_wino *conv);
void twi_wino_pack(const twi_wino *conv, const float *weights, void *u);

/* bias [out_channels]; scratch [scratch_bytes]. */
void twi_wino_run(const twi_wino *conv, const void *src, const void *u, const float *bias,
                  void *dst, void *scratch);

#endif
