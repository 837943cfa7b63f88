/* tests/fuzz/fuzz_node.c - any bytes as one node: an operator, operands of hostile types (2^60
 * elements, unknown sizes, wrong ranks), attributes of wrong lengths and absurd values.
 *
 * Inference answers without overflow, and says what is wrong. Where the operands are small the
 * node is run, too, on the interpreter.
 */
#include "api/eager.h"
#include "ir/op.h"
#include "ir/text.h"
#include "ir/verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GML_MOST_OPERANDS 8
#define GML_MOST_ELEMENTS 4096 /* of an operand of a node that is run */

typedef struct source {
    const uint8_t *at, *end;
    gml_module *module;
    gml_arena *arena;
    bool is_small; /* all operands are tensors that can be had */
} source;

/* Zeros when there is nothing more: the plainest choice everywhere. */
static unsigned next(source *s, unsigned n)
{
    return s->at == s->end ? 0 : *s->at++ % n;
}

static int64_t next_number(source *s)
{
    static const int64_t numbers[] = {
        1,         0,         2,         3, 4, 5, -1, -2, -3, -5, 7, 1ll << 40, -(1ll << 40),
        1ll << 62, INT64_MAX, INT64_MIN, 1, -1};
    return numbers[next(s, sizeof numbers / sizeof *numbers)];
}

static double next_float(source *s)
{
    static const double numbers[] = {1,     0,        0.5,       -1,  2,     -2.5, 1e30,
                                     -1e30, INFINITY, -INFINITY, NAN, 1e-30, 3};
    return numbers[next(s, sizeof numbers / sizeof *numbers)];
}

static gml_dim next_dim(source *s)
{
    static const int64_t sizes[] = {3, 1, 2, 4, 0, 5, 1ll << 40, (1ll << 60) - 1};
    unsigned choice = next(s, 64);
    if (choice >= 60)
        return gml_dim_symbol(&s->module->dims, choice & 1 ? "n" : "m");
    return sizes[choice < 58 ? choice % 6 : choice - 52];
}

static gml_string next_text(source *s)
{
    static const char *const words[] = {
        "linear",    "nearest",    "cubic",      "constant",      "reflect", "wrap",
        "edge",      "sum",        "mean",       "none",          "NOTSET",  "SAME_UPPER",
        "VALID",     "LEFT",       "add",        "mul",           "max",     "bilinear",
        "border",    "zeros",      "DCR",        "CRD",           "tanh",    "bij,bjk",
        "ij,jk->ik", "...i->i",    "i->",        "ii->i",         "TF",      "TFIDF",
        "BRANCH_EQ", "POST",       "forward",    "bidirectional", "Tanh",    "Sigmoid",
        "relu",      "asymmetric", "half_pixel", "circular",      "",        "[a-z]*",
        "(",         "a",          "LOGISTIC",   "RBF",           "POLY",    "AVERAGE"};
    const char *word = words[next(s, sizeof words / sizeof *words)];
    return (gml_string){word, strlen(word)};
}

/* ---- operands --------------------------------------------------------------------------- */

static gml_type next_tensor_type(source *s)
{
    static const gml_dtype common[] = {GML_F32,  GML_I64,    GML_I32,
                                       GML_BOOL, GML_STRING, GML_F16};
    unsigned choice = next(s, 128);
    gml_dtype dtype = choice < 90    ? GML_F32
                      : choice < 102 ? common[choice - 90 < 6 ? choice - 90 : 1]
                                     : (gml_dtype)(1 + choice - 102);
    unsigned rank = next(s, 16);
    gml_dim dims[GML_MAX_RANK];
    if (rank == 15)
        return gml_type_unranked(dtype);
    rank = rank < 12 ? (rank + 2) % 6 : GML_MAX_RANK;
    for (unsigned d = 0; d < rank; d++)
        dims[d] = next_dim(s);
    return gml_type_tensor(s->arena, dtype, (int)rank, dims);
}

