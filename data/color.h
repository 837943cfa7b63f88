/* data/color.h - operations on the pixels of three planes, as torchvision does them on Pillow's
 * images: 8 bits between operations, bit for bit.
 *
 * Everything works in place. Factors are single precision, as Pillow takes them. What needs
 * temporary memory answers GML_E_MEMORY; the planes are then in any state. Different planes may
 * be worked on on different threads, each with a gml_work of its own.
 */
#ifndef GML_DATA_COLOR_H
#define GML_DATA_COLOR_H

#include "data/image.h"
#include "data/work.h"

/* ImageEnhance.Brightness: a blend with black; 1 changes nothing, 0 gives black. */
void gml_color_brightness(const gml_planes *planes, float factor);
/* ImageEnhance.Contrast: a blend with the mean of the luma, rounded. */
void gml_color_contrast(const gml_planes *planes, float factor);
/* ImageEnhance.Color: a blend with the luma. */
void gml_color_saturation(const gml_planes *planes, float factor);
/* torchvision's adjust_hue: to 8-bit HSV, the hue moved by 255 `shift` (rounded towards zero,
 * wrapping around), and back. `shift` from -0.5 to 0.5. */
void gml_color_hue(const gml_planes *planes, double shift);
/* The luma in all three planes. */
void gml_color_grey(const gml_planes *planes);
/* ImageOps.solarize: 255 - v where v is at least `threshold`. */
void gml_color_solarise(const gml_planes *planes, int threshold);
/* ImageOps.autocontrast: each plane's darkest tone becomes 0, its brightest 255. */
void gml_color_autocontrast(const gml_planes *planes);
/* ImageOps.equalize: tones as frequent as each other, plane by plane. */
void gml_color_equalise(const gml_planes *planes);
/* ImageOps.invert: 255 - v. */
void gml_color_invert(const gml_planes *planes);
/* ImageOps.posterize, which takes 1 to 8: the `bits` highest bits, 0 to 8, stay; the others
 * become 0. */
void gml_color_posterise(const gml_planes *planes, int bits);
/* v + `amount`, at most 255, where v is less than `below`. */
void gml_color_lift(const gml_planes *planes, int amount, int below);
/* ImageEnhance.Sharpness: a blend with the picture smoothed. */
GML_MUST_CHECK gml_status gml_color_sharpness(const gml_planes *planes, float factor,
                                              gml_work *work);
/* ImageFilter.GaussianBlur(sigma), which is three box blurs a direction; `sigma` above 0. */
GML_MUST_CHECK gml_status gml_color_blur(const gml_planes *planes, float sigma, gml_work *work);
/* (v / 255 - mean) / std in single precision, as torchvision's ToTensor and Normalize; `out` is
 * (3, height, width). */
void gml_color_normalise(const gml_planes *planes, const float mean[3], const float std[3],
                         float *out);

#endif
