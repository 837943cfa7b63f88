/* api/gemel.c - the public API of gemel.h over sessions. */
#include "gemel/gemel.h"

#include "api/call.h"
#include "api/model.h"
#include "api/names.h"
#include "api/session.h"

#include <stdlib.h>
#include <string.h>

#define GML_TEXT(x)  #x
#define GML_VALUE(x) GML_TEXT(x)

const char *gml_version(void)
{
    return GML_VALUE(GML_VERSION_MAJOR) "." GML_VALUE(GML_VERSION_MINOR) "." GML_VALUE(
        GML_VERSION_PATCH);
}

/* ---- models -------------------------------------------------------------------------------
 */

static const gml_onnx_entry entries[] = {
    [GML_ENTRY_FIXED] = GML_ONNX_FIXED,
    [GML_ENTRY_RUN] = GML_ONNX_RUN,
    [GML_ENTRY_STEP] = GML_ONNX_STEP,
    [GML_ENTRY_INITIALISE] = GML_ONNX_INITIALISE,
};

static gml_status convert(const gml_model_options *options, gml_arena *arena,
                          gml_open_options *out, gml_diags *diags)
{
    *out = (gml_open_options){0};
    if (!options)
        return GML_OK;
    if (options->device &&
        !gml_device_parse(options->device, &out->device, &out->device_number))
        return gml_fail(diags, GML_E_USAGE, (gml_loc){0}, "there is no device called '%s'",
                        options->device);
    if (options->precision && !gml_precision_parse(options->precision, &out->precision))
        return gml_fail(diags, GML_E_USAGE, (gml_loc){0}, "there is no precision called '%s'",
                        options->precision);
    if (options->n_threads < 0 || options->n_threads > 256)
        return gml_fail(diags, GML_E_USAGE, (gml_loc){0}, "%d threads: 1 to 256 will do",
                        options->n_threads);
    gml_onnx_dim *dims = gml_new_array(arena, gml_onnx_dim, options->n_dims + 1);
    for (size_t i = 0; i < options->n_dims; i++) {
        if (!options->dims[i].name)
            return gml_fail(diags, GML_E_USAGE, (gml_loc){0}, "dimension %zu has no name", i);
        dims[i] = (gml_onnx_dim){options->dims[i].name, options->dims[i].size};
    }
    if ((unsigned)options->entry > GML_ENTRY_INITIALISE)
        return gml_fail(diags, GML_E_USAGE, (gml_loc){0}, "there is no entry %d",
                        (int)options->entry);
    out->entry = entries[options->entry];
    out->training = options->training;
    out->seed = options->seed;
    out->n_threads = options->n_threads;
    out->fast_compile = options->fast_compile;
    out->dims = dims;
    out->n_dims = options->n_dims;
    return GML_OK;
}

gml_status gml_model_load(const char *path, gml_model **out_model)
{
    return gml_model_load_with(path, NULL, out_model);
}

gml_status gml_model_load_with(const char *path, const gml_model_options *options,
                               gml_model **out_model)
{
    gml_call c;
    gml_diags *diags = gml_call_begin(&c);
    gml_open_options open;
    gml_status status = convert(options, &c.arena, &open, diags);
    if (status == GML_OK)
        status = gml_model_open(path, &open, out_model, diags);
    return gml_call_end(&c, status);
}

gml_status gml_model_wrap(const void *bytes, size_t len, const char *folder,
                          const gml_model_options *options, gml_model **out_model)
{
    gml_call c;
    gml_diags *diags = gml_call_begin(&c);
    gml_open_options open;
    gml_status status = convert(options, &c.arena, &open, diags);
    if (status == GML_OK)
        status = gml_model_open_bytes(bytes, len, folder, &open, out_model, diags);
    return gml_call_end(&c, status);
}

size_t gml_model_n_inputs(const gml_model *model)
{
    return gml_model_count_inputs(model);
}

