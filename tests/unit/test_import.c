/* tests/unit/test_import.c - frontend/import.h: what becomes of sound models, and which words
 * unsound ones get. Upgrades of operators are test_opset.c's. */
#include "frontend/export.h"
#include "ir/op.h"
#include "ir/verify.h"
#include "onnx_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int64_t matrix[] = {2, 3};

/* y = Add(x, x) over f32[2,3]. */
static Onnx__NodeProto *begin_model(onnx_model *m)
{
    model_init(m, 17);
    add_input(m, "x", GML_F32, 2, matrix);
    Onnx__NodeProto *node = add_node(m, "Add", "x x", "y");
    add_output(m, "y", GML_F32);
    return node;
}

static void assert_refused(onnx_model *m, gml_status status, const char *why)
{
    gml_status found = refuse_model(m, NULL);
    if (!says(m, why))
        fail_msg("\"%s\" is not about \"%s\"", m->bytes.text, why);
    assert_int_equal(found, status);
    model_reset(m);
}

static void a_model_becomes_a_module(void **state)
{
    (void)state;
    onnx_model m;
    gml_module *module;
    begin_model(&m);
    m.proto.producer_name = model_text(&m, "test");
    gml_onnx_options options = {.file = "a.onnx"};
    assert_int_equal(load_model(&m, &options, &module), GML_OK);
    assert_int_equal(module->opset, 17);
    assert_string_equal(module->producer, "test");
    const gml_node *node = module->main->last;
    assert_string_equal(node->op->name, "Add");
    assert_string_equal(node->loc.node, "y"); /* nodes without a name take the first output's */
    assert_string_equal(node->loc.file, "a.onnx");
    assert_string_equal(module->main->params[0]->name, "x");
    assert_string_equal(module->main->result_names[0], "y");
    assert_int_equal(module->main->results[0]->type.rank, 2);
    assert_int_equal(gml_module_verify(module, &m.diags), GML_OK);
    gml_module_destroy(module);
    model_reset(&m);
}

static void faults_of_a_model_have_words(void **state)
{
    (void)state;
    onnx_model m;
    begin_model(&m);
    m.proto.graph = NULL;
    assert_refused(&m, GML_E_INVALID, "it has no graph");
    begin_model(&m);
    m.proto.opset_import[0]->version = 99;
    assert_refused(&m, GML_E_UNSUPPORTED, "opset 99 of ai.onnx is newer than");
    begin_model(&m);
    m.graph.input[0]->type = NULL;
    assert_refused(&m, GML_E_INVALID, "x (input): an input has no type");
    begin_model(&m);
    m.graph.input[0]->type->tensor_type->elem_type = 77;
    assert_refused(&m, GML_E_INVALID, "unknown element type 77");
    begin_model(&m);
    m.graph.output[0]->name = model_text(&m, "q");
    assert_refused(&m, GML_E_INVALID, "output 0 is not the result of any node");
    begin_model(&m);
    m.graph.output[0]->type->tensor_type->elem_type = GML_I64;
    assert_refused(&m, GML_E_TYPE, "declared as i64 and computed as f32");
    begin_model(&m);
    add_input(&m, "x", GML_F32, 2, matrix);
    assert_refused(&m, GML_E_INVALID, "\"x\" is defined twice");
}

