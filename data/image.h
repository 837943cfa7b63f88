/* data/image.h - pictures of 8 bits, as files have them and as the augmentation works on them.
 *
 * A gml_pixels is interleaved, as decoders and files are: (height, width, channels). A
 * gml_planes is (3, height, width), which lets loops over pixels run at full vector width. Both
 * are views.
 */
#ifndef GML_DATA_IMAGE_H
#define GML_DATA_IMAGE_H

#include <stdint.h>

typedef struct gml_pixels {
    const uint8_t *data;
    int64_t height, width;
    int channels; /* 1 or 3 */
} gml_pixels;

typedef struct gml_planes {
    uint8_t *data; /* red, green, blue */
    int64_t height, width;
} gml_planes;

/* A rectangle of a picture. */
typedef struct gml_crop {
    int64_t top, left, height, width; /* pixels */
} gml_crop;

#endif
