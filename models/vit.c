/* models/vit.c - the vision transformer, as timm builds and names it.
 *
 * images (B, 3, H, W) -> patches (B, N - 1, C) by a convolution, class token before them,
 * learned positions, pre-norm blocks of attention and MLP, a last norm; the class token goes to
 * the head.
 */
#include "models/layers.h"
#include "models/models.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GML_EPSILON   1e-6F
#define GML_N_CLASSES 1000
#define GML_MLP_RATIO 4
#define GML_NEW_HEAD  2e-5 /* standard deviation of its weights */
#define GML_MAX_DEPTH 1000
#define GML_MAX_COUNT 4096 /* of heads and patches; a head has up to a million classes */

const gml_network_setting gml_network_vit_settings[] = {
    {"patch", "", "width and height of a patch, where the variant's is not meant"},
    {"heads", "", "of attention, where the variant's are not meant"},
    {"norm", "", "on or off: the last norm (default on; with weights, when they have one)"},
    {"classes", "",
     "of the head (1000); with weights: N for a head that is not trained yet, or 'file' for "
     "theirs"},
    {"mean", "", "R,G,B of pictures, noted in the file (the weights' own, else ImageNet's)"},
    {"std", "", "and their divisor"},
    {"resize", "", "and their shorter side, before the middle is taken (docs/eval.md)"},
    {NULL},
};

typedef struct vit_variant {
    const char *name;
    int64_t width, depth, heads, patch;
} vit_variant;

static const vit_variant variants[] = {
    {"b16", 768, 12, 12, 16}, {"s16", 384, 12, 6, 16},   {"l16", 1024, 24, 16, 16},
    {"ti16", 192, 12, 3, 16}, {"h14", 1280, 32, 16, 14},
};

#define GML_N_VARIANTS (sizeof variants / sizeof *variants)

/* The network to be built. */
typedef struct vit {
    gml_layers layers;
    const gml_network_options *options;
    int64_t width, depth, heads, patch, hidden;
    int64_t side; /* patches along an edge of the image */
    bool has_norm;
    int64_t n_classes; /* of the head; 0: there is none */
    bool is_new_head;  /* the weights are for everything else */
} vit;

static const vit_variant *find_variant(const char *name)
{
    for (size_t i = 0; name != NULL && i < GML_N_VARIANTS; i++)
        if (strcmp(variants[i].name, name) == 0)
            return &variants[i];
    return &variants[0];
}

/* ---- options ----------------------------------------------------------------------------- */

/* What was given, else "". */
static const char *setting(const vit *v, const char *name)
{
    for (size_t i = v->options->n_settings; i-- > 0;)
        if (strcmp(v->options->settings[i].name, name) == 0)
            return v->options->settings[i].value;
    return "";
}

/* Sets `*out` when the option is given. */
static void read_count(vit *v, const char *name, int64_t *out)
{
    const char *text = setting(v, name);
    char *end = NULL;
    if (*text == '\0')
        return;
    long count = strtol(text, &end, 10);
    if (*end != '\0' || count < 1 || count > GML_MAX_COUNT)
        gml_builder_fail(v->layers.builder, GML_E_USAGE, "--%s %s is no count", name, text);
    else
        *out = count;
}

/* The tensor `name` of the weights when it has that rank. */
static const gml_tensor *find_tensor(const vit *v, const char *name, int rank)
{
    const gml_weight *found =
        v->options->weights != NULL ? gml_weights_find(v->options->weights, name) : NULL;
    return found != NULL && found->tensor.rank == rank ? &found->tensor : NULL;
}

static bool has_weight(const vit *v, const char *name)
{
    return v->options->weights == NULL || gml_weights_find(v->options->weights, name) != NULL;
}

/* Shapes do not tell how many heads there are: gemel's own files do (of several the last one),
 * the map may, else the variant of that size. */
