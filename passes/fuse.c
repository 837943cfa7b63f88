/* passes/fuse.c - puts nodes together that become one kernel.
 *
 * Walks backwards and lets a node join the group of its users when all of them are in one
 * group, so that its result is never stored. That cannot make a cycle: whoever depends on the
 * node is in the group. A group is a set of nodes with one root, where its kernel runs. What
 * may join:
 *
 *   elementwise   any group but a contraction's operands, unless that would compute something
 *                 costly several times: an exponential that a reduction reads, or that is
 *                 broadcast; what is computed again (passes/recompute.c) also those. A copy
 *                 in bf16 for products (passes/autocast.c) none: its own kernel stores it
 *   view          any group: it becomes index arithmetic
 *   row reduction a group of elementwise nodes over the same rows (a normalisation, a softmax
 * and what follows); its result is computed once a row contraction   a group of elementwise
 * nodes of its own shape: they become its epilogue
 *
 * A value with users in several groups is where kernels meet. It is stored by the first of them
 * on the way (a side result), if it has the root's elements or one for each row: the others run
 * later, so that nothing of theirs can be needed before. What is as cheap to compute from what
 * is stored anyway gets a copy for each group instead (passes/fuse_copy.c). */
#include "passes/fuse.h"

#include "ir/op.h"
#include "passes/costly.h"

#include <string.h>

#define GML_MAX_GROUP 64

typedef gml_group group;
typedef gml_value_use value_use;
typedef gml_fuser fuser;

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

/* ---- joining ------------------------------------------------------------------------------
 */

/* The users of a value by the group that runs first; groups are numbered from the last one on.
 */
typedef struct uses {
    uint32_t group; /* number + 1; 0: none yet */
    bool others;    /* in other groups, which run later */
    bool outside;   /* in no group */
    bool reduced;   /* some user reads elements more than once */
    bool contracted;
    bool widened; /* some elementwise user has more elements */
    bool viewed;
} uses;

static void note_use(const gml_value *value, const gml_node *user, uses *u)
{
    if (is_contraction(user))
        u->contracted = true;
    else if (user->op->traits & GML_REDUCES)
        u->reduced = true;
    else if (is_elementwise(user))
        u->widened = u->widened || !gml_same_dims(&value->type, &user->results[0].type);
    else
        u->viewed = true;
}

static uses find_uses(const fuser *f, const gml_node *node)
{
    uses u = {0};
    const gml_value *value = &node->results[0];
    const value_use *begin = f->users + f->first_use[value->id];
    const value_use *end = f->users + f->first_use[value->id + 1];
    u.outside = f->is_captured[value->id] || node->n_results != 1;
    u.others = f->is_result[value->id];
    for (const value_use *at = begin; at < end; at++) {
        uint32_t number = gml_group_of(f, at->node);
        u.outside |= number == 0 || !gml_reads_elements(at->node, at->k);
        u.others |= u.group && number != u.group;
        u.group = number > u.group ? number : u.group;
    }
    for (const value_use *at = begin; at < end; at++)
        if (gml_group_of(f, at->node) == u.group)
            note_use(value, at->node, &u);
    return u;
}

