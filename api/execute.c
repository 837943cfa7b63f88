/* api/execute.c - one run of a module on a device. */
#include "api/execute.h"

#include "api/eager.h"
#include "api/pipeline.h"
#include "ir/op.h"

#include <stdlib.h>
#include <string.h>

static const char *const device_names[] = {
    [GML_DEVICE_CPU] = "cpu",
    [GML_DEVICE_REF] = "ref",
    [GML_DEVICE_CUDA] = "cuda",
    [GML_DEVICE_EMU] = "emu",
};

/* ":1" of "cuda:1"; "" is 0. */
static bool parse_number(const char *text, int *out_number)
{
    *out_number = 0;
    if (*text == '\0')
        return true;
    if (*text != ':' || text[1] == '\0' || strlen(text) > 3 ||
        strspn(text + 1, "0123456789") != strlen(text + 1))
        return false;
    *out_number = atoi(text + 1);
    return true;
}

bool gml_device_parse(const char *name, gml_device_kind *out_device, int *out_number)
{
    size_t len = strcspn(name, ":");
    int number = 0;
    for (size_t i = 0; i < sizeof device_names / sizeof *device_names; i++) {
        if (strlen(device_names[i]) != len || strncmp(device_names[i], name, len) != 0 ||
            !parse_number(name + len, &number) ||
            (name[len] != '\0' && (gml_device_kind)i != GML_DEVICE_CUDA))
            continue;
        *out_device = (gml_device_kind)i;
        *out_number = number;
        return true;
    }
    return false;
}

static const char *const precision_names[] = {
    [GML_PRECISION_HIGHEST] = "highest",
    [GML_PRECISION_MEDIUM] = "medium",
};

bool gml_precision_parse(const char *name, gml_precision *out_precision)
{
    for (size_t i = 0; i < sizeof precision_names / sizeof *precision_names; i++) {
        if (strcmp(precision_names[i], name) != 0)
            continue;
        *out_precision = (gml_precision)i;
        return true;
    }
    return false;
}

gml_status gml_precision_check(gml_device_kind device, gml_precision precision,
                               gml_diags *diags)
{
    if (precision == GML_PRECISION_HIGHEST || device == GML_DEVICE_CUDA ||
        device == GML_DEVICE_EMU)
        return GML_OK;
    gml_status status = gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){0},
                                 "the device %s knows the precision highest alone, not %s",
                                 device_names[device], precision_names[precision]);
    gml_note(diags, "cuda and emu know highest and medium");
    return status;
}

gml_status gml_device_open_kind(gml_device_kind kind, int number, gml_device **out_device,
                                gml_diags *diags)
{
    *out_device = NULL;
    if (kind != GML_DEVICE_CUDA && kind != GML_DEVICE_EMU)
        return GML_OK;
    return gml_device_open(device_names[kind], number, out_device, diags);
}

/* ---- watching -----------------------------------------------------------------------------
 */

static gml_status watch_node(void *context, const gml_node *node, const gml_rvalue *results)
{
    const gml_execute_options *options = context;
    for (uint32_t r = 0; r < node->n_results; r++) {
        const char *name = node->results[r].name;
        if (!name || !*name)
            continue;
        gml_executed executed = {name, node->loc.node ? node->loc.node : "", node->op->name,
                                 &results[r], false};
        GML_TRY(options->watch(options->watch_context, &executed));
    }
    return GML_OK;
}

static gml_status watch_slot(void *context, const gml_program *program, uint32_t step,
                             uint32_t slot, const gml_rvalue *value)
{
    const gml_execute_options *options = context;
    const char *name = program->slots.items[slot].name;
    if (!name || !*name)
        return GML_OK;
    gml_executed executed = {name, program->steps.items[step].node,
                             program->steps.items[step].name, value,
                             program->slots.items[slot].channels_last};
    return options->watch(options->watch_context, &executed);
}

/* ---- devices ------------------------------------------------------------------------------
 */

bool gml_differentiates(const gml_graph *graph)
{
    for (const gml_node *node = graph->first; node; node = node->next) {
        if (node->op->traits & GML_DIFFERENTIATES)
            return true;
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH &&
                gml_differentiates(node->attrs[i].as.graph))
                return true;
    }
    return false;
}

