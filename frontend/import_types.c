/* frontend/import_types.c - TypeProto and AttributeProto. */
#include "frontend/importer.h"

#include <string.h>

/* ---- types ----------------------------------------------------------------------------------
 */

static gml_dim import_dim(gml_importer *importer, const Onnx__TensorShapeProto__Dimension *dim,
                          gml_loc loc)
{
    gml_dim_pool *pool = &importer->module->dims;
    if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE) {
        /* Some exporters write -1 for what they do not know. */
        if (dim->dim_value >= GML_DIM_LIMIT)
            (void)gml_import_fail(importer, GML_E_SHAPE, loc,
                                  "a dimension of %lld is too large",
                                  (long long)dim->dim_value);
        bool is_size = dim->dim_value >= 0 && dim->dim_value < GML_DIM_LIMIT;
        return is_size ? dim->dim_value : gml_dim_fresh(pool, "d");
    }
    if (dim->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM ||
        *dim->dim_param == '\0')
        return gml_dim_fresh(pool, "d");
    for (size_t i = 0; i < importer->options->n_dims; i++) {
        if (strcmp(importer->options->dims[i].name, dim->dim_param) == 0)
            return importer->options->dims[i].value;
    }
    return gml_dim_symbol(pool, dim->dim_param);
}

static gml_status import_tensor_type(gml_importer *importer, int32_t number,
                                     const Onnx__TensorShapeProto *shape, gml_loc loc,
                                     gml_type *out_type)
{
    gml_dtype dtype = gml_dtype_of_number(number);
    if (dtype == GML_NONE)
        return gml_import_fail(importer, GML_E_INVALID, loc, "unknown element type %d",
                               (int)number);
    if (shape == NULL) {
        *out_type = gml_type_unranked(dtype);
        return GML_OK;
    }
    if (shape->n_dim > GML_MAX_RANK)
        return gml_import_fail(importer, GML_E_UNSUPPORTED, loc,
                               "%zu dimensions; %d are supported", shape->n_dim, GML_MAX_RANK);
    gml_dim dims[GML_MAX_RANK];
    for (size_t i = 0; i < shape->n_dim; i++)
        dims[i] = import_dim(importer, shape->dim[i], loc);
    *out_type = gml_type_tensor(importer->arena, dtype, (int)shape->n_dim, dims);
    return GML_OK;
}

static gml_status import_element(gml_importer *importer, const Onnx__TypeProto *proto,
                                 gml_loc loc, gml_type *out_type)
{
    GML_TRY(gml_import_type(importer, proto, loc, out_type));
    if (out_type->kind == GML_TYPE_UNKNOWN)
        return gml_import_fail(importer, GML_E_INVALID, loc,
                               "the type of a sequence, optional or map has no element type");
    return GML_OK;
}

gml_status gml_import_type(gml_importer *importer, const Onnx__TypeProto *proto, gml_loc loc,
                           gml_type *out_type)
{
    gml_type element = {.kind = GML_TYPE_UNKNOWN};
    *out_type = element;
    if (proto == NULL)
        return GML_OK;
    switch ((int)proto->value_case) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
        if (!proto->tensor_type->has_elem_type)
            return GML_OK;
        return import_tensor_type(importer, proto->tensor_type->elem_type,
                                  proto->tensor_type->shape, loc, out_type);
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        GML_TRY(import_element(importer, proto->sequence_type->elem_type, loc, &element));
        *out_type = gml_type_sequence(importer->arena, element);
        return GML_OK;
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        GML_TRY(import_element(importer, proto->optional_type->elem_type, loc, &element));
        *out_type = gml_type_optional(importer->arena, element);
        return GML_OK;
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        GML_TRY(import_element(importer, proto->map_type->value_type, loc, &element));
        out_type->kind = GML_TYPE_MAP;
        out_type->dtype = gml_dtype_of_number(proto->map_type->key_type);
        out_type->element = gml_arena_copy(importer->arena, &element, sizeof element);
        return GML_OK;
    case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        return gml_import_fail(importer, GML_E_UNSUPPORTED, loc,
                               "sparse tensors are supported as constants only");
    default: return GML_OK;
    }
}

/* ---- attributes -----------------------------------------------------------------------------
 */

int gml_attr_proto_type(const Onnx__AttributeProto *proto)
{
    const struct {
        bool is_set;
        Onnx__AttributeProto__AttributeType type;
    } fields[] = {
        {proto->has_f != 0, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT},
        {proto->has_i != 0, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT},
        {proto->has_s != 0, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING},
        {proto->t != NULL, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR},
        {proto->g != NULL, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH},
        {proto->n_floats != 0, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS},
        {proto->n_ints != 0, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS},
        {proto->n_strings != 0, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS},
        {proto->n_tensors != 0, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSORS},
    };
    int type = proto->has_type ? (int)proto->type : 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && type == 0; i++) {
        if (fields[i].is_set)
            type = (int)fields[i].type;
    }
    return type;
}

