/* tests/unit/test_hostile_values.c - indices, counts and sizes that only the run knows, and
 * that are absurd: on every device an operator refuses them or stays inside its memory.
 *
 * Operands lie against a page that cannot be read, once with their end and once with their
 * beginning, because a sanitizer does not see what generated code does. Every element of the
 * data is 7, so that an element that came from elsewhere shows.
 */
#define _GNU_SOURCE

#include "gemel/gemel.h"
#include "onnx_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define GML_MAX_INPUTS 6
#define GML_SAMPLES    4096

/* A graph as text, or one node whose operands are inputs ("f32[3,4] i64[2]", "-": absent):
 * sizes that only the run knows are nothing that a text can leave open. */
typedef struct hostile_case {
    const char *op;
    const char *text;
    const char *operands;
    const char *attrs;  /* of the node: "axis=1 mode=wrap" */
    bool only_sevens;   /* floats that come out are 7 or 0 */
    unsigned n_results; /* of the node, one more than this */
} hostile_case;

#define GRAPH_TEXT(params, body) "graph @f(" params ") {\n" body "\n return %y\n}\n"
#define GRAPH(params, body)      .text = GRAPH_TEXT(params, body)
#define PICKS                    .only_sevens = true

static const hostile_case cases[] = {
    /* elements are picked */
    {"Gather", GRAPH("%x: f32[3,4], %i: i64[2]", "%y = Gather(%x, %i) {axis = 1}"), PICKS},
    {"Gather", GRAPH("%x: f32[3,4], %i: i32[2]", "%y = Gather(%x, %i)"), PICKS},
    {"GatherElements", GRAPH("%x: f32[3,4], %i: i64[2,4]", "%y = GatherElements(%x, %i)"),
     PICKS},
    {"GatherND", GRAPH("%x: f32[3,4], %i: i64[2,2]", "%y = GatherND(%x, %i)"), PICKS},
    {"GatherND",
     GRAPH("%x: f32[3,4], %i: i64[3,2,1]", "%y = GatherND(%x, %i) {batch_dims = 1}"), PICKS},
    {"ArrayFeatureExtractor",
     GRAPH("%x: f32[3,4], %i: i64[2]", "%y = ai.onnx.ml.ArrayFeatureExtractor(%x, %i)"), PICKS},
    {"OneHot",
     GRAPH("%i: i64[2], %v: f32[2]",
           "%d = Constant {value = [3]} : i64[]\n%y = OneHot(%i, %d, %v)"),
     PICKS},
    {"RotaryEmbedding", GRAPH("%x: f32[1,2,3,4], %c: f32[5,2], %s: f32[5,2], %i: i64[1,3]",
                              "%y = RotaryEmbedding(%x, %c, %s, %i)")},
    {"NegativeLogLikelihoodLoss",
     GRAPH("%x: f32[2,3], %i: i64[2], %w: f32[3]",
           "%y = NegativeLogLikelihoodLoss(%x, %i, %w) {reduction = \"none\"}")},
    {"SoftmaxCrossEntropyLoss",
     GRAPH("%x: f32[2,3], %i: i64[2]",
           "%y = SoftmaxCrossEntropyLoss(%x, %i) {reduction = \"none\", ignore_index = -1}")},
    {"RoiAlign",
     GRAPH("%x: f32[1,1,4,4], %r: f32[2,4], %i: i64[2]", "%y = RoiAlign(%x, %r, %i)")},
    {"Compress", .operands = "f32[3] bool[7]", .attrs = "axis=0", PICKS},
    {"SequenceAt",
     GRAPH("%x: f32[3], %i: i64[]", "%s = SequenceConstruct(%x)\n%y = SequenceAt(%s, %i)"),
     PICKS},
    /* … and put */
    {"ScatterElements",
     GRAPH("%x: f32[3,4], %i: i64[2,4], %u: f32[2,4]", "%y = ScatterElements(%x, %i, %u)"),
     PICKS},
    {"ScatterElements",
     GRAPH("%x: f32[3,4], %i: i64[2,4], %u: f32[2,4]",
           "%y = ScatterElements(%x, %i, %u) {axis = 1, reduction = \"max\"}"),
     PICKS},
    {"ScatterND",
     GRAPH("%x: f32[3,4], %i: i64[2,1], %u: f32[2,4]", "%y = ScatterND(%x, %i, %u)"), PICKS},
    {"TensorScatter",
     GRAPH("%x: f32[2,3,4], %u: f32[2,1,4], %i: i64[2]", "%y = TensorScatter(%x, %u, %i)"),
     PICKS},
    {"TensorScatter",
     GRAPH("%x: f32[2,3,4], %u: f32[2,1,4], %i: i64[2]",
           "%y = TensorScatter(%x, %u, %i) {mode = \"circular\"}"),
     PICKS},
    {"MaxUnpool",
     GRAPH("%x: f32[1,1,2,2], %i: i64[1,1,2,2]",
           "%y = MaxUnpool(%x, %i) {kernel_shape = [2, 2], strides = [2, 2]}"),
     PICKS},
    {"SequenceErase",
     GRAPH("%x: f32[3], %i: i64[]",
           "%s = SequenceConstruct(%x)\n%t = SequenceErase(%s, %i)\n%y = SequenceLength(%t)")},
    {"SequenceInsert", GRAPH("%x: f32[3], %i: i64[]",
                             "%s = SequenceConstruct(%x)\n%t = SequenceInsert(%s, %x, %i)\n"
                             "%y = SequenceLength(%t)")},
    /* sizes and bounds */
    {"Slice", .operands = "f32[3,4] i64[2] i64[2]", PICKS},
    {"Slice", .operands = "f32[3,4] i64[1] i64[1] i64[1] i64[1]", PICKS},
    {"Split", .operands = "f32[6] i64[2]", .n_results = 1, PICKS},
    {"SplitToSequence",
     GRAPH("%x: f32[6], %s: i64[]", "%q = SplitToSequence(%x, %s)\n%y = SequenceLength(%q)")},
    {"Reshape", .operands = "f32[3,4] i64[2]", PICKS},
    {"Expand", .operands = "f32[3,1] i64[2]", PICKS},
    {"Tile", .operands = "f32[3,4] i64[2]", PICKS},
    {"Pad", .operands = "f32[3,4] i64[4]", PICKS},
    {"Pad", .operands = "f32[3,4] i64[4]", .attrs = "mode=reflect", PICKS},
    {"Pad", .operands = "f32[3,4] i64[4]", .attrs = "mode=edge", PICKS},
    {"Pad", .operands = "f32[3,4] i64[4]", .attrs = "mode=wrap", PICKS},
    {"CenterCropPad", .operands = "f32[3,4] i64[2]", PICKS},
    {"ConstantOfShape", .operands = "i64[2]", PICKS},
    {"EyeLike", .operands = "f32[3,4]", .attrs = "k=-9223372036854775808"},
    {"Unsqueeze", .operands = "f32[3,4] i64[1]", PICKS},
    {"Squeeze", .operands = "f32[3,1] i64[1]", PICKS},
    {"ReduceMax", .operands = "f32[3,4] i64[1]", PICKS},
    {"CumSum", .operands = "f32[3,4] i64[]"},
    {"CumProd", .operands = "f32[3,4] i64[]"},
    {"TopK", .operands = "f32[3,4] i64[1]", .n_results = 1, PICKS},
    {"Trilu", .operands = "f32[3,4] i64[]", PICKS},
    {"Range", .operands = "i64[] i64[] i64[]"},
    {"Range", .operands = "f32[] f32[] f32[]"},
    {"OneHot", .operands = "i64[2] i64[] f32[2]", PICKS},
    {"ReverseSequence", .operands = "f32[3,4] i64[4]", PICKS},
    {"NonMaxSuppression", .operands = "f32[1,3,4] f32[1,1,3] i64[1]"},
    {"Resize", .operands = "f32[1,1,3,4] - - i64[4]", PICKS},
    {"Resize", .operands = "f32[1,1,3,4] - f32[4]"},
    {"GridSample", GRAPH("%x: f32[1,1,3,4], %g: f32[1,2,2,2]", "%y = GridSample(%x, %g)")},
    {"GridSample",
     GRAPH("%x: f32[1,1,3,4], %g: f32[1,2,2,2]",
           "%y = GridSample(%x, %g) {padding_mode = \"reflection\", mode = \"cubic\"}")},
    {"DeformConv", GRAPH("%x: f32[1,1,3,3], %w: f32[1,1,2,2], %o: f32[1,8,2,2]",
                         "%y = DeformConv(%x, %w, %o)")},
    {"DFT", .operands = "f32[1,4,1] i64[]"},
    {"DFT", .operands = "f32[1,4,1] - i64[]"},
    {"STFT", .operands = "f32[1,8,1] i64[] f32[4]"},
    {"STFT", .operands = "f32[1,8,1] i64[] - i64[]"},
    {"MelWeightMatrix", .operands = "i64[] i64[] i64[] f32[] f32[]"},
    {"HannWindow", .operands = "i64[]"},
    {"AffineGrid", .operands = "f32[1,2,3] i64[4]"},
    {"Col2Im", .operands = "f32[1,4,4] i64[2] i64[2]"},
    {"GRU", GRAPH("%x: f32[2,1,3], %w: f32[1,6,3], %r: f32[1,6,2], %n: i32[1]",
                  "%y = GRU(%x, %w, %r, _, %n) {hidden_size = 2}")},
    {"Attention", GRAPH("%q: f32[1,1,2,4], %k: f32[1,1,3,4], %v: f32[1,1,3,4], %n: i64[1]",
                        "%y = Attention(%q, %k, %v, _, _, _, %n)")},
    {"Loop",
     GRAPH("%m: i64[], %c: bool[], %x: f32[2]",
           "%y = Loop(%m, %c, %x) {\n body = graph @b(%i: i64[], %d: bool[], %v: f32[2]) {\n"
           " %no = Not(%d)\n return %no, %v\n}\n}")},
    /* arithmetic without a result */
    {"Div", GRAPH("%a: i64[3], %b: i64[3]", "%y = Div(%a, %b)")},
    {"Div", GRAPH("%a: i32[3]", "%n = Neg(%a)\n%y = Div(%a, %n)")},
    {"Div", GRAPH("%a: i64[3]", "%m = Constant {value = [-1]} : i64[1]\n%y = Div(%a, %m)")},
    {"Mod", GRAPH("%a: i64[3], %b: i64[3]", "%y = Mod(%a, %b)")},
    {"Mod", GRAPH("%a: i64[3]", "%m = Constant {value = [-1]} : i64[1]\n%y = Mod(%a, %m)")},
    {"Mod", GRAPH("%a: i64[3], %b: i64[3]", "%y = Mod(%a, %b) {fmod = 1}")},
    {"BitShift",
     GRAPH("%a: u64[3], %b: u64[3]", "%y = BitShift(%a, %b) {direction = \"LEFT\"}")},
    {"Pow", GRAPH("%a: i64[3], %b: i64[3]", "%y = Pow(%a, %b)")},
    {"Abs", GRAPH("%a: i64[3]", "%y = Abs(%a)")},
    {"Cast", GRAPH("%x: f32[3], %a: f32[3]", "%y = Cast(%a) {to = 3}")},
};

