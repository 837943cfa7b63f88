/* tests/unit/onnx_model.h - small ONNX models for tests, sound or not, as the bytes of a file.
 *
 * Everything lives in the model's arena; what is handed in is borrowed until the model is
 * packed.
 */
#ifndef GML_TESTS_ONNX_MODEL_H
#define GML_TESTS_ONNX_MODEL_H

#include "base/str.h"
#include "frontend/import.h"
#include "onnx.pb-c.h"

#include <stdarg.h>
#include <string.h>

typedef struct onnx_model {
    gml_arena arena;
    gml_diags diags;
    Onnx__ModelProto proto;
    Onnx__GraphProto graph;
    gml_str bytes;
} onnx_model;

static inline void *append_pointer(gml_arena *arena, void *old, size_t *count, void *item)
{
    void **items = gml_arena_alloc(arena, (*count + 1) * sizeof(void *));
    if (*count != 0)
        memcpy(items, old, *count * sizeof(void *));
    items[(*count)++] = item;
    return items;
}
#define GML_APPEND(m, list, n, item)                                                           \
    ((list) = append_pointer(&(m)->arena, (list), &(n), (item)))

static inline char *model_text(onnx_model *m, const char *text)
{
    return gml_arena_text(&m->arena, text, strlen(text));
}

static inline void add_opset(onnx_model *m, const char *domain, int64_t version)
{
    Onnx__OperatorSetIdProto *opset = gml_new(&m->arena, Onnx__OperatorSetIdProto);
    onnx__operator_set_id_proto__init(opset);
    opset->domain = model_text(m, domain);
    opset->has_version = 1;
    opset->version = version;
    GML_APPEND(m, m->proto.opset_import, m->proto.n_opset_import, opset);
}

static inline void model_init(onnx_model *m, int64_t opset)
{
    memset(m, 0, sizeof *m);
    gml_arena_init(&m->arena);
    gml_diags_init(&m->diags, &m->arena);
    gml_str_init(&m->bytes);
    onnx__model_proto__init(&m->proto);
    onnx__graph_proto__init(&m->graph);
    m->proto.has_ir_version = 1;
    m->proto.ir_version = 10;
    m->proto.graph = &m->graph;
    m->graph.name = model_text(m, "g");
    add_opset(m, "", opset);
}

static inline void model_reset(onnx_model *m)
{
    gml_str_reset(&m->bytes);
    gml_arena_reset(&m->arena);
}

/* A dimension of -1 is the symbol "n". */
static inline Onnx__ValueInfoProto *
new_value_info(onnx_model *m, const char *name, gml_dtype dtype, int rank, const int64_t *dims)
{
    Onnx__ValueInfoProto *info = gml_new(&m->arena, Onnx__ValueInfoProto);
    onnx__value_info_proto__init(info);
    info->name = model_text(m, name);
    info->type = gml_new(&m->arena, Onnx__TypeProto);
    onnx__type_proto__init(info->type);
    info->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    Onnx__TypeProto__Tensor *tensor = gml_new(&m->arena, Onnx__TypeProto__Tensor);
    onnx__type_proto__tensor__init(tensor);
    info->type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = (int32_t)dtype;
    tensor->shape = gml_new(&m->arena, Onnx__TensorShapeProto);
    onnx__tensor_shape_proto__init(tensor->shape);
    for (int i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim =
            gml_new(&m->arena, Onnx__TensorShapeProto__Dimension);
        onnx__tensor_shape_proto__dimension__init(dim);
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dim->dim_value = dims[i];
        if (dims[i] == -1) {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dim->dim_param = model_text(m, "n");
        }
        GML_APPEND(m, tensor->shape->dim, tensor->shape->n_dim, dim);
    }
    return info;
}

static inline void add_input(onnx_model *m, const char *name, gml_dtype dtype, int rank,
                             const int64_t *dims)
{
    GML_APPEND(m, m->graph.input, m->graph.n_input, new_value_info(m, name, dtype, rank, dims));
}

/* An output without a shape. */
static inline void add_output(onnx_model *m, const char *name, gml_dtype dtype)
{
    Onnx__ValueInfoProto *info = new_value_info(m, name, dtype, 0, NULL);
    info->type->tensor_type->shape = NULL;
    GML_APPEND(m, m->graph.output, m->graph.n_output, info);
}

/* Splits "a b c"; "-" is the empty name. */
static inline char **split_names(onnx_model *m, const char *names, size_t *out_count)
{
    char **list = NULL;
    *out_count = 0;
    while (*names != '\0') {
        size_t len = strcspn(names, " ");
        bool is_absent = len == 1 && *names == '-';
        char *name = gml_arena_text(&m->arena, names, is_absent ? 0 : len);
        list = append_pointer(&m->arena, list, out_count, name);
        names += len;
        names += *names == ' ';
    }
    return list;
}

static inline Onnx__NodeProto *new_node(onnx_model *m, const char *op, const char *inputs,
                                        const char *outputs)
{
    Onnx__NodeProto *node = gml_new(&m->arena, Onnx__NodeProto);
    onnx__node_proto__init(node);
    node->op_type = model_text(m, op);
    node->input = split_names(m, inputs, &node->n_input);
    node->output = split_names(m, outputs, &node->n_output);
    return node;
}

static inline Onnx__NodeProto *add_node(onnx_model *m, const char *op, const char *inputs,
                                        const char *outputs)
{
    Onnx__NodeProto *node = new_node(m, op, inputs, outputs);
    GML_APPEND(m, m->graph.node, m->graph.n_node, node);
    return node;
}

