/* runtime/embed.c - what the entry points of an artifact call. */
#include "runtime/embed.h"

#include <stdlib.h>
#include <string.h>

struct gml_embed {
    gml_arena arena; /* of diagnostics; reset before each run */
    gml_program *program;
    gml_instance *instance;
    gml_pool *pool;
    gml_rvalue *inputs;
    gml_rvalue *outputs;
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
    return gml_artifact_read(image, size, &here, &embed->program, diags);
}

static gml_status open_library(gml_embed *embed, const void *library,
                               const gml_artifact_symbols *symbols, int n_threads,
                               gml_diags *diags)
{
    GML_TRY(read_image(embed, library, symbols, diags));
    embed->pool = n_threads > 1 ? gml_pool_create(n_threads, NULL) : NULL;
    embed->inputs = calloc(embed->program->n_inputs + 1, sizeof *embed->inputs);
    embed->outputs = calloc(embed->program->n_outputs + 1, sizeof *embed->outputs);
    if (!embed->inputs || !embed->outputs || (n_threads > 1 && !embed->pool))
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory or no threads");
    return gml_instance_create(embed->program, embed->pool, &embed->instance, diags);
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
    gml_instance_destroy(embed->instance);
    gml_pool_destroy(embed->pool);
    gml_program_release(embed->program);
    free(embed->inputs);
    free(embed->outputs);
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

int gml_embed_run(gml_embed *embed, const void *const *inputs, const int64_t *const *dims,
                  void *const *outputs)
{
    gml_program *program = embed->program;
    gml_diags diags;
    gml_arena_reset(&embed->arena);
    gml_diags_init(&diags, &embed->arena);
    for (uint32_t i = 0; i < program->n_inputs; i++)
        embed->inputs[i] = view(&program->slots.items[program->inputs[i]], writable(inputs[i]),
                                dims ? dims[i] : NULL);
    memset(embed->outputs, 0, program->n_outputs * sizeof *embed->outputs);
    gml_status status = gml_instance_run(embed->instance, embed->inputs, program->n_inputs,
                                         embed->outputs, program->n_outputs, &diags);
    for (uint32_t i = 0; i < program->n_outputs && status == GML_OK; i++) {
        size_t bytes = 0;
        if (gml_tensor_bytes(&embed->outputs[i].tensor, &bytes) && bytes)
            memcpy(outputs[i], embed->outputs[i].tensor.data, bytes);
    }
    for (uint32_t i = 0; i < program->n_outputs; i++)
        gml_rvalue_reset(&embed->outputs[i]);
    return status == GML_OK ? 0 : fail(embed, &diags, status);
}
