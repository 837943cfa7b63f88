/* tests/unit/device_program.h - kernels of program_util.h as a device has them, and programs of
 * them moved to one. */
#ifndef GML_TESTS_DEVICE_PROGRAM_H
#define GML_TESTS_DEVICE_PROGRAM_H

#include "program_util.h"
#include "runtime/device.h"

#define THREADS 32

/* ---- Kernels: the first thread of the one block does it all ------------------------------ */

static unsigned turn;

static bool is_first(void)
{
    return turn++ % THREADS == 0;
}

static void *mem(void *const *params, int number)
{
    return *(void *const *)params[number];
}

static int64_t units(void *const *params, int number)
{
    return *(const int64_t *)params[number];
}

/* a, b, out, sizes, units */
static void l_add(void *const *params)
{
    const float *a = mem(params, 0);
    const float *b = mem(params, 1);
    float *out = mem(params, 2);
    for (int64_t i = 0, n = is_first() ? units(params, 4) : 0; i < n; i++)
        out[i] = a[i] + b[i];
}

/* x, out, sizes, units */
static void l_double(void *const *params)
{
    const float *x = mem(params, 0);
    float *out = mem(params, 1);
    for (int64_t i = 0, n = is_first() ? units(params, 3) : 0; i < n; i++)
        out[i] = 2 * x[i];
}

/* x, out, sizes, units, a map that tells where the elements are, and how many: x, turned round
 */
static void l_turn(void *const *params)
{
    int64_t map[2];
    memcpy(map, params[4], sizeof map);
    const float *x = (const float *)(uintptr_t)map[0];
    float *out = mem(params, 1);
    for (int64_t i = 0, n = is_first() ? units(params, 3) : 0; i < n; i++)
        out[i] = x[map[1] - 1 - i];
}

/* x, the sum, the blocks' sums, sizes, units: as k_blocks and k_total of program_util.h. */
static void l_blocks(void *const *params)
{
    const float *x = mem(params, 0);
    float *sums = mem(params, 2);
    int64_t all = is_first() ? *(const int64_t *)mem(params, 3) : 0;
    for (int64_t b = 0; b < units(params, 4) && all != 0; b++) {
        sums[b] = 0;
        for (int64_t i = 4 * b; i < 4 * b + 4 && i < all; i++)
            sums[b] += x[i];
    }
}

static void l_total(void *const *params)
{
    float *total = mem(params, 1);
    const float *sums = mem(params, 2);
    int64_t all = *(const int64_t *)mem(params, 3);
    if (!is_first())
        return;
    *total = 0;
    for (int64_t b = 0; 4 * b < all; b++)
        *total += sums[b];
}

static gml_lane_fn find_lane(const char *symbol)
{
    static const struct {
        const char *symbol;
        gml_lane_fn lane;
    } lanes[] = {{"k_add", l_add},
                 {"k_double", l_double},
                 {"k_blocks", l_blocks},
                 {"k_total", l_total},
                 {"k_turn", l_turn}};
    for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++)
        if (strcmp(lanes[i].symbol, symbol) == 0)
            return lanes[i].lane;
    fail();
    return NULL;
}

/* ---- Programs --------------------------------------------------------------------------- */

/* Gives a program of CPU kernels to a device. */
static GML_UNUSED void move_to(bench *b, gml_program *p, gml_device *device, bool is_outermost)
{
    gml_launch launch = {.threads = THREADS, .per_block = 1 << 20};
    gml_device_code *code = NULL;
    p->device = gml_device_retain(device);
    assert_ok(b, gml_device_load(device, NULL, 0, &code, &b->diags));
    for (size_t s = 0; s < p->steps.count; s++) {
        gml_step *step = &p->steps.items[s];
        gml_phase *phases =
            gml_arena_copy(&p->arena, step->phases, step->n_phases * sizeof *phases);
        for (uint32_t i = 0; i < step->n_phases; i++) {
            const char *symbol = phases[i].symbol;
            phases[i].run = NULL;
            launch.n_maps = phases[i].launch.n_maps;
            assert_ok(b, gml_device_find(code, symbol, find_lane(symbol), &launch,
                                         &phases[i].kernel, &b->diags));
        }
        step->phases = phases;
    }
    if (is_outermost)
        p->code = code;
    else
        gml_device_unload(code);
    assert_ok(b, gml_program_plan(p, &b->diags));
}

#endif
