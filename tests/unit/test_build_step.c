/* tests/unit/test_build_step.c - the training part of gemel/build.h, and how a file holds it.
 */
#define _POSIX_C_SOURCE 200809L
#include "api/build_model.h"
#include "base/file.h"
#include "gemel/build.h"
#include "onnx.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* y = x w, loss = sum of (y - t)^2; w and the running mean of y change, a counter counts. */
typedef struct trainee {
    gml_builder *builder;
    gml_value *w, *mean, *steps, *loss, *y, *grad;
} trainee;

static gml_value *binary(gml_builder *b, const char *op, gml_value *x, gml_value *y)
{
    return gml_builder_node(b, &(gml_node_spec){.op = op, .inputs = {x, y}});
}

static trainee make_model(const char *zs)
{
    trainee t = {.builder = gml_builder_create("net", 20, 7)};
    gml_builder *b = t.builder;
    gml_extent extents[] = {{4}, {2}};
    int64_t zero = 0;
    gml_tensor count = {.dtype = GML_I64, .data = &zero};
    gml_value *x = gml_builder_input(b, "x", GML_F32, 2, extents);
    t.w = gml_builder_weight(b, "w", GML_F32, 2, (int64_t[]){2, 3}, gml_fill_normal(0, 1));
    t.mean = gml_builder_state(b, "mean", GML_F32, 0, NULL, gml_fill_constant(0));
    t.steps = gml_builder_tensor(b, "steps", &count, true);
    t.y = binary(b, "MatMul", x, t.w);
    gml_value *square = binary(b, "Mul", t.y, t.y);
    t.loss = gml_builder_node(b, &(gml_node_spec){.op = "ReduceSum",
                                                  .name = "sum",
                                                  .inputs = {square},
                                                  .attrs = {GML_INT("keepdims", 0)}});
    gml_builder_output(b, t.loss, "loss");
    gml_builder_begin_step(b);
    gml_value *cut[] = {t.y};
    gml_gradient_spec spec = {.name = "gradient", .y = t.loss, .xs = &t.w, .n_xs = 1};
    if (zs != NULL) {
        spec.zs = cut;
        spec.n_zs = 1;
    }
    gml_builder_gradients(b, &spec, &t.grad);
    return t;
}

/* The algorithm has an input, an initialiser and a result of its own; `mean` takes a value of
 * the model. */
static void add_algorithm(trainee *t)
{
    gml_builder *b = t->builder;
    int64_t one = 1;
    gml_tensor number = {.dtype = GML_I64, .data = &one};
    gml_value *rate = gml_builder_input(b, "rate", GML_F32, 0, NULL);
    gml_value *moved = binary(b, "Sub", t->w, binary(b, "Mul", t->grad, rate));
    gml_builder_update(b, t->w, moved);
    gml_value *next = binary(b, "Add", t->steps, gml_builder_tensor(b, "one", &number, true));
    gml_builder_output(b, next, "count");
    gml_builder_update(b, t->steps, next);
    gml_builder_update(b, t->mean, t->loss);
}

static Onnx__ModelProto *write_and_unpack(gml_builder *b)
{
    char path[] = "/tmp/gemel_step_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    if (gml_builder_save(b, path, NULL) != GML_OK)
        fail_msg("%s", gml_builder_message(b));
    static uint8_t bytes[1 << 16];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    unlink(path);
    assert_true(size > 0 && size < sizeof bytes);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);
    assert_non_null(model);
    return model;
}

