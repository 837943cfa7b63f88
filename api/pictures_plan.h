/* api/pictures_plan.h - from a model's inputs to the options of a loader. Private to api/. */
#ifndef GML_API_PICTURES_PLAN_H
#define GML_API_PICTURES_PLAN_H

#include "api/pictures.h"

#define GML_NO_INPUT SIZE_MAX

/* Numbers of the model's inputs; GML_NO_INPUT: there is none. */
typedef struct gml_picture_places {
    size_t views[2];
    size_t visible, geometry, labels;
} gml_picture_places;

/* GML_E_USAGE names the input or option that will not do. The model has a first view. */
GML_MUST_CHECK gml_status gml_pictures_make_plan(const gml_model *model,
                                                 const gml_pictures_options *options,
                                                 gml_loader_options *out_plan,
                                                 gml_picture_places *out_places,
                                                 gml_diags *diags);

#endif
