/* ir/lower_node.c - the kernel of one node.
 *
 * A fused node with `shared` leading dimensions, 0 included, is computed in stages. Each node
 * of its region is one: for every index of the shared dimensions all stages run one after the
 * other, and what is no result of the node lies in a local that has the other dimensions alone.
 * So the scores of an attention are those of one head at a time:
 *
 *     for b, for h
 *         for i, for j:  s[i,j] = sum(k: q[b,h,i,k] * k[b,h,j,k])
 *         for i, for j:  p[i,j] = softmax of s[i,...]
 *         for i, for d:  y[b,h,i,d] = sum(j: p[i,j] * v[b,h,j,d])
 */
#include "ir/lower.h"
#include "ir/op.h"

/* The loops that all statements of a kernel are in. */
typedef struct lead {
    int n_dims; /* leading dimensions */
    const gml_expr *index[GML_MAX_RANK];
    unsigned n_loops; /* those of extent 1 have none */
    const gml_axis *loops[GML_MAX_RANK];
} lead;

/* A value and where it is stored. */
typedef struct target {
    const gml_value *value;
    const gml_mem *mem;
} target;

typedef struct node_lowerer {
    gml_kernel *kernel;
    const gml_node *node;
    unsigned *inputs; /* operand number of each kernel input */
    gml_pull pull;
    lead lead;
    gml_vec(target) targets; /* of stages: what is stored so far */
} node_lowerer;

static const gml_mem *find_mem(const gml_pull *how, gml_kernel *kernel, const gml_value *value)
{
    const node_lowerer *l = how->context;
    if (value->def == l->node)
        return NULL;
    for (size_t i = 0; i < l->targets.count; i++)
        if (l->targets.items[i].value == value)
            return l->targets.items[i].mem;
    for (size_t i = 0; i < kernel->inputs.count; i++)
        if (l->node->operands[l->inputs[i]] == value)
            return kernel->inputs.items[i];
    for (unsigned k = 0; k < l->node->n_operands; k++) {
        if (l->node->operands[k] != value)
            continue;
        l->inputs[kernel->inputs.count] = k;
        return gml_kernel_add_mem(kernel, GML_MEM_INPUT, value->name, value->type.dtype,
                                  value->type.rank, value->type.dims);
    }
    return NULL;
}

/* ---- stores -------------------------------------------------------------------------------
 */

/* Loops over the elements of a tensor, and its index. */
typedef struct nest {
    const gml_axis *loops[GML_MAX_RANK];
    const gml_expr *index[GML_MAX_RANK];
    int n_loops;
} nest;

static nest nest_over(node_lowerer *l, const gml_type *type)
{
    nest n = {.n_loops = (int)l->lead.n_loops};
    for (unsigned i = 0; i < l->lead.n_loops; i++)
        n.loops[i] = l->lead.loops[i];
    for (int d = 0; d < type->rank; d++) {
        n.index[d] =
            d < l->lead.n_dims ? l->lead.index[d] : gml_expr_int(l->kernel, GML_I64, 0);
        if (d < l->lead.n_dims || type->dims[d] == 1)
            continue;
        n.loops[n.n_loops] = gml_kernel_add_axis(l->kernel, type->dims[d]);
        n.index[d] = gml_expr_axis(l->kernel, n.loops[n.n_loops++]);
    }
    return n;
}

static gml_stmt *store(node_lowerer *l, const target *t, const gml_expr *const *index)
{
    return gml_stmt_store(l->kernel, t->mem, index + (t->value->type.rank - t->mem->rank),
                          gml_pull_value(l->kernel, &l->pull, t->value, index));
}

static void store_alone(node_lowerer *l, const target *t)
{
    nest n = nest_over(l, &t->value->type);
    gml_stmt *stmt = store(l, t, n.index);
    while (n.n_loops > 0)
        stmt = gml_stmt_for(l->kernel, n.loops[--n.n_loops], stmt);
    gml_stmt_append(&l->kernel->body, stmt);
}

/* How many loops around `type`'s store it shares with `most`, of which it has the same
 * elements, or those of its leading dimensions alone; false when it has others. */
static bool find_depth(const gml_type *most, const gml_type *type, int *depth)
{
    if (most->rank != type->rank)
        return false;
    int same = 0;
    while (same < most->rank && type->dims[same] == most->dims[same])
        same++;
    *depth = 0;
    for (int d = 0; d < most->rank; d++) {
        if (d >= same && type->dims[d] != 1)
            return false;
        *depth += d < same && most->dims[d] != 1;
    }
    return true;
}

/* Stores of several values, as far as they go together, in one nest: that of the first, which
 * has most elements; the others by themselves. */
