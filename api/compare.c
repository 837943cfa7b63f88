/* api/compare.c - two runs on the same inputs, value by value.
 *
 * The examined side runs first, and copies of its values are kept by name; while the expected
 * side runs, each of its values is compared as it comes by. So only one side is held in memory,
 * and deviations are found in the order of the expected side, of which every value comes after
 * those that it is computed from: before the first that deviates everything was right. */
#include "api/compare.h"

#include "api/check.h"
#include "api/eager.h"
#include "base/map.h"
#include "frontend/npy.h"
#include "frontend/tensor_file.h"
#include "runtime/host.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

typedef struct kept_value {
    const char *kernel;
    gml_rvalue value;
} kept_value;

typedef struct comparing {
    gml_arena *arena;
    gml_tolerance tolerance;
    gml_map kept; /* by name: kept_value */
    gml_map seen; /* names with a row */
    gml_comparison *result;
    gml_rvalue *actual; /* the outputs of either side */
    gml_rvalue *expected;
} comparing;

/* ---- values -------------------------------------------------------------------------------
 */

static bool is_numbers(const gml_rvalue *value)
{
    return value->kind == GML_RVALUE_TENSOR && value->tensor.dtype != GML_STRING;
}

static double largest_magnitude(const gml_rvalue *value)
{
    double largest = 0;
    const gml_tensor *tensor = &value->tensor;
    gml_dtype_class class = gml_dtype_get_class(tensor->dtype);
    if (!is_numbers(value) || class == GML_CLASS_COMPLEX)
        return 0;
    int64_t n = gml_tensor_numel(tensor);
    for (int64_t i = 0; i < n; i++) {
        double x = class == GML_CLASS_FLOAT ? gml_host_get_float(tensor, i)
                                            : (double)gml_host_get_int(tensor, i);
        if (isfinite(x) && fabs(x) > largest)
            largest = fabs(x);
    }
    return largest;
}

/* The step from 1 to the next number of a type of floats. */
static double precision(gml_dtype dtype)
{
    double stored = 0;
    gml_tensor one = {.dtype = dtype, .data = &stored};
    double step = 1;
    if (gml_dtype_get_class(dtype) != GML_CLASS_FLOAT)
        return 0;
    for (;;) {
        gml_host_put(&one, 0, 1 + step / 2);
        if (gml_host_get_float(&one, 0) != 1 + step / 2 || 1 + step / 2 == 1)
            return step;
        step /= 2;
    }
}

static void compare_value(comparing *c, gml_compare_row row, const gml_rvalue *actual,
                          const gml_rvalue *expected)
{
    double largest = largest_magnitude(expected);
    double ulp = is_numbers(expected) ? precision(expected->tensor.dtype) : 0;
    double rtol = c->tolerance.rtol + c->tolerance.rtol_ulps * ulp;
    double atol = c->tolerance.atol + c->tolerance.atol_ulps * ulp;
    const char *why = NULL;
    bool close = gml_values_close(actual, expected, rtol, atol * largest, c->arena, &why,
                                  &row.deviation);
    row.why = close ? NULL : why;
    row.share = largest > 0 ? row.deviation / largest : 0;
    row.value = gml_arena_text(c->arena, row.value, strlen(row.value));
    row.node = gml_arena_text(c->arena, row.node, strlen(row.node));
    gml_push(c->arena, &c->result->rows, row);
    gml_map_set(&c->seen, row.value, c);
}

/* Elements (n, s, c) of a tensor in the order (n, c, s). */
static void channels_second(const gml_tensor *from, const gml_tensor *to)
{
    size_t size = gml_dtype_size(from->dtype);
    int64_t channels = to->dims[1];
    int64_t space = 1;
    for (int d = 2; d < to->rank; d++)
        space *= to->dims[d];
    const char *in = from->data;
    for (int64_t n = 0; n < to->dims[0]; n++)
        for (int64_t s = 0; s < space; s++)
            for (int64_t c = 0; c < channels; c++, in += size)
                memcpy((char *)to->data + (size_t)((n * channels + c) * space + s) * size, in,
                       size);
}

/* A copy of what was computed, in the order of ONNX. */
static gml_status copy_value(const gml_executed *executed, gml_rvalue *out)
{
    const gml_tensor *tensor = &executed->value->tensor;
    int64_t dims[GML_MAX_RANK];
    if (!executed->channels_last || tensor->rank < 3) {
        *out = *executed->value;
        out->buffer = NULL; /* the program's memory */
        return gml_own_elements(out);
    }
    dims[0] = tensor->dims[0];
    dims[1] = tensor->dims[tensor->rank - 1];
    for (int d = 2; d < tensor->rank; d++)
        dims[d] = tensor->dims[d - 1];
    GML_TRY(gml_rvalue_alloc(out, tensor->dtype, tensor->rank, dims));
    channels_second(tensor, &out->tensor);
    return GML_OK;
}

