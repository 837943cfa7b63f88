/* tests/unit/test_floor.c - what kernels of a GPU move and do, counted by hand; the floors that
 * follow, and what of it could be saved. */
#include "api/execute.h"
#include "api/floor.h"
#include "api/pipeline.h"
#include "ir/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

typedef struct count {
    double bytes, mma, flops;
    uint32_t n_launches;
} count;

typedef struct floor_case {
    const char *name, *text;
    gml_precision precision;
    bool is_cast; /* values are stored as bf16 where products round them so (passes/autocast.c)
                   */
    const char *states[2][2];       /* a parameter, and what it becomes */
    count kernels[4];               /* those of the program, in order */
    double saved[GML_SAVING_COUNT]; /* bytes */
} floor_case;

#define CALL(params, body) "graph @f(" params ") {\n" body "}\n"

/* A product of 2048 x 64 by 64 x 1152 in tiles, sums of 64. */
#define M 2048.0
#define K 64.0
#define N 1152.0

static const floor_case cases[] = {
    {.name = "elementwise",
     .text = CALL("%x: f32[1000], %y: f32[1000]", "  %s = Add(%x, %y) : f32[1000]\n"
                                                  "  %z = Tanh(%s) : f32[1000]\n"
                                                  "  return %z\n"),
     .kernels = {{3 * 4000, 0, 2 * 1000, 1}}},
    {.name = "another element type",
     .text = CALL("%x: bf16[1000], %y: f32[1000]", "  %s = Cast(%x) {to = 1} : f32[1000]\n"
                                                   "  %z = Mul(%s, %y) : f32[1000]\n"
                                                   "  return %z\n"),
     .kernels = {{2000 + 2 * 4000, 0, 2 * 1000, 1}}},
    {.name = "a third of what is there",
     .text = CALL("%x: f32[128,768], %y: f32[128,256]",
                  "  %from = Constant {value = [256]} : i64[1]\n"
                  "  %to = Constant {value = [512]} : i64[1]\n"
                  "  %axes = Constant {value = [1]} : i64[1]\n"
                  "  %b = Slice(%x, %from, %to, %axes) : f32[128,256]\n"
                  "  %z = Mul(%b, %y) : f32[128,256]\n"
                  "  return %z\n"),
     .kernels = {{3 * 128 * 256 * 4, 0, 128 * 256, 1}}},
    {.name = "every second element",
     .text = CALL("%x: f32[1000], %y: f32[500]",
                  "  %from = Constant {value = [0]} : i64[1]\n"
                  "  %to = Constant {value = [1000]} : i64[1]\n"
                  "  %axes = Constant {value = [0]} : i64[1]\n"
                  "  %steps = Constant {value = [2]} : i64[1]\n"
                  "  %b = Slice(%x, %from, %to, %axes, %steps) : f32[500]\n"
                  "  %z = Mul(%b, %y) : f32[500]\n"
                  "  return %z\n"),
     .kernels = {{3 * 500 * 4, 0, 500, 1}}},
    {.name = "copies",
     .text = CALL("%x: f32[128,768], %y: f32[128,256]",
                  "  %a, %b, %c = Split(%x) {axis = -1, num_outputs = 3} : f32[128,256], "
                  "f32[128,256], f32[128,256]\n"
                  "  %z = Mul(%b, %y) : f32[128,256]\n"
                  "  return %z\n"),
     .kernels = {{2 * 128 * 768 * 4, 0, 0, 3}, {3 * 128 * 256 * 4, 0, 128 * 256, 1}},
     .saved = {[GML_SAVING_COPIES] = 2 * 128 * 768 * 4}},
    /* a row is read once, though three loops go over it; of an element: 1 for the mean, 4 for
     * the variance (the mean's division, a difference, its square, the sum), 9 at last */
    {.name = "a norm",
     .text = CALL("%x: f32[64,768], %w: f32[768], %b: f32[768]",
                  "  %y = LayerNormalization(%x, %w, %b) {axis = -1} : f32[64,768]\n"
                  "  return %y\n"),
     .kernels = {{2 * 64 * 768 * 4 + 2 * 768 * 4, 0, 14 * 64 * 768, 1}}},
    {.name = "a product in f32",
     .text = CALL("%x: f32[2048,64], %y: f32[64,1152]",
                  "  %z = MatMul(%x, %y) : f32[2048,1152]\n  return %z\n"),
     .kernels = {{4 * (M * K + K * N + M * N), 0, 2 * M *K *N, 1}}},
    /* both operands are read as f32, written as bf16 (one rounding each), and read so */
    {.name = "a streamed product",
     .text = CALL("%x: f32[2048,64], %y: f32[64,1152]",
                  "  %z = MatMul(%x, %y) : f32[2048,1152]\n  return %z\n"),
     .precision = GML_PRECISION_MEDIUM,
     .kernels = {{(4 + 2 + 2) * (M * K + K * N) + 4 * M * N, 2 * M *K *N, M *K + K *N, 3}}},
    /* what is between could be written as bf16 at once: 4 + 4 + 2 bytes become 2 */
    {.name = "a product of a product",
     .text = CALL("%x: f32[2048,64], %y: f32[64,1152], %w: f32[1152,1152]",
                  "  %h = MatMul(%x, %y) : f32[2048,1152]\n"
                  "  %z = MatMul(%h, %w) : f32[2048,1152]\n"
                  "  return %z\n"),
     .precision = GML_PRECISION_MEDIUM,
     .kernels = {{8 * (M * K + K * N) + 4 * M * N, 2 * M *K *N, M *K + K *N, 3},
                 {8 * (M * N + N * N) + 4 * M * N, 2 * M *N *N, M *N + N *N, 3}},
     .saved = {[GML_SAVING_OPERANDS] = 8 * M * N}},
    /* and is: the first product stores bf16, with a rounding each, and the second reads it */
    {.name = "a product of a product, cast",
     .text = CALL("%x: f32[2048,64], %y: f32[64,1152], %w: f32[1152,1152]",
                  "  %h = MatMul(%x, %y) : f32[2048,1152]\n"
                  "  %z = MatMul(%h, %w) : f32[2048,1152]\n"
                  "  return %z\n"),
     .precision = GML_PRECISION_MEDIUM,
     .is_cast = true,
     .kernels = {{8 * (M * K + K * N) + 2 * M * N, 2 * M *K *N, M *K + K *N + M *N, 3},
                 {8 * N * N + 2 * M * N + 4 * M * N, 2 * M *N *N, N *N, 2}}},
    /* and is written in both types where it is wanted in f32 too */
    {.name = "a product of a result",
     .text = CALL("%x: f32[2048,64], %y: f32[64,1152], %w: f32[1152,1152]",
                  "  %h = MatMul(%x, %y) : f32[2048,1152]\n"
                  "  %z = MatMul(%h, %w) : f32[2048,1152]\n"
                  "  return %z, %h\n"),
     .precision = GML_PRECISION_MEDIUM,
     .kernels = {{8 * (M * K + K * N) + 4 * M * N, 2 * M *K *N, M *K + K *N, 3},
                 {8 * (M * N + N * N) + 4 * M * N, 2 * M *N *N, M *N + N *N, 3}},
     .saved = {[GML_SAVING_OPERANDS] = 4 * M * N}},
    {.name = "a product of a result, cast",
     .text = CALL("%x: f32[2048,64], %y: f32[64,1152], %w: f32[1152,1152]",
                  "  %h = MatMul(%x, %y) : f32[2048,1152]\n"
                  "  %z = MatMul(%h, %w) : f32[2048,1152]\n"
                  "  return %z, %h\n"),
     .precision = GML_PRECISION_MEDIUM,
     .is_cast = true,
     .kernels = {{8 * (M * K + K * N) + 6 * M * N, 2 * M *K *N, M *K + K *N + M *N, 3},
                 {2 * M * N + 8 * N * N + 4 * M * N, 2 * M *N *N, N *N, 2}}},
    /* one copy of what two read, 4 + 2 bytes, in the place of two */
    {.name = "two products of an input, cast",
     .text = CALL("%x: f32[2048,64], %y: f32[64,1152], %z: f32[64,1152]",
                  "  %a = MatMul(%x, %y) : f32[2048,1152]\n"
                  "  %b = MatMul(%x, %z) : f32[2048,1152]\n"
                  "  return %a, %b\n"),
     .precision = GML_PRECISION_MEDIUM,
     .is_cast = true,
     .kernels = {{6 * M * K, 0, M *K, 1},
                 {2 * M * K + 8 * K * N + 4 * M * N, 2 * M *K *N, K *N, 2},
                 {2 * M * K + 8 * K * N + 4 * M * N, 2 * M *K *N, K *N, 2}},
     .saved = {[GML_SAVING_COPIES] = 6 * M * K}},
    /* 128 parts of 32 each */
    {.name = "a sum in two phases",
     .text = CALL("%x: f32[4096,768]", "  %axes = Constant {value = [0]} : i64[1]\n"
                                       "  %y = ReduceSum(%x, %axes) {keepdims = 0} : f32[768]\n"
                                       "  return %y\n"),
     .kernels = {{4096 * 768 * 4 + 2 * 128 * 768 * 4 + 768 * 4, 0, 4096 * 768 + 128 * 768, 2}}},
    /* the norm's 1056 blocks sum their rows; parts of them are summed in 33 parts of 32 */
    {.name = "a sum of what a kernel writes",
     .text = CALL("%x: f32[4096,768], %w: f32[768]",
                  "  %axes = Constant {value = [0]} : i64[1]\n"
                  "  %n = LayerNormalization(%x, %w) {axis = -1} : f32[4096,768]\n"
                  "  %y = ReduceSum(%n, %axes) {keepdims = 0} : f32[768]\n"
                  "  return %y, %n\n"),
     .kernels = {{2 * 4096 * 768 * 4 + 768 * 4 + 2 * (1056 + 33) * 768 * 4 + 768 * 4, 0,
                  13 * 4096 * 768 + (4096 + 1056 + 33) * 768, 3}}},
    /* what is summed is a part of what the kernel wrote: by itself, in 64 parts of 32 */
    {.name = "a sum of what a kernel wrote",
     .text = CALL("%x: f32[4096,768], %w: f32[768]",
                  "  %axes = Constant {value = [0]} : i64[1]\n"
                  "  %none = Constant {value = [0]} : i64[1]\n"
                  "  %half = Constant {value = [2048]} : i64[1]\n"
                  "  %n = LayerNormalization(%x, %w) {axis = -1} : f32[4096,768]\n"
                  "  %h = Slice(%n, %none, %half, %axes) : f32[2048,768]\n"
                  "  %y = ReduceSum(%h, %axes) {keepdims = 0} : f32[768]\n"
                  "  return %y, %n\n"),
     .kernels = {{2 * 4096 * 768 * 4 + 768 * 4, 0, 13 * 4096 * 768, 1},
                 {2048 * 768 * 4 + 2 * 64 * 768 * 4 + 768 * 4, 0, 2048 * 768 + 64 * 768, 2}},
     .saved = {[GML_SAVING_SUMS] = 2048 * 768 * 4}},
    /* 24 heads, 128 tokens, in blocks of 64 rows, whose scores stay in shared memory; of a
     * score 1 for the largest, 3 for the sum, 3 for the weight */
    {.name = "attention in stages",
     .text = CALL("%q: f32[2,12,128,64], %k: f32[2,12,64,128], %v: f32[2,12,128,64]",
                  "  %s = MatMul(%q, %k) : f32[2,12,128,128]\n"
                  "  %p = Softmax(%s) {axis = -1} : f32[2,12,128,128]\n"
                  "  %o = MatMul(%p, %v) : f32[2,12,128,64]\n"
                  "  return %o\n"),
     .precision = GML_PRECISION_MEDIUM,
     .kernels = {{4 * 24 * 128 * 64 * 4, 2 * 2 * 24 * 128 * 128 * 64.0, 7 * 24 * 128 * 128,
                  1}}},
    /* scores of 16 rows of 1100 do not fit into shared memory: scores and weights are each
     * written and read, the weights by two products */
    {.name = "attention of two values",
     .text = CALL("%q: f32[2,12,128,64], %k: f32[2,12,64,1100], %v: f32[2,12,1100,64], "
                  "%w: f32[2,12,1100,64]",
                  "  %s = MatMul(%q, %k) : f32[2,12,128,1100]\n"
                  "  %p = Softmax(%s) {axis = -1} : f32[2,12,128,1100]\n"
                  "  %o = MatMul(%p, %v) : f32[2,12,128,64]\n"
                  "  %r = MatMul(%p, %w) : f32[2,12,128,64]\n"
                  "  %t = Tanh(%r) : f32[2,12,128,64]\n"
                  "  return %o, %t\n"),
     .precision = GML_PRECISION_MEDIUM,
     .kernels = {{3 * 24 * (128 + 1100) * 64 * 4 + 5 * 24 * 128 * 1100 * 4,
                  3 * 2 * 24 * 128 * 1100 * 64.0, 7 * 24 * 128 * 1100 + 24 * 128 * 64, 1}},
     .saved = {[GML_SAVING_ROOM] = 5 * 24 * 128 * 1100 * 4}},
    {.name = "a kernel in parts",
     .text = CALL("%v: f32[4,8], %w: f32[16], %a: f32[4,8], %b: f32[16]",
                  "  %a2 = Mul(%a, %v) : f32[4,8]\n"
                  "  %b2 = Mul(%b, %w) : f32[16]\n"
                  "  return %a2, %b2\n"),
     .states = {{"a", "a2"}, {"b", "b2"}},
     .kernels = {{3 * 4 * (32 + 16), 0, 32 + 16, 1}}},
};

