/* passes/fuse.c - puts nodes together that become one kernel.
 *
 * Walks backwards and lets a node join the group of its users when all of them are in one
 * group, so that its result is never stored. That cannot make a cycle: whoever depends on the
 * node is in the group. A group is a set of nodes with one root, whose result alone is stored.
 * What may join:
 *
 *   elementwise   any group, unless that would compute something costly several times: an
 * exponential that a reduction reads, or that is broadcast view          any group: it becomes
 * index arithmetic row reduction a group of elementwise nodes over the same rows (a
 * normalisation, a softmax and what follows); its result is computed once a row contraction   a
 * group of elementwise nodes of its own shape: they become its epilogue
 *
 * A value with users in several groups is stored: that is where kernels meet. */
#include "ir/op.h"
#include "passes/region.h"

#define GML_MAX_GROUP 64

typedef struct group {
    gml_node *root;
    unsigned n_nodes;
    bool has_contraction;
    int rows; /* leading dimensions of the rows that its reductions work on; -1: it has none */
} group;

typedef struct fuser {
    gml_graph *graph;
    gml_pass_cx *cx;
    group *groups; /* by number; the group of a node is group_of[id of its first result] - 1 */
    uint32_t n_groups;
    uint32_t *group_of; /* by value id */
    uint32_t
        n_values;    /* ids when the pass began: the nodes made here have none in the tables */
    bool *is_result; /* by value id: of the graph, or used in a region */
} fuser;

static bool is_elementwise(const gml_node *node)
{
    return node->op->scalar != NULL;
}

static bool is_view(const gml_node *node)
{
    return node->op->lower && (node->op->traits & GML_VIEW);
}

static bool is_contraction(const gml_node *node)
{
    return node->op->lower && (node->op->traits & GML_CONTRACTION);
}

static bool same_dims(const gml_type *a, const gml_type *b)
{
    if (a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank; d++)
        if (a->dims[d] != b->dims[d])
            return false;
    return true;
}

/* ---- what a node is -----------------------------------------------------------------------
 */

/* Leading dimensions of the rows that a reduction works on: Reduce* over the last axes with
 * their dimensions kept, or an operator along the last axis. -1 when it is neither. */
static int rows_of(const gml_node *node)
{
    if (!(node->op->traits & GML_REDUCES) || (node->op->traits & GML_CONTRACTION) ||
        !node->op->lower || node->n_results != 1 || !gml_has_operand(node, 0))
        return -1;
    const gml_type *in = &node->operands[0]->type;
    const gml_type *out = &node->results[0].type;
    if (in->kind != GML_TYPE_TENSOR || out->rank != in->rank || in->rank == 0)
        return -1;
    if (same_dims(in, out)) {
        int64_t axis = gml_node_int(node, "axis", INT64_MIN);
        return axis == -1 || axis == in->rank - 1 ? in->rank - 1 : -1;
    }
    int rows = 0;
    while (in->dims[rows] == out->dims[rows])
        rows++;
    for (int d = rows; d < in->rank; d++)
        if (out->dims[d] != 1)
            return -1;
    return rows;
}

static bool costs(const gml_expr *expr, unsigned depth)
{
    if (expr->kind != GML_EXPR_SCALAR || depth == 0)
        return false;
    gml_scalar_op op = expr->as.scalar.op;
    if ((op >= GML_X_EXP && op <= GML_X_ERF) || op == GML_X_POW)
        return true;
    for (int i = 0; i < gml_scalar_arity(op); i++)
        if (costs(expr->as.scalar.args[i], depth - 1))
            return true;
    return false;
}

/* Whether an elementwise node computes more than a handful of arithmetic: asked of its own
 * formula. */
static bool is_costly(fuser *f, const gml_node *node)
{
    gml_kernel *kernel = gml_kernel_create(f->cx->scratch, &f->cx->module->dims, "cost");
    gml_lower x = {.kernel = kernel, .node = node};
    const gml_expr *args[64];
    if (node->n_operands > 64)
        return true;
    for (uint32_t k = 0; k < node->n_operands; k++) {
        const gml_type *type = gml_operand_type(node, k);
        args[k] = NULL;
        if (!type)
            continue;
        const gml_mem *mem =
            gml_kernel_add_mem(kernel, GML_MEM_INPUT, "x", type->dtype, 0, NULL);
        args[k] = gml_expr_load(kernel, mem, NULL, NULL);
        if (node->operands[k]->constant && gml_tensor_numel(node->operands[k]->constant) == 1)
            args[k] = gml_expr_float(kernel, type->dtype, 2);
    }
    return costs(node->op->scalar(&x, node, args), 64);
}

/* ---- joining ------------------------------------------------------------------------------
 */

