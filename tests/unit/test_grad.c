/* tests/unit/test_grad.c - gradients against central differences, in double precision on the
 * interpreter, of operators by themselves and in company; and where exponentials overflow.
 *
 * tests/ops has cases of operators that get a kernel (gemel kernels grad); here are shapes,
 * attributes and composites. */
#include "api/execute.h"
#include "api/kernel_test.h"
#include "ir/op.h"
#include "ir/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct graph {
    const char *text;
    double low, high; /* of the parameters' elements */
} graph;

static void check(const graph *g)
{
    gml_arena arena;
    gml_dtype f64 = GML_F64;
    gml_kernel_case c = {.op = "test",
                         .name = "test",
                         .text = g->text,
                         .len = strlen(g->text),
                         .types = {&f64, 1, 1},
                         .lo = g->low,
                         .hi = g->high,
                         .has_range = true};
    gml_kernel_gradient result;
    gml_arena_init(&arena);
    gml_kernel_case_grad(&c, 1, &arena, &result);
    if (!result.passed || result.skipped)
        fail_msg("%s\n%s", g->text, result.skipped ? result.skipped : result.why);
    gml_arena_reset(&arena);
}

static void elementwise(void **state)
{
    (void)state;
    static const char *const everywhere[] = {
        "Abs(%x)",
        "Atan(%x)",
        "Asinh(%x)",
        "Ceil(%x)",
        "Celu(%x) {alpha = 0.7}",
        "Cos(%x)",
        "Cosh(%x)",
        "Elu(%x) {alpha = 1.3}",
        "Erf(%x)",
        "Exp(%x)",
        "Floor(%x)",
        "Gelu(%x)",
        "Gelu(%x) {approximate = \"tanh\"}",
        "HardSigmoid(%x)",
        "HardSwish(%x)",
        "LeakyRelu(%x)",
        "Mish(%x)",
        "Neg(%x)",
        "Relu(%x)",
        "Round(%x)",
        "Selu(%x)",
        "Shrink(%x) {lambd = 0.3}",
        "Sigmoid(%x)",
        "Sign(%x)",
        "Sin(%x)",
        "Sinh(%x)",
        "Softplus(%x)",
        "Softsign(%x)",
        "Swish(%x) {alpha = 1.5}",
        "Tan(%x)",
        "Tanh(%x)",
        "ThresholdedRelu(%x) {alpha = 0.2}",
        "Add(%x, %x)",
        "Mul(%x, %x)",
        "Max(%x, %x)",
        "Identity(%x)",
        "Sum(%x, %x, %x)",
        "Cast(%x) {to = 11}",
    };
    static const char *const inside[] = {"Acos(%x)", "Asin(%x)",       "Atanh(%x)",  "Sqrt(%x)",
                                         "Log(%x)",  "Reciprocal(%x)", "Pow(%x, %x)"};
    static const char unary[] = "graph @f(%%x: f64[5]) {\n %%y = %s\n return %%y\n}\n";
    char text[200];
    for (size_t i = 0; i < sizeof everywhere / sizeof *everywhere; i++) {
        snprintf(text, sizeof text, unary, everywhere[i]);
        check(&(graph){text, -1.4, 1.4});
    }
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        snprintf(text, sizeof text, unary, inside[i]);
        check(&(graph){text, 0.1, 0.9});
    }
    snprintf(text, sizeof text, unary, "Acosh(%x)");
    check(&(graph){text, 1.2, 3});
}