static void faults_of_nodes_have_words(void **state)
{
    (void)state;
    onnx_model m;
    begin_model(&m)->input[1] = model_text(&m, "nowhere");
    assert_refused(&m, GML_E_INVALID, "y (Add): operand 1, \"nowhere\", is not defined");
    begin_model(&m)->input[1] = model_text(&m, "y");
    assert_refused(&m, GML_E_INVALID, "out of order or form a cycle");
    begin_model(&m)->input[1] = model_text(&m, "z");
    add_node(&m, "Neg", "y", "z");
    assert_refused(&m, GML_E_INVALID,
                   "operand 1, \"z\", is the result of this or a later node");
    begin_model(&m);
    add_node(&m, "Neg", "x", "y");
    assert_refused(&m, GML_E_INVALID, "y (Neg): \"y\" is defined twice");
    add_int(&m, begin_model(&m), "colour", 1);
    assert_refused(&m, GML_E_INVALID, "unknown attribute colour");
    begin_model(&m);
    Onnx__NodeProto *concat = add_node(&m, "Concat", "x x", "c");
    add_float(&m, concat, "axis", 1.0f);
    assert_refused(&m, GML_E_INVALID, "attribute axis is a float where an integer should be");
    begin_model(&m);
    concat = add_node(&m, "Concat", "x x", "c");
    add_int(&m, concat, "axis", 1);
    add_int(&m, concat, "axis", 0);
    assert_refused(&m, GML_E_INVALID, "attribute axis is given twice");
    begin_model(&m)->op_type = NULL;
    assert_refused(&m, GML_E_INVALID, "a node has no operator");
}

static void unknown_operators_are_reported_at_once(void **state)
{
    (void)state;
    onnx_model m;
    begin_model(&m);
    add_node(&m, "Foo", "x", "a")->name = model_text(&m, "first");
    add_node(&m, "Bar", "a", "b")->domain = model_text(&m, "com.example");
    add_node(&m, "Foo", "b", "c")->name = model_text(&m, "second");
    assert_int_equal(refuse_model(&m, NULL), GML_E_UNSUPPORTED);
    assert_true(says(&m, "first (Foo): operator Foo of ai.onnx, opset 17, is not supported\n"
                         "  note: also at second"));
    assert_true(says(&m, "b (Bar): operator Bar of com.example, opset 1, is not supported"));
    assert_int_equal(m.diags.list.count, 2);
    model_reset(&m);
}

/* ---- tensors ---- */

static void assert_tensor_refused(gml_dtype dtype, int rank, const int64_t *dims, size_t len,
                                  gml_status status, const char *why)
{
    onnx_model m;
    char *bytes = calloc(1, len + 1);
    begin_model(&m);
    add_tensor(&m, "w", dtype, rank, dims, bytes, len);
    free(bytes);
    assert_refused(&m, status, why);
}

static void unsound_tensors_are_refused(void **state)
{
    (void)state;
    static const int64_t negative[] = {2, -3};
    static const int64_t huge[] = {INT64_C(1) << 62, 4};
    static const int64_t wide[13] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    static const int64_t odd[] = {3};
    assert_tensor_refused(GML_F32, 2, matrix, 23, GML_E_INVALID,
                          "w (Constant): a tensor has 23");
    assert_tensor_refused(GML_F32, 2, matrix, 25, GML_E_INVALID, "its shape needs 24");
    assert_tensor_refused(GML_F32, 2, matrix, 0, GML_E_INVALID, "a tensor has 0 bytes");
    assert_tensor_refused(GML_F32, 2, negative, 24, GML_E_INVALID,
                          "dimension 1 of a tensor is -3");
    assert_tensor_refused(GML_F32, 2, huge, 16, GML_E_INVALID, "size of a tensor overflows");
    assert_tensor_refused(GML_U8, 1, huge, 16, GML_E_INVALID, "a tensor has 16 bytes");
    assert_tensor_refused(GML_F32, 13, wide, 4, GML_E_UNSUPPORTED, "13 dimensions");
    assert_tensor_refused(GML_STRING, 2, matrix, 6, GML_E_INVALID,
                          "strings cannot have raw_data");
    assert_tensor_refused(GML_I4, 1, odd, 1, GML_E_INVALID, "its shape needs 2");
    assert_tensor_refused((gml_dtype)99, 2, matrix, 24, GML_E_INVALID,
                          "unknown element type 99");
    onnx_model m;
    begin_model(&m);
    add_tensor(&m, "w", GML_F32, 2, matrix, NULL, 0);
    assert_refused(&m, GML_E_INVALID, "0 elements in float_data where its shape needs 6");
    begin_model(&m);
    add_tensor(&m, "", GML_F32, 0, NULL, "abcd", 4);
    assert_refused(&m, GML_E_INVALID, "an initialiser has no name");
}

