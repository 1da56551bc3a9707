/* loss.c - softmax cross-entropy, squared error. */
#include "tune/loss.h"

#include <math.h>

typedef struct row { /* one picture's labels */
    size_t first, second;
    double share; /* of the first */
} row;

static row row_of(const twi_targets *t, size_t i)
{
    const size_t first = t->labels[i];
    return (row){first, t->mixed ? t->mixed[i] : first, t->share ? (double)t->share[i] : 1.0};
}

static double weight_of(const twi_targets *t, size_t c)
{
    return t->weights ? (double)t->weights[c] : 1.0;
}

static double row_weight(const twi_targets *t, row r)
{
    return r.share * weight_of(t, r.first) + (1.0 - r.share) * weight_of(t, r.second);
}

/* w T of class c. */
static double target(const twi_targets *t, row r, size_t c, size_t k)
{
    const double share = (c == r.first ? r.share : 0.0) + (c == r.second ? 1.0 - r.share : 0.0);
    return weight_of(t, c) * ((1.0 - t->smoothing) * share + t->smoothing / (double)k);
}

double twi_cross_entropy(const twi_targets *targets, const float *scores, size_t n, size_t k,
                         float *gradient)
{
    double total = 0.0, loss = 0.0;
    for (size_t i = 0; i < n; i++) total += row_weight(targets, row_of(targets, i));
    for (size_t i = 0; i < n; i++) {
        const float *z = scores + i * k;
        const row r = row_of(targets, i);
        double largest = -INFINITY, sum = 0.0, targets_sum = 0.0, own = 0.0;
        for (size_t c = 0; c < k; c++) largest = fmax(largest, (double)z[c]);
        for (size_t c = 0; c < k; c++) sum += exp((double)z[c] - largest);
        for (size_t c = 0; c < k; c++) {
            const double t = target(targets, r, c, k);
            targets_sum += t;
            own -= t * ((double)z[c] - largest - log(sum));
        }
        loss += own;
        for (size_t c = 0; gradient && c < k; c++) {
            const double p = exp((double)z[c] - largest) / sum;
            const double g = p * targets_sum - target(targets, r, c, k);
            gradient[i * k + c] = total > 0.0 ? (float)(g / total) : 0.0f;
        }
    }
    return total > 0.0 ? loss / total : 0.0;
}

typedef struct scaled {
    const float *scores;
    const uint32_t *labels;
    size_t n, k;
    double smoothing;
} scaled;

/* The mean loss of scores times factor, and its derivative by the factor. */
static double scaled_loss(const scaled *s, double factor, double *slope)
{
    double loss = 0.0;
    *slope = 0.0;
    for (size_t i = 0; i < s->n; i++) {
        const float *z = s->scores + i * s->k;
        double largest = -INFINITY, sum = 0.0, expected = 0.0, mean = 0.0;
        for (size_t c = 0; c < s->k; c++) largest = fmax(largest, (double)z[c]);
        for (size_t c = 0; c < s->k; c++) {
            const double p = exp(factor * ((double)z[c] - largest));
            sum += p;
            expected += p * (double)z[c];
            mean += (double)z[c] / (double)s->k;
        }
        const double wanted = (1.0 - s->smoothing) * (double)z[s->labels[i]] + s->smoothing * mean;
        loss += factor * (largest - wanted) + log(sum);
        *slope += expected / sum - wanted;
    }
    loss /= (double)s->n, *slope /= (double)s->n;
    return loss;
}

/* The loss is convex in the factor: where its slope changes sign is the least. */
double twi_calibrated_loss(const float *scores, const uint32_t *labels, size_t n, size_t k)
{
    const scaled s = {scores, labels, n, k, (double)k / (double)(n + k)};
    double low = 1.0, high = 1.0, slope;
    const double loss = scaled_loss(&s, 0.0, &slope);
    for (size_t i = 0; i < n * k; i++)
        if (!isfinite(scores[i])) return (double)NAN;
    if (slope >= 0.0) return loss; /* scores that say nothing, or the contrary */
    (void)scaled_loss(&s, high, &slope);
    const double step = slope < 0.0 ? 2.0 : 0.5;
    for (int i = 0; i < 200 && (slope < 0.0) == (step > 1.0); i++) {
        low = high, high *= step;
        (void)scaled_loss(&s, high, &slope);
    }
    if (step < 1.0) low = high, high = 2.0 * low;
    for (int i = 0; i < 60; i++) {
        const double middle = 0.5 * (low + high);
        (void)scaled_loss(&s, middle, &slope);
        *(slope < 0.0 ? &low : &high) = middle;
    }
    return scaled_loss(&s, high, &slope);
}

double twi_squared_error(const float *outputs, const float *targets, size_t n, size_t d,
                         float *gradient)
{
    const double count = (double)n * (double)d;
    double sum = 0.0;
    for (size_t i = 0; i < n * d; i++) {
        const double apart = (double)outputs[i] - (double)targets[i];
        sum += apart * apart;
        if (gradient) gradient[i] = (float)(2.0 * apart / count);
    }
    return count > 0.0 ? sum / count : 0.0;
}

void twi_balanced_weights(const uint32_t *labels, size_t n, size_t k, float *weights)
{
    size_t present = 0;
    for (size_t c = 0; c < k; c++) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++) count += labels[i] == c;
        weights[c] = (float)count;
        present += count > 0;
    }
    for (size_t c = 0; c < k; c++)
        weights[c] =
            weights[c] > 0.0f ? (float)((double)n / ((double)present * (double)weights[c])) : 1.0f;
}
