/* frontend/export.c - builds the messages of a model over the module's own memory, then packs
 * them. */
#include "frontend/export.h"

#include "base/file.h"
#include "frontend/opset.h"
#include "frontend/tensor.h"
#include "ir/op.h"

#include <string.h>

#define GML_PAGE  4096
#define GML_PIECE ((size_t)1 << 22)

/* The part of a graph that becomes one GraphProto: all of it, or of a model that trains what
 * comes before its algorithm, or the algorithm. */
typedef struct graph_part {
    const gml_graph *graph;
    const gml_node *first, *end;
    uint32_t first_param, end_param;
    uint32_t first_result, end_result;
    char **names;      /* of the graph's results, all of them */
    bool is_algorithm; /* what training adds to a model */
} graph_part;

typedef struct exporter {
    const gml_module *module;
    gml_arena scratch; /* all messages */
    gml_diags *diags;
    gml_map used;       /* names, over all graphs */
    const char **names; /* by value id; NULL: not met yet */
    bool *in_algorithm; /* by value id */
    gml_map domains;    /* of the operators met */
    gml_export_options options;
    gml_writer *data; /* NULL: constants stay inside */
    const char *data_name;
    uint64_t data_size;
} exporter;

static char *copy_text(exporter *x, const char *text)
{
    return gml_arena_text(&x->scratch, text, strlen(text));
}

/* `name`, or with a number behind it when it is taken. */
static char *unique_name(exporter *x, const char *name)
{
    const char *free_name = name;
    for (unsigned i = 1; gml_map_has(&x->used, free_name); i++)
        free_name = gml_arena_printf(&x->scratch, "%s_%u", name, i);
    gml_map_set(&x->used, free_name, x);
    return copy_text(x, free_name);
}

static char *value_name(exporter *x, const gml_value *value)
{
    static char absent[] = "";
    if (value == NULL)
        return absent;
    if (x->names[value->id] == NULL) {
        const char *name = value->name;
        if (name == NULL)
            name = gml_arena_printf(&x->scratch, "v%u", value->id);
        x->names[value->id] = *name != '\0' ? unique_name(x, name) : "";
    }
    return copy_text(x, x->names[value->id]);
}

/* ---- types ----------------------------------------------------------------------------------
 */

static Onnx__TensorShapeProto *export_shape(exporter *x, const gml_type *type)
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
        dim->dim_param = copy_text(x, text.text);
        gml_str_reset(&text);
    }
    return shape;
}

static Onnx__TypeProto *export_type(exporter *x, const gml_type *type)
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

static Onnx__ValueInfoProto *export_value_info(exporter *x, const char *name,
                                               const gml_type *type)
{
    Onnx__ValueInfoProto *info = gml_new(&x->scratch, Onnx__ValueInfoProto);
    onnx__value_info_proto__init(info);
    info->name = copy_text(x, name);
    info->type = export_type(x, type);
    return info;
}

/* ---- tensors --------------------------------------------------------------------------------
 */

static Onnx__StringStringEntryProto *export_entry(exporter *x, const char *key,
                                                  const char *value)
{
    Onnx__StringStringEntryProto *entry = gml_new(&x->scratch, Onnx__StringStringEntryProto);
    onnx__string_string_entry_proto__init(entry);
    entry->key = copy_text(x, key);
    entry->value = copy_text(x, value);
    return entry;
}

/* Moves raw_data into the file of external data, at a page's begin so that it can be mapped. */
static void move_outside(exporter *x, Onnx__TensorProto *proto)
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
    proto->external_data[0] = export_entry(x, "location", x->data_name);
    proto->external_data[1] = export_entry(
        x, "offset", gml_arena_printf(arena, "%llu", (unsigned long long)x->data_size));
    proto->external_data[2] = export_entry(x, "length", gml_arena_printf(arena, "%zu", len));
    x->data_size += len;
    proto->has_data_location = 1;
    proto->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    proto->has_raw_data = 0;
}

static Onnx__TensorProto *export_tensor(exporter *x, const gml_tensor *tensor, const char *name)
{
    Onnx__TensorProto *proto = gml_new(&x->scratch, Onnx__TensorProto);
    gml_tensor_write(tensor, &x->scratch, proto);
    if (name != NULL)
        proto->name = copy_text(x, name);
    if (x->data != NULL && proto->has_raw_data && proto->raw_data.len >= GML_PAGE)
        move_outside(x, proto);
    return proto;
}

