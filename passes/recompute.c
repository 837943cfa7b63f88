/* passes/recompute.c - computes again what is cheap, instead of keeping it for long.
 *
 * What the forward pass of a training step makes lies in memory until the backward pass reads
 * it. An elementwise result whose operands are there anyway need not: each late user gets the
 * node again, right before itself, where fusing makes it part of the user's kernel. So of a
 * normalisation the centred rows are kept and neither the normalised ones nor the result; of an
 * MLP what goes into the activation and not what comes out.
 *
 * Walks backwards, so that what a copy reads counts as read late when its own turn comes. A use
 * is late when GML_LATE nodes lie between it and the use before. What a copy reads must be
 * alive at the last late user without it, or be cheap to compute again itself. Costly formulas
 * (an error function) are repeated for one late user only, and if that is a contraction, which
 * evaluates an operand once for each element, or an elementwise node. */
#include "ir/op.h"
#include "passes/costly.h"
#include "passes/region.h"

#define GML_LATE        48
#define GML_LARGE       16384 /* elements: what is smaller is not worth it */
#define GML_MAX_COPIES  6     /* late users */
#define GML_MAX_CHAIN   4     /* nodes behind each other that a copy may need */
#define GML_MAX_READ    4     /* operands */
#define GML_SAVED_TIMES 4     /* what is saved is at least so many times what is kept for it */
#define GML_SHORT_ROW   256   /* of the products that scores are */
#define GML_MAX_SCORES  8     /* nodes behind each other that scores are computed from */

typedef struct use {
    gml_node *node;
    uint32_t position;
    struct use *next;
} use;

typedef struct recomputer {
    gml_pass_cx *cx;
    uint32_t n_values;
    uint32_t *position; /* of the node that makes a value, by id */
    use **uses;         /* by value id: in the order of the graph */
    bool *is_kept;      /* by value id: results of the graph, and what regions use */
} recomputer;

static int64_t count_elements(const gml_value *value)
{
    const gml_type *type = &value->type;
    int64_t n = 1;
    if (type->kind != GML_TYPE_TENSOR || type->rank < 0)
        return -1;
    for (int d = 0; d < type->rank; d++) {
        if (!gml_dim_is_const(type->dims[d]))
            return -1;
        n *= type->dims[d];
    }
    return n;
}

/* ---- uses ---------------------------------------------------------------------------------
 */

static void add_use(recomputer *r, const gml_value *value, gml_node *node, uint32_t position)
{
    use **at = &r->uses[value->id];
    while (*at && (*at)->position < position)
        at = &(*at)->next;
    if (*at && (*at)->node == node)
        return;
    use *added = gml_new(r->cx->scratch, use);
    *added = (use){node, position, *at};
    *at = added;
}

/* Where `value` is read for the last time, maybe through a view. */
static uint32_t last_use(const recomputer *r, const gml_value *value, unsigned depth)
{
    uint32_t last = 0;
    for (const use *u = r->uses[value->id]; u; u = u->next) {
        last = u->position > last ? u->position : last;
        if (depth == 0 || !gml_is_cheap_view(u->node) || u->node->results[0].id >= r->n_values)
            continue;
        uint32_t through = last_use(r, &u->node->results[0], depth - 1);
        last = through > last ? through : last;
    }
    return last;
}

/* Nodes from the last to the first, so that each use goes to the front of its list. */
static void collect(recomputer *r, const gml_graph *graph)
{
    uint32_t position = 0;
    for (const gml_node *node = graph->first; node; node = node->next)
        position++;
    for (gml_node *node = graph->last; node; node = node->prev, position--) {
        for (uint32_t k = 0; k < node->n_results; k++)
            r->position[node->results[k].id] = position;
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (node->operands[k])
                add_use(r, node->operands[k], node, position);
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                gml_mark_captured(node->attrs[i].as.graph, r->is_kept);
    }
    for (uint32_t k = 0; k < graph->n_results; k++)
        r->is_kept[graph->results[k]->id] = true;
}

/* ---- what is worth it ---------------------------------------------------------------------
 */

/* A copy in bf16 (passes/autocast.c) is what is kept: half of what it would be computed from.
 */
static bool is_for_products(const gml_node *node)
{
    return node->op == &gml_op_cast && node->results[0].type.dtype == GML_BF16 &&
           node->operands[0]->type.dtype == GML_F32;
}

static bool can_repeat(const gml_node *node)
{
    return node && (node->op->scalar || gml_is_cheap_view(node)) && node->n_results == 1 &&
           node->n_operands <= GML_MAX_READ && !(node->op->traits & GML_EFFECT) &&
           !node->results[0].constant && !is_for_products(node);
}

