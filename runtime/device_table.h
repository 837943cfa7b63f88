/* runtime/device_table.h - what a kind of device has to do. Private to runtime/.
 *
 * The executor reaches devices through this table alone, so that a compiled model, which opens
 * none, is linked without them.
 */
#ifndef GML_RUNTIME_DEVICE_TABLE_H
#define GML_RUNTIME_DEVICE_TABLE_H

#include "runtime/device.h"

/* A launch that is to be issued later, maybe often. All that it points to lives as long as the
 * graph. */
typedef struct gml_device_call {
    const gml_device_kernel *kernel;
    void *const *params;
    const uint32_t *after; /* calls before this one that it has to wait for, falling, without
                              those that these wait for */
    uint32_t n_after;
    uint32_t blocks;
} gml_device_call;

/* As the functions of runtime/device.h; sizes are not 0. */
typedef struct gml_device_table {
    void (*close)(gml_device *device);
    void *(*allocate)(gml_device *device, size_t bytes);
    void (*free)(gml_device *device, void *memory);
    gml_status (*put)(gml_device *device, void *to, const void *from, size_t bytes,
                      gml_diags *diags);
    gml_status (*get)(gml_device *device, void *to, const void *from, size_t bytes,
                      gml_diags *diags);
    gml_status (*copy)(gml_device *device, void *to, const void *from, size_t bytes,
                       gml_diags *diags);
    gml_status (*load)(gml_device *device, const void *image, size_t size, void **out_module,
                       gml_diags *diags);
    void (*unload)(gml_device *device, void *module);
    /* Fills in what launches of `kernel` need beside its symbol, lane and launch. */
    gml_status (*find)(gml_device *device, void *module, gml_device_kernel *kernel,
                       gml_diags *diags);
    /* NULL: it has no bulk copies. */
    gml_status (*encode)(gml_device *device, const gml_map_layout *layout, const void *memory,
                         void *out_map, gml_diags *diags);
    gml_status (*launch)(gml_device *device, const gml_device_kernel *kernel, uint32_t blocks,
                         void *const *params, gml_diags *diags);
    gml_status (*wait)(gml_device *device, gml_diags *diags);
    gml_status (*clock_start)(gml_device *device, gml_diags *diags);
    gml_status (*clock_stop)(gml_device *device, uint64_t *out_nanoseconds, gml_diags *diags);
    /* NULL: no. */
    bool (*keeps_apart)(const gml_device *device);
    /* All calls as one, in any order and beside each other, if only each is issued when those
     * that it waits for are done. `n` is not 0. */
    gml_status (*graph_make)(gml_device *device, const gml_device_call *calls, size_t n,
                             void **out_handle, gml_diags *diags);
    gml_status (*graph_issue)(gml_device *device, void *handle, gml_diags *diags);
    void (*graph_free)(gml_device *device, void *handle);
} gml_device_table;

/* The first member of a kind's own structure. */
struct gml_device {
    const gml_device_table *table;
    const char *kind;
    const char *name;
    int architecture;
    uint32_t most_blocks; /* of a launch */
    int number;
    int refs; /* atomic */
};

/* Blocks of a launch over `units`, at least 1. */
static inline uint32_t gml_device_blocks(const gml_device *device,
                                         const gml_device_kernel *kernel, int64_t units)
{
    const gml_launch *launch = &kernel->launch;
    uint64_t blocks = ((uint64_t)units - 1) / (uint64_t)launch->per_block + 1;
    uint64_t most = launch->max_blocks != 0 ? launch->max_blocks : device->most_blocks;
    return (uint32_t)(blocks < most ? blocks : most);
}

/* ---- device_emu_graph.c: as the table's functions ------------------------------------------
 */

gml_status gml_emu_graph_make(gml_device *device, const gml_device_call *calls, size_t n,
                              void **out_handle, gml_diags *diags);
gml_status gml_emu_graph_issue(gml_device *device, void *handle, gml_diags *diags);
void gml_emu_graph_free(gml_device *device, void *handle);

/* ---- device_cuda.c, device_emu.c ----------------------------------------------------------
 */

gml_status gml_device_open_cuda(int number, gml_device **out_device, gml_diags *diags);
gml_status gml_device_open_emu(int number, gml_device **out_device, gml_diags *diags);

#endif
