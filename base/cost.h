/* base/cost.h - what a phase of a kernel on a GPU moves and does, whatever time that takes.
 *
 * Counted is what the generated code has to do: each element of device memory that a phase
 * reads, and each that it writes, once; that a block reads it again, or another block does, is
 * left to the caches. An array that a unit keeps in device memory, for want of shared memory,
 * is counted once for each statement or product that goes over it. */
#ifndef GML_BASE_COST_H
#define GML_BASE_COST_H

#include "base/dim.h"

typedef enum gml_access_kind {
    GML_ACCESS_VALUE,   /* an input or output of the kernel */
    GML_ACCESS_BETWEEN, /* what one phase leaves for another, parts of sums above all */
    GML_ACCESS_OPERAND, /* the same: an operand that is written as bf16 for a product */
    GML_ACCESS_ROOM,    /* a unit's own arrays, in device memory */
} gml_access_kind;

/* All that a phase reads, or writes, of one memory. */
typedef struct gml_access {
    gml_access_kind kind;
    bool is_store;
    uint32_t mem; /* its number: inputs, outputs, then temporaries */
    gml_dim bytes;
} gml_access;

typedef struct gml_cost {
    const gml_access *accesses;
    uint32_t n_accesses;
    gml_dim mma;   /* additions and multiplications on tensor cores */
    gml_dim flops; /* all others, on the units for floats */
    bool is_copy;  /* it stores what it loads, in another type at most */
} gml_cost;

#endif
