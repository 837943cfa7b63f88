/* api/picture.h - a picture file becomes a model's input.
 *
 * Decoded by the ImageDecoder operator's own decoders (JPEG, PNG, WebP, BMP, TIFF, …), resized
 * to the height and width that the input wants as Pillow's bilinear filter does (antialiased,
 * bit for bit), then scaled to 0..1 and normalised as (x - mean) / std. An input of 8-bit
 * elements gets the bytes.
 *
 * Inputs are [N,C,H,W] or [N,H,W,C] (C before H where both fit), [C,H,W] or [H,W,C], with 3
 * channels or 1 (luma), N 1 or open. Open H and W take the picture's own size.
 */
#ifndef GML_API_PICTURE_H
#define GML_API_PICTURE_H

#include "ir/type.h"

typedef struct gml_picture_options {
    bool skip_normalize; /* leave 0..1 */
    int n_mean, n_std;   /* values given: 0 (ImageNet's), 1 (for every channel) or 3 */
    double mean[3];
    double std[3];
} gml_picture_options;

/* True when the first bytes are those of a picture. */
bool gml_picture_is(const void *bytes, size_t len);

/* The bytes of a whole file; `loc` is for messages. */
typedef struct gml_picture_file {
    const void *bytes;
    size_t len;
    gml_loc loc;
} gml_picture_file;

/* `type` is the declared type of the input. The elements are in `arena`. */
GML_MUST_CHECK gml_status gml_picture_read(const gml_picture_file *file, const gml_type *type,
                                           const gml_picture_options *options, gml_arena *arena,
                                           gml_tensor *out_tensor, gml_diags *diags);

/* 8-bit pixels (height, width, channels) resized; both in `arena`. */
uint8_t *gml_picture_resize(const uint8_t *pixels, const int64_t size[2], int channels,
                            const int64_t new_size[2], gml_arena *arena);

#endif