static bool is_cheap(const recomputer *r, const gml_node *node)
{
    return can_repeat(node) && (!node->op->scalar || !gml_is_costly(r->cx, node));
}

static bool is_alive(const recomputer *r, const gml_value *value, uint32_t position)
{
    return value->constant || !value->def || r->is_kept[value->id] ||
           last_use(r, value, GML_MAX_CHAIN) >= position;
}

/* What computing `node` again at `position` keeps alive till then that would not be, in
 * elements; -1 when that is not known. */
static int64_t added_by(const recomputer *r, const gml_node *node, uint32_t position,
                        unsigned chain)
{
    int64_t added = 0;
    for (uint32_t k = 0; k < node->n_operands; k++) {
        const gml_value *operand = node->operands[k];
        if (!operand || is_alive(r, operand, position))
            continue;
        int64_t more = count_elements(operand);
        if (chain > 0 && is_cheap(r, operand->def)) {
            int64_t deeper = added_by(r, operand->def, position, chain - 1);
            more = deeper >= 0 && (more < 0 || deeper < more) ? deeper : more;
        }
        if (more < 0)
            return -1;
        added += more;
    }
    return added;
}

/* The first use that comes late, or NULL. */
static use *find_late(const recomputer *r, const gml_node *node)
{
    uint32_t before = r->position[node->results[0].id];
    for (use *u = r->uses[node->results[0].id]; u; u = u->next) {
        if (u->position - before > GML_LATE)
            return u;
        before = u->position;
    }
    return NULL;
}

/* Each element of the node is asked for once there. */
static bool asks_once(const gml_node *user, int64_t n_elements)
{
    if (user->op->traits & GML_CONTRACTION)
        return true;
    return user->n_results == 1 && count_elements(&user->results[0]) == n_elements &&
           (user->op->scalar || (user->op->traits & GML_VIEW));
}

static bool is_worth_it(const recomputer *r, const gml_node *node, const use *late)
{
    int64_t saved = count_elements(&node->results[0]);
    uint32_t n_late = 0;
    uint32_t last = 0;
    for (const use *u = late; u; u = u->next, n_late++) {
        last = u->position;
        if (u->node->op->host || !(u->node->op->scalar || u->node->op->lower))
            return false;
    }
    if (n_late > GML_MAX_COPIES)
        return false;
    if (!is_cheap(r, node) && (n_late > 1 || !asks_once(late->node, saved)))
        return false;
    if (!node->op->scalar && is_alive(r, node->operands[0], last))
        return false; /* a view of what is there is there */
    int64_t added = added_by(r, node, last, GML_MAX_CHAIN);
    return added >= 0 && added * GML_SAVED_TIMES <= saved;
}

/* ---- copies -------------------------------------------------------------------------------
 */

static gml_value *copy_before(recomputer *r, gml_node *node, gml_value *const *operands,
                              gml_node *user, uint32_t position)
{
    gml_node *copy =
        gml_node_create(node->graph, user, node->op, operands, node->n_operands, 1, node->loc);
    for (uint32_t i = 0; i < node->n_attrs; i++)
        gml_node_set_attr(copy, &node->attrs[i]);
    copy->results[0].type = node->results[0].type;
    copy->results[0].elements = node->results[0].elements;
    copy->is_again = true;
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (operands[k] && operands[k]->id < r->n_values)
            add_use(r, operands[k], copy, position);
    return &copy->results[0];
}

/* `value` computed again before `user`; what it reads and would be dead is, too. */
static gml_value *repeat(recomputer *r, gml_value *value, gml_node *user, uint32_t position,
                         unsigned chain)
{
    gml_node *node = value->def;
    gml_value *operands[GML_MAX_READ] = {NULL};
    for (uint32_t k = 0; k < node->n_operands; k++) {
        gml_value *operand = node->operands[k];
        operands[k] = operand;
        if (!operand)
            continue;
        if (!is_alive(r, operand, position) && chain > 0 && is_cheap(r, operand->def))
            operands[k] = repeat(r, operand, user, position, chain - 1);
    }
    return copy_before(r, node, operands, user, position);
}

static void repeat_for(recomputer *r, gml_node *node, const use *late)
{
    gml_value *value = &node->results[0];
    for (const use *u = late; u; u = u->next) {
        gml_value *copy = repeat(r, value, u->node, u->position, GML_MAX_CHAIN);
        for (uint32_t k = 0; k < u->node->n_operands; k++)
            if (u->node->operands[k] == value)
                u->node->operands[k] = copy;
    }
}

