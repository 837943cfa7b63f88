/* tests/unit/program_util.h - programs built by hand, their kernels plain C functions. */
#ifndef GML_TESTS_PROGRAM_UTIL_H
#define GML_TESTS_PROGRAM_UTIL_H

#include "runtime/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GML_UNUSED __attribute__((unused))

typedef struct bench {
    gml_arena arena;
    gml_diags diags;
} bench;

static GML_UNUSED void bench_init(bench *b)
{
    gml_arena_init(&b->arena);
    gml_diags_init(&b->diags, &b->arena);
}

static GML_UNUSED void bench_reset(bench *b)
{
    gml_arena_reset(&b->arena);
}

static GML_UNUSED void assert_ok(bench *b, gml_status status)
{
    if (status != GML_OK)
        print_error("%s", gml_diags_print(&b->diags));
    assert_int_equal(status, GML_OK);
}

/* The newest diagnostic has `text` in it. */
static GML_UNUSED void assert_says(bench *b, const char *text)
{
    const char *all = gml_diags_print(&b->diags);
    if (strstr(all, text) == NULL)
        print_error("no \"%s\" in: %s", text, all);
    assert_non_null(strstr(all, text));
}

static GML_UNUSED void add_check(gml_program *p, gml_relation relation, gml_dim a, gml_dim b,
                                 uint32_t step)
{
    gml_check check = {relation, a, b, "node", "Op", step};
    gml_push(&p->arena, &p->checks, check);
}

static GML_UNUSED uint32_t add_slot(gml_program *p, gml_slot_kind kind, gml_dtype dtype,
                                    int rank, const gml_dim *dims)
{
    gml_slot slot = {.kind = kind, .dtype = dtype, .rank = rank};
    slot.dims = gml_arena_copy(&p->arena, dims, rank > 0 ? (size_t)rank * sizeof *dims : 0);
    gml_push(&p->arena, &p->slots, slot);
    return (uint32_t)p->slots.count - 1;
}

static GML_UNUSED uint32_t add_vector(gml_program *p, gml_slot_kind kind, gml_dim n)
{
    return add_slot(p, kind, GML_F32, 1, &n);
}

static GML_UNUSED const uint32_t *numbers_of(gml_program *p, size_t n, const uint32_t *numbers)
{
    return gml_arena_copy(&p->arena, numbers, n * sizeof *numbers);
}

#define GML_LIST(...)                                                                          \
    sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (const uint32_t[])                   \
    {                                                                                          \
        __VA_ARGS__                                                                            \
    }

static GML_UNUSED void set_inputs(gml_program *p, size_t n, const uint32_t *slots)
{
    p->inputs = gml_arena_copy(&p->arena, slots, n * sizeof *slots);
    p->n_inputs = (uint32_t)n;
}

static GML_UNUSED void set_outputs(gml_program *p, size_t n, const uint32_t *slots)
{
    p->outputs = gml_arena_copy(&p->arena, slots, n * sizeof *slots);
    p->n_outputs = (uint32_t)n;
}

static GML_UNUSED gml_step *add_step(gml_program *p, gml_step_kind kind, const char *node,
                                     size_t n_inputs, const uint32_t *inputs, uint32_t output)
{
    gml_step step = {.kind = kind, .name = node, .node = node, .op = "Test"};
    step.inputs = numbers_of(p, n_inputs, inputs);
    step.n_inputs = (uint32_t)n_inputs;
    step.outputs = numbers_of(p, 1, &output);
    step.n_outputs = 1;
    gml_push(&p->arena, &p->steps, step);
    return &p->steps.items[p->steps.count - 1];
}

static GML_UNUSED void add_phase(gml_program *p, gml_step *step, gml_phase_fn run,
                                 const char *symbol, gml_dim extent)
{
    gml_phase *phases = gml_new_array(&p->arena, gml_phase, step->n_phases + 1);
    if (step->n_phases != 0)
        memcpy(phases, step->phases, step->n_phases * sizeof *phases);
    phases[step->n_phases++] = (gml_phase){.run = run, .extent = extent, .symbol = symbol};
    step->phases = phases;
}

