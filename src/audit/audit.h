/* audit.h - what is wrong with a set of labelled pictures: the same picture twice, labels that the
 * features speak against, pictures that show nothing. Knows matrices, labels and single pictures;
 * no data sets. */
#ifndef TWI_AUDIT_AUDIT_H
#define TWI_AUDIT_AUDIT_H

#include "image/image.h"
#include "learn/learn.h"

/* ---- how a picture looks (look.c) ------------------------------------------------------------ */

#define TWI_LOOK_SIDE   32
#define TWI_LOOK_VALUES (4 + TWI_LOOK_SIDE * TWI_LOOK_SIDE)

/* All floats, so that a look is a row of TWI_LOOK_VALUES. */
typedef struct twi_look {
    float width, height;                       /* in pixels; see twi_look_take() */
    float brightness, contrast;                /* mean and standard deviation of luma, 0..255 */
    float luma[TWI_LOOK_SIDE * TWI_LOOK_SIDE]; /* 0..255, the whole picture squashed to a square */
} twi_look;

/* Decodes src, a JPEG at the smallest scale whose sides are at least 4 x TWI_LOOK_SIDE: a large
 * picture's width and height come out smaller, in the same proportion. Fails as
 * twi_picture_decode(). */
tw_status twi_look_take(tw_ctx *ctx, tw_bytes src, const char *name, size_t max_pixels,
                        twi_recipe_scratch *scratch, twi_look *out);

/* How alike two pictures are where one is the other, cut by up to a fifth of a side, brightened,
 * mirrored, or none of these: the largest correlation of luma over such windows, in [-1, 1]. 0
 * where one is of a single tone. */
double twi_look_alike(const twi_look *a, const twi_look *b);

/* ---- the same picture twice (nearness.c, clusters.c) ----------------------------------------- */

typedef struct twi_near {
    size_t a, b; /* a < b */
    float cosine;
} twi_near;

typedef struct twi_nears {
    twi_near *items;
    size_t n, capacity;
} twi_nears;

/* Pairs of the rows x [n, d] whose cosine is at least `least` once the features are whitened:
 * standardised, turned to their first principal components (256, or one for three rows), and each
 * of these divided by sqrt(0.9 v + 0.1), v its variance, so that what all pictures of a set share
 * counts for little. Of a row's pairs with later rows the 16 closest are kept. Ordered by a, then
 * b. Stages of progress: "covariance", "components", "near". The result does not depend on the
 * number of threads. Fewer than 4 rows: no pairs. TW_ERR_DATA: a feature that is not finite. */
tw_status twi_near_pairs(tw_ctx *ctx, const float *x, size_t n, size_t d, double least,
                         twi_nears *out);
void twi_nears_free(twi_nears *nears);
/* About how many multiply-adds that takes. */
double twi_near_work(size_t n, size_t d);

/* Sets joined one pair at a time. first [n]: a member of i's set with a smaller number, or i. */
typedef struct twi_clusters {
    size_t *first;
    size_t n;
} twi_clusters;
tw_status twi_clusters_new(tw_ctx *ctx, size_t n, twi_clusters *out);
void twi_clusters_join(twi_clusters *clusters, size_t a, size_t b);
size_t twi_clusters_root(twi_clusters *clusters, size_t i); /* the smallest number of i's set */
void twi_clusters_free(twi_clusters *clusters);

/* ---- labels (suspects.c) --------------------------------------------------------------------- */

typedef struct twi_suspect {
    size_t sample;
    uint32_t suggested; /* the class that the features speak for */
    double given_p, suggested_p;
} twi_suspect;

/* Samples whose label is probably wrong, the surest first: out [n] has room for all; *found. prob
 * [n, k]: probabilities by a classifier that has not seen the sample. Confident learning
 * (Northcutt, Jiang & Chuang 2021, section 3.1): the threshold of a class is the mean probability
 * of it over the samples labelled so; a sample is suspect when the most probable class at or above
 * its threshold is another than its label. */
tw_status twi_suspects_find(tw_ctx *ctx, const double *prob, const uint32_t *y, size_t n, size_t k,
                            twi_suspect *out, size_t *found);

#endif