static int64_t find_heads(const vit *v)
{
    char key[32];
    for (size_t i = gml_weights_text_count(v->options->weights); i-- > 0;) {
        const gml_weights_text *text = gml_weights_get_text(v->options->weights, i);
        long heads = strcmp(text->name, GML_HEADS_KEY) == 0 ? strtol(text->value, NULL, 10) : 0;
        if (heads > 0 && heads <= GML_MAX_COUNT)
            return heads;
    }
    snprintf(key, sizeof key, "heads.%" PRId64, v->width);
    const char *fact = gml_weights_fact(v->options->weights, key);
    if (fact != NULL)
        return strtol(fact, NULL, 10);
    for (size_t i = 0; i < GML_N_VARIANTS; i++)
        if (variants[i].width == v->width && variants[i].depth == v->depth)
            return variants[i].heads;
    return 0;
}

/* The shape of the network that the weights are of. */
static void measure(vit *v)
{
    const gml_tensor *patches = find_tensor(v, "patch_embed.proj.weight", 4);
    const gml_tensor *bias = find_tensor(v, "blocks.0.mlp.fc1.bias", 1);
    if (patches == NULL || bias == NULL) {
        gml_builder_fail(v->layers.builder, GML_E_INVALID,
                         "%s has no %s: a checkpoint lacks what is not trained, give its model "
                         "first",
                         gml_weights_file(v->options->weights),
                         patches == NULL ? "patch_embed.proj.weight" : "blocks.0.mlp.fc1.bias");
        return;
    }
    v->width = patches->dims[0];
    v->patch = patches->dims[3];
    v->hidden = bias->dims[0];
    v->depth = 0;
    for (gml_scope block; v->depth < GML_MAX_DEPTH; v->depth++) {
        block = gml_scope_numbered("blocks", v->depth);
        if (!has_weight(v, gml_scope_in(block.text, "norm1.weight").text))
            break;
    }
    v->heads = find_heads(v);
}

/* Patches along the edge of the images that the positions are for. */
static int64_t find_side(const vit *v)
{
    const gml_tensor *positions = find_tensor(v, "pos_embed", 3);
    double n = positions != NULL ? (double)(positions->dims[1] - 1) : 0;
    return n > 0 ? (int64_t)llround(sqrt(n)) : 0;
}

static void read_norm(vit *v)
{
    const char *norm = setting(v, "norm");
    v->has_norm = *norm == '\0' ? has_weight(v, "norm.weight") : strcmp(norm, "on") == 0;
    if (*norm != '\0' && !v->has_norm && strcmp(norm, "off") != 0)
        gml_builder_fail(v->layers.builder, GML_E_USAGE, "--norm is on or off, not %s", norm);
}

static void read_side(vit *v)
{
    int64_t size = v->options->image_size;
    gml_builder *b = v->layers.builder;
    if (size == 0 && v->options->weights != NULL)
        size = find_side(v) * v->patch;
    if (size == 0)
        size = 224;
    if (v->patch < 1 || size % v->patch != 0)
        gml_builder_fail(b, GML_E_USAGE, "image size %" PRId64 " is no multiple of %" PRId64,
                         size, v->patch);
    else
        v->side = size / v->patch;
}

/* The rows of the file's head, which has (classes, width). */
static int64_t count_file_classes(const vit *v)
{
    const gml_tensor *head = find_tensor(v, "head.weight", 2);
    if (head == NULL || head->dims[0] < 1)
        gml_builder_fail(v->layers.builder, GML_E_INVALID, "%s has no head.weight",
                         v->options->weights != NULL ? gml_weights_file(v->options->weights)
                                                     : "a network without weights");
    return head != NULL ? head->dims[0] : 0;
}

static void read_classes(vit *v)
{
    const char *text = setting(v, "classes");
    char *end = NULL;
    if (strcmp(text, "file") == 0) {
        v->n_classes = count_file_classes(v);
        return;
    }
    v->n_classes = v->options->no_head ? 0 : GML_N_CLASSES;
    if (*text == '\0')
        return;
    v->n_classes = strtol(text, &end, 10);
    v->is_new_head = v->options->weights != NULL;
    if (*end != '\0' || v->n_classes < 1 || v->n_classes > 1000000)
        gml_builder_fail(v->layers.builder, GML_E_USAGE, "--classes %s is no count", text);
}

