/* runtime/image.h - encoded pictures to pixels: JPEG, PNG, WebP, BMP, TIFF, JPEG 2000, PNM.
 *
 * The one place where pictures are decoded: the operator ImageDecoder and the data pipeline
 * both come here, and an artifact that decodes links it with the runtime. The format is told by
 * the first bytes.
 *
 * The result is 8-bit RGB, rows from the top, as Pillow's convert("RGB") has it: alpha is
 * dropped, grey becomes three equal channels, palettes and CMYK become colours, of 16 bits the
 * upper 8 stay. No colour profile and no orientation is applied.
 *
 * A file may hold anything: one that ends early is damaged, and a picture of more than
 * `max_pixels` is refused before memory is taken for it. The decoders of JPEG, PNG, WebP, TIFF
 * and JPEG 2000 are there when the build found their library; else they answer
 * GML_E_UNSUPPORTED.
 *
 * No state: different images may be decoded on different threads.
 */
#ifndef GML_RUNTIME_IMAGE_H
#define GML_RUNTIME_IMAGE_H

#include "gemel/types.h"
#include "runtime/scratch.h"

#define GML_MAX_PIXELS ((int64_t)1 << 28)

typedef struct gml_image {
    /* given */
    const uint8_t *bytes; /* of the file, borrowed */
    size_t size;
    int64_t max_pixels; /* 0: GML_MAX_PIXELS, which is also the most there is */
    /* JPEG only: the file may be decoded at 7/8, 6/8, … 1/8 of its size, as long as neither
     * side becomes less than this; 0: never. Faster, but other pixels. */
    int64_t least_side;
    gml_scratch *scratch; /* the pixels and all temporaries are in it */
    /* the result */
    uint8_t *pixels; /* (height, width, 3) */
    int64_t width, height;
    char error[160]; /* what is wrong, after a failure */
} gml_image;

/* GML_E_INVALID (damaged), GML_E_UNSUPPORTED, GML_E_RANGE (too many pixels), GML_E_MEMORY. */
GML_MUST_CHECK gml_status gml_image_decode(gml_image *image);

/* Luma of ITU-R 601 in 16-bit fixed point, Pillow's "L". */
static inline uint8_t gml_luma(uint8_t red, uint8_t green, uint8_t blue)
{
    return (uint8_t)((red * 19595u + green * 38470u + blue * 7471u + 0x8000u) >> 16);
}

#endif