/* The elements of initialiser "w", which must be one byte each. */
static void assert_bytes(onnx_model *m, const int8_t *expected, size_t count)
{
    gml_module *module;
    assert_int_equal(load_model(m, NULL, &module), GML_OK);
    const gml_tensor *tensor = module->main->first->results[0].constant;
    assert_int_equal(gml_tensor_numel(tensor), count);
    assert_memory_equal(tensor->data, expected, count);
    gml_module_destroy(module);
    model_reset(m);
}

static void packed_elements_are_unpacked(void **state)
{
    (void)state;
    static const int64_t three[] = {3};
    static const int64_t five[] = {5};
    onnx_model m;
    begin_model(&m);
    add_tensor(&m, "w", GML_I4, 1, three, "\x8f\x07", 2);
    assert_bytes(&m, (const int8_t[]){-1, -8, 7}, 3);
    begin_model(&m);
    add_tensor(&m, "w", GML_U4, 1, three, "\x8f\x07", 2);
    assert_bytes(&m, (const int8_t[]){15, 8, 7}, 3);
    begin_model(&m);
    add_tensor(&m, "w", GML_I2, 1, five, "\xe4\x02", 2);
    assert_bytes(&m, (const int8_t[]){0, 1, -2, -1, -2}, 5);
    begin_model(&m);
    add_tensor(&m, "w", GML_BOOL, 1, three, "\x00\x02\xff", 3);
    assert_bytes(&m, (const int8_t[]){0, 1, 1}, 3);
    begin_model(&m);
    Onnx__TensorProto *tensor = add_tensor(&m, "w", GML_I4, 1, three, NULL, 0);
    tensor->int32_data = (int32_t[]){0x8f, 0x07};
    tensor->n_int32_data = 2;
    assert_bytes(&m, (const int8_t[]){-1, -8, 7}, 3);
}

static void raw_elements_are_not_copied(void **state)
{
    (void)state;
    onnx_model m;
    gml_module *module;
    begin_model(&m);
    float values[6] = {1, 2, 3, 4, 5, 6};
    add_tensor(&m, "x", GML_F32, 2, matrix, values, sizeof values); /* an input, too */
    assert_int_equal(load_model(&m, NULL, &module), GML_OK);
    assert_int_equal(module->main->n_params, 0);
    const char *data = module->main->first->results[0].constant->data;
    assert_true(data > m.bytes.text && data < m.bytes.text + m.bytes.len);
    assert_memory_equal(data, values, sizeof values);
    gml_module_destroy(module);
    model_reset(&m);
}

static void dimensions_have_names_and_values(void **state)
{
    (void)state;
    static const int64_t by_name[] = {-1, 3};
    gml_onnx_dim dim = {"n", 5};
    gml_onnx_options options = {.dims = &dim, .n_dims = 1};
    for (int bound = 0; bound < 2; bound++) {
        onnx_model m;
        gml_module *module;
        model_init(&m, 17);
        add_input(&m, "a", GML_F32, 2, by_name);
        add_input(&m, "b", GML_F32, 2, by_name);
        add_node(&m, "Add", "a b", "y");
        add_output(&m, "y", GML_F32);
        assert_int_equal(load_model(&m, bound ? &options : NULL, &module), GML_OK);
        gml_dim n = module->main->params[0]->type.dims[0];
        assert_true(n == module->main->params[1]->type.dims[0]);
        assert_true(gml_dim_is_const(n) == (bound == 1));
        assert_true(module->main->results[0]->type.dims[0] == n);
        gml_module_destroy(module);
        model_reset(&m);
    }
}

/* ---- regions ---- */

