#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"body", GML_ATTR_GRAPH, GML_ATTR_REQUIRED},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    gml_graph *body = gml_node_region(cx->node, "body");
    const gml_type *item = NULL;
    GML_TRY(gml_infer_item(cx, 0, &item));
    if (body->n_params != cx->node->n_operands || body->n_results != cx->node->n_results)
        return gml_infer_fail(cx, GML_E_INVALID,
                              "the body has %u parameters and %u results for %u operands",
                              body->n_params, body->n_results, cx->node->n_operands);
    size_t mark = cx->dims->exprs.count;
    for (uint32_t k = 0; k < body->n_params; k++) {
        const gml_type *type = gml_operand_type(cx->node, k);
        if (type == NULL)
            return gml_infer_fail(cx, GML_E_INVALID, "operand %u is missing", k);
        bool is_sequence = type->kind == GML_TYPE_SEQUENCE;
        body->params[k]->type = is_sequence ? gml_type_freshen(cx, type->element) : *type;
    }
    GML_TRY(gml_region_infer(cx, body));
    for (uint32_t i = 0; i < body->n_results; i++) {
        gml_type given = gml_type_outside(cx, &body->results[i]->type, mark);
        GML_TRY(gml_infer_set_type(cx, i, gml_type_sequence(cx->arena, given)));
    }
    return GML_OK;
}

const gml_op_info gml_op_sequencemap = {
    .name = "SequenceMap",
    .doc = "Runs a region for each item of a sequence.",
    .min_in = 1,
    .max_in = -1,
    .min_out = 1,
    .max_out = -1,
    .traits = GML_EFFECT,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_map_items,
    .host = "sequencemap",
};