/* Where exponentials overflow, slopes are what they tend to. */
static void far_out(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        double below, above;
    } table[] = {{"Sigmoid", 0, 0},   {"Softplus", 0, 1},    {"Swish", 0, 1}, {"Mish", 0, 1},
                 {"Tanh", 0, 0},      {"Gelu", 0, 1},        {"Elu", 0, 1},   {"Celu", 0, 1},
                 {"HardSwish", 0, 1}, {"HardSigmoid", 0, 0}, {"Erf", 0, 0},   {"Relu", 0, 1}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[200];
        snprintf(text, sizeof text,
                 "graph @f(%%x: f64[2]) {\n %%y = %s(%%x)\n"
                 " %%d = ai.onnx.preview.training.Gradient(%%x, %%x, %%y) {xs = [\"x\"], y = "
                 "\"y\"}\n"
                 " return %%d\n}\n",
                 table[i].op);
        gml_rvalue x = {0};
        gml_rvalue d = {0};
        gml_dim dims[1] = {2};
        gml_diags diags;
        gml_arena arena;
        gml_arena_init(&arena);
        gml_diags_init(&diags, &arena);
        assert_int_equal(gml_rvalue_alloc(&x, GML_F64, 1, dims), GML_OK);
        ((double *)x.tensor.data)[0] = -1e4;
        ((double *)x.tensor.data)[1] = 1e4;
        gml_execute_options options = {.device = GML_DEVICE_REF};
        gml_module *module;
        if (gml_text_parse(text, strlen(text), NULL, &diags, &module) != GML_OK ||
            gml_execute(module, &x, &d, &options, &diags) != GML_OK)
            fail_msg("%s", diags.list.items[0].text);
        const double *slopes = d.tensor.data;
        if (slopes[0] != table[i].below || slopes[1] != table[i].above)
            fail_msg("%s: %g and %g", table[i].op, slopes[0], slopes[1]);
        gml_rvalue_reset(&x);
        gml_rvalue_reset(&d);
        gml_arena_reset(&arena);
    }
}

static void check_all(const char *const *texts, size_t n, double low, double high)
{
    for (size_t i = 0; i < n; i++)
        check(&(graph){texts[i], low, high});
}

#define COUNT(table)  (sizeof(table) / sizeof *(table))
#define TWO(x, y, op) "graph @f(%x: f64" x ", %y: f64" y ") {\n %z = " op "\n return %z\n}\n"
#define ONE(x, op)    "graph @f(%x: f64" x ") {\n %z = " op "\n return %z\n}\n"

static void broadcasting(void **state)
{
    (void)state;
    static const char *const texts[] = {
        TWO("[2,3]", "[3]", "Add(%x, %y)"),   TWO("[2,1,3]", "[4,1]", "Mul(%x, %y)"),
        TWO("[]", "[2,2]", "Sub(%x, %y)"),    TWO("[3]", "[2,3]", "Div(%x, %y)"),
        TWO("[2,3]", "[1,3]", "Pow(%x, %y)"), TWO("[2,3]", "[3]", "Max(%x, %y)"),
        TWO("[2,3]", "[3]", "Min(%x, %y)"),   TWO("[2,3]", "[3]", "PRelu(%x, %y)"),
        TWO("[2,3]", "[3]", "Mean(%x, %y)"),  TWO("[2,3]", "[2,3]", "Mod(%x, %y) {fmod = 1}"),
    };
    check_all(texts, COUNT(texts), 0.3, 1.9);
}

static void products(void **state)
{
    (void)state;
    static const char *const texts[] = {
        TWO("[2,3]", "[3,4]", "MatMul(%x, %y)"),
        TWO("[3]", "[3,4]", "MatMul(%x, %y)"),
        TWO("[2,3]", "[3]", "MatMul(%x, %y)"),
        TWO("[3]", "[3]", "MatMul(%x, %y)"),
        TWO("[2,2,3]", "[3,2]", "MatMul(%x, %y)"),
        TWO("[2,1,2,3]", "[4,3,1]", "MatMul(%x, %y)"),
        TWO("[3]", "[2,3,2]", "MatMul(%x, %y)"),
        TWO("[2,2,3]", "[3]", "MatMul(%x, %y)"),
        TWO("[3,2]", "[3,4]", "Gemm(%x, %y) {alpha = 0.5, transA = 1}"),
    };
    check_all(texts, COUNT(texts), -1, 1);
}

