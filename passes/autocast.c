/* passes/autocast.c - stores what products read as bf16, where they round it to that anyway.
 *
 * With the precision medium a product on tensor cores rounds its operands to bf16
 * (codegen/codegen.h). A value that several of them read was then written in f32, read again by
 * each, and by large ones written once more:
 *
 *     v: f32 --+--> product             v: f32 --> c = Cast(v): bf16 --+--> Cast(c): f32 -->
 * product
 *              +--> product                                            +--> Cast(c): f32 -->
 * product
 *
 * The first Cast becomes part of the kernel that makes v (passes/fuse.c), and v itself is not
 * stored when nobody else reads it; the second is a load in the kernel of the product, whose
 * sums stay what they are. Rounding twice is rounding once, so that all results stay the same,
 * but for scales that are no powers of two, which go behind the products first
 * (passes/scales.h). What only copies elements on the way (views, parts of a Split, multiples
 * by a power of two) is repeated for each product behind its Cast.
 *
 * A value is stored so when that moves fewer bytes. Counted is, for each element of an operand,
 * what the product reads of it in f32 and bf16, and what writing a streamed operand moves. The
 * Cast itself costs what it stores, and what it reads where no kernel takes it in: inputs,
 * states and their new values. That of a constant is folded.
 *
 * Runs after differentiation, so that forward and backward pass share the copy, and before
 * recompute, which leaves the copies alone: they are what is kept for the backward pass. Values
 * inside of an attention, between its products, stay: they are never stored. */
#include "passes/costly.h"
#include "passes/operand.h"
#include "passes/region.h"
#include "passes/scales.h"
#include "passes/tiles.h"

#include <inttypes.h>

#define GML_MAX_SCORES 8 /* nodes behind each other between products of an attention */

/* Bytes of an element */
#define GML_WIDE     4
#define GML_NARROW   2
#define GML_STREAMED (GML_WIDE + 2 * GML_NARROW) /* read, written, and read by the product */

typedef struct reader {
    gml_node *node; /* a product */
    uint32_t k;     /* its operand */
    gml_value *source;
    bool is_stepped; /* there is something between source and product */
} reader;

/* What is known of a source. */
typedef struct plan {
    int64_t saved; /* by readers, in bytes */
    uint32_t n_readers;
    bool is_stepped;
    gml_value *narrow; /* the bf16 copy, or NULL */
} plan;

typedef struct caster {
    gml_graph *graph;
    gml_pass_cx *cx;
    uint32_t n_values;
    gml_vec(reader) readers; /* in the order of the graph */
    plan *plans;             /* by value id */
    uint32_t *left;          /* by value id: uses that are not those of readers */
    gml_value **split_of;    /* by id of a Split's first result: the source that it is of */
    int64_t total;           /* bytes saved */
    uint32_t n_copies, n_cast;
} caster;

/* ---- between products ---------------------------------------------------------------------
 */

static bool same_batch(const gml_type *a, const gml_type *b)
{
    if (a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank - 2; d++)
        if (a->dims[d] != b->dims[d])
            return false;
    return true;
}

/* `value` is made of products of the same batch, which one kernel computes with its reader
 * (passes/stage.c). */
static bool is_between(const gml_value *value, const gml_type *batch, unsigned depth)
{
    const gml_node *node = value->def;
    gml_tiles tiles;
    if (!node || depth == 0 || node->n_results != 1 || !same_batch(&value->type, batch))
        return false;
    if (node->op->traits & GML_CONTRACTION)
        return gml_tiles_find(node, &tiles) && tiles.is_batched;
    if (!node->op->scalar && gml_rows_of(node) < 0 && !gml_is_cheap_view(node))
        return false;
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k] && is_between(node->operands[k], batch, depth - 1))
            return true;
    return false;
}

static bool is_narrow(const gml_value *value)
{
    const gml_node *node = value->def;
    return node && node->op == &gml_op_cast && node->operands[0]->type.dtype == GML_BF16;
}

/* ---- who reads what -----------------------------------------------------------------------
 */

/* One use of `value` is gone; where it was the last, those of what it was made from go. */
static void drop_use(caster *c, gml_value *value, const gml_value *source)
{
    while (--c->left[value->id] == 0 && value != source) {
        const gml_node *node = value->def;
        for (uint32_t r = 0; r < node->n_results; r++)
            if (c->left[node->results[r].id] != 0)
                return;
        value = node->operands[gml_operand_step(c->graph, value)];
    }
}

