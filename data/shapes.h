/* data/shapes.h - pictures of ten shapes, drawn: a labelled set that needs no file.
 *
 * A bright shape (disc, square, triangle, star, ring, cross, crescent, bar, half disc, L) of
 * random place, size, rotation and stretch on a nearly flat grey, with some noise, a tint and a
 * few strokes that mean nothing. Nothing that all parts of a picture share says which picture
 * it is, but with `polarity`: then half of the shapes are dark.
 *
 * A picture is a function of the options and its number. Its numbers are data/random.h's.
 */
#ifndef GML_DATA_SHAPES_H
#define GML_DATA_SHAPES_H

#include "gemel/types.h"

#define GML_SHAPES          10
#define GML_SHAPES_MAX_SIZE 1024

typedef struct gml_shapes {
    int64_t size; /* width and height, 8 to GML_SHAPES_MAX_SIZE; 48 is meant */
    uint64_t seed;
    uint32_t part; /* pictures of different parts (training, test) have nothing in common */
    bool polarity;
} gml_shapes;

/* "disc", …; `class` below GML_SHAPES. */
const char *gml_shapes_name(unsigned class);
/* The class of picture `i`, each as likely as any other. */
unsigned gml_shapes_class(const gml_shapes *shapes, uint32_t i);
/* Draws picture `i`: `out` is (size, size, 3). */
void gml_shapes_draw(const gml_shapes *shapes, uint32_t i, uint8_t *out);

#endif
