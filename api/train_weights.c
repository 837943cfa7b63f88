/* api/train_weights.c - which constants of a graph are trained.
 *
 * Those that the loss depends on by way of floating-point values (ir/grad_graph.h), and not by
 * an operand that decides shapes or was measured. */
#define _POSIX_C_SOURCE 200809L

#include "api/names.h"
#include "api/train_build.h"
#include "ir/grad_graph.h"
#include "runtime/value.h"

#include <fnmatch.h>
#include <stdlib.h>

/* A constant that might be trained. */
typedef struct candidate {
    gml_value *value;
    uint64_t n_elements;
    gml_train_fate fate;
} candidate;

typedef struct finder {
    gml_train_build *t;
    gml_graph *graph;
    gml_arena *scratch;
    gml_vec(candidate) candidates;
    uint32_t n_values; /* when the marks were made */
    bool *moves;       /* by value id: an operand of a node that leads to the loss */
    bool *measured;
    bool *sizes;
} finder;

const char *gml_train_fate_text(gml_train_fate fate)
{
    static const char *const texts[] = {
        [GML_TRAINED] = "trained",
        [GML_KEPT_ASKED] = "frozen",
        [GML_KEPT_MEASURED] = "a running statistic",
        [GML_KEPT_SINGLE] = "a single number",
        [GML_KEPT_SIZES] = "decides shapes",
        [GML_KEPT_UNUSED] = "without influence on the loss",
    };
    return texts[fate];
}

/* ---- names ------------------------------------------------------------------------------- */

bool gml_train_matches(const char *const *patterns, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (fnmatch(patterns[i], name, 0) == 0)
            return true;
    return false;
}

static bool is_named(const finder *f, const gml_value *value)
{
    const gml_train_form *form = f->t->form;
    return value->name != NULL && gml_train_matches(form->only, form->n_only, value->name);
}

static bool is_asked_for(const finder *f, const char *name)
{
    const gml_train_form *form = f->t->form;
    return !gml_train_matches(form->freeze, form->n_freeze, name) &&
           (form->n_only == 0 || gml_train_matches(form->only, form->n_only, name));
}

/* A pattern that matches nothing is a slip. */
static void check_patterns(finder *f, const char *const *patterns, size_t n)
{
    const char **names = gml_new_array(f->scratch, const char *, f->candidates.count + 1);
    for (size_t i = 0; i < f->candidates.count; i++)
        names[i] = f->candidates.items[i].value->name;
    for (size_t k = 0; k < n; k++) {
        bool any = false;
        for (size_t i = 0; i < f->candidates.count; i++)
            any = any || gml_train_matches(&patterns[k], 1, names[i]);
        if (!any)
            gml_train_fail(f->t, gml_name_fail(f->t->b->diags, gml_train_loc(f->t), "weight",
                                               patterns[k], names, f->candidates.count));
    }
}

/* ---- candidates -------------------------------------------------------------------------- */

/* The number of elements of a tensor of floats; false for other values, and open sizes. */
static bool count_floats(const gml_value *value, uint64_t *out_count)
{
    const gml_type *type = &value->type;
    gml_tensor tensor = {.dtype = type->dtype, .rank = type->rank};
    size_t bytes = 0;
    if (type->kind != GML_TYPE_TENSOR || type->rank < 0 ||
        gml_dtype_get_class(type->dtype) != GML_CLASS_FLOAT || gml_dtype_size(type->dtype) < 2)
        return false;
    for (int d = 0; d < type->rank; d++) {
        if (!gml_dim_is_const(type->dims[d]))
            return false;
        tensor.dims[d] = type->dims[d];
    }
    if (!gml_tensor_bytes(&tensor, &bytes))
        return false;
    *out_count = bytes / gml_dtype_size(type->dtype);
    return true;
}

static bool is_constant(const gml_value *value)
{
    return value != NULL && value->def != NULL && value->def->op == &gml_op_constant;
}

static void add_candidate(finder *f, gml_value *value)
{
    candidate c = {.value = value, .fate = GML_KEPT_UNUSED};
    if (value->name != NULL && *value->name != '\0' && count_floats(value, &c.n_elements))
        gml_push(f->scratch, &f->candidates, c);
}

