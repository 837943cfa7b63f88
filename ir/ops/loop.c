#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"body", GML_ATTR_GRAPH, GML_ATTR_REQUIRED},
    {NULL},
};

/* A tensor of rank `rank` + 1: the item's sizes behind a count that only the run decides. */
static gml_status set_stacked(gml_infer *cx, unsigned i, const gml_type *item, size_t mark)
{
    if (item->kind != GML_TYPE_TENSOR)
        return gml_infer_fail(cx, GML_E_TYPE, "scan output %u is no tensor", i);
    if (item->rank == GML_RANK_UNKNOWN)
        return gml_infer_unranked(cx, i, item->dtype);
    gml_type outside = gml_type_outside(cx, item, mark);
    gml_dim dims[GML_MAX_RANK + 1] = {gml_dim_fresh(cx->dims, "trips")};
    for (int d = 0; d < item->rank; d++)
        dims[d + 1] = outside.dims[d];
    return gml_infer_set(cx, i, item->dtype, item->rank + 1, dims);
}

static gml_status set_results(gml_infer *cx, const gml_graph *body, const gml_type *initial,
                              uint32_t n_carried, size_t mark)
{
    for (uint32_t i = 0; i < cx->node->n_results; i++) {
        const gml_type *given = &body->results[i + 1]->type;
        if (i >= n_carried) {
            GML_TRY(set_stacked(cx, i, given, mark));
            continue;
        }
        gml_type outside = gml_type_outside(cx, given, mark);
        GML_TRY(gml_infer_carried(cx, i, &initial[i], &outside));
    }
    return GML_OK;
}

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET(I64)));
    GML_TRY(gml_infer_expect(cx, 1, GML_SET(BOOL)));
    gml_graph *body = gml_node_region(cx->node, "body");
    uint32_t n_carried = cx->node->n_operands > 2 ? cx->node->n_operands - 2 : 0;
    if (body->n_params != n_carried + 2 || body->n_results < n_carried + 1 ||
        cx->node->n_results != body->n_results - 1)
        return gml_infer_fail(cx, GML_E_INVALID,
                              "the body has %u parameters and %u results for %u carried values",
                              body->n_params, body->n_results, n_carried);
    size_t mark = cx->dims->exprs.count;
    gml_type *initial = gml_new_array(cx->arena, gml_type, n_carried + 1);
    for (uint32_t k = 0; k < n_carried; k++) {
        const gml_type *operand = gml_operand_type(cx->node, k + 2);
        initial[k] = operand != NULL ? *operand : body->params[k + 2]->type;
    }
    body->params[0]->type = gml_type_scalar(GML_I64);
    body->params[1]->type = gml_type_scalar(GML_BOOL);
    GML_TRY(gml_region_infer_loop(cx, body, initial, n_carried, 2, 1));
    return set_results(cx, body, initial, n_carried, mark);
}

static gml_carries carries(const gml_node *node)
{
    return (gml_carries){node->n_operands > 2 ? node->n_operands - 2 : 0, 2, 1};
}

const gml_op_info gml_op_loop = {
    .name = "Loop",
    .doc = "Runs a region again and again, carrying values and stacking others.",
    .min_in = 0, /* both limits may be absent */
    .max_in = -1,
    .min_out = 1,
    .max_out = -1,
    .traits = GML_EFFECT,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_loop,
    .carries = carries,
    .host = "loop",
};
