/* runtime/device_emu_graph.c - calls that the emulator has all at once.
 *
 * A GPU runs those side by side that need not wait for each other. Here one comes after the
 * other, but of those that may be next it is the one that the emulator's order says: forward as
 * they came, reverse always the last, mixed any, another one each time. So a wait that is
 * missing gives other bits, or reads poison. */
#include "runtime/device_table.h"
#include "runtime/emu.h"
#include "runtime/value.h"

#include <string.h>

typedef struct emu_graph {
    gml_buffer *memory; /* this */
    gml_arena arena;
    const gml_device_call *calls;
    size_t n;
    /* calls that wait for call i: waiting[first[i]] up to waiting[first[i + 1] - 1] */
    size_t *first;
    uint32_t *waiting;
    uint32_t *n_open; /* by call: how many it still waits for */
    uint32_t *ready;  /* those that wait for none, rising */
    size_t n_ready;
    uint64_t drawn;
} emu_graph;

static void find_waiting(emu_graph *graph)
{
    size_t total = 0;
    for (size_t i = 0; i < graph->n; i++)
        total += graph->calls[i].n_after;
    graph->first = gml_new_array(&graph->arena, size_t, graph->n + 2);
    graph->waiting = gml_new_array(&graph->arena, uint32_t, total + 1);
    size_t *next = graph->first + 1; /* moves each to where the next one's begin */
    for (size_t i = 0; i < graph->n; i++)
        for (uint32_t k = 0; k < graph->calls[i].n_after; k++)
            next[graph->calls[i].after[k] + 1]++;
    for (size_t i = 0; i < graph->n; i++)
        next[i + 1] += next[i];
    for (size_t i = 0; i < graph->n; i++)
        for (uint32_t k = 0; k < graph->calls[i].n_after; k++)
            graph->waiting[next[graph->calls[i].after[k]]++] = (uint32_t)i;
}

gml_status gml_emu_graph_make(gml_device *device, const gml_device_call *calls, size_t n,
                              void **out_handle, gml_diags *diags)
{
    (void)device;
    gml_buffer *memory = gml_buffer_create(sizeof(emu_graph), true);
    if (memory == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for a graph of launches");
    emu_graph *graph = gml_buffer_data(memory);
    graph->memory = memory;
    gml_arena_init(&graph->arena);
    graph->calls = calls;
    graph->n = n;
    graph->n_open = gml_new_array(&graph->arena, uint32_t, n);
    graph->ready = gml_new_array(&graph->arena, uint32_t, n);
    find_waiting(graph);
    *out_handle = graph;
    return GML_OK;
}

static void make_ready(emu_graph *graph, uint32_t call)
{
    size_t at = graph->n_ready++;
    for (; at > 0 && graph->ready[at - 1] > call; at--)
        graph->ready[at] = graph->ready[at - 1];
    graph->ready[at] = call;
}

static uint32_t take_ready(emu_graph *graph)
{
    size_t at = gml_emu_choose(graph->n_ready, &graph->drawn);
    uint32_t call = graph->ready[at];
    graph->n_ready--;
    memmove(graph->ready + at, graph->ready + at + 1,
            (graph->n_ready - at) * sizeof *graph->ready);
    return call;
}

gml_status gml_emu_graph_issue(gml_device *device, void *handle, gml_diags *diags)
{
    emu_graph *graph = handle;
    graph->n_ready = 0;
    for (uint32_t i = 0; i < graph->n; i++) {
        graph->n_open[i] = graph->calls[i].n_after;
        if (graph->n_open[i] == 0)
            make_ready(graph, i);
    }
    while (graph->n_ready != 0) {
        uint32_t number = take_ready(graph);
        const gml_device_call *call = &graph->calls[number];
        GML_TRY(device->table->launch(device, call->kernel, call->blocks, call->params, diags));
        for (size_t i = graph->first[number]; i < graph->first[number + 1]; i++)
            if (--graph->n_open[graph->waiting[i]] == 0)
                make_ready(graph, graph->waiting[i]);
    }
    return GML_OK;
}

void gml_emu_graph_free(gml_device *device, void *handle)
{
    emu_graph *graph = handle;
    (void)device;
    gml_arena_reset(&graph->arena);
    gml_buffer_release(graph->memory);
}
