/* api/artifact_open.c - a compiled model, back from its shared library. */
#include "api/artifact_open.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

bool gml_artifact_is(const void *bytes, size_t len)
{
    return len >= 4 && memcmp(bytes, "\177ELF", 4) == 0;
}

/* Is everything there that the dynamic linker will map? It does not look itself, and dies. */
static bool is_whole(const void *bytes, size_t len)
{
    Elf64_Ehdr header;
    if (len < sizeof header)
        return false;
    memcpy(&header, bytes, sizeof header);
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr) ||
        header.e_phoff > len || header.e_phnum > (len - header.e_phoff) / sizeof(Elf64_Phdr))
        return false;
    for (size_t i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        memcpy(&segment, (const char *)bytes + header.e_phoff + i * sizeof segment,
               sizeof segment);
        if (segment.p_offset > len || segment.p_filesz > len - segment.p_offset)
            return false;
    }
    return true;
}

/* The entry that api/artifact_text.c writes into every library. */
typedef const void *(*find_image)(size_t *out_size, const void **out_symbols);

static gml_status read_program(gml_artifact *artifact, const char *path, gml_diags *diags)
{
    union {
        void *address;
        find_image call;
    } entry = {.address = dlsym(artifact->library, "gemel_artifact")};
    if (!entry.address)
        return gml_fail(diags, GML_E_INVALID, (gml_loc){.file = path},
                        "is a library, but no model compiled by gemel");
    size_t size = 0;
    const void *symbols = NULL;
    const void *image = entry.call(&size, &symbols);
    gml_artifact_symbols named = *(const gml_artifact_symbols *)symbols;
    named.name = path;
    GML_TRY(gml_artifact_read_entries(image, size, &named, &artifact->image, diags));
    artifact->program = artifact->image.entries[0].program;
    return GML_OK;
}

gml_status gml_artifact_open(const char *path, const void *bytes, size_t len,
                             gml_artifact *out_artifact, gml_diags *diags)
{
    if (!is_whole(bytes, len))
        return gml_fail(diags, GML_E_INVALID, (gml_loc){.file = path},
                        "is a damaged library: parts of it are missing");
    gml_artifact artifact = {0};
    gml_arena arena;
    gml_arena_init(&arena);
    /* without a slash dlopen would look in the system's folders */
    const char *file = strchr(path, '/') ? path : gml_arena_printf(&arena, "./%s", path);
    errno = 0;
    artifact.library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    bool no_memory = !artifact.library && errno == ENOMEM;
    gml_arena_reset(&arena);
    if (no_memory)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){.file = path},
                        "no memory to open the library");
    if (!artifact.library)
        return gml_fail(diags, GML_E_INVALID, (gml_loc){.file = path},
                        "cannot be opened as a library: %s", dlerror());
    gml_status status = read_program(&artifact, path, diags);
    if (status != GML_OK) {
        dlclose(artifact.library);
        return status;
    }
    *out_artifact = artifact;
    return GML_OK;
}

void gml_artifact_close(gml_artifact *artifact)
{
    gml_artifact_image_reset(&artifact->image);
    if (artifact->library)
        dlclose(artifact->library);
    *artifact = (gml_artifact){0};
}

/* ---- entries ------------------------------------------------------------------------------
 */

const char *gml_entry_name(gml_arena *arena, gml_onnx_entry entry, size_t training, size_t n)
{
    if (entry != GML_ONNX_STEP && entry != GML_ONNX_INITIALISE)
        return GML_ARTIFACT_RUN;
    const char *name = entry == GML_ONNX_STEP ? "step" : "initialise";
    return n == 1 ? name : gml_arena_printf(arena, "%s%zu", name, training);
}

/* A first training may be the only one. */
static gml_program *find_program(const gml_artifact *artifact, gml_onnx_entry entry,
                                 size_t training)
{
    gml_arena arena;
    gml_arena_init(&arena);
    gml_program *program = NULL;
    for (size_t n = training == 0 ? 1 : 2; n <= 2 && !program; n++)
        program = gml_artifact_image_find(&artifact->image,
                                          gml_entry_name(&arena, entry, training, n));
    gml_arena_reset(&arena);
    return program;
}

