/* tests/unit/emu_launch.h - kernels in C on the emulator, and what its reports have to say. */
#ifndef GML_TESTS_EMU_LAUNCH_H
#define GML_TESTS_EMU_LAUNCH_H

#include "runtime/emu.h"
#include "runtime/emu_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static gml_arena arena;
static gml_diags diags;
static uint32_t shared_bytes = 8192; /* of a launch */

static int set_up(void **state)
{
    static const gml_emu_options plain = {0};
    (void)state;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    gml_emu_set_options(&plain);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gml_arena_reset(&arena);
    return 0;
}

static inline void set_order(gml_emu_order order, uint64_t seed)
{
    gml_emu_set_options(&(gml_emu_options){.order = order, .seed = seed});
}

static inline gml_status launch(const char *name, gml_lane_fn lane, uint32_t threads,
                                uint32_t blocks, void *data)
{
    gml_launch how = {.threads = threads, .shared = shared_bytes};
    void *params[1] = {&data};
    gml_diags_truncate(&diags, 0);
    return gml_emu_launch(name, lane, &how, blocks, params, &diags);
}

static inline void expect_ok(gml_status status)
{
    if (status != GML_OK)
        fail_msg("%s", gml_diags_print(&diags));
}

/* The launch failed, and said each of `words` (NULL ends them). */
static inline void expect_words(gml_status status, const char *const *words)
{
    assert_int_equal(status, GML_E_DEVICE);
    const char *text = gml_diags_print(&diags);
    if (getenv("TEST_EMU_PRINT"))
        fputs(text, stderr);
    for (; *words; words++)
        if (!strstr(text, *words))
            fail_msg("no '%s' in: %s", *words, text);
}

#define EXPECT_WORDS(status, ...) expect_words(status, (const char *const[]){__VA_ARGS__, NULL})

static inline float load(const float *at, const char *site)
{
    gml_emu_access(at, sizeof *at, sizeof *at, GML_EMU_LOAD, site);
    return *at;
}

static inline void store(float *at, float value, const char *site)
{
    gml_emu_access(at, sizeof *at, sizeof *at, GML_EMU_STORE, site);
    *at = value;
}

static inline float *data_of(void *const *params)
{
    return *(float *const *)params[0];
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
