/* models/siameseim_layers.c - parameters of the two branches, norms, transformer blocks. */
#include "models/siameseim.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- parameters -------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static const gml_siam_weight *find_weight(const gml_siam *s, const char *name)
{
    for (size_t i = 0; i < s->n_weights; i++)
        if (strcmp(s->weights[i].name, name) == 0)
            return &s->weights[i];
    return NULL;
}

/* The target's parameter: it begins as the online one, and is momentum times itself and the
 * rest times that before it is used. */
static gml_value *follow(gml_siam *s, const char *name)
{
    const gml_siam_weight *online = find_weight(s, name);
    gml_scope mine;
    snprintf(mine.text, sizeof mine.text, "mm_%.120s", name);
    if (online == NULL) {
        gml_builder_fail(s->b, GML_E_INTERNAL, "the target's %s follows nothing", mine.text);
        return gml_siam_number(s, 0);
    }
    gml_value *state = gml_builder_copy(s->b, mine.text, online->value);
    if (!online->is_trained)
        return state;
    gml_scope scope = gml_scope_in(name, "follow");
    gml_value *kept = gml_siam_binary(s, scope.text, "Mul", state, s->momentum);
    gml_value *came = gml_siam_binary(s, scope.text, "Mul", online->value, s->rest);
    gml_value *value = gml_siam_binary(s, scope.text, "Add", kept, came);
    s->changes[s->n_changes++] = (gml_siam_change){state, value};
    return value;
}

static gml_value *begin_weight(gml_siam *s, const char *name, gml_value *value, bool is_trained)
{
    if (s->n_weights == GML_SIAM_MAX_WEIGHTS) {
        gml_builder_fail(s->b, GML_E_UNSUPPORTED, "more than %d parameters",
                         GML_SIAM_MAX_WEIGHTS);
        return value;
    }
    gml_siam_weight *weight = &s->weights[s->n_weights++];
    snprintf(weight->name, sizeof weight->name, "%s", name);
    weight->value = value;
    weight->is_trained = is_trained;
    weight->is_decayed = gml_builder_rank(s->b, value) > 1 && !ends_with(name, ".bias");
    return value;
}

gml_value *gml_siam_parameter(gml_siam *s, const char *name, int rank, const int64_t *dims,
                              gml_fill fill)
{
    if (s->is_target)
        return follow(s, name);
    return begin_weight(s, name, gml_builder_weight(s->b, name, s->c.dtype, rank, dims, fill),
                        true);
}

gml_value *gml_siam_frozen(gml_siam *s, const char *name, int rank, const int64_t *dims,
                           gml_fill fill)
{
    if (s->is_target)
        return follow(s, name);
    return begin_weight(s, name, gml_builder_state(s->b, name, s->c.dtype, rank, dims, fill),
                        false);
}

gml_fill gml_siam_xavier(int64_t in, int64_t out)
{
    double bound = sqrt(6 / (double)(in + out));
    return gml_fill_uniform(-bound, bound);
}

static gml_value *vector(gml_siam *s, const char *name, const char *part, int64_t size,
                         double value)
{
    return gml_siam_parameter(s, gml_scope_in(name, part).text, 1, &size,
                              gml_fill_constant(value));
}

gml_value *gml_siam_product(gml_siam *s, const char *name, gml_value *x, int64_t in,
                            int64_t out)
{
    gml_scope weight = gml_scope_in(name, "weight");
    gml_value *w /* (in, out) */ =
        gml_siam_parameter(s, weight.text, 2, (int64_t[]){in, out}, gml_siam_xavier(in, out));
    gml_scope stored;
    snprintf(stored.text, sizeof stored.text, "%s%.120s", s->is_target ? "mm_" : "",
             weight.text);
    gml_builder_metadata_append(s->b, "gemel.transposed", stored.text);
    return gml_siam_binary(s, name, "MatMul", x, w);
}

gml_value *gml_siam_linear(gml_siam *s, const char *name, gml_value *x, int64_t in, int64_t out)
{
    x = gml_siam_product(s, name, x, in, out);
    return gml_siam_binary(s, name, "Add", x, vector(s, name, "bias", out, 0));
}