gml_binding gml_resolve_attr(gml_scope *scope, const Onnx__AttributeProto *proto)
{
    if (proto->ref_attr_name == NULL || *proto->ref_attr_name == '\0')
        return (gml_binding){proto, scope};
    const gml_binding *binding =
        scope->call != NULL ? gml_map_find(&scope->call->bindings, proto->ref_attr_name) : NULL;
    return binding != NULL ? *binding : (gml_binding){NULL, NULL};
}

static gml_string copy_string(gml_importer *importer, const ProtobufCBinaryData *text)
{
    const char *data = text->len != 0 ? (const char *)text->data : "";
    return (gml_string){gml_arena_text(importer->arena, data, text->len), text->len};
}

static void import_strings(gml_importer *importer, const Onnx__AttributeProto *proto,
                           gml_attr *attr)
{
    gml_string *strings = gml_new_array(importer->arena, gml_string, proto->n_strings);
    for (size_t i = 0; i < proto->n_strings; i++)
        strings[i] = copy_string(importer, &proto->strings[i]);
    attr->kind = GML_ATTR_STRINGS;
    attr->count = proto->n_strings;
    attr->as.strings = strings;
}

static gml_status import_tensors(gml_importer *importer, const Onnx__AttributeProto *proto,
                                 gml_loc loc, gml_attr *attr)
{
    const gml_tensor **tensors =
        gml_new_array(importer->arena, const gml_tensor *, proto->n_tensors);
    for (size_t i = 0; i < proto->n_tensors; i++) {
        gml_tensor *tensor = gml_new(importer->arena, gml_tensor);
        GML_TRY(gml_tensor_read(&importer->reader, proto->tensors[i], loc, tensor));
        tensors[i] = tensor;
    }
    attr->kind = GML_ATTR_TENSORS;
    attr->count = proto->n_tensors;
    attr->as.tensors = tensors;
    return GML_OK;
}

static gml_status import_tensor(gml_importer *importer, const Onnx__AttributeProto *proto,
                                gml_loc loc, gml_attr *attr)
{
    gml_tensor *tensor = gml_new(importer->arena, gml_tensor);
    if (proto->t != NULL)
        GML_TRY(gml_tensor_read(&importer->reader, proto->t, loc, tensor));
    else if (proto->sparse_tensor != NULL)
        GML_TRY(gml_tensor_read_sparse(&importer->reader, proto->sparse_tensor, loc, tensor));
    else
        return gml_import_fail(importer, GML_E_INVALID, loc, "attribute %s has no tensor",
                               attr->name);
    attr->kind = GML_ATTR_TENSOR;
    attr->count = 1;
    attr->as.t = tensor;
    return GML_OK;
}

static gml_status import_type_attr(gml_importer *importer, const Onnx__AttributeProto *proto,
                                   gml_loc loc, gml_attr *attr)
{
    gml_type *type = gml_new(importer->arena, gml_type);
    GML_TRY(gml_import_type(importer, proto->tp, loc, type));
    attr->kind = GML_ATTR_TYPE;
    attr->count = 1;
    attr->as.type = type;
    return GML_OK;
}

gml_status gml_import_attr(gml_importer *importer, const char *name,
                           const Onnx__AttributeProto *proto, gml_loc loc, gml_attr *out_attr)
{
    gml_arena *arena = importer->arena;
    gml_attr *attr = out_attr;
    *attr = (gml_attr){.name = gml_import_text(importer, name), .count = 1};
    switch (gml_attr_proto_type(proto)) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
        attr->kind = GML_ATTR_FLOAT;
        attr->as.f = proto->f;
        return GML_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
        attr->kind = GML_ATTR_INT;
        attr->as.i = proto->i;
        return GML_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        attr->kind = GML_ATTR_STRING;
        attr->as.s = copy_string(importer, &proto->s);
        return GML_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
        attr->kind = GML_ATTR_FLOATS;
        attr->count = proto->n_floats;
        attr->as.floats =
            gml_arena_copy(arena, proto->floats, proto->n_floats * sizeof *proto->floats);
        return GML_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        attr->kind = GML_ATTR_INTS;
        attr->count = proto->n_ints;
        attr->as.ints = gml_arena_copy(arena, proto->ints, proto->n_ints * sizeof *proto->ints);
        return GML_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS:
        import_strings(importer, proto, attr);
        return GML_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSOR:
        return import_tensor(importer, proto, loc, attr);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSORS:
        return import_tensors(importer, proto, loc, attr);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO:
        return import_type_attr(importer, proto, loc, attr);
    default:
        return gml_import_fail(importer, GML_E_INVALID, loc, "attribute %s has no usable type",
                               attr->name);
    }
}