/* ---- models ----------------------------------------------------------------------------- */

/* "f32[3,4]" */
static void add_operand(onnx_model *m, const char *name, const char *type, size_t len)
{
    int64_t dims[GML_MAX_RANK];
    int rank = 0;
    const char *at = memchr(type, '[', len);
    gml_dtype dtype = gml_dtype_find(type, (size_t)(at - type));
    for (at++; *at != ']'; rank++) {
        char *end;
        dims[rank] = strtoll(at, &end, 10);
        at = end + (*end == ',');
    }
    add_input(m, name, dtype, rank, dims);
}

static void add_attributes(onnx_model *m, Onnx__NodeProto *node, const char *attrs)
{
    while (attrs != NULL && *attrs != '\0') {
        size_t len = strcspn(attrs, " ");
        char *name = gml_arena_text(&m->arena, attrs, len);
        char *value = strchr(name, '=');
        *value++ = '\0';
        if (strchr("-0123456789", *value) != NULL)
            add_int(m, node, name, strtoll(value, NULL, 10));
        else
            add_string(m, node, name, value);
        attrs += len + (attrs[len] == ' ');
    }
}

/* The model of one node, in m->bytes. */
static void make_node(onnx_model *m, const hostile_case *c)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    gml_str uses;
    size_t i = 0;
    gml_str_init(&uses);
    for (const char *at = c->operands; *at != '\0'; i++) {
        size_t len = strcspn(at, " ");
        bool is_absent = *at == '-';
        if (!is_absent)
            add_operand(m, names[i], at, len);
        gml_str_printf(&uses, "%s%s", i > 0 ? " " : "", is_absent ? "-" : names[i]);
        at += len + (at[len] == ' ');
    }
    Onnx__NodeProto *node = add_node(m, c->op, uses.text, c->n_results > 0 ? "y z" : "y");
    add_attributes(m, node, c->attrs);
    add_output(m, "y",
               strstr(c->operands, "f32") != NULL || c->op[0] != 'R' ? GML_F32 : GML_I64);
    gml_str_reset(&uses);
    size_t size = onnx__model_proto__get_packed_size(&m->proto);
    uint8_t *packed = gml_arena_alloc(&m->arena, size);
    (void)onnx__model_proto__pack(&m->proto, packed);
    gml_str_append(&m->bytes, packed, size);
}

