/* frontend/opset_attrs.c - upgrades of attributes: to operands, to new names, to nothing. */
#include "frontend/opset_rules.h"
#include "ir/op.h"

#include <string.h>

/* Moves an attribute of integers into operand `k`; false when there is none. */
static bool ints_to_operand(gml_draft *draft, const char *name, unsigned k)
{
    const gml_attr *attr = gml_draft_find(draft, name, GML_ATTR_INTS);
    if (attr == NULL)
        return false;
    gml_draft_set_operand(draft, k, gml_draft_ints(draft, attr->as.ints, attr->count));
    gml_draft_drop(draft, name);
    return true;
}

/* Moves a float attribute into operand `k`, with the type of operand 0. */
static gml_status float_to_operand(gml_draft *draft, const char *name, unsigned k)
{
    const gml_attr *attr = gml_draft_find(draft, name, GML_ATTR_FLOAT);
    if (attr == NULL)
        return GML_OK;
    gml_value *value;
    GML_TRY(gml_draft_scalar_like(draft, 0, attr->as.f, &value));
    gml_draft_set_operand(draft, k, value);
    gml_draft_drop(draft, name);
    return GML_OK;
}

static void set_default(gml_draft *draft, gml_attr attr)
{
    if (gml_draft_find(draft, attr.name, attr.kind) == NULL)
        gml_draft_set(draft, attr);
}

gml_status gml_upgrade_axes(gml_draft *draft)
{
    (void)ints_to_operand(draft, "axes", 1);
    return GML_OK;
}

gml_status gml_upgrade_cast(gml_draft *draft)
{
    static const char *const names[] = {
        "FLOAT", "UINT8",   "INT8",   "UINT16", "INT16",  "INT32",     "INT64",      "STRING",
        "BOOL",  "FLOAT16", "DOUBLE", "UINT32", "UINT64", "COMPLEX64", "COMPLEX128",
    };
    const gml_attr *attr = gml_draft_find(draft, "to", GML_ATTR_STRING);
    if (attr == NULL)
        return GML_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t len = strlen(names[i]);
        if (attr->as.s.len == len && memcmp(attr->as.s.data, names[i], len) == 0) {
            gml_draft_set(draft,
                          gml_attr_int("to", (int64_t)i + 1)); /* numbered from FLOAT = 1 */
            return GML_OK;
        }
    }
    return gml_draft_refuse(draft, "attribute to names no element type");
}

gml_status gml_upgrade_clip(gml_draft *draft)
{
    GML_TRY(float_to_operand(draft, "min", 1));
    return float_to_operand(draft, "max", 2);
}

gml_status gml_upgrade_concat(gml_draft *draft)
{
    set_default(draft, gml_attr_int("axis", 1));
    return GML_OK;
}

gml_status gml_upgrade_dft(gml_draft *draft)
{
    int64_t axis = gml_draft_int(draft, "axis", 1); /* the newest form's default is -2 */
    gml_tensor tensor = {.dtype = GML_I64};
    tensor.data = gml_arena_copy(&draft->graph->module->arena, &axis, sizeof axis);
    gml_draft_set_operand(draft, 2,
                          gml_graph_constant(draft->graph, NULL, &tensor, draft->loc));
    gml_draft_drop(draft, "axis");
    return GML_OK;
}

/* Without training_mode the newest form is for inference, as all older ones are here. */
gml_status gml_upgrade_dropout(gml_draft *draft)
{
    const gml_attr *attr = gml_draft_find(draft, "ratio", GML_ATTR_FLOAT);
    if (attr != NULL) {
        gml_tensor tensor = {.dtype = GML_F32};
        tensor.data =
            gml_arena_copy(&draft->graph->module->arena, &attr->as.f, sizeof attr->as.f);
        gml_draft_set_operand(draft, 1,
                              gml_graph_constant(draft->graph, NULL, &tensor, draft->loc));
    }
    gml_draft_drop(draft, "ratio");
    gml_draft_drop(draft, "is_test");
    return GML_OK;
}

/* `broadcast` allowed what is now always allowed. */
gml_status gml_upgrade_gemm(gml_draft *draft)
{
    gml_draft_drop(draft, "broadcast");
    return GML_OK;
}

gml_status gml_upgrade_grid_sample(gml_draft *draft)
{
    static const char *const names[][2] = {{"bilinear", "linear"}, {"bicubic", "cubic"}};
    const gml_attr *attr = gml_draft_find(draft, "mode", GML_ATTR_STRING);
    for (size_t i = 0; attr != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (attr->as.s.len == strlen(names[i][0]) &&
            memcmp(attr->as.s.data, names[i][0], attr->as.s.len) == 0) {
            gml_draft_set(draft, gml_attr_string("mode", names[i][1]));
            break;
        }
    }
    return GML_OK;
}

