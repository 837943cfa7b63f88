/* tests/unit/test_artifact.c - runtime/artifact.h, runtime/cpu.h. */
#define _POSIX_C_SOURCE 200809L
#include "artifact_program.h"
#include "runtime/artifact.h"
#include "runtime/cpu.h"

#include <unistd.h>

static const gml_artifact_phase phase_rows[] = {
    {"k_add", k_add}, {"k_double", k_double}, {"k_blocks", k_blocks}, {"k_total", k_total}};
static const gml_artifact_host host_rows[] = {{"check_attrs", check_attrs},
                                              {"if", gml_host_if}};
static const gml_artifact_symbols all_symbols = {
    .phases = phase_rows, .n_phases = 4, .hosts = host_rows, .n_hosts = 2, .name = "model"};

static const float three[3] = {10, 20, 30};

static void check_runs(bench *b, gml_program *p)
{
    gml_instance *instance = NULL;
    float x[3] = {1, 2, 3};
    assert_ok(b, gml_instance_create(p, NULL, &instance, &b->diags));
    for (uint8_t cond = 0; cond < 2; cond++) {
        gml_rvalue inputs[] = {vector_view(3, x), tensor_view(GML_BOOL, 0, NULL, &cond)};
        gml_rvalue outputs[3] = {0};
        assert_ok(b, gml_instance_run(instance, inputs, 2, outputs, 3, &b->diags));
        const float *y = outputs[0].tensor.data;
        assert_true(y[0] == (cond != 0 ? 22 : 11) && y[2] == (cond != 0 ? 66 : 33));
        assert_true(*(float *)outputs[1].tensor.data == 6);
        assert_int_equal(((gml_string *)outputs[2].tensor.data)[1].len, 5);
        for (int i = 0; i < 3; i++)
            gml_rvalue_reset(&outputs[i]);
    }
    gml_rvalue wrong[] = {vector_view(2, x), tensor_view(GML_BOOL, 0, NULL, &(uint8_t){1})};
    gml_rvalue outputs[3] = {0};
    assert_int_equal(gml_instance_run(instance, wrong, 2, outputs, 3, &b->diags), GML_E_SHAPE);
    assert_says(b, "node (Op): sizes n = 2 and 3 must be equal");
    gml_instance_destroy(instance);
}

static void write_image(bench *b, gml_str *out)
{
    gml_program *p = create_program(three);
    gml_str_init(out);
    assert_ok(b, gml_artifact_write(p, NULL, out, &b->diags));
    gml_program_release(p);
}

static void a_program_survives_the_round_trip(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_str first;
    gml_str second;
    gml_program *p = NULL;
    write_image(&b, &first);
    assert_ok(&b, gml_artifact_read(first.text, first.len, &all_symbols, &p, &b.diags));
    check_runs(&b, p);
    assert_string_equal(p->input_names[0], "x");
    assert_null(p->input_names[1]);
    assert_null(p->output_names);
    gml_str_init(&second);
    assert_ok(&b, gml_artifact_write(p, NULL, &second, &b.diags));
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.text, second.text, first.len);
    gml_program_release(p);
    gml_str_reset(&first);
    gml_str_reset(&second);
    bench_reset(&b);
}

static void assert_refused(const char *bytes, size_t len)
{
    bench b;
    bench_init(&b);
    gml_program *p = NULL;
    assert_int_not_equal(gml_artifact_read(bytes, len, &all_symbols, &p, &b.diags), GML_OK);
    assert_null(p);
    assert_int_not_equal(b.diags.list.count, 0);
    bench_reset(&b);
}

static void every_truncation_and_flip_is_noticed(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_str image;
    write_image(&b, &image);
    for (size_t len = 0; len < image.len; len++) {
        char *cut = malloc(len + 1); /* so that reading beyond it shows */
        memcpy(cut, image.text, len);
        assert_refused(cut, len);
        free(cut);
    }
    for (size_t i = 0; i < image.len * 8; i++) {
        image.text[i / 8] = (char)(image.text[i / 8] ^ (1 << (i % 8)));
        assert_refused(image.text, image.len);
        image.text[i / 8] = (char)(image.text[i / 8] ^ (1 << (i % 8)));
    }
    gml_str_reset(&image);
    bench_reset(&b);
}

