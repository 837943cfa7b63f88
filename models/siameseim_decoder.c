/* models/siameseim_decoder.c - queries at the places of view 2, the predictor, the head. */
#include "models/siameseim.h"

#include <math.h>
#include <stdio.h>

/* ---- relative positions ------------------------------------------------------------------ */

typedef struct geometry {
    gml_value *di, *dj, *dh, *dw, *flip, *fj; /* (B, 1) each */
} geometry;

static geometry split_geometry(gml_siam *s)
{
    gml_value *first =
        gml_siam_node(s, "geometry.split",
                      (gml_node_spec){.op = "Split",
                                      .inputs = {s->geometry},
                                      .attrs = {GML_INT("axis", 1), GML_INT("num_outputs", 6)},
                                      .n_outputs = 6});
    gml_value *part[6];
    for (size_t i = 0; i < 6; i++)
        part[i] = gml_builder_result(s->b, first, i);
    return (geometry){part[0], part[1], part[2], part[3], part[4], part[5]};
}

/* scale * centre + G * offset - 1/2: (B, G) */
static gml_value *along(gml_siam *s, const char *scope, gml_value *scale, gml_value *offset)
{
    double centre[1 << 8];
    int64_t grid = s->c.grid;
    for (int64_t i = 0; i < grid; i++)
        centre[i] = (double)i + 0.5;
    gml_value *at = gml_siam_table(s, gml_scope_in(scope, "centres").text, centre, 1, &grid);
    gml_value *x = gml_siam_binary(s, scope, "Mul", scale, at);
    gml_value *y = gml_siam_binary(s, scope, "Mul", offset, gml_siam_number(s, (double)grid));
    x = gml_siam_binary(s, scope, "Add", x, y);
    return gml_siam_binary(s, scope, "Sub", x, gml_siam_number(s, 0.5));
}

/* at (B, T) -> sines, then cosines of at * w, in `shape`, (B, ?, ?, 2n), which is repeated to
 * (B, G, G, 2n) */
static gml_value *waves(gml_siam *s, const char *scope, gml_value *at, gml_value *omega,
                        const int64_t shape[4])
{
    int64_t g = s->c.grid;
    int64_t n = s->c.decoder_width / 4;
    at = gml_siam_reshape(s, scope, at, (int64_t[]){-1, shape[1], shape[2], 1}, 4);
    gml_value *angle = gml_siam_binary(s, scope, "Mul", at, omega);
    gml_value *both[] = {gml_siam_unary(s, scope, "Sin", angle),
                         gml_siam_unary(s, scope, "Cos", angle)};
    gml_value *x = gml_siam_concat(s, scope, -1, both, 2);
    gml_value *size = gml_builder_ints(s->b, gml_scope_in(scope, "size").text,
                                       (int64_t[]){1, g, g, 2 * n}, 4);
    return gml_siam_binary(s, scope, "Expand", x, size);
}

static gml_value *ten_logs(gml_siam *s, const char *scope, gml_value *x)
{
    x = gml_siam_unary(s, scope, "Log", x);
    return gml_siam_binary(s, scope, "Mul", x, gml_siam_number(s, 10));
}

/* (B, N, 2E): where each patch of view 2 lies in the frame of view 1, counted in its patches,
 * and ten times the logarithm of how much larger it is. */
static gml_value *relative_positions(gml_siam *s)
{
    double frequencies[1 << 12];
    int64_t g = s->c.grid;
    int64_t n = s->c.decoder_width / 4;
    for (int64_t k = 0; k < n; k++)
        frequencies[k] = pow(10000, -(double)k / (double)n);
    gml_value *omega = gml_siam_table(s, "geometry.omega", frequencies, 1, &n);
    geometry at = split_geometry(s);
    gml_value *y = along(s, "geometry.y", at.dh, at.di);
    gml_value *minus = gml_siam_unary(s, "geometry.mirror", "Neg", at.dw);
    gml_value *mirrored = along(s, "geometry.x_mirrored", minus, at.fj);
    gml_value *straight = along(s, "geometry.x_straight", at.dw, at.dj);
    gml_value *is_mirrored =
        gml_siam_binary(s, "geometry.flip", "Greater", at.flip, gml_siam_number(s, 0));
    gml_value *x = gml_siam_where(s, "geometry.x", is_mirrored, mirrored, straight);
    gml_value *parts[] = {
        waves(s, "geometry.rows", y, omega, (int64_t[]){-1, g, 1, n}),
        waves(s, "geometry.columns", x, omega, (int64_t[]){-1, 1, g, n}),
        waves(s, "geometry.heights", ten_logs(s, "geometry.dh", at.dh), omega,
              (int64_t[]){-1, 1, 1, n}),
        waves(s, "geometry.widths", ten_logs(s, "geometry.dw", at.dw), omega,
              (int64_t[]){-1, 1, 1, n}),
    };
    x = gml_siam_concat(s, "geometry.all", -1, parts, 4);
    return gml_siam_reshape(s, "geometry.all", x, (int64_t[]){-1, g * g, 8 * n}, 3);
}

