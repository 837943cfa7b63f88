/* eval/pictures.h - labelled pictures as a backbone's inputs.
 *
 * Whole pictures, as evaluations have them: the shorter side becomes `resize` pixels, then the
 * middle `crop` by `crop` pixels are taken (torchvision's Resize and CenterCrop, with Pillow's
 * pixels), then (v / 255 - mean) / std. Or, to train a probe, a random crop, mirrored or not.
 *
 * Pictures are decoded by threads of the call; what comes out does not depend on their number.
 */
#ifndef GML_EVAL_PICTURES_H
#define GML_EVAL_PICTURES_H

#include "data/augment.h"
#include "data/dataset.h"
#include "data/resize.h"
#include "eval/graph.h"

typedef struct gml_eval_recipe {
    int64_t resize, crop;
    gml_filter filter;
    float mean[3], std[3];
} gml_eval_recipe;

/* A folder with classes. */
typedef struct gml_eval_set {
    gml_dataset *dataset;
    uint32_t count;
    uint32_t n_classes;
    const int64_t *labels; /* (count), in the arena: numbers of the training set's classes */
} gml_eval_set;

/* `train` is NULL for the training set itself: else the classes are numbered as there.
 * GML_E_INVALID when a picture has no class, or one that `train` lacks. */
GML_MUST_CHECK gml_status gml_eval_set_open(const char *path, const gml_eval_set *train,
                                            gml_eval_set *out_set,
                                            const gml_eval_context *context);
void gml_eval_set_close(gml_eval_set *set);

/* How a random crop is drawn. */
typedef enum gml_eval_crop {
    GML_CROP_NONE,  /* the whole picture */
    GML_CROP_ONCE,  /* of the linear probe: sides are cut at the picture's (MAE's) */
    GML_CROP_RETRY, /* of fine-tuning: torchvision's, ten tries */
} gml_eval_crop;

typedef struct gml_eval_draw {
    gml_eval_crop crop;
    uint32_t epoch;   /* of what is drawn */
    double magnitude; /* of RandAugment, which follows a random crop; 0: none */
} gml_eval_draw;

/* Which pictures, and how they are taken. */
typedef struct gml_eval_pick {
    const gml_eval_set *set;
    const gml_eval_recipe *recipe;
    gml_eval_draw draw;
    const uint32_t *indices; /* of the set */
    size_t n;
} gml_eval_pick;

/* `out` is (n, 3, crop, crop). A picture that cannot be used is GML_E_INVALID or what reading
 * says; the first one of the pick is named. */
GML_MUST_CHECK gml_status gml_eval_pictures(const gml_eval_pick *pick, float *out,
                                            const gml_eval_context *context);

/* The middle of picture `i` as a JPEG file of size by size pixels, appended to `out`. */
GML_MUST_CHECK gml_status gml_eval_thumbnail(const gml_eval_set *set, uint32_t i, int64_t size,
                                             gml_str *out, gml_diags *diags);

#endif
