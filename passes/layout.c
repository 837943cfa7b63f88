/* passes/layout.c - stores what convolutions read and write with channels innermost.
 *
 * A convolution is a product of matrices, pixels x taps by taps x channels. With channels
 * innermost its taps are whole runs of memory, and so are the rows of its result; with channels
 * first, as ONNX has it, the taps have to be gathered into a matrix first.
 *
 * Runs after fuse, when it is known what is stored. Every tensor that one kernel writes and
 * others read, and that some convolution among them writes or reads, is permuted: the writer's
 * region ends with a Transpose, each reader's begins with its inverse, and both are nothing but
 * index arithmetic. Inputs and results of the graph stay as they are. */
#include "passes/region.h"

#define GML_MIN_RANK 3 /* (N, C, space) */

static bool has_region(const gml_node *node)
{
    return node->op == &gml_op_fused;
}

/* One kernel, or what can become one. */
static bool is_kernel(const gml_node *node)
{
    return node->n_results == 1 && (node->op->lower || node->op->scalar) &&
           !(node->op->traits & GML_EFFECT);
}

static bool convolves(const gml_node *node)
{
    if (!has_region(node))
        return node->op->traits & GML_CHANNELS;
    for (const gml_node *inner = gml_node_region(node, "body")->first; inner;
         inner = inner->next)
        if (inner->op->traits & GML_CHANNELS)
            return true;
    return false;
}

/* Values that must stay as they are: results, and whatever is read by a region or by what is no
 * kernel. */
static void mark_region(const gml_graph *graph, bool *fixed)
{
    gml_for_each_node(node, graph) {
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (node->operands[k])
                fixed[node->operands[k]->id] = true;
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                mark_region(node->attrs[i].as.graph, fixed);
    }
    for (uint32_t r = 0; r < graph->n_results; r++)
        fixed[graph->results[r]->id] = true;
}

typedef struct layout {
    gml_graph *graph;
    gml_pass_cx *cx;
    bool *fixed;  /* by value id */
    bool *wanted; /* by value id: a convolution writes or reads it */
} layout;

static void look(layout *l)
{
    gml_graph *graph = l->graph;
    for (uint32_t r = 0; r < graph->n_results; r++)
        l->fixed[graph->results[r]->id] = true;
    gml_for_each_node(node, graph) {
        bool conv = is_kernel(node) && convolves(node);
        for (uint32_t k = 0; k < node->n_operands; k++) {
            if (!node->operands[k])
                continue;
            if (!is_kernel(node) || !gml_reads_elements(node, k))
                l->fixed[node->operands[k]->id] = true;
            l->wanted[node->operands[k]->id] |= conv;
        }
        for (uint32_t r = 0; r < node->n_results; r++)
            l->wanted[node->results[r].id] |= conv;
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                mark_region(node->attrs[i].as.graph, l->fixed);
    }
}

/* What a writer stores permuted already says so by the last node of its region. */
static bool is_permuted(const gml_node *node)
{
    if (!has_region(node))
        return node->op == &gml_op_transpose;
    const gml_graph *body = gml_node_region(node, "body");
    return body->results[0]->def && body->results[0]->def->op == &gml_op_transpose;
}

static bool should_permute(const layout *l, const gml_node *node)
{
    const gml_value *value = &node->results[0];
    return is_kernel(node) && !l->fixed[value->id] && l->wanted[value->id] &&
           value->type.kind == GML_TYPE_TENSOR && value->type.rank >= GML_MIN_RANK &&
           !value->constant && !value->elements && !is_permuted(node);
}

/* `value` with dimension `first` behind all others, or the inverse of that. */
static gml_value *transposed(gml_build *b, gml_value *value, int first, bool inverse)
{
    int rank = value->type.rank;
    int64_t *perm = gml_new_array(&b->graph->module->arena, int64_t, (size_t)rank);
    for (int d = 0; d < rank; d++) {
        int there = d < first ? d : (d + 1 < rank ? d + 1 : first);
        if (inverse)
            perm[there] = d;
        else
            perm[d] = there;
    }
    return gml_build_transpose(b, value, perm, (size_t)rank);
}

/* ---- permuting ----------------------------------------------------------------------------
 */

static bool reads(const gml_node *node, const bool *permuted)
{
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k] && permuted[node->operands[k]->id])
            return true;
    return false;
}

/* Makes a single node a region of one. */
static gml_status make_region(layout *l, gml_node **node)
{
    if (has_region(*node))
        return GML_OK;
    gml_region region = gml_region_begin(l->cx, *node, NULL, 0);
    gml_region_move(&region, *node);
    *node = region.node;
    return gml_region_end(&region);
}

/* Makes regions of all that write or read what is chosen. `out_permuted` is what was chosen, by
 * the ids that values have afterwards. */
