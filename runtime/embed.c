/* runtime/embed.c - what the entry points of an artifact call. */
#include "runtime/embed.h"

#include <stdlib.h>
#include <string.h>

/* A program of the artifact, and what runs it. */
typedef struct part {
    gml_program *program;   /* the image's */
    gml_instance *instance; /* NULL: it has not run yet */
    gml_state_port *ports;  /* one for each state */
    gml_rvalue *inputs;     /* the caller's, then states */
    gml_rvalue *outputs;    /* the same */
    uint32_t n_outputs;     /* the caller's */
    uint32_t n_inputs;
} part;

struct gml_embed {
    gml_arena arena; /* of diagnostics; reset before each run */
    gml_artifact_image image;
    part *parts;
    gml_pool *pool;
    gml_states *states; /* NULL: none */
    gml_embed_state *views;
    char error[512];
};

static int fail(gml_embed *embed, const gml_diags *diags, gml_status status)
{
    const char *text = diags->list.count ? gml_diags_print(diags) : gml_status_text(status);
    size_t len = strcspn(text, "\n");
    len = len < sizeof embed->error ? len : sizeof embed->error - 1;
    memcpy(embed->error, text, len);
    embed->error[len] = '\0';
    return gml_status_exit(status);
}

static gml_status read_image(gml_embed *embed, const void *library,
                             const gml_artifact_symbols *symbols, gml_diags *diags)
{
    size_t size = 0;
    const void *image = gml_embed_image(library, &size);
    const char *path = gml_embed_path(library);
    const char *slash = strrchr(path, '/');
    gml_artifact_symbols here = *symbols;
    here.name = path;
    if (slash)
        here.folder =
            gml_arena_text(&embed->arena, path, slash == path ? 1 : (size_t)(slash - path));
    return gml_artifact_read_entries(image, size, &here, &embed->image, diags);
}

static gml_status no_memory(gml_diags *diags)
{
    return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory or no threads");
}

static void open_part(gml_embed *embed, size_t number)
{
    gml_arena *arena = &embed->image.arena;
    part *p = &embed->parts[number];
    p->program = embed->image.entries[number].program;
    p->ports = gml_artifact_ports(&embed->image, p->program, arena);
    p->inputs = gml_new_array(arena, gml_rvalue, p->program->n_inputs + 1);
    p->outputs = gml_new_array(arena, gml_rvalue, p->program->n_outputs + 1);
    p->n_inputs = p->program->n_inputs;
    p->n_outputs = p->program->n_outputs;
    for (size_t i = 0; i < p->program->states.count; i++) {
        p->n_inputs -= p->ports[i].input != GML_NO_PORT;
        p->n_outputs -= p->ports[i].output != GML_NO_PORT;
    }
}

static gml_status open_states(gml_embed *embed, gml_diags *diags)
{
    gml_arena *arena = &embed->image.arena;
    size_t n = embed->parts[0].program->states.count;
    if (n == 0)
        return GML_OK;
    GML_TRY(gml_states_create(embed->parts[0].ports, n, NULL, NULL, &embed->states, diags));
    embed->views = gml_new_array(arena, gml_embed_state, n);
    for (size_t i = 0; i < n; i++) {
        gml_tensor tensor;
        GML_TRY(gml_states_read(embed->states, i, &tensor, diags));
        gml_embed_state *view = &embed->views[i];
        (void)gml_tensor_bytes(&tensor, &view->size);
        view->name = gml_states_name(embed->states, i);
        view->dtype = gml_dtype_name(tensor.dtype);
        view->rank = tensor.rank;
        view->dims = gml_arena_copy(arena, tensor.dims, sizeof tensor.dims);
        view->data = tensor.data;
    }
    return GML_OK;
}

/* Memory of its own for a program, of several only when it runs. */
static gml_status prepare(gml_embed *embed, part *p, gml_diags *diags)
{
    if (p->instance)
        return GML_OK;
    return gml_instance_create(p->program, embed->pool, &p->instance, diags);
}

static gml_status open_library(gml_embed *embed, const void *library,
                               const gml_artifact_symbols *symbols, int n_threads,
                               gml_diags *diags)
{
    GML_TRY(read_image(embed, library, symbols, diags));
    embed->pool = n_threads > 1 ? gml_pool_create(n_threads, NULL) : NULL;
    embed->parts = calloc(embed->image.n_entries, sizeof *embed->parts);
    if (!embed->parts || (n_threads > 1 && !embed->pool))
        return no_memory(diags);
    for (size_t i = 0; i < embed->image.n_entries; i++)
        open_part(embed, i);
    GML_TRY(open_states(embed, diags));
    return embed->image.n_entries == 1 ? prepare(embed, &embed->parts[0], diags) : GML_OK;
}

