#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"body", GML_ATTR_GRAPH, GML_ATTR_REQUIRED},
    {"num_scan_inputs", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {"scan_input_axes", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"scan_input_directions", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"scan_output_axes", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"scan_output_directions", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {NULL},
};

/* Entry `k` of a list attribute; 0 when there is none. */
static int64_t entry(gml_infer *cx, const char *name, uint32_t k)
{
    size_t count = 0;
    const int64_t *values = gml_node_ints(cx->node, name, &count);
    return k < count ? values[k] : 0;
}

/* The parameter of scanned operand `k`: its type without the scanned axis, whose size is the
 * number of steps. */
static gml_status set_slice(gml_infer *cx, gml_graph *body, uint32_t n_states, uint32_t k,
                            gml_dim *length)
{
    const gml_type *x = NULL;
    int axis = 0;
    int rank = 0;
    gml_dim dims[GML_MAX_RANK];
    GML_TRY(gml_infer_tensor(cx, n_states + k, &x));
    GML_TRY(gml_infer_axis(cx, entry(cx, "scan_input_axes", k), x->rank, &axis));
    for (int d = 0; d < x->rank; d++) {
        if (d != axis)
            dims[rank++] = x->dims[d];
    }
    if (k == 0 || !gml_dim_is_const(*length))
        *length = x->dims[axis];
    body->params[n_states + k]->type = gml_type_tensor(cx->arena, x->dtype, rank, dims);
    return GML_OK;
}

static gml_status set_stacked(gml_infer *cx, uint32_t n_states, uint32_t k,
                              const gml_type *item, gml_dim length)
{
    if (item->kind != GML_TYPE_TENSOR)
        return gml_infer_fail(cx, GML_E_TYPE, "scan output %u is no tensor", k);
    if (item->rank == GML_RANK_UNKNOWN)
        return gml_infer_unranked(cx, n_states + k, item->dtype);
    int axis = 0;
    gml_dim dims[GML_MAX_RANK + 1];
    GML_TRY(gml_infer_axis(cx, entry(cx, "scan_output_axes", k), item->rank + 1, &axis));
    for (int d = 0, from = 0; d <= item->rank; d++)
        dims[d] = d == axis ? length : item->dims[from++];
    return gml_infer_set(cx, n_states + k, item->dtype, item->rank + 1, dims);
}

/* The sizes of what leaves the body must not be those that only the body knows. */
typedef struct scan {
    gml_graph *body;
    uint32_t n_states;
    const gml_type *initial;
    gml_dim length;
    size_t mark;
} scan;

static gml_status set_results(gml_infer *cx, const scan *s)
{
    for (uint32_t i = 0; i < cx->node->n_results; i++) {
        gml_type given = gml_type_outside(cx, &s->body->results[i]->type, s->mark);
        if (i < s->n_states)
            GML_TRY(gml_infer_carried(cx, i, &s->initial[i], &given));
        else
            GML_TRY(set_stacked(cx, s->n_states, i - s->n_states, &given, s->length));
    }
    return GML_OK;
}

static gml_status infer(gml_infer *cx)
{
    gml_graph *body = gml_node_region(cx->node, "body");
    int64_t n_scanned = gml_node_int(cx->node, "num_scan_inputs", 0);
    if (n_scanned < 1 || n_scanned > cx->node->n_operands)
        return gml_infer_fail(cx, GML_E_INVALID, "num_scan_inputs is %lld of %u operands",
                              (long long)n_scanned, cx->node->n_operands);
    scan s = {.body = body,
              .n_states = cx->node->n_operands - (uint32_t)n_scanned,
              .mark = cx->dims->exprs.count};
    if (body->n_params != cx->node->n_operands || body->n_results != cx->node->n_results ||
        body->n_results < s.n_states)
        return gml_infer_fail(cx, GML_E_INVALID,
                              "the body has %u parameters and %u results for %u operands",
                              body->n_params, body->n_results, cx->node->n_operands);
    gml_type *initial = gml_new_array(cx->arena, gml_type, s.n_states + 1);
    for (uint32_t k = 0; k < s.n_states; k++) {
        if (!gml_has_operand(cx->node, k))
            return gml_infer_fail(cx, GML_E_INVALID, "operand %u is missing", k);
        initial[k] = *gml_operand_type(cx->node, k);
    }
    s.initial = initial;
    for (uint32_t k = 0; k < (uint32_t)n_scanned; k++)
        GML_TRY(set_slice(cx, body, s.n_states, k, &s.length));
    GML_TRY(gml_region_infer_loop(cx, body, initial, s.n_states, 0, 0));
    return set_results(cx, &s);
}

static gml_carries carries(const gml_node *node)
{
    int64_t n_scanned = gml_node_int(node, "num_scan_inputs", 0);
    return (gml_carries){node->n_operands - (uint32_t)n_scanned, 0, 0};
}

const gml_op_info gml_op_scan = {
    .name = "Scan",
    .doc = "Runs a region for each slice of some tensors, carrying states and stacking others.",
    .min_in = 1,
    .max_in = -1,
    .min_out = 1,
    .max_out = -1,
    .traits = GML_EFFECT,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_loop,
    .carries = carries,
    .host = "scan",
};