static void find_candidates(finder *f)
{
    uint32_t n = f->t->b->module->n_initialisers;
    uint32_t i = 0;
    bool *is_initialiser = gml_new_array(f->scratch, bool, f->t->b->module->n_values + 1);
    const gml_node *end =
        f->t->b->before_step != NULL ? f->t->b->before_step->next : f->graph->first;
    for (gml_node *node = f->graph->first; node != end; node = node->next, i++) {
        gml_value *value = node->n_results == 1 ? &node->results[0] : NULL;
        if (is_constant(value)) {
            is_initialiser[value->id] = i < n || n == 0;
            if (is_initialiser[value->id] || is_named(f, value))
                add_candidate(f, value);
        } else if (node->op == &gml_op_constantofshape && is_constant(node->operands[0]) &&
                   is_initialiser[node->operands[0]->id]) {
            add_candidate(f, value);
        }
    }
}

/* ---- uses -------------------------------------------------------------------------------- */

static void mark_operands(finder *f, const gml_node *node, bool is_active)
{
    for (uint32_t k = 0; k < node->n_operands; k++) {
        if (node->operands[k] == NULL)
            continue;
        uint32_t id = node->operands[k]->id;
        unsigned bit = k < 31 ? k : 31;
        if (node->op->value_operands >> bit & 1)
            f->sizes[id] = true;
        else if (node->op->measured_operands >> bit & 1)
            f->measured[id] = true;
        else
            f->moves[id] |= is_active;
    }
}

/* A region's nodes count as active with their owner: the analysis of the loss knew better. */
static void mark_graph(finder *f, const gml_graph *graph, const gml_reverse *r)
{
    for (const gml_node *node = graph->first; node != NULL; node = node->next) {
        bool is_active = graph != f->graph || gml_reverse_is_active(r, node);
        mark_operands(f, node, is_active);
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                mark_graph(f, node->attrs[i].as.graph, r);
    }
    for (uint32_t i = 0; graph != f->graph && i < graph->n_results; i++)
        f->moves[graph->results[i]->id] = true;
}

static gml_reverse analyse(finder *f, gml_value *const *xs, size_t n)
{
    gml_reverse r = {.graph = f->graph,
                     .scratch = f->scratch,
                     .diags = f->t->b->diags,
                     .xs = xs,
                     .n_xs = (uint32_t)n,
                     .ys = &f->t->loss,
                     .n_ys = 1};
    gml_reverse_analyse(&r);
    return r;
}

static gml_train_fate fate_of(const finder *f, const candidate *c, const gml_reverse *r)
{
    uint32_t id = c->value->id;
    if (c->n_elements <= 1 || c->value->type.rank == 0)
        return GML_KEPT_SINGLE;
    if (f->sizes[id])
        return GML_KEPT_SIZES;
    if (f->measured[id])
        return GML_KEPT_MEASURED;
    if (!f->moves[id] || !gml_reverse_leads(r, c->value))
        return GML_KEPT_UNUSED;
    return is_asked_for(f, c->value->name) ? GML_TRAINED : GML_KEPT_ASKED;
}

static void decide(finder *f)
{
    size_t n = f->candidates.count;
    gml_value **xs = gml_new_array(f->scratch, gml_value *, n + 1);
    for (size_t i = 0; i < n; i++)
        xs[i] = f->candidates.items[i].value;
    gml_reverse r = analyse(f, xs, n);
    f->n_values = r.n_values;
    f->moves = gml_new_array(f->scratch, bool, r.n_values + 1);
    f->measured = gml_new_array(f->scratch, bool, r.n_values + 1);
    f->sizes = gml_new_array(f->scratch, bool, r.n_values + 1);
    mark_graph(f, f->graph, &r);
    for (size_t i = 0; i < n; i++)
        f->candidates.items[i].fate = fate_of(f, &f->candidates.items[i], &r);
}

/* ---- what is trained --------------------------------------------------------------------- */

