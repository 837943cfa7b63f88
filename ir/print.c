/* ir/print.c - graphs as text.
 *
 * Every value gets its label when its definition is printed. A name is plain while no other
 * visible value has it; a region's names are free again after it, as in the parser.
 */
#include "base/quote.h"
#include "ir/element.h"
#include "ir/op.h"
#include "ir/text.h"

#include <string.h>

/* How often a name stands for a visible value, and the last number that told two apart. */
typedef struct name_use {
    unsigned n_visible;
    unsigned last_number;
} name_use;

typedef struct printer {
    gml_module *module;
    gml_str *out;
    gml_arena scratch;
    gml_map names;       /* name -> name_use */
    const char **labels; /* by value id */
    unsigned n_unnamed;
} printer;

static void indent(printer *p, int depth)
{
    for (int i = 0; i < depth; i++)
        gml_str_puts(p->out, "  ");
}

static void print_plain_or_quoted(const char *name, gml_str *out)
{
    if (gml_is_plain_name(name))
        gml_str_puts(out, name);
    else
        gml_quote_print(name, strlen(name), out);
}

/* ---- Labels ----------------------------------------------------------------------------- */

static name_use *find_use(printer *p, const char *name)
{
    name_use *use = gml_map_find(&p->names, name);
    if (use == NULL) {
        use = gml_new(&p->scratch, name_use);
        gml_map_set(&p->names, name, use);
    }
    return use;
}

static bool is_unwanted(const gml_value *value)
{
    return value->name != NULL && value->name[0] == '\0';
}

static void print_definition(printer *p, const gml_value *value)
{
    gml_str label;
    gml_str_init(&label);
    if (is_unwanted(value)) {
        gml_str_putc(&label, '_');
    } else if (value->name == NULL) {
        gml_str_printf(&label, "%%%u", p->n_unnamed++);
    } else {
        name_use *use = find_use(p, value->name);
        gml_str_putc(&label, '%');
        print_plain_or_quoted(value->name, &label);
        use->last_number = use->n_visible == 0 ? 0 : use->last_number + 1;
        if (use->n_visible++ != 0)
            gml_str_printf(&label, "#%u", use->last_number);
    }
    p->labels[value->id] = gml_arena_text(&p->scratch, label.text, label.len);
    gml_str_puts(p->out, label.text);
    gml_str_reset(&label);
}

static void forget(printer *p, const gml_value *value)
{
    if (value->name != NULL && !is_unwanted(value))
        find_use(p, value->name)->n_visible--;
}

static void print_use(printer *p, const gml_value *value)
{
    if (value == NULL)
        gml_str_putc(p->out, '_');
    else if (p->labels[value->id] == NULL)
        gml_str_printf(p->out, "%%!%u", value->id); /* of a broken graph: nothing defines it */
    else
        gml_str_puts(p->out, p->labels[value->id]);
}

/* ---- Attributes ------------------------------------------------------------------------- */

static uint64_t hash_tensor(const gml_tensor *tensor, size_t count)
{
    if (tensor->dtype != GML_STRING)
        return gml_hash_bytes(tensor->data, count * gml_dtype_size(tensor->dtype), 0);
    uint64_t hash = 0;
    const gml_string *strings = tensor->data;
    for (size_t i = 0; i < count; i++)
        hash = gml_hash_bytes(strings[i].data, strings[i].len, hash);
    return hash;
}

static void print_elements(const gml_tensor *tensor, gml_str *out)
{
    int64_t count = gml_tensor_numel(tensor);
    size_t size = gml_dtype_size(tensor->dtype);
    for (int64_t i = 0; i < count; i++) {
        gml_str_puts(out, i == 0 ? "" : ", ");
        gml_element_print(tensor->dtype, (const char *)tensor->data + (size_t)i * size, out);
    }
}

static void print_tensor(const gml_tensor *tensor, gml_str *out)
{
    gml_str_printf(out, "%s[", gml_dtype_name(tensor->dtype));
    for (int i = 0; i < tensor->rank; i++)
        gml_str_printf(out, "%s%lld", i == 0 ? "" : ",", (long long)tensor->dims[i]);
    gml_str_puts(out, "]{");
    int64_t count = gml_tensor_numel(tensor);
    if (count <= GML_TEXT_ELEMENTS)
        print_elements(tensor, out);
    else
        gml_str_printf(out, "...%016llx",
                       (unsigned long long)hash_tensor(tensor, (size_t)count));
    gml_str_putc(out, '}');
}