/* With the checksums made right again a change may go unnoticed, but does no harm. */
static void changes_behind_the_checksum_do_no_harm(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_str image;
    write_image(&b, &image);
    size_t description = (unsigned char)image.text[24] + 256u * (unsigned char)image.text[25];
    size_t n_read = 0;
    for (size_t i = 0; i < (64 + description) * 8; i++) {
        gml_program *p = NULL;
        char *copy = malloc(image.len);
        memcpy(copy, image.text, image.len);
        copy[i / 8] = (char)(copy[i / 8] ^ (1 << (i % 8)));
        (void)gml_artifact_seal(copy, image.len);
        bench c;
        bench_init(&c);
        gml_status status = gml_artifact_read(copy, image.len, &all_symbols, &p, &c.diags);
        assert_true(status == GML_OK || c.diags.list.count != 0);
        n_read += status == GML_OK;
        gml_program_release(p);
        bench_reset(&c);
        free(copy);
    }
    assert_true(n_read > 0);
    gml_str_reset(&image);
    bench_reset(&b);
}

static void missing_functions_are_named(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_str image;
    gml_program *p = NULL;
    write_image(&b, &image);
    gml_artifact_symbols symbols = all_symbols;
    symbols.n_phases = 2;
    assert_int_equal(gml_artifact_read(image.text, image.len, &symbols, &p, &b.diags),
                     GML_E_INVALID);
    assert_says(&b, "the artifact has no function k_blocks");
    symbols = all_symbols;
    symbols.n_hosts = 1;
    assert_int_equal(gml_artifact_read(image.text, image.len, &symbols, &p, &b.diags),
                     GML_E_INVALID);
    assert_says(&b, "the artifact has no host operator if");
    image.text[8]++;
    assert_int_equal(gml_artifact_read(image.text, image.len, &all_symbols, &p, &b.diags),
                     GML_E_UNSUPPORTED);
    assert_says(&b, "the artifact has version");
    gml_str_reset(&image);
    bench_reset(&b);
}

static void constants_are_aligned_and_may_be_trusted(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_str image;
    gml_program *p = NULL;
    write_image(&b, &image);
    assert_int_equal(image.len, GML_ARTIFACT_ALIGN + sizeof three + 2 * 4); /* an attribute */
    assert_memory_equal(image.text + GML_ARTIFACT_ALIGN, three, sizeof three);
    image.text[GML_ARTIFACT_ALIGN + 13] = 1; /* in the attribute */
    gml_artifact_symbols symbols = all_symbols;
    assert_int_equal(gml_artifact_read(image.text, image.len, &symbols, &p, &b.diags),
                     GML_E_INVALID);
    assert_says(&b, "the checksum of its constants");
    symbols.trust_constants = true;
    assert_ok(&b, gml_artifact_read(image.text, image.len, &symbols, &p, &b.diags));
    gml_program_release(p);
    gml_str_reset(&image);
    bench_reset(&b);
}

/* ---- constants that are made, placed, and in a file ---------------------------------------
 */

typedef struct maker {
    const gml_program *program;
    int n_made, n_written;
    gml_status status;
} maker;

static gml_status make_three(void *context, const gml_program *program, uint32_t slot,
                             void *bytes)
{
    maker *m = context;
    assert_ptr_equal(program, m->program);
    assert_string_equal(program->slots.items[slot].name, "c");
    for (size_t i = 0; i < sizeof three; i++)
        assert_int_equal(((const char *)bytes)[i], 0);
    memcpy(bytes, three, sizeof three);
    m->n_made++;
    return m->status;
}

static void count_written(void *context, const void *data, size_t size)
{
    maker *m = context;
    assert_non_null(data);
    assert_int_equal(size, 8); /* the attribute */
    m->n_written++;
}

static void constants_are_made_when_they_are_written(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_str expected;
    gml_str image;
    write_image(&b, &expected);
    gml_str_init(&image);
    gml_program *p = create_program(NULL);
    maker m = {.program = p};
    gml_artifact_options options = {.make = make_three, .wrote = count_written, .context = &m};
    assert_int_equal(gml_artifact_write(p, NULL, &image, &b.diags), GML_E_INVALID);
    assert_says(&b, "a constant has no data");
    assert_ok(&b, gml_artifact_write(p, &options, &image, &b.diags));
    assert_int_equal(image.len, expected.len);
    assert_memory_equal(image.text, expected.text, image.len);
    assert_int_equal(m.n_made, 1);
    assert_int_equal(m.n_written, 1);
    m.status = GML_E_MISMATCH;
    gml_str_reset(&image);
    assert_int_equal(gml_artifact_write(p, &options, &image, &b.diags), GML_E_MISMATCH);
    gml_str_reset(&image);
    gml_str_reset(&expected);
    gml_program_release(p);
    bench_reset(&b);
}

/* Sizes 4, 128, 2, 64, 8: the multiples of 64 come first, the others by falling size of their
 * elements. */