static void explain(const recomputer *r, const gml_node *node)
{
    const gml_value *value = &node->results[0];
    if (r->cx->explain)
        gml_str_printf(r->cx->explain,
                       "recompute: %s (%s), %lld elements, is computed again, not kept\n",
                       node->loc.node ? node->loc.node : "?", node->op->name,
                       (long long)count_elements(value));
}

/* ---- scores of an attention ---------------------------------------------------------------
 *
 * A softmax over products of short rows: of all that an attention keeps for its gradients it is
 * the largest by far, and what it is computed from is kept for them as well. */

static bool is_short_product(const gml_node *node)
{
    if (node->op != &gml_op_matmul)
        return false;
    const gml_type *a = &node->operands[0]->type;
    const gml_type *b = &node->operands[1]->type;
    return a->rank > 2 && b->rank > 2 && gml_dim_is_const(a->dims[a->rank - 1]) &&
           a->dims[a->rank - 1] <= GML_SHORT_ROW;
}

/* `value` is there at `position`, or can be computed from what is. */
static bool can_have(const recomputer *r, const gml_value *value, uint32_t position,
                     unsigned chain)
{
    if (!value || is_alive(r, value, position))
        return true;
    const gml_node *node = value->def;
    if (chain == 0 || node->n_operands > GML_MAX_READ ||
        !(is_short_product(node) || is_cheap(r, node)))
        return false;
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (!can_have(r, node->operands[k], position, chain - 1))
            return false;
    return true;
}

static gml_value *have(recomputer *r, gml_value *value, gml_node *user, uint32_t position,
                       uint32_t last)
{
    if (!value || is_alive(r, value, last))
        return value;
    gml_node *node = value->def;
    gml_value *operands[GML_MAX_READ] = {NULL};
    for (uint32_t k = 0; k < node->n_operands; k++)
        operands[k] = have(r, node->operands[k], user, position, last);
    return copy_before(r, node, operands, user, position);
}

/* The product that a softmax is of, maybe scaled or masked. */
static bool is_of_products(const gml_value *value, unsigned depth)
{
    const gml_node *node = value ? value->def : NULL;
    if (!node || depth == 0 || is_short_product(node))
        return node && depth > 0;
    for (uint32_t k = 0; k < node->n_operands && node->op->scalar; k++)
        if (node->operands[k] && node->operands[k]->type.rank == value->type.rank &&
            is_of_products(node->operands[k], depth - 1))
            return true;
    return false;
}

/* All late users get the same copy. */
static bool repeat_scores(recomputer *r, gml_node *node, const use *late)
{
    gml_value *value = &node->results[0];
    uint32_t last = late->position;
    for (const use *u = late; u; u = u->next)
        last = u->position;
    if (node->op != &gml_op_softmax || node->n_operands != 1 ||
        !is_of_products(node->operands[0], GML_MAX_SCORES) ||
        !can_have(r, node->operands[0], last, GML_MAX_SCORES))
        return false;
    gml_value *operand = have(r, node->operands[0], late->node, late->position, last);
    gml_value *copy = copy_before(r, node, &operand, late->node, late->position);
    for (const use *u = late; u; u = u->next)
        for (uint32_t k = 0; k < u->node->n_operands; k++)
            if (u->node->operands[k] == value)
                u->node->operands[k] = copy;
    return true;
}

static bool look_at(recomputer *r, gml_node *node)
{
    if (node->n_results != 1 || node->is_again || r->is_kept[node->results[0].id] ||
        count_elements(&node->results[0]) < GML_LARGE)
        return false;
    use **end = &r->uses[node->results[0].id];
    use *late = find_late(r, node);
    if (!late)
        return false;
    if (can_repeat(node) && is_worth_it(r, node, late))
        repeat_for(r, node, late);
    else if (!repeat_scores(r, node, late))
        return false;
    while (*end != late)
        end = &(*end)->next;
    *end = NULL;
    explain(r, node);
    return true;
}

gml_status gml_pass_recompute(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    recomputer r = {.cx = cx, .n_values = cx->module->n_values};
    r.position = gml_new_array(cx->scratch, uint32_t, r.n_values + 1);
    r.uses = gml_new_array(cx->scratch, use *, r.n_values + 1);
    r.is_kept = gml_new_array(cx->scratch, bool, r.n_values + 1);
    collect(&r, graph);
    for (gml_node *node = graph->last; node; node = node->prev)
        *out_changed |= look_at(&r, node);
    return GML_OK;
}