/* classes_strings was a table indexed by the label; strings went to indices, integers to
 * strings. */
gml_status gml_upgrade_label_encoder(gml_draft *draft)
{
    gml_arena *arena = &draft->graph->module->arena;
    const gml_attr *classes = gml_draft_find(draft, "classes_strings", GML_ATTR_STRINGS);
    if (classes == NULL)
        return gml_draft_refuse(draft, "attribute classes_strings is missing");
    const gml_type *type = gml_draft_type(draft, 0);
    if (type == NULL)
        return gml_draft_refuse(draft, "the element type of operand 0 is not known");
    bool from_strings = type->dtype == GML_STRING;
    int64_t *indices = gml_new_array(arena, int64_t, classes->count);
    for (size_t i = 0; i < classes->count; i++)
        indices[i] = (int64_t)i;
    gml_attr strings = *classes;
    strings.name = from_strings ? "keys_strings" : "values_strings";
    gml_attr ints =
        gml_attr_ints(from_strings ? "values_int64s" : "keys_int64s", indices, classes->count);
    gml_draft_drop(draft, "classes_strings");
    gml_draft_drop(draft, from_strings ? "default_string" : "default_int64");
    gml_draft_set(draft, strings);
    gml_draft_set(draft, ints);
    return GML_OK;
}

gml_status gml_upgrade_lp_pool(gml_draft *draft)
{
    const gml_attr *attr = gml_draft_find(draft, "p", GML_ATTR_FLOAT);
    if (attr == NULL)
        return GML_OK;
    float p = attr->as.f;
    if (!(p >= 1.0f && p <= 1024.0f) || p != (float)(int)p)
        return gml_draft_refuse(draft, "attribute p is no whole number");
    gml_draft_set(draft, gml_attr_int("p", (int64_t)p));
    return GML_OK;
}

gml_status gml_upgrade_pad(gml_draft *draft)
{
    if (!ints_to_operand(draft, "pads", 1) && !ints_to_operand(draft, "paddings", 1))
        return gml_draft_refuse(draft, "attribute pads is missing");
    const gml_attr *value = gml_draft_find(draft, "value", GML_ATTR_FLOAT);
    if (value != NULL && value->as.f == 0.0f)
        gml_draft_drop(draft, "value"); /* the default */
    return float_to_operand(draft, "value", 2);
}

gml_status gml_upgrade_recurrent(gml_draft *draft)
{
    gml_draft_drop(draft, "output_sequence"); /* naming the output asks for it */
    return GML_OK;
}

gml_status gml_upgrade_reshape(gml_draft *draft)
{
    (void)ints_to_operand(draft, "shape", 1);
    return GML_OK;
}

gml_status gml_upgrade_roi_align(gml_draft *draft)
{
    set_default(draft, gml_attr_string("coordinate_transformation_mode", "output_half_pixel"));
    return GML_OK;
}

gml_status gml_upgrade_scatter(gml_draft *draft)
{
    draft->op = "ScatterElements";
    draft->loc.op = draft->op;
    draft->version = GML_OPSET_NEWEST;
    return GML_OK;
}

gml_status gml_upgrade_selu(gml_draft *draft)
{
    set_default(draft, gml_attr_float("alpha", 1.6732f));
    set_default(draft, gml_attr_float("gamma", 1.0507f));
    return GML_OK;
}

gml_status gml_upgrade_slice(gml_draft *draft)
{
    if (!ints_to_operand(draft, "starts", 1) || !ints_to_operand(draft, "ends", 2))
        return gml_draft_refuse(draft, "attribute starts or ends is missing");
    (void)ints_to_operand(draft, "axes", 3);
    return GML_OK;
}

gml_status gml_upgrade_split(gml_draft *draft)
{
    (void)ints_to_operand(draft, "split", 1);
    if (gml_draft_operand(draft, 1) == NULL) /* equal parts, as many as there are results */
        gml_draft_set(draft, gml_attr_int("num_outputs", draft->n_outputs));
    return GML_OK;
}

gml_status gml_upgrade_top_k(gml_draft *draft)
{
    int64_t k = gml_draft_int(draft, "k", 0);
    gml_draft_set_operand(draft, 1, gml_draft_ints(draft, &k, 1));
    gml_draft_drop(draft, "k");
    return GML_OK;
}