static void constants_lie_without_gaps(void **state)
{
    (void)state;
    static const char elements[128];
    static const struct {
        gml_dtype dtype;
        int64_t n;
        uint64_t offset;
    } rows[] = {{GML_F32, 1, 200},
                {GML_U8, 128, 0},
                {GML_I16, 1, 204},
                {GML_F64, 8, 128},
                {GML_F64, 1, 192}};
    bench b;
    bench_init(&b);
    gml_program *p = gml_program_create();
    for (size_t i = 0; i < 5; i++) {
        uint32_t slot = add_slot(p, GML_SLOT_CONSTANT, rows[i].dtype, 1, &rows[i].n);
        p->slots.items[slot].data = elements;
    }
    gml_artifact_plan *plan = NULL;
    size_t count = 0;
    uint64_t end = 0;
    assert_ok(&b, gml_artifact_plan_create(p, NULL, &plan, &b.diags));
    const gml_artifact_tensor *tensors = gml_artifact_tensors(plan, &count);
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(tensors[i].offset, end);
        end += tensors[i].size;
        size_t row = 0;
        while (rows[row].offset != tensors[i].offset)
            row++;
        assert_int_equal(tensors[i].dtype, rows[row].dtype);
        assert_int_equal(tensors[i].dims[0], rows[row].n);
    }
    assert_int_equal(end, 206);
    gml_artifact_plan_destroy(plan);
    gml_program_release(p);
    bench_reset(&b);
}

/* Room for `len` bytes; then it is full. */
typedef struct small_disk {
    size_t len, used;
} small_disk;

static bool put_on_disk(void *context, const void *bytes, size_t len)
{
    (void)bytes;
    small_disk *disk = context;
    disk->used += len;
    return disk->used <= disk->len;
}

static bool put_on_disk_at(void *context, uint64_t at, const void *bytes, size_t len)
{
    assert_true(at + len <= GML_ARTIFACT_ALIGN);
    return put_on_disk(context, bytes, len);
}

static void a_sink_may_fail_anywhere(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_program *p = create_program(three);
    gml_artifact_plan *plan = NULL;
    assert_ok(&b, gml_artifact_plan_create(p, NULL, &plan, &b.diags));
    size_t needed = (size_t)gml_artifact_size(plan) + 8; /* the checksum is put twice */
    for (size_t len = 0; len <= needed; len++) {
        small_disk disk = {.len = len};
        gml_sink sink = {put_on_disk, put_on_disk_at, &disk};
        assert_int_equal(gml_artifact_put(plan, &sink), len < needed ? GML_E_IO : GML_OK);
    }
    gml_artifact_plan_destroy(plan);
    gml_program_release(p);
    bench_reset(&b);
}

static bool append(void *context, const void *bytes, size_t len)
{
    gml_str_append(context, bytes, len);
    return true;
}

static bool no_second_look(void *context, uint64_t at, const void *bytes, size_t len)
{
    (void)context;
    (void)at;
    (void)bytes;
    (void)len;
    return false;
}

/* An image whose constants are in `path`, behind a head of 8 bytes. */
static void write_beside(bench *b, const char *path, gml_str *out_image, gml_str *out_file)
{
    gml_program *p = create_program(three);
    gml_artifact_plan *plan = NULL;
    gml_artifact_file file = {.name = "w.bin", .constants = 8};
    gml_sink to_file = {append, no_second_look, out_file};
    gml_sink to_image = {append, no_second_look, out_image};
    assert_ok(b, gml_artifact_plan_create(p, NULL, &plan, &b->diags));
    gml_str_puts(out_file, "header: ");
    assert_ok(b, gml_artifact_put_constants(plan, &to_file, &file.constants_checksum));
    file.size = out_file->len;
    file.head_checksum = gml_artifact_head_checksum(out_file->text, 8);
    gml_artifact_plan_file(plan, &file);
    assert_ok(b, gml_artifact_put(plan, &to_image));
    assert_int_equal(out_image->len, gml_artifact_size(plan));
    assert_true(out_image->len < GML_ARTIFACT_ALIGN);
    assert_ok(b, gml_file_write(path, out_file->text, out_file->len, &b->diags));
    gml_artifact_plan_destroy(plan);
    gml_program_release(p);
}

static void assert_file_refused(bench *b, const gml_str *image,
                                const gml_artifact_symbols *symbols, gml_status status,
                                const char *text)
{
    gml_program *p = NULL;
    gml_diags_truncate(&b->diags, 0);
    assert_int_equal(gml_artifact_read(image->text, image->len, symbols, &p, &b->diags),
                     status);
    assert_says(b, text);
}

