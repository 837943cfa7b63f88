/* models/layers.h - the pieces that networks are made of: named scopes over a gml_builder.
 *
 * Every function takes the name of the framework's module, "blocks.0.attn.qkv"; its weights are
 * "NAME.weight" and "NAME.bias", its nodes "NAME/MatMul". Names are printf formats' results: use
 * gml_scope to make them. Private to models/.
 */
#ifndef GML_MODELS_LAYERS_H
#define GML_MODELS_LAYERS_H

#include "gemel/build.h"

#define GML_NAME_MAX 128

/* A name on the stack. */
typedef struct gml_scope {
    char text[GML_NAME_MAX];
} gml_scope;

/* What all layers of one network share. */
typedef struct gml_layers {
    gml_builder *builder;
    int64_t opset;
    char *transposed; /* malloc'ed lines: names of weights stored transposed */
    size_t n_transposed, transposed_capacity; /* bytes */
    double deviation; /* of the truncated normal that weights of linear layers start from */
} gml_layers;

void gml_layers_init(gml_layers *layers, gml_builder *builder, int64_t opset);
/* Writes the metadata and frees; call it when the network is complete or has failed. */
void gml_layers_finish(gml_layers *layers);

/* "NAME.PART"; a name that is too long is cut. */
gml_scope gml_scope_in(const char *name, const char *part);
gml_scope gml_scope_numbered(const char *name, int64_t number);
gml_scope gml_scope_node(const char *name, const char *op); /* "NAME/OP" */

/* Elementwise and other nodes without attributes; `inputs` may be NULL pointers at the end. */
gml_value *gml_layer_unary(gml_layers *layers, const char *name, const char *op, gml_value *x);
gml_value *gml_layer_binary(gml_layers *layers, const char *name, const char *op, gml_value *x,
                            gml_value *y);
/* `shape` as Reshape takes it: 0 keeps a size, -1 is what remains. */
gml_value *gml_layer_reshape(gml_layers *layers, const char *name, gml_value *x,
                             const int64_t *shape, size_t rank);
gml_value *gml_layer_transpose(gml_layers *layers, const char *name, gml_value *x,
                               const int64_t *perm, size_t rank);
/* The slice `index` of `axis`, which disappears. */
gml_value *gml_layer_pick(gml_layers *layers, const char *name, gml_value *x, int64_t axis,
                          int64_t index);

/* x (…, in) -> (…, out), as MatMul and Add; the weight is stored (in, out). */
gml_value *gml_layer_linear(gml_layers *layers, const char *name, gml_value *x, int64_t in,
                            int64_t out);
/* x (N, in) -> (N, out), as Gemm; the weight is stored (out, in), as frameworks have it. */
gml_value *gml_layer_classifier(gml_layers *layers, const char *name, gml_value *x, int64_t in,
                                int64_t out);
gml_value *gml_layer_norm(gml_layers *layers, const char *name, gml_value *x, int64_t size,
                          float epsilon);
/* x (B, N, heads * size) -> (B, heads, N, size) */
gml_value *gml_layer_split_heads(gml_layers *layers, const char *name, gml_value *x,
                                 int64_t heads, int64_t size);
/* x (B, heads, N, size) -> (B, N, heads * size) */
gml_value *gml_layer_join_heads(gml_layers *layers, const char *name, gml_value *x,
                                int64_t heads, int64_t size);
/* x (1 + erf(x / sqrt(2))) / 2, spelled out as exporters do for operator sets below 20. */
gml_value *gml_layer_erf_gelu(gml_layers *layers, const char *name, gml_value *x);
/* The operator Gelu where there is one, else spelled out. */
gml_value *gml_layer_gelu(gml_layers *layers, const char *name, gml_value *x);

/* A square convolution of stride `stride` that keeps the size but for the stride. */
typedef struct gml_conv_shape {
    int64_t in, out, kernel, stride, padding;
    bool has_bias;
} gml_conv_shape;

/* He's initialisation over the outputs (fan-out), as ResNet's. */
gml_value *gml_layer_conv(gml_layers *layers, const char *name, gml_value *x,
                          const gml_conv_shape *shape);

#endif
