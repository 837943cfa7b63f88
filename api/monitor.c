/* api/monitor.c - how many directions targets use. */
#include "api/monitor.h"

#include "base/eigen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GML_NORM_EPSILON 1e-5
#define GML_MAX_WIDTH    4096

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
    bool is_found = gml_symmetric_eigenvalues(s->correlation, s->width, s->work);
    out->effective_rank = is_found ? gml_effective_rank(s->work + s->width, s->width) : NAN;
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
