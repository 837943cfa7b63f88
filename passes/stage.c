/* passes/stage.c - batched products and what is between them become stages of one kernel.
 *
 * The scores of an attention are a product, a softmax and an operand of the next product: three
 * kernels that store and load them. All three do for each matrix of a batch what they do for
 * the others, so that one kernel can do everything for a matrix before the next (a fused node
 * with `shared` dimensions, ir/lower_node.c); the scores of one matrix then stay in the cache.
 *
 * Runs after fuse: its kernels become the stages. Nodes are put together along values of
 * leading dimensions [batch…] and a matrix in each, whose users all read them matrix by matrix.
 * A node of the group stands where its last one stood: whoever else reads a result of the group
 * has to come after that. */
#include "ir/op.h"
#include "passes/region.h"

/* A unit's own memory, at most: the matrices should stay in the cache. */
#define GML_MOST_BYTES (4 << 20)
/* Fewer matrices than these would leave threads idle. */
#define GML_MIN_UNITS  8
#define GML_MAX_STAGES 12

typedef struct group {
    gml_node *stages[GML_MAX_STAGES]; /* in the order of the graph */
    unsigned n_stages;
    int64_t bytes; /* of all values inside, for one matrix */
    bool refused;
} group;

typedef struct stager {
    gml_graph *graph;
    gml_pass_cx *cx;
    uint32_t *position; /* by value id: of the node that makes it */
    bool *is_kept;      /* by value id: results of the graph, and what regions use */
    bool *is_link;      /* by value id: inside a group */
    uint32_t *n_users;  /* by value id */
    group **group_of;   /* by value id: of the node that makes it; NULL: none */
} stager;

/* ---- matrices of a batch ------------------------------------------------------------------
 */

static bool has_batch(const gml_type *type)
{
    if (type->kind != GML_TYPE_TENSOR || type->rank < 3)
        return false;
    for (int d = 0; d < type->rank; d++)
        if (!gml_dim_is_const(type->dims[d]))
            return false;
    return true;
}

static bool same_batch(const gml_type *a, const gml_type *b)
{
    if (!has_batch(a) || !has_batch(b) || a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank - 2; d++)
        if (a->dims[d] != b->dims[d])
            return false;
    return true;
}

static int64_t count_units(const gml_type *type)
{
    int64_t units = 1;
    for (int d = 0; d < type->rank - 2; d++)
        units *= type->dims[d];
    return units;
}

static int64_t matrix_bytes(const gml_type *type)
{
    return type->dims[type->rank - 2] * type->dims[type->rank - 1] *
           (int64_t)gml_dtype_size(type->dtype);
}

/* A product of each matrix of a batch with one of its own. */
static bool is_batched_product(const gml_node *node)
{
    return node->op == &gml_op_matmul &&
           same_batch(&node->operands[0]->type, &node->results[0].type) &&
           same_batch(&node->operands[1]->type, &node->results[0].type);
}

static bool keeps_batch(const gml_node *transpose, int rank)
{
    size_t count = 0;
    const int64_t *perm = gml_node_ints(transpose, "perm", &count);
    for (int d = 0; d < rank - 2; d++)
        if ((size_t)d >= count || perm[d] != d)
            return false;
    return true;
}

static bool reads_matrices(const gml_node *node, const gml_value *value);

/* All that a region computes of `value` is of its matrices. */
static bool region_reads_matrices(const gml_graph *region, const gml_value *value)
{
    for (const gml_node *node = region->first; node; node = node->next)
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (node->operands[k] == value &&
                (!reads_matrices(node, value) ||
                 !region_reads_matrices(region, &node->results[0])))
                return false;
    return true;
}

/* Each matrix of the node's result depends on that matrix of `value` alone. */
static bool reads_matrices(const gml_node *node, const gml_value *value)
{
    if (node->op == &gml_op_fused) {
        const gml_graph *body = gml_node_region(node, "body");
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (node->operands[k] == value && !region_reads_matrices(body, body->params[k]))
                return false;
        return true;
    }
    if (node->n_results != 1 || !same_batch(&value->type, &node->results[0].type))
        return false;
    if (node->op == &gml_op_transpose)
        return keeps_batch(node, value->type.rank);
    return node->op->scalar || is_batched_product(node) ||
           gml_rows_of(node) >= value->type.rank - 2;
}

