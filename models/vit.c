/* models/vit.c - the vision transformer, as timm builds and names it.
 *
 * images (B, 3, H, W) -> patches (B, N - 1, C) by a convolution, class token before them,
 * learned positions, pre-norm blocks of attention and MLP, a last norm; the class token goes to
 * the head.
 */
#include "models/layers.h"
#include "models/models.h"

#include <math.h>
#include <string.h>

#define GML_PATCH     16
#define GML_EPSILON   1e-6F
#define GML_N_CLASSES 1000
#define GML_MLP_RATIO 4

typedef struct vit_variant {
    const char *name;
    int64_t width, depth, heads;
} vit_variant;

static const vit_variant variants[] = {
    {"b16", 768, 12, 12},
    {"s16", 384, 12, 6},
    {"l16", 1024, 24, 16},
    {"ti16", 192, 12, 3},
};

static const vit_variant *find_variant(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof variants / sizeof *variants; i++)
        if (strcmp(variants[i].name, name) == 0)
            return &variants[i];
    return &variants[0];
}

/* images (B, 3, H, W) -> (B, n_patches, C) */
static gml_value *embed_patches(const gml_layers *layers, const vit_variant *v,
                                gml_value *images)
{
    gml_value *x = gml_layer_conv(layers, "patch_embed.proj", images,
                                  &(gml_conv_shape){.in = 3,
                                                    .out = v->width,
                                                    .kernel = GML_PATCH,
                                                    .stride = GML_PATCH,
                                                    .has_bias = true});
    x = gml_layer_reshape(layers, "patch_embed/Reshape", x, (int64_t[]){0, v->width, -1}, 3);
    return gml_layer_transpose(layers, "patch_embed/Transpose", x, (int64_t[]){0, 2, 1}, 3);
}

/* The class token once for every image: (B, 1, C). */
static gml_value *repeat_token(const gml_layers *layers, const vit_variant *v,
                               gml_value *images)
{
    gml_builder *b = layers->builder;
    gml_value *token = gml_builder_weight(
        b, "cls_token", GML_F32, 3, (int64_t[]){1, 1, v->width}, gml_fill_normal(0, 1e-6));
    int64_t batch = gml_builder_dim(b, images, 0);
    if (batch == 1)
        return token;
    gml_value *shape;
    if (batch >= 0) {
        shape = gml_builder_ints(b, "cls_token.shape", (int64_t[]){batch, 1, v->width}, 3);
    } else {
        gml_value *size = gml_builder_node(
            b, &(gml_node_spec){.op = "Shape",
                                .name = "cls_token/Shape",
                                .inputs = {images},
                                .attrs = {GML_INT("start", 0), GML_INT("end", 1)}});
        gml_value *rest = gml_builder_ints(b, "cls_token.rest", (int64_t[]){1, v->width}, 2);
        shape = gml_builder_node(b, &(gml_node_spec){.op = "Concat",
                                                     .name = "cls_token/Concat",
                                                     .inputs = {size, rest},
                                                     .attrs = {GML_INT("axis", 0)}});
    }
    return gml_layer_binary(layers, "cls_token/Expand", "Expand", token, shape);
}

/* x (B, N, C) -> (B, N, C) */
static gml_value *attend(const gml_layers *layers, const char *name, const vit_variant *v,
                         gml_value *x)
{
    gml_builder *b = layers->builder;
    int64_t size = v->width / v->heads;
    gml_value *qkv = gml_layer_linear(layers, gml_scope_in(name, "qkv").text, x, v->width,
                                      3 * v->width); /* (B, N, 3C) */
    qkv = gml_layer_reshape(layers, gml_scope_node(name, "Reshape").text, qkv,
                            (int64_t[]){0, 0, 3, v->heads, size}, 5);
    qkv = gml_layer_transpose(layers, gml_scope_node(name, "Transpose").text, qkv,
                              (int64_t[]){2, 0, 3, 1, 4}, 5); /* (3, B, heads, N, size) */
    gml_value *q = gml_layer_pick(layers, gml_scope_node(name, "Gather").text, qkv, 0, 0);
    gml_value *k = gml_layer_pick(layers, gml_scope_node(name, "Gather_1").text, qkv, 0, 1);
    gml_value *values =
        gml_layer_pick(layers, gml_scope_node(name, "Gather_2").text, qkv, 0, 2);
    k = gml_layer_transpose(layers, gml_scope_node(name, "Transpose_1").text, k,
                            (int64_t[]){0, 1, 3, 2}, 4); /* (B, heads, size, N) */
    gml_value *scores =
        gml_layer_binary(layers, gml_scope_node(name, "MatMul").text, "MatMul", q, k);
    gml_value *scale =
        gml_builder_float(b, gml_scope_in(name, "scale").text, (float)(1 / sqrt((double)size)));
    scores = gml_layer_binary(layers, gml_scope_node(name, "Mul").text, "Mul", scores, scale);
    scores = gml_builder_node(b, &(gml_node_spec){.op = "Softmax",
                                                  .name = gml_scope_node(name, "Softmax").text,
                                                  .inputs = {scores},
                                                  .attrs = {GML_INT("axis", -1)}});
    gml_value *y = gml_layer_binary(layers, gml_scope_node(name, "MatMul_1").text, "MatMul",
                                    scores, values);
    gml_scope proj = gml_scope_in(name, "proj");
    y = gml_layer_join_heads(layers, proj.text, y, v->heads, size);
    return gml_layer_linear(layers, proj.text, y, v->width, v->width);
}