static void shapes(void **state)
{
    (void)state;
    static const char *const texts[] = {
        ONE("[2,3,2]", "Transpose(%x) {perm = [2, 0, 1]}"),
        ONE("[2,3]", "Transpose(%x)"),
        ONE("[2,3,2]", "Flatten(%x)"),
        ONE("[1,3]", "Squeeze(%x)"),
        TWO("[2,2]", "[3,2]", "Concat(%x, %y) {axis = 0}"),
        "graph @f(%x: f64[2,5]) {\n %a, %b = Split(%x) {axis = 1, num_outputs = 2}\n"
        " return %b\n}\n",
        "graph @f(%x: f64[2,6]) {\n %s = Constant {value = [3, 4]} : i64[2]\n"
        " %y = Reshape(%x, %s)\n return %y\n}\n",
        "graph @f(%x: f64[3,1]) {\n %s = Constant {value = [2, 3, 4]} : i64[3]\n"
        " %y = Expand(%x, %s)\n return %y\n}\n",
        "graph @f(%x: f64[3]) {\n %s = Constant {value = [0, 2]} : i64[2]\n"
        " %y = Unsqueeze(%x, %s)\n return %y\n}\n",
        "graph @f(%x: f64[3,2], %index: i64[4]) {\n %y = Gather(%x, %index)\n return %y\n}\n",
        "graph @f(%x: f64[2,3], %index: i64[2,2]) {\n %y = Gather(%x, %index) {axis = 1}\n "
        "return "
        "%y\n}\n",
        ONE("[1,8,1,2]", "DepthToSpace(%x) {blocksize = 2}"),
        ONE("[1,2,2,4]", "SpaceToDepth(%x) {blocksize = 2}"),
        ONE("[3,3]", "Trilu(%x)"),
        ONE("[3,3]", "Trilu(%x) {upper = 0}"),
        "graph @f(%x: f64[2,1,3]) {\n %r = Constant {value = [2, 3, 2]} : i64[3]\n"
        " %y = Tile(%x, %r)\n return %y\n}\n",
        "graph @f(%x: f64[2,6]) {\n %s = Constant {value = [1, -2]} : i64[2]\n"
        " %e = Constant {value = [2, -7]} : i64[2]\n %a = Constant {value = [0, 1]} : i64[2]\n"
        " %p = Constant {value = [1, -2]} : i64[2]\n %y = Slice(%x, %s, %e, %a, %p)\n"
        " return %y\n}\n",
        "graph @f(%x: f64[5,6]) {\n %s = Constant {value = [1, 2]} : i64[2]\n"
        " %e = Constant {value = [4, 6]} : i64[2]\n %y = Slice(%x, %s, %e)\n return %y\n}\n",
        "graph @f(%x: f64[2,3], %v: f64[]) {\n %p = Constant {value = [1, 0, 0, 2]} : i64[4]\n"
        " %y = Pad(%x, %p, %v)\n return %y\n}\n",
        "graph @f(%x: f64[3,2], %index: i64[2,2]) {\n %y = GatherElements(%x, %index) {axis = "
        "0}\n"
        " return %y\n}\n",
        "graph @f(%x: f64[3,3], %index: i64[4,2]) {\n %y = GatherND(%x, %index)\n return "
        "%y\n}\n",
        "graph @f(%x: f64[3], %index: i64[]) {\n %y = Gather(%x, %index)\n return %y\n}\n",
    };
    check_all(texts, COUNT(texts), -1, 1);
}

