/* frontend/opset.c - the table of upgrades, and what its rules are written with. */
#include "frontend/opset.h"

#include "base/half.h"
#include "frontend/opset_rules.h"
#include "ir/op.h"

#include <string.h>

typedef struct upgrade_row {
    const char *op;
    int64_t below; /* applies to nodes of an older operator set than this one */
    gml_upgrade_fn run;
    const char *domain; /* NULL: ai.onnx */
} upgrade_row;

/* An operator's rows run in this order. A rule that brings its node all the way to the newest
 * form sets the draft's version, so that no later row sees it. */
static const upgrade_row rows[] = {
    {"Add", 7, gml_upgrade_broadcast},
    {"And", 7, gml_upgrade_broadcast},
    {"BatchNormalization", 14, gml_upgrade_batch_normalization},
    {"Cast", 6, gml_upgrade_cast},
    {"Clip", 11, gml_upgrade_clip},
    {"Concat", 4, gml_upgrade_concat},
    {"DFT", 20, gml_upgrade_dft},
    {"Div", 7, gml_upgrade_broadcast},
    {"Dropout", 12, gml_upgrade_dropout},
    {"Equal", 7, gml_upgrade_broadcast},
    {"GRU", 7, gml_upgrade_recurrent},
    {"Gemm", 7, gml_upgrade_gemm},
    {"GlobalLpPool", 2, gml_upgrade_lp_pool},
    {"Greater", 7, gml_upgrade_broadcast},
    {"GridSample", 20, gml_upgrade_grid_sample},
    {"GroupNormalization", 21, gml_upgrade_group_normalization},
    {"Hardmax", 13, gml_upgrade_softmax},
    {"LSTM", 7, gml_upgrade_recurrent},
    {"LabelEncoder", 2, gml_upgrade_label_encoder, "ai.onnx.ml"},
    {"Less", 7, gml_upgrade_broadcast},
    {"LogSoftmax", 13, gml_upgrade_softmax},
    {"LpPool", 2, gml_upgrade_lp_pool},
    {"Mul", 7, gml_upgrade_broadcast},
    {"Or", 7, gml_upgrade_broadcast},
    {"PRelu", 7, gml_upgrade_p_relu},
    {"Pad", 11, gml_upgrade_pad},
    {"Pow", 7, gml_upgrade_broadcast},
    {"RNN", 7, gml_upgrade_recurrent},
    {"ReduceL1", 18, gml_upgrade_axes},
    {"ReduceL2", 18, gml_upgrade_axes},
    {"ReduceLogSum", 18, gml_upgrade_axes},
    {"ReduceLogSumExp", 18, gml_upgrade_axes},
    {"ReduceMax", 18, gml_upgrade_axes},
    {"ReduceMean", 18, gml_upgrade_axes},
    {"ReduceMin", 18, gml_upgrade_axes},
    {"ReduceProd", 18, gml_upgrade_axes},
    {"ReduceSum", 13, gml_upgrade_axes},
    {"ReduceSumSquare", 18, gml_upgrade_axes},
    {"Reshape", 5, gml_upgrade_reshape},
    {"Resize", 11, gml_upgrade_resize},
    {"RoiAlign", 16, gml_upgrade_roi_align},
    {"Scatter", INT64_MAX, gml_upgrade_scatter},
    {"Selu", 6, gml_upgrade_selu},
    {"Slice", 10, gml_upgrade_slice},
    {"Softmax", 13, gml_upgrade_softmax},
    {"Split", 18, gml_upgrade_split},
    {"Squeeze", 13, gml_upgrade_axes},
    {"Sub", 7, gml_upgrade_broadcast},
    {"Tile", 6, gml_upgrade_tile},
    {"TopK", 10, gml_upgrade_top_k},
    {"Unsqueeze", 13, gml_upgrade_axes},
    {"Upsample", INT64_MAX, gml_upgrade_upsample},
    {"Xor", 7, gml_upgrade_broadcast},
};

gml_status gml_opset_upgrade(gml_draft *draft)
{
    bool is_standard = *draft->domain == '\0';
    if (is_standard && draft->version < 6)
        gml_draft_drop(draft, "consumed_inputs"); /* a hint about memory */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const upgrade_row *row = &rows[i];
        const char *domain = row->domain != NULL ? row->domain : "";
        if (draft->version < row->below && strcmp(draft->op, row->op) == 0 &&
            strcmp(draft->domain, domain) == 0)
            return row->run(draft);
    }
    return GML_OK;
}

/* ---- attributes and operands ----------------------------------------------------------------
 */

const gml_attr *gml_draft_find(const gml_draft *draft, const char *name, gml_attr_kind kind)
{
    for (size_t i = 0; i < draft->attrs.count; i++) {
        const gml_attr *attr = &draft->attrs.items[i];
        if (attr->kind == kind && strcmp(attr->name, name) == 0)
            return attr;
    }
    return NULL;
}

int64_t gml_draft_int(const gml_draft *draft, const char *name, int64_t fallback)
{
    const gml_attr *attr = gml_draft_find(draft, name, GML_ATTR_INT);
    return attr != NULL ? attr->as.i : fallback;
}

void gml_draft_drop(gml_draft *draft, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < draft->attrs.count; i++) {
        if (strcmp(draft->attrs.items[i].name, name) != 0)
            draft->attrs.items[kept++] = draft->attrs.items[i];
    }
    draft->attrs.count = kept;
}

