/* runtime/emu.h - runs GPU kernels on the CPU, a block at a time, each of its threads a fiber.
 *
 * It proves kernels; it does not imitate a GPU's speed. A kernel is the code that the GPU gets,
 * compiled for this processor, with the named device functions (codegen/llvm/device.h) bound to
 * the gml_emu_* functions below. Every load and store of such code asks gml_emu_access first.
 *
 * What it finds ends the launch with GML_E_DEVICE and one diagnostic that names the kernel, the
 * block, the thread and the site (below):
 *   an access outside of every known allocation and of the block's shared memory; an access
 *   that is not aligned as the kernel claims; a barrier that some threads of a block never
 *   reach, or at which they wait at different sites; a warp's lanes in different collectives;
 *   two threads that touch the same bytes of shared memory between two barriers, one of them
 *   writing (a race, which is found whatever the order in which the threads ran); shared
 *   memory that is used while an asynchronous copy into it has not been waited for; the same of
 *   bulk copies by mbarriers, and memory that is written while wgmma reads it; an mbarrier
 *   that never completes, gets too many arrivals, other bytes than were expected, or is used
 *   before all know of it; wgmma without its fence, of threads that differ, or by a matrix
 *   descriptor that is not modelled. Sums of wgmma are NaN until they were waited for.
 * Shared memory is poisoned before every block. Memory of a device that was never written is
 * poisoned when allocated.
 *
 * A site is what the code generator calls a barrier, a collective or an access: "barrier 3 of
 * FUNCTION".
 *
 * One launch at a time in a process (the emulator takes a lock).
 */
#ifndef GML_RUNTIME_EMU_H
#define GML_RUNTIME_EMU_H

#include "base/diag.h"
#include "base/tensor_map.h"
#include "runtime/abi.h"
#include "runtime/code_support.h"

/* The order in which the warps of a block, and the lanes of a warp, take turns. Correct kernels
 * give the same bits in each. */
typedef enum gml_emu_order { GML_EMU_FORWARD, GML_EMU_REVERSE, GML_EMU_MIXED } gml_emu_order;

typedef struct gml_emu_options {
    gml_emu_order order;
    uint64_t seed;  /* of MIXED */
    bool early;     /* asynchronous copies happen when issued; else not before they are waited
                       for, and their target is poison until then */
    bool unchecked; /* no bounds, alignment or races: some times faster */
    unsigned architecture; /* that code is made for: 90 (sm_90a), which 0 is, too, or 80 */
    bool apart; /* programs give every value an allocation of its own instead of a place in
                   the arena, so that an access past its end is outside of everything */
} gml_emu_options;

/* Of launches to come. Until then the variable GEMEL_EMU says it, a list of forward, reverse,
 * mixed:SEED, early, unchecked, apart, sm_80, sm_90a. */
void gml_emu_set_options(const gml_emu_options *options);
/* Whether that is set; a launch reports what GEMEL_EMU has wrong. */
bool gml_emu_keeps_apart(void);
int gml_emu_architecture(void); /* 80 or 90 */

/* Memory that kernels may touch. Poisoned, aligned to 256 bytes; NULL: there is none. */
void *gml_emu_allocate(size_t bytes);
void gml_emu_free(void *memory); /* accepts NULL */

/* Runs a kernel: `blocks` of `launch->threads` threads. `params` are pointers to its
 * parameters. */
GML_MUST_CHECK gml_status gml_emu_launch(const char *kernel, gml_lane_fn lane,
                                         const gml_launch *launch, uint32_t blocks,
                                         void *const *params, gml_diags *diags);

/* A tensor map (runtime/device.h) of memory there, whose sizes are numbers; NULL, or what is
 * wrong with it. */
const char *gml_emu_encode(const gml_map_layout *layout, const void *memory, void *out_map);

/* By name, what emulated code calls. */
const gml_code_function *gml_emu_functions(size_t *out_count);

#endif
