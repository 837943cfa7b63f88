/* passes/cse.c - computes what is equal once.
 *
 * Two nodes are equal when operator, attributes, operands and result types are; the operands of
 * commutative operators may be swapped. Walking forwards, operands have been replaced by the
 * first of their kind already, so that equal expressions of any depth meet. A node in a region
 * may be replaced by one outside, which was computed before; one in a region is of no use
 * outside, so its entry goes when the region ends. Small constants are equal when their
 * elements are; large ones would have to be read, and are when they lie in the same place.
 *
 * Nodes with effects or regions stay, and so do sequences and optionals. */
#include "passes/rule.h"

#include <string.h>

#define GML_MAX_CONSTANT_BYTES 4096

typedef struct entry {
    gml_node *node;
    uint32_t hash;
    uint32_t next; /* in its bucket: place + 1 */
} entry;

typedef struct table {
    gml_pass_cx *cx;
    gml_vec(entry) entries; /* a stack: regions take theirs along */
    uint32_t *buckets;      /* place + 1 of the newest entry */
    uint32_t n_buckets;     /* a power of two */
    gml_value **instead;    /* by value id: what replaces it, or NULL */
    bool changed;
} table;

/* ---- hashes -------------------------------------------------------------------------------
 */

static uint32_t mix(uint32_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 16777619u; /* FNV-1a */
    return hash;
}

static uint32_t hash_constant(uint32_t hash, const gml_tensor *tensor)
{
    size_t count = (size_t)gml_tensor_numel(tensor);
    size_t size = gml_dtype_size(tensor->dtype);
    hash = mix(hash, tensor->dims, (size_t)tensor->rank * sizeof *tensor->dims);
    if (tensor->dtype != GML_STRING && count <= GML_MAX_CONSTANT_BYTES / size)
        hash = mix(hash, tensor->data, count * size);
    return hash;
}

/* Attributes are left to the comparison, but for their number. */
static uint32_t hash_node(const gml_node *node)
{
    uint32_t hash = mix(2166136261u, node->op->name, strlen(node->op->name));
    if (node->n_operands == 0 && node->results[0].constant)
        return hash_constant(hash, node->results[0].constant);
    uint32_t n = node->n_operands;
    uint32_t ids[2] = {0, 0};
    for (uint32_t k = 0; k < n && k < 2; k++)
        ids[k] = node->operands[k] ? node->operands[k]->id + 1 : 0;
    if ((node->op->traits & GML_COMMUTATIVE) && ids[0] > ids[1]) {
        uint32_t first = ids[1];
        ids[1] = ids[0];
        ids[0] = first;
    }
    hash = mix(hash, ids, sizeof ids);
    for (uint32_t k = 2; k < n; k++) {
        uint32_t id = node->operands[k] ? node->operands[k]->id + 1 : 0;
        hash = mix(hash, &id, sizeof id);
    }
    return mix(hash, &node->n_attrs, sizeof node->n_attrs);
}

/* ---- equality -----------------------------------------------------------------------------
 */

static bool same_operands(const gml_node *a, const gml_node *b)
{
    if (a->n_operands != b->n_operands)
        return false;
    if ((a->op->traits & GML_COMMUTATIVE) && a->n_operands == 2 &&
        a->operands[0] == b->operands[1] && a->operands[1] == b->operands[0])
        return true;
    for (uint32_t k = 0; k < a->n_operands; k++)
        if (a->operands[k] != b->operands[k])
            return false;
    return true;
}

static bool same_results(const gml_node *a, const gml_node *b)
{
    if (a->n_results != b->n_results)
        return false;
    for (uint32_t r = 0; r < a->n_results; r++)
        if (!gml_type_equal(&a->results[r].type, &b->results[r].type))
            return false;
    return true;
}

static bool same_node(const gml_node *a, const gml_node *b)
{
    if (a->op != b->op || !same_operands(a, b) || !same_results(a, b))
        return false;
    if (a->n_operands == 0 && a->results[0].constant && b->results[0].constant)
        return gml_constants_equal(a->results[0].constant, b->results[0].constant,
                                   GML_MAX_CONSTANT_BYTES);
    if (a->n_attrs != b->n_attrs)
        return false;
    for (uint32_t i = 0; i < a->n_attrs; i++)
        if (strcmp(a->attrs[i].name, b->attrs[i].name) != 0 ||
            !gml_attr_equal(&a->attrs[i], &b->attrs[i]))
            return false;
    return true;
}

