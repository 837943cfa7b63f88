/* passes/sums.c - sums of columns become part of the kernel that writes what they sum.
 *
 * The gradient of a bias is the sum of a gradient over everything but its channels, that of a
 * norm's scale one of a product with it, a batch's mean and variance are such sums. By
 * themselves each reads all of a value once more, and often nobody else reads it as f32. In the
 * kernel of the node that makes the value they are a stage behind it (a fused node with no
 * `shared` dimensions), whose elements a GPU sums while it has them in registers
 * (codegen/columns.h).
 *
 * For a GPU alone, behind the passes that make kernels. A sum moves up to the writer of the
 * last of its large operands, and what is small and needed for it (a row's deviation) before
 * that. */
#include "passes/region.h"
#include "passes/tiles.h"

/* Rows of a sum at least: fewer are no long way to read them again. */
#define GML_MIN_ROWS   64
#define GML_MAX_SUMS   4
/* Of a chain of small nodes that go before a writer. */
#define GML_MOST_MOVED 4

/* The sums that a node's kernel makes. */
typedef struct joined {
    gml_node *writer;
    gml_node *sums[GML_MAX_SUMS];
    unsigned n_sums;
} joined;

typedef struct summer {
    gml_graph *graph;
    gml_pass_cx *cx;
    uint32_t n_values;  /* ids when the pass began: what it makes stands where it is to */
    uint32_t *position; /* by value id: where the node stands that makes it, from 1 on */
    bool *is_captured;  /* by value id: used in a region */
    bool *is_joined;    /* by value id: a sum that some kernel makes */
    joined *of;         /* by the writer's position */
} summer;

/* A sum, or mean, over the first dimensions. */
static bool sums_columns(const gml_node *node)
{
    if (node->op != &gml_op_reducesum && node->op != &gml_op_reducemean)
        return false;
    const gml_type *in = &node->operands[0]->type;
    const gml_type *out = &node->results[0].type;
    int64_t columns = gml_known_elements(out);
    if (in->dtype != GML_F32 || columns < 2 || gml_known_elements(in) / columns < GML_MIN_ROWS)
        return false;
    int d = in->rank - 1;
    for (int k = out->rank - 1; k >= 0; k--) {
        if (out->dims[k] == 1)
            continue;
        while (d > 0 && in->dims[d] == 1)
            d--;
        if (d < 0 || in->dims[d--] != out->dims[k])
            return false;
    }
    return true;
}

/* The only reduction of a node, or of its region beside what is done element by element; NULL
 * where there is another form. */
static const gml_node *find_sum(const gml_node *node)
{
    if (node->op != &gml_op_fused)
        return sums_columns(node) ? node : NULL;
    const gml_node *sum = NULL;
    const gml_graph *body = gml_node_region(node, "body");
    for (const gml_node *inner = body->first; inner; inner = inner->next) {
        bool is_sum = sums_columns(inner);
        if (!is_sum && !inner->op->scalar && !(inner->op->traits & GML_VIEW))
            return NULL;
        if (is_sum && sum)
            return NULL;
        sum = is_sum ? inner : sum;
    }
    return sum;
}

/* A kernel that can have a stage behind it. */
static bool is_kernel(const summer *s, const gml_node *node)
{
    for (uint32_t r = 0; r < node->n_results; r++)
        if (s->is_captured[node->results[r].id])
            return false;
    if (node->op == &gml_op_fused)
        return gml_node_int(node, "shared", -1) < 0;
    return gml_can_root(node) && !(node->op->traits & GML_VIEW);
}

static uint32_t position_of(const summer *s, const gml_value *value)
{
    return value->graph == s->graph && value->id < s->n_values ? s->position[value->id] : 0;
}

/* Calls `visit` for each value of the graph that `node` reads, itself or in its region. */
typedef bool visitor(summer *s, gml_value *value, void *context);

static bool visit_reads(summer *s, const gml_node *node, visitor *visit, void *context)
{
    const gml_graph *body = node->op == &gml_op_fused ? gml_node_region(node, "body") : NULL;
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k] && position_of(s, node->operands[k]) > 0 &&
            !visit(s, node->operands[k], context))
            return false;
    for (const gml_node *inner = body ? body->first : NULL; inner; inner = inner->next)
        if (!visit_reads(s, inner, visit, context))
            return false;
    return true;
}

/* What is to stand behind a node, and what that needs. */
typedef struct move {
    gml_node *writer; /* that node */
    uint32_t at;      /* its place */
    int64_t size;     /* elements of what it makes */
    unsigned depth;   /* of chains of nodes that have to go before it */
} move;

/* A node that may go before another one: pure, with a small result. */
static bool is_movable(const summer *s, const gml_node *node, int64_t size)
{
    int64_t elements = gml_known_elements(&node->results[0].type);
    if (node->n_results == 1 && node->results[0].constant)
        return true;
    return (node->op == &gml_op_fused ? node->n_results == 1 : gml_can_root(node)) &&
           !s->is_joined[node->results[0].id] && elements >= 0 &&
           elements <= size / GML_MIN_ROWS;
}

/* Whether `value` is made before the writer or by it, or can be: by small nodes that need no
 * more than what is made before. */
static bool can_be_there(summer *s, gml_value *value, void *context)
{
    move *m = context;
    if (position_of(s, value) < m->at || (value->def == m->writer && m->depth == 0))
        return true;
    if (value->def == m->writer || m->depth == GML_MOST_MOVED ||
        !is_movable(s, value->def, m->size))
        return false;
    m->depth++;
    bool can = visit_reads(s, value->def, can_be_there, m);
    m->depth--;
    return can;
}

