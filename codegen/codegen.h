/* codegen/codegen.h - loop IR in, machine code out.
 *
 * A gml_codegen collects the kernels of one program, then gives their code: in this process
 * (gml_codegen_jit) or as a relocatable object (gml_codegen_object). Kernels must have been
 * placed (gml_kernel_place). One gml_codegen, one thread.
 *
 * Generated code calls nothing but libm's scalar functions, on a GPU those of
 * codegen/device_code/, and gemel's conversions of small floats (base/half.h).
 */
#ifndef GML_CODEGEN_CODEGEN_H
#define GML_CODEGEN_CODEGEN_H

#include "base/cost.h"
#include "base/str.h"
#include "base/tensor_map.h"
#include "ir/loop.h"
#include "runtime/abi.h"

typedef struct gml_codegen gml_codegen;

typedef enum gml_gpu {
    GML_GPU_NONE, /* the code is a CPU's */
    GML_GPU_CUDA, /* PTX; `cpu` is an architecture, sm_80 when NULL */
    GML_GPU_EMU,  /* the same kernels for this processor, under the emulator */
} gml_gpu;

/* What the operands of matrix products in f32 may be rounded to; sums are f32. */
typedef enum gml_precision {
    GML_PRECISION_HIGHEST, /* not at all */
    GML_PRECISION_MEDIUM,  /* bf16 */
} gml_precision;

typedef struct gml_target {
    gml_gpu gpu;
    gml_precision precision; /* only a GPU knows another than the highest */
    const char *triple; /* LLVM's name of another kind of machine, for which code can be printed
                           and no more; NULL: this kind */
    const char *cpu;    /* LLVM's name; NULL: the machine this runs on, "generic" of another; of
                           EMU the emulated architecture, sm_90a when NULL */
    const char *features; /* "+avx512f,…"; NULL with cpu NULL: what the machine has */
    const char *prefix; /* of the names of functions, where objects are linked together; NULL */
    bool fast_compile;  /* fewer optimisations, for code that runs once */
    unsigned omit; /* tests: the barrier or wait for copies of this number, from 1 on in the
                      order in which the module's are written, is left out; 0: none is */
} gml_target;

/* What the runtime must know of a kernel's code. Arrays are the codegen's. */
typedef struct gml_code_phase {
    const char *symbol;
    gml_dim extent;
    gml_launch launch;          /* on a GPU */
    gml_cost cost;              /* on a GPU */
    const gml_map_layout *maps; /* launch.n_maps */
} gml_code_phase;

/* A constant packed ahead of time: a further input of the kernel. The function has a phase's
 * form and reads the kernel's constant inputs; it runs once, over all its units. */
typedef struct gml_code_pack {
    const char *symbol;
    unsigned input; /* its number in mems; several packs may fill one input */
    gml_dim bytes;
    gml_dim extent;
} gml_code_pack;

typedef struct gml_code {
    const gml_code_phase *phases;
    unsigned n_phases;
    unsigned n_inputs; /* the kernel's own; those of `packs` follow */
    const gml_code_pack *packs;
    unsigned n_packs;
    uint64_t
        unread; /* of the first 64 inputs, those that no phase reads: packed, or folded away */
    const gml_dim *temporaries; /* bytes of each, in mems after the outputs */
    unsigned n_temporaries;
    gml_dim scratch; /* bytes a thread */
} gml_code;

GML_MUST_CHECK gml_status gml_codegen_create(const gml_target *target,
                                             gml_codegen **out_codegen, gml_diags *diags);
void gml_codegen_destroy(gml_codegen *codegen); /* accepts NULL; jitted code lives on */

/* Nothing is compiled for a while: the compiler's own code need not stay in memory. Whoever
 * compiles next waits some milliseconds for it. */
void gml_codegen_rest(void);

/* Emits `kernel`, of which the inputs in `constants` (as bits) never change. `*out_code` lives
 * as long as the kernel's arena and the codegen. Kernels that are alike share their code. */
GML_MUST_CHECK gml_status gml_codegen_add(gml_codegen *codegen, gml_kernel *kernel,
                                          uint64_t constants, gml_code *out_code,
                                          gml_diags *diags);

/* How many barriers and waits for copies were to be written so far, the omitted one included.
 */
unsigned gml_codegen_meetings(const gml_codegen *codegen);

/* Code that runs in this process. Free it when no program uses it. */
typedef struct gml_jit gml_jit;
GML_MUST_CHECK gml_status gml_codegen_jit(gml_codegen *codegen, gml_jit **out_jit,
                                          gml_diags *diags);
gml_phase_fn gml_jit_find(const gml_jit *jit, const char *symbol);
/* The same in the emulator's form. */
gml_lane_fn gml_jit_find_lane(const gml_jit *jit, const char *symbol);
void gml_jit_destroy(gml_jit *jit);

/* The same code as an ELF object, position independent. */
GML_MUST_CHECK gml_status gml_codegen_object(gml_codegen *codegen, gml_str *out_object,
                                             gml_diags *diags);
/* The module as text: "llvm" or "asm"; of CUDA, asm is the PTX that devices load. */
GML_MUST_CHECK gml_status gml_codegen_print(gml_codegen *codegen, const char *form,
                                            gml_str *out, gml_diags *diags);

#endif