/* ---- norms ------------------------------------------------------------------------------- */

static gml_value *constant_vector(gml_siam *s, const char *scope, int64_t size, double value)
{
    gml_scope name;
    snprintf(name.text, sizeof name.text, "%s%.110s.%s", s->is_target ? "mm_" : "", scope,
             value == 0 ? "zeros" : "ones");
    return gml_builder_state(s->b, name.text, s->c.dtype, 1, &size, gml_fill_constant(value));
}

static gml_value *add_layer_norm(gml_siam *s, const char *scope, gml_value *const inputs[3],
                                 float epsilon)
{
    return gml_siam_node(
        s, scope,
        (gml_node_spec){.op = "LayerNormalization",
                        .inputs = {inputs[0], inputs[1], inputs[2]},
                        .attrs = {GML_INT("axis", -1), GML_FLOAT("epsilon", epsilon),
                                  GML_INT("stash_type", s->c.dtype)}});
}

/* In training mode, with momentum 0: results 1 and 2 are this batch's mean and variance. */
static gml_value *add_batch_norm(gml_siam *s, const char *scope, gml_value *const inputs[5])
{
    return gml_siam_node(
        s, scope,
        (gml_node_spec){.op = "BatchNormalization",
                        .inputs = {inputs[0], inputs[1], inputs[2], inputs[3], inputs[4]},
                        .attrs = {GML_FLOAT("epsilon", GML_SIAM_EPSILON),
                                  GML_FLOAT("momentum", 0), GML_INT("training_mode", 1)},
                        .n_outputs = 3});
}

gml_value *gml_siam_plain_norm(gml_siam *s, const char *scope, gml_value *x, int64_t size)
{
    gml_value *inputs[] = {x, constant_vector(s, scope, size, 1), NULL};
    return add_layer_norm(s, scope, inputs, GML_SIAM_EPSILON);
}

gml_value *gml_siam_plain_batch_norm(gml_siam *s, const char *scope, gml_value *rows,
                                     int64_t size)
{
    gml_value *ones = constant_vector(s, scope, size, 1);
    gml_value *zeros = constant_vector(s, scope, size, 0);
    return add_batch_norm(s, scope, (gml_value *[]){rows, ones, zeros, zeros, ones});
}

gml_value *gml_siam_batch_norm(gml_siam *s, const char *name, gml_value *rows, int64_t size,
                               int64_t tokens)
{
    gml_value *scale = vector(s, name, "weight", size, 1);
    gml_value *bias = vector(s, name, "bias", size, 0);
    gml_siam_statistics *norm = &s->norms[s->n_norms++];
    snprintf(norm->name, sizeof norm->name, "%s%.120s", s->is_target ? "mm_" : "", name);
    static const char *const parts[] = {"running_mean", "running_var"};
    for (int i = 0; i < 2; i++)
        norm->states[i] = gml_builder_state(s->b, gml_scope_in(norm->name, parts[i]).text,
                                            s->c.dtype, 1, &size, gml_fill_constant(i));
    norm->n_tokens = tokens;
    rows = add_batch_norm(s, name,
                          (gml_value *[]){rows, scale, bias, norm->states[0], norm->states[1]});
    for (size_t i = 0; i < 2; i++)
        norm->moments[i] = gml_builder_result(s->b, rows, i + 1);
    return rows;
}

/* Over all tokens of the batch. */
static gml_value *norm_tokens(gml_siam *s, const char *name, gml_value *x,
                              const gml_siam_shape *shape)
{
    gml_scope bn = gml_scope_in(name, "bn");
    x = gml_siam_reshape(s, gml_scope_in(name, "rows").text, x, (int64_t[]){-1, shape->width},
                         2);
    x = gml_siam_batch_norm(s, bn.text, x, shape->width, shape->tokens);
    return gml_siam_reshape(s, bn.text, x, (int64_t[]){-1, shape->tokens, shape->width}, 3);
}

