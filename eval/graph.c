#include "eval/graph.h"

#include "api/build_model.h"
#include "runtime/states.h"

#include <string.h>

static gml_status open_part(gml_eval_graph *graph, gml_eval_part part, gml_states *states,
                            const gml_eval_context *context)
{
    gml_open_options options = {
        .entry = part == GML_EVAL_STEP ? GML_ONNX_STEP : GML_ONNX_RUN,
        .device = context->device,
        .device_number = context->device_number,
        .precision = context->precision,
        .n_threads = context->n_threads,
    };
    gml_model **model = &graph->models[part];
    GML_TRY(gml_model_open_bytes(graph->bytes.text, graph->bytes.len, NULL, &options, model,
                                 context->diags));
    graph->inputs[part] =
        gml_new_array(context->arena, gml_rvalue, gml_model_n_inputs(*model) + 1);
    graph->outputs[part] =
        gml_new_array(context->arena, gml_rvalue, gml_model_n_outputs(*model) + 1);
    return gml_session_open(*model, states, &graph->sessions[part], context->diags);
}

static gml_status open_parts(gml_eval_graph *graph, bool has_step,
                             const gml_eval_context *context)
{
    if (!has_step)
        return open_part(graph, GML_EVAL_RUN, NULL, context);
    GML_TRY(open_part(graph, GML_EVAL_STEP, NULL, context));
    gml_states *states = gml_session_states(graph->sessions[GML_EVAL_STEP]);
    return open_part(graph, GML_EVAL_RUN, states, context);
}

gml_status gml_eval_graph_open(gml_eval_graph *graph, gml_builder *builder, bool has_step,
                               const gml_eval_context *context)
{
    gml_str bytes;
    gml_str_init(&bytes);
    gml_status status = gml_builder_write(builder, &bytes);
    if (status != GML_OK)
        (void)gml_fail(context->diags, status, (gml_loc){0}, "a graph cannot be built: %s",
                       gml_builder_message(builder));
    gml_builder_destroy(builder);
    if (status == GML_OK)
        return gml_eval_graph_wrap(graph, bytes, has_step, context);
    gml_str_reset(&bytes);
    return status;
}

gml_status gml_eval_graph_wrap(gml_eval_graph *graph, gml_str bytes, bool has_step,
                               const gml_eval_context *context)
{
    *graph = (gml_eval_graph){.bytes = bytes};
    gml_status status = open_parts(graph, has_step, context);
    if (status != GML_OK)
        gml_eval_graph_close(graph);
    return status;
}

size_t gml_eval_graph_output(const gml_eval_graph *graph, gml_eval_part part, const char *name)
{
    const gml_model *model = graph->models[part];
    for (size_t i = 0; i < gml_model_n_outputs(model); i++)
        if (strcmp(gml_model_outputs(model)[i].name, name) == 0)
            return i;
    gml_bug(__FILE__, __LINE__, name);
}

gml_status gml_eval_graph_run(gml_eval_graph *graph, gml_eval_part part,
                              const gml_tensor *inputs, gml_diags *diags)
{
    size_t n = gml_model_n_inputs(graph->models[part]);
    for (size_t i = 0; i < n; i++)
        graph->inputs[part][i] = (gml_rvalue){.kind = GML_RVALUE_TENSOR, .tensor = inputs[i]};
    return gml_session_execute(graph->sessions[part], graph->inputs[part], graph->outputs[part],
                               diags);
}

gml_status gml_eval_graph_state(const gml_eval_graph *graph, const char *name,
                                gml_tensor *out_tensor, gml_diags *diags)
{
    const gml_states *states = gml_session_states(graph->sessions[GML_EVAL_STEP]);
    for (size_t i = 0; i < gml_states_count(states); i++)
        if (strcmp(gml_states_name(states, i), name) == 0)
            return gml_states_read(states, i, out_tensor, diags);
    gml_bug(__FILE__, __LINE__, name);
}

void gml_eval_graph_close(gml_eval_graph *graph)
{
    for (int part = 0; part < GML_EVAL_PARTS; part++) {
        const gml_model *model = graph->models[part];
        for (size_t i = 0; graph->outputs[part] && i < gml_model_n_outputs(model); i++)
            gml_rvalue_reset(&graph->outputs[part][i]);
        gml_session_destroy(graph->sessions[part]);
        gml_model_release(graph->models[part]);
    }
    gml_str_reset(&graph->bytes);
    *graph = (gml_eval_graph){.models = {NULL}};
    gml_str_init(&graph->bytes);
}

/* ---- shorthands for builders ---------------------------------------------------------------
 */

gml_value *gml_eval_unary(gml_builder *b, const char *op, gml_value *x)
{
    return gml_builder_node(b, &(gml_node_spec){.op = op, .inputs = {x}});
}

gml_value *gml_eval_binary(gml_builder *b, const char *op, gml_value *x, gml_value *y)
{
    return gml_builder_node(b, &(gml_node_spec){.op = op, .inputs = {x, y}});
}

gml_value *gml_eval_matrix(gml_builder *b, const char *name, gml_dtype dtype, int64_t rows,
                           int64_t columns)
{
    return gml_builder_input(b, name, dtype, 2, (gml_extent[]){{rows}, {columns}});
}

gml_value *gml_eval_product(gml_builder *b, gml_value *x, bool turn_x, gml_value *y,
                            bool turn_y)
{
    return gml_builder_node(
        b, &(gml_node_spec){.op = "Gemm",
                            .inputs = {x, y},
                            .attrs = {GML_INT("transA", turn_x), GML_INT("transB", turn_y)}});
}

gml_value *gml_eval_reduce(gml_builder *b, const char *op, gml_value *x, gml_value *axes)
{
    return gml_builder_node(b, &(gml_node_spec){.op = op,
                                                .inputs = {x, axes},
                                                .attrs = {GML_INT("keepdims", axes != NULL)}});
}