static void windows(void **state)
{
    (void)state;
    static const char *const texts[] = {
        TWO("[2,3,5]", "[2,3,3]", "Conv(%x, %y)"),
        TWO("[1,2,5,4]", "[3,2,3,2]", "Conv(%x, %y) {pads = [1, 0, 1, 1]}"),
        TWO("[2,2,6]", "[2,2,3]", "Conv(%x, %y) {strides = [2], pads = [1, 1]}"),
        TWO("[1,2,9]", "[2,2,2]", "Conv(%x, %y) {strides = [3], dilations = [2]}"),
        TWO("[2,4,5]", "[6,2,2]", "Conv(%x, %y) {group = 2}"),
        TWO("[2,3,5]", "[3,1,3]", "Conv(%x, %y) {group = 3, auto_pad = \"SAME_UPPER\"}"),
        "graph @f(%x: f64[2,2,4], %w: f64[3,2,2], %b: f64[3]) {\n %y = Conv(%x, %w, %b)\n"
        " return %y\n}\n",
        TWO("[2,2,4]", "[2,3,3]", "ConvTranspose(%x, %y) {strides = [2], pads = [1, 0]}"),
        TWO("[1,4,3]", "[4,1,2]",
            "ConvTranspose(%x, %y) {group = 2, strides = [3], output_padding = [2]}"),
        ONE("[1,2,6]", "AveragePool(%x) {kernel_shape = [3], strides = [2]}"),
        ONE("[1,2,5]", "AveragePool(%x) {kernel_shape = [3], pads = [1, 1]}"),
        ONE("[1,1,4,5]", "AveragePool(%x) {kernel_shape = [2, 3], pads = [1, 1, 0, 1],"
                         " count_include_pad = 1}"),
        ONE("[2,2,6]", "MaxPool(%x) {kernel_shape = [3], strides = [2]}"),
        ONE("[1,2,4,4]", "MaxPool(%x) {kernel_shape = [2, 2], pads = [1, 0, 1, 0]}"),
        ONE("[2,2,6]", "GlobalAveragePool(%x)"),
        ONE("[2,2,6]", "GlobalMaxPool(%x)"),
    };
    check_all(texts, COUNT(texts), -1, 1);
}

static void rows(void **state)
{
    (void)state;
    static const char *const texts[] = {
        ONE("[2,3]", "ReduceSum(%x)"),
        ONE("[2,3]", "ReduceMean(%x) {keepdims = 0}"),
        ONE("[2,3]", "ReduceMax(%x)"),
        ONE("[2,3]", "ReduceMin(%x) {keepdims = 0}"),
        ONE("[2,3]", "ReduceL2(%x)"),
        ONE("[2,3]", "ReduceLogSumExp(%x)"),
        ONE("[2,3]", "Softmax(%x)"),
        ONE("[2,3]", "Softmax(%x) {axis = 0}"),
        ONE("[2,3]", "LogSoftmax(%x)"),
        TWO("[2,4]", "[4]", "LayerNormalization(%x, %y) {stash_type = 11}"),
        TWO("[2,4]", "[4]", "RMSNormalization(%x, %y) {stash_type = 11}"),
        "graph @f(%x: f64[2,3,2]) {\n %s = Constant {value = [1]} : i64[1]\n"
        " %y = ReduceMean(%x, %s) {keepdims = 0}\n return %y\n}\n",
    };
    check_all(texts, COUNT(texts), -1, 1);
}

static void composites(void **state)
{
    (void)state;
    static const char *const texts[] = {
        TWO("[2,3,2]", "[3]", "InstanceNormalization(%x, %y, %y)"),
        TWO("[2,4,2]", "[4]",
            "GroupNormalization(%x, %y, %y) {num_groups = 2, stash_type = 11}"),
        "graph @f(%x: f64[2,3,2], %s: f64[3], %b: f64[3], %m: f64[3]) {\n"
        " %v = Exp(%m)\n %y = BatchNormalization(%x, %s, %b, %m, %v)\n return %y\n}\n",
        "graph @f(%x: f64[4,3,2], %s: f64[3], %b: f64[3]) {\n"
        " %y, %m, %v = BatchNormalization(%x, %s, %b, %s, %b) {training_mode = 1}\n"
        " return %y\n}\n",
        "graph @f(%x: f64[4,3], %index: i64[4]) {\n %y = SoftmaxCrossEntropyLoss(%x, %index)\n"
        " return %y\n}\n",
        "graph @f(%x: f64[4,3,2], %index: i64[4,2]) {\n"
        " %y = NegativeLogLikelihoodLoss(%x, %index) {reduction = \"sum\"}\n return %y\n}\n",
        "graph @f(%q: f64[1,2,3,4], %k: f64[1,2,5,4], %v: f64[1,2,5,2]) {\n"
        " %y = Attention(%q, %k, %v)\n return %y\n}\n",
        ONE("[2,4]", "LpNormalization(%x)"),
        ONE("[2,3,2]", "MeanVarianceNormalization(%x) {axes = [0, 2]}"),
        ONE("[2,3]", "ReduceSumSquare(%x)"),
        ONE("[2,3]", "ReduceL1(%x)"),
    };
    check_all(texts, COUNT(texts), 0.2, 1.5);
}

