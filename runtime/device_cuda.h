/* runtime/device_cuda.h - NVIDIA's driver and a device of it, for the files that use them.
 * Private to runtime/. */
#ifndef GML_RUNTIME_DEVICE_CUDA_H
#define GML_RUNTIME_DEVICE_CUDA_H

#include "runtime/device_table.h"

typedef unsigned long long gml_cu_address;

typedef struct gml_cu_driver {
#define X(name, symbol, params) int(*name) params;
#include "runtime/cuda.def"
#undef X
    int version; /* 12040 */
    /* cuTensorMapEncodeTiled, of 12.0 and later; NULL: it has none */
    int (*map_encode)(void *map, int dtype, unsigned rank, void *memory,
                      const uint64_t *extents, const uint64_t *strides, const unsigned *box,
                      const unsigned *steps, int interleave, int swizzle, int promotion,
                      int fill);
} gml_cu_driver;

/* Filled in when a device is first opened. */
extern gml_cu_driver gml_cu;

typedef struct gml_cuda {
    gml_device device;
    int handle;
    void *context;
    void *stream;
    void *start, *stop; /* events of the clock */
    char name[128];
} gml_cuda;

static inline gml_cuda *gml_cuda_of(gml_device *device)
{
    return (gml_cuda *)(void *)device; /* it is the first member */
}

/* What the driver answered, while it was `what`: "launching a kernel". */
gml_status gml_cu_check(int result, const char *what, gml_diags *diags);
/* Makes the device's context the thread's. */
gml_status gml_cuda_enter(gml_device *device, gml_diags *diags);
/* The driver reads the parameters, and its prototypes do not say so. */
void **gml_cu_unconst(void *const *params);

/* ---- device_cuda_map.c: as the table's function ---------------------------------------------
 */

gml_status gml_cuda_encode(gml_device *device, const gml_map_layout *layout, const void *memory,
                           void *out_map, gml_diags *diags);

/* ---- device_cuda_graph.c: as the table's functions ------------------------------------------
 */

gml_status gml_cuda_graph_make(gml_device *device, const gml_device_call *calls, size_t n,
                               void **out_handle, gml_diags *diags);
gml_status gml_cuda_graph_issue(gml_device *device, void *handle, gml_diags *diags);
void gml_cuda_graph_free(gml_device *device, void *handle);

#endif
