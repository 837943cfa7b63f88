/* models/bert.c - the BERT encoder, as the transformers library builds and names it, spelled
 * out as PyTorch's exporter writes it: additive mask, scores divided, GELU by Erf.
 */
#include "models/layers.h"
#include "models/models.h"

#include <math.h>
#include <string.h>

#define GML_EPSILON          1e-12F
#define GML_N_WORDS          30522
#define GML_N_POSITIONS      512
#define GML_N_SEGMENTS       2
#define GML_DEFAULT_SEQUENCE 128

typedef struct bert_variant {
    int64_t width, depth, heads, hidden;
} bert_variant;

static const bert_variant base = {768, 12, 12, 3072};
static const bert_variant large = {1024, 24, 16, 4096};

/* The rows of table `name` (rows, C) that `ids` (B, T) names: (B, T, C). */
static gml_value *look_up(const gml_layers *layers, const char *name, gml_value *ids,
                          int64_t rows, int64_t width)
{
    gml_value *table =
        gml_layer_table(layers, gml_scope_in(name, "weight").text, 2, (int64_t[]){rows, width});
    return gml_layer_binary(layers, gml_scope_node(name, "Gather").text, "Gather", table, ids);
}

/* The first T of the positions 0, 1, …: (1, T). */
static gml_value *number_positions(const gml_layers *layers, gml_value *ids)
{
    gml_builder *b = layers->builder;
    int64_t numbers[GML_N_POSITIONS];
    for (int64_t i = 0; i < GML_N_POSITIONS; i++)
        numbers[i] = i;
    gml_tensor tensor = {
        .dtype = GML_I64, .rank = 2, .dims = {1, GML_N_POSITIONS}, .data = numbers};
    gml_value *all = gml_builder_tensor(b, "embeddings.position_ids", &tensor, true);
    gml_value *end = NULL;
    int64_t length = gml_builder_dim(b, ids, 1);
    if (length >= 0)
        end = gml_builder_ints(b, "embeddings.length", &length, 1);
    else
        end = gml_builder_node(
            b, &(gml_node_spec){.op = "Shape",
                                .name = "embeddings/Shape",
                                .inputs = {ids},
                                .attrs = {GML_INT("start", 1), GML_INT("end", 2)}});
    gml_value *start = gml_builder_ints(b, "embeddings.start", (int64_t[]){0}, 1);
    gml_value *axis = gml_builder_ints(b, "embeddings.axis", (int64_t[]){1}, 1);
    return gml_builder_node(b, &(gml_node_spec){.op = "Slice",
                                                .name = "embeddings/Slice",
                                                .inputs = {all, start, end, axis}});
}

/* ids, segments (B, T) -> (B, T, C) */
static gml_value *embed(const gml_layers *layers, const bert_variant *v, gml_value *ids,
                        gml_value *segments)
{
    gml_value *words =
        look_up(layers, "embeddings.word_embeddings", ids, GML_N_WORDS, v->width);
    gml_value *kinds =
        look_up(layers, "embeddings.token_type_embeddings", segments, GML_N_SEGMENTS, v->width);
    gml_value *places = look_up(layers, "embeddings.position_embeddings",
                                number_positions(layers, ids), GML_N_POSITIONS, v->width);
    gml_value *x = gml_layer_binary(layers, "embeddings/Add", "Add", words, kinds);
    x = gml_layer_binary(layers, "embeddings/Add_1", "Add", x, places);
    return gml_layer_norm(layers, "embeddings.LayerNorm", x, v->width, GML_EPSILON);
}

/* mask (B, T), 1 where attention may look -> (B, 1, 1, T), 0 there and -10000 elsewhere. */
static gml_value *soften_mask(const gml_layers *layers, gml_value *mask)
{
    gml_builder *b = layers->builder;
    gml_value *axes = gml_builder_ints(b, "mask.axes", (int64_t[]){1, 2}, 2);
    gml_value *x = gml_layer_binary(layers, "mask/Unsqueeze", "Unsqueeze", mask, axes);
    x = gml_builder_node(b, &(gml_node_spec){.op = "Cast",
                                             .name = "mask/Cast",
                                             .inputs = {x},
                                             .attrs = {GML_INT("to", GML_F32)}});
    gml_value *one = gml_builder_float(b, "mask.one", 1);
    gml_value *weight = gml_builder_float(b, "mask.weight", -10000);
    x = gml_layer_binary(layers, "mask/Sub", "Sub", one, x);
    return gml_layer_binary(layers, "mask/Mul", "Mul", x, weight);
}