static gml_status make_regions(layout *l, const bool *chosen, bool **out_permuted)
{
    gml_vec(gml_node *) writers = {0};
    gml_vec(gml_node *) readers = {0};
    for (gml_node *node = l->graph->first; node; node = node->next) {
        if (node->n_results == 1 && chosen[node->results[0].id])
            gml_push(l->cx->scratch, &writers, node);
        else if (reads(node, chosen))
            gml_push(l->cx->scratch, &readers, node);
    }
    for (size_t i = 0; i < writers.count; i++)
        GML_TRY(make_region(l, &writers.items[i]));
    for (size_t i = 0; i < readers.count; i++)
        GML_TRY(make_region(l, &readers.items[i]));
    *out_permuted = gml_new_array(l->cx->scratch, bool, l->cx->module->n_values + 1);
    for (size_t i = 0; i < writers.count; i++)
        (*out_permuted)[writers.items[i]->results[0].id] = true;
    return GML_OK;
}

static gml_status permute_result(layout *l, gml_node *node)
{
    gml_graph *body = gml_node_region(node, "body");
    gml_build b = {body, NULL, node->loc, l->cx->diags, GML_OK};
    body->results[0] = transposed(&b, body->results[0], 1, false);
    node->results[0].channels_last = true;
    return b.status;
}

/* Operand `k` comes with dimension `first` behind all others from now on. */
static gml_status permute_operand(layout *l, gml_node *node, uint32_t k, int first)
{
    gml_graph *body = gml_node_region(node, "body");
    gml_value *param = body->params[k];
    param->type = node->operands[k]->type;
    param->constant = node->operands[k]->constant;
    gml_build b = {body, body->first, node->loc, l->cx->diags, GML_OK};
    gml_value *restored = transposed(&b, param, first, true);
    gml_value_replace(param, restored);
    if (b.status == GML_OK)
        gml_node_set_operands(restored->def, &param, 1);
    return b.status;
}

/* The weights of a convolution in groups are read channel by channel, like its input: a
 * constant with the channels first becomes one with the channels last. (Others are packed into
 * panels however they lie.) */
static gml_status permute_weights(layout *l, gml_node *node)
{
    const gml_graph *body = gml_node_region(node, "body");
    gml_value **operands = gml_new_array(l->cx->scratch, gml_value *, node->n_operands + 1);
    for (uint32_t k = 0; k < node->n_operands; k++)
        operands[k] = node->operands[k];
    for (const gml_node *inner = body->first; inner; inner = inner->next) {
        if (!(inner->op->traits & GML_CHANNELS) || inner->operands[1]->graph != body)
            continue;
        const gml_type *weights = &inner->operands[1]->type;
        uint32_t k = inner->operands[1]->index;
        bool groups = weights->dims[1] != inner->operands[0]->type.dims[1];
        if (!groups || inner->operands[1]->def || !operands[k]->constant)
            continue;
        gml_build b = {l->graph, node, node->loc, l->cx->diags, GML_OK};
        operands[k] = transposed(&b, operands[k], 0, false);
        GML_TRY(b.status);
        gml_node_set_operands(node, operands, node->n_operands);
        GML_TRY(permute_operand(l, node, k, 0));
    }
    return GML_OK;
}

static gml_status permute_graph(layout *l, bool *out_changed)
{
    bool *chosen = gml_new_array(l->cx->scratch, bool, l->cx->module->n_values + 1);
    bool *permuted = NULL;
    bool any = false;
    gml_for_each_node(node, l->graph) {
        if (should_permute(l, node))
            any = chosen[node->results[0].id] = true;
    }
    if (!any)
        return GML_OK;
    *out_changed = true;
    GML_TRY(make_regions(l, chosen, &permuted));
    for (gml_node *node = l->graph->first; node; node = node->next) {
        bool writes = node->n_results == 1 && permuted[node->results[0].id];
        if (!writes && !reads(node, permuted))
            continue;
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (permuted[node->operands[k]->id])
                GML_TRY(permute_operand(l, node, k, 1));
        GML_TRY(permute_weights(l, node));
        if (writes)
            GML_TRY(permute_result(l, node));
        GML_TRY(gml_node_infer(node, l->cx->diags));
    }
    return GML_OK;
}

gml_status gml_pass_layout(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    gml_for_each_node(node, graph) {
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH && !(node->op->traits & GML_INLINES))
                GML_TRY(gml_pass_layout(node->attrs[i].as.graph, cx, out_changed));
    }
    layout l = {.graph = graph, .cx = cx};
    l.fixed = gml_new_array(cx->scratch, bool, cx->module->n_values + 1);
    l.wanted = gml_new_array(cx->scratch, bool, cx->module->n_values + 1);
    look(&l);
    return permute_graph(&l, out_changed);
}
