/* tests/unit/test_artifact_parts.c - images of several programs, which share states. */
#include "artifact_program.h"
#include "runtime/artifact.h"

static const gml_artifact_phase phase_rows[] = {{"k_add", k_add}};
static const gml_artifact_symbols symbols = {
    .phases = phase_rows, .n_phases = 1, .name = "model"};

static const float zeros[3] = {0};

static bool append(void *context, const void *bytes, size_t len)
{
    gml_str_append(context, bytes, len);
    return true;
}

static bool overwrite(void *context, uint64_t at, const void *bytes, size_t len)
{
    gml_str *text = context;
    memcpy(text->text + at, bytes, len);
    return true;
}

/* Writes and releases the programs. */
static void write_parts(bench *b, const gml_artifact_entry *entries, size_t n, gml_str *out)
{
    gml_artifact_plan *plan = NULL;
    gml_sink sink = {append, overwrite, out};
    gml_str_init(out);
    assert_ok(b, gml_artifact_plan_entries(entries, n, NULL, &plan, &b->diags));
    assert_ok(b, gml_artifact_put(plan, &sink));
    gml_artifact_plan_destroy(plan);
    for (size_t i = 0; i < n; i++)
        gml_program_release(entries[i].program);
}

/* `run_a` and `step_a` are what a is at first, as either program has it. */
static void write_both(bench *b, const float *run_a, const float *step_a, gml_str *out)
{
    gml_artifact_entry entries[] = {{"run", create_run_part(run_a)},
                                    {"step", create_step_part(step_a, zeros)}};
    write_parts(b, entries, 2, out);
}

static void first_elements_are_there_once(void **state)
{
    (void)state;
    static const float a[3] = {1, 2, 3};
    static const float same[3] = {1, 2, 3};
    static const float other[3] = {1, 2, 4};
    bench b;
    gml_str image;
    gml_str again;
    gml_artifact_image parts = {0};
    bench_init(&b);
    write_both(&b, a, other, &image);
    assert_int_equal(image.len, GML_ARTIFACT_ALIGN + 2 * sizeof a);
    gml_str_reset(&image);
    write_both(&b, a, same, &image);
    assert_int_equal(image.len, GML_ARTIFACT_ALIGN + sizeof a); /* and none of zeros */

    assert_ok(&b, gml_artifact_read_entries(image.text, image.len, &symbols, &parts, &b.diags));
    assert_int_equal(parts.n_entries, 2);
    assert_string_equal(parts.entries[1].name, "step");
    assert_ptr_equal(gml_artifact_image_find(&parts, "step"), parts.entries[1].program);
    assert_null(gml_artifact_image_find(&parts, "initialise"));
    gml_artifact_entry kept[2];
    for (int i = 0; i < 2; i++)
        kept[i] = (gml_artifact_entry){parts.entries[i].name,
                                       gml_program_retain(parts.entries[i].program)};
    kept[0].name = "run";
    kept[1].name = "step";
    gml_artifact_image_reset(&parts); /* programs outlive it */
    write_parts(&b, kept, 2, &again);
    assert_int_equal(image.len, again.len);
    assert_memory_equal(image.text, again.text, image.len);
    gml_str_reset(&image);
    gml_str_reset(&again);
    bench_reset(&b);
}

