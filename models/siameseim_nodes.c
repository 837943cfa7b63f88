/* models/siameseim_nodes.c - nodes of the step, named by scopes. */
#include "models/siameseim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The name of the next node in `scope`, which gets the branch's "mm_": a scope is one run of
 * nodes, so that counting them keeps names apart. */
static gml_scope next_name(gml_siam *s, const char *scope, const char *op)
{
    gml_scope full;
    snprintf(full.text, sizeof full.text, "%s%s", s->is_target ? "mm_" : "", scope);
    if (strcmp(full.text, s->scope.text) != 0)
        s->n_nodes = 0;
    s->scope = full;
    gml_scope name;
    snprintf(name.text, sizeof name.text, "%.100s/%.20s_%u", full.text, op, s->n_nodes++);
    return name;
}

gml_value *gml_siam_node(gml_siam *s, const char *scope, gml_node_spec spec)
{
    gml_scope name = next_name(s, scope, spec.op);
    spec.name = name.text;
    return gml_builder_node(s->b, &spec);
}

gml_value *gml_siam_unary(gml_siam *s, const char *scope, const char *op, gml_value *x)
{
    return gml_siam_node(s, scope, (gml_node_spec){.op = op, .inputs = {x}});
}

gml_value *gml_siam_binary(gml_siam *s, const char *scope, const char *op, gml_value *x,
                           gml_value *y)
{
    return gml_siam_node(s, scope, (gml_node_spec){.op = op, .inputs = {x, y}});
}

gml_value *gml_siam_where(gml_siam *s, const char *scope, gml_value *condition, gml_value *x,
                          gml_value *y)
{
    return gml_siam_node(s, scope, (gml_node_spec){.op = "Where", .inputs = {condition, x, y}});
}

gml_value *gml_siam_cast(gml_siam *s, const char *scope, gml_value *x, gml_dtype dtype)
{
    return gml_siam_node(
        s, scope,
        (gml_node_spec){.op = "Cast", .inputs = {x}, .attrs = {GML_INT("to", dtype)}});
}

gml_value *gml_siam_reshape(gml_siam *s, const char *scope, gml_value *x, const int64_t *shape,
                            size_t rank)
{
    return gml_layer_reshape(&s->layers, next_name(s, scope, "Reshape").text, x, shape, rank);
}

gml_value *gml_siam_transpose(gml_siam *s, const char *scope, gml_value *x, const int64_t *perm,
                              size_t rank)
{
    return gml_layer_transpose(&s->layers, next_name(s, scope, "Transpose").text, x, perm,
                               rank);
}

gml_value *gml_siam_slice(gml_siam *s, const char *scope, gml_value *x, int64_t axis,
                          const int64_t range[2])
{
    return gml_layer_slice(&s->layers, next_name(s, scope, "Slice").text, x, axis, range);
}

gml_value *gml_siam_concat(gml_siam *s, const char *scope, int64_t axis,
                           gml_value *const *values, size_t count)
{
    return gml_siam_node(s, scope,
                         (gml_node_spec){.op = "Concat",
                                         .input_list = values,
                                         .n_inputs = count,
                                         .attrs = {GML_INT("axis", axis)}});
}

gml_value *gml_siam_reduce(gml_siam *s, const char *scope, const char *op, gml_value *x,
                           int64_t axis, bool keeps)
{
    return gml_layer_reduce(&s->layers, next_name(s, scope, op).text, op, x, axis, keeps);
}

gml_value *gml_siam_total(gml_siam *s, const char *scope, const char *op, gml_value *x)
{
    return gml_siam_node(
        s, scope, (gml_node_spec){.op = op, .inputs = {x}, .attrs = {GML_INT("keepdims", 0)}});
}

/* ---- constants --------------------------------------------------------------------------- */

static gml_value *make_tensor(gml_siam *s, const char *name, gml_tensor *tensor)
{
    return gml_builder_tensor(s->b, name, tensor, true);
}

gml_value *gml_siam_number_of(gml_siam *s, gml_dtype dtype, double value)
{
    return gml_builder_number(s->b, "", dtype, value);
}

gml_value *gml_siam_number(gml_siam *s, double value)
{
    return gml_siam_number_of(s, s->c.dtype, value);
}

gml_value *gml_siam_table(gml_siam *s, const char *name, double *values, int rank,
                          const int64_t *dims)
{
    gml_tensor tensor = {.dtype = s->c.dtype, .rank = rank};
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        tensor.dims[i] = dims[i];
        count *= (size_t)dims[i];
    }
    float *singles = malloc(count * sizeof *singles + 1);
    if (singles == NULL) {
        gml_builder_fail(s->b, GML_E_MEMORY, "there is no memory for the table %s", name);
        return gml_siam_number(s, 0);
    }
    for (size_t i = 0; i < count; i++)
        singles[i] = (float)values[i];
    tensor.data = s->c.dtype == GML_F64 ? (void *)values : (void *)singles;
    gml_value *table = make_tensor(s, name, &tensor);
    free(singles);
    return table;
}

gml_value *gml_siam_count(gml_siam *s, const char *scope, int64_t tokens)
{
    int64_t batch = gml_builder_dim(s->b, s->x1, 0);
    if (batch >= 0)
        return gml_siam_number(s, (double)(batch * tokens));
    gml_value *size =
        gml_siam_node(s, scope,
                      (gml_node_spec){.op = "Shape",
                                      .inputs = {s->x1},
                                      .attrs = {GML_INT("start", 0), GML_INT("end", 1)}});
    size = gml_siam_reshape(s, scope, size, NULL, 0);
    size = gml_siam_cast(s, scope, size, s->c.dtype);
    return gml_siam_binary(s, scope, "Mul", size, gml_siam_number(s, (double)tokens));
}