static void several_users(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "graph @f(%x: f64[3]) {\n %a = Exp(%x)\n %b = Mul(%a, %x)\n %c = Add(%b, %a)\n"
        " return %c, %a\n}\n",
        "graph @f(%x: f64[3], %y: f64[3]) {\n %a = Exp(%x)\n return %a\n}\n",
    };
    check_all(texts, COUNT(texts), -1, 1);
}

/* ---- regions ------------------------------------------------------------------------------
 */

#define RUNS(n)                                                                                \
    " %n = Constant {value = [" #n "]} : i64[]\n %go = Constant {value = [true]} : bool[]\n"
#define TWICE       RUNS(2)
#define THREE_TIMES RUNS(3)
#define FOUR_TIMES  RUNS(4)

static void regions(void **state)
{
    (void)state;
    static const char *const texts[] = {
        /* what has no gradient is nowhere on the way */
        "graph @f(%x: f64[3], %w: f64[3]) {\n" THREE_TIMES
        " %y, %k, %z = Loop(%n, %go, %x, %n) {\n"
        "  body = graph @body(%i: i64[], %c: bool[], %v: f64[3], %k: i64[]) {\n"
        "   %u = Unique(%v)\n %s = Shape(%u)\n %t = Squeeze(%s)\n %l = Add(%k, %t)\n"
        "   %f = CastLike(%l, %w)\n %a = Mul(%w, %f)\n %b = Mul(%a, %v)\n %r = "
        "Sin(%b)\n"
        "   return %c, %r, %l, %u\n } }\n return %y\n}\n",
        /* composites inside, and several values from around, one of them twice */
        "graph @f(%x: f64[2,3], %g: f64[3], %h: f64[3]) {\n" TWICE
        " %e = Exp(%g)\n %y = Loop(%n, %go, %x) {\n"
        "  body = graph @body(%i: i64[], %c: bool[], %v: f64[2,3]) {\n"
        "   %a = LayerNormalization(%v, %e, %h) {stash_type = 11}\n %b = Gelu(%a)\n"
        "   %d = Add(%b, %e)\n return %c, %d\n } }\n %z = Mul(%y, %e)\n return "
        "%z\n}\n",
        /* a branch that has another shape */
        "graph @f(%x: f64[4]) {\n %s = ReduceSum(%x) {keepdims = 0}\n"
        " %c = Less(%s, %s)\n %y = If(%c) {\n"
        "  then_branch = graph @a() {\n %a = Mul(%x, %x)\n return %a\n },\n"
        "  else_branch = graph @b() {\n %b = Mul(%s, %x)\n %m = ReduceMax(%b)\n return %m\n"
        " } }\n %z = Exp(%y)\n return %z\n}\n",
        /* a scan of a loop's results, and a scan in a scan */
        "graph @f(%x: f64[3], %w: f64[3]) {\n" FOUR_TIMES " %y, %all = Loop(%n, %go, %x) {\n"
        "  body = graph @body(%i: i64[], %c: bool[], %v: f64[3]) {\n"
        "   %a = Mul(%v, %w)\n %b = Cos(%a)\n return %c, %b, %a\n } }\n"
        " %h, %p = Scan(%x, %all) {num_scan_inputs = 1,\n"
        "  body = graph @scanned(%s: f64[3], %e: f64[3]) {\n"
        "   %k = ReduceSum(%e) {keepdims = 0}\n"
        "   %q = Scan(%k, %s) {num_scan_inputs = 1,\n"
        "    body = graph @inside(%m: f64[], %o: f64[]) {\n"
        "     %j = Mul(%m, %o)\n %l = Sin(%j)\n return %l\n } }\n"
        "   %r = Mul(%e, %q)\n return %r, %q\n } }\n return %h, %p\n}\n",
    };
    check_all(texts, COUNT(texts), 0.2, 1.1);
}