static void every_part_knows_all_states(void **state)
{
    (void)state;
    static const float a[3] = {1, 2, 3};
    bench b;
    gml_str image;
    gml_artifact_image parts = {0};
    bench_init(&b);
    write_both(&b, a, a, &image);
    assert_ok(&b, gml_artifact_read_entries(image.text, image.len, &symbols, &parts, &b.diags));
    const gml_state_port *run = gml_artifact_ports(&parts, parts.entries[0].program, &b.arena);
    const gml_state_port *step = gml_artifact_ports(&parts, parts.entries[1].program, &b.arena);
    assert_int_equal(run[0].input, 1);
    assert_int_equal(run[0].output, GML_NO_PORT);
    assert_int_equal(run[1].input, GML_NO_PORT);
    assert_int_equal(run[1].initial.dtype, GML_F32); /* from the step */
    assert_int_equal(run[1].initial.dims[0], 3);
    assert_int_equal(step[1].output, 2);
    gml_states *states = NULL;
    assert_ok(&b, gml_states_create(run, 2, NULL, NULL, &states, &b.diags));
    assert_true(gml_states_fit(states, step, 2));
    assert_false(gml_states_fit(states, step, 1));
    gml_tensor state_0;
    gml_tensor state_1;
    assert_ok(&b, gml_states_read(states, 0, &state_0, &b.diags));
    assert_ok(&b, gml_states_read(states, 1, &state_1, &b.diags));
    assert_memory_equal(state_0.data, a, sizeof a);
    assert_memory_equal(state_1.data, zeros, sizeof zeros);
    gml_states_release(states);
    gml_artifact_image_reset(&parts);
    gml_str_reset(&image);
    bench_reset(&b);
}

static void assert_refused(bench *b, const gml_artifact_entry *entries, size_t n,
                           const char *why)
{
    gml_str image;
    gml_artifact_image parts = {0};
    write_parts(b, entries, n, &image);
    assert_int_equal(
        gml_artifact_read_entries(image.text, image.len, &symbols, &parts, &b->diags),
        GML_E_INVALID);
    assert_says(b, why);
    assert_int_equal(parts.n_entries, 0);
    gml_str_reset(&image);
}

static void parts_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_artifact_entry twice[] = {{"run", create_run_part(zeros)},
                                  {"run", create_run_part(zeros)}};
    assert_refused(&b, twice, 2, "the name of a program");
    gml_artifact_entry other[] = {{"run", create_run_part(zeros)},
                                  {"step", create_step_part(zeros, zeros)}};
    other[1].program->states.items[1].name = "n";
    assert_refused(&b, other, 2, "the states of a program");
    gml_artifact_entry fewer[] = {{"run", create_run_part(zeros)},
                                  {"step", create_step_part(zeros, zeros)}};
    fewer[0].program->states.count = 1;
    assert_refused(&b, fewer, 2, "the states of a program");
    bench_reset(&b);
}

/* With the checksums made right again a change may go unnoticed, but does no harm. */
static void changes_behind_the_checksum_do_no_harm(void **state)
{
    (void)state;
    static const float a[3] = {1, 2, 3};
    bench b;
    gml_str image;
    bench_init(&b);
    write_both(&b, a, a, &image);
    size_t description = (unsigned char)image.text[24] + 256u * (unsigned char)image.text[25];
    size_t n_read = 0;
    for (size_t i = 0; i < (64 + description) * 8; i++) {
        bench c;
        gml_artifact_image parts = {0};
        char *copy = malloc(image.len);
        memcpy(copy, image.text, image.len);
        copy[i / 8] = (char)(copy[i / 8] ^ (1 << (i % 8)));
        (void)gml_artifact_seal(copy, image.len);
        bench_init(&c);
        gml_status status =
            gml_artifact_read_entries(copy, image.len, &symbols, &parts, &c.diags);
        assert_true(status == GML_OK ? parts.n_entries != 0 : c.diags.list.count != 0);
        for (size_t p = 0; p < parts.n_entries; p++)
            (void)gml_artifact_ports(&parts, parts.entries[p].program, &c.arena);
        n_read += status == GML_OK;
        gml_artifact_image_reset(&parts);
        bench_reset(&c);
        free(copy);
    }
    assert_true(n_read > 0);
    for (size_t len = 0; len < image.len; len++) { /* cut short anywhere */
        bench c;
        gml_artifact_image parts = {0};
        bench_init(&c);
        assert_int_not_equal(
            gml_artifact_read_entries(image.text, len, &symbols, &parts, &c.diags), GML_OK);
        bench_reset(&c);
    }
    gml_str_reset(&image);
    bench_reset(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_elements_are_there_once),
        cmocka_unit_test(every_part_knows_all_states),
        cmocka_unit_test(parts_that_do_not_fit_are_refused),
        cmocka_unit_test(changes_behind_the_checksum_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
