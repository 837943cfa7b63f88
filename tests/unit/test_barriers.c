/* tests/unit/test_barriers.c - every barrier of a GPU kernel is needed, and the emulator shows
 * it.
 *
 * A kernel runs whole in all orders of its threads, with early and late copies: always the same
 * bits, which are right. Then each of its barriers and waits for copies is left out, one at a
 * time: the emulator must report an error in some order, whether or not results differ. One
 * block does several units, so that barriers between units count. */
#include "codegen/codegen.h"
#include "ir/eval.h"
#include "ir/lower.h"
#include "ir/text.h"
#include "passes/pass.h"
#include "runtime/emu.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST_MEMS   16
#define MOST_PHASES 8
#define COUNT(a)    (sizeof(a) / sizeof *(a))

typedef struct graph_case {
    const char *name;
    const char *text; /* becomes one kernel */
    gml_precision precision;
    double bound;         /* of errors, relative to the largest element */
    bool is_product;      /* of x (B, M, K) and y (B, K, N): plain loops are faster */
    unsigned n_shared;    /* of the kernel: its stages have so many loops in common */
    unsigned least;       /* barriers and waits in it */
    bool is_over;         /* its first output may take the place of an input */
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
    uint64_t over[MOST_MEMS]; /* of an output: inputs whose place it may take */
    unsigned n_inputs, n_outputs, n_mems;
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

static gml_module *parse(const graph_case *c)
{
    gml_arena arena;
    gml_diags diags;
    gml_module *module = NULL;
    gml_passes_options options = {.verify = true, .is_gpu = true};
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    if (gml_text_parse(c->text, strlen(c->text), c->name, &diags, &module) != GML_OK ||
        gml_passes_run(module, "infer,expand,simplify,dce,fuse,stage,sums", &options, &diags) !=
            GML_OK)
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
    gml_target target = {.gpu = GML_GPU_EMU, .precision = c->precision, .omit = omit};
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
        assert_int_equal(kernel->inputs.items[i]->dtype, GML_F32);
        add_memory(d, bytes_of(kernel->inputs.items[i]));
        float *at = d->mems[i];
        for (size_t k = 0; k < d->bytes[i] / sizeof *at; k++) {
            state = state * 1664525U + 1013904223U;
            at[k] = (float)(state >> 27) / 16 - 1;
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

/* ---- running ------------------------------------------------------------------------------
 */

typedef struct attempt {
    gml_emu_options options;
    uint32_t blocks;
    bool in_place; /* outputs that may lie over inputs do */
} attempt;

static const attempt attempts[] = {
    {{.order = GML_EMU_FORWARD}, 1},
    {{.order = GML_EMU_REVERSE, .early = true}, 1},
    {{.order = GML_EMU_MIXED, .seed = 1}, 1},
    {{.order = GML_EMU_FORWARD, .early = true}, 2},
    {{.order = GML_EMU_REVERSE}, 2},
    {{.order = GML_EMU_MIXED, .seed = 2, .early = true}, 2},
    {{.order = GML_EMU_FORWARD}, 2, .in_place = true},
};

/* What the kernel writes is poison before. */
static gml_status run(built *b, data *d, const attempt *how)
{
    void *params[MOST_MEMS + 2];
    const int64_t *dims = NULL;
    gml_diags_truncate(&b->diags, 0);
    gml_emu_set_options(&how->options);
    for (unsigned i = d->n_inputs; i < d->n_mems; i++)
        memset(d->mems[i], 0xff, d->bytes[i]);
    for (unsigned i = 0; i < d->n_mems; i++)
        params[i] = &d->mems[i];
    for (unsigned i = 0; how->in_place && i < d->n_outputs; i++)
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
        blocks = blocks < how->blocks ? blocks : how->blocks;
        params[d->n_mems + 1] = &units;
        gml_lane_fn lane = gml_jit_find_lane(b->jit, phase->symbol);
        assert_non_null(lane);
        GML_TRY(gml_emu_launch(phase->symbol, lane, &phase->launch, (uint32_t)blocks, params,
                               &b->diags));
    }
    return GML_OK;
}

/* ---- what is right ------------------------------------------------------------------------
 */

static void multiply(const gml_kernel *kernel, const data *d, float *out)
{
    const gml_mem *x = kernel->inputs.items[0];
    const gml_mem *y = kernel->inputs.items[1];
    int64_t batch = x->rank == 3 ? x->dims[0] : 1;
    int64_t m = x->dims[x->rank - 2];
    int64_t k = x->dims[x->rank - 1];
    int64_t n = y->dims[y->rank - 1];
    const float *a = d->mems[0];
    const float *b = d->mems[1];
    for (int64_t i = 0; i < batch * m; i++)
        for (int64_t j = 0; j < n; j++) {
            float sum = 0;
            for (int64_t l = 0; l < k; l++)
                sum += a[i * k + l] * b[(i / m * k + l) * n + j];
            out[i * n + j] = sum;
        }
}

/* The first output is right. */
static void check(const graph_case *c, gml_module *module, data *d)
{
    built b = {0};
    lower(&b, c, module);
    void *outputs[MOST_MEMS];
    assert_int_equal(b.kernel->n_shared, c->n_shared);
    for (unsigned i = 0; i < d->n_outputs; i++)
        outputs[i] = gml_arena_alloc(&b.arena, d->bytes[d->n_inputs + i]);
    gml_eval_args args = {.inputs = d->mems, .outputs = outputs};
    if (c->is_product)
        multiply(b.kernel, d, outputs[0]);
    else
        assert_int_equal(gml_kernel_eval(b.kernel, &args, &b.diags, (gml_loc){0}), GML_OK);
    const float *want = outputs[0];
    const float *got = d->mems[d->n_inputs];
    double error = 0;
    double scale = 0;
    for (size_t i = 0; i < d->bytes[d->n_inputs] / sizeof *got; i++) {
        double off = fabs((double)got[i] - (double)want[i]);
        error = !(off <= error) ? off : error; /* NaN counts */
        scale = fmax(scale, fabs((double)want[i]));
    }
    if (!(error <= c->bound * scale))
        fail_msg("%s: error %g of the largest element", c->name, error / scale);
    gml_arena_reset(&b.arena);
}

static bool is_same(const data *d, void *const *copies)
{
    for (unsigned i = 0; i < d->n_outputs; i++)
        if (memcmp(d->mems[d->n_inputs + i], copies[i], d->bytes[d->n_inputs + i]) != 0)
            return false;
    return true;
}

/* Runs the whole kernel in every way; `copies` gets its outputs. */
static void run_whole(const graph_case *c, gml_module *module, built *b, data *d, void **copies)
{
    for (size_t i = 0; i < COUNT(attempts); i++) {
        if (run(b, d, &attempts[i]) != GML_OK)
            fail_msg("%s, attempt %zu: %s", c->name, i, gml_diags_print(&b->diags));
        for (unsigned k = 0; i == 0 && k < d->n_outputs; k++)
            copies[k] =
                gml_arena_copy(&b->arena, d->mems[d->n_inputs + k], d->bytes[d->n_inputs + k]);
        if (!is_same(d, copies))
            fail_msg("%s: attempt %zu gives other bits", c->name, i);
    }
    check(c, module, d);
}

/* ---- leaving one out ----------------------------------------------------------------------
 */

/* How many attempts it took until the kernel without barrier `omit` was reported; 0: never. */
static size_t count_attempts(const graph_case *c, gml_module *module, unsigned omit, data *d,
                             void *const *copies)
{
    built b = {0};
    size_t taken = 0;
    gml_status status = GML_OK;
    build(&b, c, module, omit);
    for (size_t i = 0; i < COUNT(attempts) && taken == 0; i++) {
        status = run(&b, d, &attempts[i]);
        if (status != GML_OK)
            taken = i + 1;
        else if (!is_same(d, copies))
            print_message("%s without %u, attempt %zu: other results, and no report\n", c->name,
                          omit, i + 1);
    }
    if (taken > 0 && getenv("TEST_BARRIERS_PRINT"))
        print_message("%s without %u, attempt %zu: %s\n", c->name, omit, taken,
                      gml_diags_print(&b.diags));
    built_reset(&b);
    return taken;
}

static bool is_needless(const graph_case *c, unsigned number)
{
    char text[16];
    snprintf(text, sizeof text, ",%u,", number);
    return c->needless && strstr(c->needless, text);
}

static void check_case(const graph_case *c)
{
    gml_module *module = parse(c);
    built whole = {0};
    data d;
    void *copies[MOST_MEMS];
    unsigned n_wrong = 0;
    lower(&whole, c, module);
    unsigned n_inputs = (unsigned)whole.kernel->inputs.count;
    gml_arena_reset(&whole.arena);
    build(&whole, c, module, 0);
    data_init(&d, &whole, n_inputs);
    assert_true(d.over[0] != 0 || !c->is_over);
    run_whole(c, module, &whole, &d, copies);
    for (unsigned n = 1; n <= whole.n_meetings; n++) {
        bool fails = count_attempts(c, module, n, &d, copies) > 0;
        if (fails != is_needless(c, n))
            continue;
        print_message("%s: barrier or wait %u of %u is %s\n", c->name, n, whole.n_meetings,
                      fails ? "needed, against what is said" : "left out, and nothing fails");
        n_wrong++;
    }
    print_message("%s: %u barriers and waits\n", c->name, whole.n_meetings);
    assert_int_equal(n_wrong, 0);
    assert_true(whole.n_meetings >= c->least);
    data_reset(&d);
    built_reset(&whole);
    gml_module_destroy(module);
}

/* ---- kernels ------------------------------------------------------------------------------
 */

#define TEXT(params, nodes) "graph @f(" params ") {\n" nodes "  return %y\n}\n"

static const graph_case reductions[] = {
    {.name = "LayerNorm",
     .text = TEXT("%x: f32[3,768], %s: f32[768], %b: f32[768]",
                  "  %y = LayerNormalization(%x, %s, %b) {axis = -1}\n"),
     .bound = 1e-5,
     .least = 4},
    {.name = "softmax of short rows",
     .text = TEXT("%x: f32[5,40]", "  %y = Softmax(%x) {axis = -1}\n"),
     .bound = 1e-5},
    {.name = "softmax of long rows",
     .text = TEXT("%x: f32[3,515]", "  %y = Softmax(%x) {axis = -1}\n"),
     .bound = 1e-5,
     .least = 4},
    {.name = "log-softmax",
     .text = TEXT("%x: f32[4,1000]", "  %y = LogSoftmax(%x) {axis = -1}\n"),
     .bound = 1e-5,
     .least = 4},
    {.name = "a product of few rows, in parts",
     .text = TEXT("%x: f32[2,9000], %z: f32[9000,3]", "  %y = MatMul(%x, %z)\n"),
     .bound = 1e-4},
    {.name = "a product of few rows and a residual",
     .text = TEXT("%x: f32[2,300], %z: f32[300,5], %r: f32[2,5]",
                  "  %p = MatMul(%x, %z)\n  %y = Add(%p, %r)\n"),
     .bound = 1e-5,
     .is_over = true},
    {.name = "a sum in two parts",
     .text = TEXT("%x: f32[4,16384]", "  %y = ReduceSum(%x) {keepdims = 0}\n"),
     .bound = 1e-5,
     .least = 2},
};

static const graph_case products[] = {
    {.name = "product, tiles of 64",
     .text = TEXT("%x: f32[100,40], %z: f32[40,70]", "  %y = MatMul(%x, %z)\n"),
     .bound = 1e-5,
     .is_product = true,
     .least = 2},
    {.name = "product, its sums in two parts",
     .text = TEXT("%x: f32[40,1100], %z: f32[1100,70]", "  %y = MatMul(%x, %z)\n"),
     .bound = 1e-5,
     .is_product = true,
     .least = 2},
    {.name = "product, tiles of 128",
     .text = TEXT("%x: f32[132,68,40], %z: f32[132,40,68]", "  %y = MatMul(%x, %z)\n"),
     .bound = 1e-5,
     .is_product = true,
     .least = 2},
    {.name = "product in bf16, tiles of 64",
     .text = TEXT("%x: f32[100,80], %z: f32[80,70]", "  %y = MatMul(%x, %z)\n"),
     .precision = GML_PRECISION_MEDIUM,
     .bound = 1e-5,
     .is_product = true,
     .least = 2},
    {.name = "product in bf16, streamed",
     .text = TEXT("%x: f32[132,72,168], %z: f32[132,168,72]", "  %y = MatMul(%x, %z)\n"),
     .precision = GML_PRECISION_MEDIUM,
     .bound = 1e-5,
     .is_product = true,
     .least = 4},
};

/* Sums of columns of what is stored: a bias' gradient, and a scale's. */
#define SUMS                                                                                   \
    "  %axes = Constant {value = [0]} : i64[1]\n"                                              \
    "  %t = ReduceSum(%y, %axes) {keepdims = 0}\n  %u = Mul(%y, %r)\n"                         \
    "  %v = ReduceMean(%u, %axes)\n  return %v, %t, %y\n}\n"

static const graph_case sums[] = {
    {.name = "sums of a product's columns",
     .text = "graph @f(%x: f32[4200,40], %z: f32[40,120], %r: f32[4200,120]) {\n"
             "  %y = MatMul(%x, %z)\n" SUMS,
     .bound = 1e-5,
     .least = 3},
    {.name = "sums of a product's columns, in bf16",
     .text = "graph @f(%x: f32[4200,80], %z: f32[80,120], %r: f32[4200,120]) {\n"
             "  %y = MatMul(%x, %z)\n" SUMS,
     .precision = GML_PRECISION_MEDIUM,
     .bound = 1e-5,
     .least = 3},
    {.name = "sums of a norm's columns",
     .text = "graph @f(%x: f32[80,768], %s: f32[768], %r: f32[80,768]) {\n"
             "  %y = LayerNormalization(%x, %s) {axis = -1}\n" SUMS,
     .bound = 1e-5,
     .least = 6,
     .needless = ",1,"}, /* that behind the zeros: a row's own come before its sums */
    {.name = "sums of columns of a norm of short rows", /* a block is a warp */
     .text = "graph @f(%x: f32[200,96], %s: f32[96], %r: f32[200,96]) {\n"
             "  %y = LayerNormalization(%x, %s) {axis = -1}\n" SUMS,
     .bound = 1e-5,
     .least = 2},
    {.name = "sums of columns element by element",
     .text = "graph @f(%x: f32[4100,24], %r: f32[4100,24]) {\n"
             "  %y = Mul(%x, %r)\n" SUMS,
     .bound = 1e-5},
};

#define ATTENTION(queries, keys)                                                               \
    TEXT("%q: f32[2,4," queries ",32], %k: f32[2,4,32," keys "], %v: f32[2,4," keys ",32]",    \
         "  %s = MatMul(%q, %k)\n  %p = Softmax(%s) {axis = -1}\n  %y = MatMul(%p, %v)\n")

#define GRADIENT(queries, keys)                                                                \
    "graph @f(%q: f32[2,4," queries ",8], %k: f32[2,4," keys ",8], %v: f32[2,4," keys          \
    ",8], %g: f32[2,4," queries ",8]) {\n"                                                     \
    "  %kt = Transpose(%k) {perm = [0, 1, 3, 2]}\n  %s = MatMul(%q, %kt)\n"                    \
    "  %p = Softmax(%s)\n  %vt = Transpose(%v) {perm = [0, 1, 3, 2]}\n"                        \
    "  %dp = MatMul(%g, %vt)\n  %pt = Transpose(%p) {perm = [0, 1, 3, 2]}\n"                   \
    "  %dv = MatMul(%pt, %g)\n  %w = Mul(%p, %dp)\n  %axis = Constant {value = i64[1]{3}}\n"   \
    "  %d = ReduceSum(%w, %axis)\n  %c = Sub(%dp, %d)\n  %ds = Mul(%p, %c)\n"                  \
    "  %dq = MatMul(%ds, %k)\n  %dst = Transpose(%ds) {perm = [0, 1, 3, 2]}\n"                 \
    "  %dk = MatMul(%dst, %q)\n  return %dq, %dk, %dv\n}\n"

static const graph_case stages[] = {
    {.name = "attention",
     .text = ATTENTION("40", "40"),
     .bound = 1e-5,
     .n_shared = 2,
     .least = 6},
    {.name = "attention in bf16",
     .text = ATTENTION("40", "72"),
     .precision = GML_PRECISION_MEDIUM,
     .bound = 1e-2,
     .n_shared = 2,
     .least = 6},
    {.name = "attention, blocks of rows",
     .text = ATTENTION("100", "136"),
     .bound = 1e-5,
     .n_shared = 2,
     .least = 6},
    {.name = "attention and a residual, blocks of rows",
     .text = TEXT("%q: f32[2,4,100,32], %k: f32[2,4,32,136], %v: f32[2,4,136,32], "
                  "%r: f32[2,4,100,32]",
                  "  %s = MatMul(%q, %k)\n  %p = Softmax(%s) {axis = -1}\n"
                  "  %o = MatMul(%p, %v)\n  %y = Add(%o, %r)\n"),
     .bound = 1e-5,
     .n_shared = 2,
     .least = 6,
     .is_over = true},
    {.name = "an attention's gradient, blocks of rows and of columns",
     .text = GRADIENT("70", "66"),
     .bound = 1e-5,
     .n_shared = 2,
     .least = 14},
    {.name = "attention, scores in device memory",
     .text = ATTENTION("40", "1100"),
     .bound = 1e-5,
     .n_shared = 2,
     .least = 6},
};

static void check_all(const graph_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_case(&cases[i]);
}

static void reductions_need_all(void **state)
{
    (void)state;
    check_all(reductions, COUNT(reductions));
}

static void products_need_all(void **state)
{
    (void)state;
    check_all(products, COUNT(products));
}

static void sums_need_all(void **state)
{
    (void)state;
    check_all(sums, COUNT(sums));
}

static void stages_need_all(void **state)
{
    (void)state;
    check_all(stages, COUNT(stages));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reductions_need_all),
        cmocka_unit_test(products_need_all),
        cmocka_unit_test(sums_need_all),
        cmocka_unit_test(stages_need_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
