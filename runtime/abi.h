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

/* Runs units begin..end-1 of a phase.
 *   mems     inputs, then outputs, then shared temporaries of the kernel
 *   dims     the values of the program's sizes, by their number in its table
 *   scratch  this thread's own memory, aligned to 64; contents undefined at the start */
typedef void (*gml_phase_fn)(void *const *mems, const int64_t *dims, int64_t begin, int64_t end,
                             void *scratch);

/* Raised whenever the layout above or of a serialised program changes; artifacts carry it. */
#define GML_ABI_VERSION 4

#endif