/* ---- what the predictor sees ------------------------------------------------------------- */

/* The table's rows but the first: (N, E) */
static gml_value *patch_rows(gml_siam *s, gml_value *table)
{
    return gml_siam_slice(s, "decoder_pos_embed.patches", table, 0,
                          (int64_t[]){1, 1 + s->c.n_patches});
}

/* (B, N, E) */
static gml_value *add_queries(gml_siam *s, gml_value *mask_token, gml_value *table)
{
    int64_t e = s->c.decoder_width;
    gml_value *positions;
    if (s->c.grid_positions) {
        positions = gml_siam_binary(s, "queries.each", "Expand", patch_rows(s, table), s->each);
    } else {
        positions = gml_siam_linear(s, "decoder_pos_mlp", relative_positions(s), 2 * e, e);
    }
    return gml_siam_binary(s, "queries", "Add", positions, mask_token);
}

/* Class token, visible patches, a query for every patch of view 2: (B, 1 + V + N, E) */
static gml_value *append_queries(gml_siam *s, gml_value *seen, gml_value *mask_token,
                                 gml_value *table)
{
    gml_value *positions =
        gml_siam_positions(s, "decoder_pos_embed.visible", table, s->visible);
    seen = gml_siam_binary(s, "seen", "Add", seen, positions);
    gml_value *queries = add_queries(s, mask_token, table);
    return gml_siam_concat(s, "predictor.input", 1, (gml_value *[]){seen, queries}, 2);
}

/* Class token and N places, each with the visible patch's token or the query: (B, 1 + N, E) */
static gml_value *fill_slots(gml_siam *s, gml_value *seen, gml_value *mask_token,
                             gml_value *table)
{
    static const char scope[] = "slots";
    gml_value *cls = gml_siam_slice(s, "slots.cls", seen, 1, (int64_t[]){0, 1});
    gml_value *tokens =
        gml_siam_slice(s, "slots.seen", seen, 1, (int64_t[]){1, 1 + s->c.n_visible});
    gml_value *places = gml_siam_is_visible(s, "slots.visible"); /* (B, V, N) */
    places = gml_siam_transpose(s, scope, places, (int64_t[]){0, 2, 1}, 3);
    tokens = gml_siam_binary(s, scope, "MatMul", places, tokens);
    gml_value *filled =
        gml_siam_reduce(s, scope, "ReduceSum", places, -1, true); /* (B, N, 1) */
    gml_value *empty = gml_siam_binary(s, scope, "Sub", gml_siam_number(s, 1), filled);
    gml_value *queries = gml_siam_binary(s, scope, "Mul", empty, mask_token);
    tokens = gml_siam_binary(s, scope, "Add", tokens, queries);
    gml_value *all = gml_siam_concat(s, scope, 1, (gml_value *[]){cls, tokens}, 2);
    return gml_siam_binary(s, scope, "Add", all, table);
}

gml_value *gml_siam_predict(gml_siam *s, gml_value *seen)
{
    const gml_siam_config *c = &s->c;
    int64_t e = c->decoder_width;
    gml_value *table = gml_siam_grid_table(s, "decoder_pos_embed", e);
    gml_value *mask_token =
        gml_siam_parameter(s, "mask_token", 3, (int64_t[]){1, 1, e}, gml_fill_normal(0, 0.02));
    gml_siam_shape shape = {e, c->decoder_heads, 1 + c->n_patches, !c->layer_norm};
    gml_value *x;
    if (c->fills_slots) {
        x = fill_slots(s, seen, mask_token, table);
    } else {
        x = append_queries(s, seen, mask_token, table);
        shape.tokens += c->n_visible;
    }
    x = gml_siam_blocks(s, "predictor_decoder_blocks", x, c->predictor_depth, &shape);
    x = gml_siam_linear(s, "decoder_pred", x, e, c->out);
    if (c->global && c->by_class)
        return gml_siam_slice(s, "pred.slice", x, 1, (int64_t[]){0, 1});
    return gml_siam_slice(s, "pred.slice", x, 1,
                          (int64_t[]){shape.tokens - c->n_patches, shape.tokens});
}