static inline Onnx__AttributeProto *add_attr(onnx_model *m, Onnx__NodeProto *node,
                                             const char *name,
                                             Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *attr = gml_new(&m->arena, Onnx__AttributeProto);
    onnx__attribute_proto__init(attr);
    attr->name = model_text(m, name);
    attr->has_type = 1;
    attr->type = type;
    if (node != NULL)
        GML_APPEND(m, node->attribute, node->n_attribute, attr);
    return attr;
}

static inline void add_int(onnx_model *m, Onnx__NodeProto *node, const char *name,
                           int64_t value)
{
    Onnx__AttributeProto *attr =
        add_attr(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    attr->has_i = 1;
    attr->i = value;
}

static inline void add_float(onnx_model *m, Onnx__NodeProto *node, const char *name,
                             float value)
{
    Onnx__AttributeProto *attr =
        add_attr(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    attr->has_f = 1;
    attr->f = value;
}

static inline void add_string(onnx_model *m, Onnx__NodeProto *node, const char *name,
                              const char *value)
{
    Onnx__AttributeProto *attr =
        add_attr(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    attr->has_s = 1;
    attr->s.len = strlen(value);
    attr->s.data = gml_arena_copy(&m->arena, value, attr->s.len);
}

static inline void add_ints(onnx_model *m, Onnx__NodeProto *node, const char *name,
                            const int64_t *values, size_t count)
{
    Onnx__AttributeProto *attr =
        add_attr(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    attr->ints = gml_arena_copy(&m->arena, values, count * sizeof *values);
    attr->n_ints = count;
}

static inline void add_floats(onnx_model *m, Onnx__NodeProto *node, const char *name,
                              const float *values, size_t count)
{
    Onnx__AttributeProto *attr =
        add_attr(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
    attr->floats = gml_arena_copy(&m->arena, values, count * sizeof *values);
    attr->n_floats = count;
}

/* An initialiser with raw_data; `bytes` NULL: without. */
static inline Onnx__TensorProto *add_tensor(onnx_model *m, const char *name, gml_dtype dtype,
                                            int rank, const int64_t *dims, const void *bytes,
                                            size_t len)
{
    Onnx__TensorProto *tensor = gml_new(&m->arena, Onnx__TensorProto);
    onnx__tensor_proto__init(tensor);
    tensor->name = model_text(m, name);
    tensor->has_data_type = 1;
    tensor->data_type = (int32_t)dtype;
    tensor->n_dims = (size_t)rank;
    tensor->dims = gml_arena_copy(&m->arena, dims, (size_t)rank * sizeof *dims);
    if (bytes != NULL) {
        tensor->has_raw_data = 1;
        tensor->raw_data.len = len;
        tensor->raw_data.data = gml_arena_copy(&m->arena, bytes, len);
    }
    GML_APPEND(m, m->graph.initializer, m->graph.n_initializer, tensor);
    return tensor;
}

static inline void add_external(onnx_model *m, Onnx__TensorProto *tensor, const char *key,
                                const char *value)
{
    Onnx__StringStringEntryProto *entry = gml_new(&m->arena, Onnx__StringStringEntryProto);
    onnx__string_string_entry_proto__init(entry);
    entry->key = model_text(m, key);
    entry->value = model_text(m, value);
    tensor->has_data_location = 1;
    tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    GML_APPEND(m, tensor->external_data, tensor->n_external_data, entry);
}

static inline Onnx__FunctionProto *add_function(onnx_model *m, const char *name,
                                                const char *inputs, const char *outputs)
{
    Onnx__FunctionProto *function = gml_new(&m->arena, Onnx__FunctionProto);
    onnx__function_proto__init(function);
    function->name = model_text(m, name);
    function->domain = model_text(m, "local");
    function->input = split_names(m, inputs, &function->n_input);
    function->output = split_names(m, outputs, &function->n_output);
    GML_APPEND(m, m->proto.functions, m->proto.n_functions, function);
    return function;
}

static inline Onnx__NodeProto *add_call(onnx_model *m, Onnx__FunctionProto *into,
                                        const char *function, const char *inputs,
                                        const char *outputs)
{
    Onnx__NodeProto *node = new_node(m, function, inputs, outputs);
    node->domain = model_text(m, "local");
    if (into != NULL)
        GML_APPEND(m, into->node, into->n_node, node);
    else
        GML_APPEND(m, m->graph.node, m->graph.n_node, node);
    return node;
}

/* Packs and imports. The module views the model's bytes: destroy it before the model. */
static inline gml_status load_model(onnx_model *m, const gml_onnx_options *options,
                                    gml_module **out_module)
{
    size_t size = onnx__model_proto__get_packed_size(&m->proto);
    uint8_t *packed = gml_arena_alloc(&m->arena, size);
    (void)onnx__model_proto__pack(&m->proto, packed);
    gml_str_append(&m->bytes, packed, size);
    return gml_onnx_parse(m->bytes.text, m->bytes.len, options, out_module, &m->diags);
}

/* The status of a model that ought to be refused; its diagnostics, printed, are in m->bytes
 * after. */
static inline gml_status refuse_model(onnx_model *m, const gml_onnx_options *options)
{
    gml_module *module;
    gml_status status = load_model(m, options, &module);
    if (status == GML_OK)
        gml_module_destroy(module);
    gml_str_reset(&m->bytes);
    gml_str_init(&m->bytes);
    gml_str_puts(&m->bytes, gml_diags_print(&m->diags));
    return status;
}

static inline bool says(const onnx_model *m, const char *text)
{
    return strstr(m->bytes.text, text) != NULL;
}

#endif
