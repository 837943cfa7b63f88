/* eval/graph.h - a graph that the evaluation builds for itself, and its sessions.
 *
 *     gml_builder *b = gml_builder_create("knn", 0, 0);
 *     … inputs, nodes, outputs; a step …
 *     GML_TRY(gml_eval_graph_open(&graph, b, context));      takes the builder
 *     GML_TRY(gml_eval_graph_run(&graph, GML_EVAL_RUN, inputs, context->diags));
 *     … graph.outputs[GML_EVAL_RUN][0].tensor …
 *     gml_eval_graph_close(&graph);
 *
 * The model lives in memory; no file is written. With a step there are two sessions on the same
 * states. One thread.
 */
#ifndef GML_EVAL_GRAPH_H
#define GML_EVAL_GRAPH_H

#include "api/session.h"
#include "base/str.h"
#include "gemel/build.h"

/* What all of an evaluation shares. */
typedef struct gml_eval_context {
    gml_arena *arena;
    gml_diags *diags;
    gml_device_kind device;
    int device_number;
    gml_precision precision;
    int n_threads; /* 0: one a processor */
    uint64_t seed;
} gml_eval_context;

typedef enum gml_eval_part { GML_EVAL_RUN, GML_EVAL_STEP, GML_EVAL_PARTS } gml_eval_part;

typedef struct gml_eval_graph {
    gml_str bytes;
    gml_model *models[GML_EVAL_PARTS];
    gml_session *sessions[GML_EVAL_PARTS];
    gml_rvalue *inputs[GML_EVAL_PARTS];  /* in the arena, as is what follows */
    gml_rvalue *outputs[GML_EVAL_PARTS]; /* valid until the part's next run */
} gml_eval_graph;

/* Destroys the builder, whose failure is reported. After a failure nothing is to be closed. */
GML_MUST_CHECK gml_status gml_eval_graph_open(gml_eval_graph *graph, gml_builder *builder,
                                              bool has_step, const gml_eval_context *context);
/* The same for the bytes of a model, which the graph takes: a text made by gml_str_init. */
GML_MUST_CHECK gml_status gml_eval_graph_wrap(gml_eval_graph *graph, gml_str bytes,
                                              bool has_step, const gml_eval_context *context);
/* The number of the part's output called `name`, which exists. */
size_t gml_eval_graph_output(const gml_eval_graph *graph, gml_eval_part part, const char *name);
/* `inputs` are the part's, all of them, in order; they are read where they lie. */
GML_MUST_CHECK gml_status gml_eval_graph_run(gml_eval_graph *graph, gml_eval_part part,
                                             const gml_tensor *inputs, gml_diags *diags);
/* The elements of a state, as gml_states_read gives them. The state exists. */
GML_MUST_CHECK gml_status gml_eval_graph_state(const gml_eval_graph *graph, const char *name,
                                               gml_tensor *out_tensor, gml_diags *diags);
void gml_eval_graph_close(gml_eval_graph *graph);

/* ---- shorthands for builders ---------------------------------------------------------------
 */

gml_value *gml_eval_unary(gml_builder *b, const char *op, gml_value *x);
gml_value *gml_eval_binary(gml_builder *b, const char *op, gml_value *x, gml_value *y);
/* An input of two dimensions. */
gml_value *gml_eval_matrix(gml_builder *b, const char *name, gml_dtype dtype, int64_t rows,
                           int64_t columns);
/* Gemm: x y, with either of them transposed. */
gml_value *gml_eval_product(gml_builder *b, gml_value *x, bool turn_x, gml_value *y,
                            bool turn_y);
/* A reduction over `axes` (i64, rank 1), which stay with size 1; NULL: over all of them, to a
 * scalar. */
gml_value *gml_eval_reduce(gml_builder *b, const char *op, gml_value *x, gml_value *axes);

/* A view of a matrix. */
static inline gml_tensor gml_eval_view(gml_dtype dtype, int64_t rows, int64_t columns,
                                       void *data)
{
    return (gml_tensor){.dtype = dtype, .rank = 2, .dims = {rows, columns}, .data = data};
}

#endif
