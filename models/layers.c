/* models/layers.c - the pieces that networks are made of. */
#include "models/layers.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

gml_scope gml_scope_in(const char *name, const char *part)
{
    gml_scope scope;
    snprintf(scope.text, sizeof scope.text, "%s.%s", name, part);
    return scope;
}

gml_scope gml_scope_numbered(const char *name, int64_t number)
{
    gml_scope scope;
    snprintf(scope.text, sizeof scope.text, "%s.%" PRId64, name, number);
    return scope;
}

gml_scope gml_scope_node(const char *name, const char *op)
{
    gml_scope scope;
    snprintf(scope.text, sizeof scope.text, "%s/%s", name, op);
    return scope;
}

/* ---- single nodes ------------------------------------------------------------------------ */

gml_value *gml_layer_unary(const gml_layers *layers, const char *name, const char *op,
                           gml_value *x)
{
    return gml_builder_node(layers->builder,
                            &(gml_node_spec){.op = op, .name = name, .inputs = {x}});
}

gml_value *gml_layer_binary(const gml_layers *layers, const char *name, const char *op,
                            gml_value *x, gml_value *y)
{
    return gml_builder_node(layers->builder,
                            &(gml_node_spec){.op = op, .name = name, .inputs = {x, y}});
}

gml_value *gml_layer_reshape(const gml_layers *layers, const char *name, gml_value *x,
                             const int64_t *shape, size_t rank)
{
    gml_value *sizes =
        gml_builder_ints(layers->builder, gml_scope_in(name, "shape").text, shape, rank);
    return gml_layer_binary(layers, name, "Reshape", x, sizes);
}

gml_value *gml_layer_transpose(const gml_layers *layers, const char *name, gml_value *x,
                               const int64_t *perm, size_t rank)
{
    gml_node_spec spec = {.op = "Transpose", .name = name, .inputs = {x}};
    spec.attrs[0] =
        (gml_node_attr){.name = "perm", .kind = GML_NODE_INTS, .ints = perm, .count = rank};
    return gml_builder_node(layers->builder, &spec);
}

gml_value *gml_layer_pick(const gml_layers *layers, const char *name, gml_value *x,
                          int64_t axis, int64_t index)
{
    gml_tensor scalar = {.dtype = GML_I64, .data = &index};
    gml_value *which =
        gml_builder_tensor(layers->builder, gml_scope_in(name, "index").text, &scalar, true);
    return gml_builder_node(layers->builder,
                            &(gml_node_spec){.op = "Gather",
                                             .name = name,
                                             .inputs = {x, which},
                                             .attrs = {GML_INT("axis", axis)}});
}

gml_value *gml_layer_slice(const gml_layers *layers, const char *name, gml_value *x,
                           int64_t axis, const int64_t range[2])
{
    gml_builder *b = layers->builder;
    gml_value *begin = gml_builder_ints(b, gml_scope_in(name, "begin").text, range, 1);
    gml_value *end = gml_builder_ints(b, gml_scope_in(name, "end").text, range + 1, 1);
    gml_value *axes = gml_builder_ints(b, gml_scope_in(name, "axis").text, &axis, 1);
    return gml_builder_node(
        b, &(gml_node_spec){.op = "Slice", .name = name, .inputs = {x, begin, end, axes}});
}

gml_value *gml_layer_reduce(const gml_layers *layers, const char *name, const char *op,
                            gml_value *x, int64_t axis, bool keeps)
{
    gml_value *axes =
        gml_builder_ints(layers->builder, gml_scope_in(name, "axes").text, &axis, 1);
    return gml_builder_node(layers->builder,
                            &(gml_node_spec){.op = op,
                                             .name = name,
                                             .inputs = {x, axes},
                                             .attrs = {GML_INT("keepdims", keeps)}});
}

/* ---- layers with weights ----------------------------------------------------------------- */

static gml_value *weight(const gml_layers *layers, const char *name, const char *part, int rank,
                         const int64_t *dims, gml_fill fill)
{
    return gml_builder_weight(layers->builder, gml_scope_in(name, part).text, GML_F32, rank,
                              dims, fill);
}

static gml_value *bias(const gml_layers *layers, const char *name, int64_t size)
{
    return weight(layers, name, "bias", 1, &size, gml_fill_constant(0));
}

gml_value *gml_layer_table(const gml_layers *layers, const char *name, int rank,
                           const int64_t *dims)
{
    return gml_builder_weight(layers->builder, name, GML_F32, rank, dims,
                              gml_fill_truncated_normal(0, layers->deviation));
}

gml_value *gml_layer_product(const gml_layers *layers, const char *name, gml_value *x,
                             int64_t in, int64_t out)
{
    gml_value *w /* (in, out) */ =
        gml_builder_matrix(layers->builder, gml_scope_in(name, "weight").text, GML_F32, in, out,
                           gml_fill_truncated_normal(0, layers->deviation));
    return gml_layer_binary(layers, gml_scope_node(name, "MatMul").text, "MatMul", x, w);
}

