/* frontend/opset_math.c - upgrades of operators whose meaning changed. */
#include "frontend/opset_rules.h"
#include "ir/op.h"

#include <string.h>

/* `value` with `count` dimensions of size 1 after its `rank`. */
static gml_status append_ones(gml_draft *draft, gml_value *value, int rank, int count,
                              gml_value **out_value)
{
    int64_t axes[GML_MAX_RANK];
    for (int i = 0; i < count; i++)
        axes[i] = rank + i;
    gml_value *operands[] = {value, gml_draft_ints(draft, axes, (size_t)count)};
    return gml_draft_emit(draft, "Unsqueeze", operands, 2, NULL, out_value);
}

/* Statistics of the batch were computed when their outputs were asked for; that form had
 * another variance, and no model in use has it. */
gml_status gml_upgrade_batch_normalization(gml_draft *draft)
{
    if (gml_draft_int(draft, "spatial", 1) != 1)
        return gml_draft_refuse(draft, "spatial = 0 is not supported");
    for (unsigned i = 1; i < draft->n_outputs; i++) {
        if (gml_draft_wants(draft, i))
            return gml_draft_refuse(draft, "training is supported from opset 14 on");
    }
    draft->n_outputs = draft->n_outputs < 1 ? draft->n_outputs : 1;
    gml_draft_drop(draft, "spatial");
    gml_draft_drop(draft, "is_test");
    gml_draft_drop(draft, "consumed_inputs");
    return GML_OK;
}

/* Before opset 7 the dimensions of operand 1 lined up with those of operand 0 from `axis` on;
 * without it, with the last ones, as today. */
gml_status gml_upgrade_broadcast(gml_draft *draft)
{
    const gml_attr *attr = gml_draft_find(draft, "axis", GML_ATTR_INT);
    gml_draft_drop(draft, "broadcast");
    if (attr == NULL)
        return GML_OK;
    int64_t axis = attr->as.i;
    gml_draft_drop(draft, "axis");
    const gml_type *a = gml_draft_type(draft, 0);
    const gml_type *b = gml_draft_type(draft, 1);
    if (a == NULL || b == NULL)
        return gml_draft_refuse(draft, "attribute axis, and the ranks are not known");
    if (axis < 0)
        axis += a->rank;
    int64_t n_after = a->rank - axis - b->rank;
    if (axis < 0 || n_after < 0)
        return gml_draft_refuse(draft, "attribute axis does not fit the ranks");
    if (n_after == 0)
        return GML_OK;
    gml_value *value;
    GML_TRY(append_ones(draft, gml_draft_operand(draft, 1), b->rank, (int)n_after, &value));
    gml_draft_set_operand(draft, 1, value);
    return GML_OK;
}

/* (G) -> (G, 1) -> (G, C / G) -> (C) */
static gml_status spread_groups(gml_draft *draft, unsigned k, int64_t n_groups,
                                int64_t n_channels)
{
    int64_t sizes[] = {n_groups, n_channels / n_groups};
    gml_value *value;
    GML_TRY(append_ones(draft, gml_draft_operand(draft, k), 1, 1, &value));
    gml_value *expand[] = {value, gml_draft_ints(draft, sizes, 2)};
    GML_TRY(gml_draft_emit(draft, "Expand", expand, 2, NULL, &value));
    gml_value *reshape[] = {value, gml_draft_ints(draft, &n_channels, 1)};
    GML_TRY(gml_draft_emit(draft, "Reshape", reshape, 2, NULL, &value));
    gml_draft_set_operand(draft, k, value);
    return GML_OK;
}

/* Scale and bias were per group; they are per channel now. */
gml_status gml_upgrade_group_normalization(gml_draft *draft)
{
    const gml_type *type = gml_draft_type(draft, 0);
    int64_t n_groups = gml_draft_int(draft, "num_groups", 0);
    bool is_known = type != NULL && type->rank >= 2 && gml_dim_is_const(type->dims[1]);
    if (!is_known)
        return gml_draft_refuse(draft, "the number of channels is not known");
    int64_t n_channels = type->dims[1];
    if (n_groups < 1 || n_channels < n_groups || n_channels % n_groups != 0)
        return gml_draft_refuse(draft, "the channels do not divide into num_groups groups");
    if (gml_draft_operand(draft, 1) == NULL || gml_draft_operand(draft, 2) == NULL)
        return gml_draft_refuse(draft, "scale or bias is missing");
    GML_TRY(spread_groups(draft, 1, n_groups, n_channels));
    return spread_groups(draft, 2, n_groups, n_channels);
}

/* A slope per channel had one dimension; broadcasting wants it in its place. */
gml_status gml_upgrade_p_relu(gml_draft *draft)
{
    const gml_type *x = gml_draft_type(draft, 0);
    const gml_type *slope = gml_draft_type(draft, 1);
    if (x == NULL || slope == NULL)
        return gml_draft_refuse(draft, "the ranks are not known");
    if (slope->rank != 1 || slope->dims[0] == 1 || x->rank <= 2)
        return GML_OK;
    gml_value *value;
    GML_TRY(append_ones(draft, gml_draft_operand(draft, 1), 1, x->rank - 2, &value));
    gml_draft_set_operand(draft, 1, value);
    return GML_OK;
}