/* Runs `text`, of whose parameter and results each is f64[n]. */
static void run_vectors(const char *text, int64_t n, const double *x, double **results)
{
    gml_rvalue in = {0};
    gml_rvalue out[4] = {{0}};
    gml_diags diags;
    gml_arena arena;
    gml_module *module;
    gml_dim dims[1] = {n};
    gml_execute_options options = {.device = GML_DEVICE_REF, .verify = true};
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    assert_int_equal(gml_rvalue_alloc(&in, GML_F64, 1, dims), GML_OK);
    memcpy(in.tensor.data, x, (size_t)n * sizeof *x);
    if (gml_text_parse(text, strlen(text), NULL, &diags, &module) != GML_OK ||
        gml_execute(module, &in, out, &options, &diags) != GML_OK)
        fail_msg("%s", diags.list.items[0].text);
    for (int r = 0; r < 4 && results[r]; r++) {
        assert_int_equal(gml_tensor_numel(&out[r].tensor), n);
        memcpy(results[r], out[r].tensor.data, (size_t)n * sizeof *x);
    }
    for (int r = 0; r < 4; r++)
        gml_rvalue_reset(&out[r]);
    gml_rvalue_reset(&in);
    gml_arena_reset(&arena);
}

#define GRADIENT_OF_Y                                                                          \
    " %d = ai.onnx.preview.training.Gradient(%x, %x, %y) {xs = [\"x\"], y = \"y\"}\n"

/* x^5 by a loop: 5 x^4, from that 20 x^3, and 5 at 1. */
static void twice_through_a_loop(void **state)
{
    (void)state;
    static const char text[] =
        "graph @f(%x: f64[3]) {\n" FOUR_TIMES " %y = Loop(%n, %go, %x) {\n"
        "  body = graph @body(%i: i64[], %c: bool[], %v: f64[3]) {\n"
        "   %r = Mul(%v, %x)\n return %c, %r\n } }\n"
        " %one = Constant {value = [1.0, 1.0, 1.0]} : f64[3]\n"
        " %a = ai.onnx.preview.training.Gradient(%one, %x, %y) {xs = [\"x\"], y = "
        "\"y\"}\n" GRADIENT_OF_Y
        " %e = ai.onnx.preview.training.Gradient(%x, %x, %d) {xs = [\"x\"], y = \"d\"}\n"
        " return %d, %e, %a\n}\n";
    double x[3] = {0.5, -1.25, 2};
    double first[3];
    double second[3];
    double at_one[3];
    double *results[4] = {first, second, at_one};
    run_vectors(text, 3, x, results);
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(first[i] - 5 * pow(x[i], 4)) <= 1e-12 * fabs(first[i]));
        assert_true(fabs(second[i] - 20 * pow(x[i], 3)) <= 1e-12 * fabs(second[i]));
        assert_true(fabs(at_one[i] - 5) <= 1e-12);
    }
}

/* The gradient uses the random numbers that the iterations drew: y = x u1 u2 u3. */
static void random_numbers(void **state)
{
    (void)state;
    static const char text[] =
        "graph @f(%x: f64[4]) {\n" THREE_TIMES " %y, %all = Loop(%n, %go, %x) {\n"
        "  body = graph @body(%i: i64[], %c: bool[], %v: f64[4]) {\n"
        "   %u = RandomUniformLike(%v)\n %r = Mul(%v, %u)\n return %c, %r, %u\n } "
        "}\n" GRADIENT_OF_Y " %axes = Constant {value = [0]} : i64[1]\n"
        " %p = ReduceProd(%all, %axes) {keepdims = 0}\n return %d, %p\n}\n";
    double x[4] = {1, 1, 1, 1};
    double slope[4];
    double product[4];
    double *results[4] = {slope, product};
    run_vectors(text, 4, x, results);
    for (int i = 0; i < 4; i++)
        assert_true(product[i] != 0 && fabs(slope[i] - product[i]) <= 1e-14);
}

