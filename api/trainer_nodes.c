/* api/trainer_nodes.c - nodes and constants of an optimizer. */
#include "api/trainer.h"

#include <stdio.h>
#include <stdlib.h>

static const char *print(gml_trainer *o, const char *format, const char *a, const char *b)
{
    return gml_arena_printf(&o->b->module->arena, format, a, b);
}

const char *gml_trainer_scope(gml_trainer *o, const gml_value *weight, const char *part)
{
    return print(o, "%s.%s", weight->name != NULL ? weight->name : "", part);
}

gml_value *gml_trainer_node(gml_trainer *o, const char *scope, gml_node_spec spec)
{
    unsigned *n_nodes = gml_map_find(&o->n_nodes, scope);
    if (n_nodes == NULL) {
        n_nodes = gml_new(&o->b->module->arena, unsigned);
        gml_map_set(&o->n_nodes, scope, n_nodes);
    }
    spec.name =
        gml_arena_printf(&o->b->module->arena, "%s/%s_%u", scope, spec.op, (*n_nodes)++);
    return gml_builder_node(o->b, &spec);
}

gml_value *gml_trainer_unary(gml_trainer *o, const char *scope, const char *op, gml_value *x)
{
    return gml_trainer_node(o, scope, (gml_node_spec){.op = op, .inputs = {x}});
}

gml_value *gml_trainer_binary(gml_trainer *o, const char *scope, const char *op, gml_value *x,
                              gml_value *y)
{
    return gml_trainer_node(o, scope, (gml_node_spec){.op = op, .inputs = {x, y}});
}

gml_value *gml_trainer_where(gml_trainer *o, const char *scope, gml_value *condition,
                             gml_value *x, gml_value *y)
{
    return gml_trainer_node(o, scope,
                            (gml_node_spec){.op = "Where", .inputs = {condition, x, y}});
}

gml_value *gml_trainer_cast(gml_trainer *o, const char *scope, gml_value *x, gml_dtype dtype)
{
    if (x->type.kind == GML_TYPE_TENSOR && x->type.dtype == dtype)
        return x;
    return gml_trainer_node(
        o, scope,
        (gml_node_spec){.op = "Cast", .inputs = {x}, .attrs = {GML_INT("to", dtype)}});
}

gml_value *gml_trainer_share(gml_trainer *o, gml_value *scalar, gml_dtype dtype)
{
    for (size_t i = 0; i < o->shared.count; i++)
        if (o->shared.items[i].scalar == scalar && o->shared.items[i].cast->type.dtype == dtype)
            return o->shared.items[i].cast;
    gml_trainer_shared shared = {scalar,
                                 gml_trainer_cast(o, "optimizer.shared", scalar, dtype)};
    gml_push(&o->b->module->arena, &o->shared, shared);
    return shared.cast;
}

gml_value *gml_trainer_total(gml_trainer *o, const char *scope, const char *op, gml_value *x)
{
    return gml_trainer_node(
        o, scope, (gml_node_spec){.op = op, .inputs = {x}, .attrs = {GML_INT("keepdims", 0)}});
}

gml_value *gml_trainer_number(gml_trainer *o, gml_dtype dtype, double value)
{
    return gml_builder_number(o->b, "optimizer.", dtype, value);
}

gml_value *gml_trainer_state(gml_trainer *o, const char *part, const gml_value *weight,
                             gml_dtype dtype)
{
    int64_t dims[GML_MAX_RANK] = {0};
    int rank = gml_builder_rank(o->b, weight);
    for (int i = 0; i < rank; i++)
        dims[i] = gml_builder_dim(o->b, weight, i);
    return gml_builder_state(o->b, print(o, "%s.%s", part, weight->name ? weight->name : ""),
                             dtype, rank, dims, gml_fill_constant(0));
}
