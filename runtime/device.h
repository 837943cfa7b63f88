/* runtime/device.h - memory and kernels that are not this processor's: CUDA, and its emulator.
 *
 * A device has memory of its own: its addresses mean nothing here, and values go there and come
 * back by copies. A program compiled for a device (gml_program.device) runs its kernels there;
 * host operators stay here. Everything issued to a device happens in the order of the calls, or
 * as if it did; gml_device_get waits for what was issued before it.
 *
 * "cuda" is the driver (libcuda.so.1), loaded when first asked for through prototypes of our
 * own; the number picks one of several. "emu" runs kernels on the CPU and checks them
 * (runtime/emu.h); its memory is separate all the same, so that a program which mixes up the
 * two kinds of addresses fails there too.
 *
 * Refcounted. Opening a device twice gives the same. Several threads may use it, which then
 * share its order of calls; its clock is one thread's at a time.
 */
#ifndef GML_RUNTIME_DEVICE_H
#define GML_RUNTIME_DEVICE_H

#include "base/diag.h"
#include "base/tensor_map.h"
#include "runtime/abi.h"
#include "runtime/depends.h"

typedef struct gml_device gml_device;
typedef struct gml_device_code gml_device_code; /* a loaded image */

/* GML_E_DEVICE when there is no such device, no driver, or it is too old, and what to do. */
GML_MUST_CHECK gml_status gml_device_open(const char *kind, int number, gml_device **out_device,
                                          gml_diags *diags);
gml_device *gml_device_retain(gml_device *device);
void gml_device_release(gml_device *device); /* accepts NULL */

const char *gml_device_kind_name(const gml_device *device); /* "cuda", "emu" */
/* What it calls itself ("NVIDIA H100 80GB HBM3"), and its architecture: 90. */
const char *gml_device_name(const gml_device *device);
int gml_device_architecture(const gml_device *device);
/* Whether a program is to give each of its values an allocation instead of a place in an arena,
 * which is what GEMEL_EMU=apart asks for. */
bool gml_device_keeps_apart(const gml_device *device);

/* Aligned to 256 bytes; contents undefined. NULL: there is no memory. */
void *gml_device_allocate(gml_device *device, size_t bytes);
void gml_device_free(gml_device *device, void *memory); /* accepts NULL */

/* `get` returns when the bytes are here, `put` when `from` may change. */
GML_MUST_CHECK gml_status gml_device_put(gml_device *device, void *to, const void *from,
                                         size_t bytes, gml_diags *diags);
GML_MUST_CHECK gml_status gml_device_get(gml_device *device, void *to, const void *from,
                                         size_t bytes, gml_diags *diags);
/* From device to device; the ranges do not overlap. */
GML_MUST_CHECK gml_status gml_device_copy(gml_device *device, void *to, const void *from,
                                          size_t bytes, gml_diags *diags);

/* Loads PTX (text, NUL terminated) or a cubin. The emulator has no images: `image` is NULL, and
 * its kernels come as functions. */
GML_MUST_CHECK gml_status gml_device_load(gml_device *device, const void *image, size_t size,
                                          gml_device_code **out_code, gml_diags *diags);
void gml_device_unload(gml_device_code *code); /* accepts NULL */

/* A kernel of loaded code, ready to launch: CUDA finds it by its symbol, the emulator takes
 * `lane`. Valid while the code is. */
typedef struct gml_device_kernel {
    const char *symbol;
    void *function; /* CUDA's handle */
    gml_lane_fn lane;
    gml_launch launch;
} gml_device_kernel;
GML_MUST_CHECK gml_status gml_device_find(gml_device_code *code, const char *symbol,
                                          gml_lane_fn lane, const gml_launch *launch,
                                          gml_device_kernel *out_kernel, gml_diags *diags);

/* A tensor map of `memory`, whose sizes are numbers, in GML_MAP_BYTES at `out_map`: a parameter
 * of launches. */
GML_MUST_CHECK gml_status gml_device_encode(gml_device *device, const gml_map_layout *layout,
                                            const void *memory, void *out_map,
                                            gml_diags *diags);

/* Issues a launch over `units` (runtime/abi.h). `params` are pointers to the parameters, copied
 * before this returns. CUDA reports a kernel's faults at a later call. */
GML_MUST_CHECK gml_status gml_device_launch(gml_device *device, const gml_device_kernel *kernel,
                                            int64_t units, void *const *params,
                                            gml_diags *diags);
/* Launches that are issued together: a whole step of training. First all are added, as
 * gml_device_launch takes them (`n_params` parameters of 8 bytes each, of which the last
 * ones are the launch's maps) and in an order that is
 * right, then it is made ready, then issued as often as wanted. A launch waits for those before
 * it that it has to by the memory they touch (runtime/depends.h), and may run beside others.
 * CUDA has it as a graph, which costs half a microsecond a kernel. Kernels and their code must
 * outlive it.
 *
 *     gml_device_graph_touch_none(graph);
 *     gml_device_graph_touch(graph, (gml_range){...});
 *     status = gml_device_graph_add(graph, ...);
 */
typedef struct gml_device_graph gml_device_graph;
GML_MUST_CHECK gml_status gml_device_graph_create(gml_device *device,
                                                  gml_device_graph **out_graph,
                                                  gml_diags *diags);
/* Launches to be added touch nothing, until they are said to touch a range too: addresses of
 * the device. They touch everything if nothing was said yet. */
void gml_device_graph_touch_none(gml_device_graph *graph);
void gml_device_graph_touch(gml_device_graph *graph, gml_range range);
GML_MUST_CHECK gml_status gml_device_graph_add(gml_device_graph *graph,
                                               const gml_device_kernel *kernel, int64_t units,
                                               void *const *params, size_t n_params,
                                               gml_diags *diags);
GML_MUST_CHECK gml_status gml_device_graph_finish(gml_device_graph *graph, gml_diags *diags);
GML_MUST_CHECK gml_status gml_device_graph_issue(gml_device_graph *graph, gml_diags *diags);
void gml_device_graph_destroy(gml_device_graph *graph); /* accepts NULL */

/* Until all that was issued is done. */
GML_MUST_CHECK gml_status gml_device_wait(gml_device *device, gml_diags *diags);

/* How long the device works on what is issued between the two, by its own clock. `stop` waits
 * for it. */
GML_MUST_CHECK gml_status gml_device_clock_start(gml_device *device, gml_diags *diags);
GML_MUST_CHECK gml_status gml_device_clock_stop(gml_device *device, uint64_t *out_nanoseconds,
                                                gml_diags *diags);

#endif
