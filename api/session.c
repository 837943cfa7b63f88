/* api/session.c - one execution context of a model. */
#include "api/session.h"

#include "api/eager.h"
#include "api/model.h"

#include <stdlib.h>
#include <string.h>

struct gml_session {
    gml_model *model;
    gml_pool *pool;         /* NULL: one thread */
    gml_program *program;   /* of the last run; NULL before */
    gml_instance *instance; /* of `program` */
    gml_str key;            /* the signature of `program` */
    gml_str wanted;         /* that of the run at hand */
    gml_session_ports ports;
};

static gml_status no_memory(gml_diags *diags)
{
    return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for a session");
}

static bool allocate_ports(gml_session_ports *ports, const gml_graph *graph)
{
    ports->inputs = calloc((size_t)graph->n_params + 1, sizeof *ports->inputs);
    ports->outputs = calloc((size_t)graph->n_results + 1, sizeof *ports->outputs);
    ports->targets = calloc((size_t)graph->n_results + 1, sizeof *ports->targets);
    ports->is_bound = calloc((size_t)graph->n_results + 1, sizeof *ports->is_bound);
    return ports->inputs && ports->outputs && ports->targets && ports->is_bound;
}

gml_status gml_session_open(gml_model *model, gml_session **out_session, gml_diags *diags)
{
    gml_session *session = calloc(1, sizeof *session);
    if (!session)
        return no_memory(diags);
    session->model = gml_model_retain(model);
    gml_str_init(&session->key);
    gml_str_init(&session->wanted);
    int n_threads = gml_model_device(model) == GML_DEVICE_CPU ? gml_model_threads(model) : 1;
    if (n_threads > 1)
        session->pool = gml_pool_create(n_threads, NULL);
    if (!allocate_ports(&session->ports, gml_model_module(model)->main)) {
        gml_session_destroy(session);
        return no_memory(diags);
    }
    if (n_threads > 1 && !session->pool) {
        gml_session_destroy(session);
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "cannot start %d threads",
                        n_threads);
    }
    *out_session = session;
    return GML_OK;
}

static void drop_program(gml_session *session)
{
    gml_instance_destroy(session->instance);
    if (session->program)
        gml_program_release(session->program);
    session->instance = NULL;
    session->program = NULL;
}

void gml_session_destroy(gml_session *session)
{
    if (!session)
        return;
    const gml_graph *graph = gml_model_module(session->model)->main;
    for (uint32_t i = 0; session->ports.inputs && i < graph->n_params; i++)
        gml_rvalue_reset(&session->ports.inputs[i]);
    for (uint32_t r = 0; session->ports.outputs && r < graph->n_results; r++)
        gml_rvalue_reset(&session->ports.outputs[r]);
    free(session->ports.inputs);
    free(session->ports.outputs);
    free(session->ports.targets);
    free(session->ports.is_bound);
    drop_program(session);
    gml_pool_destroy(session->pool);
    gml_str_reset(&session->key);
    gml_str_reset(&session->wanted);
    gml_model_release(session->model);
    free(session);
}

gml_session_ports *gml_session_get_ports(gml_session *session)
{
    return &session->ports;
}

gml_model *gml_session_model(const gml_session *session)
{
    return session->model;
}

/* ---- ref ----------------------------------------------------------------------------------
 */

/* Results of the interpreter may view the model's constants or the inputs; nobody shall write
 * to the one or see the other change. */
static gml_status own(gml_rvalue *value)
{
    gml_tensor view = value->tensor;
    size_t bytes = 0;
    if (value->kind != GML_RVALUE_TENSOR || value->buffer || view.dtype == GML_STRING ||
        !gml_tensor_bytes(&view, &bytes))
        return GML_OK;
    GML_TRY(gml_rvalue_alloc(value, view.dtype, view.rank, view.dims));
    if (bytes)
        memcpy(value->tensor.data, view.data, bytes);
    return GML_OK;
}

static gml_status interpret(gml_session *session, const gml_rvalue *inputs, gml_rvalue *outputs,
                            gml_diags *diags)
{
    const gml_graph *graph = gml_model_module(session->model)->main;
    for (uint32_t r = 0; r < graph->n_results; r++)
        gml_rvalue_reset(&outputs[r]);
    GML_TRY(gml_eager_run(graph, inputs, outputs, NULL, diags));
    for (uint32_t r = 0; r < graph->n_results; r++)
        if (own(&outputs[r]) != GML_OK)
            return no_memory(diags);
    return GML_OK;
}

/* ---- cpu ----------------------------------------------------------------------------------
 */

static gml_status prepare(gml_session *session, const gml_rvalue *inputs, gml_diags *diags)
{
    gml_str *wanted = &session->wanted;
    gml_model_signature(session->model, inputs, wanted);
    if (session->program && session->key.len == wanted->len &&
        memcmp(session->key.text, wanted->text, wanted->len) == 0)
        return GML_OK;
    drop_program(session);
    GML_TRY(gml_model_find_program(session->model, inputs, wanted, &session->program, diags));
    gml_status status =
        gml_instance_create(session->program, session->pool, &session->instance, diags);
    if (status != GML_OK) {
        drop_program(session);
        return status;
    }
    gml_str swapped = session->key;
    session->key = *wanted;
    *wanted = swapped;
    return GML_OK;
}

gml_status gml_session_execute(gml_session *session, const gml_rvalue *inputs,
                               gml_rvalue *outputs, gml_diags *diags)
{
    const gml_graph *graph = gml_model_module(session->model)->main;
    for (uint32_t i = 0; i < graph->n_params; i++)
        GML_TRY(gml_model_check_input(session->model, i, &inputs[i], diags));
    if (gml_model_device(session->model) == GML_DEVICE_REF)
        return interpret(session, inputs, outputs, diags);
    GML_TRY(prepare(session, inputs, diags));
    return gml_instance_run(session->instance, inputs, graph->n_params, outputs,
                            graph->n_results, diags);
}
