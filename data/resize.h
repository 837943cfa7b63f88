/* data/resize.h - Pillow's resampling of 8-bit pixels, bit for bit.
 *
 * Image.resize of Image.crop: nothing outside the crop is looked at. Antialiased: shrinking
 * looks at every pixel.
 */
#ifndef GML_DATA_RESIZE_H
#define GML_DATA_RESIZE_H

#include "data/image.h"
#include "data/work.h"

typedef enum gml_filter {
    GML_FILTER_BILINEAR, /* a triangle of half-width 1 */
    GML_FILTER_BICUBIC,  /* Keys' with a = -1/2, half-width 2 */
} gml_filter;

/* What to take of `source`, and what to make of it. */
typedef struct gml_resize {
    gml_crop crop; /* inside the source, not empty, after the flip */
    bool flip;     /* the source is mirrored left to right before it is cropped */
    gml_filter filter;
    int64_t height, width; /* of the result, at least 1 */
} gml_resize;

/* `out` has room for (channels, height, width) bytes. GML_E_MEMORY; GML_E_RANGE when the crop
 * does not lie in the source, or a side is above 2^24 or so large that weights would not fit.
 */
GML_MUST_CHECK gml_status gml_resize_run(const gml_resize *resize, const gml_pixels *source,
                                         gml_work *work, uint8_t *out);

#endif