static Onnx__GraphProto *add_branch(onnx_model *m, Onnx__NodeProto *node, const char *name,
                                    Onnx__NodeProto *inside, const char *output)
{
    Onnx__GraphProto *graph = gml_new(&m->arena, Onnx__GraphProto);
    onnx__graph_proto__init(graph);
    graph->name = model_text(m, name);
    if (inside != NULL)
        GML_APPEND(m, graph->node, graph->n_node, inside);
    Onnx__ValueInfoProto *info = new_value_info(m, output, GML_F32, 0, NULL);
    info->type = NULL;
    GML_APPEND(m, graph->output, graph->n_output, info);
    add_attr(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH)->g = graph;
    return graph;
}

static Onnx__NodeProto *begin_if(onnx_model *m)
{
    model_init(m, 17);
    add_input(m, "x", GML_F32, 2, matrix);
    add_input(m, "c", GML_BOOL, 0, NULL);
    add_output(m, "y", GML_F32);
    return add_node(m, "If", "c", "y");
}

static void regions_see_the_names_around_them(void **state)
{
    (void)state;
    onnx_model m;
    gml_module *module;
    Onnx__NodeProto *node = begin_if(&m);
    add_branch(&m, node, "then_branch", new_node(&m, "Neg", "x", "t"), "t");
    add_branch(&m, node, "else_branch", new_node(&m, "Abs", "x", "t"), "t");
    assert_int_equal(load_model(&m, NULL, &module), GML_OK);
    assert_int_equal(gml_module_verify(module, &m.diags), GML_OK);
    assert_int_equal(module->main->results[0]->type.rank, 2);
    const gml_graph *region = gml_node_region(module->main->last, "then_branch");
    assert_ptr_equal(region->first->operands[0], module->main->params[0]);
    gml_module_destroy(module);
    model_reset(&m);

    node = begin_if(&m);
    add_branch(&m, node, "then_branch", new_node(&m, "Neg", "x", "t"), "t");
    add_branch(&m, node, "else_branch", new_node(&m, "Abs", "t", "u"), "u");
    assert_refused(&m, GML_E_INVALID, "u (Abs): operand 0, \"t\", is not defined");
}

/* ---- functions ---- */

/* twice(a, b) = Elu{alpha = @alpha or 1}(Add(a, a)), b is not used. */
static void functions_are_inlined(void **state)
{
    (void)state;
    onnx_model m;
    gml_module *module;
    model_init(&m, 17);
    add_opset(&m, "local", 1);
    add_input(&m, "x", GML_F32, 2, matrix);
    Onnx__FunctionProto *function = add_function(&m, "twice", "a b", "r");
    GML_APPEND(&m, function->node, function->n_node, new_node(&m, "Add", "a a", "s"));
    Onnx__NodeProto *elu = new_node(&m, "Elu", "s", "r");
    add_attr(&m, elu, "alpha", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT)->ref_attr_name =
        model_text(&m, "alpha");
    GML_APPEND(&m, function->node, function->n_node, elu);
    add_float(&m, add_call(&m, NULL, "twice", "x", "y"), "alpha", 0.25f);
    add_call(&m, NULL, "twice", "y x", "z");
    add_output(&m, "z", GML_F32);
    assert_int_equal(load_model(&m, NULL, &module), GML_OK);
    assert_int_equal(gml_module_verify(module, &m.diags), GML_OK);
    const gml_node *node = module->main->first;
    assert_string_equal(node->loc.node, "y/s");
    assert_string_equal(node->results[0].name, "y/s");
    assert_true(gml_node_float(node->next, "alpha", -1.0f) == 0.25f);
    assert_string_equal(node->next->results[0].name, "y");
    assert_true(gml_node_float(module->main->last, "alpha", -1.0f) == 1.0f);
    assert_null(module->main->last->next);
    gml_module_destroy(module);
    model_reset(&m);
}