/* ---- a case -------------------------------------------------------------------------------
 */

typedef struct bench {
    gml_arena arena;
    gml_diags diags;
    gml_program *program;
} bench;

static uint32_t find_value(gml_value *const *values, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (values[i]->name && strcmp(values[i]->name, name) == 0)
            return i;
    fail_msg("there is no %s", name);
    return 0;
}

static void add_states(const floor_case *c, gml_module *module)
{
    for (size_t i = 0; i < COUNT(c->states) && c->states[i][0]; i++) {
        gml_state state = {.name = c->states[i][0]};
        gml_graph *graph = module->main;
        state.param = find_value(graph->params, graph->n_params, c->states[i][0]);
        state.result = find_value(graph->results, graph->n_results, c->states[i][1]);
        gml_push(&module->arena, &module->states, state);
    }
}

static void compile(bench *b, const floor_case *c)
{
    static const char *const off[] = {"autocast", NULL};
    gml_module *module = NULL;
    gml_compile_options options = {.target.precision = c->precision,
                                   .passes.off = c->is_cast ? NULL : off};
    gml_arena_init(&b->arena);
    gml_diags_init(&b->diags, &b->arena);
    if (gml_text_parse(c->text, strlen(c->text), c->name, &b->diags, &module) != GML_OK)
        fail_msg("%s: %s", c->name, gml_diags_print(&b->diags));
    add_states(c, module);
    assert_int_equal(gml_device_open_kind(GML_DEVICE_EMU, 0, &options.device, &b->diags),
                     GML_OK);
    gml_status status = gml_compile(module, &options, &b->program, &b->diags);
    gml_device_release(options.device);
    if (status != GML_OK)
        fail_msg("%s: %s", c->name, gml_diags_print(&b->diags));
}

