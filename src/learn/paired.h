/* paired.h - Student's t, and whether two classifiers differ over the folds they share. */
#ifndef TWI_LEARN_PAIRED_H
#define TWI_LEARN_PAIRED_H

#include <stddef.h>

/* P(T <= t) of Student's t with df > 0 degrees of freedom. */
double twi_student_cdf(double t, double df);
/* The t with twi_student_cdf(t, df) = p, 0 < p < 1. */
double twi_student_quantile(double p, double df);

/* The standard error of a mean over folds whose training parts overlap: Nadeau & Bengio (2003), eq.
 * 9: variance * (1 / folds + test / train). */
double twi_paired_error(const double *value, size_t folds, double test_to_train);
/* Two-sided p of the corrected resampled t-test that a [folds] and b [folds] have one mean; 1 when
 * they do not differ at all. */
double twi_paired_p(const double *a, const double *b, size_t folds, double test_to_train);

#endif
