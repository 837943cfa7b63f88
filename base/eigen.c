/* base/eigen.c - eigenvalues of symmetric matrices.
 *
 * Householder's reflections make the matrix tridiagonal; then QR steps with Wilkinson's shift
 * chase a bulge down until it is diagonal. (Golub, Van Loan, Matrix Computations, 8.3.)
 */
#include "base/eigen.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define GML_MAX_TURNS 64 /* for one eigenvalue; a handful is usual */

/* Reflects row and column `k` so that nothing but a[k+1][k] is left below the diagonal: with v
 * = x + sign(x0) |x| e0 and b = 2 / v'v, A becomes A - v w' - w v', where p = b A v and w = p -
 * (b p'v / 2) v. Returns that element. The lower triangle alone counts. */
static double reflect(double *a, int64_t n, int64_t k, double *v, double *w)
{
    double length = 0;
    for (int64_t i = k + 1; i < n; i++) {
        v[i] = a[i * n + k];
        length += v[i] * v[i];
    }
    double rest = length - v[k + 1] * v[k + 1];
    if (rest <= 0)
        return v[k + 1];
    double first = v[k + 1];
    double turned = first > 0 ? -sqrt(length) : sqrt(length);
    v[k + 1] = first - turned;
    double b = 2 / (rest + v[k + 1] * v[k + 1]);
    memset(w, 0, (size_t)n * sizeof *w);
    for (int64_t i = k + 1; i < n; i++) {
        double sum = a[i * n + i] * v[i];
        for (int64_t j = k + 1; j < i; j++) {
            sum += a[i * n + j] * v[j];
            w[j] += a[i * n + j] * v[i];
        }
        w[i] += sum;
    }
    double both = 0;
    for (int64_t i = k + 1; i < n; i++) {
        w[i] *= b;
        both += w[i] * v[i];
    }
    for (int64_t i = k + 1; i < n; i++)
        w[i] -= b * both / 2 * v[i];
    for (int64_t i = k + 1; i < n; i++)
        for (int64_t j = k + 1; j <= i; j++)
            a[i * n + j] -= v[i] * w[j] + w[i] * v[j];
    return turned;
}

/* One QR step on rows `low` to `high` of the tridiagonal matrix. */
static void chase(double *diagonal, double *off, int64_t low, int64_t high)
{
    double d = (diagonal[high - 1] - diagonal[high]) / 2;
    double e = off[high - 1];
    double shift = diagonal[high] - e * e / (d + (d < 0 ? -1 : 1) * hypot(d, e));
    double x = diagonal[low] - shift;
    double z = off[low];
    for (int64_t k = low; k < high; k++) {
        double r = hypot(x, z);
        double c = r > 0 ? x / r : 1;
        double s = r > 0 ? z / r : 0;
        double p = diagonal[k];
        double q = diagonal[k + 1];
        double t = off[k];
        if (k > low)
            off[k - 1] = r;
        diagonal[k] = c * c * p + 2 * c * s * t + s * s * q;
        diagonal[k + 1] = s * s * p - 2 * c * s * t + c * c * q;
        off[k] = c * s * (q - p) + (c * c - s * s) * t;
        if (k + 1 < high) {
            x = off[k];
            z = s * off[k + 1];
            off[k + 1] *= c;
        }
    }
}

static bool diagonalise(double *diagonal, double *off, int64_t n)
{
    int64_t high = n - 1;
    for (int turns = 0; high > 0;) {
        int64_t low = high;
        while (low > 0 && !(fabs(off[low - 1]) <=
                            DBL_EPSILON * (fabs(diagonal[low - 1]) + fabs(diagonal[low]))))
            low--;
        if (low == high) {
            high--;
            turns = 0;
        } else if (++turns > GML_MAX_TURNS || !isfinite(off[high - 1])) {
            return false;
        } else {
            chase(diagonal, off, low, high);
        }
    }
    return true;
}

bool gml_symmetric_eigenvalues(double *a, int64_t n, double *work)
{
    double *off = work; /* before that: w of a reflection; v lies where the result will be */
    double *diagonal = work + n;
    for (int64_t k = 0; k + 2 < n; k++) {
        double element = reflect(a, n, k, diagonal, off);
        a[k * n + k + 1] = element; /* the upper triangle is free */
    }
    for (int64_t k = 0; k < n; k++)
        diagonal[k] = a[k * n + k];
    for (int64_t k = 0; k + 1 < n; k++)
        off[k] = k + 2 < n ? a[k * n + k + 1] : a[(k + 1) * n + k];
    return diagonalise(diagonal, off, n);
}

double gml_effective_rank(const double *eigenvalues, int64_t n)
{
    double sum = 0;
    double entropy = 0;
    for (int64_t i = 0; i < n; i++)
        sum += fmax(eigenvalues[i], 0);
    for (int64_t i = 0; i < n; i++) {
        double share = fmax(eigenvalues[i], 0) / sum;
        entropy -= share > 0 ? share * log(share) : 0;
    }
    return exp(entropy);
}
