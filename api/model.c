/* api/model.c - a model: its source, its interface, the programs compiled so far. */
#define _POSIX_C_SOURCE 200809L

#include "api/model.h"

#include "api/pipeline.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct kept_program {
    gml_program *program; /* NULL: a free place */
    char *key;            /* malloc'ed */
    size_t key_len;
    uint64_t used; /* the model's clock when it was last asked for */
} kept_program;

struct gml_model {
    atomic_int refs;
    gml_source source;
    gml_open_options options; /* without dims: those are the source's */
    gml_device *device;       /* retained; NULL: the CPU, or ref */
    gml_port *inputs;         /* ports are in the source's arena */
    gml_port *outputs;
    uint32_t n_inputs, n_outputs;
    const bool *decides_shapes; /* by input */
    pthread_mutex_t mutex;      /* of what follows */
    kept_program kept[GML_MODEL_PROGRAMS];
    uint64_t clock;
};

/* ---- the interface ------------------------------------------------------------------------
 */

static gml_port_kind port_kind(const gml_type *type)
{
    const gml_type *element = type->element;
    switch (type->kind) {
    case GML_TYPE_UNKNOWN: /* of an output: a tensor, unless running says otherwise */
    case GML_TYPE_TENSOR: return GML_PORT_TENSOR;
    case GML_TYPE_SEQUENCE:
        return element->kind == GML_TYPE_TENSOR ? GML_PORT_SEQUENCE : GML_PORT_OTHER;
    case GML_TYPE_OPTIONAL:
        return port_kind(element) == GML_PORT_OTHER || element->kind == GML_TYPE_OPTIONAL
                   ? GML_PORT_OTHER
                   : GML_PORT_OPTIONAL;
    case GML_TYPE_MAP: break;
    }
    return GML_PORT_OTHER;
}

static gml_port make_port(gml_source *source, const char *name, const gml_type *type)
{
    const gml_module *module = source->module;
    gml_port port = {.name = name, .kind = port_kind(type), .rank = GML_PORT_RANK_UNKNOWN};
    port.type = gml_type_text(module, type, &source->arena);
    while (type->element)
        type = type->element;
    if (type->kind != GML_TYPE_TENSOR)
        return port;
    port.dtype = type->dtype;
    if (type->rank == GML_RANK_UNKNOWN)
        return port;
    port.rank = type->rank;
    for (int d = 0; d < type->rank; d++) {
        gml_dim dim = type->dims[d];
        port.dims[d] = gml_dim_is_const(dim) ? dim : GML_PORT_DIM_UNKNOWN;
        if (!gml_dim_is_const(dim))
            port.dim_names[d] = module->dims.exprs.items[gml_dim_index(dim)].name;
    }
    return port;
}

/* States are the last parameters and results. */
static void count_ports(gml_model *model)
{
    const gml_module *module = model->source.module;
    model->n_inputs = module->main->n_params;
    model->n_outputs = module->main->n_results;
    for (size_t i = 0; i < module->states.count; i++) {
        model->n_inputs -= module->states.items[i].param != GML_NO_INDEX;
        model->n_outputs -= module->states.items[i].result != GML_NO_INDEX;
    }
}

static void make_ports(gml_model *model)
{
    gml_source *source = &model->source;
    const gml_graph *graph = source->module->main;
    const char **inputs = gml_input_names(source->module, &source->arena);
    const char **outputs = gml_output_names(source->module, &source->arena);
    count_ports(model);
    model->inputs = gml_new_array(&source->arena, gml_port, model->n_inputs + 1);
    model->outputs = gml_new_array(&source->arena, gml_port, model->n_outputs + 1);
    for (uint32_t i = 0; i < model->n_inputs; i++)
        model->inputs[i] = make_port(source, inputs[i], &graph->params[i]->type);
    for (uint32_t r = 0; r < model->n_outputs; r++)
        model->outputs[r] = make_port(source, outputs[r], &graph->results[r]->type);
}

/* ---- life ---------------------------------------------------------------------------------
 */