/* Whether the tensor is worth a sparse one without values: what a step begins with is mostly
 * zeros. */
static bool is_many_zeros(const gml_tensor *tensor)
{
    size_t size = (size_t)gml_tensor_numel(tensor) * gml_dtype_size(tensor->dtype);
    const char *bytes = tensor->data;
    return tensor->dtype != GML_STRING && gml_dtype_bits(tensor->dtype) >= 8 &&
           size >= GML_PAGE && bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static Onnx__SparseTensorProto *export_zeros(exporter *x, const gml_tensor *tensor,
                                             const char *name)
{
    Onnx__SparseTensorProto *proto = gml_new(&x->scratch, Onnx__SparseTensorProto);
    onnx__sparse_tensor_proto__init(proto);
    gml_tensor values = {.dtype = tensor->dtype, .rank = 1};
    gml_tensor indices = {.dtype = GML_I64, .rank = 1};
    proto->values = export_tensor(x, &values, name);
    proto->indices = export_tensor(x, &indices, NULL);
    proto->n_dims = (size_t)tensor->rank;
    proto->dims =
        gml_arena_copy(&x->scratch, tensor->dims, (size_t)tensor->rank * sizeof *tensor->dims);
    return proto;
}

/* ---- attributes -----------------------------------------------------------------------------
 */

static gml_status export_graph(exporter *x, const gml_graph *graph,
                               Onnx__GraphProto **out_proto);

static void set_attr_type(Onnx__AttributeProto *proto, Onnx__AttributeProto__AttributeType type)
{
    proto->has_type = 1;
    proto->type = type;
}

static ProtobufCBinaryData export_string(exporter *x, gml_string text)
{
    return (ProtobufCBinaryData){text.len, gml_arena_copy(&x->scratch, text.data, text.len)};
}

static void export_strings(exporter *x, const gml_attr *attr, Onnx__AttributeProto *proto)
{
    set_attr_type(proto, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS);
    proto->n_strings = attr->count;
    proto->strings = gml_new_array(&x->scratch, ProtobufCBinaryData, attr->count);
    for (size_t i = 0; i < attr->count; i++)
        proto->strings[i] = export_string(x, attr->as.strings[i]);
}

static void export_tensors(exporter *x, const gml_attr *attr, Onnx__AttributeProto *proto)
{
    set_attr_type(proto, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSORS);
    proto->n_tensors = attr->count;
    proto->tensors = gml_new_array(&x->scratch, Onnx__TensorProto *, attr->count);
    for (size_t i = 0; i < attr->count; i++)
        proto->tensors[i] = export_tensor(x, attr->as.tensors[i], NULL);
}

static gml_status export_attr(exporter *x, const gml_attr *attr, Onnx__AttributeProto *proto)
{
    gml_arena *arena = &x->scratch;
    onnx__attribute_proto__init(proto);
    proto->name = copy_text(x, attr->name);
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
        proto->t = export_tensor(x, attr->as.t, NULL);
        break;
    case GML_ATTR_TYPE:
        set_attr_type(proto, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO);
        proto->tp = export_type(x, attr->as.type);
        break;
    case GML_ATTR_GRAPH:
        set_attr_type(proto, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH);
        return export_graph(x, attr->as.graph, &proto->g);
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

/* ---- nodes and graphs -----------------------------------------------------------------------
 */

/* Values known when compiling, without operands, are initialisers. */
static bool is_constant(const gml_node *node)
{
    return node->n_operands == 0 && node->n_results == 1 && node->results[0].constant != NULL;
}

static Onnx__NodeProto *new_node(exporter *x, const char *op, size_t n_inputs, size_t n_outputs)
{
    Onnx__NodeProto *proto = gml_new(&x->scratch, Onnx__NodeProto);
    onnx__node_proto__init(proto);
    proto->op_type = copy_text(x, op);
    proto->n_input = n_inputs;
    proto->input = gml_new_array(&x->scratch, char *, n_inputs);
    proto->n_output = n_outputs;
    proto->output = gml_new_array(&x->scratch, char *, n_outputs);
    return proto;
}

/* Refuses what the operator set that is written does not know. */
static gml_status check_opset(exporter *x, const gml_node *node)
{
    int64_t needed = gml_opset_of_node(node);
    if (needed <= x->options.opset)
        return GML_OK;
    return gml_fail(x->diags, GML_E_UNSUPPORTED, node->loc,
                    "this needs operator set %lld, and %lld is to be written",
                    (long long)needed, (long long)x->options.opset);
}

static ProtobufCBinaryData name_bytes(char *name)
{
    return (ProtobufCBinaryData){strlen(name), (uint8_t *)name};
}

/* Attributes that name values get the names which those have in the file. */
static void export_named_values(exporter *x, const gml_node *node, Onnx__NodeProto *proto)
{
    uint32_t k = node->n_operands - gml_node_named_values(node);
    for (const gml_attr_spec *spec = node->op->attrs; spec && spec->name; spec++) {
        for (size_t i = 0; i < proto->n_attribute && spec->names_values; i++) {
            Onnx__AttributeProto *attr = proto->attribute[i];
            if (strcmp(attr->name, spec->name) != 0)
                continue;
            for (size_t j = 0; j < attr->n_strings && k < node->n_operands; j++)
                attr->strings[j] = name_bytes(value_name(x, node->operands[k++]));
            if (attr->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING &&
                k < node->n_operands)
                attr->s = name_bytes(value_name(x, node->operands[k++]));
        }
    }
}

static gml_status export_node(exporter *x, const gml_node *node, Onnx__NodeProto **out_proto)
{
    GML_TRY(check_opset(x, node));
    uint32_t n_operands = node->n_operands - gml_node_named_values(node);
    Onnx__NodeProto *proto = new_node(x, node->op->name, n_operands, node->n_results);
    const char *domain = node->op->domain != NULL ? node->op->domain : "";
    gml_map_set(&x->domains, domain, x);
    if (*domain != '\0')
        proto->domain = copy_text(x, domain);
    if (node->loc.node != NULL)
        proto->name = copy_text(x, node->loc.node);
    for (uint32_t i = 0; i < n_operands; i++)
        proto->input[i] = value_name(x, node->operands[i]);
    proto->attribute = gml_new_array(&x->scratch, Onnx__AttributeProto *, node->n_attrs);
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        Onnx__AttributeProto *attr = gml_new(&x->scratch, Onnx__AttributeProto);
        GML_TRY(export_attr(x, &node->attrs[i], attr));
        proto->attribute[proto->n_attribute++] = attr;
    }
    export_named_values(x, node, proto);
    for (uint32_t i = 0; i < node->n_results; i++)
        proto->output[i] = value_name(x, &node->results[i]);
    *out_proto = proto;
    return GML_OK;
}

/* The name that result `i` of `graph` has in the file. */
static const char *result_name(exporter *x, const gml_graph *graph, uint32_t i)
{
    const char *name = graph->result_names != NULL ? graph->result_names[i] : NULL;
    if (name == NULL)
        name = graph->results[i]->name;
    return name != NULL && *name != '\0' ? name : gml_arena_printf(&x->scratch, "result%u", i);
}

/* A result takes the name of the graph's output where it is computed by a node of the part and
 * not another output already; else an Identity stands between them. */
static void name_results(exporter *x, const graph_part *part)
{
    for (uint32_t i = part->first_result; i < part->end_result; i++) {
        const gml_value *value = part->graph->results[i];
        bool is_free = value->def != NULL && value->graph == part->graph &&
                       !is_constant(value->def) && x->names[value->id] == NULL &&
                       x->in_algorithm[value->id] == part->is_algorithm;
        part->names[i] = unique_name(x, result_name(x, part->graph, i));
        if (is_free)
            x->names[value->id] = part->names[i];
    }
}

/* Inputs and outputs keep their names: they come before everything else. */
static void name_ports(exporter *x, const graph_part *part)
{
    for (uint32_t i = part->first_param; i < part->end_param; i++)
        (void)value_name(x, part->graph->params[i]);
    name_results(x, part);
}

static size_t count_nodes(const graph_part *part)
{
    size_t count = 0;
    for (const gml_node *node = part->first; node != part->end; node = node->next)
        count++;
    return count;
}

static size_t count_gradients(const graph_part *part)
{
    size_t count = 0;
    for (const gml_node *node = part->first; node != part->end; node = node->next)
        count += node->op->traits & GML_DIFFERENTIATES ? node->n_results : 0;
    return count;
}

/* Types of gradients: ONNX's inference knows none, and stops at what uses them. */
static void export_gradient_types(exporter *x, const gml_node *node, Onnx__GraphProto *proto)
{
    for (uint32_t r = 0; node->op->traits & GML_DIFFERENTIATES && r < node->n_results; r++)
        proto->value_info[proto->n_value_info++] =
            export_value_info(x, value_name(x, &node->results[r]), &node->results[r].type);
}

static void export_results(exporter *x, const graph_part *part, Onnx__GraphProto *proto)
{
    for (uint32_t i = part->first_result; i < part->end_result; i++) {
        const gml_value *value = part->graph->results[i];
        if (strcmp(value_name(x, value), part->names[i]) != 0) {
            Onnx__NodeProto *node = new_node(x, "Identity", 1, 1);
            gml_map_set(&x->domains, "", x);
            node->input[0] = value_name(x, value);
            node->output[0] = part->names[i];
            proto->node[proto->n_node++] = node;
        }
        proto->output[proto->n_output++] = export_value_info(x, part->names[i], &value->type);
    }
}

static gml_status export_part(exporter *x, const graph_part *part, const char *name,
                              Onnx__GraphProto **out_proto)
{
    gml_arena *arena = &x->scratch;
    Onnx__GraphProto *proto = gml_new(arena, Onnx__GraphProto);
    onnx__graph_proto__init(proto);
    proto->name = copy_text(x, name);
    size_t n_nodes = count_nodes(part);
    size_t n_results = part->end_result - part->first_result;
    proto->input =
        gml_new_array(arena, Onnx__ValueInfoProto *, part->end_param - part->first_param);
    proto->output = gml_new_array(arena, Onnx__ValueInfoProto *, n_results);
    proto->node = gml_new_array(arena, Onnx__NodeProto *, n_nodes + n_results);
    proto->initializer = gml_new_array(arena, Onnx__TensorProto *, n_nodes);
    proto->sparse_initializer = gml_new_array(arena, Onnx__SparseTensorProto *, n_nodes);
    for (uint32_t i = part->first_param; i < part->end_param; i++) {
        const gml_value *param = part->graph->params[i];
        proto->input[proto->n_input++] =
            export_value_info(x, value_name(x, param), &param->type);
    }
    proto->value_info = gml_new_array(arena, Onnx__ValueInfoProto *, count_gradients(part));
    for (const gml_node *node = part->first; node != part->end; node = node->next) {
        export_gradient_types(x, node, proto);
        const gml_tensor *constant = is_constant(node) ? node->results[0].constant : NULL;
        const char *constant_name = constant ? value_name(x, &node->results[0]) : NULL;
        if (constant && part->is_algorithm && is_many_zeros(constant))
            proto->sparse_initializer[proto->n_sparse_initializer++] =
                export_zeros(x, constant, constant_name);
        else if (constant)
            proto->initializer[proto->n_initializer++] =
                export_tensor(x, constant, constant_name);
        else
            GML_TRY(export_node(x, node, &proto->node[proto->n_node++]));
    }
    export_results(x, part, proto);
    *out_proto = proto;
    return GML_OK;
}

static const char *graph_name(const gml_graph *graph)
{
    return graph->name != NULL && *graph->name != '\0' ? graph->name : "graph";
}

static gml_status check_assumptions(exporter *x, const gml_graph *graph)
{
    if (graph->assumptions.count == 0)
        return GML_OK;
    return gml_fail(x->diags, GML_E_UNSUPPORTED, graph->assumptions.items[0].loc,
                    "ONNX has no words for what a graph requires of sizes");
}

static graph_part whole_graph(exporter *x, const gml_graph *graph)
{
    return (graph_part){
        .graph = graph,
        .first = graph->first,
        .end_param = graph->n_params,
        .end_result = graph->n_results,
        .names = gml_new_array(&x->scratch, char *, graph->n_results),
    };
}

static gml_status export_graph(exporter *x, const gml_graph *graph,
                               Onnx__GraphProto **out_proto)
{
    GML_TRY(check_assumptions(x, graph));
    graph_part part = whole_graph(x, graph);
    name_ports(x, &part);
    return export_part(x, &part, graph_name(graph), out_proto);
}

static Onnx__TrainingInfoProto *export_bindings(exporter *x, const graph_part *algorithm)
{
    const gml_export_training *training = x->options.training;
    Onnx__TrainingInfoProto *proto = gml_new(&x->scratch, Onnx__TrainingInfoProto);
    onnx__training_info_proto__init(proto);
    proto->update_binding =
        gml_new_array(&x->scratch, Onnx__StringStringEntryProto *, training->n_updates);
    for (size_t i = 0; i < training->n_updates; i++) {
        const gml_export_update *update = &training->updates[i];
        proto->update_binding[proto->n_update_binding++] =
            export_entry(x, value_name(x, update->state), algorithm->names[update->result]);
    }
    return proto;
}

/* The main graph of a model that trains: two graphs, of which the second uses names of the
 * first. */
static gml_status export_training(exporter *x, const gml_graph *graph, Onnx__ModelProto *model)
{
    const gml_export_training *training = x->options.training;
    GML_TRY(check_assumptions(x, graph));
    graph_part forward = whole_graph(x, graph);
    graph_part algorithm = forward;
    algorithm.is_algorithm = true;
    forward.end = algorithm.first = training->first;
    forward.end_param = algorithm.first_param = training->n_params;
    forward.end_result = algorithm.first_result = training->n_results;
    for (const gml_node *node = algorithm.first; node != NULL; node = node->next)
        for (uint32_t r = 0; r < node->n_results; r++)
            x->in_algorithm[node->results[r].id] = true;
    name_ports(x, &forward);
    name_ports(x, &algorithm);
    GML_TRY(export_part(x, &forward, graph_name(graph), &model->graph));
    Onnx__GraphProto *proto;
    GML_TRY(export_part(x, &algorithm,
                        gml_arena_printf(&x->scratch, "%s_step", graph_name(graph)), &proto));
    Onnx__TrainingInfoProto *info = export_bindings(x, &algorithm);
    info->algorithm = proto;
    model->training_info = gml_new_array(&x->scratch, Onnx__TrainingInfoProto *, 1);
    model->training_info[model->n_training_info++] = info;
    return GML_OK;
}

static void export_opsets(exporter *x, Onnx__ModelProto *model)
{
    gml_map_set(&x->domains, "", x); /* always imported, so that a reader knows the version */
    model->opset_import =
        gml_new_array(&x->scratch, Onnx__OperatorSetIdProto *, x->domains.count);
    for (size_t i = 0; i < x->domains.count; i++) {
        const char *domain = x->domains.entries[i].key;
        Onnx__OperatorSetIdProto *opset = gml_new(&x->scratch, Onnx__OperatorSetIdProto);
        onnx__operator_set_id_proto__init(opset);
        opset->domain = copy_text(x, domain);
        opset->has_version = 1;
        opset->version = 1;
        if (*domain == '\0')
            opset->version = x->options.opset;
        else if (strcmp(domain, "ai.onnx.ml") == 0)
            opset->version = GML_OPSET_ML_WRITTEN;
        model->opset_import[model->n_opset_import++] = opset;
    }
}

static gml_status check_types(exporter *x, const gml_graph *graph)
{
    for (uint32_t i = 0; i < graph->n_params + graph->n_results; i++) {
        bool is_param = i < graph->n_params;
        const gml_value *value =
            is_param ? graph->params[i] : graph->results[i - graph->n_params];
        if (value->type.kind == GML_TYPE_UNKNOWN)
            return gml_fail(x->diags, GML_E_INVALID, (gml_loc){.file = x->module->file},
                            "the type of %s %s is unknown", is_param ? "input" : "output",
                            value->name != NULL ? value->name : "");
    }
    return GML_OK;
}

static void export_metadata(exporter *x, Onnx__ModelProto *model)
{
    size_t count = x->options.n_metadata;
    model->metadata_props = gml_new_array(&x->scratch, Onnx__StringStringEntryProto *, count);
    for (size_t i = 0; i < count; i++) {
        const gml_export_entry *entry = &x->options.metadata[i];
        model->metadata_props[model->n_metadata_props++] =
            export_entry(x, entry->key, entry->value);
    }
}

static gml_status export_model(exporter *x, const gml_module *module, gml_diags *diags,
                               Onnx__ModelProto *model)
{
    gml_arena_init(&x->scratch);
    if (x->options.opset == 0)
        x->options.opset = GML_OPSET_WRITTEN;
    if (x->options.opset < GML_OPSET_OLDEST_WRITTEN || x->options.opset > GML_OPSET_WRITTEN)
        return gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.file = module->file},
                        "operator set %lld is outside %d to %d", (long long)x->options.opset,
                        GML_OPSET_OLDEST_WRITTEN, GML_OPSET_WRITTEN);
    x->module = module;
    x->diags = diags;
    gml_map_init(&x->used, &x->scratch);
    gml_map_init(&x->domains, &x->scratch);
    x->names = gml_new_array(&x->scratch, const char *, module->n_values);
    x->in_algorithm = gml_new_array(&x->scratch, bool, module->n_values);
    onnx__model_proto__init(model);
    model->has_ir_version = 1;
    model->ir_version = gml_opset_ir_version(x->options.opset);
    model->producer_name = copy_text(x, "gemel");
    GML_TRY(check_types(x, module->main));
    if (x->options.training != NULL)
        GML_TRY(export_training(x, module->main, model));
    else
        GML_TRY(export_graph(x, module->main, &model->graph));
    export_opsets(x, model);
    export_metadata(x, model);
    if (onnx__model_proto__get_packed_size(model) > INT32_MAX) {
        (void)gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.file = module->file},
                       "the model has more than 2 GB");
        gml_note(diags, "write its constants as external data");
        return GML_E_UNSUPPORTED;
    }
    return GML_OK;
}

