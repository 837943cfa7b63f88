/* frontend/export_value.c - names, types, tensors and attributes of the files that gemel
 * writes. */
#include "frontend/exporter.h"
#include "frontend/tensor.h"

#include <string.h>

char *gml_exporter_text(gml_exporter *x, const char *text)
{
    return gml_arena_text(&x->scratch, text, strlen(text));
}

char *gml_exporter_claim(gml_exporter *x, const char *name)
{
    const char *free_name = name;
    for (unsigned i = 1; gml_map_has(&x->used, free_name); i++)
        free_name = gml_arena_printf(&x->scratch, "%s_%u", name, i);
    gml_map_set(&x->used, free_name, x);
    return gml_exporter_text(x, free_name);
}

char *gml_exporter_name(gml_exporter *x, const gml_value *value)
{
    static char absent[] = "";
    if (value == NULL)
        return absent;
    if (x->names[value->id] == NULL) {
        const char *name = value->name;
        if (name == NULL)
            name = gml_arena_printf(&x->scratch, "v%u", value->id);
        x->names[value->id] = *name != '\0' ? gml_exporter_claim(x, name) : "";
    }
    return gml_exporter_text(x, x->names[value->id]);
}

/* ---- types ------------------------------------------------------------------------------- */

static Onnx__TensorShapeProto *export_shape(gml_exporter *x, const gml_type *type)
{
    Onnx__TensorShapeProto *shape = gml_new(&x->scratch, Onnx__TensorShapeProto);
    onnx__tensor_shape_proto__init(shape);
    shape->n_dim = (size_t)type->rank;
    shape->dim = gml_new_array(&x->scratch, Onnx__TensorShapeProto__Dimension *, shape->n_dim);
    for (size_t i = 0; i < shape->n_dim; i++) {
        Onnx__TensorShapeProto__Dimension *dim =
            gml_new(&x->scratch, Onnx__TensorShapeProto__Dimension);
        onnx__tensor_shape_proto__dimension__init(dim);
        shape->dim[i] = dim;
        if (gml_dim_is_const(type->dims[i])) {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dim->dim_value = type->dims[i];
            continue;
        }
        gml_str text;
        gml_str_init(&text);
        gml_dim_print(&x->module->dims, type->dims[i], &text);
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        dim->dim_param = gml_exporter_text(x, text.text);
        gml_str_reset(&text);
    }
    return shape;
}

static Onnx__TypeProto *export_type(gml_exporter *x, const gml_type *type)
{
    gml_arena *arena = &x->scratch;
    Onnx__TypeProto *proto = gml_new(arena, Onnx__TypeProto);
    onnx__type_proto__init(proto);
    switch (type->kind) {
    case GML_TYPE_UNKNOWN: return NULL;
    case GML_TYPE_TENSOR:
        proto->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
        proto->tensor_type = gml_new(arena, Onnx__TypeProto__Tensor);
        onnx__type_proto__tensor__init(proto->tensor_type);
        proto->tensor_type->has_elem_type = 1;
        proto->tensor_type->elem_type = (int32_t)type->dtype;
        if (type->rank >= 0)
            proto->tensor_type->shape = export_shape(x, type);
        break;
    case GML_TYPE_SEQUENCE:
        proto->value_case = ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE;
        proto->sequence_type = gml_new(arena, Onnx__TypeProto__Sequence);
        onnx__type_proto__sequence__init(proto->sequence_type);
        proto->sequence_type->elem_type = export_type(x, type->element);
        break;
    case GML_TYPE_OPTIONAL:
        proto->value_case = ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE;
        proto->optional_type = gml_new(arena, Onnx__TypeProto__Optional);
        onnx__type_proto__optional__init(proto->optional_type);
        proto->optional_type->elem_type = export_type(x, type->element);
        break;
    case GML_TYPE_MAP:
        proto->value_case = ONNX__TYPE_PROTO__VALUE_MAP_TYPE;
        proto->map_type = gml_new(arena, Onnx__TypeProto__Map);
        onnx__type_proto__map__init(proto->map_type);
        proto->map_type->has_key_type = 1;
        proto->map_type->key_type = (int32_t)type->dtype;
        proto->map_type->value_type = export_type(x, type->element);
        break;
    }
    return proto;
}

Onnx__ValueInfoProto *gml_export_value_info(gml_exporter *x, const char *name,
                                            const gml_type *type)
{
    Onnx__ValueInfoProto *info = gml_new(&x->scratch, Onnx__ValueInfoProto);
    onnx__value_info_proto__init(info);
    info->name = gml_exporter_text(x, name);
    info->type = export_type(x, type);
    return info;
}

/* ---- tensors ----------------------------------------------------------------------------- */

Onnx__StringStringEntryProto *gml_export_pair(gml_exporter *x, const char *key,
                                              const char *value)
{
    Onnx__StringStringEntryProto *entry = gml_new(&x->scratch, Onnx__StringStringEntryProto);
    onnx__string_string_entry_proto__init(entry);
    entry->key = gml_exporter_text(x, key);
    entry->value = gml_exporter_text(x, value);
    return entry;
}