static void bench_reset(bench *b)
{
    gml_program_release(b->program);
    gml_arena_reset(&b->arena);
}

static void expect(const floor_case *c, const char *what, double found, double right)
{
    if (fabs(found - right) > fabs(right) * 1e-12)
        fail_msg("%s: %s: %.17g, not %.17g", c->name, what, found, right);
}

static void check_kernels(const floor_case *c, const gml_floor *floor)
{
    count all = {0};
    uint32_t n = 0;
    for (; n < COUNT(c->kernels) && c->kernels[n].n_launches > 0; n++) {
        const count *right = &c->kernels[n];
        assert_true(n < floor->n_kernels);
        expect(c, "bytes", floor->steps[n].bytes, right->bytes);
        expect(c, "on tensor cores", floor->steps[n].mma, right->mma);
        expect(c, "others", floor->steps[n].flops, right->flops);
        assert_int_equal(floor->steps[n].n_launches, right->n_launches);
        all.bytes += right->bytes;
        all.mma += right->mma;
        all.flops += right->flops;
        all.n_launches += right->n_launches;
    }
    assert_int_equal(n, floor->n_kernels);
    expect(c, "all bytes", floor->total.bytes, all.bytes);
    expect(c, "all on tensor cores", floor->total.mma, all.mma);
    expect(c, "all others", floor->total.flops, all.flops);
    assert_int_equal(floor->total.n_launches, all.n_launches);
}

