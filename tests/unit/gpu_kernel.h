/* tests/unit/gpu_kernel.h - a graph that becomes one kernel, as code of the emulator. */
#ifndef GML_TESTS_GPU_KERNEL_H
#define GML_TESTS_GPU_KERNEL_H

#include "codegen/codegen.h"
#include "ir/eval.h"
#include "ir/lower.h"
#include "ir/op.h"
#include "ir/text.h"
#include "passes/pass.h"
#include "runtime/emu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST_MEMS   16
#define MOST_PHASES 8
#define MOST_MAPS   2
#define COUNT(a)    (sizeof(a) / sizeof *(a))

typedef struct graph_case {
    const char *name;
    const char *text; /* becomes one kernel */
    gml_precision precision;
    const char *cpu;      /* emulated; NULL: sm_90a */
    double bound;         /* of errors, relative to the largest element */
    bool is_product;      /* of x (B, M, K) and y (B, K, N): plain loops are faster */
    unsigned n_shared;    /* of the kernel: its stages have so many loops in common */
    unsigned least;       /* barriers and waits in it */
    bool is_over;         /* its first output may take the place of an input */
    unsigned from;        /* those before this number are another case's */
    const char *needless; /* numbers that change nothing, as ",3,7,"; each with its reason */
} graph_case;

/* A kernel's code. */
typedef struct built {
    gml_arena arena;
    gml_diags diags;
    gml_kernel *kernel;
    gml_codegen *codegen;
    gml_jit *jit;
    gml_code code;
    unsigned n_meetings;
} built;

/* What it works on; the emulator's memory. */
typedef struct data {
    void *mems[MOST_MEMS];
    size_t bytes[MOST_MEMS];
    unsigned n_inputs, n_outputs, n_mems;
    uint64_t over[MOST_MEMS]; /* of an output: inputs whose place it may take */
    bool in_place;            /* and does, in runs to come */
} data;

/* The one node that is not a constant. */
static const gml_node *find_node(const graph_case *c, const gml_module *module)
{
    const gml_node *found = NULL;
    for (const gml_node *node = module->main->first; node; node = node->next) {
        if (node->results[0].constant)
            continue;
        if (found)
            fail_msg("%s is several kernels", c->name);
        found = node;
    }
    assert_non_null(found);
    return found;
}

/* Operands in bf16 are read by the product itself, as passes/autocast.c has them. */
static void read_in_place(gml_module *module)
{
    for (gml_node *node = module->main->first; node; node = node->next)
        if (node->op == &gml_op_cast)
            node->is_again = node->operands[0]->type.dtype == GML_BF16;
}

static gml_module *parse(const graph_case *c)
{
    gml_arena arena;
    gml_diags diags;
    gml_module *module = NULL;
    gml_passes_options options = {.verify = true, .is_gpu = true};
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    if (gml_text_parse(c->text, strlen(c->text), c->name, &diags, &module) != GML_OK ||
        gml_passes_run(module, "infer,expand,simplify,dce", &options, &diags) != GML_OK)
        fail_msg("%s: %s", c->name, gml_diags_print(&diags));
    read_in_place(module);
    if (gml_passes_run(module, "fuse,stage,sums", &options, &diags) != GML_OK)
        fail_msg("%s: %s", c->name, gml_diags_print(&diags));
    gml_arena_reset(&arena);
    return module;
}

static void lower(built *b, const graph_case *c, gml_module *module)
{
    const gml_node *node = find_node(c, module);
    gml_arena_init(&b->arena);
    gml_diags_init(&b->diags, &b->arena);
    unsigned *numbers = gml_new_array(&b->arena, unsigned, node->n_operands + 1);
    b->kernel = gml_lower_node(&b->arena, &module->dims, node, numbers);
}

static void build(built *b, const graph_case *c, gml_module *module, unsigned omit)
{
    gml_target target = {
        .gpu = GML_GPU_EMU, .precision = c->precision, .cpu = c->cpu, .omit = omit};
    lower(b, c, module);
    if (gml_codegen_create(&target, &b->codegen, &b->diags) != GML_OK ||
        gml_codegen_add(b->codegen, b->kernel, 0, &b->code, &b->diags) != GML_OK ||
        gml_codegen_jit(b->codegen, &b->jit, &b->diags) != GML_OK)
        fail_msg("%s: %s", c->name, gml_diags_print(&b->diags));
    b->n_meetings = gml_codegen_meetings(b->codegen);
    assert_true(b->code.n_phases <= MOST_PHASES);
}

