/* api/session.c - one execution context of a model. */
#include "api/session.h"

#include "api/eager.h"
#include "api/model.h"
#include "codegen/codegen.h"

#include <stdlib.h>
#include <string.h>

struct gml_session {
    gml_model *model;
    gml_pool *pool;         /* NULL: one thread */
    gml_program *program;   /* of the last run; NULL before */
    gml_instance *instance; /* of `program` */
    gml_module
        *spelled;       /* on ref, in place of a program; NULL: the model's own graph will do */
    gml_str key;        /* the signature of `program` or `spelled` */
    gml_str wanted;     /* that of the run at hand */
    gml_arena arena;    /* of the ports of states */
    gml_states *states; /* NULL: none */
    gml_state_port *state_ports;
    gml_rvalue *params;  /* what the graph takes in a run: the caller's inputs, the states */
    gml_rvalue *results; /* what it gives: the caller's outputs, the states */
    gml_session_ports ports;
};

static gml_status no_memory(gml_diags *diags)
{
    return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for a session");
}

static bool allocate_ports(gml_session *session, const gml_graph *graph)
{
    gml_session_ports *ports = &session->ports;
    session->params = calloc((size_t)graph->n_params + 1, sizeof *session->params);
    session->results = calloc((size_t)graph->n_results + 1, sizeof *session->results);
    ports->inputs = calloc((size_t)graph->n_params + 1, sizeof *ports->inputs);
    ports->outputs = calloc((size_t)graph->n_results + 1, sizeof *ports->outputs);
    ports->targets = calloc((size_t)graph->n_results + 1, sizeof *ports->targets);
    ports->is_bound = calloc((size_t)graph->n_results + 1, sizeof *ports->is_bound);
    return session->params && session->results && ports->inputs && ports->outputs &&
           ports->targets && ports->is_bound;
}

static gml_status open_states(gml_session *session, gml_states *states, gml_diags *diags)
{
    const gml_module *module = gml_model_module(session->model);
    size_t n = module->states.count;
    session->state_ports = gml_state_ports(module, &session->arena);
    if (!states && n == 0)
        return GML_OK;
    if (!states) {
        GML_TRY(gml_states_create(session->state_ports, n, gml_model_remote(session->model),
                                  module->file, &session->states, diags));
        gml_source_forget(gml_model_source(session->model));
        return GML_OK;
    }
    if (!gml_states_fit(states, session->state_ports, n))
        return gml_fail(diags, GML_E_USAGE, (gml_loc){.file = module->file},
                        "does not have these states");
    if (gml_states_device(states) &&
        gml_states_device(states) != gml_model_remote(session->model))
        return gml_fail(diags, GML_E_USAGE, (gml_loc){.file = module->file},
                        "does not run on the device where the states lie");
    session->states = gml_states_retain(states);
    return GML_OK;
}

static gml_status fill_session(gml_session *session, gml_states *states, gml_diags *diags)
{
    gml_model *model = session->model;
    int n_threads = gml_model_device(model) == GML_DEVICE_CPU ? gml_model_threads(model) : 1;
    if (!allocate_ports(session, gml_model_module(model)->main))
        return no_memory(diags);
    if (n_threads > 1)
        session->pool = gml_pool_create(n_threads, NULL);
    if (n_threads > 1 && !session->pool)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "cannot start %d threads",
                        n_threads);
    return open_states(session, states, diags);
}

gml_status gml_session_open(gml_model *model, gml_states *states, gml_session **out_session,
                            gml_diags *diags)
{
    gml_session *session = calloc(1, sizeof *session);
    if (!session)
        return no_memory(diags);
    session->model = gml_model_retain(model);
    gml_arena_init(&session->arena);
    gml_str_init(&session->key);
    gml_str_init(&session->wanted);
    gml_status status = fill_session(session, states, diags);
    if (status != GML_OK)
        gml_session_destroy(session);
    else
        *out_session = session;
    return status;
}

static void drop_program(gml_session *session)
{
    gml_instance_destroy(session->instance);
    if (session->program)
        gml_program_release(session->program);
    gml_module_destroy(session->spelled);
    session->instance = NULL;
    session->program = NULL;
    session->spelled = NULL;
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
    free(session->params);
    free(session->results);
    drop_program(session);
    gml_states_release(session->states);
    gml_arena_reset(&session->arena);
    gml_pool_destroy(session->pool);
    gml_str_reset(&session->key);
    gml_str_reset(&session->wanted);
    gml_model_release(session->model);
    free(session);
}