/* Those nodes have the writer's place from now on. */
static bool claim(summer *s, gml_value *value, void *context)
{
    const move *m = context;
    if (position_of(s, value) < m->at || value->def == m->writer)
        return true;
    s->position[value->id] = m->at;
    return visit_reads(s, value->def, claim, context);
}

/* They go before it. */
static bool bring(summer *s, gml_value *value, void *context)
{
    move *m = context;
    if (position_of(s, value) != m->at || value->def == m->writer)
        return true;
    visit_reads(s, value->def, bring, context);
    gml_node_move(value->def, m->writer);
    return true;
}

/* Who makes the last of what `node` reads that is as large as what `sum` sums. */
static gml_node *find_writer(summer *s, const gml_node *node, const gml_node *sum)
{
    const gml_value *last = NULL;
    int64_t size = gml_known_elements(&sum->operands[0]->type); /* known: it is a sum */
    for (uint32_t k = 0; k < node->n_operands; k++) {
        const gml_value *value = node->operands[k];
        if (value && value->def && position_of(s, value) > 0 &&
            gml_known_elements(&value->type) == size &&
            (!last || position_of(s, value) > position_of(s, last)))
            last = value;
    }
    if (!last || !is_kernel(s, last->def))
        return NULL;
    move m = {.writer = last->def, .at = position_of(s, last), .size = size};
    if (!visit_reads(s, node, can_be_there, &m))
        return NULL;
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k] && node->operands[k]->def == last->def &&
            !gml_reads_elements(node, k))
            return NULL;
    return last->def;
}

static void look(summer *s, gml_node *node)
{
    const gml_node *sum = node->n_results == 1 ? find_sum(node) : NULL;
    if (!sum || s->is_captured[node->results[0].id])
        return;
    gml_node *writer = find_writer(s, node, sum);
    if (!writer)
        return;
    uint32_t at = position_of(s, &writer->results[0]);
    joined *j = &s->of[at];
    if (j->n_sums == GML_MAX_SUMS)
        return;
    move m = {.writer = writer, .at = at};
    visit_reads(s, node, claim, &m);
    j->writer = writer;
    j->sums[j->n_sums++] = node;
    s->position[node->results[0].id] = at;
    s->is_joined[node->results[0].id] = true;
}

/* ---- making the regions -------------------------------------------------------------------
 */

static bool is_read_outside(const summer *s, const joined *j, const gml_value *value)
{
    for (uint32_t r = 0; r < s->graph->n_results; r++)
        if (s->graph->results[r] == value)
            return true;
    for (const gml_node *user = j->writer->next; user; user = user->next) {
        bool is_inside = false;
        for (unsigned i = 0; i < j->n_sums; i++)
            is_inside = is_inside || j->sums[i] == user;
        for (uint32_t k = 0; k < user->n_operands && !is_inside; k++)
            if (user->operands[k] == value)
                return true;
    }
    return false;
}

static const char *name_of(const gml_node *node)
{
    return node->loc.node ? node->loc.node : "?";
}

static gml_status make_kernel(summer *s, const joined *j)
{
    uint32_t n = 0;
    gml_value **sides =
        gml_new_array(s->cx->scratch, gml_value *, j->writer->n_results + GML_MAX_SUMS);
    for (uint32_t r = 1; r < j->writer->n_results; r++)
        if (is_read_outside(s, j, &j->writer->results[r]))
            sides[n++] = &j->writer->results[r];
    gml_node *after = j->writer->next;
    for (unsigned i = 0; i < j->n_sums; i++) {
        sides[n++] = &j->sums[i]->results[0];
        move m = {.writer = j->writer, .at = position_of(s, &j->writer->results[0])};
        visit_reads(s, j->sums[i], bring, &m);
        if (j->sums[i] == after)
            after = after->next;
        else
            gml_node_move(j->sums[i], after);
        if (s->cx->explain)
            gml_str_printf(s->cx->explain, "sums: %s is made by the kernel of %s\n",
                           name_of(j->sums[i]), name_of(j->writer));
    }
    gml_region region = gml_region_begin(s->cx, j->writer, sides, n);
    gml_region_move(&region, j->writer);
    for (unsigned i = 0; i < j->n_sums; i++)
        gml_region_move(&region, j->sums[i]);
    gml_attr attr = gml_attr_int("shared", 0);
    gml_node_set_attr(region.node, &attr);
    return gml_region_end(&region);
}

gml_status gml_pass_sums(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    summer s = {.graph = graph, .cx = cx, .n_values = cx->module->n_values};
    uint32_t n = 0;
    if (!cx->is_gpu)
        return GML_OK;
    s.position = gml_new_array(cx->scratch, uint32_t, s.n_values + 1);
    s.is_captured = gml_new_array(cx->scratch, bool, s.n_values + 1);
    s.is_joined = gml_new_array(cx->scratch, bool, s.n_values + 1);
    gml_for_each_node(node, graph) {
        n++;
        for (uint32_t r = 0; r < node->n_results; r++)
            s.position[node->results[r].id] = n;
        for (uint32_t i = 0; i < node->n_attrs; i++) {
            if (node->attrs[i].kind != GML_ATTR_GRAPH)
                continue;
            gml_mark_captured(node->attrs[i].as.graph, s.is_captured);
            if (!(node->op->traits & GML_INLINES))
                GML_TRY(gml_pass_sums(node->attrs[i].as.graph, cx, out_changed));
        }
    }
    s.of = gml_new_array(cx->scratch, joined, n + 1);
    gml_for_each_node(node, graph) {
        look(&s, node);
    }
    for (uint32_t i = 1; i <= n; i++) {
        if (s.of[i].n_sums == 0)
            continue;
        GML_TRY(make_kernel(&s, &s.of[i]));
        *out_changed = true;
    }
    return GML_OK;
}
