/* weights/elements.c - elements of weights in another type, turned, or on another grid. */
#include "weights/elements.h"

#include "base/half.h"

#include <math.h>
#include <string.h>

#define GML_TILE 32

bool gml_elements_allow(gml_dtype dtype)
{
    return dtype == GML_F16 || dtype == GML_BF16 || dtype == GML_F32 || dtype == GML_F64;
}

static double load(gml_dtype dtype, const char *from)
{
    float single = 0;
    double number = 0;
    uint16_t bits = 0;
    if (dtype == GML_F32) {
        memcpy(&single, from, sizeof single);
        return (double)single;
    }
    if (dtype == GML_F64) {
        memcpy(&number, from, sizeof number);
        return number;
    }
    memcpy(&bits, from, sizeof bits);
    return (double)gml_small_to_float(dtype, bits);
}

static void store(gml_dtype dtype, double number, char *to)
{
    if (dtype == GML_F32) {
        float single = (float)number;
        memcpy(to, &single, sizeof single);
    } else if (dtype == GML_F64) {
        memcpy(to, &number, sizeof number);
    } else {
        uint16_t bits = gml_small_from_double(dtype, number, false, GML_ROUND_NEAREST);
        memcpy(to, &bits, sizeof bits);
    }
}

void gml_elements_convert(gml_dtype from_type, const void *from, gml_dtype to_type, void *to,
                          size_t count)
{
    size_t from_size = gml_dtype_size(from_type);
    size_t to_size = gml_dtype_size(to_type);
    if (from_type == to_type) {
        memcpy(to, from, count * to_size);
        return;
    }
    for (size_t i = 0; i < count; i++)
        store(to_type, load(from_type, (const char *)from + i * from_size),
              (char *)to + i * to_size);
}

static void turn_tile(gml_dtype from_type, const char *from, const int64_t shape[2],
                      gml_dtype to_type, char *to, const int64_t corner[2])
{
    int64_t size = (int64_t)gml_dtype_size(from_type);
    int64_t to_size = (int64_t)gml_dtype_size(to_type);
    for (int64_t r = corner[0]; r < shape[0] && r < corner[0] + GML_TILE; r++)
        for (int64_t c = corner[1]; c < shape[1] && c < corner[1] + GML_TILE; c++) {
            const char *element = from + (r * shape[1] + c) * size;
            char *place = to + (c * shape[0] + r) * to_size;
            if (from_type == to_type)
                memcpy(place, element, (size_t)size);
            else
                store(to_type, load(from_type, element), place);
        }
}

void gml_elements_turn(gml_dtype from_type, const void *from, int64_t rows, int64_t columns,
                       gml_dtype to_type, void *to)
{
    for (int64_t r = 0; r < rows; r += GML_TILE)
        for (int64_t c = 0; c < columns; c += GML_TILE)
            turn_tile(from_type, from, (int64_t[]){rows, columns}, to_type, to,
                      (int64_t[]){r, c});
}

/* ---- grids ------------------------------------------------------------------------------- */

/* What one output coordinate takes from four input coordinates. */
typedef struct tap {
    int64_t at[4];
    double share[4];
} tap;

/* Keys' cubic kernel at distance x, 0 <= x < 2. */
static double cubic(double x)
{
    const double a = -0.75;
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

static tap find_tap(int64_t i, int64_t n_in, int64_t n_out)
{
    double center = ((double)i + 0.5) * ((double)n_in / (double)n_out) - 0.5;
    double low = floor(center);
    double t = center - low;
    tap made;
    for (int k = 0; k < 4; k++) {
        int64_t at = (int64_t)low - 1 + k;
        made.at[k] = at < 0 ? 0 : at >= n_in ? n_in - 1 : at;
        made.share[k] = cubic(fabs(t + 1 - k));
    }
    return made;
}

/* Where the numbers of the input are. */
typedef struct source {
    gml_dtype dtype;
    const char *data;
    int64_t columns, channels;
} source;

/* One number: of channel c, 4 x 4 cells around the place. */
static double blend(const source *from, const tap *down, const tap *along, int64_t c)
{
    int64_t size = (int64_t)gml_dtype_size(from->dtype);
    double sum = 0;
    for (int k = 0; k < 16; k++) {
        int64_t cell = down->at[k / 4] * from->columns + along->at[k % 4];
        const char *at = from->data + (cell * from->channels + c) * size;
        sum += down->share[k / 4] * along->share[k % 4] * load(from->dtype, at);
    }
    return sum;
}

void gml_elements_resize(gml_dtype from_type, const void *from, gml_grid from_grid,
                         gml_grid to_grid, int64_t channels, float *to)
{
    source in = {from_type, from, from_grid.columns, channels};
    for (int64_t y = 0; y < to_grid.rows; y++) {
        tap down = find_tap(y, from_grid.rows, to_grid.rows);
        for (int64_t x = 0; x < to_grid.columns; x++) {
            tap along = find_tap(x, from_grid.columns, to_grid.columns);
            for (int64_t c = 0; c < channels; c++)
                *to++ = (float)blend(&in, &down, &along, c);
        }
    }
}