/* Elements for a tensor type that allows it, else NULL. */
static gml_tensor *next_elements(source *s, const gml_type *type)
{
    if (type->kind != GML_TYPE_TENSOR || !gml_type_is_static(type))
        return NULL;
    gml_tensor *tensor = gml_new(s->arena, gml_tensor);
    *tensor = (gml_tensor){.dtype = type->dtype, .rank = type->rank};
    for (int d = 0; d < type->rank; d++)
        tensor->dims[d] = type->dims[d];
    int64_t n = gml_tensor_numel(tensor);
    size_t size = gml_dtype_size(type->dtype);
    if (n > GML_MOST_ELEMENTS)
        return NULL;
    tensor->data = gml_arena_array(s->arena, (size_t)n, size);
    bool is_text = type->dtype == GML_STRING;
    for (int64_t i = 0; i < n; i++) {
        int64_t number = next_number(s);
        float real = (float)next_float(s);
        gml_string text = next_text(s);
        uint8_t truth = number & 1;
        const void *element = is_text                   ? (const void *)&text
                              : type->dtype == GML_F32  ? (const void *)&real
                              : type->dtype == GML_BOOL ? (const void *)&truth
                                                        : (const void *)&number;
        memcpy((char *)tensor->data + (size_t)i * size, element, size < 8 ? size : 8);
        if (is_text)
            memcpy((char *)tensor->data + (size_t)i * size, &text, sizeof text);
    }
    return tensor;
}

static gml_value *next_operand(source *s, gml_graph *graph, gml_rvalue *out_input)
{
    unsigned kind = next(s, 32);
    *out_input = (gml_rvalue){0};
    if (kind == 31)
        return NULL;
    gml_type type = next_tensor_type(s);
    if (kind >= 28) {
        s->is_small = false;
        type = kind == 28   ? gml_type_sequence(s->arena, type)
               : kind == 29 ? gml_type_optional(s->arena, type)
                            : gml_type_map(s->arena, GML_I64, gml_type_scalar(GML_F32));
        return gml_graph_add_param(graph, NULL, type);
    }
    gml_value *value = gml_graph_add_param(graph, NULL, type);
    gml_tensor *tensor = next_elements(s, &type);
    if (tensor == NULL) {
        s->is_small = false;
        return value;
    }
    *out_input = (gml_rvalue){.kind = GML_RVALUE_TENSOR, .tensor = *tensor};
    if (kind < 16)
        value->constant = tensor;
    return value;
}

/* ---- attributes ------------------------------------------------------------------------- */

static gml_attr next_attr(source *s, const gml_attr_spec *spec)
{
    gml_attr attr = {.name = spec->name, .kind = spec->kind};
    size_t n = next(s, 7);
    attr.count = n;
    if (spec->kind == GML_ATTR_INT) {
        attr.as.i = next_number(s);
    } else if (spec->kind == GML_ATTR_FLOAT) {
        attr.as.f = (float)next_float(s);
    } else if (spec->kind == GML_ATTR_STRING) {
        attr.as.s = next_text(s);
    } else if (spec->kind == GML_ATTR_INTS) {
        int64_t *ints = gml_new_array(s->arena, int64_t, n + 1);
        for (size_t i = 0; i < n; i++)
            ints[i] = next_number(s);
        attr.as.ints = ints;
    } else if (spec->kind == GML_ATTR_FLOATS) {
        float *floats = gml_new_array(s->arena, float, n + 1);
        for (size_t i = 0; i < n; i++)
            floats[i] = (float)next_float(s);
        attr.as.floats = floats;
    } else if (spec->kind == GML_ATTR_STRINGS) {
        gml_string *strings = gml_new_array(s->arena, gml_string, n + 1);
        for (size_t i = 0; i < n; i++)
            strings[i] = next_text(s);
        attr.as.strings = strings;
    } else if (spec->kind == GML_ATTR_TENSOR) {
        gml_type type = next_tensor_type(s);
        attr.as.t = next_elements(s, &type);
        attr.kind = attr.as.t ? GML_ATTR_TENSOR : GML_ATTR_NONE;
    } else if (spec->kind == GML_ATTR_TYPE) {
        gml_type type = next_tensor_type(s);
        attr.as.type = gml_arena_copy(s->arena, &type, sizeof type);
    } else {
        attr.kind = GML_ATTR_NONE; /* regions are fuzz_text's and fuzz_import's */
    }
    return attr;
}

/* ---- the node --------------------------------------------------------------------------- */