static void read_options(vit *v)
{
    const vit_variant *named = find_variant(v->options->variant);
    gml_builder *b = v->layers.builder;
    v->width = named->width;
    v->depth = named->depth;
    v->heads = named->heads;
    v->patch = named->patch;
    v->hidden = GML_MLP_RATIO * v->width;
    if (v->options->weights != NULL && v->options->variant == NULL)
        measure(v);
    read_count(v, "patch", &v->patch);
    read_count(v, "heads", &v->heads);
    read_norm(v);
    read_classes(v);
    read_side(v);
    if (v->heads == 0)
        gml_builder_fail(b, GML_E_USAGE,
                         "no variant is %" PRId64 " wide and %" PRId64
                         " blocks deep: --heads says how many heads it has",
                         v->width, v->depth);
    else if (v->width % v->heads != 0)
        gml_builder_fail(b, GML_E_USAGE, "a width of %" PRId64 " has no %" PRId64 " heads",
                         v->width, v->heads);
}

/* ---- the network ------------------------------------------------------------------------- */

/* images (B, 3, H, W) -> (B, n_patches, C) */
static gml_value *embed_patches(const vit *v, gml_value *images)
{
    const gml_layers *layers = &v->layers;
    gml_value *x = gml_layer_conv(layers, "patch_embed.proj", images,
                                  &(gml_conv_shape){.in = 3,
                                                    .out = v->width,
                                                    .kernel = v->patch,
                                                    .stride = v->patch,
                                                    .has_bias = true});
    x = gml_layer_reshape(layers, "patch_embed/Reshape", x, (int64_t[]){0, v->width, -1}, 3);
    return gml_layer_transpose(layers, "patch_embed/Transpose", x, (int64_t[]){0, 2, 1}, 3);
}

