/* weights/elements.h - elements of weights in another type, turned, or on another grid.
 *
 * Sources may have any alignment. Pure functions; any thread. */
#ifndef GML_WEIGHTS_ELEMENTS_H
#define GML_WEIGHTS_ELEMENTS_H

#include "gemel/types.h"

/* True for floats of 16 to 64 bits, between which the functions below convert. */
bool gml_elements_allow(gml_dtype dtype);

/* Rounds to nearest, ties to even; what is out of range becomes infinity. */
void gml_elements_convert(gml_dtype from_type, const void *from, gml_dtype to_type, void *to,
                          size_t count);
/* The transpose of a matrix of `rows` x `columns` elements, converted. */
void gml_elements_turn(gml_dtype from_type, const void *from, int64_t rows, int64_t columns,
                       gml_dtype to_type, void *to);

/* A table of `channels` numbers for each cell of a grid. */
typedef struct gml_grid {
    int64_t rows, columns;
} gml_grid;

/* Bicubic interpolation (a = -0.75) between cells' centres, cells beyond the border being those
 * at it: what torch.nn.functional.interpolate does with mode="bicubic", align_corners=False and
 * a size. `from` has gml_elements_allow's types; `to` is f32. Computed in double precision. */
void gml_elements_resize(gml_dtype from_type, const void *from, gml_grid from_grid,
                         gml_grid to_grid, int64_t channels, float *to);

#endif
