/* metrics.c - counts and scores, as scikit-learn's metrics module has them. */
#include "learn/learn.h"

#include <math.h>
#include <string.h>

void twi_confusion(const uint32_t *truth, const uint32_t *predicted, size_t n, size_t k,
                   size_t *confusion)
{
    memset(confusion, 0, k * k * sizeof *confusion);
    for (size_t i = 0; i < n; i++) confusion[truth[i] * k + predicted[i]]++;
}

size_t twi_correct(const size_t *confusion, size_t k)
{
    size_t correct = 0;
    for (size_t c = 0; c < k; c++) correct += confusion[c * k + c];
    return correct;
}

static double ratio(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : 0.0;
}

void twi_class_score(const size_t *confusion, size_t k, size_t c, tw_class_score *out)
{
    size_t true_members = 0, predicted = 0;
    for (size_t other = 0; other < k; other++) {
        true_members += confusion[c * k + other];
        predicted += confusion[other * k + c];
    }
    const size_t hits = confusion[c * k + c];
    out->precision = ratio(hits, predicted);
    out->recall = ratio(hits, true_members);
    const double sum = out->precision + out->recall;
    out->f1 = sum > 0.0 ? 2.0 * out->precision * out->recall / sum : 0.0;
    out->support = true_members;
}

/* Several classes: scikit-learn sorts stably and reads from the end, so of equal scores the later
 * class ranks first. Two classes: it asks whether the second one's score is above the threshold. */
static bool hit(const double *score, size_t truth, size_t k, size_t top)
{
    if (k == 2 && top == 1) return (score[1] > score[0]) == (truth == 1);
    size_t ahead = 0;
    for (size_t c = 0; c < k; c++)
        ahead += score[c] > score[truth] || (score[c] == score[truth] && c > truth);
    return ahead < top;
}

size_t twi_top_k_correct(const double *score, const uint32_t *truth, size_t n, size_t k, size_t top)
{
    size_t correct = 0;
    for (size_t i = 0; i < n; i++) correct += hit(score + i * k, truth[i], k, top);
    return correct;
}

void twi_wilson(size_t correct, size_t n, double interval[2])
{
    interval[0] = 0.0;
    interval[1] = 1.0;
    if (n == 0) return;
    const double z = 1.959963984540054, m = (double)n, p = (double)correct / m;
    const double middle = p + z * z / (2.0 * m),
                 spread = z * sqrt(p * (1.0 - p) / m + z * z / (4.0 * m * m));
    const double scale = 1.0 / (1.0 + z * z / m);
    /* At the ends the formula gives 0 and 1 exactly; rounding would not. */
    if (correct > 0) interval[0] = scale * (middle - spread);
    if (correct < n) interval[1] = scale * (middle + spread);
}

/* P(known > unknown) + P(equal) / 2: Mann and Whitney's U over its most (Hanley & McNeil 1982). */
double twi_auroc(const double *known, size_t n, const double *unknown, size_t m)
{
    size_t below = 0, upto = 0; /* of unknown: less than this one, and not more */
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        while (below < m && unknown[below] < known[i]) below++;
        while (upto < m && unknown[upto] <= known[i]) upto++;
        sum += ((double)below + (double)upto) / 2.0;
    }
    return sum / ((double)n * (double)m);
}

size_t twi_count_from(const double *sorted, size_t n, double least)
{
    size_t below = 0;
    while (below < n && sorted[below] < least) below++;
    return n - below;
}
