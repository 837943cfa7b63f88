/* data/affine.h - pictures turned, sheared and moved: Pillow's Image.rotate and
 * Image.transform(AFFINE) with BICUBIC and a fill colour, bit for bit.
 *
 * The pixel at (x, y) becomes what the picture has at
 *
 *     (m[0] x + m[1] y + m[2],  m[3] x + m[4] y + m[5])
 *
 * where pixels' centres are at halves; by Keys' filter with a = -1 over 4 by 4 pixels (the one
 * of data/resize.h has -1/2), truncated to 8 bits. What lies outside has the fill colour.
 */
#ifndef GML_DATA_AFFINE_H
#define GML_DATA_AFFINE_H

#include "data/image.h"
#include "data/work.h"

typedef struct gml_affine {
    double m[6];
} gml_affine;

/* Counterclockwise around the middle of a picture of that size, degrees. */
gml_affine gml_affine_rotation(double degrees, int64_t height, int64_t width);

/* In place; `fill` is red, green, blue. GML_E_MEMORY. */
GML_MUST_CHECK gml_status gml_affine_run(const gml_affine *affine, const uint8_t fill[3],
                                         const gml_planes *planes, gml_work *work);

#endif
