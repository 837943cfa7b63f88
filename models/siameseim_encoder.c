/* models/siameseim_encoder.c - what both branches have: patches, class token, encoder,
 * decoder_embed, projector. */
#include "models/siameseim.h"

#include <math.h>
#include <stdlib.h>

gml_value *gml_siam_patches(gml_siam *s, const char *scope, gml_value *x, bool channels_last)
{
    int64_t g = s->c.grid;
    int64_t p = s->c.patch;
    x = gml_siam_reshape(s, scope, x, (int64_t[]){-1, 3, g, p, g, p}, 6);
    int64_t first[] = {0, 2, 4, 1, 3, 5};
    int64_t last[] = {0, 2, 4, 3, 5, 1};
    x = gml_siam_transpose(s, scope, x, channels_last ? last : first, 6);
    return gml_siam_reshape(s, scope, x, (int64_t[]){-1, g * g, 3 * p * p}, 3);
}

/* The fixed positions of a grid: with w(k) = 10000^(-k/n), n = width/4, the patch of row r and
 * column c has sin(r w), cos(r w), sin(c w), cos(c w), n numbers each. */
gml_value *gml_siam_grid_table(gml_siam *s, const char *name, int64_t width)
{
    int64_t g = s->c.grid;
    int64_t n = width / 4;
    int64_t dims[] = {1, 1 + g * g, width};
    double *values = calloc((size_t)(dims[1] * width), sizeof *values);
    if (values == NULL) {
        gml_builder_fail(s->b, GML_E_MEMORY, "there is no memory for the table %s", name);
        return gml_siam_number(s, 0);
    }
    for (int64_t t = 0; t < g * g; t++) {
        double *row = values + (1 + t) * width;
        int64_t r = t / g;
        int64_t c = t % g;
        for (int64_t k = 0; k < n; k++) {
            double omega = pow(10000, -(double)k / (double)n);
            row[k] = sin((double)r * omega);
            row[n + k] = cos((double)r * omega);
            row[2 * n + k] = sin((double)c * omega);
            row[3 * n + k] = cos((double)c * omega);
        }
    }
    gml_value *table = gml_siam_table(s, name, values, 3, dims);
    free(values);
    return gml_siam_reshape(s, name, table, dims + 1, 2);
}

gml_value *gml_siam_positions(gml_siam *s, const char *scope, gml_value *table,
                              gml_value *visible)
{
    gml_value *rows =
        gml_siam_binary(s, scope, "Add", visible, gml_siam_number_of(s, GML_I64, 1));
    gml_scope pads = gml_scope_in(scope, "pads");
    rows = gml_siam_binary(s, scope, "Pad", rows,
                           gml_builder_ints(s->b, pads.text, (int64_t[]){0, 1, 0, 0}, 4));
    return gml_siam_node(s, scope,
                         (gml_node_spec){.op = "Gather",
                                         .inputs = {table, rows},
                                         .attrs = {GML_INT("axis", 0)}});
}

gml_value *gml_siam_is_visible(gml_siam *s, const char *scope)
{
    int64_t n = s->c.n_patches;
    int64_t *numbers = malloc((size_t)n * sizeof *numbers);
    if (numbers == NULL) {
        gml_builder_fail(s->b, GML_E_MEMORY, "there is no memory for %s", scope);
        return gml_siam_number(s, 0);
    }
    for (int64_t i = 0; i < n; i++)
        numbers[i] = i;
    gml_value *all =
        gml_builder_ints(s->b, gml_scope_in(scope, "numbers").text, numbers, (size_t)n);
    free(numbers);
    gml_value *visible =
        gml_siam_reshape(s, scope, s->visible, (int64_t[]){-1, s->c.n_visible, 1}, 3);
    return gml_siam_cast(s, scope, gml_siam_binary(s, scope, "Equal", visible, all),
                         s->c.dtype);
}

/* (B, T, K) -> (B, T, D) by the convolution whose kernel is a patch. */
static gml_value *embed(gml_siam *s, gml_value *patches)
{
    static const char name[] = "patch_embed.proj";
    int64_t p = s->c.patch;
    int64_t inputs = 3 * p * p;
    double bound = 1 / sqrt((double)inputs);
    gml_value *(*make)(gml_siam *, const char *, int, const int64_t *, gml_fill) =
        s->c.trains_patches ? gml_siam_parameter : gml_siam_frozen;
    gml_value *w = make(s, gml_scope_in(name, "weight").text, 4,
                        (int64_t[]){s->c.width, 3, p, p}, gml_siam_xavier(inputs, s->c.width));
    gml_value *bias = make(s, gml_scope_in(name, "bias").text, 1, &s->c.width,
                           gml_fill_uniform(-bound, bound));
    w = gml_siam_reshape(s, name, w, (int64_t[]){s->c.width, inputs}, 2);
    w = gml_siam_transpose(s, name, w, (int64_t[]){1, 0}, 2);
    patches = gml_siam_binary(s, name, "MatMul", patches, w);
    return gml_siam_binary(s, name, "Add", patches, bias);
}

/* Of (B, N, C) the rows `visible`: (B, V, C). */
static gml_value *pick(gml_siam *s, gml_value *x, gml_value *visible)
{
    static const char scope[] = "patch_embed.pick";
    gml_value *rows =
        gml_siam_reshape(s, scope, visible, (int64_t[]){-1, s->c.n_visible, 1}, 3);
    return gml_siam_node(s, scope,
                         (gml_node_spec){.op = "GatherND",
                                         .inputs = {x, rows},
                                         .attrs = {GML_INT("batch_dims", 1)}});
}

gml_value *gml_siam_encode(gml_siam *s, gml_value *x, gml_value *visible)
{
    const gml_siam_config *c = &s->c;
    int64_t tokens = 1 + (visible != NULL ? c->n_visible : c->n_patches);
    gml_value *patches = gml_siam_patches(s, "patch_embed.patches", x, false);
    if (visible != NULL && c->embeds_visible)
        patches = pick(s, patches, visible);
    patches = embed(s, patches);
    if (visible != NULL && !c->embeds_visible)
        patches = pick(s, patches, visible);
    gml_value *token = gml_siam_parameter(s, "cls_token", 3, (int64_t[]){1, 1, c->width},
                                          gml_fill_normal(0, 0.02));
    token = gml_siam_binary(s, "cls_token.each", "Expand", token, s->each);
    x = gml_siam_concat(s, "tokens", 1, (gml_value *[]){token, patches}, 2);
    gml_value *positions = s->encoder_table;
    if (visible != NULL)
        positions = gml_siam_positions(s, "pos_embed.visible", positions, visible);
    x = gml_siam_binary(s, "tokens.sum", "Add", x, positions);
    gml_siam_shape encoder = {c->width, c->heads, tokens, false};
    x = gml_siam_blocks(s, "blocks", x, c->depth, &encoder);
    if (c->mlp)
        return gml_siam_project(s, x, tokens);
    x = gml_siam_linear(s, "decoder_embed", x, c->width, c->decoder_width);
    gml_siam_shape projector = {c->decoder_width, c->decoder_heads, tokens, !c->layer_norm};
    return gml_siam_blocks(s, "projector_decoder_blocks", x, c->projector_depth, &projector);
}
