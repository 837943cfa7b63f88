/* runtime/abi.h - how a program calls a generated kernel.
 *
 * A kernel is a list of phases, run one after the other. A phase has `extent` units of work
 * which may run in any order and on any threads; units of one phase never write what another
 * reads. So results do not depend on the number of threads.
 *
 * This header is all that generated code and the runtime have in common; it must stay plain C.
 */
#ifndef GML_RUNTIME_ABI_H
#define GML_RUNTIME_ABI_H

#include <stdint.h>

/* A phase on the CPU. Runs units begin..end-1 of a phase.
 *   mems     inputs, then outputs, then shared temporaries of the kernel
 *   dims     the values of the program's sizes, by their number in its table
 *   scratch  this thread's own memory, aligned to 64; contents undefined at the start */
typedef void (*gml_phase_fn)(void *const *mems, const int64_t *dims, int64_t begin, int64_t end,
                             void *scratch);

/* On a GPU, and in its emulator, a phase is a function of a pointer for each of `mems`, in that
 * order, then the pointer to `dims`, then `int64_t units`, the phase's extent. It runs in
 *     min(ceil(units / per_block), max_blocks)
 * blocks; each takes `per_block` units, then strides on by all blocks' units. Every memory is
 * aligned to 64 bytes. Behind all that come, by value, `n_maps` tensor maps of GML_MAP_BYTES
 * (base/tensor_map.h), which tell bulk copies how some of the memories are to be read.
 *
 * Where a kernel runs in parts (runtime/program.h), the function has a pointer to a gml_record
 * for each part, one to the number (uint32_t) of each block's part, and a number that it does
 * not read. A part has ceil(units / per_block) blocks, which stride over its units. */
typedef struct gml_launch {
    uint32_t threads;    /* of a block, a multiple of 32; 0: the phase is a CPU's */
    uint32_t shared;     /* bytes of shared memory, given at the launch */
    uint32_t max_blocks; /* 0: no limit but the device's */
    uint32_t n_maps;
    int64_t per_block;
} gml_launch;

/* What a block finds of its part. Pointers are the device's, as many bits as an int64_t. */
typedef struct gml_record {
    int64_t first_block, n_blocks;
    int64_t dims;
    int64_t mems[]; /* inputs, then outputs */
} gml_record;

/* The emulator's form of such a function: one thread of one block, from start to end. `params`
 * point to the parameters, as in cuLaunchKernel. */
typedef void (*gml_lane_fn)(void *const *params);

/* Raised whenever the layout above or of a serialised program changes; artifacts carry it. */
#define GML_ABI_VERSION 5

#endif