size_t gml_model_n_outputs(const gml_model *model)
{
    return gml_model_count_outputs(model);
}

const gml_port *gml_model_input(const gml_model *model, size_t index)
{
    return index < gml_model_n_inputs(model) ? &gml_model_inputs(model)[index] : NULL;
}

const gml_port *gml_model_output(const gml_model *model, size_t index)
{
    return index < gml_model_n_outputs(model) ? &gml_model_outputs(model)[index] : NULL;
}

static gml_status find_port(const gml_model *model, bool is_input, const char *name,
                            size_t *out_index)
{
    const gml_port *ports = is_input ? gml_model_inputs(model) : gml_model_outputs(model);
    size_t n = is_input ? gml_model_n_inputs(model) : gml_model_n_outputs(model);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(ports[i].name, name) != 0)
            continue;
        *out_index = i;
        return GML_OK;
    }
    gml_call c;
    gml_diags *diags = gml_call_begin(&c);
    const char **names = gml_new_array(&c.arena, const char *, n + 1);
    for (size_t i = 0; i < n; i++)
        names[i] = ports[i].name;
    gml_loc loc = {.file = gml_model_source(model)->path};
    return gml_call_end(
        &c, gml_name_fail(diags, loc, is_input ? "input" : "output", name, names, n));
}

gml_status gml_model_find_input(const gml_model *model, const char *name, size_t *out_index)
{
    return find_port(model, true, name, out_index);
}

gml_status gml_model_find_output(const gml_model *model, const char *name, size_t *out_index)
{
    return find_port(model, false, name, out_index);
}

/* ---- sessions: inputs ---------------------------------------------------------------------
 */

gml_status gml_session_create(gml_model *model, gml_session **out_session)
{
    gml_call c;
    return gml_call_end(&c, gml_session_open(model, NULL, out_session, gml_call_begin(&c)));
}

/* Gives input `index` a value, which is taken, also on failure. */
static gml_status put_input(gml_session *session, size_t index, gml_rvalue *value)
{
    gml_model *model = gml_session_model(session);
    gml_call c;
    gml_diags *diags = gml_call_begin(&c);
    value->is_optional = gml_model_inputs(model)[index].kind == GML_PORT_OPTIONAL;
    gml_status status = value->kind == GML_RVALUE_NONE
                            ? GML_OK
                            : gml_model_check_input(model, index, value, diags);
    gml_rvalue *place = &gml_session_get_ports(session)->inputs[index];
    if (status != GML_OK) {
        gml_rvalue_reset(value);
    } else {
        gml_rvalue_reset(place);
        *place = *value;
    }
    return gml_call_end(&c, status);
}

static gml_status check_input_index(const gml_session *session, size_t index)
{
    return index < gml_model_n_inputs(gml_session_model(session))
               ? GML_OK
               : gml_call_misuse("there is no input of this index");
}

static gml_status check_output_index(const gml_session *session, size_t index)
{
    return index < gml_model_n_outputs(gml_session_model(session))
               ? GML_OK
               : gml_call_misuse("there is no output of this index");
}

/* What a tensor of the caller's must be before its elements are looked at. */
static gml_status check_view(const gml_tensor *tensor)
{
    size_t bytes = 0;
    if (tensor->rank < 0 || tensor->rank > GML_MAX_RANK)
        return gml_call_misuse("a tensor's rank is out of range");
    if (tensor->dtype <= GML_NONE || tensor->dtype >= GML_DTYPE_COUNT)
        return gml_call_misuse("a tensor has no element type");
    if (!gml_tensor_bytes(tensor, &bytes))
        return gml_call_misuse("a tensor's size is negative or overflows");
    if (bytes && !tensor->data)
        return gml_call_misuse("a tensor has no data");
    return GML_OK;
}

