/* api/pipeline.c - from a module to a program: where the stages meet. */
#include "api/pipeline.h"

#include "api/build_program.h"
#include "api/execute.h"
#include "api/link_device.h"
#include "api/packs.h"
#include "base/file.h"
#include "ir/op.h"
#include "ir/text.h"

#if defined(__GLIBC__)
#    include <malloc.h>
#endif
#include <stdlib.h>
#include <string.h>

static const char standard_passes[] =
    "infer,differentiate,simplify,cse,recognise,expand,fold,cse,simplify,dce,autocast,"
    "recompute,fuse,stage,layout,fold,sums,order,budget,bundle";

const char *gml_first_passes(size_t n, gml_arena *arena, const gml_pass **out_pass)
{
    char *names = gml_arena_text(arena, standard_passes, strlen(standard_passes));
    const char *list = "";
    size_t number = 0;
    *out_pass = NULL;
    for (char *name = names, *next = NULL; name; name = next) {
        next = strchr(name, ',');
        if (next)
            *next++ = '\0';
        const gml_pass *pass = gml_pass_find(name);
        number++;
        if (number == n)
            *out_pass = pass;
        if (number <= n || pass->need == GML_PASS_REQUIRED)
            list = gml_arena_printf(arena, "%s%s%s", list, *list ? "," : "", name);
    }
    return n <= number ? list : NULL;
}

/* ---- bindings -----------------------------------------------------------------------------
 */

void gml_bind_inputs(gml_module *module, const gml_tensor *const *tensors)
{
    gml_graph *graph = module->main;
    for (uint32_t i = 0; i < graph->n_params; i++)
        if (tensors[i])
            graph->params[i]->type = gml_type_tensor(&module->arena, tensors[i]->dtype,
                                                     tensors[i]->rank, tensors[i]->dims);
}

static void demand(bool *wanted, const gml_value *value)
{
    if (value)
        wanted[value->id] = true;
}

static void demand_operands(bool *wanted, const gml_node *node)
{
    bool result = false;
    for (uint32_t r = 0; r < node->n_results; r++)
        result = result || wanted[node->results[r].id];
    for (uint32_t k = 0; k < node->n_operands; k++) {
        bool decides = node->op->value_operands >> (k < 31 ? k : 31) & 1;
        if (decides || (result && !(node->op->traits & GML_VALUE_FREE)))
            demand(wanted, node->operands[k]);
    }
}

/* What an If gives is what its branches give. */
static void demand_branches(bool *wanted, const gml_node *node)
{
    if (!(node->op->traits & GML_BRANCHES))
        return;
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        const gml_graph *branch =
            node->attrs[i].kind == GML_ATTR_GRAPH ? node->attrs[i].as.graph : NULL;
        for (uint32_t r = 0; branch && r < branch->n_results && r < node->n_results; r++)
            if (wanted[node->results[r].id])
                demand(wanted, branch->results[r]);
    }
}

static void demand_graph(bool *wanted, const gml_graph *graph)
{
    for (const gml_node *node = graph->last; node; node = node->prev) {
        demand_branches(wanted, node);
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                demand_graph(wanted, node->attrs[i].as.graph);
        demand_operands(wanted, node);
    }
}

const bool *gml_shape_inputs(gml_module *module)
{
    const gml_graph *graph = module->main;
    bool *wanted = gml_new_array(&module->arena, bool, module->n_values + 1);
    bool *inputs = gml_new_array(&module->arena, bool, graph->n_params + 1);
    demand_graph(wanted, graph);
    for (uint32_t i = 0; i < graph->n_params; i++)
        inputs[i] = wanted[graph->params[i]->id];
    return inputs;
}

/* ---- the pipeline -------------------------------------------------------------------------
 */

/* What a program keeps alive. */
typedef struct backing {
    gml_module *module;
    gml_jit *jit;
    gml_packs *packs; /* the module's; NULL until there are some */
} backing;

static void release_backing(void *context)
{
    backing *b = context;
    if (b->packs)
        gml_packs_release(b->packs);
    gml_jit_destroy(b->jit);
    gml_module_destroy(b->module);
    free(b);
}

static bool dumps(const gml_compile_options *options, const char *stage)
{
    return options->dump && options->passes.out && strcmp(options->dump, stage) == 0;
}

static gml_status build(gml_program_builder *builder, const gml_compile_options *options,
                        backing *b, gml_program **out_program)
{
    gml_diags *diags = builder->diags;
    GML_TRY(gml_build_program(builder, builder->module->main, NULL, 0, out_program));
    if (dumps(options, "llvm") || dumps(options, "asm"))
        GML_TRY(gml_codegen_print(builder->codegen, options->dump, options->passes.out, diags));
    if (options->target.triple || (options->target.gpu != GML_GPU_NONE && !options->device))
        return GML_OK; /* it cannot run here */
    if (options->device)
        return gml_link_device(builder, options->device, &b->jit, diags);
    if (options->object)
        GML_TRY(gml_codegen_object(builder->codegen, options->object, diags));
    GML_TRY(gml_codegen_jit(builder->codegen, &b->jit, diags));
    GML_TRY(gml_link_program(builder, b->jit));
    return options->object ? GML_OK : gml_packs_keep(b->packs, b->jit, diags);
}