/* Derivatives are made of the whole graph, whose types have to be known. */
gml_status gml_spell_out(gml_module *module, const gml_rvalue *inputs,
                         const gml_execute_options *options, gml_diags *diags)
{
    const gml_tensor **tensors =
        gml_new_array(&module->arena, const gml_tensor *, module->main->n_params + 1);
    for (uint32_t i = 0; i < module->main->n_params; i++)
        if (inputs[i].kind == GML_RVALUE_TENSOR && !inputs[i].is_optional)
            tensors[i] = &inputs[i].tensor;
    gml_bind_inputs(module, tensors);
    gml_passes_options passes = {.verify = options && options->verify};
    return gml_passes_run(module, "infer,differentiate", &passes, diags);
}

static gml_status run_ref(gml_module *module, const gml_rvalue *inputs, gml_rvalue *outputs,
                          const gml_execute_options *options, gml_diags *diags)
{
    gml_execute_options watched = *options;
    gml_eager_options eager = {watch_node, &watched};
    if (gml_differentiates(module->main))
        GML_TRY(gml_spell_out(module, inputs, options, diags));
    GML_TRY(
        gml_eager_run(module->main, inputs, outputs, options->watch ? &eager : NULL, diags));
    gml_status status = GML_OK;
    for (uint32_t r = 0; r < module->main->n_results && status == GML_OK; r++)
        status = gml_own_elements(&outputs[r]);
    return status;
}

static gml_status run_program(gml_program *program, const gml_rvalue *inputs,
                              gml_rvalue *outputs, const gml_execute_options *options,
                              gml_diags *diags)
{
    int n_threads = options->n_threads;
    gml_execute_options watched = *options;
    gml_instance *instance = NULL;
    gml_pool *pool = n_threads > 1 ? gml_pool_create(n_threads, NULL) : NULL;
    gml_status status = gml_instance_create(program, pool, &instance, diags);
    if (status == GML_OK && options->watch)
        gml_instance_watch(instance, NULL, watch_slot, &watched);
    if (status == GML_OK)
        status = gml_instance_run(instance, inputs, program->n_inputs, outputs,
                                  program->n_outputs, diags);
    for (uint32_t r = 0; r < program->n_outputs && status == GML_OK; r++)
        status = gml_own_elements(&outputs[r]);
    gml_instance_destroy(instance);
    gml_pool_destroy(pool);
    return status;
}

/* Compiles for exactly these inputs; for `device`, or the CPU. */
static gml_status run_compiled(gml_module *module, gml_device *device, const gml_rvalue *inputs,
                               gml_rvalue *outputs, const gml_execute_options *options,
                               gml_diags *diags)
{
    gml_graph *graph = module->main;
    gml_program *program = NULL;
    const gml_tensor **tensors =
        gml_new_array(&module->arena, const gml_tensor *, graph->n_params + 1);
    const gml_tensor **known =
        gml_new_array(&module->arena, const gml_tensor *, graph->n_params + 1);
    const bool *decides = gml_shape_inputs(module);
    for (uint32_t i = 0; i < graph->n_params; i++) {
        if (inputs[i].kind == GML_RVALUE_TENSOR && !inputs[i].is_optional)
            tensors[i] = &inputs[i].tensor;
        known[i] = decides[i] ? tensors[i] : NULL;
    }
    gml_bind_inputs(module, tensors);
    gml_compile_options compile = {.device = device,
                                   .known_inputs = known,
                                   .pass_list = options->pass_list,
                                   .passes = {.verify = options->verify,
                                              .off = options->off,
                                              .changing = options->changing}};
    compile.target.fast_compile = !options->optimise;
    compile.target.precision = options->precision;
    GML_TRY(gml_compile(module, &compile, &program, diags));
    gml_status status = run_program(program, inputs, outputs, options, diags);
    gml_program_release(program);
    return status;
}

gml_status gml_execute(gml_module *module, const gml_rvalue *inputs, gml_rvalue *outputs,
                       const gml_execute_options *options, gml_diags *diags)
{
    gml_device *device = NULL;
    gml_status status = gml_precision_check(options->device, options->precision, diags);
    if (status == GML_OK)
        status = gml_device_open_kind(options->device, options->device_number, &device, diags);
    if (status == GML_OK && options->device != GML_DEVICE_REF) {
        status = run_compiled(module, device, inputs, outputs, options, diags);
        gml_device_release(device);
        return status;
    }
    if (status == GML_OK)
        status = run_ref(module, inputs, outputs, options, diags);
    gml_module_destroy(module);
    return status;
}