/* The diagnostics of differentiating `text`, which has to be refused, of x: f64[3]. */
static void check_refused(const char *text, const char *const says[2])
{
    gml_rvalue in = {0};
    gml_rvalue out = {0};
    gml_diags diags;
    gml_arena arena;
    gml_module *module;
    gml_dim dims[1] = {3};
    gml_execute_options options = {.device = GML_DEVICE_REF};
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    assert_int_equal(gml_rvalue_alloc(&in, GML_F64, 1, dims), GML_OK);
    if (gml_text_parse(text, strlen(text), NULL, &diags, &module) != GML_OK)
        fail_msg("%s", diags.list.items[0].text);
    if (gml_execute(module, &in, &out, &options, &diags) == GML_OK)
        fail_msg("not refused: %s", text);
    const char *said = gml_diags_print(&diags);
    if (!strstr(said, says[0]) || !strstr(said, says[1]))
        fail_msg("%s", said);
    gml_rvalue_reset(&in);
    gml_arena_reset(&arena);
}

/* Every node without a gradient is named, in regions too; so is what cannot be saved. */
static void refused_in_regions(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says[2];
    } table[] = {
        {"graph @f(%x: f64[3]) {\n" TWICE " %y = Loop(%n, %go, %x) {\n"
         "  body = graph @body(%i: i64[], %c: bool[], %v: f64[3]) {\n"
         "   %a = ai.onnx.ml.Scaler(%v) {offset = [1.0], scale = [2.0]}\n"
         "   %m = ai.onnx.ml.Normalizer(%a)\n %b = CastLike(%m, %x)\n"
         "   return %c, %b\n } }\n" GRADIENT_OF_Y " return %d\n}\n",
         {"Scaler has no gradient", "Normalizer has no gradient"}},
        {"graph @f(%x: f64[3]) {\n" TWICE " %y = Loop(%n, %go, %x) {\n"
         "  body = graph @body(%i: i64[], %c: bool[], %v: f64[n]) {\n"
         "   %b = Concat(%v, %v) {axis = 0}\n return %c, %b\n } }\n" GRADIENT_OF_Y
         " return %d\n}\n",
         {"carried value 0", "keeps its shape"}},
        {"graph @f(%x: f64[3]) {\n %s = ReduceSum(%x) {keepdims = 0}\n"
         " %c = Less(%s, %s)\n %z = If(%c) {\n"
         "  then_branch = graph @a() {\n %a = Exp(%x)\n return %a\n },\n"
         "  else_branch = graph @b() {\n return %s\n } }\n %y = Exp(%z)\n" GRADIENT_OF_Y
         " return %d\n}\n",
         {"rank", "not known"}},
        {"graph @f(%x: f64[3]) {\n" TWICE " %y = Loop(%n, %go, %x) {\n"
         "  body = graph @body(%i: i64[], %c: bool[], %v: f64[3]) {\n"
         "   %u = If(%c) {\n"
         "    then_branch = graph @a() {\n"
         "     %q = RandomUniformLike(%v)\n %r = Mul(%v, %q)\n return %r\n },\n"
         "    else_branch = graph @b() {\n return %v\n } }\n"
         "   return %c, %u\n } }\n" GRADIENT_OF_Y " return %d\n}\n",
         {"random numbers", "RandomUniformLike"}},
    };
    for (size_t i = 0; i < COUNT(table); i++)
        check_refused(table[i].text, table[i].says);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise),
        cmocka_unit_test(far_out),
        cmocka_unit_test(broadcasting),
        cmocka_unit_test(products),
        cmocka_unit_test(shapes),
        cmocka_unit_test(rows),
        cmocka_unit_test(composites),
        cmocka_unit_test(windows),
        cmocka_unit_test(several_users),
        cmocka_unit_test(regions),
        cmocka_unit_test(random_numbers),
        cmocka_unit_test(refused_in_regions),
        cmocka_unit_test(twice_through_a_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
