/* models/layers.h - the pieces that networks are made of: named scopes over a gml_builder.
 *
 * Every function takes the name of the framework's module, "blocks.0.attn.qkv"; its weights are
 * "NAME.weight" and "NAME.bias", its nodes "NAME/MatMul". Private to models/.
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
    int64_t opset;    /* decides how operators are spelled */
    double deviation; /* of the truncated normal that linear layers and tables start from */
} gml_layers;

/* "NAME.PART"; a name that is too long is cut. */
gml_scope gml_scope_in(const char *name, const char *part);
gml_scope gml_scope_numbered(const char *name, int64_t number);
gml_scope gml_scope_node(const char *name, const char *op); /* "NAME/OP" */

/* Nodes without attributes. */
gml_value *gml_layer_unary(const gml_layers *layers, const char *name, const char *op,
                           gml_value *x);
gml_value *gml_layer_binary(const gml_layers *layers, const char *name, const char *op,
                            gml_value *x, gml_value *y);
/* `shape` as Reshape takes it: 0 keeps a size, -1 is what remains. */
gml_value *gml_layer_reshape(const gml_layers *layers, const char *name, gml_value *x,
                             const int64_t *shape, size_t rank);
gml_value *gml_layer_transpose(const gml_layers *layers, const char *name, gml_value *x,
                               const int64_t *perm, size_t rank);
/* The slice `index` of `axis`, which disappears. */
gml_value *gml_layer_pick(const gml_layers *layers, const char *name, gml_value *x,
                          int64_t axis, int64_t index);

/* The slices range[0] to range[1] - 1 of `axis`. */
gml_value *gml_layer_slice(const gml_layers *layers, const char *name, gml_value *x,
                           int64_t axis, const int64_t range[2]);
/* `op` (ReduceMean) over `axis`, which stays with size 1 when `keeps`. */
gml_value *gml_layer_reduce(const gml_layers *layers, const char *name, const char *op,
                            gml_value *x, int64_t axis, bool keeps);

/* A parameter called NAME of layers->deviation. */
gml_value *gml_layer_table(const gml_layers *layers, const char *name, int rank,
                           const int64_t *dims);
/* x (…, in) -> (…, out), as MatMul and Add; the weight is stored (in, out). */
gml_value *gml_layer_linear(const gml_layers *layers, const char *name, gml_value *x,
                            int64_t in, int64_t out);
/* The same without bias. */
gml_value *gml_layer_product(const gml_layers *layers, const char *name, gml_value *x,
                             int64_t in, int64_t out);
/* x (N, in) -> (N, out), as Gemm; the weight is stored (out, in), as frameworks have it. */
gml_value *gml_layer_classifier(const gml_layers *layers, const char *name, gml_value *x,
                                int64_t in, int64_t out);
gml_value *gml_layer_norm(const gml_layers *layers, const char *name, gml_value *x,
                          int64_t size, float epsilon);
/* x (B, N, heads * size) -> (B, heads, N, size) */
gml_value *gml_layer_split_heads(const gml_layers *layers, const char *name, gml_value *x,
                                 int64_t heads, int64_t size);
/* x (B, heads, N, size) -> (B, N, heads * size) */
gml_value *gml_layer_join_heads(const gml_layers *layers, const char *name, gml_value *x,
                                int64_t heads, int64_t size);
/* x (1 + erf(x / sqrt(2))) / 2, spelled out as exporters do for operator sets below 20. */
gml_value *gml_layer_erf_gelu(const gml_layers *layers, const char *name, gml_value *x);
/* The operator Gelu where there is one, else spelled out. */
gml_value *gml_layer_gelu(const gml_layers *layers, const char *name, gml_value *x);

/* A square convolution. */
typedef struct gml_conv_shape {
    int64_t in, out, kernel, stride, padding;
    bool has_bias;
} gml_conv_shape;

/* He's initialisation over the outputs (fan-out), as ResNet's. */
gml_value *gml_layer_conv(const gml_layers *layers, const char *name, gml_value *x,
                          const gml_conv_shape *shape);

#endif