gml_status gml_session_bind_input(gml_session *session, size_t index, const gml_tensor *tensor)
{
    GML_TRY(check_input_index(session, index));
    gml_rvalue value = {0};
    if (tensor) {
        GML_TRY(check_view(tensor));
        value.kind = GML_RVALUE_TENSOR;
        value.tensor = *tensor;
    }
    return put_input(session, index, &value);
}

static gml_status copy_value(const gml_tensor *tensor, gml_rvalue *out_value)
{
    size_t bytes = 0;
    gml_status status = GML_OK;
    if (tensor->dtype == GML_STRING)
        status = gml_rvalue_strings(out_value, tensor->rank, tensor->dims, tensor->data);
    else
        status = gml_rvalue_alloc(out_value, tensor->dtype, tensor->rank, tensor->dims);
    if (status != GML_OK) {
        gml_call c;
        return gml_call_end(
            &c, gml_fail(gml_call_begin(&c), status, (gml_loc){0}, "no memory for an input"));
    }
    if (tensor->dtype != GML_STRING && gml_tensor_bytes(tensor, &bytes) && bytes)
        memcpy(out_value->tensor.data, tensor->data, bytes);
    return GML_OK;
}

gml_status gml_session_set_input(gml_session *session, const char *name,
                                 const gml_tensor *tensor)
{
    size_t index = 0;
    gml_rvalue value = {0};
    GML_TRY(gml_model_find_input(gml_session_model(session), name, &index));
    GML_TRY(check_view(tensor));
    GML_TRY(copy_value(tensor, &value));
    return put_input(session, index, &value);
}

gml_status gml_session_bind_items(gml_session *session, size_t index, const gml_tensor *items,
                                  size_t n_items)
{
    GML_TRY(check_input_index(session, index));
    for (size_t i = 0; i < n_items; i++)
        GML_TRY(check_view(&items[i]));
    gml_rvalue value = {0};
    gml_status status = gml_rvalue_sequence(&value, n_items);
    if (status != GML_OK) {
        gml_call c;
        return gml_call_end(
            &c, gml_fail(gml_call_begin(&c), status, (gml_loc){0}, "no memory for an input"));
    }
    for (size_t i = 0; i < n_items; i++)
        value.items[i] = (gml_rvalue){.kind = GML_RVALUE_TENSOR, .tensor = items[i]};
    return put_input(session, index, &value);
}

/* ---- sessions: running and outputs --------------------------------------------------------
 */

gml_status gml_session_bind_output(gml_session *session, size_t index, const gml_tensor *tensor)
{
    GML_TRY(check_output_index(session, index));
    if (tensor) {
        GML_TRY(check_view(tensor));
        if (tensor->dtype == GML_STRING)
            return gml_call_misuse("strings cannot be written into the caller's memory");
    }
    gml_session_ports *ports = gml_session_get_ports(session);
    ports->is_bound[index] = tensor != NULL;
    ports->targets[index] = tensor ? *tensor : (gml_tensor){0};
    return GML_OK;
}

static bool same_shape(const gml_tensor *a, const gml_tensor *b)
{
    return a->rank == b->rank &&
           (a->rank == 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0);
}

/* Results that the device did not compute in place. */
static gml_status deliver(const gml_model *model, size_t index, gml_rvalue *output,
                          const gml_tensor *target, gml_diags *diags)
{
    gml_loc loc = {.file = gml_model_source(model)->path,
                   .node = gml_model_outputs(model)[index].name,
                   .op = "output"};
    size_t bytes = 0;
    if (output->kind != GML_RVALUE_TENSOR)
        return gml_fail(diags, GML_E_TYPE, loc, "is no tensor, but memory is bound to it");
    if (output->tensor.dtype != target->dtype || !same_shape(&output->tensor, target))
        return gml_fail(diags, output->tensor.dtype != target->dtype ? GML_E_TYPE : GML_E_SHAPE,
                        loc, "is %s, and the memory bound to it %s",
                        gml_tensor_text(&output->tensor, diags->arena),
                        gml_tensor_text(target, diags->arena));
    if (output->tensor.data == target->data)
        return GML_OK;
    if (gml_tensor_bytes(target, &bytes) && bytes)
        memcpy(target->data, output->tensor.data, bytes);
    gml_rvalue_reset(output);
    *output = (gml_rvalue){.kind = GML_RVALUE_TENSOR, .tensor = *target};
    return GML_OK;
}

