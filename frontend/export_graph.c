/* frontend/export_graph.c - graphs, and of a model that trains the two that its main graph is.
 */
#include "frontend/exporter.h"
#include "frontend/opset.h"
#include "ir/op.h"

#include <string.h>

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

/* Values known when compiling, without operands, are initialisers. */
static bool is_initialiser(const gml_node *node)
{
    return node->n_operands == 0 && node->n_results == 1 && node->results[0].constant != NULL;
}

static Onnx__NodeProto *new_node(gml_exporter *x, const char *op, size_t n_inputs,
                                 size_t n_outputs)
{
    Onnx__NodeProto *proto = gml_new(&x->scratch, Onnx__NodeProto);
    onnx__node_proto__init(proto);
    proto->op_type = gml_exporter_text(x, op);
    proto->n_input = n_inputs;
    proto->input = gml_new_array(&x->scratch, char *, n_inputs);
    proto->n_output = n_outputs;
    proto->output = gml_new_array(&x->scratch, char *, n_outputs);
    return proto;
}

/* Refuses what the operator set that is written does not know. */
static gml_status check_opset(gml_exporter *x, const gml_node *node)
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
static void export_named_values(gml_exporter *x, const gml_node *node, Onnx__NodeProto *proto)
{
    uint32_t k = node->n_operands - gml_node_named_values(node);
    for (const gml_attr_spec *spec = node->op->attrs; spec && spec->name; spec++) {
        for (size_t i = 0; i < proto->n_attribute && spec->names_values; i++) {
            Onnx__AttributeProto *attr = proto->attribute[i];
            if (strcmp(attr->name, spec->name) != 0)
                continue;
            for (size_t j = 0; j < attr->n_strings && k < node->n_operands; j++)
                attr->strings[j] = name_bytes(gml_exporter_name(x, node->operands[k++]));
            if (attr->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING &&
                k < node->n_operands)
                attr->s = name_bytes(gml_exporter_name(x, node->operands[k++]));
        }
    }
}

static gml_status export_node(gml_exporter *x, const gml_node *node,
                              Onnx__NodeProto **out_proto)
{
    GML_TRY(check_opset(x, node));
    uint32_t n_operands = node->n_operands - gml_node_named_values(node);
    Onnx__NodeProto *proto = new_node(x, node->op->name, n_operands, node->n_results);
    const char *domain = node->op->domain != NULL ? node->op->domain : "";
    gml_map_set(&x->domains, domain, x);
    if (*domain != '\0')
        proto->domain = gml_exporter_text(x, domain);
    if (node->loc.node != NULL)
        proto->name = gml_exporter_text(x, node->loc.node);
    for (uint32_t i = 0; i < n_operands; i++)
        proto->input[i] = gml_exporter_name(x, node->operands[i]);
    proto->attribute = gml_new_array(&x->scratch, Onnx__AttributeProto *, node->n_attrs);
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        Onnx__AttributeProto *attr = gml_new(&x->scratch, Onnx__AttributeProto);
        GML_TRY(gml_export_attr(x, &node->attrs[i], attr));
        proto->attribute[proto->n_attribute++] = attr;
    }
    export_named_values(x, node, proto);
    for (uint32_t i = 0; i < node->n_results; i++)
        proto->output[i] = gml_exporter_name(x, &node->results[i]);
    *out_proto = proto;
    return GML_OK;
}

/* The name that result `i` of `graph` has in the file. */
static const char *result_name(gml_exporter *x, const gml_graph *graph, uint32_t i)
{
    const char *name = graph->result_names != NULL ? graph->result_names[i] : NULL;
    if (name == NULL)
        name = graph->results[i]->name;
    return name != NULL && *name != '\0' ? name : gml_arena_printf(&x->scratch, "result%u", i);
}

/* A result takes the name of the graph's output where it is computed by a node of the part and
 * not another output already; else an Identity stands between them. */
static void name_results(gml_exporter *x, const graph_part *part)
{
    for (uint32_t i = part->first_result; i < part->end_result; i++) {
        const gml_value *value = part->graph->results[i];
        bool is_free = value->def != NULL && value->graph == part->graph &&
                       !is_initialiser(value->def) && x->names[value->id] == NULL &&
                       x->in_algorithm[value->id] == part->is_algorithm;
        part->names[i] = gml_exporter_claim(x, result_name(x, part->graph, i));
        if (is_free)
            x->names[value->id] = part->names[i];
    }
}