/* ---- stages -------------------------------------------------------------------------------
 */

/* A stage has no product but of matrices of the batch; `out_products` counts those. */
static bool has_only_batched(const gml_node *node, unsigned *out_products)
{
    if (node->op == &gml_op_fused) {
        const gml_graph *body = gml_node_region(node, "body");
        for (const gml_node *inner = body->first; inner; inner = inner->next)
            if (!has_only_batched(inner, out_products))
                return false;
        return true;
    }
    *out_products += is_batched_product(node);
    return is_batched_product(node) || !(node->op->traits & GML_CONTRACTION);
}

static bool can_be_stage(const gml_node *node)
{
    unsigned n_products = 0;
    return node->n_results == 1 && (node->op->lower || node->op->scalar) &&
           !(node->op->traits & GML_EFFECT) && has_batch(&node->results[0].type) &&
           count_units(&node->results[0].type) >= GML_MIN_UNITS &&
           has_only_batched(node, &n_products);
}

static bool is_product(const gml_node *node)
{
    unsigned n_products = 0;
    return has_only_batched(node, &n_products) && n_products > 0;
}

/* `value` can lie inside: all its users read it matrix by matrix, and one side of it is a
 * product. */
static bool can_link(const stager *s, const gml_value *value)
{
    const gml_node *maker = value->def;
    if (!can_be_stage(maker) || s->is_kept[value->id] || s->n_users[value->id] == 0)
        return false;
    bool at_product = is_product(maker);
    for (const gml_node *user = maker->next; user; user = user->next)
        for (uint32_t k = 0; k < user->n_operands; k++) {
            if (user->operands[k] != value)
                continue;
            if (!can_be_stage(user) || !same_batch(&user->results[0].type, &value->type) ||
                !gml_reads_elements(user, k) || !reads_matrices(user, value))
                return false;
            at_product = at_product || is_product(user);
        }
    return at_product;
}

/* ---- groups -------------------------------------------------------------------------------
 */

static void add_stage(stager *s, group *g, gml_node *node)
{
    s->group_of[node->results[0].id] = g;
    if (g->n_stages == GML_MAX_STAGES) {
        g->refused = true;
        return;
    }
    unsigned at = g->n_stages++;
    uint32_t position = s->position[node->results[0].id];
    for (; at > 0 && s->position[g->stages[at - 1]->results[0].id] > position; at--)
        g->stages[at] = g->stages[at - 1];
    g->stages[at] = node;
}

static group *group_at(stager *s, gml_node *node)
{
    group *g = s->group_of[node->results[0].id];
    if (g)
        return g;
    g = gml_new(s->cx->scratch, group);
    add_stage(s, g, node);
    return g;
}

static void join(stager *s, gml_node *a, gml_node *b)
{
    group *into = group_at(s, a);
    group *from = group_at(s, b);
    if (into == from)
        return;
    into->bytes += from->bytes;
    into->refused = into->refused || from->refused;
    for (unsigned i = 0; i < from->n_stages; i++)
        add_stage(s, into, from->stages[i]);
    from->n_stages = 0;
}

static void link_users(stager *s, gml_value *value)
{
    s->is_link[value->id] = true;
    group_at(s, value->def)->bytes += matrix_bytes(&value->type);
    for (gml_node *user = value->def->next; user; user = user->next)
        for (uint32_t k = 0; k < user->n_operands; k++)
            if (user->operands[k] == value)
                join(s, value->def, user);
}

/* Why the group cannot be one kernel; NULL: it can. */
static const char *find_obstacle(const stager *s, const group *g)
{
    if (g->refused)
        return "there are too many stages";
    if (g->bytes > GML_MOST_BYTES)
        return "a matrix of each is more than stays in the cache";
    const gml_node *last = g->stages[g->n_stages - 1];
    for (unsigned i = 0; i + 1 < g->n_stages; i++) {
        const gml_value *value = &g->stages[i]->results[0];
        if (s->is_link[value->id])
            continue;
        for (const gml_node *user = g->stages[i]->next; user && user != last->next;
             user = user->next)
            for (uint32_t k = 0; k < user->n_operands; k++)
                if (user->operands[k] == value)
                    return "a result is needed before the last stage";
    }
    return NULL;
}

