/* tests/unit/test_opset.c - frontend/opset.h: old nodes arrive in the newest form. Their
 * numbers are checked by the ONNX suite, whose PyTorch models have operator sets from 6 on. */
#include "ir/op.h"
#include "onnx_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int64_t image[] = {2, 6, 4, 5};

/* Inputs x (2,6,4,5), c (6), s (3) of f32, i (2) of i64; the node under test makes "y". */
static Onnx__NodeProto *begin(onnx_model *m, int64_t opset, const char *op, const char *inputs)
{
    model_init(m, opset);
    add_opset(m, "ai.onnx.ml", 1);
    add_input(m, "x", GML_F32, 4, image);
    add_input(m, "c", GML_F32, 1, (const int64_t[]){6});
    add_input(m, "g", GML_F32, 1, (const int64_t[]){3});
    add_input(m, "i", GML_I64, 1, (const int64_t[]){2});
    return add_node(m, op, inputs, "y");
}

/* The ops of the upgraded graph without constants, "Flatten Softmax Shape Reshape". */
static void assert_ops(onnx_model *m, gml_module **out_module, const char *ops)
{
    gml_status status = load_model(m, NULL, out_module);
    if (status != GML_OK)
        fail_msg("%s", gml_diags_print(&m->diags));
    gml_str found;
    gml_str_init(&found);
    gml_for_each_node(node, (*out_module)->main) {
        if (strcmp(node->op->name, "Constant") != 0)
            gml_str_printf(&found, "%s%s", found.len != 0 ? " " : "", node->op->name);
    }
    assert_string_equal(found.text, ops);
    gml_str_reset(&found);
}

static void assert_refused(onnx_model *m, const char *why)
{
    assert_int_equal(refuse_model(m, NULL), GML_E_UNSUPPORTED);
    if (!says(m, why))
        fail_msg("\"%s\" is not about \"%s\"", m->bytes.text, why);
    model_reset(m);
}

static void end(onnx_model *m, gml_module *module)
{
    gml_module_destroy(module);
    model_reset(m);
}

/* The elements of constant integer operand `k` of the last node. */
static void assert_operand(const gml_module *module, unsigned k, const int64_t *expected,
                           size_t count)
{
    const gml_tensor *tensor = module->main->last->operands[k]->constant;
    assert_non_null(tensor);
    assert_int_equal(gml_tensor_numel(tensor), count);
    assert_memory_equal(tensor->data, expected, count * sizeof *expected);
}

static void axes_become_operands(void **state)
{
    (void)state;
    static const struct {
        const char *op;
        int64_t opset;
    } cases[] = {{"ReduceMean", 11}, {"ReduceSum", 11}, {"Unsqueeze", 9}, {"ReduceMax", 13}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        onnx_model m;
        gml_module *module;
        Onnx__NodeProto *node = begin(&m, cases[i].opset, cases[i].op, "x");
        add_ints(&m, node, "axes", (const int64_t[]){0, 2}, 2);
        assert_ops(&m, &module, cases[i].op);
        assert_operand(module, 1, (const int64_t[]){0, 2}, 2);
        end(&m, module);
    }
}