gml_status gml_artifact_choose(gml_artifact *artifact, const char *path, gml_onnx_entry entry,
                               size_t training, gml_diags *diags)
{
    gml_program *program = find_program(artifact, entry, training);
    if (!program && entry == GML_ONNX_FIXED)
        program = artifact->image.entries[0].program;
    if (!program)
        return gml_fail(diags, GML_E_USAGE, (gml_loc){.file = path},
                        entry == GML_ONNX_RUN    ? "was compiled without the graph alone"
                        : entry == GML_ONNX_STEP ? "was compiled without a training step"
                                                 : "was compiled without an initialisation");
    artifact->program = program;
    return GML_OK;
}

/* ---- the interface ------------------------------------------------------------------------
 */

/* The same size in another pool: by its text. */
static gml_dim copy_dim(const gml_program *program, gml_module *module, gml_dim dim)
{
    if (gml_dim_is_const(dim))
        return dim;
    gml_str str;
    gml_str_init(&str);
    gml_dim_print(&program->dims, dim, &str);
    const char *text = str.text;
    gml_dim copy = 0;
    if (!gml_dim_parse(&module->dims, &text, &copy))
        copy = gml_dim_fresh(&module->dims, "d");
    gml_str_reset(&str);
    return copy;
}

static gml_type slot_type(const gml_program *program, gml_module *module, uint32_t number)
{
    const gml_slot *slot = &program->slots.items[number];
    gml_dim dims[GML_MAX_RANK];
    if (slot->dtype == GML_NONE)
        return (gml_type){0};
    if (slot->rank == GML_NO_RANK)
        return gml_type_unranked(slot->dtype);
    for (int d = 0; d < slot->rank; d++)
        dims[d] = copy_dim(program, module, slot->dims[d]);
    return gml_type_tensor(&module->arena, slot->dtype, slot->rank, dims);
}

static const char *copy_name(gml_module *module, const char *name)
{
    return gml_arena_text(&module->arena, name ? name : "", name ? strlen(name) : 0);
}

static void copy_states(const gml_artifact *artifact, gml_module *module)
{
    const gml_program *program = artifact->program;
    const gml_state_port *ports = gml_artifact_ports(&artifact->image, program, &module->arena);
    for (size_t i = 0; i < program->states.count; i++) {
        gml_state state = {.name = copy_name(module, ports[i].name),
                           .param = ports[i].input,
                           .result = ports[i].output,
                           .initial = ports[i].initial};
        gml_push(&module->arena, &module->states, state);
    }
}

static void copy_trainings(const gml_artifact *artifact, gml_module *module)
{
    for (size_t i = 0; i < artifact->image.n_entries; i++) {
        gml_training_part part = {find_program(artifact, GML_ONNX_STEP, i) != NULL,
                                  find_program(artifact, GML_ONNX_INITIALISE, i) != NULL};
        if (!part.has_step && !part.has_initialisation)
            break;
        gml_push(&module->arena, &module->trainings, part);
    }
}

gml_module *gml_artifact_interface(const gml_artifact *artifact, const char *file)
{
    const gml_program *program = artifact->program;
    gml_module *module = gml_module_create(file);
    gml_graph *graph = gml_graph_create(module, "artifact", NULL);
    module->main = graph;
    for (uint32_t i = 0; i < program->n_inputs; i++)
        gml_graph_add_param(graph, copy_name(module, program->input_names[i]),
                            slot_type(program, module, program->inputs[i]));
    /* results are values that nothing here defines */
    gml_graph *inside = gml_graph_create(module, "inside", NULL);
    for (uint32_t i = 0; i < program->n_outputs; i++) {
        const char *name = copy_name(module, program->output_names[i]);
        gml_value *value =
            gml_graph_add_param(inside, name, slot_type(program, module, program->outputs[i]));
        gml_graph_add_result(graph, value, name);
    }
    copy_states(artifact, module);
    copy_trainings(artifact, module);
    return module;
}
