/* base/eigen.h - eigenvalues of symmetric matrices, in double precision. */
#ifndef GML_BASE_EIGEN_H
#define GML_BASE_EIGEN_H

#include <stdbool.h>
#include <stdint.h>

/* The eigenvalues of the symmetric matrix `a` (n, n), of which the lower triangle is read and
 * all is overwritten, in no order. `work` has 2 n numbers, the last n of which are the result.
 * False when they are not found, which is for matrices with numbers that are none. About
 * 2 n^3 / 3 multiplications. */
bool gml_symmetric_eigenvalues(double *a, int64_t n, double *work);

/* exp of the entropy of the eigenvalues over their sum: how many directions a covariance uses,
 * from 1 to n. Negative ones, which rounding makes, count as 0. */
double gml_effective_rank(const double *eigenvalues, int64_t n);

#endif
