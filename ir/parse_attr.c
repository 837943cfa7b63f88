/* ir/parse_attr.c - attributes of textual IR: numbers, strings, tensors, types, regions, lists.
 *
 * What an attribute is follows from how it is written; the operator's table is asked only where
 * that leaves a choice: an integer written for a float, an empty list, bare elements for a
 * tensor.
 */
#include "base/quote.h"
#include "ir/element.h"
#include "ir/op.h"
#include "ir/parser.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static gml_arena *arena_of(const gml_parser *p)
{
    return &p->module->arena;
}

static const gml_attr_spec *find_spec(const gml_op_info *op, const char *name)
{
    const gml_attr_spec *spec = op->attrs;
    while (spec != NULL && spec->name != NULL && strcmp(spec->name, name) != 0)
        spec++;
    return spec != NULL && spec->name != NULL ? spec : NULL;
}

/* ---- Numbers and strings ---------------------------------------------------------------- */

static bool at_number(const gml_parser *p)
{
    const char *at = p->at + (*p->at == '-');
    return (*at >= '0' && *at <= '9') || *at == '.' || strncmp(at, "inf", 3) == 0 ||
           strncmp(at, "nan", 3) == 0;
}

/* True when the number at hand can only be a float. */
static bool at_float(const gml_parser *p)
{
    const char *at = p->at;
    while (*at == '-' || (*at >= '0' && *at <= '9'))
        at++;
    return *at != '\0' && strchr(".eEin", *at) != NULL;
}

static gml_status parse_element(gml_parser *p, gml_dtype dtype, void *out)
{
    gml_parser_skip(p);
    gml_loc loc = gml_parser_loc(p);
    const char *problem = gml_element_parse(arena_of(p), dtype, &p->at, out);
    if (problem != NULL)
        return gml_fail(p->diags, GML_E_INVALID, loc, "%s", problem);
    return GML_OK;
}

static gml_status parse_number(gml_parser *p, const gml_attr_spec *spec, gml_attr *out)
{
    bool is_float = at_float(p) || (spec != NULL && spec->kind == GML_ATTR_FLOAT);
    out->kind = is_float ? GML_ATTR_FLOAT : GML_ATTR_INT;
    return is_float ? parse_element(p, GML_F32, &out->as.f)
                    : parse_element(p, GML_I64, &out->as.i);
}

/* ---- Tensors ---------------------------------------------------------------------------- */

/* The elements of a tensor of type `type` up to `close`, after its opening bracket. */
static gml_status parse_elements(gml_parser *p, const gml_type *type, const char *close,
                                 const gml_tensor **out_tensor)
{
    gml_loc loc = gml_parser_loc(p);
    if (!gml_type_is_static(type))
        return gml_fail(p->diags, GML_E_INVALID, loc,
                        "the type of a tensor's elements must be known in full");
    GML_TRY(gml_type_check(type, p->diags, loc));
    gml_tensor *tensor = gml_new(arena_of(p), gml_tensor);
    tensor->dtype = type->dtype;
    tensor->rank = type->rank;
    for (int i = 0; i < type->rank; i++)
        tensor->dims[i] = type->dims[i];
    size_t count = (size_t)gml_tensor_numel(tensor);
    gml_parser_skip(p);
    if (strncmp(p->at, "...", 3) == 0)
        return gml_fail(
            p->diags, GML_E_INVALID, loc,
            "the %zu elements of this tensor were not printed, so that the text cannot "
            "be read back",
            count);
    /* Every element takes a byte of text at least, which bounds what is allocated. */
    if (count > strlen(p->at))
        return gml_fail(p->diags, GML_E_INVALID, loc, "a tensor of %zu elements has fewer",
                        count);
    size_t size = gml_dtype_size(type->dtype);
    char *data = gml_arena_array(arena_of(p), count, size);
    tensor->data = data;
    for (size_t i = 0; i < count; i++) {
        bool ends = gml_parser_accept(p, close);
        if (ends || (i != 0 && !gml_parser_accept(p, ",")))
            return ends ? gml_fail(p->diags, GML_E_INVALID, loc,
                                   "%zu elements where the type has %zu", i, count)
                        : gml_parser_expected(p, "','");
        GML_TRY(parse_element(p, type->dtype, data + i * size));
    }
    if (gml_parser_accept(p, ","))
        return gml_fail(p->diags, GML_E_INVALID, loc, "more elements than the %zu of the type",
                        count);
    GML_TRY(gml_parser_expect(p, close));
    *out_tensor = tensor;
    return GML_OK;
}

static gml_status parse_tensor(gml_parser *p, const gml_tensor **out_tensor)
{
    gml_type type;
    GML_TRY(gml_parse_type(p, &type));
    GML_TRY(gml_parser_expect(p, "{"));
    return parse_elements(p, &type, "}", out_tensor);
}

static gml_status parse_type_or_tensor(gml_parser *p, gml_attr *out)
{
    gml_type type;
    GML_TRY(gml_parse_type(p, &type));
    if (gml_parser_accept(p, "{")) {
        out->kind = GML_ATTR_TENSOR;
        out->count = 1;
        return parse_elements(p, &type, "}", &out->as.t);
    }
    out->kind = GML_ATTR_TYPE;
    out->as.type = gml_arena_copy(arena_of(p), &type, sizeof(type));
    return GML_OK;
}

gml_status gml_parse_bare_tensor(gml_parser *p, gml_node *node, const gml_bare_tensor *bare,
                                 const gml_type *type)
{
    const char *after = p->at;
    gml_attr attr = {.name = bare->name, .kind = GML_ATTR_TENSOR, .count = 1};
    p->at = bare->at + 1;
    if (type == NULL)
        return gml_fail(
            p->diags, GML_E_INVALID, gml_parser_loc(p),
            "bare elements take their type from the node's: write ': type' after it");
    GML_TRY(parse_elements(p, type, "]", &attr.as.t));
    gml_node_set_attr(node, &attr);
    p->at = after;
    return GML_OK;
}

