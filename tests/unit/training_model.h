/* tests/unit/training_model.h - small models with training information, for tests. */
#ifndef GML_TESTS_TRAINING_MODEL_H
#define GML_TESTS_TRAINING_MODEL_H

#include "gemel/gemel.h"
#include "onnx_model.h"

/* The functions of onnx_model.h work on `graph` until they are told so again, with the same. */
static inline void in_graph(onnx_model *m, Onnx__GraphProto *graph)
{
    Onnx__GraphProto kept = m->graph;
    m->graph = *graph;
    *graph = kept;
}

static inline Onnx__GraphProto *new_graph(onnx_model *m, const char *name)
{
    Onnx__GraphProto *graph = gml_new(&m->arena, Onnx__GraphProto);
    onnx__graph_proto__init(graph);
    graph->name = model_text(m, name);
    return graph;
}

/* With an algorithm that is empty. */
static inline Onnx__TrainingInfoProto *add_training(onnx_model *m)
{
    Onnx__TrainingInfoProto *info = gml_new(&m->arena, Onnx__TrainingInfoProto);
    onnx__training_info_proto__init(info);
    info->algorithm = new_graph(m, "algorithm");
    GML_APPEND(m, m->proto.training_info, m->proto.n_training_info, info);
    return info;
}

static inline Onnx__StringStringEntryProto *new_binding(onnx_model *m, const char *key,
                                                        const char *value)
{
    Onnx__StringStringEntryProto *binding = gml_new(&m->arena, Onnx__StringStringEntryProto);
    onnx__string_string_entry_proto__init(binding);
    binding->key = model_text(m, key);
    binding->value = model_text(m, value);
    return binding;
}

static inline void bind_update(onnx_model *m, Onnx__TrainingInfoProto *info, const char *key,
                               const char *value)
{
    GML_APPEND(m, info->update_binding, info->n_update_binding, new_binding(m, key, value));
}

static inline void bind_initial(onnx_model *m, Onnx__TrainingInfoProto *info, const char *key,
                                const char *value)
{
    GML_APPEND(m, info->initialization_binding, info->n_initialization_binding,
               new_binding(m, key, value));
}

/* f32[n], element i being first + i. */
static inline void add_vector(onnx_model *m, const char *name, int64_t n, float first)
{
    float *elements = gml_new_array(&m->arena, float, (size_t)n);
    for (int64_t i = 0; i < n; i++)
        elements[i] = first + (float)i;
    add_tensor(m, name, GML_F32, 1, &n, elements, (size_t)n * sizeof(float));
}

/* A node of the training's algorithm, whose result `output` is one of the algorithm's. */
static inline void add_update(onnx_model *m, Onnx__TrainingInfoProto *info, const char *op,
                              const char *inputs, const char *output)
{
    in_graph(m, info->algorithm);
    add_node(m, op, inputs, output);
    add_output(m, output, GML_F32);
    in_graph(m, info->algorithm);
}

/* The bytes of the file, in m->bytes. */
static inline void pack_model(onnx_model *m)
{
    size_t size = onnx__model_proto__get_packed_size(&m->proto);
    uint8_t *packed = gml_arena_alloc(&m->arena, size);
    (void)onnx__model_proto__pack(&m->proto, packed);
    m->bytes.len = 0;
    gml_str_append(&m->bytes, packed, size);
}

#endif