gml_value *gml_layer_linear(const gml_layers *layers, const char *name, gml_value *x,
                            int64_t in, int64_t out)
{
    gml_value *product = gml_layer_product(layers, name, x, in, out);
    return gml_layer_binary(layers, gml_scope_node(name, "Add").text, "Add", product,
                            bias(layers, name, out));
}

gml_value *gml_layer_classifier(const gml_layers *layers, const char *name, gml_value *x,
                                int64_t in, int64_t out)
{
    gml_value *w =
        gml_layer_table(layers, gml_scope_in(name, "weight").text, 2, (int64_t[]){out, in});
    return gml_builder_node(layers->builder,
                            &(gml_node_spec){.op = "Gemm",
                                             .name = gml_scope_node(name, "Gemm").text,
                                             .inputs = {x, w, bias(layers, name, out)},
                                             .attrs = {GML_INT("transB", 1)}});
}

gml_value *gml_layer_norm(const gml_layers *layers, const char *name, gml_value *x,
                          int64_t size, float epsilon)
{
    gml_value *scale = weight(layers, name, "weight", 1, &size, gml_fill_constant(1));
    return gml_builder_node(
        layers->builder,
        &(gml_node_spec){.op = "LayerNormalization",
                         .name = gml_scope_node(name, "LayerNormalization").text,
                         .inputs = {x, scale, bias(layers, name, size)},
                         .attrs = {GML_INT("axis", -1), GML_FLOAT("epsilon", epsilon)}});
}

gml_value *gml_layer_split_heads(const gml_layers *layers, const char *name, gml_value *x,
                                 int64_t heads, int64_t size)
{
    x = gml_layer_reshape(layers, gml_scope_node(name, "Reshape").text, x,
                          (int64_t[]){0, 0, heads, size}, 4);
    return gml_layer_transpose(layers, gml_scope_node(name, "Transpose").text, x,
                               (int64_t[]){0, 2, 1, 3}, 4);
}

gml_value *gml_layer_join_heads(const gml_layers *layers, const char *name, gml_value *x,
                                int64_t heads, int64_t size)
{
    x = gml_layer_transpose(layers, gml_scope_node(name, "Transpose").text, x,
                            (int64_t[]){0, 2, 1, 3}, 4);
    return gml_layer_reshape(layers, gml_scope_node(name, "Reshape").text, x,
                             (int64_t[]){0, 0, heads * size}, 3);
}

/* ---- activations ------------------------------------------------------------------------- */

static gml_value *with_number(const gml_layers *layers, const char *name, const char *op,
                              gml_value *x, float number)
{
    gml_scope node = gml_scope_node(name, op);
    gml_value *constant =
        gml_builder_float(layers->builder, gml_scope_in(node.text, "value").text, number);
    return gml_layer_binary(layers, node.text, op, x, constant);
}

gml_value *gml_layer_erf_gelu(const gml_layers *layers, const char *name, gml_value *x)
{
    gml_value *scaled = with_number(layers, name, "Div", x, 1.41421356237309504880F);
    gml_value *erf = gml_layer_unary(layers, gml_scope_node(name, "Erf").text, "Erf", scaled);
    gml_value *sum = with_number(layers, name, "Add", erf, 1);
    gml_value *product =
        gml_layer_binary(layers, gml_scope_node(name, "Mul_1").text, "Mul", x, sum);
    return with_number(layers, name, "Mul", product, 0.5F);
}

gml_value *gml_layer_gelu(const gml_layers *layers, const char *name, gml_value *x)
{
    if (layers->opset < 20)
        return gml_layer_erf_gelu(layers, name, x);
    return gml_layer_unary(layers, gml_scope_node(name, "Gelu").text, "Gelu", x);
}

/* ---- convolutions ------------------------------------------------------------------------ */

gml_value *gml_layer_conv(const gml_layers *layers, const char *name, gml_value *x,
                          const gml_conv_shape *shape)
{
    int64_t k = shape->kernel;
    int64_t s = shape->stride;
    int64_t p = shape->padding;
    double fan_out = (double)(k * k * shape->out);
    gml_value *w = weight(layers, name, "weight", 4, (int64_t[]){shape->out, shape->in, k, k},
                          gml_fill_normal(0, sqrt(2 / fan_out)));
    return gml_builder_node(
        layers->builder,
        &(gml_node_spec){
            .op = "Conv",
            .name = gml_scope_node(name, "Conv").text,
            .inputs = {x, w, shape->has_bias ? bias(layers, name, shape->out) : NULL},
            .attrs = {GML_INTS("dilations", 1, 1), GML_INT("group", 1),
                      GML_INTS("kernel_shape", k, k), GML_INTS("pads", p, p, p, p),
                      GML_INTS("strides", s, s)}});
}
