/* api/monitor.c - how many directions targets use. */
#include "api/monitor.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GML_NORM_EPSILON 1e-5
#define GML_MAX_WIDTH    4096
#define GML_MAX_TURNS    64 /* for one eigenvalue; a handful is usual */

/* ---- eigenvalues --------------------------------------------------------------------------
 *
 * Householder's reflections make the matrix tridiagonal; then QR steps with Wilkinson's shift
 * chase a bulge down until it is diagonal. (Golub, Van Loan, Matrix Computations, 8.3.)
 */

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

/* ---- targets ------------------------------------------------------------------------------
 */

typedef struct sums {
    int64_t images, rows, width; /* rows: of an image */
    double *correlation;         /* (width, width): T' T, the lower triangle */
    double *units;               /* (width): the sum of rows of unit length */
    double *row, *image, *all;   /* (width): a row; sums of rows */
    double *work;                /* (2 width) */
    double squares, between;     /* sums of squares: of all elements, of images' sums */
} sums;

static void read_row(const gml_tensor *target, int64_t index, int64_t width, double *row)
{
    double mean = 0;
    double square = 0;
    for (int64_t j = 0; j < width; j++) {
        row[j] = target->dtype == GML_F64
                     ? ((const double *)target->data)[index * width + j]
                     : (double)((const float *)target->data)[index * width + j];
        mean += row[j];
    }
    mean /= (double)width;
    for (int64_t j = 0; j < width; j++) {
        row[j] -= mean;
        square += row[j] * row[j];
    }
    double scale = 1 / sqrt(square / (double)width + GML_NORM_EPSILON);
    for (int64_t j = 0; j < width; j++)
        row[j] *= scale;
}

static void add_row(sums *s)
{
    double square = 0;
    for (int64_t i = 0; i < s->width; i++) {
        square += s->row[i] * s->row[i];
        s->image[i] += s->row[i];
        double *line = s->correlation + i * s->width;
        for (int64_t j = 0; j <= i; j++)
            line[j] += s->row[i] * s->row[j];
    }
    s->squares += square;
    double scale = square > 0 ? 1 / sqrt(square) : 0;
    for (int64_t i = 0; i < s->width; i++)
        s->units[i] += scale * s->row[i];
}

static void add_rows(sums *s, const gml_tensor *target)
{
    for (int64_t image = 0; image < s->images; image++) {
        memset(s->image, 0, (size_t)s->width * sizeof *s->image);
        for (int64_t row = 0; row < s->rows; row++) {
            read_row(target, image * s->rows + row, s->width, s->row);
            add_row(s);
        }
        for (int64_t i = 0; i < s->width; i++) {
            s->all[i] += s->image[i];
            s->between += s->image[i] * s->image[i];
        }
    }
}

static double effective_rank(sums *s)
{
    double trace = 0;
    double entropy = 0;
    for (int64_t i = 0; i < s->width; i++)
        trace += s->correlation[i * s->width + i];
    if (!gml_symmetric_eigenvalues(s->correlation, s->width, s->work))
        return NAN;
    for (int64_t i = 0; i < s->width; i++) {
        double share = s->work[s->width + i] / trace;
        if (share > 0)
            entropy -= share * log(share);
    }
    return exp(entropy);
}

static void sum_up(sums *s, gml_monitor *out)
{
    double n = (double)(s->images * s->rows);
    double units = 0;
    double all = 0;
    for (int64_t i = 0; i < s->width; i++) {
        units += s->units[i] * s->units[i];
        all += s->all[i] * s->all[i];
    }
    double variance = s->squares / n - all / n / n;
    double between = s->between / n / (double)s->rows - all / n / n;
    out->mean_cosine = n > 1 ? (units - n) / (n * (n - 1)) : NAN;
    out->between_images = variance > 0 ? between / variance : NAN;
    out->effective_rank = effective_rank(s);
}

gml_status gml_monitor_targets(const gml_tensor *target, gml_monitor *out)
{
    int rank = target->rank;
    if ((target->dtype != GML_F32 && target->dtype != GML_F64) || (rank != 2 && rank != 3))
        return GML_E_UNSUPPORTED;
    sums s = {.images = target->dims[0],
              .rows = rank == 3 ? target->dims[1] : 1,
              .width = target->dims[rank - 1]};
    if (s.images < 1 || s.rows < 1 || s.width < 1 || s.width > GML_MAX_WIDTH)
        return GML_E_UNSUPPORTED;
    size_t width = (size_t)s.width;
    double *memory = calloc(width * (width + 6), sizeof *memory);
    if (memory == NULL)
        return GML_E_MEMORY;
    s.correlation = memory;
    s.units = memory + width * width;
    s.row = s.units + width;
    s.image = s.row + width;
    s.all = s.image + width;
    s.work = s.all + width;
    add_rows(&s, target);
    sum_up(&s, out);
    free(memory);
    return GML_OK;
}