/* A weight that a node makes of one number becomes a constant of the graph. */
static gml_value *spell_out(finder *f, const candidate *c)
{
    gml_node *node = c->value->def;
    if (node->op != &gml_op_constantofshape)
        return c->value;
    const gml_attr *attr = gml_node_find_attr(node, "value");
    size_t size = gml_dtype_size(c->value->type.dtype);
    gml_tensor tensor = {.dtype = c->value->type.dtype, .rank = c->value->type.rank};
    for (int d = 0; d < tensor.rank; d++)
        tensor.dims[d] = c->value->type.dims[d];
    char *data = calloc((size_t)c->n_elements, size);
    if (data == NULL) {
        gml_builder_fail_at(f->t->b, GML_E_MEMORY, c->value->name, NULL,
                            "there is no memory for the elements");
        return c->value;
    }
    gml_module_own(f->t->b->module, free, data);
    for (size_t i = 0; attr != NULL && i < c->n_elements; i++)
        memcpy(data + i * size, attr->as.t->data, size);
    tensor.data = data;
    gml_value *made = gml_graph_constant(f->graph, node, &tensor, node->loc);
    made->name = c->value->name;
    gml_value_replace(c->value, made);
    if (f->t->b->before_step == node)
        f->t->b->before_step = made->def;
    gml_node_remove(node);
    return made;
}

static void take_trained(finder *f)
{
    gml_train_build *t = f->t;
    gml_arena *arena = &t->b->module->arena;
    size_t n = f->candidates.count;
    t->trained = gml_new_array(arena, gml_value *, n + 1);
    t->report.weights = gml_new_array(arena, gml_train_weight, n + 1);
    t->report.n_weights = n;
    for (size_t i = 0; i < n; i++) {
        const candidate *c = &f->candidates.items[i];
        t->report.weights[i] = (gml_train_weight){c->value->name, c->n_elements, c->fate};
        if (c->fate == GML_TRAINED)
            t->trained[t->n_trained++] = spell_out(f, c);
    }
}

static void say_what_was_kept(const finder *f)
{
    size_t counts[GML_KEPT_UNUSED + 1] = {0};
    gml_diags *diags = f->t->b->diags;
    for (size_t i = 0; i < f->candidates.count; i++)
        counts[f->candidates.items[i].fate]++;
    for (size_t fate = GML_KEPT_ASKED; fate <= GML_KEPT_UNUSED; fate++)
        if (counts[fate] != 0)
            gml_note(diags, "%zu of them: %s", counts[fate],
                     gml_train_fate_text((gml_train_fate)fate));
}

/* All operators on the way that nothing can be done about. */
static void check_way(finder *f)
{
    gml_train_build *t = f->t;
    gml_reverse r = analyse(f, t->trained, t->n_trained);
    for (const gml_node *node = f->graph->first; node != NULL; node = node->next)
        if (gml_reverse_is_active(&r, node) && !gml_op_has_grad(node->op) &&
            node->op->expand == NULL)
            gml_train_fail(t, gml_fail(t->b->diags, GML_E_UNSUPPORTED, node->loc,
                                       "%s has no gradient, and the loss depends on it",
                                       node->op->name));
}

void gml_train_find_weights(gml_train_build *t)
{
    if (gml_builder_has_failed(t->b))
        return;
    gml_arena scratch;
    gml_arena_init(&scratch);
    finder f = {.t = t, .graph = t->b->module->main, .scratch = &scratch};
    find_candidates(&f);
    check_patterns(&f, t->form->freeze, t->form->n_freeze);
    check_patterns(&f, t->form->only, t->form->n_only);
    decide(&f);
    take_trained(&f);
    if (t->n_trained == 0 && !gml_builder_has_failed(t->b)) {
        gml_train_fail(t, gml_fail(t->b->diags, GML_E_USAGE, gml_train_loc(t),
                                   "nothing to train: none of %zu floating-point initialisers "
                                   "moves the loss",
                                   f.candidates.count));
        say_what_was_kept(&f);
    }
    check_way(&f);
    gml_arena_reset(&scratch);
}