static gml_value *norm(gml_siam *s, const char *name, gml_value *x, const gml_siam_shape *shape)
{
    if (shape->batch_norm)
        return norm_tokens(s, name, x, shape);
    gml_value *scale = vector(s, name, "weight", shape->width, 1);
    gml_value *bias = vector(s, name, "bias", shape->width, 0);
    return add_layer_norm(s, name, (gml_value *[]){x, scale, bias}, GML_SIAM_LN_EPSILON);
}

/* ---- blocks ------------------------------------------------------------------------------ */

/* Part k of qkv (B, T, 3C) as (B, heads, T, size), or (B, heads, size, T). */
static gml_value *take_heads(gml_siam *s, const char *scope, gml_value *part,
                             const gml_siam_shape *shape, bool is_key)
{
    int64_t size = shape->width / shape->heads;
    part = gml_siam_reshape(s, scope, part, (int64_t[]){0, 0, shape->heads, size}, 4);
    int64_t perm[] = {0, 2, is_key ? 3 : 1, is_key ? 1 : 3};
    return gml_siam_transpose(s, scope, part, perm, 4);
}

/* x (B, T, C) -> (B, T, C) */
static gml_value *attend(gml_siam *s, const char *name, gml_value *x,
                         const gml_siam_shape *shape)
{
    int64_t width = shape->width;
    gml_value *qkv = gml_siam_linear(s, gml_scope_in(name, "qkv").text, x, width, 3 * width);
    gml_value *q =
        gml_siam_node(s, name,
                      (gml_node_spec){.op = "Split",
                                      .inputs = {qkv},
                                      .attrs = {GML_INT("axis", -1), GML_INT("num_outputs", 3)},
                                      .n_outputs = 3});
    gml_value *k = gml_builder_result(s->b, q, 1);
    gml_value *v = gml_builder_result(s->b, q, 2);
    int64_t size = width / shape->heads;
    gml_value *scale = gml_siam_number(s, 1 / sqrt((double)size));
    q = gml_siam_binary(s, name, "Mul", q, scale);
    q = take_heads(s, name, q, shape, false);
    k = take_heads(s, name, k, shape, true);
    v = take_heads(s, name, v, shape, false);
    x = gml_siam_binary(s, name, "MatMul", q, k); /* (B, heads, T, T) */
    x = gml_siam_node(
        s, name,
        (gml_node_spec){.op = "Softmax", .inputs = {x}, .attrs = {GML_INT("axis", -1)}});
    x = gml_siam_binary(s, name, "MatMul", x, v);
    x = gml_siam_transpose(s, name, x, (int64_t[]){0, 2, 1, 3}, 4);
    x = gml_siam_reshape(s, name, x, (int64_t[]){0, 0, width}, 3);
    return gml_siam_linear(s, gml_scope_in(name, "proj").text, x, width, width);
}

static gml_value *transform(gml_siam *s, const char *name, gml_value *x,
                            const gml_siam_shape *shape)
{
    int64_t width = shape->width;
    int64_t hidden = GML_SIAM_MLP_RATIO * width;
    gml_value *y = norm(s, gml_scope_in(name, "norm1").text, x, shape);
    y = attend(s, gml_scope_in(name, "attn").text, y, shape);
    x = gml_siam_binary(s, gml_scope_in(name, "attn.sum").text, "Add", x, y);
    y = norm(s, gml_scope_in(name, "norm2").text, x, shape);
    y = gml_siam_linear(s, gml_scope_in(name, "mlp.fc1").text, y, width, hidden);
    y = gml_siam_unary(s, gml_scope_in(name, "mlp").text, "Gelu", y);
    y = gml_siam_linear(s, gml_scope_in(name, "mlp.fc2").text, y, hidden, width);
    return gml_siam_binary(s, gml_scope_in(name, "mlp.sum").text, "Add", x, y);
}

gml_value *gml_siam_blocks(gml_siam *s, const char *name, gml_value *x, int64_t depth,
                           const gml_siam_shape *shape)
{
    for (int64_t i = 0; i < depth; i++)
        x = transform(s, gml_scope_numbered(name, i).text, x, shape);
    return x;
}