/* What is saved is gone from the program, and nothing else is. */
static void check_savings(const floor_case *c, const gml_floor *floor)
{
    double bytes = floor->total.bytes;
    for (int i = 0; i < GML_SAVING_FUSION; i++) {
        const gml_saving *saving = &floor->savings[i];
        expect(c, "saved", saving->bytes, c->saved[i]);
        bytes -= saving->bytes;
        expect(c, "after saving", saving->after.bytes, bytes);
        assert_true(gml_floor_seconds(&saving->after) <= gml_floor_seconds(&floor->total));
    }
}

static void test_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        bench b = {0};
        gml_floor floor;
        compile(&b, &cases[i]);
        gml_floor_find(b.program, gml_ceilings_find("h200"), &b.arena, &floor);
        check_kernels(&cases[i], &floor);
        check_savings(&cases[i], &floor);
        bench_reset(&b);
    }
}

/* ---- floors -------------------------------------------------------------------------------
 */

/* Each phase's, of what binds it. */
static void test_floor(void **state)
{
    static const floor_case twice = {
        .name = "two products",
        .text = CALL("%x: f32[2048,64], %y: f32[64,1152], %z: f32[64,1152]",
                     "  %a = MatMul(%x, %y) : f32[2048,1152]\n"
                     "  %b = MatMul(%x, %z) : f32[2048,1152]\n"
                     "  return %a, %b\n"),
        .precision = GML_PRECISION_MEDIUM};
    static const gml_ceilings few = {"few", 1000, 10, 100};
    bench b = {0};
    gml_floor floor;
    (void)state;
    compile(&b, &twice);
    gml_floor_find(b.program, &few, &b.arena, &floor);
    double rounding = (M * K + K * N) / 100; /* one operation moves six bytes */
    double multiplying = 2 * M * K * N / 10; /* many more than bytes */
    expect(&twice, "f32", floor.total.seconds[GML_BOUND_FLOPS], 2 * rounding);
    expect(&twice, "tensor cores", floor.total.seconds[GML_BOUND_MMA], 2 * multiplying);
    expect(&twice, "memory", floor.total.seconds[GML_BOUND_MEMORY], 0);
    expect(&twice, "sum", gml_floor_seconds(&floor.total), 2 * (rounding + multiplying));
    assert_int_equal(floor.batch, 2048);
    assert_int_equal(floor.n_groups, 1); /* they are alike */
    assert_int_equal(floor.groups[0].count, 2);
    assert_string_equal(floor.groups[0].shape, "f32[2048,1152]");
    assert_int_equal(gml_floor_bound(&floor.groups[0].work), GML_BOUND_MMA);
    bench_reset(&b);
}