static void built_reset(built *b)
{
    gml_jit_destroy(b->jit);
    gml_codegen_destroy(b->codegen);
    gml_arena_reset(&b->arena);
}

/* ---- data ---------------------------------------------------------------------------------
 */

static size_t bytes_of(const gml_mem *mem)
{
    size_t bytes = gml_dtype_size(mem->dtype);
    for (int d = 0; d < mem->rank; d++)
        bytes *= (size_t)mem->dims[d];
    return bytes;
}

static void add_memory(data *d, size_t bytes)
{
    assert_true(d->n_mems < MOST_MEMS);
    d->bytes[d->n_mems] = bytes;
    d->mems[d->n_mems] = gml_emu_allocate(bytes);
    assert_non_null(d->mems[d->n_mems]);
    d->n_mems++;
}

/* Inputs are multiples of 1/16 from -1 to 1, which bf16 holds. */
static void data_init(data *d, const built *b, unsigned n_inputs)
{
    uint32_t state = 1;
    const gml_kernel *kernel = b->kernel;
    *d = (data){.n_inputs = n_inputs, .n_outputs = (unsigned)kernel->outputs.count};
    for (unsigned i = 0; i < n_inputs; i++) {
        size_t size = gml_dtype_size(kernel->inputs.items[i]->dtype);
        assert_true(kernel->inputs.items[i]->dtype == GML_F32 ||
                    kernel->inputs.items[i]->dtype == GML_BF16);
        add_memory(d, bytes_of(kernel->inputs.items[i]));
        for (size_t k = 0; k < d->bytes[i] / size; k++) {
            state = state * 1664525U + 1013904223U;
            float value = (float)(state >> 27) / 16 - 1;
            /* the upper half is the bf16 */
            memcpy((char *)d->mems[i] + k * size, (const char *)&value + 4 - size, size);
        }
    }
    for (unsigned i = 0; i < d->n_outputs; i++)
        add_memory(d, bytes_of(kernel->outputs.items[i]));
    gml_kernel_over(kernel, d->over);
    for (unsigned i = 0; i < b->code.n_temporaries; i++)
        add_memory(d, (size_t)b->code.temporaries[i]);
}

static void data_reset(data *d)
{
    for (unsigned i = 0; i < d->n_mems; i++)
        gml_emu_free(d->mems[i]);
}

/* What the kernel writes is poison before. */
static gml_status run(built *b, data *d, const gml_emu_options *options, uint32_t most_blocks)
{
    void *params[MOST_MEMS + 2 + MOST_MAPS];
    int64_t maps[MOST_MAPS][GML_MAP_BYTES / sizeof(int64_t)];
    const int64_t *dims = NULL;
    gml_diags_truncate(&b->diags, 0);
    gml_emu_set_options(options);
    for (unsigned i = d->n_inputs; i < d->n_mems; i++)
        memset(d->mems[i], 0xff, d->bytes[i]);
    for (unsigned i = 0; i < d->n_mems; i++)
        params[i] = &d->mems[i];
    for (unsigned i = 0; d->in_place && i < d->n_outputs; i++)
        if (d->over[i]) {
            void **output = &d->mems[d->n_inputs + i];
            unsigned input = (unsigned)__builtin_ctzll(d->over[i]);
            memcpy(*output, d->mems[input], d->bytes[input]);
            params[input] = output;
        }
    params[d->n_mems] = &dims;
    for (unsigned i = 0; i < b->code.n_phases; i++) {
        const gml_code_phase *phase = &b->code.phases[i];
        int64_t units = phase->extent;
        int64_t blocks = (units + phase->launch.per_block - 1) / phase->launch.per_block;
        blocks = blocks < most_blocks ? blocks : most_blocks;
        params[d->n_mems + 1] = &units;
        for (unsigned k = 0; k < phase->launch.n_maps; k++) {
            const gml_map_layout *map = &phase->maps[k];
            assert_true(k < MOST_MAPS && map->mem < d->n_mems);
            assert_null(gml_emu_encode(map, *(void **)params[map->mem], maps[k]));
            params[d->n_mems + 2 + k] = maps[k];
        }
        gml_lane_fn lane = gml_jit_find_lane(b->jit, phase->symbol);
        assert_non_null(lane);
        GML_TRY(gml_emu_launch(phase->symbol, lane, &phase->launch, (uint32_t)blocks, params,
                               &b->diags));
    }
    return GML_OK;
}

#endif