/* The code generator's memory is the system's again; it was more than many a program needs. */
static void give_back_memory(void)
{
#if defined(__GLIBC__)
    (void)malloc_trim(0);
#endif
}

static gml_status compile(gml_module *module, const gml_compile_options *options, backing *b,
                          gml_program **out_program, gml_diags *diags)
{
    const char *names = options->pass_list ? options->pass_list : standard_passes;
    for (uint32_t i = 0; options->known_inputs && i < module->main->n_params; i++)
        module->main->params[i]->constant = options->known_inputs[i];
    gml_passes_options passes = options->passes;
    if (options->dump && gml_pass_find(options->dump))
        passes.print_after = options->dump;
    gml_target target = options->target;
    if (options->device)
        gml_target_device(&target, options->device, &module->arena);
    GML_TRY(gml_precision_check(target.gpu == GML_GPU_NONE ? GML_DEVICE_CPU : GML_DEVICE_CUDA,
                                target.precision, diags));
    if (options->object && target.gpu != GML_GPU_NONE && !target.triple)
        return gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.file = module->file},
                        "compiling ahead of time for a GPU is not supported yet");
    passes.is_gpu = target.gpu != GML_GPU_NONE;
    passes.bf16_products = passes.is_gpu && target.precision == GML_PRECISION_MEDIUM;
    GML_TRY(gml_passes_run(module, names, &passes, diags));
    if (dumps(options, "ir"))
        gml_graph_print(module->main, options->passes.out);
    gml_arena scratch;
    gml_arena_init(&scratch);
    b->packs = gml_packs_create(module);
    gml_program_builder builder = {
        .module = module, .scratch = &scratch, .diags = diags, .packs = b->packs};
    if (dumps(options, "loops"))
        builder.loops = options->passes.out;
    builder.explain = options->passes.explain;
    gml_dim_pool_init(&builder.part_sizes, &scratch);
    gml_status status = gml_codegen_create(&target, &builder.codegen, diags);
    if (status == GML_OK)
        status = build(&builder, options, b, out_program);
    if (status != GML_OK)
        for (size_t i = 0; i < builder.programs.count; i++)
            gml_program_release(builder.programs.items[i]);
    gml_codegen_destroy(builder.codegen);
    gml_arena_reset(&scratch);
    give_back_memory();
    return status;
}

gml_status gml_compile(gml_module *module, const gml_compile_options *options,
                       gml_program **out_program, gml_diags *diags)
{
    *out_program = NULL;
    backing *b = calloc(1, sizeof *b);
    if (!b) {
        gml_module_destroy(module);
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for a program");
    }
    b->module = module;
    gml_program *program = NULL;
    gml_status status = compile(module, options, b, &program, diags);
    if (status != GML_OK) {
        release_backing(b);
        return status;
    }
    program->release = release_backing;
    program->context = b;
    *out_program = program;
    return GML_OK;
}

gml_status gml_fill_constant(const gml_program *program, const gml_program *inner,
                             uint32_t slot, void *bytes, gml_diags *diags)
{
    const backing *b = program->context;
    return gml_packs_fill(b->packs, b->jit, inner, slot, bytes, diags);
}

void gml_forget_constant(const gml_program *program, const void *data, size_t size)
{
    const backing *b = program->context;
    gml_module_forget(b->module, data, size);
}

/* Textual IR leaves nothing in the file that the module needs; its sizes are as it says. */
static gml_status load_file(const char *path, const gml_onnx_options *load,
                            gml_module **out_module, gml_diags *diags)
{
    gml_onnx_options without_types = *load;
    gml_file file;
    without_types.skip_infer = true;
    GML_TRY(gml_file_map(path, &file, diags));
    bool is_text = gml_text_is(file.data, file.size);
    gml_status status = GML_OK;
    if (is_text && load->n_dims > 0)
        status = gml_fail(diags, GML_E_USAGE, (gml_loc){.file = path},
                          "textual IR has its sizes already");
    else if (is_text)
        status = gml_text_parse(file.data, file.size, path, diags, out_module);
    gml_file_unmap(&file);
    return is_text ? status : gml_onnx_load(path, &without_types, out_module, diags);
}

gml_status gml_compile_file(const char *path, const gml_onnx_options *load,
                            const gml_compile_options *options, gml_program **out_program,
                            gml_diags *diags)
{
    gml_module *module = NULL;
    *out_program = NULL;
    GML_TRY(load_file(path, load, &module, diags));
    return gml_compile(module, options, out_program, diags);
}