static const int64_t hostile[] = {
    INT64_MIN,        -((int64_t)1 << 40), -5,       -1, 0, 1, 3, 5,
    (int64_t)1 << 50, (int64_t)1 << 62,    INT64_MAX};
static const float hostile_floats[] = {7, -1e30f, 1e30f, INFINITY, NAN};

/* Two pages; the one before and the one behind cannot be touched. */
typedef struct guarded {
    char *pages;
    size_t page;
} guarded;

static guarded create_guarded(void)
{
    guarded g = {.page = (size_t)sysconf(_SC_PAGESIZE)};
    g.pages =
        mmap(NULL, 4 * g.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(g.pages, MAP_FAILED);
    assert_int_equal(mprotect(g.pages, g.page, PROT_NONE), 0);
    assert_int_equal(mprotect(g.pages + 3 * g.page, g.page, PROT_NONE), 0);
    return g;
}

static void *place(const guarded *g, size_t size, bool at_end)
{
    return g->pages + (at_end ? 3 * g->page - size : g->page);
}

static void fill(const gml_tensor *tensor, int64_t value, float number)
{
    int64_t n = gml_tensor_numel(tensor);
    size_t size = gml_dtype_size(tensor->dtype);
    for (int64_t i = 0; i < n; i++) {
        char *at = (char *)tensor->data + (size_t)i * size;
        uint8_t truth = (uint8_t)(value != 0);
        int32_t half = (int32_t)value;
        if (tensor->dtype == GML_F32)
            memcpy(at, &number, size);
        else if (tensor->dtype == GML_BOOL)
            memcpy(at, &truth, size);
        else if (tensor->dtype == GML_I32)
            memcpy(at, &half, size);
        else
            memcpy(at, &value, size);
    }
}

static void check_sevens(const hostile_case *c, const gml_tensor *y)
{
    int64_t n = y->dtype == GML_F32 ? gml_tensor_numel(y) : 0;
    const float *elements = y->data;
    for (int64_t i = 0; i < n; i++)
        if (elements[i] != 7 && elements[i] != 0)
            fail_msg("%s: %g comes out", c->op, (double)elements[i]);
}

/* Floats of the first input are always data. */
static void run(const hostile_case *c, gml_session *session, gml_model *model,
                const guarded *memory, int64_t value, float number, bool at_end)
{
    gml_tensor y;
    for (size_t i = 0; i < gml_model_n_inputs(model); i++) {
        const gml_port *port = gml_model_input(model, i);
        gml_tensor x = {.dtype = port->dtype, .rank = port->rank};
        memcpy(x.dims, port->dims, sizeof x.dims);
        x.data =
            place(&memory[i], (size_t)gml_tensor_numel(&x) * gml_dtype_size(x.dtype), at_end);
        fill(&x, value, i == 0 ? 7 : number);
        assert_int_equal(gml_session_bind_input(session, i, &x), GML_OK);
    }
    gml_status status = gml_session_run(session);
    if (status == GML_E_INTERNAL)
        fail_msg("%s, %lld: %s", c->op, (long long)value, gml_error_text());
    if (status != GML_OK) {
        if (!strstr(gml_error_text(), c->op) && status != GML_E_MEMORY)
            fail_msg("%s, %lld: does not say where: %s", c->op, (long long)value,
                     gml_error_text());
        return;
    }
    if (c->only_sevens && gml_session_output(session, 0, &y) == GML_OK)
        check_sevens(c, &y);
}

static void run_case(const hostile_case *c, const char *device, const guarded *memory)
{
    gml_model *model = NULL;
    gml_session *session = NULL;
    gml_model_options options = {.device = device, .n_threads = 1, .fast_compile = true};
    onnx_model m;
    model_init(&m, 27);
    if (c->text != NULL)
        gml_str_puts(&m.bytes, c->text);
    else
        make_node(&m, c);
    if (gml_model_wrap(m.bytes.text, m.bytes.len, NULL, &options, &model) != GML_OK)
        fail_msg("%s: %s", c->op, gml_error_text());
    assert_true(gml_model_n_inputs(model) <= GML_MAX_INPUTS);
    assert_int_equal(gml_session_create(model, &session), GML_OK);
    for (int at_end = 0; at_end < 2; at_end++) {
        for (size_t v = 0; v < sizeof hostile / sizeof *hostile; v++)
            run(c, session, model, memory, hostile[v], 7, at_end != 0);
        for (size_t v = 0; v < sizeof hostile_floats / sizeof *hostile_floats; v++)
            if (!c->only_sevens)
                run(c, session, model, memory, 1, hostile_floats[v], at_end != 0);
    }
    gml_session_destroy(session);
    gml_model_release(model);
    model_reset(&m);
}

/* 2^40 rows of no element: memory is none, and time must not be spent either. */
static void nothing_takes_no_time(const char *device)
{
    static const char text[] = GRAPH_TEXT("%x: f32[1099511627776,0]", "%y = Exp(%x)");
    gml_model *model = NULL;
    gml_session *session = NULL;
    gml_model_options options = {.device = device, .n_threads = 1};
    gml_tensor x = {.dtype = GML_F32, .rank = 2, .dims = {(int64_t)1 << 40, 0}};
    gml_tensor y;
    assert_int_equal(gml_model_wrap(text, strlen(text), NULL, &options, &model), GML_OK);
    assert_int_equal(gml_session_create(model, &session), GML_OK);
    assert_int_equal(gml_session_bind_input(session, 0, &x), GML_OK);
    assert_int_equal(gml_session_run(session), GML_OK);
    assert_int_equal(gml_session_output(session, 0, &y), GML_OK);
    assert_int_equal(y.dims[0], x.dims[0]);
    gml_session_destroy(session);
    gml_model_release(model);
}

/* Functions with bounded results, over floats of every exponent and sign, and NaN. */
static void bounded_functions_are_bounded(const char *device)
{
    static const struct {
        const char *op, *text;
        float low, high;
    } bounds[] = {
        {"Tanh", GRAPH_TEXT("%x: f32[4096,1]", "%y = Tanh(%x)"), -1, 1},
        {"Sigmoid", GRAPH_TEXT("%x: f32[4096,1]", "%y = Sigmoid(%x)"), 0, 1},
        {"HardSigmoid", GRAPH_TEXT("%x: f32[4096,1]", "%y = HardSigmoid(%x)"), 0, 1},
        {"Erf", GRAPH_TEXT("%x: f32[4096,1]", "%y = Erf(%x)"), -1, 1},
        {"Sin", GRAPH_TEXT("%x: f32[4096,1]", "%y = Sin(%x)"), -1, 1},
        {"Cos", GRAPH_TEXT("%x: f32[4096,1]", "%y = Cos(%x)"), -1, 1},
        {"Softmax", GRAPH_TEXT("%x: f32[4096,1]", "%y = Softmax(%x)"), 0, 1},
        {"Softsign", GRAPH_TEXT("%x: f32[4096,1]", "%y = Softsign(%x)"), -1, 1},
    };
    static float in[GML_SAMPLES];
    for (uint32_t i = 0; i < GML_SAMPLES; i++) {
        uint32_t bits = i << 20; /* sign, exponent, the first of the mantissa */
        memcpy(&in[i], &bits, sizeof bits);
    }
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
        gml_model *model = NULL;
        gml_session *session = NULL;
        gml_model_options options = {.device = device, .n_threads = 1, .fast_compile = true};
        gml_tensor x = {.dtype = GML_F32, .rank = 2, .dims = {GML_SAMPLES, 1}, .data = in};
        gml_tensor y;
        assert_int_equal(
            gml_model_wrap(bounds[b].text, strlen(bounds[b].text), NULL, &options, &model),
            GML_OK);
        assert_int_equal(gml_session_create(model, &session), GML_OK);
        assert_int_equal(gml_session_bind_input(session, 0, &x), GML_OK);
        assert_int_equal(gml_session_run(session), GML_OK);
        assert_int_equal(gml_session_output(session, 0, &y), GML_OK);
        for (int i = 0; i < GML_SAMPLES; i++) {
            float out = ((float *)y.data)[i];
            if (isfinite(in[i]) && !(out >= bounds[b].low && out <= bounds[b].high))
                fail_msg("%s(%g) is %g", bounds[b].op, (double)in[i], (double)out);
        }
        gml_session_destroy(session);
        gml_model_release(model);
    }
}

static void run_on(const char *device)
{
    nothing_takes_no_time(device);
    bounded_functions_are_bounded(device);
    guarded memory[GML_MAX_INPUTS];
    for (int i = 0; i < GML_MAX_INPUTS; i++)
        memory[i] = create_guarded();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        run_case(&cases[i], device, memory);
    for (int i = 0; i < GML_MAX_INPUTS; i++)
        munmap(memory[i].pages, 4 * memory[i].page);
}

static void the_interpreter_stays_inside(void **state)
{
    (void)state;
    run_on("ref");
}

#if defined(GML_HAVE_LLVM)
static void compiled_code_stays_inside(void **state)
{
    (void)state;
    run_on("cpu");
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_interpreter_stays_inside),
#if defined(GML_HAVE_LLVM)
        cmocka_unit_test(compiled_code_stays_inside),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
