#include "api/drop_path.h"

#include "api/builder.h"
#include "api/train_form.h"

#define GML_NO_BLOCK    (-1)
#define GML_MANY_BLOCKS (-2)

/* What a value is to the search. Of constants, and what is made of them alone, the block of the
 * weight is known. */
typedef struct mark {
    bool is_constant;
    int64_t block;          /* of a constant, or GML_NO_BLOCK */
    uint32_t from, towards; /* the number of the Add for which it is between the operands */
} mark;

typedef struct branch {
    gml_node *add;
    uint32_t operand; /* which of the two */
    int64_t block;
} branch;

typedef struct finder {
    gml_graph *graph;
    gml_arena scratch;
    mark *marks;        /* by value id */
    uint32_t *position; /* by id of results: the node's in the graph, from 1; parameters 0 */
    uint32_t n_adds;    /* looked at */
    int64_t n_blocks;
    gml_vec(branch) branches;
} finder;

/* ---- constants --------------------------------------------------------------------------- */

/* One number is part of a formula, and no weight. */
static bool is_single(const gml_value *value)
{
    for (int d = 0; d < value->type.rank; d++)
        if (value->type.dims[d] != 1)
            return false;
    return true;
}

/* Whether a node's results are made of constants alone, and the block of one of those. */
static mark mark_of(const finder *f, const gml_node *node)
{
    mark m = {.is_constant = true, .block = GML_NO_BLOCK};
    if (node->op == &gml_op_constant) {
        const gml_value *value = &node->results[0];
        if (value->name != NULL && !is_single(value))
            m.block = gml_train_block_of(value->name);
        return m;
    }
    for (uint32_t k = 0; k < node->n_operands; k++) {
        const mark *operand =
            node->operands[k] != NULL ? &f->marks[node->operands[k]->id] : NULL;
        if (operand == NULL)
            continue;
        m.is_constant = m.is_constant && operand->is_constant;
        m.block = operand->block != GML_NO_BLOCK ? operand->block : m.block;
    }
    m.block = m.is_constant ? m.block : GML_NO_BLOCK;
    return m;
}

static void mark_nodes(finder *f)
{
    uint32_t n = 0;
    gml_for_each_node(node, f->graph) {
        mark m = mark_of(f, node);
        f->n_blocks = m.block >= f->n_blocks ? m.block + 1 : f->n_blocks;
        n++;
        for (uint32_t r = 0; r < node->n_results; r++) {
            f->marks[node->results[r].id] = m;
            f->position[node->results[r].id] = n;
        }
    }
}

/* ---- branches ---------------------------------------------------------------------------- */

static void mark_from(finder *f, gml_node *first, const gml_node *add, const gml_value *base)
{
    f->marks[base->id].from = f->n_adds;
    for (gml_node *node = first; node != add; node = node->next) {
        bool is_from = false;
        for (uint32_t k = 0; k < node->n_operands && !is_from; k++)
            is_from =
                node->operands[k] != NULL && f->marks[node->operands[k]->id].from == f->n_adds;
        for (uint32_t r = 0; r < node->n_results && is_from; r++)
            f->marks[node->results[r].id].from = f->n_adds;
    }
}

/* Takes what `node` is made of into the way, and its weights' block into `block`. */
static int64_t follow(finder *f, const gml_node *node, int64_t block)
{
    for (uint32_t k = 0; k < node->n_operands; k++) {
        mark *m = node->operands[k] != NULL ? &f->marks[node->operands[k]->id] : NULL;
        if (m == NULL)
            continue;
        if (m->from == f->n_adds)
            m->towards = f->n_adds;
        if (m->block == GML_NO_BLOCK || m->block == block)
            continue;
        block = block == GML_NO_BLOCK ? m->block : GML_MANY_BLOCKS;
    }
    return block;
}

/* The one block whose weights are on the way from `base` to `tip`, which comes later. */
static int64_t block_between(finder *f, gml_node *add, gml_value *base, gml_value *tip)
{
    int64_t block = GML_NO_BLOCK;
    gml_node *first = base->def != NULL ? base->def->next : f->graph->first;
    f->n_adds++;
    mark_from(f, first, add, base);
    if (f->marks[tip->id].from != f->n_adds)
        return GML_NO_BLOCK;
    f->marks[tip->id].towards = f->n_adds;
    for (gml_node *node = add->prev; node != first->prev; node = node->prev) {
        bool leads = false;
        for (uint32_t r = 0; r < node->n_results; r++)
            leads = leads || f->marks[node->results[r].id].towards == f->n_adds;
        if (leads && block != GML_MANY_BLOCKS)
            block = follow(f, node, block);
    }
    return block;
}