static const char *name_of(const gml_node *node)
{
    return node->loc.node ? node->loc.node : "?";
}

static void explain(const stager *s, const group *g, const char *obstacle)
{
    if (!s->cx->explain)
        return;
    gml_str *out = s->cx->explain;
    gml_str_printf(out, "stage: %s", name_of(g->stages[0]));
    for (unsigned i = 1; i < g->n_stages; i++)
        gml_str_printf(out, ", %s", name_of(g->stages[i]));
    if (obstacle)
        gml_str_printf(out, " stay kernels of their own: %s\n", obstacle);
    else
        gml_str_printf(out, " are one kernel; %lld bytes of each matrix are not stored\n",
                       (long long)g->bytes);
}

static gml_status make_stages(stager *s, const group *g)
{
    gml_node *last = g->stages[g->n_stages - 1];
    int shared = last->results[0].type.rank - 2;
    gml_value *sides[GML_MAX_STAGES];
    uint32_t n_sides = 0;
    for (unsigned i = 0; i + 1 < g->n_stages; i++)
        if (!s->is_link[g->stages[i]->results[0].id])
            sides[n_sides++] = &g->stages[i]->results[0];
    gml_region region = gml_region_begin(s->cx, last, sides, n_sides);
    for (unsigned i = 0; i < g->n_stages; i++)
        gml_region_move(&region, g->stages[i]);
    gml_attr attr = gml_attr_int("shared", shared);
    gml_node_set_attr(region.node, &attr);
    return gml_region_end(&region);
}

/* ---- the pass -----------------------------------------------------------------------------
 */

static void collect(stager *s)
{
    uint32_t position = 0;
    for (const gml_node *node = s->graph->first; node; node = node->next, position++) {
        for (uint32_t r = 0; r < node->n_results; r++)
            s->position[node->results[r].id] = position;
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (node->operands[k])
                s->n_users[node->operands[k]->id]++;
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                gml_mark_captured(node->attrs[i].as.graph, s->is_kept);
    }
    for (uint32_t r = 0; r < s->graph->n_results; r++)
        s->is_kept[s->graph->results[r]->id] = true;
}

static gml_status stage_graph(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    uint32_t n = cx->module->n_values;
    stager s = {.graph = graph, .cx = cx};
    s.position = gml_new_array(cx->scratch, uint32_t, n + 1);
    s.is_kept = gml_new_array(cx->scratch, bool, n + 1);
    s.is_link = gml_new_array(cx->scratch, bool, n + 1);
    s.n_users = gml_new_array(cx->scratch, uint32_t, n + 1);
    s.group_of = gml_new_array(cx->scratch, group *, n + 1);
    gml_vec(group *) groups = {0};
    collect(&s);
    gml_for_each_node(node, graph) {
        if (node->n_results == 1 && can_link(&s, &node->results[0]))
            link_users(&s, &node->results[0]);
    }
    gml_for_each_node(node, graph) {
        group *g = node->n_results == 1 ? s.group_of[node->results[0].id] : NULL;
        if (g && g->stages[0] == node)
            gml_push(cx->scratch, &groups, g);
    }
    for (size_t i = 0; i < groups.count; i++) {
        const char *obstacle = find_obstacle(&s, groups.items[i]);
        explain(&s, groups.items[i], obstacle);
        if (obstacle)
            continue;
        GML_TRY(make_stages(&s, groups.items[i]));
        *out_changed = true;
    }
    return GML_OK;
}

gml_status gml_pass_stage(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    gml_for_each_node(node, graph) {
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH && !(node->op->traits & GML_INLINES))
                GML_TRY(gml_pass_stage(node->attrs[i].as.graph, cx, out_changed));
    }
    return stage_graph(graph, cx, out_changed);
}
