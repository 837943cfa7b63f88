/* api/nonfinite.c - the first tensor with numbers that are none. */
#include "api/nonfinite.h"

#include "api/model.h"
#include "runtime/host.h"

#include <math.h>
#include <string.h>

/* ---- one tensor ---------------------------------------------------------------------------
 */

/* x - x is 0 for every finite x and NaN for all others: one sum, without a branch. */
static bool has_nonfinite_f32(const float *x, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] - x[i];
    return sum != 0 || isnan(sum);
}

bool gml_tensor_nonfinite(const gml_tensor *tensor)
{
    if (gml_dtype_get_class(tensor->dtype) != GML_CLASS_FLOAT || tensor->data == NULL)
        return false;
    int64_t n = gml_tensor_numel(tensor);
    if (tensor->dtype == GML_F32)
        return has_nonfinite_f32(tensor->data, n);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(gml_host_get_float(tensor, i)))
            return true;
    return false;
}

gml_status gml_states_nonfinite(const gml_states *states, const char **out_name,
                                gml_diags *diags)
{
    *out_name = NULL;
    for (size_t i = 0; i < gml_states_count(states) && *out_name == NULL; i++) {
        gml_tensor tensor = gml_states_type(states, i);
        if (gml_dtype_get_class(tensor.dtype) != GML_CLASS_FLOAT)
            continue;
        GML_TRY(gml_states_read(states, i, &tensor, diags));
        if (gml_tensor_nonfinite(&tensor))
            *out_name = gml_states_name(states, i);
    }
    return GML_OK;
}

/* ---- a step -------------------------------------------------------------------------------
 */

typedef struct search {
    gml_arena *arena;
    gml_nonfinite first;
} search;

static gml_status look(void *context, const gml_executed *executed)
{
    search *s = context;
    if (executed->value->kind != GML_RVALUE_TENSOR ||
        !gml_tensor_nonfinite(&executed->value->tensor))
        return GML_OK;
    s->first.value = gml_arena_text(s->arena, executed->name, strlen(executed->name));
    s->first.node = gml_arena_text(s->arena, executed->node, strlen(executed->node));
    return GML_E_MISMATCH; /* enough is seen */
}

static gml_status run_step(const gml_model *model, gml_states *states, const gml_rvalue *inputs,
                           search *s, gml_diags *diags)
{
    const gml_execute_options execute = {.device = gml_model_device(model),
                                         .device_number = gml_model_device_number(model),
                                         .precision = gml_model_precision(model),
                                         .n_threads = gml_model_threads(model),
                                         .watch = look,
                                         .watch_context = s};
    gml_module *module = NULL;
    GML_TRY(gml_source_import(gml_model_source(model), false, &module, diags));
    size_t n_results = module->main->n_results;
    gml_state_port *ports = gml_state_ports(gml_model_module(model), s->arena);
    gml_rvalue *params = gml_new_array(s->arena, gml_rvalue, module->main->n_params + 1);
    gml_rvalue *results = gml_new_array(s->arena, gml_rvalue, n_results + 1);
    memcpy(params, inputs, gml_model_n_inputs(model) * sizeof *params);
    gml_states_bind(states, ports, params, results);
    size_t before = diags->list.count;
    gml_status status = gml_execute(module, params, results, &execute, diags);
    for (size_t i = 0; i < n_results; i++)
        gml_rvalue_reset(&results[i]);
    if (s->first.value == NULL)
        return status;
    gml_diags_truncate(diags, before);
    return GML_OK;
}

gml_status gml_nonfinite_find(const gml_model *model, gml_states *states,
                              const gml_rvalue *inputs, gml_arena *arena,
                              gml_nonfinite *out_first, gml_diags *diags)
{
    *out_first = (gml_nonfinite){.node = ""};
    for (size_t i = 0; i < gml_model_n_inputs(model); i++)
        if (inputs[i].kind == GML_RVALUE_TENSOR && gml_tensor_nonfinite(&inputs[i].tensor)) {
            out_first->value = gml_model_inputs(model)[i].name;
            return GML_OK;
        }
    const char *state = NULL;
    GML_TRY(gml_states_nonfinite(states, &state, diags));
    if (state != NULL) {
        out_first->value = gml_arena_text(arena, state, strlen(state));
        return GML_OK;
    }
    if (gml_model_source(model)->artifact.program != NULL)
        return GML_E_UNSUPPORTED;
    search s = {.arena = arena, .first = {.node = ""}};
    GML_TRY(run_step(model, states, inputs, &s, diags));
    *out_first = s.first;
    return GML_OK;
}
