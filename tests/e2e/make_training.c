/* tests/e2e/make_training.c - models for training.sh: make_training DIR writes
 *   plain.onnx  a perceptron, nothing of training
 *   two.onnx    y = x w + c, whose first training moves w, whose second moves c, both along the
 *               gradient of the mean squared error against t; the first initialises w */
#include "tests/unit/training_model.h"

#include <stdio.h>
#include <stdlib.h>

enum { GML_ROWS = 8, GML_IN = 6, GML_HIDDEN = 70, GML_OUT = 5 };
static const int64_t x_dims[] = {GML_ROWS, GML_IN};
static const int64_t y_dims[] = {GML_ROWS, GML_OUT};

static void add_weight(onnx_model *m, const char *name, int rank, const int64_t *dims)
{
    size_t n = 1;
    for (int d = 0; d < rank; d++)
        n *= (size_t)dims[d];
    float *elements = gml_new_array(&m->arena, float, n);
    for (size_t i = 0; i < n; i++)
        elements[i] = (float)((i * 37 + 11) % 64) / 128.0F - 0.25F;
    add_tensor(m, name, GML_F32, rank, dims, elements, n * sizeof(float));
}

static int save(onnx_model *m, const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    pack_model(m);
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(m->bytes.text, 1, m->bytes.len, file) == m->bytes.len;
    ok = file && fclose(file) == 0 && ok;
    model_reset(m);
    return !ok;
}

static int save_plain(const char *folder)
{
    onnx_model m;
    model_init(&m, 17);
    add_input(&m, "x", GML_F32, 2, x_dims);
    add_weight(&m, "up", 2, (int64_t[]){GML_IN, GML_HIDDEN});
    add_weight(&m, "bias", 1, (int64_t[]){GML_HIDDEN});
    add_weight(&m, "down", 2, (int64_t[]){GML_HIDDEN, GML_OUT});
    add_node(&m, "MatMul", "x up", "a");
    add_node(&m, "Add", "a bias", "b");
    add_node(&m, "Tanh", "b", "h");
    add_node(&m, "MatMul", "h down", "y");
    add_output(&m, "y", GML_F32);
    return save(&m, folder, "plain.onnx");
}

/* The algorithm up to the error, called `error`, and the rate: names must differ. */
static void begin_training(onnx_model *m, Onnx__TrainingInfoProto *info, const char *error)
{
    float rate = 0.05F;
    in_graph(m, info->algorithm);
    add_input(m, "t", GML_F32, 2, y_dims);
    add_tensor(m, "rate", GML_F32, 0, NULL, &rate, sizeof rate);
    add_node(m, "Sub", "y t", error);
}

static int save_two(const char *folder)
{
    static const int64_t all[] = {0};
    onnx_model m;
    model_init(&m, 13);
    add_input(&m, "x", GML_F32, 2, x_dims);
    add_weight(&m, "w", 2, (int64_t[]){GML_IN, GML_OUT});
    add_weight(&m, "c", 1, (int64_t[]){GML_OUT});
    add_node(&m, "MatMul", "x w", "p");
    add_node(&m, "Add", "p c", "y");
    add_output(&m, "y", GML_F32);

    Onnx__TrainingInfoProto *info = add_training(&m);
    begin_training(&m, info, "e");
    add_node(&m, "Mul", "e e", "squares");
    add_int(&m, add_node(&m, "ReduceMean", "squares", "loss"), "keepdims", 0);
    add_output(&m, "loss", GML_F32);
    add_ints(&m, add_node(&m, "Transpose", "x", "xt"), "perm", (int64_t[]){1, 0}, 2);
    add_node(&m, "MatMul", "xt e", "gw");
    add_node(&m, "Mul", "gw rate", "sw");
    add_node(&m, "Sub", "w sw", "w.next");
    add_output(&m, "w.next", GML_F32);
    in_graph(&m, info->algorithm);
    bind_update(&m, info, "w", "w.next");
    info->initialization = new_graph(&m, "first");
    in_graph(&m, info->initialization);
    add_ints(&m, add_node(&m, "RandomUniform", "", "w.first"), "shape",
             (int64_t[]){GML_IN, GML_OUT}, 2);
    add_output(&m, "w.first", GML_F32);
    in_graph(&m, info->initialization);
    bind_initial(&m, info, "w", "w.first");

    info = add_training(&m);
    begin_training(&m, info, "f");
    add_tensor(&m, "rows", GML_I64, 1, (int64_t[]){1}, all, sizeof all);
    add_int(&m, add_node(&m, "ReduceSum", "f rows", "gc"), "keepdims", 0);
    add_node(&m, "Mul", "gc rate", "sc");
    add_node(&m, "Sub", "c sc", "c.next");
    add_output(&m, "c.next", GML_F32);
    in_graph(&m, info->algorithm);
    bind_update(&m, info, "c", "c.next");
    return save(&m, folder, "two.onnx");
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    return save_plain(argv[1]) + save_two(argv[1]);
}