/* Inputs and outputs keep their names: they come before everything else. */
static void name_ports(gml_exporter *x, const graph_part *part)
{
    for (uint32_t i = part->first_param; i < part->end_param; i++)
        (void)gml_exporter_name(x, part->graph->params[i]);
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
static void export_gradient_types(gml_exporter *x, const gml_node *node,
                                  Onnx__GraphProto *proto)
{
    for (uint32_t r = 0; node->op->traits & GML_DIFFERENTIATES && r < node->n_results; r++)
        proto->value_info[proto->n_value_info++] = gml_export_value_info(
            x, gml_exporter_name(x, &node->results[r]), &node->results[r].type);
}

static void export_results(gml_exporter *x, const graph_part *part, Onnx__GraphProto *proto)
{
    for (uint32_t i = part->first_result; i < part->end_result; i++) {
        const gml_value *value = part->graph->results[i];
        if (strcmp(gml_exporter_name(x, value), part->names[i]) != 0) {
            Onnx__NodeProto *node = new_node(x, "Identity", 1, 1);
            gml_map_set(&x->domains, "", x);
            node->input[0] = gml_exporter_name(x, value);
            node->output[0] = part->names[i];
            proto->node[proto->n_node++] = node;
        }
        proto->output[proto->n_output++] =
            gml_export_value_info(x, part->names[i], &value->type);
    }
}

static gml_status export_part(gml_exporter *x, const graph_part *part, const char *name,
                              Onnx__GraphProto **out_proto)
{
    gml_arena *arena = &x->scratch;
    Onnx__GraphProto *proto = gml_new(arena, Onnx__GraphProto);
    onnx__graph_proto__init(proto);
    proto->name = gml_exporter_text(x, name);
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
            gml_export_value_info(x, gml_exporter_name(x, param), &param->type);
    }
    proto->value_info = gml_new_array(arena, Onnx__ValueInfoProto *, count_gradients(part));
    for (const gml_node *node = part->first; node != part->end; node = node->next) {
        export_gradient_types(x, node, proto);
        const gml_tensor *constant = is_initialiser(node) ? node->results[0].constant : NULL;
        const char *constant_name = constant ? gml_exporter_name(x, &node->results[0]) : NULL;
        if (constant && part->is_algorithm && gml_export_is_zeros(constant))
            proto->sparse_initializer[proto->n_sparse_initializer++] =
                gml_export_zeros(x, constant, constant_name);
        else if (constant)
            proto->initializer[proto->n_initializer++] =
                gml_export_tensor(x, constant, constant_name);
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

static gml_status check_assumptions(gml_exporter *x, const gml_graph *graph)
{
    if (graph->assumptions.count == 0)
        return GML_OK;
    return gml_fail(x->diags, GML_E_UNSUPPORTED, graph->assumptions.items[0].loc,
                    "ONNX has no words for what a graph requires of sizes");
}

static graph_part whole_graph(gml_exporter *x, const gml_graph *graph)
{
    return (graph_part){
        .graph = graph,
        .first = graph->first,
        .end_param = graph->n_params,
        .end_result = graph->n_results,
        .names = gml_new_array(&x->scratch, char *, graph->n_results),
    };
}

gml_status gml_export_graph(gml_exporter *x, const gml_graph *graph,
                            Onnx__GraphProto **out_proto)
{
    GML_TRY(check_assumptions(x, graph));
    graph_part part = whole_graph(x, graph);
    name_ports(x, &part);
    return export_part(x, &part, graph_name(graph), out_proto);
}

static Onnx__TrainingInfoProto *export_bindings(gml_exporter *x, const graph_part *algorithm)
{
    const gml_export_training *training = x->options.training;
    Onnx__TrainingInfoProto *proto = gml_new(&x->scratch, Onnx__TrainingInfoProto);
    onnx__training_info_proto__init(proto);
    proto->update_binding =
        gml_new_array(&x->scratch, Onnx__StringStringEntryProto *, training->n_updates);
    for (size_t i = 0; i < training->n_updates; i++) {
        const gml_export_update *update = &training->updates[i];
        proto->update_binding[proto->n_update_binding++] = gml_export_pair(
            x, gml_exporter_name(x, update->state), algorithm->names[update->result]);
    }
    return proto;
}

gml_status gml_export_step(gml_exporter *x, const gml_graph *graph, Onnx__ModelProto *model)
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
