#include "data/augment.h"

#include "base/diag.h"
#include "data/color.h"
#include "data/resize.h"

#include <math.h>

#define GML_CROP_TRIES 10
#define GML_MAX_VIEW   8192 /* pixels a side */
#define GML_MAX_SIGMA  1000

/* ---- recipes ------------------------------------------------------------------------------
 */

gml_recipe gml_recipe_siameseim(int view)
{
    return (gml_recipe){.size = 224,
                        .crop_min = 0.08,
                        .crop_max = 1,
                        .aspect_max = 4.0 / 3,
                        .flip = 0.5,
                        .jitter = 0.8,
                        .brightness = 0.4,
                        .contrast = 0.4,
                        .saturation = 0.2,
                        .hue = 0.1,
                        .grey = 0.2,
                        .blur = view == 1 ? 1 : 0.1,
                        .blur_min = 0.1,
                        .blur_max = 2,
                        .solarise = view == 1 ? 0 : 0.2,
                        .solarise_from = 128,
                        .mean = {0.485f, 0.456f, 0.406f},
                        .std = {0.229f, 0.224f, 0.225f}};
}

void gml_recipe_drop_colors(gml_recipe *recipe)
{
    recipe->jitter = 0;
    recipe->grey = 0;
    recipe->blur = 0;
    recipe->solarise = 0;
}

/* NaN is outside. */
static bool is_within(double x, double low, double high)
{
    return x >= low && x <= high;
}

const char *gml_recipe_check(const gml_recipe *r)
{
    const double shares[] = {r->flip, r->jitter, r->grey, r->blur, r->solarise};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        if (!is_within(shares[i], 0, 1))
            return "a probability is not within 0 and 1";
    if (r->size < 1 || r->size > GML_MAX_VIEW)
        return "views are 1 to 8192 pixels a side";
    if (!(r->crop_min > 0) || !is_within(r->crop_max, r->crop_min, 1))
        return "the area of a crop is not within 0 and 1";
    if (!is_within(r->aspect_max, 1, 100))
        return "the aspect of a crop is not within 1 and 100";
    if (!is_within(r->brightness, 0, 1) || !is_within(r->contrast, 0, 1) ||
        !is_within(r->saturation, 0, 1) || !is_within(r->hue, 0, 0.5))
        return "a jitter is not within 0 and 1, or a hue's within 0 and 0.5";
    if (!(r->blur_min > 0) || !is_within(r->blur_max, r->blur_min, GML_MAX_SIGMA))
        return "the blur is not within 0 and 1000 pixels";
    for (int c = 0; c < 3; c++)
        if (!isfinite(r->mean[c]) || !isfinite(r->std[c]) || !(r->std[c] > 0))
            return "a mean or deviation of a channel is no number to normalise with";
    return NULL;
}

/* ---- drawing ------------------------------------------------------------------------------
 */

/* As large as the aspect allows, in the middle. */
static gml_crop central_crop(const gml_recipe *recipe, int64_t height, int64_t width)
{
    double aspect = (double)width / (double)height;
    gml_crop crop = {.height = height, .width = width};
    if (aspect < 1 / recipe->aspect_max)
        crop.height = (int64_t)rint((double)width / (1 / recipe->aspect_max));
    else if (aspect > recipe->aspect_max)
        crop.width = (int64_t)rint((double)height * recipe->aspect_max);
    crop.top = (height - crop.height) / 2;
    crop.left = (width - crop.width) / 2;
    return crop;
}

gml_crop gml_crop_draw(const gml_recipe *recipe, gml_rng *rng, int64_t height, int64_t width)
{
    gml_crop crop = {.height = 0};
    bool found = false;
    for (int i = 0; i < GML_CROP_TRIES; i++) {
        double bound = log(recipe->aspect_max);
        double area = (double)height * (double)width *
                      gml_rng_uniform(rng, recipe->crop_min, recipe->crop_max);
        double aspect = exp(gml_rng_uniform(rng, -bound, bound));
        double w = rint(sqrt(area * aspect));
        double h = rint(sqrt(area / aspect));
        if (found || w < 1 || h < 1 || w > (double)width || h > (double)height)
            continue;
        found = true;
        crop.height = (int64_t)h;
        crop.width = (int64_t)w;
    }
    double row = gml_rng_unit(rng);
    double column = gml_rng_unit(rng);
    if (!found)
        return central_crop(recipe, height, width);
    crop.top = (int64_t)(row * (double)(height - crop.height + 1));
    crop.left = (int64_t)(column * (double)(width - crop.width + 1));
    return crop;
}

