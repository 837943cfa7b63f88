/* data/geometry.h - where the second view lies in the frame of the first.
 *
 * The numbers of docs/siameseim.md, which the exported step turns into positions:
 *
 *     di = (i2 - i1)/h1   dj = (j2 - j1)/w1   dh = h2/h1   dw = w2/w1
 *     f = flip1 xor flip2   fj = (W - j1 - j2)/w1
 *
 * for crops (i, j, h, w) = (top, left, height, width), each in its own picture, mirrored or
 * not, of width W. In double precision, then rounded. Pure.
 */
#ifndef GML_DATA_GEOMETRY_H
#define GML_DATA_GEOMETRY_H

#include "data/augment.h"

#define GML_GEOMETRY 6

void gml_geometry(const gml_view *first, const gml_view *second, int64_t width,
                  float out_numbers[GML_GEOMETRY]);

#endif
