/* tests/unit/kernel_run.h - kernels over noise, by the interpreter. */
#ifndef GML_TESTS_KERNEL_RUN_H
#define GML_TESTS_KERNEL_RUN_H

#include "ir/eval.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static size_t count_elements(const gml_mem *mem)
{
    size_t n = 1;
    for (int d = 0; d < mem->rank; d++)
        n *= (size_t)mem->dims[d];
    return n;
}

/* What a run takes memory from, and where it says what is wrong. */
typedef struct run_place {
    gml_arena *arena;
    gml_diags *diags;
} run_place;

/* Outputs of a kernel over noise, one after the other. `over` says over which inputs they may
 * lie, and then they do; NULL: they do not. */
static float *run_kernel(const gml_kernel *kernel, const run_place *place, const uint64_t *over,
                         size_t *out_count)
{
    void **inputs = gml_new_array(place->arena, void *, kernel->inputs.count + 1);
    void **outputs = gml_new_array(place->arena, void *, kernel->outputs.count + 1);
    uint32_t state = 1;
    *out_count = 0;
    for (size_t i = 0; i < kernel->inputs.count; i++) {
        size_t n = count_elements(kernel->inputs.items[i]);
        float *data = gml_new_array(place->arena, float, n);
        for (size_t e = 0; e < n; e++) {
            state = state * 1664525U + 1013904223U;
            data[e] = (float)(state >> 8) / (float)(1U << 23) - 1.0F;
        }
        inputs[i] = data;
    }
    for (size_t i = 0; i < kernel->outputs.count; i++)
        *out_count += count_elements(kernel->outputs.items[i]);
    float *all = gml_new_array(place->arena, float, *out_count);
    float *at = all;
    for (size_t i = 0; i < kernel->outputs.count; i++) {
        outputs[i] = at;
        if (over && over[i])
            outputs[i] = inputs[__builtin_ctzll(over[i])];
        at += count_elements(kernel->outputs.items[i]);
    }
    gml_eval_args args = {inputs, outputs, NULL};
    assert_int_equal(gml_kernel_eval(kernel, &args, place->diags, (gml_loc){0}), GML_OK);
    at = all;
    for (size_t i = 0; i < kernel->outputs.count; i++) {
        size_t n = count_elements(kernel->outputs.items[i]);
        memmove(at, outputs[i], n * sizeof *at);
        at += n;
    }
    return all;
}

#endif