/* True when the type of the node's only result says all that the tensor's own type would. */
static bool has_type_of_result(const gml_node *node, const gml_tensor *tensor)
{
    if (node->n_results != 1 || gml_tensor_numel(tensor) > GML_TEXT_ELEMENTS)
        return false;
    const gml_type *type = &node->results[0].type;
    if (type->kind != GML_TYPE_TENSOR || type->dtype != tensor->dtype ||
        type->rank != tensor->rank)
        return false;
    for (int i = 0; i < type->rank; i++) {
        if (type->dims[i] != tensor->dims[i])
            return false;
    }
    return true;
}

static void print_list(const gml_attr *attr, gml_str *out)
{
    gml_str_putc(out, '[');
    for (size_t i = 0; i < attr->count; i++) {
        gml_str_puts(out, i == 0 ? "" : ", ");
        if (attr->kind == GML_ATTR_INTS)
            gml_str_printf(out, "%lld", (long long)attr->as.ints[i]);
        else if (attr->kind == GML_ATTR_FLOATS)
            gml_float_print(attr->as.floats[i], out);
        else if (attr->kind == GML_ATTR_STRINGS)
            gml_quote_print(attr->as.strings[i].data, attr->as.strings[i].len, out);
        else
            print_tensor(attr->as.tensors[i], out);
    }
    gml_str_putc(out, ']');
}

static void print_graph(printer *p, const gml_graph *graph, int depth);

static void print_attr(printer *p, const gml_node *node, const gml_attr *attr, int depth)
{
    gml_str *out = p->out;
    print_plain_or_quoted(attr->name, out);
    gml_str_puts(out, " = ");
    switch (attr->kind) {
    case GML_ATTR_NONE: gml_str_putc(out, '?'); break;
    case GML_ATTR_INT: gml_str_printf(out, "%lld", (long long)attr->as.i); break;
    case GML_ATTR_FLOAT: gml_float_print(attr->as.f, out); break;
    case GML_ATTR_STRING: gml_quote_print(attr->as.s.data, attr->as.s.len, out); break;
    case GML_ATTR_TENSOR:
        if (has_type_of_result(node, attr->as.t)) {
            gml_str_putc(out, '[');
            print_elements(attr->as.t, out);
            gml_str_putc(out, ']');
        } else {
            print_tensor(attr->as.t, out);
        }
        break;
    case GML_ATTR_TYPE: gml_type_print(&p->module->dims, attr->as.type, out); break;
    case GML_ATTR_GRAPH: print_graph(p, attr->as.graph, depth); break;
    case GML_ATTR_INTS:
    case GML_ATTR_FLOATS:
    case GML_ATTR_STRINGS:
    case GML_ATTR_TENSORS: print_list(attr, out); break;
    }
}

/* On one line, or a line each when there are regions. */
static void print_attrs(printer *p, const gml_node *node, int depth)
{
    bool has_region = false;
    for (uint32_t i = 0; i < node->n_attrs; i++)
        has_region = has_region || node->attrs[i].kind == GML_ATTR_GRAPH;
    if (node->n_attrs == 0)
        return;
    gml_str_puts(p->out, " {");
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        gml_str_puts(p->out, i == 0 ? "" : (has_region ? "," : ", "));
        if (has_region) {
            gml_str_putc(p->out, '\n');
            indent(p, depth + 1);
        }
        print_attr(p, node, &node->attrs[i], depth + 1);
    }
    if (has_region) {
        gml_str_putc(p->out, '\n');
        indent(p, depth);
    }
    gml_str_putc(p->out, '}');
}

/* ---- Nodes and graphs ------------------------------------------------------------------- */

static void print_operator(const gml_op_info *op, gml_str *out)
{
    if (op->domain != NULL && op->domain[0] != '\0' && strcmp(op->domain, "ai.onnx") != 0)
        gml_str_printf(out, "%s.", op->domain);
    gml_str_puts(out, op->name);
}

/* Sizes that follow from nothing else in the text: of a result without operands. */
static void print_sizes(printer *p, const gml_node *node, const gml_value *result)
{
    const gml_type *type = &result->type;
    if (node->n_operands != 0 || result->elements == NULL || result->constant != NULL ||
        type->rank > 1 || !gml_type_is_static(type))
        return;
    int64_t count = type->rank == 0 ? 1 : type->dims[0];
    gml_str_puts(p->out, " = {");
    for (int64_t i = 0; i < count; i++) {
        gml_str_puts(p->out, i == 0 ? "" : ", ");
        gml_dim_print(&p->module->dims, result->elements[i], p->out);
    }
    gml_str_putc(p->out, '}');
}

