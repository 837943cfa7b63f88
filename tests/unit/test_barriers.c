/* tests/unit/test_barriers.c - every barrier of a GPU kernel is needed, and the emulator shows
 * it.
 *
 * A kernel runs whole in all orders of its threads, with early and late copies: always the same
 * bits, which are right. Then each of its barriers and waits for copies is left out, one at a
 * time: the emulator must report an error in some order, whether or not results differ. One
 * block does several units, so that barriers between units count. */
#include "gpu_kernel.h"

#include <math.h>

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

static gml_status attempt_run(built *b, data *d, const attempt *how)
{
    d->in_place = how->in_place;
    return run(b, d, &how->options, how->blocks);
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
        if (attempt_run(b, d, &attempts[i]) != GML_OK)
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
        status = attempt_run(&b, d, &attempts[i]);
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
    for (unsigned n = c->from > 0 ? c->from : 1; n <= whole.n_meetings; n++) {
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
     .cpu = "sm_80",
     .bound = 1e-5,
     .is_product = true,
     .least = 4},
    {.name = "product in bf16, wgmma",
     .text = TEXT("%x: f32[132,72,264], %z: f32[132,264,72]", "  %y = MatMul(%x, %z)\n"),
     .precision = GML_PRECISION_MEDIUM,
     .bound = 1e-5,
     .is_product = true,
     .least = 13},
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
    {.name = "sums of the columns of a product by boxes",
     .text = "graph @f(%x: f32[16900,16], %z: f32[16,72]) {\n"
             "  %y = MatMul(%x, %z)\n  %axes = Constant {value = [0]} : i64[1]\n"
             "  %t = ReduceSum(%y, %axes) {keepdims = 0}\n  return %y, %t\n}\n",
     .precision = GML_PRECISION_MEDIUM,
     .bound = 1e-5,
     .is_product = true,
     .least = 15,
     .from = 14}, /* the two behind the tile */
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
