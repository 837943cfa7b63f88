/* runtime/device_cuda_graph.c - calls that the driver has all at once: a CUDA graph. */
#include "runtime/device_cuda.h"

/* CUDA_KERNEL_NODE_PARAMS_v1 of cuda.h. */
typedef struct node_params {
    void *function;
    unsigned grid[3], block[3];
    unsigned shared;
    void **params;
    void **extra;
} node_params;

/* One node a call, behind those that it waits for. */
static gml_status add_nodes(void *graph, const gml_device_call *calls, size_t n,
                            gml_arena *arena, gml_diags *diags)
{
    void **nodes = gml_new_array(arena, void *, n);
    void **after = gml_new_array(arena, void *, n);
    for (size_t i = 0; i < n; i++) {
        const gml_device_call *call = &calls[i];
        const gml_launch *l = &call->kernel->launch;
        node_params params = {.function = call->kernel->function,
                              .grid = {call->blocks, 1, 1},
                              .block = {l->threads, 1, 1},
                              .shared = l->shared,
                              .params = gml_cu_unconst(call->params)};
        for (uint32_t k = 0; k < call->n_after; k++)
            after[k] = nodes[call->after[k]];
        GML_TRY(gml_cu_check(
            gml_cu.graph_add_kernel(&nodes[i], graph, after, call->n_after, &params),
            "adding a kernel to a graph", diags));
    }
    return GML_OK;
}

gml_status gml_cuda_graph_make(gml_device *device, const gml_device_call *calls, size_t n,
                               void **out_handle, gml_diags *diags)
{
    void *graph = NULL;
    gml_arena arena;
    *out_handle = NULL;
    GML_TRY(gml_cuda_enter(device, diags));
    GML_TRY(gml_cu_check(gml_cu.graph_create(&graph, 0), "making a graph", diags));
    gml_arena_init(&arena);
    gml_status status = add_nodes(graph, calls, n, &arena, diags);
    gml_arena_reset(&arena);
    if (status == GML_OK)
        status = gml_cu_check(gml_cu.graph_instantiate(out_handle, graph, 0),
                              "making a graph ready", diags);
    (void)gml_cu.graph_destroy(graph);
    return status;
}

gml_status gml_cuda_graph_issue(gml_device *device, void *handle, gml_diags *diags)
{
    GML_TRY(gml_cuda_enter(device, diags));
    return gml_cu_check(gml_cu.graph_launch(handle, gml_cuda_of(device)->stream),
                        "launching a graph", diags);
}

void gml_cuda_graph_free(gml_device *device, void *handle)
{
    if (gml_cu.context_set(gml_cuda_of(device)->context) == 0)
        (void)gml_cu.graph_free(handle);
}