static void functions_must_not_call_themselves(void **state)
{
    (void)state;
    onnx_model m;
    begin_model(&m);
    add_call(&m, add_function(&m, "f", "a", "r"), "f", "a", "r");
    add_call(&m, NULL, "f", "x", "z");
    assert_refused(&m, GML_E_INVALID, "a function calls itself: f -> f");

    begin_model(&m);
    add_call(&m, add_function(&m, "f", "a", "r"), "g", "a", "r");
    add_call(&m, add_function(&m, "g", "a", "r"), "f", "a", "r");
    add_call(&m, NULL, "f", "x", "z");
    assert_refused(&m, GML_E_INVALID, "f -> g -> f");

    begin_model(&m); /* through a branch */
    Onnx__FunctionProto *function = add_function(&m, "f", "a", "r");
    Onnx__NodeProto *node = new_node(&m, "If", "a", "r");
    GML_APPEND(&m, function->node, function->n_node, node);
    Onnx__NodeProto *call = new_node(&m, "f", "a", "t");
    call->domain = model_text(&m, "local");
    add_branch(&m, node, "then_branch", call, "t");
    add_branch(&m, node, "else_branch", NULL, "a");
    add_call(&m, NULL, "f", "x", "z");
    assert_refused(&m, GML_E_INVALID, "f -> f");
}

/* f0 calls f1 `width` times, f1 calls f2, … : width to the power of depth nodes. */
static void add_tower(onnx_model *m, unsigned depth, unsigned width)
{
    for (unsigned i = 0; i < depth; i++) {
        Onnx__FunctionProto *function =
            add_function(m, gml_arena_printf(&m->arena, "f%u", i), "a", "r0");
        for (unsigned k = 0; k < width; k++)
            add_call(m, function, gml_arena_printf(&m->arena, "f%u", i + 1), "a",
                     gml_arena_printf(&m->arena, "r%u", k));
    }
    Onnx__FunctionProto *last =
        add_function(m, gml_arena_printf(&m->arena, "f%u", depth), "a", "r");
    GML_APPEND(m, last->node, last->n_node, new_node(m, "Neg", "a", "r"));
    add_call(m, NULL, "f0", "x", "z");
}

static void calls_are_bounded(void **state)
{
    (void)state;
    onnx_model m;
    begin_model(&m);
    add_tower(&m, 70, 1);
    assert_refused(&m, GML_E_INVALID, "functions call each other more than 64 deep");
    begin_model(&m);
    add_tower(&m, 40, 2);
    gml_module *module;
    gml_onnx_options options = {.skip_infer = true};
    assert_int_equal(load_model(&m, &options, &module), GML_E_INVALID);
    assert_null(module);
    model_reset(&m);
    begin_model(&m);
    add_function(&m, "f", "a", "r");
    add_call(&m, NULL, "f", "x x", "z");
    assert_refused(&m, GML_E_INVALID, "2 operands and 1 results, but function f has 1 and 1");
    begin_model(&m);
    add_function(&m, "f", "a", "r");
    add_call(&m, NULL, "f", "x", "z");
    assert_refused(&m, GML_E_INVALID, "function f does not define its output \"r\"");
}

/* ---- names, and the way back ---- */

static void long_names_are_no_trouble(void **state)
{
    (void)state;
    size_t len = 100000;
    char *name = malloc(len + 1);
    memset(name, '%', len);
    name[len] = '\0';
    onnx_model m;
    Onnx__NodeProto *node = begin_model(&m);
    node->name = name;
    node->op_type = name;
    node->domain = name;
    node->input[0] = name;
    add_int(&m, node, name, 1);
    m.graph.name = name;
    m.graph.output[0]->name = name;
    add_tensor(&m, name, GML_F32, 2, matrix, "", 0);
    assert_int_not_equal(refuse_model(&m, NULL), GML_OK);
    assert_true(says(&m, "is not supported"));
    model_reset(&m);
    free(name);
}