void gml_draft_set(gml_draft *draft, gml_attr attr)
{
    gml_draft_drop(draft, attr.name);
    gml_push(&draft->graph->module->arena, &draft->attrs, attr);
}

gml_value *gml_draft_operand(const gml_draft *draft, unsigned k)
{
    return k < draft->operands.count ? draft->operands.items[k] : NULL;
}

void gml_draft_set_operand(gml_draft *draft, unsigned k, gml_value *value)
{
    gml_value *absent = NULL;
    while (draft->operands.count <= k)
        gml_push(&draft->graph->module->arena, &draft->operands, absent);
    draft->operands.items[k] = value;
}

bool gml_draft_wants(const gml_draft *draft, unsigned output)
{
    return output < draft->n_outputs && *draft->outputs[output] != '\0';
}

gml_status gml_draft_refuse(gml_draft *draft, const char *what)
{
    return gml_fail(draft->diags, GML_E_UNSUPPORTED, draft->loc, "%s of opset %lld: %s",
                    draft->loc.op, (long long)draft->version, what);
}

/* ---- types ----------------------------------------------------------------------------------
 */

/* Infers what was built since the last call. Faults are not reported here: whoever infers the
 * whole graph will meet them again. */
static void infer_so_far(gml_draft *draft)
{
    gml_node *node = *draft->inferred != NULL ? (*draft->inferred)->next : draft->graph->first;
    size_t n_diags = draft->diags->list.count;
    for (; node != NULL; node = node->next) {
        *draft->inferred = node;
        if (node->n_results != 0 && node->results[0].type.kind == GML_TYPE_UNKNOWN)
            (void)!gml_node_infer(node, draft->diags);
    }
    gml_diags_truncate(draft->diags, n_diags);
}

const gml_type *gml_draft_type(gml_draft *draft, unsigned k)
{
    gml_value *value = gml_draft_operand(draft, k);
    if (value == NULL)
        return NULL;
    if (value->type.kind == GML_TYPE_UNKNOWN)
        infer_so_far(draft);
    bool is_known = value->type.kind == GML_TYPE_TENSOR && value->type.rank >= 0;
    return is_known ? &value->type : NULL;
}

/* ---- new nodes ------------------------------------------------------------------------------
 */

gml_value *gml_draft_ints(gml_draft *draft, const int64_t *values, size_t count)
{
    gml_tensor tensor = {.dtype = GML_I64, .rank = 1, .dims = {(int64_t)count}};
    tensor.data = gml_arena_copy(&draft->graph->module->arena, values, count * sizeof *values);
    return gml_graph_constant(draft->graph, NULL, &tensor, draft->loc);
}

gml_value *gml_draft_floats(gml_draft *draft, const float *values, size_t count)
{
    gml_tensor tensor = {.dtype = GML_F32, .rank = 1, .dims = {(int64_t)count}};
    tensor.data = gml_arena_copy(&draft->graph->module->arena, values, count * sizeof *values);
    return gml_graph_constant(draft->graph, NULL, &tensor, draft->loc);
}

/* A float cast, at run time, to a type that is not known yet. */
static gml_status cast_like(gml_draft *draft, float value, gml_value *like,
                            gml_value **out_value)
{
    if (like == NULL)
        return gml_draft_refuse(draft, "an operand is missing");
    gml_tensor tensor = {.dtype = GML_F32};
    tensor.data = gml_arena_copy(&draft->graph->module->arena, &value, sizeof value);
    gml_value *operands[] = {gml_graph_constant(draft->graph, NULL, &tensor, draft->loc), like};
    return gml_draft_emit(draft, "CastLike", operands, 2, NULL, out_value);
}

gml_status gml_draft_scalar_like(gml_draft *draft, unsigned k, float value,
                                 gml_value **out_value)
{
    const gml_value *like = gml_draft_operand(draft, k);
    (void)gml_draft_type(draft, k);
    gml_dtype dtype =
        like != NULL && like->type.kind == GML_TYPE_TENSOR ? like->type.dtype : GML_NONE;
    gml_tensor tensor = {.dtype = dtype};
    tensor.data = gml_arena_alloc(&draft->graph->module->arena, sizeof(double));
    double wide = (double)value;
    uint16_t small;
    switch ((int)dtype) {
    case GML_F32: memcpy(tensor.data, &value, sizeof value); break;
    case GML_F64: memcpy(tensor.data, &wide, sizeof wide); break;
    case GML_F16:
    case GML_BF16:
        small = gml_small_from_float(dtype, value, false, GML_ROUND_NEAREST);
        memcpy(tensor.data, &small, sizeof small);
        break;
    case GML_NONE: return cast_like(draft, value, gml_draft_operand(draft, k), out_value);
    default: return gml_draft_refuse(draft, "the element type of operand 0 is no float");
    }
    *out_value = gml_graph_constant(draft->graph, NULL, &tensor, draft->loc);
    return GML_OK;
}

gml_status gml_draft_emit(gml_draft *draft, const char *op, gml_value *const *operands,
                          uint32_t n_operands, const gml_attr *attr, gml_value **out_value)
{
    const gml_op_info *info = gml_op_find(NULL, op);
    if (info == NULL)
        return gml_draft_refuse(draft,
                                "its newest form needs an operator that is not supported");
    gml_node *node =
        gml_node_create(draft->graph, NULL, info, operands, n_operands, 1, draft->loc);
    if (attr != NULL)
        gml_node_set_attr(node, attr);
    *out_value = &node->results[0];
    return GML_OK;
}
