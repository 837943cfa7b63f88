/* models/siameseim.c - the pre-training step of SiameseIM: two views of an image, one of which
 * is seen in part and predicts the other's features.
 *
 * x1 (B, 3, S, S), of which the patches `visible` (B, V) go through the online branch; x2,
 * whose features the target branch makes; geometry (B, 6), where the second crop lies in the
 * frame of the first: di, dj, dh, dw, f, fj. docs/siameseim.md says what is computed and where
 * from. */
#include "models/siameseim.h"

#include <stdlib.h>

static void add_inputs(gml_siam *s)
{
    const gml_siam_config *c = &s->c;
    gml_extent image[] = {c->batch, {3}, {c->image}, {c->image}};
    gml_extent visible[] = {c->batch, {c->n_visible}};
    gml_extent geometry[] = {c->batch, {6}};
    s->x1 = gml_builder_input(s->b, "x1", c->dtype, 4, image);
    if (!c->same_view)
        s->x2 = gml_builder_input(s->b, "x2", c->dtype, 4, image);
    s->visible = gml_builder_input(s->b, "visible", GML_I64, 2, visible);
    if (!c->grid_positions && !c->mlp)
        s->geometry = gml_builder_input(s->b, "geometry", c->dtype, 2, geometry);
}

/* What Expand takes to repeat something for every image: (B, 1, 1). */
static gml_value *batch_shape(gml_siam *s)
{
    int64_t batch = gml_builder_dim(s->b, s->x1, 0);
    if (batch >= 0)
        return gml_builder_ints(s->b, "batch.shape", (int64_t[]){batch, 1, 1}, 3);
    gml_value *parts[] = {
        gml_siam_node(s, "batch",
                      (gml_node_spec){.op = "Shape",
                                      .inputs = {s->x1},
                                      .attrs = {GML_INT("start", 0), GML_INT("end", 1)}}),
        gml_builder_ints(s->b, "batch.rest", (int64_t[]){1, 1}, 2)};
    return gml_siam_concat(s, "batch", 0, parts, 2);
}

static void build(gml_siam *s)
{
    add_inputs(s);
    s->each = batch_shape(s);
    gml_siam_begin(s);
    s->encoder_table = gml_siam_grid_table(s, "pos_embed", s->c.width);
    gml_value *seen = gml_siam_encode(s, s->x1, s->visible);
    gml_value *pred = s->c.mlp ? gml_siam_predict_vector(s, seen) : gml_siam_predict(s, seen);
    gml_value *target = gml_siam_target(s);
    gml_siam_loss(s, pred, target);
    gml_siam_train(s);
}

void gml_network_siameseim(gml_builder *builder, const gml_network_options *options)
{
    gml_siam *s = calloc(1, sizeof *s);
    if (s == NULL) {
        gml_builder_fail(builder, GML_E_MEMORY, "there is no memory for the network");
        return;
    }
    s->b = builder;
    s->layers = (gml_layers){builder, options->opset, 0};
    if (gml_siam_configure(builder, options, &s->c))
        build(s);
    free(s);
}
