/* tests/fuzz/make_artifacts.c - the seeds of fuzz_artifact: images as they are written now.
 *
 *     make_artifacts DIR
 */
#define _POSIX_C_SOURCE 200809L

#include "base/file.h"
#include "runtime/artifact.h"
#include "tests/unit/artifact_program.h"

#include <sys/stat.h>

static const float constant[3] = {10, 20, 30};

/* Takes `program`. */
static int save(gml_program *program, const gml_artifact_options *options, const char *folder,
                const char *name)
{
    bench b;
    gml_str image;
    char path[1024];
    bench_init(&b);
    gml_str_init(&image);
    snprintf(path, sizeof path, "%s/%s.bin", folder, name);
    gml_status status = gml_artifact_write(program, options, &image, &b.diags);
    if (status == GML_OK)
        status = gml_file_write(path, image.text, image.len, &b.diags);
    if (status != GML_OK)
        fputs(gml_diags_print(&b.diags), stderr);
    gml_str_reset(&image);
    bench_reset(&b);
    gml_program_release(program);
    return status != GML_OK;
}

/* x + x, of three elements: no symbols, no regions. */
static gml_program *create_static(void)
{
    gml_program *p = gml_program_create();
    uint32_t x = add_vector(p, GML_SLOT_INPUT, 3);
    set_inputs(p, GML_LIST(x));
    uint32_t y = add_map(p, k_add, "k_add", 2, (uint32_t[]){x, x}, 3);
    set_outputs(p, GML_LIST(y));
    return p;
}

int main(int argc, char **argv)
{
    static const char *const features[] = {"sse2", "avx9000"};
    if (argc != 2)
        return 2;
    (void)mkdir(argv[1], 0777);
    gml_artifact_file file = {.name = "weights.bin", .file = {constant, sizeof constant}};
    gml_artifact_options in_file = {.files = &file, .n_files = 1};
    gml_artifact_options old_machine = {.features = features, .n_features = 2};
    return save(create_program(constant), NULL, argv[1], "whole") +
           save(create_program(constant), &in_file, argv[1], "file") +
           save(create_static(), NULL, argv[1], "static") +
           save(create_static(), &old_machine, argv[1], "features");
}
