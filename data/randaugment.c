#include "data/randaugment.h"

#include "base/diag.h"
#include "data/affine.h"
#include "data/color.h"

#include <math.h>

static const uint8_t fill[3] = {GML_RAND_RED_GREEN_BLUE};

const char *gml_rand_operation_name(gml_rand_operation operation)
{
    static const char *const names[] = {
#define X(code, name) name,
        GML_RAND_OPERATIONS(X)
#undef X
    };
    return names[operation];
}

/* ---- drawing ----------------------------------------------------------------------------- */

gml_rand_augment gml_rand_draw(double magnitude, gml_rng *rng)
{
    gml_rand_augment augment;
    for (int i = 0; i < GML_RAND_STEPS; i++) {
        double unit = gml_rng_unit(rng);
        gml_rand_step *step = &augment.steps[i];
        step->operation = (gml_rand_operation)(unit * GML_RAND_OPERATION_COUNT);
        step->is_applied = gml_rng_unit(rng) < 0.5;
        step->is_negative = gml_rng_unit(rng) < 0.5;
        step->magnitude = magnitude + GML_RAND_DEVIATION * gml_rng_normal(rng);
        step->magnitude = fmin(fmax(step->magnitude, 0), GML_RAND_MOST);
    }
    return augment;
}

/* ---- applying ---------------------------------------------------------------------------- */

static gml_status rotate(double degrees, const gml_planes *planes, gml_work *work)
{
    gml_affine affine = gml_affine_rotation(degrees, planes->height, planes->width);
    return gml_affine_run(&affine, fill, planes, work);
}

/* The identity but for one number of its matrix. */
static gml_status warp(int place, double value, const gml_planes *planes, gml_work *work)
{
    gml_affine affine = {{1, 0, 0, 0, 1, 0}};
    affine.m[place] = value;
    return gml_affine_run(&affine, fill, planes, work);
}

gml_status gml_rand_step_run(const gml_rand_step *step, const gml_planes *planes,
                             gml_work *work)
{
    double t = step->magnitude / GML_RAND_MOST;
    double amount = step->is_negative ? -t : t;
    float factor = (float)fmax(0.1, 1 + 0.9 * amount);
    double height = (double)planes->height;
    double width = (double)planes->width;
    switch (step->operation) {
    case GML_RAND_AUTOCONTRAST: gml_color_autocontrast(planes); break;
    case GML_RAND_EQUALISE: gml_color_equalise(planes); break;
    case GML_RAND_INVERT: gml_color_invert(planes); break;
    case GML_RAND_ROTATE: return rotate(30 * amount, planes, work);
    case GML_RAND_POSTERISE: gml_color_posterise(planes, 4 - (int)(4 * t)); break;
    case GML_RAND_SOLARISE: gml_color_solarise(planes, 256 - (int)(256 * t)); break;
    case GML_RAND_SOLARISE_ADD: gml_color_lift(planes, (int)(110 * t), 128); break;
    case GML_RAND_COLOR: gml_color_saturation(planes, factor); break;
    case GML_RAND_CONTRAST: gml_color_contrast(planes, factor); break;
    case GML_RAND_BRIGHTNESS: gml_color_brightness(planes, factor); break;
    case GML_RAND_SHARPNESS: return gml_color_sharpness(planes, factor, work);
    case GML_RAND_SHEAR_X: return warp(1, 0.3 * amount, planes, work);
    case GML_RAND_SHEAR_Y: return warp(3, 0.3 * amount, planes, work);
    case GML_RAND_TRANSLATE_X: return warp(2, 0.45 * amount * width, planes, work);
    case GML_RAND_TRANSLATE_Y: return warp(5, 0.45 * amount * height, planes, work);
    case GML_RAND_OPERATION_COUNT: break;
    }
    return GML_OK;
}

gml_status gml_rand_apply(const gml_rand_augment *augment, const gml_planes *planes,
                          gml_work *work)
{
    for (int i = 0; i < GML_RAND_STEPS; i++)
        if (augment->steps[i].is_applied)
            GML_TRY(gml_rand_step_run(&augment->steps[i], planes, work));
    return GML_OK;
}