/* Steps over a bracketed list of elements without reading them. */
static gml_status skip_list(gml_parser *p)
{
    gml_string ignored;
    p->at++;
    for (;;) {
        gml_parser_skip(p);
        if (gml_parser_accept(p, "]"))
            return GML_OK;
        bool is_quote = *p->at == '"';
        if (*p->at == '\0' || (is_quote && !gml_quote_parse(arena_of(p), &p->at, &ignored)))
            return gml_parser_expected(p, "']'");
        if (!is_quote)
            p->at++;
    }
}

/* ---- Lists ------------------------------------------------------------------------------ */

static gml_attr_kind kind_of_list(gml_parser *p, const gml_attr_spec *spec)
{
    gml_parser_skip(p);
    bool of_floats = spec != NULL && spec->kind == GML_ATTR_FLOATS;
    if (*p->at == '"')
        return GML_ATTR_STRINGS;
    if (at_number(p)) {
        /* The first element decides, unless the table knows better: [1, 2.5] is of floats. */
        return of_floats || at_float(p) ? GML_ATTR_FLOATS : GML_ATTR_INTS;
    }
    if (*p->at != ']')
        return GML_ATTR_TENSORS;
    bool of_list = spec != NULL && spec->kind >= GML_ATTR_INTS;
    return of_list ? spec->kind : GML_ATTR_INTS;
}

static size_t size_of_item(gml_attr_kind kind)
{
    if (kind == GML_ATTR_STRINGS)
        return sizeof(gml_string);
    if (kind == GML_ATTR_TENSORS)
        return sizeof(const gml_tensor *);
    return kind == GML_ATTR_FLOATS ? sizeof(float) : sizeof(int64_t);
}

static gml_status parse_item(gml_parser *p, gml_attr_kind kind, void *out_item)
{
    if (kind == GML_ATTR_TENSORS)
        return parse_tensor(p, out_item);
    if (kind == GML_ATTR_STRINGS)
        return parse_element(p, GML_STRING, out_item);
    return parse_element(p, kind == GML_ATTR_FLOATS ? GML_F32 : GML_I64, out_item);
}

static gml_status parse_list(gml_parser *p, const gml_attr_spec *spec, gml_attr *out)
{
    GML_TRY(gml_parser_expect(p, "["));
    out->kind = kind_of_list(p, spec);
    size_t size = size_of_item(out->kind);
    size_t capacity = 0;
    void *items = NULL;
    while (!gml_parser_accept(p, "]")) {
        union {
            int64_t i;
            float f;
            gml_string s;
            const gml_tensor *t;
        } item;
        if (out->count != 0)
            GML_TRY(gml_parser_expect(p, ","));
        GML_TRY(parse_item(p, out->kind, &item));
        gml_arena_grow(arena_of(p), &items, out->count, &capacity, size);
        memcpy((char *)items + out->count++ * size, &item, size);
    }
    out->as.ints = items; /* the members of the union are pointers to const, all alike */
    return GML_OK;
}

/* ---- Attributes ------------------------------------------------------------------------- */

static gml_status parse_value(gml_parser *p, gml_node *node, const gml_attr_spec *spec,
                              gml_attr *out)
{
    gml_parser_skip(p);
    if (*p->at == '"') {
        out->kind = GML_ATTR_STRING;
        return parse_element(p, GML_STRING, &out->as.s);
    }
    if (*p->at == '[')
        return parse_list(p, spec, out);
    if (at_number(p))
        return parse_number(p, spec, out);
    if (strncmp(p->at, "graph", 5) != 0)
        return parse_type_or_tensor(p, out);
    out->kind = GML_ATTR_GRAPH;
    return gml_parse_graph(p, node, &out->as.graph);
}

static gml_status parse_attr(gml_parser *p, gml_node *node, gml_bare_tensors *bare)
{
    const char *name;
    GML_TRY(gml_parse_name(p, &name));
    gml_loc loc = node->loc;
    loc.line = gml_parser_loc(p).line;
    GML_TRY(gml_parser_expect(p, "="));
    const gml_attr_spec *spec = find_spec(node->op, name);
    bool is_repeated = gml_node_find_attr(node, name) != NULL;
    for (size_t i = 0; i < bare->count; i++)
        is_repeated = is_repeated || strcmp(bare->items[i].name, name) == 0;
    if (spec == NULL)
        p->status = gml_fail(p->diags, GML_E_INVALID, loc, "there is no attribute '%s'", name);
    else if (is_repeated)
        p->status =
            gml_fail(p->diags, GML_E_INVALID, loc, "attribute '%s' is given twice", name);
    gml_parser_skip(p);
    if (*p->at == '[' && spec != NULL && spec->kind == GML_ATTR_TENSOR) {
        gml_bare_tensor tensor = {name, p->at};
        gml_push(arena_of(p), bare, tensor);
        return skip_list(p);
    }
    gml_attr attr = {.name = name};
    GML_TRY(parse_value(p, node, spec, &attr));
    if (spec != NULL && !is_repeated)
        gml_node_set_attr(node, &attr);
    return GML_OK;
}

gml_status gml_parse_attrs(gml_parser *p, gml_node *node, gml_bare_tensors *out_bare)
{
    GML_TRY(gml_parser_expect(p, "{"));
    for (bool first = true; !gml_parser_accept(p, "}"); first = false) {
        if (!first)
            GML_TRY(gml_parser_expect(p, ","));
        GML_TRY(parse_attr(p, node, out_bare));
    }
    return GML_OK;
}