static void print_node(printer *p, const gml_node *node, int depth)
{
    indent(p, depth);
    /* The labels of results come first in the text, but a region before them in the order of
     * names: the parser defines results after the whole node. So the node is printed behind
     * them. */
    gml_str after;
    gml_str *line = p->out;
    gml_str_init(&after);
    p->out = &after;
    print_operator(node->op, p->out);
    for (uint32_t i = 0; i < node->n_operands; i++) {
        gml_str_puts(p->out, i == 0 ? "(" : ", ");
        print_use(p, node->operands[i]);
    }
    if (node->n_operands > 0)
        gml_str_putc(p->out, ')');
    print_attrs(p, node, depth);
    for (uint32_t i = 0; i < node->n_results; i++) {
        gml_str_puts(p->out, i == 0 ? " : " : ", ");
        gml_type_print(&p->module->dims, &node->results[i].type, p->out);
        print_sizes(p, node, &node->results[i]);
    }
    p->out = line;
    for (uint32_t i = 0; i < node->n_results; i++) {
        gml_str_puts(p->out, i == 0 ? "" : ", ");
        print_definition(p, &node->results[i]);
    }
    gml_str_puts(p->out, node->n_results > 0 ? " = " : "");
    gml_str_append(p->out, after.text, after.len);
    gml_str_putc(p->out, '\n');
    gml_str_reset(&after);
}

static void print_return(printer *p, const gml_graph *graph, int depth)
{
    indent(p, depth);
    gml_str_puts(p->out, "return");
    for (uint32_t i = 0; i < graph->n_results; i++) {
        const gml_value *value = graph->results[i];
        const char *name = graph->result_names[i];
        gml_str_puts(p->out, i == 0 ? " " : ", ");
        print_use(p, value);
        if (name == NULL || (value->name != NULL && strcmp(value->name, name) == 0))
            continue;
        gml_str_puts(p->out, " as ");
        print_plain_or_quoted(name, p->out);
    }
    gml_str_putc(p->out, '\n');
}

/* What nodes that are gone needed of sizes. */
static void print_requirements(printer *p, const gml_graph *graph, int depth)
{
    for (size_t i = 0; i < graph->assumptions.count; i++) {
        const gml_assumption *assumption = &graph->assumptions.items[i];
        indent(p, depth);
        gml_str_printf(p->out, "require %s(", gml_relation_name(assumption->relation));
        gml_dim_print(&p->module->dims, assumption->a, p->out);
        gml_str_puts(p->out, ", ");
        gml_dim_print(&p->module->dims, assumption->b, p->out);
        gml_str_puts(p->out, ")\n");
    }
}

/* Prints from "graph" to the closing brace. */
static void print_graph(printer *p, const gml_graph *graph, int depth)
{
    gml_str_puts(p->out, "graph ");
    if (graph->name != NULL) {
        gml_str_putc(p->out, '@');
        print_plain_or_quoted(graph->name, p->out);
    }
    gml_str_putc(p->out, '(');
    for (uint32_t i = 0; i < graph->n_params; i++) {
        gml_str_puts(p->out, i == 0 ? "" : ", ");
        print_definition(p, graph->params[i]);
        gml_str_puts(p->out, ": ");
        gml_type_print(&p->module->dims, &graph->params[i]->type, p->out);
    }
    gml_str_puts(p->out, ") {\n");
    print_requirements(p, graph, depth + 1);
    gml_for_each_node(node, graph)
        print_node(p, node, depth + 1);
    print_return(p, graph, depth + 1);
    indent(p, depth);
    gml_str_putc(p->out, '}');
    for (uint32_t i = 0; i < graph->n_params; i++)
        forget(p, graph->params[i]);
    gml_for_each_node(node, graph) {
        for (uint32_t i = 0; i < node->n_results; i++)
            forget(p, &node->results[i]);
    }
}

void gml_graph_print(const gml_graph *graph, gml_str *out)
{
    printer p = {.module = graph->module, .out = out};
    gml_arena_init(&p.scratch);
    gml_map_init(&p.names, &p.scratch);
    p.labels = gml_new_array(&p.scratch, const char *, graph->module->n_values);
    void *locale = gml_numeric_locale_enter();
    print_graph(&p, graph, 0);
    gml_str_putc(out, '\n');
    gml_numeric_locale_leave(locale);
    gml_arena_reset(&p.scratch);
}