/* A kernel of one phase: out[i] from the operands' elements i. */
static GML_UNUSED uint32_t add_map(gml_program *p, gml_phase_fn run, const char *symbol,
                                   size_t n_inputs, const uint32_t *inputs, gml_dim n)
{
    uint32_t out = add_vector(p, GML_SLOT_ARENA, n);
    gml_step *step = add_step(p, GML_STEP_KERNEL, symbol, n_inputs, inputs, out);
    add_phase(p, step, run, symbol, n);
    return out;
}

static GML_UNUSED gml_rvalue tensor_view(gml_dtype dtype, int rank, const int64_t *dims,
                                         void *data)
{
    gml_rvalue value = {.kind = GML_RVALUE_TENSOR};
    value.tensor = (gml_tensor){.dtype = dtype, .rank = rank, .data = data};
    for (int i = 0; i < rank; i++)
        value.tensor.dims[i] = dims[i];
    return value;
}

static GML_UNUSED gml_rvalue vector_view(int64_t n, float *data)
{
    return tensor_view(GML_F32, 1, &n, data);
}

/* ---- Kernels ---------------------------------------------------------------------------- */

static GML_UNUSED void k_add(void *const *mems, const int64_t *dims, int64_t begin, int64_t end,
                             void *scratch)
{
    const float *a = mems[0];
    const float *b = mems[1];
    float *out = mems[2];
    (void)dims;
    (void)scratch;
    for (int64_t i = begin; i < end; i++)
        out[i] = a[i] + b[i];
}

static GML_UNUSED void k_double(void *const *mems, const int64_t *dims, int64_t begin,
                                int64_t end, void *scratch)
{
    const float *a = mems[0];
    float *out = mems[1];
    (void)dims;
    (void)scratch;
    for (int64_t i = begin; i < end; i++)
        out[i] = 2 * a[i];
}

/* Sums in blocks of 4: mems are x, the sum, the blocks' sums; dims[0] is the length of x. The
 * thread's scratch holds a block. */
static GML_UNUSED void k_blocks(void *const *mems, const int64_t *dims, int64_t begin,
                                int64_t end, void *scratch)
{
    const float *x = mems[0];
    float *sums = mems[2];
    float *block = scratch;
    for (int64_t b = begin; b < end; b++) {
        int64_t n = dims[0] - 4 * b < 4 ? dims[0] - 4 * b : 4;
        memcpy(block, x + 4 * b, (size_t)n * sizeof *block);
        sums[b] = 0;
        for (int64_t i = 0; i < n; i++)
            sums[b] += block[i];
    }
}

static GML_UNUSED void k_total(void *const *mems, const int64_t *dims, int64_t begin,
                               int64_t end, void *scratch)
{
    const float *sums = mems[2];
    float *total = mems[1];
    (void)begin;
    (void)end;
    (void)scratch;
    *total = 0;
    for (int64_t b = 0; 4 * b < dims[0]; b++)
        *total += sums[b];
}

/* Result: the sum of x, of n elements; n must be the program's first size. */
static GML_UNUSED uint32_t add_sum(gml_program *p, uint32_t x, gml_dim n)
{
    uint32_t out = add_slot(p, GML_SLOT_ARENA, GML_F32, 0, NULL);
    gml_step *step = add_step(p, GML_STEP_KERNEL, "sum", 1, &x, out);
    gml_dim blocks = gml_dim_ceil_div(&p->dims, n, 4);
    gml_dim bytes = gml_dim_mul(&p->dims, blocks, 4);
    step->temporaries = gml_arena_copy(&p->arena, &bytes, sizeof bytes);
    step->n_temporaries = 1;
    step->scratch = 16;
    add_phase(p, step, k_blocks, "k_blocks", blocks);
    add_phase(p, step, k_total, "k_total", 1);
    return out;
}

#endif
