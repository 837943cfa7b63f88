/* data/randaugment.h - RandAugment: a few operations, drawn for each picture, of a strength.
 *
 * The recipe of published fine-tunings: GML_RAND_STEPS operations, each one of
 * GML_RAND_OPERATIONS with equal chance, so the same may come twice; each is applied with
 * probability 1/2. Its magnitude is of a normal distribution with deviation 1/2, cut to 0
 * ... 10. With t a tenth of it and a sign by a coin where there is one,
 *
 *     autocontrast, equalise, invert     whatever t is
 *     rotate                             by +-30 t degrees
 *     posterise                          to 4 - floor(4 t) bits
 *     solarise                           from 256 - floor(256 t)
 *     solarise-add                       floor(110 t) is added below 128
 *     color, contrast, brightness, sharpness      by max(0.1, 1 +- 0.9 t)
 *     shear-x, shear-y                   by +-0.3 t
 *     translate-x, translate-y           by +-0.45 t of the size
 *
 * so that more is always stronger. Pixels are Pillow's; what comes from outside of the picture
 * has ImageNet's mean colour.
 */
#ifndef GML_DATA_RANDAUGMENT_H
#define GML_DATA_RANDAUGMENT_H

#include "data/image.h"
#include "data/random.h"
#include "data/work.h"

#include <stdbool.h>

#define GML_RAND_OPERATIONS(X)                                                                 \
    X(AUTOCONTRAST, "autocontrast")                                                            \
    X(EQUALISE, "equalise")                                                                    \
    X(INVERT, "invert")                                                                        \
    X(ROTATE, "rotate")                                                                        \
    X(POSTERISE, "posterise")                                                                  \
    X(SOLARISE, "solarise")                                                                    \
    X(SOLARISE_ADD, "solarise-add")                                                            \
    X(COLOR, "color")                                                                          \
    X(CONTRAST, "contrast")                                                                    \
    X(BRIGHTNESS, "brightness")                                                                \
    X(SHARPNESS, "sharpness")                                                                  \
    X(SHEAR_X, "shear-x")                                                                      \
    X(SHEAR_Y, "shear-y")                                                                      \
    X(TRANSLATE_X, "translate-x")                                                              \
    X(TRANSLATE_Y, "translate-y")

typedef enum gml_rand_operation {
#define X(code, name) GML_RAND_##code,
    GML_RAND_OPERATIONS(X)
#undef X
        GML_RAND_OPERATION_COUNT
} gml_rand_operation;

#define GML_RAND_STEPS          2
#define GML_RAND_MOST           10.0 /* the strongest magnitude */
#define GML_RAND_DEVIATION      0.5
#define GML_RAND_RED_GREEN_BLUE 124, 116, 104

typedef struct gml_rand_step {
    gml_rand_operation operation;
    bool is_applied, is_negative;
    double magnitude; /* 0 to GML_RAND_MOST */
} gml_rand_step;

typedef struct gml_rand_augment {
    gml_rand_step steps[GML_RAND_STEPS];
} gml_rand_augment;

/* "rotate". */
const char *gml_rand_operation_name(gml_rand_operation operation);
/* All numbers are drawn whether they are used or not. `magnitude` is the mean. */
gml_rand_augment gml_rand_draw(double magnitude, gml_rng *rng);
/* Whether the step is applied or not was asked before. GML_E_MEMORY. */
GML_MUST_CHECK gml_status gml_rand_step_run(const gml_rand_step *step, const gml_planes *planes,
                                            gml_work *work);
/* Those steps that are applied, in order. */
GML_MUST_CHECK gml_status gml_rand_apply(const gml_rand_augment *augment,
                                         const gml_planes *planes, gml_work *work);

#endif