/* Moves raw_data into the file of external data, at a page's begin so that it can be mapped. */
static void move_outside(gml_exporter *x, Onnx__TensorProto *proto)
{
    static const char zeros[GML_PAGE];
    gml_arena *arena = &x->scratch;
    size_t len = proto->raw_data.len;
    size_t gap = (size_t)(-x->data_size % GML_PAGE);
    gml_writer_put(x->data, zeros, gap);
    x->data_size += gap;
    gml_writer_put(x->data, proto->raw_data.data, len);
    proto->n_external_data = 3;
    proto->external_data = gml_new_array(arena, Onnx__StringStringEntryProto *, 3);
    proto->external_data[0] = gml_export_pair(x, "location", x->data_name);
    proto->external_data[1] = gml_export_pair(
        x, "offset", gml_arena_printf(arena, "%llu", (unsigned long long)x->data_size));
    proto->external_data[2] = gml_export_pair(x, "length", gml_arena_printf(arena, "%zu", len));
    x->data_size += len;
    proto->has_data_location = 1;
    proto->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    proto->has_raw_data = 0;
}

Onnx__TensorProto *gml_export_tensor(gml_exporter *x, const gml_tensor *tensor,
                                     const char *name)
{
    Onnx__TensorProto *proto = gml_new(&x->scratch, Onnx__TensorProto);
    gml_tensor_write(tensor, &x->scratch, proto);
    if (name != NULL)
        proto->name = gml_exporter_text(x, name);
    if (x->data != NULL && proto->has_raw_data && proto->raw_data.len >= GML_PAGE)
        move_outside(x, proto);
    return proto;
}

bool gml_export_is_zeros(const gml_tensor *tensor)
{
    size_t size = (size_t)gml_tensor_numel(tensor) * gml_dtype_size(tensor->dtype);
    const char *bytes = tensor->data;
    return tensor->dtype != GML_STRING && gml_dtype_bits(tensor->dtype) >= 8 &&
           size >= GML_PAGE && bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

Onnx__SparseTensorProto *gml_export_zeros(gml_exporter *x, const gml_tensor *tensor,
                                          const char *name)
{
    Onnx__SparseTensorProto *proto = gml_new(&x->scratch, Onnx__SparseTensorProto);
    onnx__sparse_tensor_proto__init(proto);
    gml_tensor values = {.dtype = tensor->dtype, .rank = 1};
    gml_tensor indices = {.dtype = GML_I64, .rank = 1};
    proto->values = gml_export_tensor(x, &values, name);
    proto->indices = gml_export_tensor(x, &indices, NULL);
    proto->n_dims = (size_t)tensor->rank;
    proto->dims =
        gml_arena_copy(&x->scratch, tensor->dims, (size_t)tensor->rank * sizeof *tensor->dims);
    return proto;
}

/* ---- attributes -------------------------------------------------------------------------- */

static void set_attr_type(Onnx__AttributeProto *proto, Onnx__AttributeProto__AttributeType type)
{
    proto->has_type = 1;
    proto->type = type;
}

static ProtobufCBinaryData export_string(gml_exporter *x, gml_string text)
{
    return (ProtobufCBinaryData){text.len, gml_arena_copy(&x->scratch, text.data, text.len)};
}

static void export_strings(gml_exporter *x, const gml_attr *attr, Onnx__AttributeProto *proto)
{
    set_attr_type(proto, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS);
    proto->n_strings = attr->count;
    proto->strings = gml_new_array(&x->scratch, ProtobufCBinaryData, attr->count);
    for (size_t i = 0; i < attr->count; i++)
        proto->strings[i] = export_string(x, attr->as.strings[i]);
}

static void export_tensors(gml_exporter *x, const gml_attr *attr, Onnx__AttributeProto *proto)
{
    set_attr_type(proto, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSORS);
    proto->n_tensors = attr->count;
    proto->tensors = gml_new_array(&x->scratch, Onnx__TensorProto *, attr->count);
    for (size_t i = 0; i < attr->count; i++)
        proto->tensors[i] = gml_export_tensor(x, attr->as.tensors[i], NULL);
}

gml_status gml_export_attr(gml_exporter *x, const gml_attr *attr, Onnx__AttributeProto *proto)
{
    gml_arena *arena = &x->scratch;
    onnx__attribute_proto__init(proto);
    proto->name = gml_exporter_text(x, attr->name);
    switch (attr->kind) {
    case GML_ATTR_NONE: break;
    case GML_ATTR_INT:
        set_attr_type(proto, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
        proto->has_i = 1;
        proto->i = attr->as.i;
        break;
    case GML_ATTR_FLOAT:
        set_attr_type(proto, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
        proto->has_f = 1;
        proto->f = attr->as.f;
        break;
    case GML_ATTR_STRING:
        set_attr_type(proto, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
        proto->has_s = 1;
        proto->s = export_string(x, attr->as.s);
        break;
    case GML_ATTR_TENSOR:
        set_attr_type(proto, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
        proto->t = gml_export_tensor(x, attr->as.t, NULL);
        break;
    case GML_ATTR_TYPE:
        set_attr_type(proto, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO);
        proto->tp = export_type(x, attr->as.type);
        break;
    case GML_ATTR_GRAPH:
        set_attr_type(proto, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH);
        return gml_export_graph(x, attr->as.graph, &proto->g);
    case GML_ATTR_INTS:
        set_attr_type(proto, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
        proto->n_ints = attr->count;
        proto->ints = gml_arena_copy(arena, attr->as.ints, attr->count * sizeof(int64_t));
        break;
    case GML_ATTR_FLOATS:
        set_attr_type(proto, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
        proto->n_floats = attr->count;
        proto->floats = gml_arena_copy(arena, attr->as.floats, attr->count * sizeof(float));
        break;
    case GML_ATTR_STRINGS: export_strings(x, attr, proto); break;
    case GML_ATTR_TENSORS: export_tensors(x, attr, proto); break;
    }
    return GML_OK;
}