static gml_status run(gml_session *session, gml_diags *diags)
{
    gml_session_ports *ports = gml_session_get_ports(session);
    const gml_model *model = gml_session_model(session);
    size_t n = gml_model_n_outputs(model);
    ports->has_run = false;
    for (size_t r = 0; r < n; r++) {
        gml_rvalue_reset(&ports->outputs[r]);
        if (ports->is_bound[r])
            ports->outputs[r] =
                (gml_rvalue){.kind = GML_RVALUE_TENSOR, .tensor = ports->targets[r]};
    }
    GML_TRY(gml_session_execute(session, ports->inputs, ports->outputs, diags));
    for (size_t r = 0; r < n; r++)
        if (ports->is_bound[r])
            GML_TRY(deliver(model, r, &ports->outputs[r], &ports->targets[r], diags));
    ports->has_run = true;
    return GML_OK;
}

gml_status gml_session_run(gml_session *session)
{
    gml_call c;
    return gml_call_end(&c, run(session, gml_call_begin(&c)));
}

static const gml_session_ports *read_ports(const gml_session *session)
{
    union {
        const gml_session *in;
        gml_session *out;
    } cast = {.in = session}; /* one getter serves both */
    return gml_session_get_ports(cast.out);
}

/* The value of an output after a run; NULL, and the text of the error is set, when there is
 * none. */
static const gml_rvalue *find_output(const gml_session *session, size_t index)
{
    const gml_session_ports *ports = read_ports(session);
    if (check_output_index(session, index) != GML_OK)
        return NULL;
    if (ports->has_run)
        return &ports->outputs[index];
    (void)gml_call_misuse("there are no outputs before a run that went well");
    return NULL;
}

gml_status gml_session_output(const gml_session *session, size_t index, gml_tensor *out_tensor)
{
    const gml_rvalue *value = find_output(session, index);
    if (!value)
        return GML_E_USAGE;
    if (value->kind != GML_RVALUE_TENSOR)
        return gml_call_misuse("this output is no tensor");
    *out_tensor = value->tensor;
    return GML_OK;
}

gml_status gml_session_get_output(const gml_session *session, const char *name,
                                  gml_tensor *out_tensor)
{
    size_t index = 0;
    GML_TRY(gml_model_find_output(gml_session_model(session), name, &index));
    return gml_session_output(session, index, out_tensor);
}

gml_status gml_session_count_items(const gml_session *session, size_t index, size_t *out_count)
{
    const gml_rvalue *value = find_output(session, index);
    if (!value)
        return GML_E_USAGE;
    switch (value->kind) {
    case GML_RVALUE_NONE: *out_count = 0; return GML_OK;
    case GML_RVALUE_TENSOR: *out_count = 1; return GML_OK;
    case GML_RVALUE_SEQUENCE: *out_count = value->n_items; return GML_OK;
    case GML_RVALUE_MAP: break;
    }
    return gml_call_misuse("this output is a map");
}

gml_status gml_session_output_item(const gml_session *session, size_t index, size_t item,
                                   gml_tensor *out_tensor)
{
    const gml_rvalue *value = find_output(session, index);
    size_t n = 0;
    if (!value)
        return GML_E_USAGE;
    GML_TRY(gml_session_count_items(session, index, &n));
    if (item >= n)
        return gml_call_misuse("this output has no item of this index");
    if (value->kind == GML_RVALUE_SEQUENCE)
        value = &value->items[item];
    if (value->kind != GML_RVALUE_TENSOR)
        return gml_call_misuse("this item is no tensor");
    *out_tensor = value->tensor;
    return GML_OK;
}