/* Nothing but the first value of a name counts. */
static gml_status keep(void *context, const gml_executed *executed)
{
    comparing *c = context;
    if (!is_numbers(executed->value) || gml_map_has(&c->kept, executed->name))
        return GML_OK;
    kept_value *kept = gml_new(c->arena, kept_value);
    kept->kernel = gml_arena_text(c->arena, executed->kernel, strlen(executed->kernel));
    gml_status status = copy_value(executed, &kept->value);
    if (status == GML_OK)
        gml_map_set(&c->kept, gml_arena_text(c->arena, executed->name, strlen(executed->name)),
                    kept);
    return status;
}

static gml_status look(void *context, const gml_executed *executed)
{
    comparing *c = context;
    kept_value *kept = gml_map_find(&c->kept, executed->name);
    if (!kept || !is_numbers(executed->value) || gml_map_has(&c->seen, executed->name))
        return GML_OK;
    gml_compare_row row = {
        .value = executed->name, .node = executed->node, .kernel = kept->kernel};
    gml_rvalue expected;
    GML_TRY(copy_value(executed, &expected));
    compare_value(c, row, &kept->value, &expected);
    gml_rvalue_reset(&expected);
    gml_rvalue_reset(&kept->value);
    return GML_OK;
}

/* ---- sides --------------------------------------------------------------------------------
 */

/* An output from output_N.npy or output_N.pb; elements are in the arena. */
static gml_status read_recorded(const gml_compare_side *side, uint32_t number, gml_arena *arena,
                                gml_rvalue *out, gml_diags *diags)
{
    const gml_graph *graph = gml_model_module(side->model)->main;
    const char *stem = gml_arena_printf(arena, "%s/output_%u", side->folder, number);
    const char *npy = gml_arena_printf(arena, "%s.npy", stem);
    const char *pb = gml_arena_printf(arena, "%s.pb", stem);
    *out = (gml_rvalue){.kind = GML_RVALUE_TENSOR};
    if (access(npy, F_OK) == 0)
        return gml_npy_read(npy, arena, &out->tensor, diags);
    gml_file_value file;
    GML_TRY(gml_tensor_file_read(pb, &graph->results[number]->type, arena, &file, diags));
    if (file.kind != GML_FILE_TENSOR)
        return gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.file = pb},
                        "recorded sequences, maps and optionals cannot be compared");
    out->tensor = file.tensor;
    return GML_OK;
}

/* The states of one run, which changes them. */
typedef struct run_states {
    gml_state_port *ports;
    gml_states *states; /* NULL: the model has none */
} run_states;

static gml_status copy_states(const gml_compare_side *side, gml_arena *arena, run_states *out,
                              gml_diags *diags)
{
    const gml_module *module = gml_model_module(side->model);
    size_t n = module->states.count;
    *out = (run_states){.ports = gml_state_ports(module, arena)};
    gml_state_port *begin = gml_state_ports(module, arena);
    if (side->states && !gml_states_fit(side->states, begin, n))
        return gml_fail(diags, GML_E_INVALID, (gml_loc){.file = module->file},
                        "does not have these states");
    for (size_t i = 0; side->states && i < n; i++)
        GML_TRY(gml_states_read(side->states, i, &begin[i].initial, diags));
    return n ? gml_states_create(begin, n, NULL, module->file, &out->states, diags) : GML_OK;
}

/* Elements that a value only views are its own from now on. */
static gml_status own(gml_rvalue *value)
{
    gml_rvalue view = *value;
    view.buffer = NULL;
    if (!is_numbers(value))
        return GML_OK;
    GML_TRY(gml_own_elements(&view));
    gml_rvalue_reset(value);
    *value = view;
    return GML_OK;
}

static gml_status run_compiled(const gml_compare_side *side, const run_states *own_states,
                               const gml_rvalue *inputs, gml_rvalue *outputs, gml_diags *diags)
{
    gml_session *session = NULL;
    GML_TRY(gml_session_open(side->model, own_states->states, &session, diags));
    gml_status status = gml_session_execute(session, inputs, outputs, diags);
    for (size_t i = 0; i < gml_model_n_outputs(side->model) && status == GML_OK; i++)
        status = own(&outputs[i]);
    size_t n = own_states->states ? gml_states_count(own_states->states) : 0;
    for (size_t i = 0; i < n && status == GML_OK; i++) {
        uint32_t port = own_states->ports[i].output;
        if (port == GML_NO_PORT)
            continue;
        outputs[port] = (gml_rvalue){.kind = GML_RVALUE_TENSOR};
        status = gml_states_read(own_states->states, i, &outputs[port].tensor, diags);
        if (status == GML_OK)
            status = own(&outputs[port]);
    }
    gml_session_destroy(session);
    return status;
}

static gml_status run_module(comparing *c, const gml_compare_side *side,
                             const run_states *own_states, gml_execute_watch watch,
                             const gml_rvalue *inputs, gml_rvalue *outputs, gml_diags *diags)
{
    gml_module *module = NULL;
    gml_execute_options execute = side->execute;
    execute.watch = watch;
    execute.watch_context = c;
    GML_TRY(gml_source_import(gml_model_source(side->model), false, &module, diags));
    gml_rvalue *params = gml_new_array(c->arena, gml_rvalue, module->main->n_params + 1);
    memcpy(params, inputs, gml_model_n_inputs(side->model) * sizeof *params);
    if (own_states->states)
        gml_states_bind(own_states->states, own_states->ports, params, outputs);
    return gml_execute(module, params, outputs, &execute, diags);
}