/* How sizes were changed before opset 11: x_in = x_out / scale, rounded down. */
static void set_old_resize(gml_draft *draft, gml_value *scales)
{
    gml_draft_set_operand(draft, 2, scales);
    gml_draft_set_operand(draft, 1, NULL);
    gml_draft_set(draft, gml_attr_string("coordinate_transformation_mode", "asymmetric"));
    gml_draft_set(draft, gml_attr_string("nearest_mode", "floor"));
}

gml_status gml_upgrade_resize(gml_draft *draft)
{
    gml_value *scales = gml_draft_operand(draft, 1);
    if (scales == NULL)
        return gml_draft_refuse(draft, "operand scales is missing");
    set_old_resize(draft, scales);
    return GML_OK;
}

gml_status gml_upgrade_upsample(gml_draft *draft)
{
    gml_value *scales = gml_draft_operand(draft, 1);
    const gml_attr *floats = gml_draft_find(draft, "scales", GML_ATTR_FLOATS);
    const gml_attr *height = gml_draft_find(draft, "height_scale", GML_ATTR_FLOAT);
    const gml_attr *width = gml_draft_find(draft, "width_scale", GML_ATTR_FLOAT);
    if (floats != NULL) {
        scales = gml_draft_floats(draft, floats->as.floats, floats->count);
    } else if (height != NULL && width != NULL) {
        float values[] = {1.0f, 1.0f, height->as.f, width->as.f}; /* images are (N, C, H, W) */
        scales = gml_draft_floats(draft, values, 4);
    }
    if (scales == NULL)
        return gml_draft_refuse(draft, "the scales are missing");
    gml_draft_drop(draft, "scales");
    gml_draft_drop(draft, "height_scale");
    gml_draft_drop(draft, "width_scale");
    const gml_attr *mode = gml_draft_find(draft, "mode", GML_ATTR_STRING);
    if (mode != NULL && mode->as.s.len == 8 && memcmp(mode->as.s.data, "bilinear", 8) == 0)
        gml_draft_set(draft, gml_attr_string("mode", "linear"));
    set_old_resize(draft, scales);
    draft->op = "Resize";
    draft->loc.op = draft->op;
    draft->version = GML_OPSET_NEWEST;
    return GML_OK;
}

/* Before opset 13 Softmax, LogSoftmax and Hardmax saw a matrix: all dimensions before `axis` by
 * all from it on. Where `axis` is the last, that is what they do now. */
gml_status gml_upgrade_softmax(gml_draft *draft)
{
    int64_t axis = gml_draft_int(draft, "axis", 1);
    const gml_type *type = gml_draft_type(draft, 0);
    gml_value *x = gml_draft_operand(draft, 0);
    if (axis == -1 || (type != NULL && axis == type->rank - 1)) {
        gml_draft_set(draft, gml_attr_int("axis", -1));
        return GML_OK;
    }
    if (x == NULL || !gml_draft_wants(draft, 0))
        return gml_draft_refuse(draft, "its operand or its result is missing");
    gml_attr flatten_axis = gml_attr_int("axis", axis);
    gml_attr last_axis = gml_attr_int("axis", -1);
    gml_value *matrix;
    gml_value *result;
    gml_value *shape;
    GML_TRY(gml_draft_emit(draft, "Flatten", &x, 1, &flatten_axis, &matrix));
    GML_TRY(gml_draft_emit(draft, draft->op, &matrix, 1, &last_axis, &result));
    GML_TRY(gml_draft_emit(draft, "Shape", &x, 1, NULL, &shape));
    gml_value *reshape[] = {result, shape};
    return gml_draft_emit(draft, "Reshape", reshape, 2, NULL, &draft->results[0]);
}

/* The only element of an integer constant. */
static bool constant_int(const gml_value *value, int64_t *out_value)
{
    if (value == NULL || value->constant == NULL || gml_tensor_numel(value->constant) != 1)
        return false;
    if (value->constant->dtype == GML_I64) {
        memcpy(out_value, value->constant->data, sizeof *out_value);
        return true;
    }
    int32_t narrow;
    if (value->constant->dtype != GML_I32)
        return false;
    memcpy(&narrow, value->constant->data, sizeof narrow);
    *out_value = narrow;
    return true;
}

/* (input, tiles, axis) repeated along one axis. */
gml_status gml_upgrade_tile(gml_draft *draft)
{
    const gml_type *type = gml_draft_type(draft, 0);
    int64_t tiles;
    int64_t axis;
    if (type == NULL || !constant_int(gml_draft_operand(draft, 1), &tiles) ||
        !constant_int(gml_draft_operand(draft, 2), &axis))
        return gml_draft_refuse(draft, "tiles and axis must be constants, and the rank known");
    if (axis < 0 || axis >= type->rank)
        return gml_draft_refuse(draft, "axis is outside the rank");
    int64_t repeats[GML_MAX_RANK];
    for (int i = 0; i < type->rank; i++)
        repeats[i] = i == axis ? tiles : 1;
    gml_draft_set_operand(draft, 1, gml_draft_ints(draft, repeats, (size_t)type->rank));
    draft->operands.count = 2;
    return GML_OK;
}
