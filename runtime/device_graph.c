/* runtime/device_graph.c - launches that are issued together, again and again. */
#include "runtime/device_table.h"
#include "runtime/value.h"

#include <string.h>

/* A launch, before all are known: its parameters are in `values` from `first` on. */
typedef struct entry {
    gml_device_call call;
    size_t first, n_params;
} entry;

struct gml_device_graph {
    gml_buffer *memory; /* this */
    gml_device *device; /* retained */
    gml_arena arena;
    gml_vec(entry) entries;
    gml_vec(int64_t) values;
    gml_vec(gml_range) ranges; /* that launches to be added touch */
    gml_depends depends;       /* until it is finished */
    void *handle;              /* the device's own; NULL: there are no launches */
};

gml_status gml_device_graph_create(gml_device *device, gml_device_graph **out_graph,
                                   gml_diags *diags)
{
    gml_buffer *memory = gml_buffer_create(sizeof(gml_device_graph), true);
    *out_graph = NULL;
    if (memory == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for a graph of launches");
    gml_device_graph *graph = gml_buffer_data(memory);
    graph->memory = memory;
    gml_arena_init(&graph->arena);
    gml_depends_init(&graph->depends);
    gml_device_graph_touch(graph, GML_EVERYWHERE);
    graph->device = gml_device_retain(device);
    *out_graph = graph;
    return GML_OK;
}

/* Parameter `i` is one word, or a map. */
static size_t words_of(const entry *e, size_t i)
{
    bool is_map = i + e->call.kernel->launch.n_maps >= e->n_params;
    return is_map ? GML_MAP_BYTES / sizeof(int64_t) : 1;
}

static void add_words(gml_device_graph *graph, const void *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t value = 0;
        memcpy(&value, (const char *)words + i * sizeof value, sizeof value);
        gml_push(&graph->arena, &graph->values, value);
    }
}

void gml_device_graph_touch_none(gml_device_graph *graph)
{
    graph->ranges.count = 0;
}

void gml_device_graph_touch(gml_device_graph *graph, gml_range range)
{
    gml_push(&graph->arena, &graph->ranges, range);
}

gml_status gml_device_graph_add(gml_device_graph *graph, const gml_device_kernel *kernel,
                                int64_t units, void *const *params, size_t n_params,
                                gml_diags *diags)
{
    (void)diags;
    if (units <= 0)
        return GML_OK;
    entry one = {
        .call = {.kernel = kernel, .blocks = gml_device_blocks(graph->device, kernel, units)},
        .first = graph->values.count,
        .n_params = n_params};
    const uint32_t *after = gml_depends_add(&graph->depends, graph->ranges.items,
                                            graph->ranges.count, &one.call.n_after);
    one.call.after =
        gml_arena_copy(&graph->arena, after, one.call.n_after * sizeof *one.call.after);
    for (size_t i = 0; i < n_params; i++)
        add_words(graph, params[i], words_of(&one, i));
    gml_push(&graph->arena, &graph->entries, one);
    return GML_OK;
}

gml_status gml_device_graph_finish(gml_device_graph *graph, gml_diags *diags)
{
    const gml_device_table *table = graph->device->table;
    size_t n = graph->entries.count;
    void **params = gml_new_array(&graph->arena, void *, graph->values.count + 1);
    gml_device_call *calls = gml_new_array(&graph->arena, gml_device_call, n + 1);
    for (size_t i = 0; i < n; i++) {
        const entry *e = &graph->entries.items[i];
        int64_t *value = &graph->values.items[e->first];
        calls[i] = e->call;
        calls[i].params = params;
        for (size_t k = 0; k < e->n_params; k++) {
            *params++ = value;
            value += words_of(e, k);
        }
    }
    gml_depends_reset(&graph->depends);
    return n > 0 ? table->graph_make(graph->device, calls, n, &graph->handle, diags) : GML_OK;
}

gml_status gml_device_graph_issue(gml_device_graph *graph, gml_diags *diags)
{
    gml_device *device = graph->device;
    return graph->handle != NULL ? device->table->graph_issue(device, graph->handle, diags)
                                 : GML_OK;
}

void gml_device_graph_destroy(gml_device_graph *graph)
{
    if (graph == NULL)
        return;
    if (graph->handle != NULL)
        graph->device->table->graph_free(graph->device, graph->handle);
    gml_device_release(graph->device);
    gml_depends_reset(&graph->depends);
    gml_arena_reset(&graph->arena);
    gml_buffer_release(graph->memory);
}