/* A SizeVector is known by its elements alone, which no attribute shows. */
static bool is_candidate(const gml_node *node)
{
    if ((node->op->traits & GML_EFFECT) || node->n_results == 0 ||
        (node->n_operands == 0 && !node->results[0].constant))
        return false;
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].kind == GML_ATTR_GRAPH)
            return false;
    for (uint32_t r = 0; r < node->n_results; r++)
        if (node->results[r].type.kind != GML_TYPE_TENSOR || node->results[r].type.rank < 0)
            return false;
    return true;
}

/* ---- the walk -----------------------------------------------------------------------------
 */

static gml_node *find(const table *t, const gml_node *node, uint32_t hash)
{
    for (uint32_t at = t->buckets[hash & (t->n_buckets - 1)]; at;) {
        const entry *e = &t->entries.items[at - 1];
        if (e->hash == hash && same_node(e->node, node))
            return e->node;
        at = e->next;
    }
    return NULL;
}

static void insert(table *t, gml_node *node, uint32_t hash)
{
    uint32_t *bucket = &t->buckets[hash & (t->n_buckets - 1)];
    gml_push(t->cx->scratch, &t->entries, ((entry){node, hash, *bucket}));
    *bucket = (uint32_t)t->entries.count;
}

static void forget(table *t, size_t count)
{
    while (t->entries.count > count) {
        const entry *e = &t->entries.items[--t->entries.count];
        t->buckets[e->hash & (t->n_buckets - 1)] = e->next;
    }
}

/* Operands that were replaced, seen when their user is reached: users come later. */
static void update(const table *t, gml_node *node)
{
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k] && t->instead[node->operands[k]->id])
            node->operands[k] = t->instead[node->operands[k]->id];
}

/* Results of graphs keep their names. */
static void update_results(const table *t, gml_graph *graph)
{
    for (uint32_t i = 0; i < graph->n_results; i++) {
        gml_value *old = graph->results[i];
        gml_value *value = t->instead[old->id];
        if (!value)
            continue;
        graph->results[i] = value;
        if (!graph->result_names[i])
            graph->result_names[i] = old->name;
    }
}

static void replace(table *t, gml_node *node, gml_node *first)
{
    for (uint32_t r = 0; r < node->n_results; r++) {
        gml_value *value = &first->results[r];
        t->instead[node->results[r].id] = value;
        if (value->name && !*value->name)
            value->name = node->results[r].name; /* nobody wanted it until now */
    }
    if (t->cx->explain && node->n_operands)
        gml_str_printf(t->cx->explain, "cse: %s (%s) is %s\n",
                       node->loc.node ? node->loc.node : "?", node->op->name,
                       first->loc.node ? first->loc.node : "?");
    gml_node_retire(node);
    t->changed = true;
}

static void merge_node(table *t, gml_node *node)
{
    uint32_t hash = hash_node(node);
    gml_node *first = find(t, node, hash);
    if (first)
        replace(t, node, first);
    else
        insert(t, node, hash);
}

/* What is fused stays as it is, but for what it reads of outside. */
static void merge_graph(table *t, gml_graph *graph, bool fused)
{
    size_t outside = t->entries.count;
    gml_for_each_node(node, graph) {
        update(t, node);
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                merge_graph(t, node->attrs[i].as.graph,
                            fused || (node->op->traits & GML_INLINES));
        if (!fused && is_candidate(node))
            merge_node(t, node);
    }
    update_results(t, graph);
    forget(t, outside);
}

gml_status gml_pass_cse(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    table t = {.cx = cx, .n_buckets = 16};
    while (t.n_buckets < cx->module->n_values && t.n_buckets < 1u << 30)
        t.n_buckets *= 2;
    t.buckets = gml_new_array(cx->scratch, uint32_t, t.n_buckets);
    t.instead = gml_new_array(cx->scratch, gml_value *, cx->module->n_values + 1);
    merge_graph(&t, graph, false);
    *out_changed = *out_changed || t.changed;
    return GML_OK;
}
