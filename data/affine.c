#include "data/affine.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define GML_PI   3.14159265358979323846
#define GML_TAPS 4

/* ---- rotations --------------------------------------------------------------------------- */

/* To 15 decimals, rounded once: the product is not exact, and so what is left of it decides. */
static double round_decimals(double x)
{
    const double scale = 1e15;
    double whole = rint(x * scale);
    double left = fma(x, scale, -whole);
    if (fabs(left) > 0.5)
        whole += left > 0 ? 1 : -1;
    return whole / scale;
}

gml_affine gml_affine_rotation(double degrees, int64_t height, int64_t width)
{
    double turned = fmod(degrees, 360);
    if (turned < 0)
        turned += 360; /* Python's remainder: another rounding than the negative angle's */
    double angle = -(turned * (GML_PI / 180));
    double x = (double)width / 2;
    double y = (double)height / 2;
    double cosine = round_decimals(cos(angle));
    double sine = round_decimals(sin(angle));
    gml_affine a = {{cosine, sine, 0, round_decimals(-sin(angle)), cosine, 0}};
    a.m[2] = a.m[0] * -x + a.m[1] * -y + x;
    a.m[5] = a.m[3] * -x + a.m[4] * -y + y;
    return a;
}

/* ---- pixels ------------------------------------------------------------------------------ */

/* Where a pixel comes from: columns of four, each inside, and the shares of what lies between
 * the second and the third. A row outside is that of the row before. */
typedef struct place {
    int64_t columns[GML_TAPS], rows[GML_TAPS];
    double dx, dy;
} place;

static int64_t clamp(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* False outside of the picture. */
static bool find_place(double x, double y, const gml_planes *planes, place *out)
{
    if (!(x >= 0 && x < (double)planes->width && y >= 0 && y < (double)planes->height))
        return false;
    double column = floor(x - 0.5);
    double row = floor(y - 0.5);
    out->dx = x - 0.5 - column;
    out->dy = y - 0.5 - row;
    for (int k = 0; k < GML_TAPS; k++) {
        out->columns[k] = clamp((int64_t)column - 1 + k, planes->width);
        out->rows[k] = clamp((int64_t)row - 1 + k, planes->height);
    }
    return true;
}

/* Between v[1] and v[2], in Pillow's order of operations. */
static double interpolate(const double v[GML_TAPS], double d)
{
    double first = -v[0] + v[2];
    double second = 2 * (v[0] - v[1]) + v[2] - v[3];
    double third = -v[0] + v[1] - v[2] + v[3];
    return v[1] + d * (first + d * (second + d * third));
}

static uint8_t sample(const uint8_t *plane, int64_t width, const place *p)
{
    double rows[GML_TAPS];
    for (int r = 0; r < GML_TAPS; r++) {
        const uint8_t *row = plane + p->rows[r] * width;
        const double v[GML_TAPS] = {row[p->columns[0]], row[p->columns[1]], row[p->columns[2]],
                                    row[p->columns[3]]};
        rows[r] = interpolate(v, p->dx);
    }
    double mixed = interpolate(rows, p->dy);
    return mixed <= 0 ? 0 : mixed >= 255 ? 255 : (uint8_t)mixed;
}

/* Pixel `i` of the three planes, each of `n`. */
static void fill_pixel(const double m[6], const uint8_t fill[3], const uint8_t *source,
                       const gml_planes *planes, int64_t i)
{
    int64_t n = planes->height * planes->width;
    int64_t row = i / planes->width;
    double x = (double)(i - row * planes->width) + 0.5;
    double y = (double)row + 0.5;
    place p = {.columns = {0}};
    bool is_inside =
        find_place(m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5], planes, &p);
    for (int64_t c = 0; c < 3; c++)
        planes->data[c * n + i] =
            is_inside ? sample(source + c * n, planes->width, &p) : fill[c];
}

gml_status gml_affine_run(const gml_affine *affine, const uint8_t fill[3],
                          const gml_planes *planes, gml_work *work)
{
    int64_t n = planes->height * planes->width;
    uint8_t *source = gml_work_get(work, GML_WORK_COPY, (size_t)(3 * n));
    if (source == NULL)
        return GML_E_MEMORY;
    memcpy(source, planes->data, (size_t)(3 * n));
    for (int64_t i = 0; i < n; i++)
        fill_pixel(affine->m, fill, source, planes, i);
    return GML_OK;
}