typedef struct uses {
    uint32_t group; /* of all users, number + 1; 0: none yet */
    bool several;   /* in several groups, or in none */
    bool reduced;   /* some user reads elements more than once */
    bool contracted;
    bool widened; /* some elementwise user has more elements */
    bool viewed;
} uses;

static void note_use(fuser *f, const gml_value *value, const gml_node *user, uint32_t k,
                     uses *u)
{
    uint32_t number = user->n_results ? f->group_of[user->results[0].id] : 0;
    if (number == 0 || (u->group && u->group != number) || !gml_reads_elements(user, k)) {
        u->several = true;
        return;
    }
    u->group = number;
    if (is_contraction(user))
        u->contracted = true;
    else if (user->op->traits & GML_REDUCES)
        u->reduced = true;
    else if (is_elementwise(user))
        u->widened = u->widened || !same_dims(&value->type, &user->results[0].type);
    else
        u->viewed = true;
}

static uses find_uses(fuser *f, const gml_node *node)
{
    uses u = {0};
    const gml_value *value = &node->results[0];
    u.several = f->is_result[value->id] || node->n_results != 1;
    for (const gml_node *user = node->next; user && !u.several; user = user->next)
        for (uint32_t k = 0; k < user->n_operands && !u.several; k++)
            if (user->operands[k] == value)
                note_use(f, value, user, k, &u);
    return u;
}

/* True when everything from `value` to the root is elementwise over the same dimensions. */
static bool only_elementwise(fuser *f, const gml_value *value, uint32_t number,
                             const gml_node *from)
{
    const gml_node *root = f->groups[number - 1].root;
    for (const gml_node *user = from->next; user; user = user->next) {
        for (uint32_t k = 0; k < user->n_operands; k++) {
            if (user->operands[k] != value)
                continue;
            if (!is_elementwise(user) || !same_dims(&value->type, &user->results[0].type))
                return false;
            if (user != root && !only_elementwise(f, &user->results[0], number, user))
                return false;
        }
        if (user == root)
            break;
    }
    return true;
}

static bool same_rows(const gml_type *a, const gml_type *b, int rows)
{
    if (a->rank != b->rank)
        return false;
    for (int d = 0; d < rows; d++)
        if (a->dims[d] != b->dims[d])
            return false;
    return true;
}

/* A few long rows would leave threads idle: then reductions stand alone. */
static bool enough_rows(const gml_type *type, int rows)
{
    int64_t count = 1;
    for (int d = 0; d < rows; d++) {
        if (!gml_dim_is_const(type->dims[d]))
            return true;
        count *= type->dims[d];
    }
    int64_t all = count;
    for (int d = rows; d < type->rank; d++)
        all *= gml_dim_is_const(type->dims[d]) ? type->dims[d] : 1;
    return count >= 8 || all <= 4096;
}

static bool may_join(fuser *f, const gml_node *node, const uses *u)
{
    group *g = &f->groups[u->group - 1];
    const gml_type *type = &node->results[0].type;
    const gml_type *root = &g->root->results[0].type;
    if (g->n_nodes >= GML_MAX_GROUP)
        return false;
    if (is_contraction(node))
        return !g->has_contraction && g->rows < 0 && type->dtype == root->dtype &&
               same_dims(type, root) && only_elementwise(f, &node->results[0], u->group, node);
    if (is_view(node))
        return true;
    if (is_elementwise(node))
        return !u->contracted &&
               !((u->reduced || u->widened || u->viewed) && is_costly(f, node));
    int rows = rows_of(node);
    return rows >= 0 && !g->has_contraction && !u->contracted && !u->viewed &&
           (g->rows < 0 || g->rows == rows) &&
           same_rows(&node->operands[0]->type, root, rows) && enough_rows(root, rows);
}

static bool can_root(const gml_node *node)
{
    if (node->n_results != 1 || !(node->op->scalar || node->op->lower) ||
        (node->op->traits & (GML_EFFECT | GML_INLINES)))
        return false;
    const gml_type *type = &node->results[0].type;
    return type->kind == GML_TYPE_TENSOR && type->rank >= 0 &&
           gml_dtype_get_class(type->dtype) != GML_CLASS_STRING && !node->results[0].constant;
}

static void join(fuser *f, gml_node *node, uint32_t number)
{
    group *g = &f->groups[number - 1];
    f->group_of[node->results[0].id] = number;
    g->n_nodes++;
    g->has_contraction = g->has_contraction || is_contraction(node);
    if (rows_of(node) >= 0)
        g->rows = rows_of(node);
}