static void show(const gml_node *node, gml_diags *diags, const char *what)
{
    gml_str text;
    gml_str_init(&text);
    gml_graph_print(node->graph, &text);
    fprintf(stderr, "%s\n%s%s", what, text.text, gml_diags_print(diags));
    gml_str_reset(&text);
}

static void stop(const gml_node *node, gml_diags *diags, const char *what)
{
    show(node, diags, what);
    abort();
}

static void run(const gml_node *node, const gml_rvalue *inputs, gml_diags *diags)
{
    gml_rvalue outputs[GML_MOST_OPERANDS] = {0};
    size_t n_before = diags->list.count;
    gml_status status = gml_eager_run(node->graph, inputs, outputs, NULL, diags);
    if (status == GML_E_INTERNAL)
        stop(node, diags, "an internal error");
    if (status != GML_OK && diags->list.count == n_before)
        stop(node, diags, "a failure without a reason");
    for (uint32_t r = 0; r < node->graph->n_results; r++)
        gml_rvalue_reset(&outputs[r]);
}

static void set_attrs(source *s, gml_node *node)
{
    for (const gml_attr_spec *spec = node->op->attrs; spec && spec->name; spec++) {
        bool is_there = next(s, 4) < (spec->presence == GML_ATTR_REQUIRED ? 3 : 1);
        gml_attr attr = is_there ? next_attr(s, spec) : (gml_attr){0};
        if (attr.kind != GML_ATTR_NONE)
            gml_node_set_attr(node, &attr);
    }
}

/* How many operands: at least as many as it must have. */
static uint32_t next_count(source *s, const gml_op_info *op)
{
    uint32_t n = (uint32_t)op->min_in + next(s, 4);
    if (op->max_in >= 0 && n > (uint32_t)op->max_in)
        n = (uint32_t)op->max_in;
    return n < GML_MOST_OPERANDS ? n : GML_MOST_OPERANDS;
}

static void infer_and_run(source *s, gml_node *node, const gml_rvalue *inputs, gml_diags *diags)
{
    if (getenv("GEMEL_SHOW_NODE") != NULL) /* what is it that takes so long? */
        show(node, diags, "the node is");
    gml_status status = gml_node_infer(node, diags);
    if (status != GML_OK && diags->list.count == 0)
        stop(node, diags, "a refusal without a reason");
    if (status == GML_OK && gml_module_verify(s->module, diags) == GML_E_INTERNAL)
        stop(node, diags, "an internal error");
    if (s->is_small)
        run(node, inputs, diags);
}

static void try_node(source *s, gml_diags *diags)
{
    size_t n_ops = 0;
    const gml_op_info *const *ops = gml_op_table(&n_ops);
    unsigned number = next(s, 256);
    const gml_op_info *op = ops[(number + 256 * next(s, 256)) % n_ops];
    if (op->domain != NULL && strcmp(op->domain, "gemel") == 0)
        return; /* the compiler's own, in no file */
    gml_value *operands[GML_MOST_OPERANDS] = {0};
    gml_rvalue inputs[GML_MOST_OPERANDS];
    gml_graph *graph = gml_graph_create(s->module, "f", NULL);
    uint32_t n_operands = next_count(s, op);
    uint32_t n_results = (uint32_t)op->min_out + next(s, 3);
    uint32_t n_inputs = 0;
    s->module->main = graph;
    s->is_small = true;
    for (uint32_t k = 0; k < n_operands; k++) {
        operands[k] = next_operand(s, graph, &inputs[n_inputs]);
        n_inputs += operands[k] != NULL;
    }
    gml_loc loc = {.file = "fuzz", .node = "node", .op = op->name};
    gml_node *node = gml_node_create(graph, NULL, op, operands, n_operands, n_results, loc);
    set_attrs(s, node);
    for (uint32_t r = 0; r < n_results && r < GML_MOST_OPERANDS; r++)
        gml_graph_add_result(graph, &node->results[r], NULL);
    infer_and_run(s, node, inputs, diags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gml_arena arena;
    gml_diags diags;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    gml_module *module = gml_module_create("fuzz");
    source s = {data, data + size, module, &module->arena, true};
    try_node(&s, &diags);
    gml_module_destroy(module);
    gml_arena_reset(&arena);
    return 0;
}