/* x (B, T, C), mask (B, 1, 1, T) -> (B, T, C) */
static gml_value *attend(const gml_layers *layers, const char *name, const bert_variant *v,
                         gml_value *x, gml_value *mask)
{
    gml_builder *b = layers->builder;
    static const char *const parts[] = {"query", "key", "value"};
    gml_value *qkv[3]; /* (B, heads, T, size), the second (B, heads, size, T) */
    int64_t size = v->width / v->heads;
    for (int i = 0; i < 3; i++) {
        gml_scope part = gml_scope_in(name, parts[i]);
        gml_value *y = gml_layer_linear(layers, part.text, x, v->width, v->width);
        y = gml_layer_reshape(layers, gml_scope_node(part.text, "Reshape").text, y,
                              (int64_t[]){0, 0, v->heads, size}, 4);
        const int64_t *perm = i == 1 ? (int64_t[]){0, 2, 3, 1} : (int64_t[]){0, 2, 1, 3};
        qkv[i] = gml_layer_transpose(layers, gml_scope_node(part.text, "Transpose").text, y,
                                     perm, 4);
    }
    gml_value *scores =
        gml_layer_binary(layers, gml_scope_node(name, "MatMul").text, "MatMul", qkv[0], qkv[1]);
    gml_value *root =
        gml_builder_float(b, gml_scope_in(name, "root").text, (float)sqrt((double)size));
    scores = gml_layer_binary(layers, gml_scope_node(name, "Div").text, "Div", scores, root);
    scores = gml_layer_binary(layers, gml_scope_node(name, "Add").text, "Add", scores, mask);
    scores = gml_builder_node(b, &(gml_node_spec){.op = "Softmax",
                                                  .name = gml_scope_node(name, "Softmax").text,
                                                  .inputs = {scores},
                                                  .attrs = {GML_INT("axis", -1)}});
    gml_value *y = gml_layer_binary(layers, gml_scope_node(name, "MatMul_1").text, "MatMul",
                                    scores, qkv[2]);
    return gml_layer_join_heads(layers, name, y, v->heads, size);
}

/* norm(x + linear(y)): the end of both halves of a layer, y being `in` wide. */
static gml_value *add_and_norm(const gml_layers *layers, const char *name, gml_value *x,
                               gml_value *y, int64_t in, int64_t width)
{
    y = gml_layer_linear(layers, gml_scope_in(name, "dense").text, y, in, width);
    y = gml_layer_binary(layers, gml_scope_node(name, "Add").text, "Add", y, x);
    return gml_layer_norm(layers, gml_scope_in(name, "LayerNorm").text, y, width, GML_EPSILON);
}

static gml_value *add_layer(const gml_layers *layers, const char *name, const bert_variant *v,
                            gml_value *x, gml_value *mask)
{
    gml_value *y = attend(layers, gml_scope_in(name, "attention.self").text, v, x, mask);
    x = add_and_norm(layers, gml_scope_in(name, "attention.output").text, x, y, v->width,
                     v->width);
    gml_scope inner = gml_scope_in(name, "intermediate");
    y = gml_layer_linear(layers, gml_scope_in(inner.text, "dense").text, x, v->width,
                         v->hidden);
    y = gml_layer_erf_gelu(layers, inner.text, y);
    return add_and_norm(layers, gml_scope_in(name, "output").text, x, y, v->hidden, v->width);
}

void gml_network_bert(gml_builder *builder, const gml_network_options *options)
{
    bool is_large = options->variant != NULL && strcmp(options->variant, "large") == 0;
    const bert_variant *v = is_large ? &large : &base;
    gml_layers layers = {builder, options->opset, 0.02};
    gml_extent sequence = options->sequence;
    if (sequence.name == NULL && sequence.value == 0)
        sequence.value = GML_DEFAULT_SEQUENCE;
    if (sequence.name == NULL && sequence.value > GML_N_POSITIONS)
        gml_builder_fail(builder, GML_E_USAGE, "there are %d positions, fewer than %lld tokens",
                         GML_N_POSITIONS, (long long)sequence.value);
    gml_extent extents[] = {options->batch, sequence};
    gml_value *ids = gml_builder_input(builder, "input_ids", GML_I64, 2, extents);
    gml_value *mask = gml_builder_input(builder, "attention_mask", GML_I64, 2, extents);
    gml_value *segments = gml_builder_input(builder, "token_type_ids", GML_I64, 2, extents);
    gml_value *x = embed(&layers, v, ids, segments);
    mask = soften_mask(&layers, mask);
    for (int64_t i = 0; i < v->depth; i++)
        x = add_layer(&layers, gml_scope_numbered("encoder.layer", i).text, v, x, mask);
    gml_builder_output(builder, x, "last_hidden_state");
    if (options->no_head)
        return;
    x = gml_layer_pick(&layers, "pooler/Gather", x, 1, 0); /* (B, C) */
    x = gml_layer_classifier(&layers, "pooler.dense", x, v->width, v->width);
    gml_builder_output(builder, gml_layer_unary(&layers, "pooler/Tanh", "Tanh", x),
                       "pooler_output");
}