/* The kernels that copy all parts of a Split are gone when those of `source` are. */
static void note_splits(caster *c, const gml_value *value, gml_value *source)
{
    while (value != source) {
        gml_node *node = value->def;
        value = node->operands[gml_operand_step(c->graph, value)];
        if (node->op != &gml_op_split || c->split_of[node->results[0].id])
            continue;
        c->split_of[node->results[0].id] = source;
        c->plans[source->id].saved += 2 * (int64_t)GML_WIDE * gml_known_elements(&value->type);
    }
}

static void add_reader(caster *c, gml_node *node, uint32_t k, const gml_tiles *tiles)
{
    gml_value *operand = node->operands[k];
    gml_value *source = gml_operand_source(c->graph, operand);
    const gml_type *type = &source->type;
    if (source->graph != c->graph || type->dtype != GML_F32 || gml_known_elements(type) <= 0 ||
        is_narrow(source) ||
        (tiles->is_batched && is_between(operand, &node->results[0].type, GML_MAX_SCORES)))
        return;
    reader r = {node, k, source, source != operand};
    plan *p = &c->plans[source->id];
    bool is_streamed = tiles->is_streamed && k >= tiles->n_windows &&
                       gml_operand_is_plain(c->graph, operand, source);
    int64_t now = is_streamed ? GML_STREAMED : GML_WIDE;
    p->saved += (now - GML_NARROW) * gml_known_elements(&operand->type);
    p->n_readers++;
    p->is_stepped = r.is_stepped;
    note_splits(c, operand, source);
    drop_use(c, operand, source);
    gml_push(c->cx->scratch, &c->readers, r);
}

static void find_readers(caster *c)
{
    gml_for_each_node(node, c->graph) {
        gml_tiles tiles;
        if (!gml_tiles_find(node, &tiles))
            continue;
        for (uint32_t k = 0; k < 2; k++)
            add_reader(c, node, k, &tiles);
    }
}

/* ---- what is worth it ---------------------------------------------------------------------
 */

/* The kernel that makes the value can store it as bf16. */
static bool can_take_in(const gml_node *node)
{
    return node->n_results == 1 && (node->op->scalar || node->op->lower) &&
           !(node->op->traits & (GML_EFFECT | GML_INLINES)) &&
           (node->op->scalar || (node->op->traits & (GML_VIEW | GML_CONTRACTION)) ||
            gml_rows_of(node) >= 0);
}

/* The new value of a state: updates that are alike become one launch (passes/bundle.c), which a
 * copy beside one of them would take it out of. */
static bool is_update(const caster *c, const gml_value *value)
{
    const gml_module *module = c->cx->module;
    for (size_t i = 0; i < module->states.count && c->graph == module->main; i++) {
        uint32_t result = module->states.items[i].result;
        if (result != GML_NO_INDEX && c->graph->results[result] == value)
            return true;
    }
    return false;
}

/* Nobody stores it: it is computed while its only reader copies it. */
static bool is_inlined(const caster *c, const gml_value *source, const plan *p)
{
    const gml_node *node = source->def;
    if (!node || source->constant || p->n_readers > 1 || c->left[source->id] > 0)
        return false;
    if (node->op->lower && (node->op->traits & GML_VIEW))
        return true;
    return p->is_stepped && node->op->scalar && !gml_is_costly(c->cx, node);
}

static int64_t count_saved(const caster *c, const gml_value *source, const plan *p)
{
    int64_t elements = gml_known_elements(&source->type);
    if (source->constant)
        return p->saved;
    if (!source->def || !can_take_in(source->def) || is_update(c, source))
        return p->saved - (GML_WIDE + GML_NARROW) * elements;
    if (is_inlined(c, source, p))
        return 0;
    bool stays = c->left[source->id] > 0;
    return p->saved + (stays ? -GML_NARROW : GML_WIDE - GML_NARROW) * elements;
}

static void explain(caster *c, const gml_value *source, const plan *p, int64_t saved)
{
    gml_str *out = c->cx->explain;
    const gml_node *node = source->def;
    if (!out)
        return;
    gml_str_printf(out, "autocast: %s (%s), %" PRId64 " elements, read by %u product%s, ",
                   node && node->loc.node ? node->loc.node
                   : source->name         ? source->name
                                          : "?",
                   node ? node->op->name : "an input", gml_known_elements(&source->type),
                   p->n_readers, p->n_readers == 1 ? "" : "s");
    if (saved > 0)
        gml_str_printf(out, "is bf16%s: %" PRId64 " bytes less\n",
                       c->left[source->id] > 0 ? " beside f32" : "", saved);
    else
        gml_str_printf(out, "stays f32: a copy would move %" PRId64 " bytes more\n", -saved);
}