/* x (B, N, C) -> (B, N, C) */
static gml_value *add_block(const gml_layers *layers, const char *name, const vit_variant *v,
                            gml_value *x)
{
    int64_t hidden = GML_MLP_RATIO * v->width;
    gml_value *y =
        gml_layer_norm(layers, gml_scope_in(name, "norm1").text, x, v->width, GML_EPSILON);
    y = attend(layers, gml_scope_in(name, "attn").text, v, y);
    x = gml_layer_binary(layers, gml_scope_node(name, "Add").text, "Add", x, y);
    y = gml_layer_norm(layers, gml_scope_in(name, "norm2").text, x, v->width, GML_EPSILON);
    y = gml_layer_linear(layers, gml_scope_in(name, "mlp.fc1").text, y, v->width, hidden);
    y = gml_layer_gelu(layers, gml_scope_in(name, "mlp.act").text, y);
    y = gml_layer_linear(layers, gml_scope_in(name, "mlp.fc2").text, y, hidden, v->width);
    return gml_layer_binary(layers, gml_scope_node(name, "Add_1").text, "Add", x, y);
}

/* The normalised tokens (B, N, C) become the network's output. */
static void add_end(const gml_layers *layers, const vit_variant *v, gml_value *x,
                    const gml_network_options *options)
{
    gml_builder *b = layers->builder;
    if (options->no_head && options->features != NULL &&
        strcmp(options->features, "tokens") == 0) {
        gml_builder_output(b, x, "tokens");
        return;
    }
    x = gml_layer_pick(layers, "pool/Gather", x, 1, 0); /* (B, C) */
    if (options->no_head)
        gml_builder_output(b, x, "features");
    else
        gml_builder_output(b, gml_layer_classifier(layers, "head", x, v->width, GML_N_CLASSES),
                           "logits");
}

void gml_network_vit(gml_builder *builder, const gml_network_options *options)
{
    const vit_variant *v = find_variant(options->variant);
    gml_layers layers = {builder, options->opset, 0.02};
    int64_t side = options->image_size > 0 ? options->image_size : 224;
    if (side % GML_PATCH != 0)
        gml_builder_fail(builder, GML_E_USAGE, "image size %lld is no multiple of %d",
                         (long long)side, GML_PATCH);
    gml_value *images = gml_builder_input(builder, "images", GML_F32, 4,
                                          (gml_extent[]){options->batch, {3}, {side}, {side}});
    gml_value *patches = embed_patches(&layers, v, images);
    gml_value *token = repeat_token(&layers, v, images);
    gml_value *x = gml_builder_node(builder, &(gml_node_spec){.op = "Concat",
                                                              .name = "pos_embed/Concat",
                                                              .inputs = {token, patches},
                                                              .attrs = {GML_INT("axis", 1)}});
    int64_t n_tokens = side / GML_PATCH * (side / GML_PATCH) + 1;
    gml_value *positions =
        gml_layer_table(&layers, "pos_embed", 3, (int64_t[]){1, n_tokens, v->width});
    x = gml_layer_binary(&layers, "pos_embed/Add", "Add", x, positions);
    for (int64_t i = 0; i < v->depth; i++)
        x = add_block(&layers, gml_scope_numbered("blocks", i).text, v, x);
    x = gml_layer_norm(&layers, "norm", x, v->width, GML_EPSILON);
    add_end(&layers, v, x, options);
}