static void a_step_becomes_training_info(void **state)
{
    (void)state;
    trainee t = make_model(NULL);
    add_algorithm(&t);
    Onnx__ModelProto *model = write_and_unpack(t.builder);
    const Onnx__GraphProto *graph = model->graph;
    assert_int_equal(graph->n_input, 1);
    assert_int_equal(graph->n_output, 1);
    assert_string_equal(graph->output[0]->name, "loss");
    assert_int_equal(graph->n_initializer, 3);
    assert_int_equal(graph->n_node, 3);
    assert_int_equal(model->n_training_info, 1);
    const Onnx__TrainingInfoProto *info = model->training_info[0];
    const Onnx__GraphProto *step = info->algorithm;
    assert_null(info->initialization);
    assert_string_equal(step->name, "net_step");
    assert_int_equal(step->n_input, 1);
    assert_string_equal(step->input[0]->name, "rate");
    assert_int_equal(step->n_initializer, 1);
    assert_string_equal(step->initializer[0]->name, "one");
    /* Gradient, Mul, Sub, Add, and Identity for a second name and for a value of the model */
    assert_int_equal(step->n_node, 6);
    assert_string_equal(step->node[0]->op_type, "Gradient");
    assert_string_equal(step->node[5]->op_type, "Identity");
    assert_string_equal(step->node[5]->input[0], "loss");
    static const char *const outputs[] = {"w.next", "count", "steps.next", "mean.next"};
    assert_int_equal(step->n_output, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(step->output[i]->name, outputs[i]);
    static const char *const bindings[][2] = {
        {"w", "w.next"}, {"steps", "steps.next"}, {"mean", "mean.next"}};
    assert_int_equal(info->n_update_binding, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(info->update_binding[i]->key, bindings[i][0]);
        assert_string_equal(info->update_binding[i]->value, bindings[i][1]);
    }
    bool is_imported = false;
    for (size_t i = 0; i < model->n_opset_import; i++)
        is_imported |=
            strcmp(model->opset_import[i]->domain, "ai.onnx.preview.training") == 0 &&
            model->opset_import[i]->version == 1;
    assert_true(is_imported);
    onnx__model_proto__free_unpacked(model, NULL);
    gml_builder_destroy(t.builder);
}

static void a_gradient_names_its_values(void **state)
{
    (void)state;
    trainee t = make_model("y");
    add_algorithm(&t);
    Onnx__ModelProto *model = write_and_unpack(t.builder);
    const Onnx__NodeProto *node = model->training_info[0]->algorithm->node[0];
    assert_string_equal(node->domain, "ai.onnx.preview.training");
    assert_int_equal(node->n_input, 2);
    assert_string_equal(node->input[0], "w");
    assert_string_equal(node->input[1], "MatMul_0_output_0");
    assert_int_equal(node->n_attribute, 3);
    assert_string_equal(node->attribute[0]->name, "xs");
    assert_memory_equal(node->attribute[0]->strings[0].data, "w", 1);
    assert_string_equal(node->attribute[1]->name, "zs");
    assert_memory_equal(node->attribute[1]->strings[0].data, "MatMul_0_output_0", 17);
    assert_string_equal(node->attribute[2]->name, "y");
    assert_memory_equal(node->attribute[2]->s.data, "loss", 4); /* as the file calls it */
    onnx__model_proto__free_unpacked(model, NULL);
    gml_builder_destroy(t.builder);
}

static void a_copy_begins_as_its_source(void **state)
{
    (void)state;
    trainee t = make_model(NULL);
    gml_value *copy = gml_builder_copy(t.builder, "mm_w", t.w);
    assert_int_equal(gml_builder_parameters(t.builder), 6);
    gml_module *module = NULL;
    assert_int_equal(gml_builder_module(t.builder, NULL, &module), GML_OK);
    const float *from = t.w->constant->data;
    const float *to = copy->constant->data;
    assert_ptr_not_equal(from, to);
    assert_memory_equal(from, to, 6 * sizeof(float));
    assert_true(from[0] != 0 && from[0] != from[1]);
    gml_builder_copy(t.builder, "mm_loss", t.loss);
    assert_int_equal(gml_builder_status(t.builder), GML_E_INVALID);
    gml_builder_destroy(t.builder);
}

static void expect_failure(trainee *t, const char *text)
{
    assert_int_equal(gml_builder_status(t->builder), GML_E_INVALID);
    if (strstr(gml_builder_message(t->builder), text) == NULL)
        fail_msg("%s", gml_builder_message(t->builder));
    gml_builder_destroy(t->builder);
}

static void faults_are_named(void **state)
{
    (void)state;
    trainee t = make_model(NULL);
    gml_builder_begin_step(t.builder);
    expect_failure(&t, "a model has one step");
    t = make_model(NULL);
    gml_builder_update(t.builder, t.w, t.grad);
    gml_builder_update(t.builder, t.w, t.grad);
    expect_failure(&t, "w: a second update");
    t = make_model(NULL);
    gml_builder_update(t.builder, t.steps, t.loss);
    expect_failure(&t, "steps: the value of an update has another type");
    t = make_model(NULL);
    gml_builder_update(t.builder, t.y, t.y);
    expect_failure(&t, "only an initialiser can be updated");
    t = make_model(NULL);
    gml_value *out;
    gml_builder_gradients(
        t.builder, &(gml_gradient_spec){.name = "g2", .y = t.loss, .xs = &t.y, .n_xs = 1},
        &out);
    assert_non_null(out);
    expect_failure(&t, "g2 (Gradient): what is differentiated by is a weight");
    t.builder = gml_builder_create("net", 20, 0);
    gml_builder_begin_step(t.builder);
    expect_failure(&t, "before the model has an output");
    t.builder = gml_builder_create("net", 20, 0);
    t.w = gml_builder_weight(t.builder, "w", GML_F32, 0, NULL, gml_fill_constant(0));
    gml_builder_update(t.builder, t.w, t.w);
    expect_failure(&t, "w: updates belong to a step");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_becomes_training_info),
        cmocka_unit_test(a_gradient_names_its_values),
        cmocka_unit_test(a_copy_begins_as_its_source),
        cmocka_unit_test(faults_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
