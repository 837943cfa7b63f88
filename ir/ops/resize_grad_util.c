/* ir/ops/resize_grad_util.c - the gradient of Resize.
 *
 * Resizing is linear, axis by axis: its gradient is the same with the matrices transposed. */
#include "ir/ops/build_util.h"
#include "ir/ops/resize_util.h"

#include <string.h>

/* The axis that decides the scale of all where the aspect ratio is kept. */
static size_t deciding_axis(const gml_node *node, const gml_type *data,
                            const gml_resize_request *request)
{
    double common = gml_resize_common_scale(node, data, request);
    size_t i = 0;
    for (; i + 1 < request->n_sizes; i++) {
        gml_dim size = data->dims[gml_resize_axis(node, i, data->rank)];
        if ((double)request->sizes[i] / (double)size == common)
            break;
    }
    return i;
}

/* The node's attributes for a resize along the first axis, and if `two` the last of three;
 * outside of a crop is nothing. */
static size_t copy_attrs(gml_grad *g, gml_attr *out_attrs, bool two)
{
    static const int64_t axes[2] = {0, 2};
    size_t n = 0;
    for (uint32_t k = 0; k < g->node->n_attrs; k++)
        if (strcmp(g->node->attrs[k].name, "axes") != 0 &&
            strcmp(g->node->attrs[k].name, "extrapolation_value") != 0)
            out_attrs[n++] = g->node->attrs[k];
    out_attrs[n++] = gml_attr_ints("axes", axes, two ? 2 : 1);
    return n;
}

/* The ends of entry `i` in the region of interest. */
static gml_value *region_of(gml_grad *g, size_t i)
{
    gml_value *roi = g->node->operands[1];
    int64_t n = roi->type.dims[0] / 2;
    gml_value *ends[2];
    for (int64_t k = 0; k < 2; k++)
        ends[k] = gml_build_slice(&g->b, roi, 0, (int64_t)i + k * n, (int64_t)i + k * n + 1);
    return gml_build_concat(&g->b, ends, 2, 0);
}

/* The matrix, results by operands, that resizing along axis `i` of the request multiplies by:
 * the identity resized. Where the aspect ratio is kept, (in, in, in of the axis that decides)
 * is resized along the first and last axis, and of the last, where all are equal, one is taken.
 */
static gml_value *matrix_of(gml_grad *g, size_t i, const gml_resize_request *request)
{
    gml_build *b = &g->b;
    gml_node *node = g->node;
    const gml_type *data = &node->operands[0]->type;
    gml_dtype dtype = g->results[0]->type.dtype;
    gml_attr *attrs_of =
        gml_new_array(&node->graph->module->arena, gml_attr, node->n_attrs + 2);
    bool keeps = gml_resize_common_scale(node, data, request) > 0;
    gml_dim size = data->dims[gml_resize_axis(node, i, data->rank)];
    gml_dim dims[3] = {size, size, 1};
    int64_t last = 2;
    gml_value *operands[4] = {
        gml_build_unary(b, &gml_op_eyelike, gml_build_zeros(b, dtype, dims, 2)), NULL, NULL,
        NULL};
    if (keeps) {
        size_t deciding = deciding_axis(node, data, request);
        const gml_dim wanted[2] = {request->sizes[i], request->sizes[deciding]};
        dims[2] = data->dims[gml_resize_axis(node, deciding, data->rank)];
        operands[0] =
            gml_build_binary(b, &gml_op_expand, gml_build_unsqueeze(b, operands[0], &last, 1),
                             gml_build_dims(b, dims, 3));
        operands[3] = gml_build_dims(b, wanted, 2);
    } else if (request->n_scales) {
        operands[2] = gml_build_reshape(b, gml_build_scalar(b, GML_F32, request->scales[i]),
                                        (const gml_dim[]){1}, 1);
    } else {
        operands[3] = gml_build_dims(b, &request->sizes[i], 1);
    }
    if (gml_resize_coordinates_are(node, "tf_crop_and_resize"))
        operands[1] = region_of(g, i);
    size_t n = copy_attrs(g, attrs_of, keeps);
    gml_value *matrix =
        gml_build_op(b, &gml_op_resize, operands, operands[3] ? 4 : 3, attrs_of, n);
    if (!keeps)
        return matrix;
    return gml_build_squeeze(b, gml_build_slice(b, matrix, 2, 0, 1), &last, 1);
}

gml_status gml_resize_grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_node *node = g->node;
    const gml_type *data = &node->operands[0]->type;
    gml_arena *arena = &node->graph->module->arena;
    gml_resize_request request = {0};
    if (gml_has_operand(node, 2))
        request.scales = gml_value_floats(node->operands[2], arena, &request.n_scales);
    if (gml_has_operand(node, 3))
        request.sizes = gml_value_elements(node->operands[3], arena, &request.n_sizes);
    bool crops = gml_resize_coordinates_are(node, "tf_crop_and_resize");
    if (crops && g->wanted[1] && !gml_node_string_is(node, "mode", "nearest"))
        return gml_fail(b->diags, GML_E_UNSUPPORTED, node->loc,
                        "no gradient by the region of interest");
    if (crops && (!gml_dim_is_const(node->operands[1]->type.dims[0]) ||
                  !gml_node_string_is(node, "keep_aspect_ratio_policy", "stretch")))
        return gml_fail(b->diags, GML_E_UNSUPPORTED, node->loc,
                        "no gradient of crops where the aspect ratio is kept");
    gml_value *dx = g->results[0];
    bool keeps = gml_resize_common_scale(node, data, &request) > 0;
    for (size_t i = 0; i < request.n_scales + request.n_sizes; i++) {
        int axis = gml_resize_axis(node, i, data->rank);
        bool same = request.n_scales > 0 ? request.scales[i] == 1
                                         : request.sizes[i] == data->dims[axis];
        if (same && !crops && !keeps)
            continue;
        int64_t perm[GML_MAX_RANK]; /* swaps the axis with the last one: its own inverse */
        size_t rank = (size_t)data->rank;
        for (size_t d = 0; d < rank; d++)
            perm[d] = (int64_t)d;
        perm[axis] = data->rank - 1;
        perm[rank - 1] = axis;
        gml_value *matrix = matrix_of(g, i, &request);
        gml_value *last = gml_build_transpose(b, dx, perm, rank);
        dx = gml_build_transpose(b, gml_build_matmul(b, last, matrix), perm, rank);
    }
    g->operands[0] = dx;
    return b->status;
}
