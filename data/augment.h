/* data/augment.h - a view of a picture: what is drawn for it, and what it then looks like.
 *
 * Drawing and applying are apart: a gml_view is a function of the recipe, the numbers and the
 * picture's size; its tensor is a function of the view and the pixels. In this order:
 *
 *   flip of the whole picture, left to right
 *   random resized crop (torchvision's), bicubic
 *   jitter: brightness, contrast, saturation, hue, in a drawn order
 *   grey, Gaussian blur, solarise
 *   RandAugment's operations, where the caller has drawn some (data/randaugment.h)
 *   to float, normalised
 *
 * each with a probability; one of 0 leaves the step out. All numbers of a view are drawn
 * whether they are used or not, so that one option does not move the others.
 */
#ifndef GML_DATA_AUGMENT_H
#define GML_DATA_AUGMENT_H

#include "data/image.h"
#include "data/randaugment.h"

typedef struct gml_recipe {
    int64_t size;              /* of a view: `size` by `size` pixels */
    double crop_min, crop_max; /* share of the picture's area */
    double aspect_max;         /* width over height is within 1/aspect_max … aspect_max */
    double flip;               /* probability */
    double jitter;             /* probability */
    double brightness, contrast, saturation; /* factors within 1 - x … 1 + x */
    double hue;                              /* shift within -x … x turns, at most 0.5 */
    double grey;                             /* probability */
    double blur;                             /* probability */
    double blur_min, blur_max;               /* standard deviation, pixels */
    double solarise;                         /* probability */
    int solarise_from;                       /* threshold, 0 to 256 */
    float mean[3], std[3];                   /* of red, green, blue in 0 … 1 */
} gml_recipe;

typedef enum gml_jitter {
    GML_JITTER_BRIGHTNESS,
    GML_JITTER_CONTRAST,
    GML_JITTER_SATURATION,
    GML_JITTER_HUE,
    GML_JITTERS
} gml_jitter;

/* What was drawn for one view. */
typedef struct gml_view {
    bool flip;
    gml_crop crop; /* in the picture, after the flip */
    bool jitter;
    gml_jitter order[GML_JITTERS];
    double factors[GML_JITTERS]; /* by gml_jitter; the hue's is the shift */
    bool grey;
    double sigma; /* of the blur; 0: none */
    bool solarise;
    gml_rand_augment rand; /* gml_view_draw leaves all of its steps out */
} gml_view;

/* SiameseIM's recipes at 224 pixels: view 1 is always blurred, view 2 sometimes blurred and
 * solarised. */
gml_recipe gml_recipe_siameseim(int view);
/* Neither jitter, grey, blur nor solarise. */
void gml_recipe_drop_colors(gml_recipe *recipe);
/* A word on what is wrong with it, or NULL. */
const char *gml_recipe_check(const gml_recipe *recipe);

/* torchvision's RandomResizedCrop.get_params: up to ten tries, then the largest central crop
 * whose aspect is allowed. `height` and `width` at least 1. */
gml_crop gml_crop_draw(const gml_recipe *recipe, gml_rng *rng, int64_t height, int64_t width);
gml_view gml_view_draw(const gml_recipe *recipe, gml_rng *rng, int64_t height, int64_t width);

/* `out` is (3, size, size). GML_E_MEMORY, or GML_E_RANGE for a crop outside of the picture. */
GML_MUST_CHECK gml_status gml_view_apply(const gml_recipe *recipe, const gml_view *view,
                                         const gml_pixels *picture, gml_work *work, float *out);

#endif