/* ---- casts --------------------------------------------------------------------------------
 */

/* Right behind the value: the kernel that stores it is the first that reads it. */
static gml_value *make_narrow(caster *c, gml_build *b, const reader *r)
{
    gml_value *source = r->source;
    b->before = source->def ? source->def->next : c->graph->first;
    b->loc = source->def ? source->def->loc : r->node->loc;
    return gml_build_cast(b, source, GML_BF16);
}

static void cast_operand(caster *c, gml_build *b, const reader *r)
{
    plan *p = &c->plans[r->source->id];
    if (!p->narrow)
        p->narrow = make_narrow(c, b, r);
    b->before = r->node;
    b->loc = r->node->loc;
    gml_value *wide = gml_build_cast(b, p->narrow, GML_F32);
    if (b->status != GML_OK)
        return;
    wide->def->is_again = true;
    r->node->operands[r->k] = gml_operand_repeat(b, r->node->operands[r->k], r->source, wide);
    c->n_cast++;
}

/* Whoever else reads a part reads it where it lies. */
static gml_status replace_splits(caster *c)
{
    gml_build b = {.graph = c->graph, .diags = c->cx->diags};
    gml_for_each_node(node, c->graph) {
        const gml_value *source = node->op == &gml_op_split && node->results[0].id < c->n_values
                                      ? c->split_of[node->results[0].id]
                                      : NULL;
        if (!source || !c->plans[source->id].narrow)
            continue;
        b.before = node;
        b.loc = node->loc;
        for (uint32_t r = 0; r < node->n_results; r++)
            if (c->left[node->results[r].id] > 0)
                gml_value_replace(&node->results[r],
                                  gml_operand_part(&b, &node->results[r], node->operands[0]));
    }
    return b.status;
}

static gml_status cast_all(caster *c)
{
    gml_build b = {.graph = c->graph, .diags = c->cx->diags};
    bool *is_decided = gml_new_array(c->cx->scratch, bool, c->n_values + 1);
    int64_t *saved = gml_new_array(c->cx->scratch, int64_t, c->n_values + 1);
    for (size_t i = 0; i < c->readers.count && b.status == GML_OK; i++) {
        const reader *r = &c->readers.items[i];
        uint32_t id = r->source->id;
        if (!is_decided[id]) {
            is_decided[id] = true;
            saved[id] = count_saved(c, r->source, &c->plans[id]);
            explain(c, r->source, &c->plans[id], saved[id]);
            c->n_copies += saved[id] > 0;
            c->total += saved[id] > 0 ? saved[id] : 0;
        }
        if (saved[id] > 0)
            cast_operand(c, &b, r);
    }
    return b.status;
}

static gml_status cast_graph(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    GML_TRY(gml_scales_move(graph, cx, out_changed));
    caster c = {.graph = graph, .cx = cx, .n_values = cx->module->n_values};
    c.plans = gml_new_array(cx->scratch, plan, c.n_values + 1);
    c.split_of = gml_new_array(cx->scratch, gml_value *, c.n_values + 1);
    c.left = gml_graph_count_uses(graph, cx->scratch);
    find_readers(&c);
    GML_TRY(cast_all(&c));
    GML_TRY(replace_splits(&c));
    if (c.n_copies > 0 && cx->explain)
        gml_str_printf(cx->explain,
                       "autocast: %u values are bf16 for %u operands of products; %" PRId64
                       " bytes less are moved\n",
                       c.n_copies, c.n_cast, c.total);
    *out_changed = *out_changed || c.n_copies > 0;
    return GML_OK;
}

static gml_status cast_regions(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    gml_for_each_node(node, graph) {
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH && !(node->op->traits & GML_INLINES))
                GML_TRY(cast_regions(node->attrs[i].as.graph, cx, out_changed));
    }
    return cast_graph(graph, cx, out_changed);
}

gml_status gml_pass_autocast(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    bool changed = false;
    if (!cx->bf16_products)
        return GML_OK;
    GML_TRY(cast_regions(graph, cx, &changed));
    *out_changed = *out_changed || changed;
    return changed ? gml_pass_dce(graph, cx, &changed) : GML_OK; /* what was repeated */
}
