/* The log of a training: what is kept of a file that was cut anywhere. */
#define _XOPEN_SOURCE 700

#include "api/events_file.h"
#include "base/file.h"
#include "data_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_checksum_is_castagnolis(void **state)
{
    (void)state;
    assert_int_equal(gml_crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(gml_crc32c("", 0), 0);
}

static void records_are_kept_up_to_a_step(void **state)
{
    (void)state;
    const gml_scalar scalars[] = {{"loss", 0.5}, {"lr", 1e-3}};
    size_t ends[5];
    gml_str text;
    gml_str_init(&text);
    gml_events_begin(17, &text);
    ends[0] = text.len;
    for (int64_t step = 1; step < 5; step++) {
        gml_events_add(step * 10, 17, scalars, 2, &text);
        ends[step] = text.len;
    }
    for (int64_t step = 0; step < 60; step += 5)
        assert_int_equal(gml_events_keep(text.text, text.len, step),
                         ends[step / 10 < 4 ? step / 10 : 4]);
    for (size_t len = 0, whole = 0; len <= text.len; len++) { /* cut anywhere */
        while (whole < 5 && ends[whole] <= len)
            whole++;
        assert_int_equal(gml_events_keep(text.text, len, 100), whole ? ends[whole - 1] : 0);
    }
    for (size_t i = 0; i < text.len; i++) { /* and damaged anywhere */
        size_t record = 0;
        while (ends[record] <= i)
            record++;
        text.text[i] = (char)(text.text[i] ^ 0x10);
        assert_int_equal(gml_events_keep(text.text, text.len, 100),
                         record ? ends[record - 1] : 0);
        text.text[i] = (char)(text.text[i] ^ 0x10);
    }
    gml_str_reset(&text);
}

static void put_steps(const char *root, int64_t begin, int64_t end)
{
    gml_arena arena;
    gml_diags diags;
    gml_log *log = NULL;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    assert_int_equal(gml_log_open(root, begin, &log, &diags), GML_OK);
    for (int64_t step = begin + 1; step <= end; step++) {
        const gml_scalar scalar = {"loss", (double)step / 8};
        assert_int_equal(gml_log_put(log, step, 3, &scalar, 1, &diags), GML_OK);
    }
    gml_log_close(log);
    gml_arena_reset(&arena);
}

static gml_str read_file(const char *root, const char *name)
{
    gml_arena arena;
    gml_diags diags;
    gml_file file;
    gml_str text;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    gml_str_init(&text);
    assert_int_equal(gml_file_map(gml_arena_printf(&arena, "%s/%s", root, name), &file, &diags),
                     GML_OK);
    gml_str_append(&text, file.data, file.size);
    gml_file_unmap(&file);
    gml_arena_reset(&arena);
    return text;
}

/* A log that is gone on with behind step 4 has the lines of one in one piece. */
static void a_log_goes_on(void **state)
{
    (void)state;
    static const char *const names[] = {"log.jsonl", "events.out.tfevents.gemel"};
    char *root = data_files_create();
    put_steps(root, 0, 9);
    gml_str whole[2] = {read_file(root, names[0]), read_file(root, names[1])};
    data_write(root, "log.jsonl", "x", 0); /* a log that is lost does not hinder */
    put_steps(root, 9, 9);
    data_write(root, names[0], whole[0].text, whole[0].len - 3);
    put_steps(root, 4, 9);
    for (int i = 0; i < 2; i++) {
        gml_str again = read_file(root, names[i]);
        assert_int_equal(again.len, whole[i].len);
        assert_memory_equal(again.text, whole[i].text, again.len);
        gml_str_reset(&again);
        gml_str_reset(&whole[i]);
    }
    gml_str lines = read_file(root, names[0]);
    assert_non_null(strstr(lines.text, "{\"step\":9,\"time\":3.0,\"loss\":1.125}\n"));
    gml_str_reset(&lines);
    data_files_remove(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_castagnolis),
        cmocka_unit_test(records_are_kept_up_to_a_step),
        cmocka_unit_test(a_log_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
