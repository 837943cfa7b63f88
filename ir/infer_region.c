/* ir/infer_region.c - types of values that a body carries from one iteration to the next.
 *
 * The type must hold in every iteration, so it is a fixed point: start from the type before the
 * first one, infer the body, and replace each size that comes back different by a fresh symbol
 * (a rank that differs becomes unknown), until nothing changes. A size that is already such a
 * symbol stands for anything and stays. Every round generalises something; after a few rounds
 * everything is made general at once. Deeply nested bodies start there, so that nesting does
 * not multiply rounds. */
#include "ir/infer_host.h"

#include <string.h>

#define GML_LOOP_ROUNDS 6
#define GML_LOOP_DEPTH  3

/* What an earlier round knew may no longer hold. */
static void forget_values(gml_graph *region)
{
    gml_for_each_node(node, region) {
        for (uint32_t i = 0; i < node->n_attrs; i++) {
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                forget_values(node->attrs[i].as.graph);
        }
        for (uint32_t i = 0; node->n_operands > 0 && i < node->n_results; i++) {
            node->results[i].constant = NULL;
            node->results[i].elements = NULL;
        }
    }
}

gml_status gml_region_infer(gml_infer *cx, gml_graph *region)
{
    forget_values(region);
    return gml_graph_infer(region, cx->diags);
}

static unsigned depth_of(const gml_graph *graph)
{
    unsigned depth = 0;
    for (; graph->owner != NULL; graph = graph->owner->graph)
        depth++;
    return depth;
}

/* Every size becomes a fresh symbol. */
static gml_type generalise(gml_infer *cx, const gml_type *type)
{
    if (type->kind == GML_TYPE_OPTIONAL || type->kind == GML_TYPE_SEQUENCE) {
        gml_type whole = *type;
        gml_type element = generalise(cx, type->element);
        whole.element = gml_arena_copy(cx->arena, &element, sizeof element);
        return whole;
    }
    if (type->kind != GML_TYPE_TENSOR || type->rank <= 0)
        return *type;
    gml_dim dims[GML_MAX_RANK];
    for (int d = 0; d < type->rank; d++)
        dims[d] = gml_dim_fresh(cx->dims, "carried");
    return gml_type_tensor(cx->arena, type->dtype, type->rank, dims);
}

static bool is_newer(gml_dim dim, size_t mark)
{
    return !gml_dim_is_const(dim) && gml_dim_index(dim) >= mark;
}

/* True when `type` already allows `given`: sizes made since `mark` stand for anything. */
static bool allows(const gml_type *type, const gml_type *given, size_t mark)
{
    if (type->kind == GML_TYPE_OPTIONAL)
        return allows(type->element, given->kind == GML_TYPE_OPTIONAL ? given->element : given,
                      mark);
    if (type->kind != given->kind || type->dtype != given->dtype)
        return false;
    if (type->kind == GML_TYPE_SEQUENCE)
        return allows(type->element, given->element, mark);
    if (type->kind != GML_TYPE_TENSOR || type->rank == GML_RANK_UNKNOWN)
        return true;
    if (type->rank != given->rank)
        return false;
    for (int d = 0; d < type->rank; d++) {
        if (type->dims[d] != given->dims[d] && !is_newer(type->dims[d], mark))
            return false;
    }
    return true;
}

/* The values that a body carries. */
typedef struct carried {
    gml_type *types;
    uint32_t count;
    uint32_t first_result; /* of the body */
    size_t mark;           /* sizes made since stand for anything */
} carried;

/* One round: not settled when a carried type had to change. */
static gml_status widen(gml_infer *cx, const gml_graph *body, const carried *c,
                        bool *out_settled)
{
    *out_settled = true;
    for (uint32_t k = 0; k < c->count; k++) {
        const gml_type *given = &body->results[c->first_result + k]->type;
        if (allows(&c->types[k], given, c->mark))
            continue;
        *out_settled = false;
        if (!gml_type_merge(cx, &c->types[k], given, &c->types[k]))
            return gml_infer_fail(cx, GML_E_TYPE,
                                  "carried value %u comes back with another type", k);
    }
    return GML_OK;
}

static void generalise_all(gml_infer *cx, gml_type *types, uint32_t n_carried)
{
    for (uint32_t k = 0; k < n_carried; k++)
        types[k] = generalise(cx, &types[k]);
}

gml_status gml_region_infer_loop(gml_infer *cx, gml_graph *body, const gml_type *initial,
                                 uint32_t n_carried, uint32_t first_param,
                                 uint32_t first_result)
{
    carried c = {gml_new_array(cx->arena, gml_type, n_carried), n_carried, first_result,
                 cx->dims->exprs.count};
    size_t n_diags = cx->diags->list.count;
    bool is_general = depth_of(body) > GML_LOOP_DEPTH;
    if (n_carried > 0)
        memcpy(c.types, initial, n_carried * sizeof *initial);
    if (is_general)
        generalise_all(cx, c.types, n_carried);
    for (int round = 0;; round++) {
        for (uint32_t k = 0; k < n_carried; k++)
            body->params[first_param + k]->type = c.types[k];
        gml_status status = gml_region_infer(cx, body);
        bool settled = false;
        if (status == GML_OK)
            status = widen(cx, body, &c, &settled);
        if (status == GML_OK && settled)
            return GML_OK;
        if (status != GML_OK && (is_general || n_carried == 0))
            return status;
        /* The body may refuse the narrow types of the first iteration only. */
        gml_diags_truncate(cx->diags, n_diags);
        if (status != GML_OK || round >= GML_LOOP_ROUNDS) {
            if (round >= 2 * GML_LOOP_ROUNDS)
                return gml_infer_fail(cx, GML_E_SHAPE,
                                      "the types of the carried values do not settle");
            generalise_all(cx, c.types, n_carried);
            is_general = true;
        }
    }
}

gml_status gml_infer_carried(gml_infer *cx, unsigned i, const gml_type *initial,
                             const gml_type *given)
{
    /* An optional that the body replaces by its element: the result is declared as the element.
     */
    if (initial->kind == GML_TYPE_OPTIONAL && given->kind != GML_TYPE_OPTIONAL)
        return gml_infer_set_type(cx, i, *given);
    gml_type merged;
    if (!gml_type_merge(cx, initial, given, &merged))
        return gml_infer_fail(cx, GML_E_TYPE, "carried value %u comes back with another type",
                              i);
    return gml_infer_set_type(cx, i, merged);
}
