/* paired.c - Student's t through the incomplete beta function, and the corrected resampled t-test.
 */
#include "learn/paired.h"

#include <math.h>

/* The continued fraction of the incomplete beta function by Lentz's method: Abramowitz & Stegun
 * (1964), 26.5.8. */
static double beta_fraction(double x, double a, double b)
{
    const double tiny = 1e-300;
    double c = 1.0, d = 1.0 - (a + b) * x / (a + 1.0);
    d = 1.0 / (fabs(d) < tiny ? tiny : d);
    double f = d;
    for (int m = 1; m < 1000; m++) {
        const double n = m, even = n * (b - n) * x / ((a + 2.0 * n - 1.0) * (a + 2.0 * n));
        const double odd = -(a + n) * (a + b + n) * x / ((a + 2.0 * n) * (a + 2.0 * n + 1.0));
        const double terms[2] = {even, odd};
        double factor = 1.0;
        for (int k = 0; k < 2; k++) {
            d = 1.0 + terms[k] * d;
            d = 1.0 / (fabs(d) < tiny ? tiny : d);
            c = 1.0 + terms[k] / c;
            if (fabs(c) < tiny) c = tiny;
            factor = c * d;
            f *= factor;
        }
        if (fabs(factor - 1.0) < 1e-16) break;
    }
    return f;
}

/* I_x(a, b), regularised. */
static double incomplete_beta(double x, double a, double b)
{
    if (!(x > 0.0)) return 0.0;
    if (!(x < 1.0)) return 1.0;
    const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1.0) / (a + b + 2.0)) return front * beta_fraction(x, a, b) / a;
    return 1.0 - front * beta_fraction(1.0 - x, b, a) / b;
}

double twi_student_cdf(double t, double df)
{
    if (!isfinite(t)) return t > 0.0 ? 1.0 : 0.0;
    const double tail = 0.5 * incomplete_beta(df / (df + t * t), 0.5 * df, 0.5);
    return t > 0.0 ? 1.0 - tail : tail;
}

double twi_student_quantile(double p, double df)
{
    double low = -1.0, high = 1.0;
    while (twi_student_cdf(low, df) > p && low > -1e150) low *= 2.0;
    while (twi_student_cdf(high, df) < p && high < 1e150) high *= 2.0;
    for (int i = 0; i < 200 && high - low > 1e-15 * (fabs(low) + fabs(high)); i++) {
        const double middle = 0.5 * (low + high);
        if (twi_student_cdf(middle, df) < p)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

static double mean_of(const double *value, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += value[i];
    return sum / (double)n;
}

double twi_paired_error(const double *value, size_t folds, double test_to_train)
{
    if (folds < 2) return NAN;
    const double mean = mean_of(value, folds), n = (double)folds;
    double square = 0.0;
    for (size_t i = 0; i < folds; i++) square += (value[i] - mean) * (value[i] - mean);
    return sqrt(square / (n - 1.0) * (1.0 / n + test_to_train));
}

double twi_paired_p(const double *a, const double *b, size_t folds, double test_to_train)
{
    double mean = 0.0, square = 0.0;
    const double n = (double)folds;
    if (folds < 2) return 1.0;
    for (size_t i = 0; i < folds; i++) mean += (a[i] - b[i]) / n;
    for (size_t i = 0; i < folds; i++) {
        const double off = a[i] - b[i] - mean;
        square += off * off;
    }
    if (mean == 0.0) return 1.0;
    const double error = sqrt(square / (n - 1.0) * (1.0 / n + test_to_train));
    if (!(error > 0.0)) return 0.0; /* the same difference in every fold */
    return 2.0 * twi_student_cdf(-fabs(mean / error), n - 1.0);
}
