/* tests/unit/test_cubin_load.c - api/link_device.c: what a CUDA device is given to load, and
 * what is said about it. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "api/pipeline.h"
#include "device_mock.h"
#include "fake_ptxas.h"
#include "ir/text.h"

typedef struct kit {
    bench b;
    mock m;
    gml_str explained;
    gml_program *program;
} kit;

/* A program for the mock, which says that it is a GPU of this architecture. */
static void kit_init(kit *k, int architecture, bool refuses_cubins)
{
    static const char text[] = "graph @relu(%x: f32[1,3]) {\n"
                               "  %y = Relu(%x) : f32[1,3]\n  return %y\n}\n";
    gml_module *module = NULL;
    bench_init(&k->b);
    mock_init(&k->m);
    gml_str_init(&k->explained);
    k->m.device.kind = "cuda";
    k->m.device.architecture = architecture;
    k->m.refuses_cubins = refuses_cubins;
    gml_compile_options options = {.device = &k->m.device};
    options.passes.explain = &k->explained;
    assert_ok(&k->b, gml_text_parse(text, strlen(text), "test", &k->b.diags, &module));
    assert_ok(&k->b, gml_compile(module, &options, &k->program, &k->b.diags));
    assert_int_equal(k->b.diags.list.count, 0);
}

static void kit_reset(kit *k)
{
    gml_program_release(k->program);
    gml_str_reset(&k->explained);
    mock_end(&k->m);
    bench_reset(&k->b);
}

/* What is said under --explain is what programs can read. */
static void check_said(const kit *k, const char *origin, const char *note)
{
    char line[512];
    assert_string_equal(k->program->code_origin, origin);
    check_text(k->program->code_note, note);
    snprintf(line, sizeof line, "code (%s): %s\n", origin, k->program->code_note);
    assert_non_null(strstr(k->explained.text, line));
}

static void a_cubin_is_loaded(void **state)
{
    static const char *const origins[] = {"ptxas", "cache"};
    const fake *f = *state;
    kit k;
    for (int again = 0; again < 2; again++) {
        kit_init(&k, 80, false);
        assert_int_equal(k.m.n_loads, 1);
        assert_memory_equal(k.m.image_start, "\177ELF//\n//",
                            9); /* LLVM begins with a comment */
        check_said(&k, origins[again], "bytes for sm_80");
        kit_reset(&k);
    }
    assert_int_equal(fake_count_calls(f), 1);
}

static void without_ptxas_the_ptx_is(void **state)
{
    kit k;
    (void)state;
    setenv("GEMEL_PTXAS", "none", 1);
    kit_init(&k, 80, false);
    assert_int_equal(k.m.n_loads, 1);
    assert_memory_equal(k.m.image_start, "//\n// Generated", 15);
    assert_int_equal(k.m.image_end, '\0');
    check_said(&k, "driver", "GEMEL_PTXAS says");
    kit_reset(&k);
}

static void and_where_the_driver_refuses_cubins(void **state)
{
    kit k;
    (void)state;
    for (int again = 0; again < 2; again++) {
        kit_init(&k, 80, true);
        assert_int_equal(k.m.n_loads, 2);
        assert_memory_equal(k.m.image_start, "//\n// Generated", 15);
        check_said(&k, "driver", "; refused: the image is too new");
        kit_reset(&k);
    }
}

/* The PTX is of the newest architecture that LLVM knows, the cubin of the device's own. */
static void it_is_for_the_device_as_it_is(void **state)
{
    static const struct {
        int architecture;
        const char *calls;
    } cases[] = {
        {80, "-arch=sm_80 -O3\n.target sm_80\n"},   {89, "-arch=sm_89 -O3\n.target sm_89\n"},
        {90, "-arch=sm_90a -O3\n.target sm_90a\n"}, {100, "-arch=sm_100 -O3\n.target sm_90\n"},
        {120, "-arch=sm_120 -O3\n.target sm_90\n"},
    };
    const fake *f = *state;
    fake_write(f, "the first", "grep '^.target' \"$5\" >>\"${0%ptxas}calls\"; " FAKE_COPIES);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kit k;
        char found[128] = "";
        unlink(f->calls);
        kit_init(&k, cases[i].architecture, false);
        kit_reset(&k);
        FILE *file = fopen(f->calls, "r");
        assert_non_null(file);
        assert_true(fread(found, 1, sizeof found - 1, file) > 0);
        fclose(file);
        assert_string_equal(found, cases[i].calls);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAKE_ROW(a_cubin_is_loaded),
        FAKE_ROW(without_ptxas_the_ptx_is),
        FAKE_ROW(and_where_the_driver_refuses_cubins),
        FAKE_ROW(it_is_for_the_device_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