static void a_module_goes_out_and_comes_back(void **state)
{
    (void)state;
    onnx_model m;
    gml_module *first;
    gml_module *second;
    Onnx__NodeProto *node = begin_if(&m);
    float values[6] = {1, 2, 3, 4, 5, 6};
    add_tensor(&m, "w", GML_F32, 2, matrix, values, sizeof values);
    add_branch(&m, node, "then_branch", new_node(&m, "Add", "x w", "t"), "t");
    add_branch(&m, node, "else_branch", NULL, "w"); /* a constant of the graph around */
    assert_int_equal(load_model(&m, NULL, &first), GML_OK);
    gml_str bytes;
    gml_str_init(&bytes);
    assert_int_equal(gml_onnx_write(first, NULL, &bytes, &m.diags), GML_OK);
    assert_int_equal(gml_onnx_parse(bytes.text, bytes.len, NULL, &second, &m.diags), GML_OK);
    assert_int_equal(gml_module_verify(second, &m.diags), GML_OK);
    assert_string_equal(second->producer, "gemel");
    assert_string_equal(second->main->params[1]->name, "c");
    assert_string_equal(second->main->result_names[0], "y");
    assert_true(
        gml_type_equal(&first->main->results[0]->type, &second->main->results[0]->type));
    gml_module_destroy(second);
    gml_str_reset(&bytes);
    gml_module_destroy(first);
    model_reset(&m);
}

/* y = Add(x, s) with the sparse initialiser `s` of `rows` x 3, which has `value` at the flat
 * `position`. */
static void begin_sparse(onnx_model *m, int64_t rows, int64_t position)
{
    static const int64_t one = 1;
    static const float value = 5;
    int64_t dims[2] = {rows, 3};
    model_init(m, 17);
    add_input(m, "x", GML_F32, 2, matrix);
    add_node(m, "Add", "x s", "y");
    add_output(m, "y", GML_F32);
    Onnx__SparseTensorProto *sparse = gml_new(&m->arena, Onnx__SparseTensorProto);
    onnx__sparse_tensor_proto__init(sparse);
    sparse->values = add_tensor(m, "s", GML_F32, 1, &one, &value, sizeof value);
    sparse->indices = add_tensor(m, "i", GML_I64, 1, &one, &position, sizeof position);
    m->graph.n_initializer = 0; /* they belong to the sparse tensor alone */
    sparse->dims = gml_arena_copy(&m->arena, dims, sizeof dims);
    sparse->n_dims = 2;
    GML_APPEND(m, m->graph.sparse_initializer, m->graph.n_sparse_initializer, sparse);
}

static void sparse_initialisers_stay_inside(void **state)
{
    (void)state;
    onnx_model m;
    gml_module *module = NULL;
    begin_sparse(&m, 2, 4);
    assert_int_equal(load_model(&m, NULL, &module), GML_OK);
    const gml_tensor *dense = module->main->last->operands[1]->constant;
    const float *elements = dense->data;
    for (int i = 0; i < 6; i++)
        assert_true(elements[i] == (i == 4 ? 5.0F : 0.0F));
    gml_module_destroy(module);
    model_reset(&m);
    begin_sparse(&m, 2, 6);
    assert_refused(&m, GML_E_INVALID, "index 0 of a sparse tensor is outside its shape");
    begin_sparse(&m, 2, -1);
    assert_refused(&m, GML_E_INVALID, "index 0 of a sparse tensor is outside its shape");
    /* 12 TB from some bytes of file */
    begin_sparse(&m, INT64_C(1) << 40, 0);
    assert_refused(&m, GML_E_UNSUPPORTED, "bytes would be made dense");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_becomes_a_module),
        cmocka_unit_test(faults_of_a_model_have_words),
        cmocka_unit_test(faults_of_nodes_have_words),
        cmocka_unit_test(unknown_operators_are_reported_at_once),
        cmocka_unit_test(unsound_tensors_are_refused),
        cmocka_unit_test(packed_elements_are_unpacked),
        cmocka_unit_test(raw_elements_are_not_copied),
        cmocka_unit_test(dimensions_have_names_and_values),
        cmocka_unit_test(regions_see_the_names_around_them),
        cmocka_unit_test(functions_are_inlined),
        cmocka_unit_test(functions_must_not_call_themselves),
        cmocka_unit_test(calls_are_bounded),
        cmocka_unit_test(long_names_are_no_trouble),
        cmocka_unit_test(sparse_initialisers_stay_inside),
        cmocka_unit_test(a_module_goes_out_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
