/* ir/ops/resize_util.h - what Resize and its gradient share. */
#ifndef GML_IR_OPS_RESIZE_UTIL_H
#define GML_IR_OPS_RESIZE_UTIL_H

#include "ir/grad.h"

/* What the scales and sizes operands say; the one that is not used has count 0. */
typedef struct gml_resize_request {
    const double *scales;
    const gml_dim *sizes;
    size_t n_scales;
    size_t n_sizes;
} gml_resize_request;

/* coordinate_transformation_mode is `mode`. */
bool gml_resize_coordinates_are(const gml_node *node, const char *mode);
/* The axis that entry `i` of scales, sizes and roi is for. */
int gml_resize_axis(const gml_node *node, size_t i, int rank);
/* The one scale of all axes where the aspect ratio is kept: the smallest or largest of their
 * own. 0 when each has its own. */
double gml_resize_common_scale(const gml_node *node, const gml_type *data,
                               const gml_resize_request *request);

gml_status gml_resize_grad(gml_grad *g);

#endif