int gml_embed_open(const void *library, const gml_artifact_symbols *symbols, int n_threads,
                   gml_embed **out_embed, char *error, size_t error_size)
{
    *out_embed = NULL;
    gml_embed *embed = calloc(1, sizeof *embed);
    if (!embed)
        return gml_status_exit(GML_E_MEMORY);
    gml_diags diags;
    gml_arena_init(&embed->arena);
    gml_arena_init(&embed->image.arena);
    gml_diags_init(&diags, &embed->arena);
    gml_status status = open_library(embed, library, symbols, n_threads, &diags);
    if (status == GML_OK) {
        *out_embed = embed;
        return 0;
    }
    int exit_status = fail(embed, &diags, status);
    if (error && error_size) {
        size_t len = strlen(embed->error);
        len = len < error_size ? len : error_size - 1;
        memcpy(error, embed->error, len);
        error[len] = '\0';
    }
    gml_embed_close(embed);
    return exit_status;
}

void gml_embed_close(gml_embed *embed)
{
    if (!embed)
        return;
    for (size_t i = 0; embed->parts && i < embed->image.n_entries; i++)
        gml_instance_destroy(embed->parts[i].instance);
    gml_pool_destroy(embed->pool);
    gml_states_release(embed->states);
    free(embed->parts);
    gml_artifact_image_reset(&embed->image);
    gml_arena_reset(&embed->arena);
    free(embed);
}

const char *gml_embed_error(const gml_embed *embed)
{
    return embed->error;
}

static void *writable(const void *data)
{
    union {
        const void *in;
        void *out;
    } pointer = {.in = data};
    return pointer.out; /* inputs are only read */
}

static gml_rvalue view(const gml_slot *slot, void *data, const int64_t *dims)
{
    gml_rvalue value = {.kind = GML_RVALUE_TENSOR};
    value.tensor = (gml_tensor){.dtype = slot->dtype, .rank = slot->rank, .data = data};
    for (int d = 0; d < slot->rank; d++)
        value.tensor.dims[d] = dims ? dims[d] : slot->dims[d];
    return value;
}

static void copy_output(const gml_rvalue *output, void *place)
{
    size_t bytes = 0;
    if (gml_tensor_bytes(&output->tensor, &bytes) && bytes)
        memcpy(place, output->tensor.data, bytes);
}

static gml_status run(gml_embed *embed, part *p, void *const *outputs, gml_diags *diags)
{
    const gml_program *program = p->program;
    GML_TRY(prepare(embed, p, diags));
    memset(p->outputs, 0, program->n_outputs * sizeof *p->outputs);
    if (embed->states)
        gml_states_bind(embed->states, p->ports, p->inputs, p->outputs);
    gml_status status = gml_instance_run(p->instance, p->inputs, program->n_inputs, p->outputs,
                                         program->n_outputs, diags);
    for (uint32_t i = 0; i < p->n_outputs && status == GML_OK; i++)
        copy_output(&p->outputs[i], outputs[i]);
    if (status == GML_OK && embed->states)
        status = gml_states_store(embed->states, p->ports, p->outputs, NULL, diags);
    for (uint32_t i = 0; i < program->n_outputs; i++)
        gml_rvalue_reset(&p->outputs[i]);
    return status;
}

int gml_embed_run_part(gml_embed *embed, unsigned number, const void *const *inputs,
                       const int64_t *const *dims, void *const *outputs)
{
    part *p = &embed->parts[number];
    gml_diags diags;
    gml_arena_reset(&embed->arena);
    gml_diags_init(&diags, &embed->arena);
    for (uint32_t i = 0; i < p->n_inputs; i++)
        p->inputs[i] = view(&p->program->slots.items[p->program->inputs[i]],
                            writable(inputs[i]), dims ? dims[i] : NULL);
    gml_status status = run(embed, p, outputs, &diags);
    return status == GML_OK ? 0 : fail(embed, &diags, status);
}

int gml_embed_run(gml_embed *embed, const void *const *inputs, const int64_t *const *dims,
                  void *const *outputs)
{
    return gml_embed_run_part(embed, 0, inputs, dims, outputs);
}

size_t gml_embed_n_states(const gml_embed *embed)
{
    return embed->states ? gml_states_count(embed->states) : 0;
}

const gml_embed_state *gml_embed_get_state(const gml_embed *embed, size_t index)
{
    return index < gml_embed_n_states(embed) ? &embed->views[index] : NULL;
}

const gml_embed_state *gml_embed_find_state(const gml_embed *embed, const char *name)
{
    for (size_t i = 0; i < gml_embed_n_states(embed); i++)
        if (strcmp(embed->views[i].name, name) == 0)
            return &embed->views[i];
    return NULL;
}
