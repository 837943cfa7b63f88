/* tests/fuzz/fuzz_artifact.c - images with right checksums and wrong contents: reading gives a
 * program that passes its check, or a diagnosis; and what was read can be written. */
#include "runtime/artifact.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void no_kernel(void *const *mems, const int64_t *dims, int64_t begin, int64_t end,
                      void *scratch)
{
    (void)mems;
    (void)dims;
    (void)begin;
    (void)end;
    (void)scratch;
}

static gml_status no_host(gml_host_call *call)
{
    return gml_host_fail(call, GML_E_UNSUPPORTED, "not here");
}

static const gml_artifact_phase phases[] = {{"k_add", no_kernel},
                                            {"k_double", no_kernel},
                                            {"k_blocks", no_kernel},
                                            {"k_total", no_kernel}};
static const gml_artifact_host hosts[] = {{"check_attrs", no_host}, {"if", no_host}};

static void use(gml_program *program, gml_diags *diags)
{
    gml_instance *instance = NULL;
    gml_str again;
    gml_str_init(&again);
    if (gml_program_check(program, diags) != GML_OK ||
        gml_artifact_write(program, NULL, &again, diags) != GML_OK)
        abort();
    gml_str_reset(&again);
    if (program->arena_size + program->scratch_size < (1u << 20) &&
        gml_instance_create(program, NULL, &instance, diags) == GML_OK)
        gml_instance_destroy(instance);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const gml_artifact_symbols symbols = {.phases = phases,
                                                 .n_phases = 4,
                                                 .hosts = hosts,
                                                 .n_hosts = 2,
                                                 .folder = "/nonexistent"};
    gml_arena arena;
    gml_diags diags;
    gml_artifact_image parts = {0};
    uint8_t *image = malloc(size + 1);
    if (image == NULL)
        return 0;
    memcpy(image, data, size);
    (void)gml_artifact_seal(image, size);
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    gml_status status = gml_artifact_read_entries(image, size, &symbols, &parts, &diags);
    if (status != GML_OK && diags.list.count == 0)
        abort();
    for (size_t i = 0; i < parts.n_entries; i++) {
        use(parts.entries[i].program, &diags);
        (void)gml_artifact_ports(&parts, parts.entries[i].program, &arena);
    }
    gml_artifact_image_reset(&parts);
    gml_arena_reset(&arena);
    free(image);
    return 0;
}