static void explain(fuser *f, const gml_node *node, const uses *u)
{
    if (f->cx->explain && u->group && !u->several)
        gml_str_printf(f->cx->explain, "fuse: %s (%s) stays out of the kernel of %s (%s)\n",
                       node->loc.node ? node->loc.node : "?", node->op->name,
                       f->groups[u->group - 1].root->loc.node
                           ? f->groups[u->group - 1].root->loc.node
                           : "?",
                       f->groups[u->group - 1].root->op->name);
}

static void form_groups(fuser *f)
{
    for (gml_node *node = f->graph->last; node; node = node->prev) {
        if (!can_root(node))
            continue;
        uses u = find_uses(f, node);
        if (u.group && !u.several && may_join(f, node, &u)) {
            join(f, node, u.group);
            continue;
        }
        explain(f, node, &u);
        f->groups[f->n_groups] = (group){.root = node, .rows = -1};
        join(f, node, ++f->n_groups);
    }
}

/* ---- views for everyone --------------------------------------------------------------------
 */

/* A view of one tensor costs nothing to repeat: with a copy for each user it never has to be
 * stored, and its operand is what meets the users. */
static bool is_cheap_view(const gml_node *node)
{
    if (!is_view(node) || !can_root(node))
        return false;
    unsigned n_read = 0;
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k] && !node->operands[k]->constant && !node->operands[k]->elements)
            n_read++;
    return n_read <= 1;
}

static gml_node *copy_node(gml_node *node)
{
    gml_node *copy = gml_node_create(node->graph, node->next, node->op, node->operands,
                                     node->n_operands, 1, node->loc);
    for (uint32_t i = 0; i < node->n_attrs; i++)
        gml_node_set_attr(copy, &node->attrs[i]);
    copy->results[0].type = node->results[0].type;
    copy->results[0].elements = node->results[0].elements;
    return copy;
}

/* The first user keeps the node; results of the graph and uses in regions keep it as well. */
static bool copy_for_users(gml_node *node)
{
    bool first = true;
    bool changed = false;
    for (gml_node *user = node->next; user; user = user->next)
        for (uint32_t k = 0; k < user->n_operands; k++) {
            if (user->operands[k] != &node->results[0])
                continue;
            if (!first) {
                user->operands[k] = &copy_node(node)->results[0];
                changed = true;
            }
            first = false;
        }
    return changed;
}

static void copy_views(gml_graph *graph, bool *out_changed)
{
    for (gml_node *node = graph->last; node; node = node->prev)
        if (is_cheap_view(node) && copy_for_users(node))
            *out_changed = true;
}

/* ---- making the regions -------------------------------------------------------------------
 */

static gml_status make_region(fuser *f, uint32_t number)
{
    gml_node *root = f->groups[number - 1].root;
    gml_region region = gml_region_begin(f->cx, root);
    gml_node *next = NULL;
    for (gml_node *member = f->graph->first; member && member != region.node; member = next) {
        next = member->next;
        if (member->n_results && member->results[0].id < f->n_values &&
            f->group_of[member->results[0].id] == number)
            gml_region_move(&region, member);
    }
    return gml_region_end(&region);
}

static void mark_region(fuser *f, const gml_graph *region)
{
    for (const gml_node *node = region->first; node; node = node->next) {
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (node->operands[k])
                f->is_result[node->operands[k]->id] = true;
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                mark_region(f, node->attrs[i].as.graph);
    }
    for (uint32_t r = 0; r < region->n_results; r++)
        f->is_result[region->results[r]->id] = true;
}

static gml_status fuse_graph(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    uint32_t n_nodes = 0;
    copy_views(graph, out_changed);
    fuser f = {.graph = graph, .cx = cx, .n_values = cx->module->n_values};
    f.group_of = gml_new_array(cx->scratch, uint32_t, cx->module->n_values + 1);
    f.is_result = gml_new_array(cx->scratch, bool, cx->module->n_values + 1);
    for (uint32_t r = 0; r < graph->n_results; r++)
        f.is_result[graph->results[r]->id] = true;
    for (const gml_node *node = graph->first; node; node = node->next, n_nodes++)
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                mark_region(&f, node->attrs[i].as.graph);
    f.groups = gml_new_array(cx->scratch, group, n_nodes + 1);
    form_groups(&f);
    for (uint32_t i = f.n_groups; i > 0; i--) {
        if (f.groups[i - 1].n_nodes < 2)
            continue;
        GML_TRY(make_region(&f, i));
        *out_changed = true;
    }
    return GML_OK;
}

gml_status gml_pass_fuse(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    gml_for_each_node(node, graph) {
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH && !(node->op->traits & GML_INLINES))
                GML_TRY(gml_pass_fuse(node->attrs[i].as.graph, cx, out_changed));
    }
    return fuse_graph(graph, cx, out_changed);
}
