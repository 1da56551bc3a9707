/* mlp_net.c - forward, backward and Adam as scikit-learn 1.2.1's MLPClassifier does them on
 * float32.
 */
#include "learn/mlp_net.h"

#include "base/threads.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define PANEL TWI_GRAM_COLUMNS
#define TILE  TWI_GRAM_ROWS
#define DEPTH 512               /* of one kernel call: its operands stay in the L1 cache */
#define WORTH ((size_t)1 << 24) /* multiply-adds from which threads pay */
#define CHUNK ((size_t)1 << 16) /* parameters of one task of Adam */

static size_t up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* ---- memory -------------------------------------------------------------------------------- */

static tw_status layer_new(tw_ctx *ctx, size_t in, size_t out, bool training, twi_layer *l)
{
    *l = (twi_layer){.in = in, .out = out, .rows = up(in, TILE), .panels = up(out, PANEL) / PANEL};
    float **const matrices[] = {&l->weights, &l->weights_m, &l->weights_v, &l->weights_g};
    float **const vectors[] = {&l->bias, &l->bias_m, &l->bias_v, &l->bias_g};
    if (twi_mul(l->rows, l->panels * PANEL, &l->cells))
        return twi_fail(ctx, TW_ERR_NOMEM, "a layer of %zu x %zu weights does not fit", in, out);
    for (size_t i = 0; i < (training ? 4 : 1); i++) {
        tw_status st = twi_zalloc(ctx, l->cells, matrices[i]);
        if (st == TW_OK) st = twi_zalloc(ctx, l->panels * PANEL, vectors[i]);
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

tw_status twi_net_new(tw_ctx *ctx, const size_t *width, size_t layers, bool training, twi_net *out)
{
    twi_net net = {.layers = layers, .k = width[layers] == 1 ? 2 : width[layers]};
    tw_status st = TW_OK;
    for (size_t i = 0; i < layers && st == TW_OK; i++)
        st = layer_new(ctx, width[i], width[i + 1], training, &net.layer[i]);
    if (st == TW_OK) *out = net, net = (twi_net){0};
    twi_net_free(&net);
    return st;
}

void twi_net_free(twi_net *net)
{
    for (size_t i = 0; i < TWI_LAYERS_MAX; i++) {
        twi_layer *l = &net->layer[i];
        float *const all[] = {l->weights, l->weights_m, l->weights_v, l->weights_g,
                              l->bias,    l->bias_m,    l->bias_v,    l->bias_g};
        for (size_t j = 0; j < TWI_LEN(all); j++) twi_free(all[j]);
    }
    *net = (twi_net){0};
}

size_t twi_net_place(const twi_layer *layer, size_t i, size_t o)
{
    return (o / PANEL * layer->rows + i) * PANEL + o % PANEL;
}

void twi_net_draw(twi_net *net, twi_rng *rng)
{
    for (size_t n = 0; n < net->layers; n++) {
        twi_layer *l = &net->layer[n];
        const double bound = sqrt(6.0 / (double)(l->in + l->out));
        for (size_t i = 0; i < l->in; i++)
            for (size_t o = 0; o < l->out; o++)
                l->weights[twi_net_place(l, i, o)] =
                    (float)(-bound + (bound + bound) * twi_rng_double(rng));
        for (size_t o = 0; o < l->out; o++)
            l->bias[o] = (float)(-bound + (bound + bound) * twi_rng_double(rng));
    }
}

tw_status twi_net_batch_new(tw_ctx *ctx, const twi_net *net, size_t rows, twi_net_batch *out)
{
    twi_net_batch b = {.rows = rows};
    const size_t high = up(rows, TILE);
    size_t widest = 0, cells, turned = 0;
    tw_status st = TW_OK;
    for (size_t i = 0; i <= net->layers && st == TW_OK; i++) {
        b.stride[i] = i ? net->layer[i - 1].panels * PANEL : net->layer[0].in;
        if (i && b.stride[i] > widest) widest = b.stride[i];
        if (i < net->layers && net->layer[i].rows > turned) turned = net->layer[i].rows;
        if (twi_mul(high, b.stride[i], &cells))
            return twi_fail(ctx, TW_ERR_NOMEM, "a batch of %zu rows does not fit", rows);
        st = twi_zalloc(ctx, cells, &b.a[i]);
    }
    const size_t square = up(widest, PANEL) * up(widest > rows ? widest : rows, PANEL);
    if (st == TW_OK) st = twi_zalloc(ctx, up(high, TILE) * up(widest, PANEL), &b.delta);
    if (st == TW_OK) st = twi_zalloc(ctx, up(high, TILE) * up(widest, PANEL), &b.other);
    if (st == TW_OK) st = twi_zalloc(ctx, square, &b.panels);
    if (st == TW_OK) st = twi_zalloc(ctx, turned * rows, &b.turned);
    if (st == TW_OK) *out = b, b = (twi_net_batch){0};
    twi_net_batch_free(&b);
    return st;
}

void twi_net_batch_free(twi_net_batch *batch)
{
    for (size_t i = 0; i <= TWI_LAYERS_MAX; i++) twi_free(batch->a[i]);
    twi_free(batch->delta);
    twi_free(batch->other);
    twi_free(batch->panels);
    twi_free(batch->turned);
    *batch = (twi_net_batch){0};
}

/* ---- products ------------------------------------------------------------------------------ */

/* c += a b: a [rows, depth of lda], rows a multiple of TILE; b in panels [panels][b_rows][PANEL];
 * c row-major when c_panel is 0, else in panels that are c_panel apart, c_stride from row to row.
 */
typedef struct product {
    const float *a, *b;
    float *c;
    size_t rows, depth, lda, panels, b_rows, c_stride, c_panel;
} product;

static tw_status tile(tw_ctx *ctx, void *user, size_t t)
{
    const product *p = user;
    const twi_kernels *kernels = twi_kernels_best();
    const size_t panel = t % p->panels, row = t / p->panels * TILE;
    float *c = p->c + row * p->c_stride + panel * (p->c_panel ? p->c_panel : PANEL);
    (void)ctx;
    for (size_t from = 0; from < p->depth; from += DEPTH) {
        const size_t depth = p->depth - from < DEPTH ? p->depth - from : DEPTH;
        kernels->gram(p->a + row * p->lda + from, p->lda, p->b + (panel * p->b_rows + from) * PANEL,
                      depth, c, p->c_stride);
    }
    return TW_OK;
}

static tw_status multiply(tw_ctx *ctx, const product *p)
{
    const size_t work = p->rows * p->depth * p->panels * PANEL;
    return twi_parallel(ctx, work < WORTH ? 1 : 0, p->rows / TILE * p->panels, tile, (void *)p);
}

/* ---- forward ------------------------------------------------------------------------------- */

tw_status twi_net_forward(tw_ctx *ctx, const twi_net *net, twi_net_batch *b, size_t n)
{
    for (size_t i = 0; i < net->layers; i++) {
        const twi_layer *l = &net->layer[i];
        const size_t stride = b->stride[i + 1];
        float *out = b->a[i + 1];
        for (size_t r = 0; r < up(n, TILE); r++)
            memcpy(out + r * stride, l->bias, stride * sizeof *out);
        const product p = {.a = b->a[i],
                           .b = l->weights,
                           .c = out,
                           .rows = up(n, TILE),
                           .depth = l->in,
                           .lda = b->stride[i],
                           .panels = l->panels,
                           .b_rows = l->rows,
                           .c_stride = stride};
        const tw_status st = multiply(ctx, &p);
        if (st != TW_OK) return st;
        for (size_t j = 0; i + 1 < net->layers && j < n * stride; j++)
            out[j] = out[j] > 0.0f ? out[j] : 0.0f;
    }
    return TW_OK;
}

/* ---- backward ------------------------------------------------------------------------------ */

static double clipped_log(float p)
{
    const float least = FLT_EPSILON, most = 1.0f - FLT_EPSILON;
    return log((double)(p < least ? least : p > most ? most : p));
}

/* Logits to probabilities in place, delta = probabilities - targets; the sum of log losses. */
static double answer(const twi_net *net, twi_net_batch *b, const uint32_t *y, size_t n)
{
    const size_t stride = b->stride[net->layers], out = net->layer[net->layers - 1].out;
    double loss = 0.0;
    memset(b->delta, 0, up(n, TILE) * stride * sizeof *b->delta);
    for (size_t r = 0; r < n; r++) {
        float *u = b->a[net->layers] + r * stride, *delta = b->delta + r * stride;
        if (out == 1) {
            u[0] = 1.0f / (1.0f + expf(-u[0]));
            loss -= y[r] == 1 ? clipped_log(u[0]) : clipped_log(1.0f - u[0]);
            delta[0] = u[0] - (float)(y[r] == 1);
            continue;
        }
        float top = u[0], sum = 0.0f;
        for (size_t c = 1; c < out; c++) top = u[c] > top ? u[c] : top;
        for (size_t c = 0; c < out; c++) sum += u[c] = expf(u[c] - top);
        for (size_t c = 0; c < out; c++) {
            u[c] /= sum;
            delta[c] = u[c] - (float)(c == y[r]);
        }
        loss -= clipped_log(u[y[r]]);
    }
    return loss;
}

/* from [n, columns of stride] -> to in panels [columns / PANEL][n][PANEL] */
static void to_panels(const float *from, size_t n, size_t stride, size_t columns, float *to)
{
    for (size_t p = 0; p * PANEL < columns; p++)
        for (size_t r = 0; r < n; r++)
            memcpy(to + (p * n + r) * PANEL, from + r * stride + p * PANEL, PANEL * sizeof *to);
}

/* Gradients of layer i, from delta [n, stride] behind it: (a' delta + alpha w) / n. */
static tw_status layer_gradient(tw_ctx *ctx, twi_layer *l, twi_net_batch *b, size_t i, size_t n,
                                float alpha)
{
    const size_t stride = b->stride[i + 1], in_stride = b->stride[i];
    const float *a = b->a[i];
    const float rows = (float)n;
    memset(b->turned, 0, l->rows * n * sizeof *b->turned);
    for (size_t r0 = 0; r0 < n; r0 += 16) /* in blocks, for the cache's sake */
        for (size_t j = 0; j < l->in; j++)
            for (size_t r = r0; r < n && r < r0 + 16; r++)
                b->turned[j * n + r] = a[r * in_stride + j];
    to_panels(b->delta, n, stride, stride, b->panels);
    memset(l->weights_g, 0, l->cells * sizeof *l->weights_g);
    const product p = {.a = b->turned,
                       .b = b->panels,
                       .c = l->weights_g,
                       .rows = l->rows,
                       .depth = n,
                       .lda = n,
                       .panels = l->panels,
                       .b_rows = n,
                       .c_stride = PANEL,
                       .c_panel = l->rows * PANEL};
    const tw_status st = multiply(ctx, &p);
    for (size_t j = 0; j < l->cells; j++)
        l->weights_g[j] = (l->weights_g[j] + alpha * l->weights[j]) / rows;
    memset(l->bias_g, 0, stride * sizeof *l->bias_g);
    for (size_t r = 0; r < n; r++)
        for (size_t o = 0; o < stride; o++) l->bias_g[o] += b->delta[r * stride + o];
    for (size_t o = 0; o < stride; o++) l->bias_g[o] /= rows;
    return st;
}

/* delta of the layer before: delta w', where its answer was above 0. */
static tw_status pass_back(tw_ctx *ctx, const twi_layer *l, twi_net_batch *b, size_t i, size_t n)
{
    const size_t stride = b->stride[i], behind = b->stride[i + 1];
    memset(b->panels, 0, stride * behind * sizeof *b->panels);
    for (size_t o = 0; o < l->out; o++) /* w' in panels of the inputs */
        for (size_t j = 0; j < l->in; j++)
            b->panels[(j / PANEL * behind + o) * PANEL + j % PANEL] =
                l->weights[twi_net_place(l, j, o)];
    memset(b->other, 0, up(n, TILE) * stride * sizeof *b->other);
    const product p = {.a = b->delta,
                       .b = b->panels,
                       .c = b->other,
                       .rows = up(n, TILE),
                       .depth = behind,
                       .lda = behind,
                       .panels = stride / PANEL,
                       .b_rows = behind,
                       .c_stride = stride};
    const tw_status st = multiply(ctx, &p);
    for (size_t j = 0; j < n * stride; j++)
        if (!(b->a[i][j] > 0.0f)) b->other[j] = 0.0f;
    float *const kept = b->delta;
    b->delta = b->other;
    b->other = kept;
    return st;
}

tw_status twi_net_backward(tw_ctx *ctx, twi_net *net, twi_net_batch *b, const uint32_t *y, size_t n,
                           float alpha, double *loss)
{
    double square = 0.0;
    const double sum = answer(net, b, y, n);
    for (size_t i = 0; i < net->layers; i++) {
        float lanes[16] = {0}; /* padding is zero and stays so */
        for (size_t j = 0; j < net->layer[i].cells; j += 16)
            for (size_t c = 0; c < 16; c++)
                lanes[c] += net->layer[i].weights[j + c] * net->layer[i].weights[j + c];
        for (size_t c = 0; c < 16; c++) square += (double)lanes[c];
    }
    *loss = (sum + 0.5 * (double)alpha * square) / (double)n;
    for (size_t i = net->layers; i-- > 0;) {
        tw_status st = layer_gradient(ctx, &net->layer[i], b, i, n, alpha);
        if (st == TW_OK && i > 0) st = pass_back(ctx, &net->layer[i], b, i, n);
        if (st != TW_OK) return st;
    }
    return TW_OK;
}

/* ---- Adam ---------------------------------------------------------------------------------- */

typedef struct adam {
    float *w, *m, *v;
    const float *g;
    size_t n;
    float rate;
} adam;

/* Kingma & Ba (2015), algorithm 1 in the order of its section 2's last remark, each operation
 * rounded to float as NumPy does it. */
static tw_status adam_chunk(tw_ctx *ctx, void *user, size_t chunk)
{
    const adam *s = user;
    const float b1 = 0.9f, b2 = 0.999f, c1 = (float)(1.0 - 0.9), c2 = (float)(1.0 - 0.999);
    const size_t from = chunk * CHUNK, to = s->n - from < CHUNK ? s->n : from + CHUNK;
    float *const w = s->w, *const m = s->m, *const v = s->v;
    const float *const g = s->g, rate = -s->rate;
    (void)ctx;
    for (size_t i = from; i < to; i++) {
        m[i] = b1 * m[i] + c1 * g[i];
        v[i] = b2 * v[i] + c2 * (g[i] * g[i]);
        w[i] += rate * m[i] / (sqrtf(v[i]) + 1e-8f);
    }
    return TW_OK;
}

tw_status twi_net_step(tw_ctx *ctx, twi_net *net, double learning_rate, size_t t)
{
    const double rate =
        learning_rate * sqrt(1.0 - pow(0.999, (double)t)) / (1.0 - pow(0.9, (double)t));
    tw_status st = TW_OK;
    for (size_t i = 0; i < net->layers && st == TW_OK; i++) {
        twi_layer *l = &net->layer[i];
        adam weights = {l->weights,   l->weights_m, l->weights_v,
                        l->weights_g, l->cells,     (float)rate};
        adam bias = {l->bias, l->bias_m, l->bias_v, l->bias_g, l->panels * PANEL, (float)rate};
        st = twi_parallel(ctx, l->cells < 8 * CHUNK ? 1 : 0, (l->cells + CHUNK - 1) / CHUNK,
                          adam_chunk, &weights);
        if (st == TW_OK) st = twi_parallel(ctx, 1, (bias.n + CHUNK - 1) / CHUNK, adam_chunk, &bias);
    }
    return st;
}