static gml_status no_memory(gml_diags *diags)
{
    return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for a model");
}

static gml_status prepare(gml_model *model, const gml_open_options *options, gml_diags *diags)
{
    if (model->source.artifact.program && options->device != GML_DEVICE_CPU)
        return gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.file = model->source.path},
                        "a compiled model runs on the device cpu only");
    GML_TRY(gml_precision_check(options->device, options->precision, diags));
    GML_TRY(
        gml_device_open_kind(options->device, options->device_number, &model->device, diags));
    return pthread_mutex_init(&model->mutex, NULL) == 0 ? GML_OK : no_memory(diags);
}

static gml_status finish_open(gml_model *model, const gml_open_options *options,
                              gml_model **out_model, gml_diags *diags)
{
    gml_status status = prepare(model, options, diags);
    if (status != GML_OK) {
        gml_device_release(model->device);
        gml_source_close(&model->source);
        free(model);
        return status;
    }
    atomic_init(&model->refs, 1);
    model->options = *options;
    make_ports(model);
    model->decides_shapes = gml_shape_inputs(model->source.module);
    *out_model = model;
    return GML_OK;
}

gml_status gml_model_open(const char *path, const gml_open_options *options,
                          gml_model **out_model, gml_diags *diags)
{
    gml_model *model = calloc(1, sizeof *model);
    if (!model)
        return no_memory(diags);
    gml_onnx_options source = {.entry = options->entry,
                               .training = options->training,
                               .seed = options->seed,
                               .dims = options->dims,
                               .n_dims = options->n_dims};
    gml_status status = gml_source_open(&model->source, path, &source, options->form, diags);
    if (status != GML_OK) {
        free(model);
        return status;
    }
    return finish_open(model, options, out_model, diags);
}

gml_status gml_model_open_bytes(const void *bytes, size_t len, const char *folder,
                                const gml_open_options *options, gml_model **out_model,
                                gml_diags *diags)
{
    gml_model *model = calloc(1, sizeof *model);
    if (!model)
        return no_memory(diags);
    gml_onnx_options source = {.entry = options->entry,
                               .training = options->training,
                               .seed = options->seed,
                               .folder = folder,
                               .dims = options->dims,
                               .n_dims = options->n_dims};
    gml_status status =
        gml_source_wrap(&model->source, bytes, len, &source, options->form, diags);
    if (status != GML_OK) {
        free(model);
        return status;
    }
    return finish_open(model, options, out_model, diags);
}

gml_model *gml_model_retain(gml_model *model)
{
    if (model)
        atomic_fetch_add_explicit(&model->refs, 1, memory_order_relaxed);
    return model;
}

static void forget_program(kept_program *kept)
{
    if (kept->program)
        gml_program_release(kept->program);
    free(kept->key);
    *kept = (kept_program){0};
}

