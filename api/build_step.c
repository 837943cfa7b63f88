/* api/build_step.c - the part of a gml_builder that trains the model: gradients, updates. */
#include "api/builder.h"
#include "ir/op.h"

#include <string.h>

void gml_builder_begin_step(gml_builder *builder)
{
    const gml_graph *graph = builder->module->main;
    if (builder->in_step)
        gml_builder_fail(builder, GML_E_INVALID, "a model has one step");
    if (graph->n_results == 0)
        gml_builder_fail(builder, GML_E_INVALID,
                         "the step begins before the model has an output");
    builder->in_step = true;
    builder->before_step = graph->last;
    builder->n_params = graph->n_params;
    builder->n_results = graph->n_results;
}

const gml_export_training *gml_builder_training(const gml_builder *b,
                                                gml_export_training *out_training)
{
    if (!b->in_step)
        return NULL;
    *out_training = (gml_export_training){
        .first = b->before_step != NULL ? b->before_step->next : b->module->main->first,
        .n_params = b->n_params,
        .n_results = b->n_results,
        .updates = b->updates.items,
        .n_updates = b->updates.count,
    };
    return out_training;
}

static bool is_initialiser(const gml_value *value)
{
    return value->def != NULL && value->def->op == &gml_op_constant;
}

/* ---- gradients --------------------------------------------------------------------------- */

static gml_attr name_list(gml_builder *b, const char *name, gml_value *const *values, size_t n)
{
    gml_string *texts = gml_new_array(&b->module->arena, gml_string, n);
    for (size_t i = 0; i < n; i++)
        texts[i] = (gml_string){values[i]->name, strlen(values[i]->name)};
    return (gml_attr){.name = name, .kind = GML_ATTR_STRINGS, .count = n, .as.strings = texts};
}

/* The node's operands: the values that derivatives are taken at, and again those named. */
static gml_node *add_gradient(gml_builder *b, const gml_gradient_spec *spec)
{
    size_t n = spec->n_xs + spec->n_zs;
    gml_value **operands = gml_new_array(&b->module->arena, gml_value *, 2 * n + 1);
    for (size_t i = 0; i < n; i++)
        operands[i] = operands[n + i] = i < spec->n_xs ? spec->xs[i] : spec->zs[i - spec->n_xs];
    operands[2 * n] = spec->y;
    gml_attr attrs[3];
    size_t n_attrs = 0;
    attrs[n_attrs++] = name_list(b, "xs", spec->xs, spec->n_xs);
    if (spec->n_zs > 0)
        attrs[n_attrs++] = name_list(b, "zs", spec->zs, spec->n_zs);
    attrs[n_attrs++] = gml_attr_string("y", spec->y->name);
    return gml_build_node(&b->build, &gml_op_gradient, operands, (uint32_t)(2 * n + 1), attrs,
                          n_attrs, (uint32_t)spec->n_xs);
}

/* What is wrong with the request, or NULL. */
static const char *find_fault(const gml_builder *b, const gml_gradient_spec *spec)
{
    if (!b->in_step)
        return "gradients are taken in a step";
    if (spec->n_xs == 0 || spec->n_xs > UINT16_MAX || spec->n_zs > UINT16_MAX)
        return "nothing, or too much, to differentiate by";
    for (size_t i = 0; i < spec->n_xs; i++)
        if (!is_initialiser(spec->xs[i]))
            return "what is differentiated by is a weight";
    return NULL;
}

static bool add_gradients(gml_builder *b, const gml_gradient_spec *spec, gml_value **out)
{
    if (gml_builder_has_failed(b))
        return false;
    gml_builder_begin_node(b, spec->name, &gml_op_gradient);
    const char *fault = find_fault(b, spec);
    if (fault != NULL) {
        gml_builder_fail_at(b, GML_E_INVALID, b->build.loc.node, "Gradient", fault);
        return false;
    }
    gml_node *node = add_gradient(b, spec);
    if (gml_builder_has_failed(b) || !gml_builder_name_results(b, node))
        return false;
    for (size_t i = 0; i < spec->n_xs; i++)
        out[i] = &node->results[i];
    return true;
}

void gml_builder_gradients(gml_builder *builder, const gml_gradient_spec *spec, gml_value **out)
{
    if (add_gradients(builder, spec, out))
        return;
    for (size_t i = 0; i < spec->n_xs; i++)
        out[i] = gml_builder_some_value(builder);
}

/* ---- updates ----------------------------------------------------------------------------- */

static bool same_type(const gml_type *x, const gml_type *y)
{
    bool same = x->kind == GML_TYPE_TENSOR && y->kind == GML_TYPE_TENSOR &&
                x->dtype == y->dtype && x->rank == y->rank;
    for (int i = 0; same && i < x->rank; i++)
        same = x->dims[i] == y->dims[i];
    return same;
}

void gml_builder_update(gml_builder *builder, gml_value *initialiser, gml_value *value)
{
    const char *fault = NULL;
    if (gml_builder_has_failed(builder))
        return;
    if (!builder->in_step)
        fault = "updates belong to a step";
    else if (!is_initialiser(initialiser))
        fault = "only an initialiser can be updated";
    else if (!same_type(&initialiser->type, &value->type))
        fault = "the value of an update has another type";
    for (size_t i = 0; i < builder->updates.count; i++)
        if (builder->updates.items[i].state == initialiser)
            fault = "a second update";
    if (fault != NULL) {
        gml_builder_fail_at(builder, GML_E_INVALID, initialiser->name, NULL, fault);
        return;
    }
    gml_arena *arena = &builder->module->arena;
    gml_graph *graph = builder->module->main;
    gml_export_update update = {initialiser, graph->n_results};
    gml_graph_add_result(graph, value, gml_arena_printf(arena, "%s.next", initialiser->name));
    gml_push(arena, &builder->updates, update);
}