static gml_status run_side(comparing *c, const gml_compare_side *side, gml_execute_watch watch,
                           const gml_rvalue *inputs, gml_rvalue *outputs, gml_diags *diags)
{
    run_states own_states;
    if (side->folder) {
        for (uint32_t i = 0; i < gml_model_n_outputs(side->model); i++)
            GML_TRY(read_recorded(side, i, c->arena, &outputs[i], diags));
        return GML_OK;
    }
    for (size_t i = 0; i < gml_model_n_inputs(side->model); i++)
        GML_TRY(gml_model_check_input(side->model, i, &inputs[i], diags));
    GML_TRY(copy_states(side, c->arena, &own_states, diags));
    gml_status status = gml_model_source(side->model)->artifact.program
                            ? run_compiled(side, &own_states, inputs, outputs, diags)
                            : run_module(c, side, &own_states, watch, inputs, outputs, diags);
    if (own_states.states)
        gml_states_release(own_states.states);
    return status;
}

/* States come behind the outputs; a folder has none. */
static void compare_outputs(comparing *c, const gml_model *model)
{
    gml_comparison *result = c->result;
    const gml_module *module = gml_model_module(model);
    const char **names = gml_output_names(module, c->arena);
    for (size_t i = 0; i < module->main->n_results; i++) {
        bool seen = gml_map_has(&c->seen, names[i]);
        for (size_t k = 0; seen && k < result->rows.count; k++)
            if (strcmp(result->rows.items[k].value, names[i]) == 0)
                result->rows.items[k].is_output = true;
        bool is_state = i >= gml_model_n_outputs(model);
        if (seen || (is_state && c->expected[i].kind == GML_RVALUE_NONE))
            continue;
        gml_compare_row row = {.value = names[i], .node = "", .kernel = "", .is_output = true};
        compare_value(c, row, &c->actual[i], &c->expected[i]);
    }
}

static void sum_up(gml_comparison *result)
{
    for (size_t i = 0; i < result->rows.count; i++) {
        const gml_compare_row *row = &result->rows.items[i];
        result->n_deviating += row->why != NULL;
        if (row->why && !result->first)
            result->first = row;
        if (!result->worst || row->share > result->worst->share)
            result->worst = row;
    }
}

static void release(comparing *c, size_t n_outputs)
{
    for (size_t i = 0; i < c->kept.count; i++)
        gml_rvalue_reset(&((kept_value *)c->kept.entries[i].value)->value);
    for (size_t i = 0; i < n_outputs; i++) {
        gml_rvalue_reset(&c->actual[i]);
        gml_rvalue_reset(&c->expected[i]);
    }
}

static gml_status check_interfaces(const gml_model *actual, const gml_model *expected,
                                   gml_diags *diags)
{
    gml_loc loc = {.file = gml_model_source(expected)->path};
    const char *path = gml_model_source(actual)->path;
    const gml_module *module = gml_model_module(actual);
    const gml_module *other = gml_model_module(expected);
    size_t n_in = gml_model_n_inputs(actual);
    size_t n_out = gml_model_n_outputs(actual);
    size_t other_in = gml_model_n_inputs(expected);
    size_t other_out = gml_model_n_outputs(expected);
    if (n_in != other_in || n_out != other_out)
        return gml_fail(diags, GML_E_INVALID, loc,
                        "%zu inputs and %zu outputs, where %s has %zu and %zu", other_in,
                        other_out, path, n_in, n_out);
    if (module->states.count != other->states.count ||
        module->main->n_results != other->main->n_results)
        return gml_fail(diags, GML_E_INVALID, loc,
                        "%zu states, of which a step changes %zu, where %s has %zu and %zu",
                        other->states.count, other->main->n_results - n_out, path,
                        module->states.count, module->main->n_results - n_out);
    return GML_OK;
}

gml_status gml_compare(const gml_compare_task *task, gml_arena *arena,
                       gml_comparison *out_comparison, gml_diags *diags)
{
    const gml_model *model = task->actual->model;
    size_t n = gml_model_module(model)->main->n_results;
    *out_comparison = (gml_comparison){0};
    GML_TRY(check_interfaces(model, task->expected->model, diags));
    comparing c = {.arena = arena, .tolerance = task->tolerance, .result = out_comparison};
    gml_map_init(&c.kept, arena);
    gml_map_init(&c.seen, arena);
    c.actual = gml_new_array(arena, gml_rvalue, n + 1);
    c.expected = gml_new_array(arena, gml_rvalue, n + 1);
    gml_status status = run_side(&c, task->actual, keep, task->inputs, c.actual, diags);
    if (status == GML_OK)
        status = run_side(&c, task->expected, look, task->inputs, c.expected, diags);
    if (status == GML_OK) {
        compare_outputs(&c, model);
        sum_up(out_comparison);
    }
    release(&c, n);
    return status;
}