/* The class token once for every image: (B, 1, C). */
static gml_value *repeat_token(const vit *v, gml_value *images)
{
    const gml_layers *layers = &v->layers;
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
static gml_value *attend(const vit *v, const char *name, gml_value *x)
{
    const gml_layers *layers = &v->layers;
    gml_builder *b = layers->builder;
    int64_t size = v->width / v->heads;
    gml_scope qkv_name = gml_scope_in(name, "qkv");
    bool has_bias = has_weight(v, gml_scope_in(qkv_name.text, "bias").text);
    gml_value *qkv = (has_bias ? gml_layer_linear : gml_layer_product)(
        layers, qkv_name.text, x, v->width, 3 * v->width); /* (B, N, 3C) */
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
static gml_value *add_block(const vit *v, const char *name, gml_value *x)
{
    const gml_layers *layers = &v->layers;
    gml_value *y =
        gml_layer_norm(layers, gml_scope_in(name, "norm1").text, x, v->width, GML_EPSILON);
    y = attend(v, gml_scope_in(name, "attn").text, y);
    x = gml_layer_binary(layers, gml_scope_node(name, "Add").text, "Add", x, y);
    y = gml_layer_norm(layers, gml_scope_in(name, "norm2").text, x, v->width, GML_EPSILON);
    y = gml_layer_linear(layers, gml_scope_in(name, "mlp.fc1").text, y, v->width, v->hidden);
    y = gml_layer_gelu(layers, gml_scope_in(name, "mlp.act").text, y);
    y = gml_layer_linear(layers, gml_scope_in(name, "mlp.fc2").text, y, v->hidden, v->width);
    return gml_layer_binary(layers, gml_scope_node(name, "Add_1").text, "Add", x, y);
}

static gml_value *add_norm(const vit *v, const char *name, gml_value *x)
{
    return gml_layer_norm(&v->layers, name, x, v->width, GML_EPSILON);
}

/* tokens (B, N, C) -> (B, C): the mean over the patches, which follow the class token.
 * Fine-tuned networks have a norm behind it, and so has a head that is to be trained. */
static gml_value *take_mean(const vit *v, gml_value *x)
{
    const int64_t range[2] = {1, v->side * v->side + 1};
    x = gml_layer_slice(&v->layers, "pool/Slice", x, 1, range);
    x = gml_layer_reduce(&v->layers, "pool/ReduceMean", "ReduceMean", x, 1, false);
    bool has_norm = v->options->weights != NULL && has_weight(v, "fc_norm.weight");
    return has_norm || v->is_new_head ? add_norm(v, "fc_norm", x) : x;
}

/* What is done to tokens: of a head that comes with a norm for the mean, the mean. */
static const char *find_features(const vit *v)
{
    if (v->options->features != NULL)
        return v->options->features;
    bool is_tuned = v->options->weights != NULL && has_weight(v, "fc_norm.weight");
    return v->n_classes > 0 && (is_tuned || v->is_new_head) ? "mean" : "cls";
}

/* x (B, C) -> logits (B, classes). A new head is nearly nothing, so that a network that was
 * trained is not disturbed by it. */
static void add_head(const vit *v, gml_value *x)
{
    gml_layers layers = v->layers;
    if (v->is_new_head)
        layers.deviation = GML_NEW_HEAD;
    x = gml_layer_classifier(&layers, "head", x, v->width, v->n_classes);
    gml_builder_output(v->layers.builder, x, "logits");
}

/* The tokens (B, N, C) become the network's output. */
static void add_end(const vit *v, gml_value *x)
{
    gml_builder *b = v->layers.builder;
    const char *features = find_features(v);
    bool is_tokens = strcmp(features, "tokens") == 0;
    if (is_tokens && v->n_classes > 0)
        gml_builder_fail(b, GML_E_USAGE, "a head classifies cls or mean, not tokens");
    if (is_tokens) {
        gml_builder_output(b, x, "tokens");
        return;
    }
    if (v->is_new_head)
        gml_builder_weights(b, NULL); /* from here on random */
    x = strcmp(features, "mean") == 0
            ? take_mean(v, x)
            : gml_layer_pick(&v->layers, "pool/Gather", x, 1, 0); /* (B, C) */
    if (v->n_classes > 0)
        add_head(v, x);
    else
        gml_builder_output(b, x, "features");
    if (v->is_new_head && gml_builder_status(b) == GML_OK)
        gml_builder_weights(b, v->options->weights); /* whose tensors must all have been used */
}

static void add_network(const vit *v)
{
    gml_builder *b = v->layers.builder;
    int64_t size = v->side * v->patch;
    int64_t n_tokens = v->side * v->side + 1;
    gml_value *images = gml_builder_input(
        b, "images", GML_F32, 4, (gml_extent[]){v->options->batch, {3}, {size}, {size}});
    gml_value *patches = embed_patches(v, images);
    gml_value *token = repeat_token(v, images);
    gml_value *x = gml_builder_node(b, &(gml_node_spec){.op = "Concat",
                                                        .name = "pos_embed/Concat",
                                                        .inputs = {token, patches},
                                                        .attrs = {GML_INT("axis", 1)}});
    gml_value *positions =
        gml_layer_table(&v->layers, "pos_embed", 3, (int64_t[]){1, n_tokens, v->width});
    x = gml_layer_binary(&v->layers, "pos_embed/Add", "Add", x, positions);
    for (int64_t i = 0; i < v->depth; i++)
        x = add_block(v, gml_scope_numbered("blocks", i).text, x);
    add_end(v, v->has_norm ? add_norm(v, "norm", x) : x);
}

void gml_network_vit(gml_builder *builder, const gml_network_options *options)
{
    vit v = {.layers = {builder, options->opset, 0.02}, .options = options};
    gml_builder_weights(builder, options->weights);
    if (gml_builder_status(builder) == GML_OK)
        read_options(&v);
    if (gml_builder_status(builder) != GML_OK)
        return;
    if (options->weights != NULL)
        gml_weights_fit_positions(options->weights, "pos_embed", 1, v.side, v.side);
    char heads[24];
    snprintf(heads, sizeof heads, "%" PRId64, v.heads);
    gml_builder_metadata(builder, GML_HEADS_KEY, heads);
    gml_network_prepare(builder, options, v.side * v.patch);
    add_network(&v);
}