/* ---- the longest chain --------------------------------------------------------------------
 */

typedef struct path_case {
    floor_case graph;
    double values, planned; /* parts of the sum */
} path_case;

static const path_case path_cases[] = {
    {.graph = {.name = "a chain",
               .text = CALL("%x: f32[64,768], %w: f32[768], %v: f32[768]",
                            "  %a = LayerNormalization(%x, %w) {axis = -1} : f32[64,768]\n"
                            "  %b = LayerNormalization(%a, %v) {axis = -1} : f32[64,768]\n"
                            "  return %b\n")},
     .values = 1,
     .planned = 1},
    {.graph = {.name = "two branches",
               .text = CALL("%x: f32[2048,1152], %y: f32[1152,2048]",
                            "  %a = Tanh(%x) : f32[2048,1152]\n"
                            "  %b = Exp(%y) : f32[1152,2048]\n"
                            "  return %a, %b\n")},
     .values = 0.5,
     .planned = 0.5},
    /* each product dies at its sum, and the arena has room for one */
    {.graph = {.name = "branches in one place",
               .text = CALL("%x: f32[2048,64], %y: f32[64,1152], %z: f32[64,1152]",
                            "  %axes = Constant {value = [0, 1]} : i64[2]\n"
                            "  %a = MatMul(%x, %y) : f32[2048,1152]\n"
                            "  %s = ReduceSum(%a, %axes) {keepdims = 0} : f32[]\n"
                            "  %b = MatMul(%x, %z) : f32[2048,1152]\n"
                            "  %t = ReduceSum(%b, %axes) {keepdims = 0} : f32[]\n"
                            "  return %s, %t\n")},
     .values = 0.5,
     .planned = 1},
    {.graph = {.name = "temporaries in one place",
               .text = CALL("%x: f32[4096,768], %y: f32[4096,768]",
                            "  %axes = Constant {value = [0]} : i64[1]\n"
                            "  %s = ReduceSum(%x, %axes) {keepdims = 0} : f32[768]\n"
                            "  %t = ReduceSum(%y, %axes) {keepdims = 0} : f32[768]\n"
                            "  return %s, %t\n")},
     .values = 0.5,
     .planned = 1},
    /* the old value is read before it is replaced, which passes nothing on */
    {.graph = {.name = "a state in place",
               .text = CALL("%x: f32[2048,64], %g: f32[64,1152], %v: f32[1152,1152], "
                            "%y: f32[64,1152]",
                            "  %a = MatMul(%x, %y) : f32[2048,1152]\n"
                            "  %q = MatMul(%g, %v) : f32[64,1152]\n"
                            "  return %a, %q\n"),
               .states = {{"y", "q"}}},
     .values = M / (M + N),
     .planned = 1},
};

static void test_paths(void **state)
{
    static const gml_ceilings slow = {"slow", 1e30, 1e30, 1e9};
    (void)state;
    for (size_t i = 0; i < COUNT(path_cases); i++) {
        const path_case *c = &path_cases[i];
        bench b = {0};
        gml_floor floor;
        compile(&b, &c->graph);
        gml_floor_find(b.program, &slow, &b.arena, &floor);
        double sum = gml_floor_seconds(&floor.total);
        print_message("%s: %g by values, %g planned\n", c->graph.name, floor.path.values / sum,
                      floor.path.planned / sum);
        assert_true(fabs(floor.path.values / sum - c->values) < 0.02);
        assert_true(fabs(floor.path.planned / sum - c->planned) < 0.02);
        bench_reset(&b);
    }
}

static void test_ceilings(void **state)
{
    (void)state;
    assert_null(gml_ceilings_find("h300"));
    assert_string_equal(gml_ceilings_find("h100")->name, "h100");
    assert_true(gml_ceilings_find("h200")->bytes > gml_ceilings_find("h100")->bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_floor),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