static bool draw_chance(gml_rng *rng, double probability)
{
    return gml_rng_unit(rng) < probability;
}

/* The four in any order, each equally likely. */
static void draw_order(gml_rng *rng, gml_jitter order[GML_JITTERS])
{
    uint32_t numbers[GML_JITTERS] = {0, 1, 2, 3};
    gml_rng_shuffle(rng, numbers, GML_JITTERS);
    for (int i = 0; i < GML_JITTERS; i++)
        order[i] = (gml_jitter)numbers[i];
}

gml_view gml_view_draw(const gml_recipe *recipe, gml_rng *rng, int64_t height, int64_t width)
{
    gml_view view = {.flip = draw_chance(rng, recipe->flip)};
    view.crop = gml_crop_draw(recipe, rng, height, width);
    view.jitter = draw_chance(rng, recipe->jitter);
    double b = recipe->brightness;
    double c = recipe->contrast;
    double s = recipe->saturation;
    view.factors[GML_JITTER_BRIGHTNESS] = gml_rng_uniform(rng, 1 - b, 1 + b);
    view.factors[GML_JITTER_CONTRAST] = gml_rng_uniform(rng, 1 - c, 1 + c);
    view.factors[GML_JITTER_SATURATION] = gml_rng_uniform(rng, 1 - s, 1 + s);
    view.factors[GML_JITTER_HUE] = gml_rng_uniform(rng, -recipe->hue, recipe->hue);
    view.grey = draw_chance(rng, recipe->grey);
    bool blurs = draw_chance(rng, recipe->blur);
    double sigma = gml_rng_uniform(rng, recipe->blur_min, recipe->blur_max);
    view.sigma = blurs ? sigma : 0;
    view.solarise = draw_chance(rng, recipe->solarise);
    draw_order(rng, view.order); /* last: it may take any number of words */
    return view;
}

/* ---- applying -----------------------------------------------------------------------------
 */

static void jitter(const gml_view *view, const gml_planes *planes)
{
    for (int i = 0; i < GML_JITTERS; i++) {
        double factor = view->factors[view->order[i]];
        switch (view->order[i]) {
        case GML_JITTER_BRIGHTNESS: gml_color_brightness(planes, (float)factor); break;
        case GML_JITTER_CONTRAST: gml_color_contrast(planes, (float)factor); break;
        case GML_JITTER_SATURATION: gml_color_saturation(planes, (float)factor); break;
        case GML_JITTER_HUE: gml_color_hue(planes, factor); break;
        case GML_JITTERS: break;
        }
    }
}

gml_status gml_view_apply(const gml_recipe *recipe, const gml_view *view,
                          const gml_pixels *picture, gml_work *work, float *out)
{
    int64_t size = recipe->size;
    gml_resize resize = {.crop = view->crop,
                         .flip = view->flip,
                         .filter = GML_FILTER_BICUBIC,
                         .height = size,
                         .width = size};
    gml_planes planes = {gml_work_get(work, GML_WORK_PLANES, (size_t)(3 * size * size)), size,
                         size};
    if (planes.data == NULL)
        return GML_E_MEMORY;
    GML_TRY(gml_resize_run(&resize, picture, work, planes.data));
    if (view->jitter)
        jitter(view, &planes);
    if (view->grey)
        gml_color_grey(&planes);
    if (view->sigma > 0)
        GML_TRY(gml_color_blur(&planes, (float)view->sigma, work));
    if (view->solarise)
        gml_color_solarise(&planes, recipe->solarise_from);
    GML_TRY(gml_rand_apply(&view->rand, &planes, work));
    gml_color_normalise(&planes, recipe->mean, recipe->std, out);
    return GML_OK;
}