void gml_model_release(gml_model *model)
{
    if (!model || atomic_fetch_sub_explicit(&model->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < GML_MODEL_PROGRAMS; i++)
        forget_program(&model->kept[i]);
    gml_device_release(model->device);
    pthread_mutex_destroy(&model->mutex);
    gml_source_close(&model->source);
    free(model);
}

const gml_module *gml_model_module(const gml_model *model)
{
    return model->source.module;
}

const gml_source *gml_model_source(const gml_model *model)
{
    return &model->source;
}

uint32_t gml_model_count_inputs(const gml_model *model)
{
    return model->n_inputs;
}

uint32_t gml_model_count_outputs(const gml_model *model)
{
    return model->n_outputs;
}

const gml_port *gml_model_inputs(const gml_model *model)
{
    return model->inputs;
}

const gml_port *gml_model_outputs(const gml_model *model)
{
    return model->outputs;
}

gml_device_kind gml_model_device(const gml_model *model)
{
    return model->options.device;
}

int gml_model_device_number(const gml_model *model)
{
    return model->options.device_number;
}

gml_precision gml_model_precision(const gml_model *model)
{
    return model->options.precision;
}

gml_device *gml_model_remote(const gml_model *model)
{
    return model->device;
}

bool gml_model_reads(const gml_model *model, uint32_t index)
{
    return model->decides_shapes[index];
}

int gml_model_threads(const gml_model *model)
{
    if (model->options.n_threads > 0)
        return model->options.n_threads;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (n > 256 ? 256 : (int)n);
}

/* ---- do values fit? -----------------------------------------------------------------------
 */

static gml_status check_tensor(const gml_model *model, const gml_tensor *tensor,
                               const gml_type *type, gml_loc loc, gml_diags *diags)
{
    gml_status status = GML_OK;
    if (type->kind != GML_TYPE_TENSOR || tensor->dtype != type->dtype)
        status = GML_E_TYPE;
    else if (type->rank != GML_RANK_UNKNOWN && tensor->rank != type->rank)
        status = GML_E_SHAPE;
    for (int d = 0; d < tensor->rank && d < GML_MAX_RANK && status == GML_OK; d++) {
        if (tensor->dims[d] < 0 ||
            (type->rank != GML_RANK_UNKNOWN && gml_dim_is_const(type->dims[d]) &&
             type->dims[d] != tensor->dims[d]))
            status = GML_E_SHAPE;
    }
    if (status == GML_OK)
        return GML_OK;
    gml_module *module = model->source.module;
    return gml_fail(diags, status, loc, "is %s where the model takes %s",
                    gml_tensor_text(tensor, diags->arena),
                    gml_type_text(module, type, diags->arena));
}

static gml_status check_value(const gml_model *model, const gml_rvalue *value,
                              const gml_type *type, gml_loc loc, gml_diags *diags)
{
    if (type->kind == GML_TYPE_OPTIONAL) {
        if (value->kind == GML_RVALUE_NONE)
            return GML_OK;
        return check_value(model, value, type->element, loc, diags);
    }
    switch (value->kind) {
    case GML_RVALUE_NONE: return gml_fail(diags, GML_E_USAGE, loc, "has no value");
    case GML_RVALUE_TENSOR: return check_tensor(model, &value->tensor, type, loc, diags);
    case GML_RVALUE_SEQUENCE:
        if (type->kind != GML_TYPE_SEQUENCE)
            break;
        for (size_t i = 0; i < value->n_items; i++)
            GML_TRY(check_value(model, &value->items[i], type->element, loc, diags));
        return GML_OK;
    case GML_RVALUE_MAP:
        if (type->kind == GML_TYPE_MAP)
            return GML_OK;
        break;
    }
    return gml_fail(diags, GML_E_TYPE, loc, "is a %s where the model takes %s",
                    value->kind == GML_RVALUE_MAP ? "map" : "sequence",
                    gml_type_text(model->source.module, type, diags->arena));
}

gml_status gml_model_check_input(const gml_model *model, size_t index, const gml_rvalue *value,
                                 gml_diags *diags)
{
    gml_loc loc = {
        .file = model->source.path, .node = model->inputs[index].name, .op = "input"};
    return check_value(model, value, &model->source.module->main->params[index]->type, loc,
                       diags);
}

/* ---- programs -----------------------------------------------------------------------------
 */

static void sign_tensor(const gml_tensor *tensor, bool with_elements, gml_str *key)
{
    size_t bytes = 0;
    gml_str_append(key, &tensor->dtype, sizeof tensor->dtype);
    gml_str_append(key, &tensor->rank, sizeof tensor->rank);
    gml_str_append(key, tensor->dims, (size_t)tensor->rank * sizeof *tensor->dims);
    if (with_elements && tensor->dtype != GML_STRING && gml_tensor_bytes(tensor, &bytes) &&
        bytes)
        gml_str_append(key, tensor->data, bytes);
}

void gml_model_signature(const gml_model *model, const gml_rvalue *inputs, gml_str *key)
{
    key->len = 0; /* the room stays */
    for (uint32_t i = 0; i < model->source.module->main->n_params; i++) {
        gml_str_append(key, &inputs[i].kind, sizeof inputs[i].kind);
        gml_str_append(key, &inputs[i].is_optional, sizeof inputs[i].is_optional);
        if (inputs[i].kind == GML_RVALUE_TENSOR)
            sign_tensor(&inputs[i].tensor, model->decides_shapes[i], key);
    }
}

/* The program outlives the caller's memory: what it was made for is copied. */
static gml_tensor *copy_tensor(gml_arena *arena, const gml_tensor *tensor)
{
    size_t bytes = 0;
    if (tensor->dtype == GML_STRING || !gml_tensor_bytes(tensor, &bytes))
        return NULL;
    gml_tensor *copy = gml_arena_copy(arena, tensor, sizeof *tensor);
    if (bytes)
        copy->data = gml_arena_copy(arena, tensor->data, bytes);
    return copy;
}

gml_status gml_model_spell_out(const gml_model *model, const gml_rvalue *inputs,
                               gml_module **out_module, gml_diags *diags)
{
    gml_module *module = NULL;
    GML_TRY(gml_source_import(&model->source, false, &module, diags));
    gml_status status = gml_spell_out(module, inputs, NULL, diags);
    if (status != GML_OK)
        gml_module_destroy(module);
    else
        *out_module = module;
    return status;
}

static gml_status compile(const gml_model *model, const gml_rvalue *inputs,
                          gml_program **out_program, gml_diags *diags)
{
    gml_module *module = NULL;
    GML_TRY(gml_source_import(&model->source, false, &module, diags));
    uint32_t n = module->main->n_params;
    const gml_tensor **types = gml_new_array(&module->arena, const gml_tensor *, n + 1);
    const gml_tensor **known = gml_new_array(&module->arena, const gml_tensor *, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        if (inputs[i].kind != GML_RVALUE_TENSOR || inputs[i].is_optional)
            continue;
        types[i] = &inputs[i].tensor;
        if (model->decides_shapes[i])
            known[i] = copy_tensor(&module->arena, types[i]);
    }
    gml_bind_inputs(module, types);
    gml_compile_options options = {
        .device = model->device,
        .known_inputs = known,
        .passes = {.memory = model->options.memory, .report = model->options.memory_report},
        .target = {.precision = model->options.precision,
                   .fast_compile = model->options.fast_compile}};
    return gml_compile(module, &options, out_program, diags);
}

/* The place of `key`, or the one whose turn it is to be given up. */
static kept_program *find_place(gml_model *model, const gml_str *key)
{
    kept_program *oldest = &model->kept[0];
    for (size_t i = 0; i < GML_MODEL_PROGRAMS; i++) {
        kept_program *kept = &model->kept[i];
        if (kept->program && kept->key_len == key->len &&
            memcmp(kept->key, key->text, key->len) == 0)
            return kept;
        if (kept->used < oldest->used)
            oldest = kept;
    }
    forget_program(oldest);
    return oldest;
}

static gml_status fetch(gml_model *model, const gml_rvalue *inputs, const gml_str *key,
                        gml_program **out_program, gml_diags *diags)
{
    kept_program *kept = find_place(model, key);
    if (!kept->program) {
        kept->key = malloc(key->len + 1);
        if (!kept->key)
            return no_memory(diags);
        memcpy(kept->key, key->text, key->len);
        kept->key_len = key->len;
        gml_status status = compile(model, inputs, &kept->program, diags);
        if (status != GML_OK) {
            forget_program(kept);
            return status;
        }
    }
    kept->used = ++model->clock;
    *out_program = gml_program_retain(kept->program);
    return GML_OK;
}

gml_status gml_model_find_program(gml_model *model, const gml_rvalue *inputs,
                                  const gml_str *key, gml_program **out_program,
                                  gml_diags *diags)
{
    if (model->source.artifact.program) {
        *out_program = gml_program_retain(model->source.artifact.program);
        return GML_OK;
    }
    pthread_mutex_lock(&model->mutex);
    gml_status status = fetch(model, inputs, key, out_program, diags);
    pthread_mutex_unlock(&model->mutex);
    return status;
}