static void constants_may_stay_in_a_file(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    char folder[] = "/tmp/gemel-artifact-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/w.bin", folder);
    gml_str image;
    gml_str file;
    gml_str_init(&image);
    gml_str_init(&file);
    write_beside(&b, path, &image, &file);
    gml_artifact_symbols symbols = all_symbols;
    symbols.folder = folder;
    gml_program *p = NULL;
    assert_ok(&b, gml_artifact_read(image.text, image.len, &symbols, &p, &b.diags));
    check_runs(&b, p);
    gml_program_release(p);
    assert_ok(&b, gml_file_write(path, file.text, file.len - 1, &b.diags));
    assert_file_refused(&b, &image, &symbols, GML_E_INVALID,
                        "is too short: it has 27 bytes of 28");
    assert_ok(&b, gml_file_write(path, file.text, file.len + 1, &b.diags));
    assert_file_refused(&b, &image, &symbols, GML_E_INVALID, "is not the file");
    file.text[3]++;
    assert_ok(&b, gml_file_write(path, file.text, file.len, &b.diags));
    assert_file_refused(&b, &image, &symbols, GML_E_INVALID, "is not the file");
    file.text[3]--;
    file.text[9]++;
    assert_ok(&b, gml_file_write(path, file.text, file.len, &b.diags));
    assert_file_refused(&b, &image, &symbols, GML_E_INVALID, "the checksum of its constants");
    symbols.trust_constants = true;
    assert_ok(&b, gml_artifact_read(image.text, image.len, &symbols, &p, &b.diags));
    gml_program_release(p);
    assert_int_equal(remove(path), 0);
    assert_file_refused(&b, &image, &symbols, GML_E_IO, "w.bin: cannot open");
    assert_int_equal(rmdir(folder), 0);
    gml_str_reset(&image);
    gml_str_reset(&file);
    bench_reset(&b);
}

static void the_processor_is_checked(void **state)
{
    (void)state;
    static const char *const features[] = {"avx9000"};
    bench b;
    bench_init(&b);
    gml_program *p = create_program(three);
    gml_artifact_options options = {.features = features, .n_features = 1};
    gml_str image;
    gml_str_init(&image);
    assert_ok(&b, gml_artifact_write(p, &options, &image, &b.diags));
    gml_program_release(p);
    assert_int_equal(gml_artifact_read(image.text, image.len, &all_symbols, &p, &b.diags),
                     GML_E_UNSUPPORTED);
    assert_says(&b, "needs a processor with avx9000");
    gml_str_reset(&image);
    bench_reset(&b);
#if defined(__x86_64__)
    assert_true(gml_cpu_has("sse3"));
    __builtin_cpu_init();
    assert_int_equal(gml_cpu_has("avx2"), __builtin_cpu_supports("avx2") != 0);
    assert_int_equal(gml_cpu_has("fma"), __builtin_cpu_supports("fma") != 0);
    assert_int_equal(gml_cpu_has("avx512f"), __builtin_cpu_supports("avx512f") != 0);
    assert_int_equal(gml_cpu_has("avx512vnni"), __builtin_cpu_supports("avx512vnni") != 0);
#endif
    assert_false(gml_cpu_has(""));
}

static void the_stub_lists_what_is_used(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_program *p = create_program(three);
    gml_artifact_names names;
    gml_artifact_find_names(&(gml_artifact_entry){GML_ARTIFACT_RUN, p}, 1, &b.arena, &names);
    assert_int_equal(names.n_phases, 4);
    assert_string_equal(names.phases[0], "k_add");
    assert_string_equal(names.phases[3], "k_total");
    assert_int_equal(names.n_hosts, 2);
    assert_string_equal(names.hosts[1], "if");
    gml_str text;
    gml_str_init(&text);
    gml_artifact_print_stub(&(gml_artifact_entry){GML_ARTIFACT_RUN, p}, 1, "model_symbols",
                            &text);
    assert_non_null(strstr(text.text, "{\"if\", gml_host_if},"));
    assert_non_null(strstr(text.text, "model_symbols = {phases, 4, hosts, 2, NULL"));
    gml_str_reset(&text);
    gml_program_release(p);
    bench_reset(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_survives_the_round_trip),
        cmocka_unit_test(every_truncation_and_flip_is_noticed),
        cmocka_unit_test(changes_behind_the_checksum_do_no_harm),
        cmocka_unit_test(missing_functions_are_named),
        cmocka_unit_test(constants_are_aligned_and_may_be_trusted),
        cmocka_unit_test(constants_are_made_when_they_are_written),
        cmocka_unit_test(constants_lie_without_gaps),
        cmocka_unit_test(a_sink_may_fail_anywhere),
        cmocka_unit_test(constants_may_stay_in_a_file),
        cmocka_unit_test(the_processor_is_checked),
        cmocka_unit_test(the_stub_lists_what_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