gml_states *gml_session_states(const gml_session *session)
{
    return session->states;
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

/* Takes what was signed into `wanted` as what the session is ready for. */
static void keep_key(gml_session *session)
{
    gml_str swapped = session->key;
    session->key = session->wanted;
    session->wanted = swapped;
}

static bool is_ready(gml_session *session, const gml_rvalue *inputs)
{
    gml_str *wanted = &session->wanted;
    gml_model_signature(session->model, inputs, wanted);
    return (session->program || session->spelled) && session->key.len == wanted->len &&
           memcmp(session->key.text, wanted->text, wanted->len) == 0;
}

static gml_status spell_out(gml_session *session, const gml_rvalue *inputs, gml_diags *diags)
{
    if (!gml_differentiates(gml_model_module(session->model)->main) ||
        is_ready(session, inputs))
        return GML_OK;
    drop_program(session);
    GML_TRY(gml_model_spell_out(session->model, inputs, &session->spelled, diags));
    keep_key(session);
    return GML_OK;
}

static gml_status interpret(gml_session *session, const gml_rvalue *inputs, gml_rvalue *outputs,
                            gml_diags *diags)
{
    GML_TRY(spell_out(session, inputs, diags));
    const gml_module *module =
        session->spelled ? session->spelled : gml_model_module(session->model);
    const gml_graph *graph = module->main;
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
    if (is_ready(session, inputs))
        return GML_OK;
    drop_program(session);
    GML_TRY(gml_model_find_program(session->model, inputs, &session->wanted, &session->program,
                                   diags));
    if (session->states) { /* many steps follow, which need all the memory there is */
        gml_codegen_rest();
        gml_source_forget(gml_model_source(session->model));
    }
    gml_status status =
        gml_instance_create(session->program, session->pool, &session->instance, diags);
    if (status != GML_OK)
        drop_program(session);
    else
        keep_key(session);
    return status;
}

/* ---- running ------------------------------------------------------------------------------
 */

static gml_status run(gml_session *session, gml_diags *diags)
{
    const gml_graph *graph = gml_model_module(session->model)->main;
    if (gml_model_device(session->model) == GML_DEVICE_REF)
        return interpret(session, session->params, session->results, diags);
    GML_TRY(prepare(session, session->params, diags));
    return gml_instance_run(session->instance, session->params, graph->n_params,
                            session->results, graph->n_results, diags);
}

/* States that decide shapes are looked at here, wherever they lie. */
static gml_status read_states(gml_session *session, gml_diags *diags)
{
    if (!gml_states_device(session->states))
        return GML_OK;
    for (size_t i = 0; i < gml_states_count(session->states); i++) {
        uint32_t port = session->state_ports[i].input;
        if (port == GML_NO_PORT || !gml_model_reads(session->model, port))
            continue;
        session->params[port].buffer = NULL;
        GML_TRY(gml_states_read(session->states, i, &session->params[port].tensor, diags));
    }
    return GML_OK;
}

gml_status gml_session_execute(gml_session *session, const gml_rvalue *inputs,
                               gml_rvalue *outputs, gml_diags *diags)
{
    uint32_t n_inputs = gml_model_count_inputs(session->model);
    uint32_t n_outputs = gml_model_count_outputs(session->model);
    for (uint32_t i = 0; i < n_inputs; i++)
        GML_TRY(gml_model_check_input(session->model, i, &inputs[i], diags));
    memcpy(session->params, inputs, n_inputs * sizeof *inputs);
    memcpy(session->results, outputs, n_outputs * sizeof *outputs);
    if (session->states)
        gml_states_bind(session->states, session->state_ports, session->params,
                        session->results);
    gml_status status = session->states ? read_states(session, diags) : GML_OK;
    if (status == GML_OK)
        status = run(session, diags);
    memcpy(outputs, session->results, n_outputs * sizeof *outputs);
    if (status == GML_OK && session->states)
        status = gml_states_store(session->states, session->state_ports, session->results,
                                  gml_model_module(session->model)->file, diags);
    if (session->states)
        gml_states_drop(session->states, session->state_ports, session->results);
    return status;
}