/* ---- where the bytes go ---------------------------------------------------------------------
 */

/* A protobuf-c sink over a file or a string. */
typedef struct sink {
    ProtobufCBuffer base;
    gml_writer *writer;
    gml_str *text;
    const gml_export_options *options; /* for the progress of a writer */
    uint64_t done, total;
} sink;

/* In pieces, between which progress is reported. */
static void write_bytes(sink *to, const uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t piece = len - at < GML_PIECE ? len - at : GML_PIECE;
        gml_writer_put(to->writer, bytes + at, piece);
        at += piece;
        to->done += piece;
        if (to->options->progress != NULL && (piece == GML_PIECE || to->done == to->total))
            to->options->progress(to->options->progress_context, "writing", to->done,
                                  to->total);
    }
}

static void put_bytes(ProtobufCBuffer *buffer, size_t len, const uint8_t *bytes)
{
    union {
        ProtobufCBuffer *base;
        sink *whole;
    } at = {.base = buffer};
    if (at.whole->writer != NULL)
        write_bytes(at.whole, bytes, len);
    else
        gml_str_append(at.whole->text, bytes, len);
}

gml_status gml_onnx_write(const gml_module *module, gml_str *out, gml_diags *diags)
{
    exporter x = {.data = NULL};
    Onnx__ModelProto model;
    gml_status status = export_model(&x, module, diags, &model);
    sink to = {.base = {.append = put_bytes}, .text = out};
    if (status == GML_OK)
        (void)onnx__model_proto__pack_to_buffer(&model, &to.base);
    gml_arena_reset(&x.scratch);
    return status;
}

