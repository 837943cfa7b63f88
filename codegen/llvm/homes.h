/* codegen/llvm/homes.h - where the locals of a kernel live. Private to codegen/llvm.
 *
 * Locals that one phase stores and another loads are shared temporaries; others are the unit's
 * own: those of rank 0 on the stack (where LLVM makes registers of them), arrays in its
 * scratch, each phase's from the start. A list of phases is noted statement by statement, then
 * settled once. */
#ifndef GML_CODEGEN_LLVM_HOMES_H
#define GML_CODEGEN_LLVM_HOMES_H

#include "ir/loop.h"

typedef struct gml_home {
    unsigned stored_in; /* phase + 1 */
    bool shared;
    bool inside;        /* some phase loads what it has stored itself */
    bool is_operand;    /* a product's, written for it as bf16 */
    unsigned temporary; /* number among the temporaries */
    gml_dim offset;     /* in scratch */
} gml_home;

typedef struct gml_homes {
    gml_kernel *kernel;
    gml_home *of; /* by local */
    gml_dim *temporaries;
    unsigned n_temporaries;
    gml_dim scratch;
    uint64_t read; /* inputs that some phase reads */
    bool ahead;    /* what is noted packs a constant, and reads no input of a phase */
} gml_homes;

void gml_homes_init(gml_homes *homes, gml_kernel *kernel);
/* What `expr`, and the statements of a list (or its first alone), load and store in phase
 * number `phase`, from 1 on. */
void gml_homes_note_load(gml_homes *homes, const gml_expr *expr, unsigned phase);
void gml_homes_note(gml_homes *homes, const gml_stmt *list, unsigned phase, bool only_first);
void gml_homes_share(gml_homes *homes, const gml_mem *mem); /* whatever else; accepts NULL */
void gml_homes_settle(gml_homes *homes);

/* Bytes of a memory in whole lines of 64, and a line of room. */
gml_dim gml_mem_bytes(gml_kernel *kernel, const gml_mem *mem);

#endif