static void store_together(node_lowerer *l, const target *targets, unsigned count)
{
    const gml_type *most = &targets[0].value->type;
    gml_stmt *lists[GML_MAX_RANK + 1] = {NULL}; /* by depth */
    const gml_expr *zero = gml_expr_int(l->kernel, GML_I64, 0);
    bool *is_alone = gml_new_array(l->kernel->arena, bool, count);
    nest n = nest_over(l, most);
    for (unsigned i = 0; i < count; i++) {
        const gml_type *type = &targets[i].value->type;
        const gml_expr *index[GML_MAX_RANK] = {NULL};
        int depth = 0;
        is_alone[i] = !find_depth(most, type, &depth);
        if (is_alone[i])
            continue;
        for (int d = 0; d < most->rank; d++)
            index[d] = type->dims[d] == 1 ? zero : n.index[d];
        gml_stmt_append(&lists[depth], store(l, &targets[i], index));
    }
    gml_stmt *stmt = lists[n.n_loops];
    while (n.n_loops > 0) {
        stmt = gml_stmt_for(l->kernel, n.loops[--n.n_loops], stmt);
        gml_stmt_append(&lists[n.n_loops], stmt);
        stmt = lists[n.n_loops];
    }
    gml_stmt_append(&l->kernel->body, stmt);
    for (unsigned i = 0; i < count; i++)
        if (is_alone[i])
            store_alone(l, &targets[i]);
}

static void store_results(node_lowerer *l, const gml_node *node, const target *targets)
{
    if ((node->op->traits & GML_INLINES) && node->n_results > 1) {
        store_together(l, targets, node->n_results);
        return;
    }
    for (unsigned r = 0; r < node->n_results; r++)
        store_alone(l, &targets[r]);
}

/* ---- stages -------------------------------------------------------------------------------
 */

static lead make_lead(gml_kernel *kernel, const gml_type *type, int n_dims)
{
    lead out = {.n_dims = n_dims};
    for (int d = 0; d < n_dims; d++) {
        out.index[d] = gml_expr_int(kernel, GML_I64, 0);
        if (type->dims[d] == 1)
            continue;
        out.loops[out.n_loops] = gml_kernel_add_axis(kernel, type->dims[d]);
        out.index[d] = gml_expr_axis(kernel, out.loops[out.n_loops++]);
    }
    return out;
}

/* Where a stage stores a value: a result of the node, or the unit's own. */
static target stage_target(node_lowerer *l, const gml_value *value)
{
    const gml_graph *body = gml_node_region(l->node, "body");
    for (unsigned r = 0; r < body->n_results; r++)
        if (body->results[r] == value)
            return (target){value, l->kernel->outputs.items[r]};
    const gml_type *type = &value->type;
    gml_mem *mem = gml_kernel_add_mem(l->kernel, GML_MEM_LOCAL, value->name, type->dtype,
                                      type->rank - l->lead.n_dims, type->dims + l->lead.n_dims);
    for (unsigned i = 0; i < l->lead.n_loops; i++)
        mem->depends |= UINT64_C(1) << l->lead.loops[i]->number;
    return (target){value, mem};
}

/* What is inside the shared loops of `list`. */
static void collect_inside(const lead *shared, unsigned depth, gml_stmt *list,
                           gml_stmt **out_inside)
{
    gml_stmt *next = NULL;
    for (gml_stmt *stmt = list; stmt; stmt = next) {
        next = stmt->next;
        stmt->next = NULL;
        if (depth < shared->n_loops && stmt->kind == GML_STMT_FOR &&
            stmt->as.loop.axis == shared->loops[depth])
            collect_inside(shared, depth + 1, stmt->as.loop.body, out_inside);
        else
            gml_stmt_append(out_inside, stmt);
    }
}

static void lower_stages(node_lowerer *l)
{
    const gml_graph *body = gml_node_region(l->node, "body");
    for (const gml_node *stage = body->first; stage; stage = stage->next) {
        target *targets = gml_new_array(l->kernel->arena, target, stage->n_results);
        for (unsigned r = 0; r < stage->n_results; r++)
            targets[r] = stage_target(l, &stage->results[r]);
        store_results(l, stage, targets);
        for (unsigned r = 0; r < stage->n_results; r++)
            gml_push(l->kernel->arena, &l->targets, targets[r]);
    }
    gml_kernel_place(l->kernel); /* each stage by itself: they store what others load */
    gml_stmt *inside = NULL;
    collect_inside(&l->lead, 0, l->kernel->body, &inside);
    for (unsigned i = l->lead.n_loops; i-- > 0;)
        inside = gml_stmt_for(l->kernel, l->lead.loops[i], inside);
    l->kernel->body = inside;
    l->kernel->n_shared = l->lead.n_loops;
}

gml_kernel *gml_lower_node(gml_arena *arena, gml_dim_pool *dims, const gml_node *node,
                           unsigned *out_inputs)
{
    gml_kernel *kernel = gml_kernel_create(arena, dims, node->op->name);
    node_lowerer l = {.kernel = kernel, .node = node, .inputs = out_inputs};
    l.pull = (gml_pull){find_mem, &l};
    target *targets = gml_new_array(arena, target, node->n_results + 1);
    for (unsigned r = 0; r < node->n_results; r++) {
        const gml_value *result = &node->results[r];
        targets[r] = (target){result, gml_kernel_add_mem(kernel, GML_MEM_OUTPUT, result->name,
                                                         result->type.dtype, result->type.rank,
                                                         result->type.dims)};
    }
    int shared = node->op == &gml_op_fused ? (int)gml_node_int(node, "shared", -1) : -1;
    if (shared >= 0) {
        l.lead = make_lead(kernel, &node->results[0].type, shared);
        lower_stages(&l);
        return kernel;
    }
    store_results(&l, node, targets);
    gml_kernel_place(kernel);
    return kernel;
}