static void attributes_become_operands(void **state)
{
    (void)state;
    onnx_model m;
    gml_module *module;
    Onnx__NodeProto *node = begin(&m, 9, "Slice", "x");
    add_ints(&m, node, "starts", (const int64_t[]){1}, 1);
    add_ints(&m, node, "ends", (const int64_t[]){3}, 1);
    add_ints(&m, node, "axes", (const int64_t[]){2}, 1);
    assert_ops(&m, &module, "Slice");
    assert_operand(module, 3, (const int64_t[]){2}, 1);
    assert_true(module->main->last->results[0].type.dims[2] == 2);
    end(&m, module);

    node = begin(&m, 2, "Pad", "x");
    add_ints(&m, node, "pads", (const int64_t[]){0, 0, 1, 1, 0, 0, 1, 1}, 8);
    add_float(&m, node, "value", 2.0f);
    assert_ops(&m, &module, "Pad");
    assert_true(module->main->last->results[0].type.dims[3] == 7);
    assert_int_equal(module->main->last->operands[2]->type.dtype, GML_F32);
    end(&m, module);

    node = begin(&m, 9, "TopK", "x");
    node->output = split_names(&m, "y z", &node->n_output);
    add_int(&m, node, "k", 2);
    assert_ops(&m, &module, "TopK");
    assert_operand(module, 1, (const int64_t[]){2}, 1);
    end(&m, module);

    node = begin(&m, 6, "Clip", "x");
    add_float(&m, node, "max", 6.0f);
    assert_ops(&m, &module, "Clip");
    assert_null(module->main->last->operands[1]);
    assert_int_equal(module->main->last->n_operands, 3);
    end(&m, module);

    node = begin(&m, 11, "Split", "x");
    node->output = split_names(&m, "y z", &node->n_output);
    add_int(&m, node, "axis", 1);
    assert_ops(&m, &module, "Split");
    assert_int_equal(gml_node_int(module->main->last, "num_outputs", 0), 2);
    end(&m, module);

    node = begin(&m, 5, "Cast", "x");
    Onnx__AttributeProto *to =
        add_attr(&m, node, "to", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    to->has_s = 1;
    to->s = (ProtobufCBinaryData){6, (uint8_t *)model_text(&m, "DOUBLE")};
    assert_ops(&m, &module, "Cast");
    assert_int_equal(module->main->last->results[0].type.dtype, GML_F64);
    end(&m, module);
}

static void old_broadcasting_lines_up(void **state)
{
    (void)state;
    onnx_model m;
    gml_module *module;
    Onnx__NodeProto *node = begin(&m, 6, "Add", "x c");
    add_int(&m, node, "broadcast", 1);
    add_int(&m, node, "axis", 1);
    assert_ops(&m, &module, "Unsqueeze Add");
    assert_int_equal(module->main->last->results[0].type.rank, 4);
    end(&m, module);
    node = begin(&m, 6, "Add", "x c");
    add_int(&m, node, "broadcast", 1);
    add_int(&m, node, "axis", 9);
    assert_refused(&m, "attribute axis does not fit the ranks");
    begin(&m, 6, "PRelu", "x c");
    assert_ops(&m, &module, "Unsqueeze PRelu");
    end(&m, module);
}

static void softmax_saw_a_matrix(void **state)
{
    (void)state;
    onnx_model m;
    gml_module *module;
    begin(&m, 9, "Softmax", "x");
    assert_ops(&m, &module, "Flatten Softmax Shape Reshape");
    assert_true(module->main->last->results[0].type.dims[3] == 5);
    end(&m, module);
    add_int(&m, begin(&m, 9, "LogSoftmax", "x"), "axis", 3);
    assert_ops(&m, &module, "LogSoftmax");
    end(&m, module);
}

static void images_were_resized_otherwise(void **state)
{
    (void)state;
    onnx_model m;
    gml_module *module;
    Onnx__NodeProto *node = begin(&m, 7, "Upsample", "x");
    add_floats(&m, node, "scales", (const float[]){1, 1, 2, 3}, 4);
    assert_ops(&m, &module, "Resize");
    assert_true(
        gml_node_string_is(module->main->last, "coordinate_transformation_mode", "asymmetric"));
    assert_true(module->main->last->results[0].type.dims[3] == 15);
    end(&m, module);
    begin(&m, 7, "Upsample", "x");
    assert_refused(&m, "the scales are missing");
}

static void norms_changed(void **state)
{
    (void)state;
    onnx_model m;
    gml_module *module;
    Onnx__NodeProto *node = begin(&m, 18, "GroupNormalization", "x g g");
    add_int(&m, node, "num_groups", 3);
    assert_ops(&m, &module,
               "Unsqueeze Expand Reshape Unsqueeze Expand Reshape GroupNormalization");
    assert_true(module->main->last->operands[1]->type.dims[0] == 6);
    end(&m, module);

    node = begin(&m, 6, "BatchNormalization", "x c c c c");
    add_int(&m, node, "is_test", 1);
    add_int(&m, node, "spatial", 1);
    assert_ops(&m, &module, "BatchNormalization");
    end(&m, module);
    node = begin(&m, 9, "BatchNormalization", "x c c c c");
    node->output = split_names(&m, "y mean", &node->n_output);
    assert_refused(&m, "BatchNormalization of opset 9: training is supported from opset 14 on");
}

/* Types that an upgrade asks for are those of a region being built, too. */
static void upgrades_work_inside_regions(void **state)
{
    (void)state;
    onnx_model m;
    gml_module *module;
    Onnx__NodeProto *node = begin(&m, 6, "If", "b");
    add_input(&m, "b", GML_BOOL, 0, NULL);
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "then_branch" : "else_branch";
        Onnx__GraphProto *graph = gml_new(&m.arena, Onnx__GraphProto);
        onnx__graph_proto__init(graph);
        GML_APPEND(&m, graph->node, graph->n_node, new_node(&m, "Neg", "x", "n"));
        Onnx__NodeProto *add = new_node(&m, "Add", "n c", "r");
        add_int(&m, add, "axis", 1);
        GML_APPEND(&m, graph->node, graph->n_node, add);
        Onnx__ValueInfoProto *output = new_value_info(&m, "r", GML_F32, 4, image);
        GML_APPEND(&m, graph->output, graph->n_output, output);
        add_attr(&m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH)->g = graph;
    }
    assert_ops(&m, &module, "If");
    const gml_graph *region = gml_node_region(module->main->last, "then_branch");
    assert_string_equal(region->last->prev->op->name, "Unsqueeze");
    end(&m, module);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_become_operands),
        cmocka_unit_test(attributes_become_operands),
        cmocka_unit_test(old_broadcasting_lines_up),
        cmocka_unit_test(softmax_saw_a_matrix),
        cmocka_unit_test(images_were_resized_otherwise),
        cmocka_unit_test(norms_changed),
        cmocka_unit_test(upgrades_work_inside_regions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