static gml_status save_model(exporter *x, const gml_module *module, const char *path,
                             gml_diags *diags)
{
    Onnx__ModelProto model;
    gml_writer writer;
    GML_TRY(export_model(x, module, diags, &model));
    GML_TRY(gml_writer_open(&writer, path, diags));
    sink to = {
        .base = {.append = put_bytes},
        .writer = &writer,
        .options = &x->options,
        .total = onnx__model_proto__get_packed_size(&model),
    };
    (void)onnx__model_proto__pack_to_buffer(&model, &to.base);
    if (x->data != NULL) { /* first, so that no model ever points at data that is not there */
        gml_status status = gml_writer_close(x->data, diags);
        x->data = NULL;
        if (status != GML_OK) {
            gml_writer_cancel(&writer);
            return status;
        }
    }
    return gml_writer_close(&writer, diags);
}

gml_status gml_onnx_save(const gml_module *module, const char *path,
                         const gml_export_options *options, gml_diags *diags)
{
    exporter x = {.data = NULL};
    gml_writer data;
    if (options != NULL)
        x.options = *options;
    if (x.options.external_data) {
        const char *data_path = gml_arena_printf(diags->arena, "%s.data", path);
        const char *slash = strrchr(data_path, '/');
        x.data_name = slash != NULL ? slash + 1 : data_path;
        GML_TRY(gml_writer_open(&data, data_path, diags));
        x.data = &data;
    }
    gml_status status = save_model(&x, module, path, diags);
    if (x.data != NULL)
        gml_writer_cancel(x.data);
    gml_arena_reset(&x.scratch);
    return status;
}