/* True when everything from `value` to the root is elementwise over the same dimensions. */
static bool only_elementwise(const fuser *f, const gml_value *value, uint32_t number)
{
    const gml_node *root = f->groups[number - 1].root;
    const value_use *end = f->users + f->first_use[value->id + 1];
    for (const value_use *at = f->users + f->first_use[value->id]; at < end; at++) {
        if (gml_group_of(f, at->node) != number)
            continue;
        if (!is_elementwise(at->node) ||
            !gml_same_dims(&value->type, &at->node->results[0].type))
            return false;
        if (at->node != root && !only_elementwise(f, &at->node->results[0], number))
            return false;
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

bool gml_group_may_store(const group *g, const gml_type *type)
{
    const gml_type *root = &g->root->results[0].type;
    if (g->n_sides >= GML_MAX_SIDES || type->rank != root->rank || type->rank == 0)
        return false;
    int same = 0;
    while (same < type->rank && type->dims[same] == root->dims[same])
        same++;
    for (int d = same; d < type->rank; d++)
        if (type->dims[d] != 1)
            return false;
    return same == type->rank ||
           (!g->has_contraction && (g->rows < 0 || g->rows == same) && enough_rows(root, same));
}

/* `node` reads a reduction of rows, directly. */
static bool reads_reduction(const fuser *f, const gml_node *node)
{
    for (uint32_t k = 0; k < node->n_operands; k++) {
        const gml_node *operand = node->operands[k] ? node->operands[k]->def : NULL;
        if (operand && operand->graph == f->graph && gml_rows_of(operand) >= 0)
            return true;
    }
    return false;
}

/* `node` can be the epilogue of a contraction: it reads one through elementwise nodes alone,
 * and nothing that depends on whole rows. */
static bool ends_contraction(const fuser *f, const gml_node *node, unsigned depth)
{
    if (reads_reduction(f, node))
        return false;
    for (uint32_t k = 0; k < node->n_operands && depth > 0; k++) {
        const gml_node *operand = node->operands[k] ? node->operands[k]->def : NULL;
        if (!operand || operand->graph != f->graph || operand->n_results != 1 ||
            !gml_same_dims(&operand->results[0].type, &node->results[0].type))
            continue;
        if (is_contraction(operand) ||
            (is_elementwise(operand) && ends_contraction(f, operand, depth - 1)))
            return true;
    }
    return false;
}

/* A copy in bf16 for products, which is stored so that they can read it (passes/autocast.c). */
static bool is_for_products(const fuser *f, const gml_node *node)
{
    const gml_value *value = &node->results[0];
    if (node->op != &gml_op_cast || value->type.dtype != GML_BF16)
        return false;
    const value_use *end = f->users + f->first_use[value->id + 1];
    for (const value_use *at = f->users + f->first_use[value->id]; at < end; at++)
        if (at->node->op == &gml_op_cast && at->node->is_again)
            return true;
    return false;
}

static bool may_join(fuser *f, const gml_node *node, const uses *u)
{
    group *g = &f->groups[u->group - 1];
    const gml_type *type = &node->results[0].type;
    const gml_type *root = &g->root->results[0].type;
    if (g->n_nodes >= GML_MAX_GROUP || (u->others && !gml_group_may_store(g, type)) ||
        is_for_products(f, node))
        return false;
    /* What is stored anyway is better stored by the contraction than read by the rows. */
    if (u->others && g->rows >= 0 && is_elementwise(node) && ends_contraction(f, node, 4))
        return false;
    if (is_contraction(node))
        return !g->has_contraction && g->rows < 0 &&
               (type->dtype == root->dtype || is_for_products(f, g->root)) &&
               gml_same_dims(type, root) && only_elementwise(f, &node->results[0], u->group);
    if (is_view(node))
        return true;
    if (is_elementwise(node) && node->is_again)
        return !u->widened &&
               !u->reduced; /* packed once for an element, or of the same shape */
    if (is_elementwise(node))
        return !u->contracted &&
               !((u->reduced || u->widened || u->viewed) && gml_is_costly(f->cx, node));
    int rows = gml_rows_of(node);
    return rows >= 0 && !g->has_contraction && !u->contracted && !u->viewed &&
           (g->rows < 0 || g->rows == rows) &&
           same_rows(&node->operands[0]->type, root, rows) && enough_rows(root, rows);
}

static void join(fuser *f, gml_node *node, uint32_t number, bool is_side)
{
    group *g = &f->groups[number - 1];
    f->group_of[node->results[0].id] = number;
    f->is_side[node->results[0].id] = is_side;
    g->n_sides += is_side;
    g->n_nodes++;
    g->has_contraction = g->has_contraction || is_contraction(node);
    if (gml_rows_of(node) >= 0)
        g->rows = gml_rows_of(node);
}

static void say_why(fuser *f, const gml_node *node, const uses *u, gml_str *out)
{
    if (out && u->group && !u->outside)
        gml_str_printf(out, "fuse: %s (%s) stays out of the kernel of %s (%s)\n",
                       node->loc.node ? node->loc.node : "?", node->op->name,
                       f->groups[u->group - 1].root->loc.node
                           ? f->groups[u->group - 1].root->loc.node
                           : "?",
                       f->groups[u->group - 1].root->op->name);
}

/* What stays out is said to `explain`. */
static void form_groups(fuser *f, gml_str *explain)
{
    for (gml_node *node = f->graph->last; node; node = node->prev) {
        if (!gml_can_root(node))
            continue;
        uses u = find_uses(f, node);
        if (u.group && !u.outside && may_join(f, node, &u)) {
            join(f, node, u.group, u.others);
            continue;
        }
        say_why(f, node, &u, explain);
        f->groups[f->n_groups] = (group){.root = node, .rows = -1};
        join(f, node, ++f->n_groups, false);
    }
}

/* ---- making the regions -------------------------------------------------------------------
 */

static bool is_member(const fuser *f, const gml_node *node, uint32_t number)
{
    return gml_group_of(f, node) == number;
}

static gml_status make_region(fuser *f, uint32_t number)
{
    gml_node *root = f->groups[number - 1].root;
    gml_value **sides =
        gml_new_array(f->cx->scratch, gml_value *, f->groups[number - 1].n_sides + 1);
    uint32_t n_sides = 0;
    for (gml_node *node = f->graph->first; node != root; node = node->next)
        if (is_member(f, node, number) && f->is_side[node->results[0].id])
            sides[n_sides++] = &node->results[0];
    gml_region region = gml_region_begin(f->cx, root, sides, n_sides);
    gml_node *next = NULL;
    for (gml_node *member = f->graph->first; member && member != region.node; member = next) {
        next = member->next;
        if (is_member(f, member, number))
            gml_region_move(&region, member);
    }
    return gml_region_end(&region);
}

/* The users of each value, in the order of the graph. */
static void list_users(fuser *f)
{
    uint32_t n = f->n_values;
    uint32_t *next = gml_new_array(f->cx->scratch, uint32_t, n + 2);
    f->first_use = gml_new_array(f->cx->scratch, uint32_t, n + 2);
    for (const gml_node *node = f->graph->first; node; node = node->next)
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (node->operands[k])
                f->first_use[node->operands[k]->id + 1]++;
    for (uint32_t i = 0; i < n; i++)
        f->first_use[i + 1] += f->first_use[i];
    for (uint32_t i = 0; i <= n; i++)
        next[i] = f->first_use[i];
    f->users = gml_new_array(f->cx->scratch, value_use, f->first_use[n] + 1);
    for (gml_node *node = f->graph->first; node; node = node->next)
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (node->operands[k])
                f->users[next[node->operands[k]->id]++] = (value_use){node, k};
}

static fuser begin(gml_graph *graph, gml_pass_cx *cx)
{
    uint32_t n_nodes = 0;
    fuser f = {.graph = graph, .cx = cx, .n_values = cx->module->n_values};
    f.group_of = gml_new_array(cx->scratch, uint32_t, f.n_values + 1);
    f.is_result = gml_new_array(cx->scratch, bool, f.n_values + 1);
    f.is_captured = gml_new_array(cx->scratch, bool, f.n_values + 1);
    f.is_side = gml_new_array(cx->scratch, bool, f.n_values + 1);
    list_users(&f);
    for (uint32_t r = 0; r < graph->n_results; r++)
        f.is_result[graph->results[r]->id] = true;
    for (const gml_node *node = graph->first; node; node = node->next, n_nodes++)
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                gml_mark_captured(node->attrs[i].as.graph, f.is_captured);
    f.groups = gml_new_array(cx->scratch, group, n_nodes + 1);
    return f;
}

static gml_status fuse_graph(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    gml_copy_views(graph, out_changed);
    fuser f = begin(graph, cx);
    form_groups(&f, NULL);
    if (gml_fuse_copy(&f)) {
        gml_copy_views(graph, out_changed);
        f = begin(graph, cx);
    } else {
        f.n_groups = 0;
        memset(f.group_of, 0, (f.n_values + 1) * sizeof *f.group_of);
        memset(f.is_side, 0, (f.n_values + 1) * sizeof *f.is_side);
    }
    form_groups(&f, cx->explain);
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
