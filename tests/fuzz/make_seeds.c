/* tests/fuzz/make_seeds.c - the seeds that change with the sources: images of fuzz_artifact as
 * they are written now, and a node of every operator for fuzz_node.
 *
 *     make_seeds DIR     fills DIR/artifact and DIR/node
 */
#define _POSIX_C_SOURCE 200809L

#include "base/file.h"
#include "ir/op.h"
#include "runtime/artifact.h"
#include "tests/unit/artifact_program.h"

#include <sys/stat.h>

#define GML_NODE_BYTES 40

static const float constant[3] = {10, 20, 30};

static int finish(bench *b, gml_program *program, const gml_str *image, gml_status status,
                  const char *path)
{
    if (status == GML_OK)
        status = gml_file_write(path, image->text, image->len, &b->diags);
    if (status != GML_OK)
        fputs(gml_diags_print(&b->diags), stderr);
    bench_reset(b);
    gml_program_release(program);
    return status != GML_OK;
}

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
    int failed = finish(&b, program, &image, status, path);
    gml_str_reset(&image);
    return failed;
}

static bool append(void *context, const void *bytes, size_t len)
{
    gml_str_append(context, bytes, len);
    return true;
}

static bool write_over(void *context, uint64_t at, const void *bytes, size_t len)
{
    gml_str *text = context;
    memcpy(text->text + at, bytes, len);
    return true;
}

/* The same with the constants in a file beside, which is not written. */
static int save_beside(gml_program *program, const char *folder, const char *name)
{
    bench b;
    gml_str image;
    gml_str beside;
    char path[1024];
    bench_init(&b);
    gml_str_init(&image);
    gml_str_init(&beside);
    snprintf(path, sizeof path, "%s/%s.bin", folder, name);
    gml_artifact_plan *plan = NULL;
    gml_artifact_file file = {.name = "weights.bin"};
    gml_sink to_file = {append, write_over, &beside};
    gml_sink to_image = {append, write_over, &image};
    gml_status status = gml_artifact_plan_create(program, NULL, &plan, &b.diags);
    if (status == GML_OK)
        status = gml_artifact_put_constants(plan, &to_file, &file.constants_checksum);
    if (status == GML_OK) {
        file.size = beside.len;
        file.head_checksum = gml_artifact_head_checksum("", 0);
        gml_artifact_plan_file(plan, &file);
        status = gml_artifact_put(plan, &to_image);
    }
    gml_artifact_plan_destroy(plan);
    int failed = finish(&b, program, &image, status, path);
    gml_str_reset(&beside);
    gml_str_reset(&image);
    return failed;
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

static int save_parts(const char *folder, const char *name)
{
    gml_artifact_entry entries[] = {{"run", create_run_part(constant)},
                                    {"step", create_step_part(constant, constant)}};
    bench b;
    gml_str image;
    char path[1024];
    bench_init(&b);
    gml_str_init(&image);
    snprintf(path, sizeof path, "%s/%s.bin", folder, name);
    gml_artifact_plan *plan = NULL;
    gml_sink to_image = {append, write_over, &image};
    gml_status status = gml_artifact_plan_entries(entries, 2, NULL, &plan, &b.diags);
    if (status == GML_OK)
        status = gml_artifact_put(plan, &to_image);
    gml_artifact_plan_destroy(plan);
    gml_program_release(entries[0].program);
    int failed = finish(&b, entries[1].program, &image, status, path);
    gml_str_reset(&image);
    return failed;
}

static int save_images(const char *folder)
{
    static const char *const features[] = {"sse2", "avx9000"};
    gml_artifact_options old_machine = {.features = features, .n_features = 2};
    return save(create_program(constant), NULL, folder, "whole") +
           save_beside(create_program(constant), folder, "file") + save_parts(folder, "parts") +
           save(create_static(), NULL, folder, "static") +
           save(create_static(), &old_machine, folder, "features");
}

/* The number of the operator, then bytes of which most are 0, the plainest choice. */
static int save_nodes(const char *folder)
{
    bench b;
    size_t n_ops = 0;
    uint32_t random = 1;
    int n_failed = 0;
    (void)gml_op_table(&n_ops);
    bench_init(&b);
    for (size_t i = 0; i < n_ops; i++) {
        char path[1024];
        uint8_t bytes[GML_NODE_BYTES] = {(uint8_t)i, (uint8_t)(i / 256)};
        for (size_t k = 2; k < sizeof bytes; k++) {
            random = random * 1664525u + 1013904223u;
            bytes[k] = random >> 30 != 0 ? 0 : (uint8_t)(random >> 16);
        }
        snprintf(path, sizeof path, "%s/%03zu.bin", folder, i);
        n_failed += gml_file_write(path, bytes, sizeof bytes, &b.diags) != GML_OK;
    }
    bench_reset(&b);
    return n_failed;
}

static const char *make_folder(const char *parent, const char *name)
{
    static char path[1000];
    (void)mkdir(parent, 0777);
    snprintf(path, sizeof path, "%s/%s", parent, name);
    (void)mkdir(path, 0777);
    return path;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    return save_images(make_folder(argv[1], "artifact")) +
           save_nodes(make_folder(argv[1], "node"));
}