/* An Add of floats, of two computed values of its own shape, a row a sample. */
static bool could_join(const finder *f, const gml_node *node)
{
    if (node->op != &gml_op_add || f->graph->n_params == 0)
        return false;
    const gml_type *type = &node->results[0].type;
    const gml_type *input = &f->graph->params[0]->type;
    if (type->kind != GML_TYPE_TENSOR || type->rank < 2 ||
        gml_dtype_get_class(type->dtype) != GML_CLASS_FLOAT || input->rank < 1 ||
        type->dims[0] != input->dims[0])
        return false;
    return gml_type_equal(type, &node->operands[0]->type) &&
           gml_type_equal(type, &node->operands[1]->type) &&
           !f->marks[node->operands[0]->id].is_constant &&
           !f->marks[node->operands[1]->id].is_constant &&
           node->operands[0] != node->operands[1];
}

static void find_branches(finder *f)
{
    gml_for_each_node(node, f->graph) {
        if (!could_join(f, node))
            continue;
        bool is_second =
            f->position[node->operands[1]->id] > f->position[node->operands[0]->id];
        branch b = {.add = node, .operand = is_second};
        b.block = block_between(f, node, node->operands[!is_second], node->operands[is_second]);
        if (b.block >= 0)
            gml_push(&f->scratch, &f->branches, b);
    }
}

/* ---- factors ----------------------------------------------------------------------------- */

static double rate_of(const finder *f, const branch *found, double rate)
{
    return f->n_blocks > 1 ? rate * (double)found->block / (double)(f->n_blocks - 1) : 0;
}

/* A node whose name the model does not have. */
static gml_value *make(gml_builder *b, const char *op, gml_value *x, gml_value *y)
{
    const char *name =
        gml_arena_printf(&b->module->arena, "drop_path/%s_%u", op, b->module->n_values);
    return gml_builder_node(b, &(gml_node_spec){.op = op, .name = name, .inputs = {x, y}});
}

/* Row `i` of the input, (N), as (N, 1, ...) of the branch's rank. */
static gml_value *factor_of(gml_builder *b, gml_value *input, size_t i, const gml_value *tip)
{
    int64_t axes[GML_MAX_RANK];
    size_t n = 0;
    gml_value *row = gml_build_scalar(&b->build, GML_I64, (double)i);
    for (int d = 1; d < tip->type.rank; d++)
        axes[n++] = d;
    row = make(b, "Gather", input, row);
    row = make(b, "Unsqueeze", row, gml_build_ints(&b->build, axes, n));
    return tip->type.dtype == GML_F32 ? row : gml_build_cast(&b->build, row, tip->type.dtype);
}

static void multiply(gml_builder *b, const branch *found, gml_value *input, size_t i)
{
    gml_value *operands[2] = {found->add->operands[0], found->add->operands[1]};
    gml_value **tip = &operands[found->operand];
    b->build.before = found->add;
    gml_value *factor = factor_of(b, input, i, *tip);
    *tip = make(b, "Mul", *tip, factor);
    b->build.before = NULL;
    if (!gml_builder_has_failed(b))
        gml_node_set_operands(found->add, operands, 2);
}

static gml_value *add_input(gml_builder *b, size_t n)
{
    const gml_dim dims[2] = {(gml_dim)n, b->module->main->params[0]->type.dims[0]};
    return gml_builder_param(b, gml_builder_free_name(b, "drop_path"),
                             gml_type_tensor(&b->module->arena, GML_F32, 2, dims));
}

static void add_factors(finder *f, gml_builder *b, gml_drop_path *drop, gml_arena *arena)
{
    size_t n = 0;
    for (size_t i = 0; i < f->branches.count; i++)
        n += rate_of(f, &f->branches.items[i], drop->rate) > 0;
    if (n == 0)
        return;
    gml_value *input = add_input(b, n);
    drop->rates = gml_new_array(arena, double, n);
    for (size_t i = 0; i < f->branches.count; i++) {
        double rate = rate_of(f, &f->branches.items[i], drop->rate);
        if (rate > 0) {
            multiply(b, &f->branches.items[i], input, drop->n);
            drop->rates[drop->n++] = rate;
        }
    }
}

void gml_drop_path_add(gml_builder *b, gml_drop_path *drop, gml_arena *arena)
{
    drop->n = 0;
    drop->rates = NULL;
    if (drop->rate == 0 || gml_builder_has_failed(b))
        return;
    finder f = {.graph = b->module->main};
    gml_arena_init(&f.scratch);
    f.marks = gml_new_array(&f.scratch, mark, b->module->n_values + 1);
    for (uint32_t i = 0; i < b->module->n_values; i++)
        f.marks[i].block = GML_NO_BLOCK;
    f.position = gml_new_array(&f.scratch, uint32_t, b->module->n_values + 1);
    mark_nodes(&f);
    find_branches(&f);
    add_factors(&f, b, drop, arena);
    gml_arena_reset(&f.scratch);
}
