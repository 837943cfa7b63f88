/* codegen/llvm/emit.h - what the files that write LLVM IR share. Private to codegen/llvm.
 *
 * One kernel's code is written through a gml_emit. An expression becomes a scalar, or a vector
 * when it depends on the vector axis; gml_emit_expr remembers what it wrote, and forgets it at
 * the end of the loop in which it was written (SSA values do not outlive their loop).
 *
 * Value types: bool i1; integers their own width; f64 double; f32 and every smaller float:
 * float, rounded to the type after each operator.
 */
#ifndef GML_CODEGEN_LLVM_EMIT_H
#define GML_CODEGEN_LLVM_EMIT_H

#include "codegen/codegen.h"
#include "codegen/schedule.h"
#include "ir/loop.h"

#include <llvm-c/Core.h>

typedef struct gml_backend {
    gml_gpu gpu; /* which the module is for */
    gml_precision precision;
    unsigned architecture; /* of CUDA: 80, 90 */
    bool has_wgmma;        /* sm_90a, or emulated so: what device_hopper.c is for */
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMTypeRef i1, i8, i16, i32, i64, f32, f64, ptr, none;
    unsigned vector_bytes;      /* 64, 32 or 16 */
    bool has_fma;               /* in hardware; otherwise a product and a sum, rounded twice */
    bool is_host, is_elsewhere; /* code is for just this machine; for another kind */
    const char *host_cpu, *host_features;
    unsigned n_meetings, omit; /* barriers and waits so far; the one to leave out, or 0 */
} gml_backend;

typedef struct gml_memo {
    LLVMValueRef value;
    unsigned scope;   /* the loop in which it was written; 0: not written */
    unsigned hoisted; /* the last walk of gml_emit_hoist that saw it */
} gml_memo;

/* On a GPU: the threads that walk through the same code together. All have the same values, but
 * where a loop is dealt out to them. */
typedef struct gml_team {
    unsigned threads;      /* of a block, or 32 of a warp; 0: a thread is on its own */
    bool is_warp;          /* one of several in its block: no barriers */
    LLVMValueRef lane;     /* i64: this thread's number among them */
    LLVMValueRef partials; /* of a block: shared memory for its reductions, 8 bytes a warp */
} gml_team;

typedef struct gml_emit {
    gml_backend *be;
    LLVMBuilderRef b;
    LLVMValueRef function;
    gml_kernel *kernel;
    gml_diags *diags;
    unsigned lanes;                  /* of the vector axis; 1 when there is none */
    const gml_axis *vector;          /* or NULL */
    LLVMValueRef mask;               /* <lanes x i1>: which exist; NULL: all */
    LLVMValueRef axis[GML_MAX_AXES]; /* i64; lane 0 of the vector axis */
    LLVMValueRef *mems;              /* pointers: inputs, outputs, locals */
    LLVMValueRef dims;               /* the argument */
    LLVMValueRef room;               /* on the stack, for a contraction's tile of sums */
    gml_memo *memo;                  /* by expression id */
    size_t n_memo;
    unsigned *scopes; /* stack of live scope numbers */
    unsigned n_scopes, next_scope;
    unsigned hoists; /* walks so far */
    gml_team team;
    bool few_units; /* of the loops being peeled: their numbers have 31 bits */
    bool *apart;    /* by local: it lies where other threads see it; otherwise a register */
    bool *meets;    /* by local: threads load there what others of their block store */
    const struct gml_columns *columns; /* that the block sums (gpu_columns.h); NULL: none */
    LLVMValueRef column_sums;          /* its sums, in shared memory */
    const char *site_text; /* what is being written, in the emulator's reports; NULL: nothing */
    unsigned n_sites;      /* so far (device.h) */
    gml_status status;
} gml_emit;

/* A kernel function's frame is set up by codegen/llvm/kernel.c. */
/* Statements inside a unit of work (kernel.c). */
void gml_emit_list(gml_emit *e, const gml_stmt *list);

/* ---- expressions (expr.c) ---- */
LLVMValueRef gml_emit_expr(gml_emit *e, const gml_expr *expr);
/* As a vector of e->lanes (or the scalar when lanes is 1). */
LLVMValueRef gml_emit_lanes(gml_emit *e, const gml_expr *expr);
LLVMValueRef gml_emit_dim(gml_emit *e, gml_dim dim);
/* `expr` has this value in the current scope. */
void gml_emit_assume(gml_emit *e, const gml_expr *expr, LLVMValueRef value);
/* <lanes x i1>: which lanes from `begin` on are below `end`. */
LLVMValueRef gml_emit_lane_mask(gml_emit *e, LLVMValueRef begin, LLVMValueRef end);
/* Writes, here, whatever of `expr` does not depend on the axes in `inner`. */
void gml_emit_hoist(gml_emit *e, const gml_expr *expr, uint64_t inner);
/* Writes, here, its reductions that are not inside of others. */
void gml_emit_reductions(gml_emit *e, const gml_expr *expr);
void gml_emit_store(gml_emit *e, const gml_stmt *store);
LLVMValueRef gml_emit_address(gml_emit *e, const gml_mem *mem, LLVMValueRef flat);
LLVMValueRef gml_emit_load_at(gml_emit *e, gml_dtype dtype, LLVMValueRef address,
                              unsigned lanes, LLVMValueRef mask);
void gml_emit_store_at(gml_emit *e, gml_dtype dtype, LLVMValueRef address, LLVMValueRef value,
                       unsigned lanes, LLVMValueRef mask);
/* A value as the bits it has in memory (an integer, or the float itself), and back. */
LLVMValueRef gml_emit_to_bits(gml_emit *e, gml_dtype dtype, LLVMValueRef value, unsigned lanes);
LLVMValueRef gml_emit_from_bits(gml_emit *e, gml_dtype dtype, LLVMValueRef bits,
                                unsigned lanes);
LLVMTypeRef gml_emit_type(const gml_emit *e, gml_dtype dtype, unsigned lanes);

/* ---- reductions (reduce.c) ---- */
LLVMValueRef gml_emit_reduce(gml_emit *e, const gml_expr *expr);
LLVMValueRef gml_emit_combine(gml_emit *e, gml_reduce_op op, gml_dtype dtype, LLVMValueRef a,
                              LLVMValueRef b);
LLVMValueRef gml_emit_identity(gml_emit *e, gml_reduce_op op, gml_dtype dtype, unsigned lanes);

/* The same by a team; every thread gets the result (gpu_reduce.c). */
LLVMValueRef gml_emit_team_reduce(gml_emit *e, const gml_expr *expr);
/* Halves a vector until one lane is left: a tree of fixed shape. */
LLVMValueRef gml_emit_across(gml_emit *e, const gml_expr *reduce, LLVMValueRef vector,
                             unsigned lanes);
/* Two values of a reduction as one, rounded as its type is. */
LLVMValueRef gml_emit_accumulate(gml_emit *e, const gml_expr *reduce, LLVMValueRef a,
                                 LLVMValueRef b, unsigned lanes);

/* ---- scalar operators and mathematics (scalar.c, math.c) ---- */
LLVMValueRef gml_emit_scalar(gml_emit *e, const gml_expr *expr, LLVMValueRef const *args,
                             unsigned lanes);
/* The larger of two floats, or the smaller; NaN when either is. `dtype` is what they stand for.
 */
LLVMValueRef gml_emit_extreme(gml_emit *e, bool most, gml_dtype dtype, LLVMValueRef a,
                              LLVMValueRef b);
LLVMValueRef gml_emit_cast(gml_emit *e, gml_dtype to, gml_dtype from, unsigned flags,
                           LLVMValueRef value, unsigned lanes);
/* Rounds a float value to what `dtype` can hold. */
LLVMValueRef gml_emit_round(gml_emit *e, gml_dtype dtype, LLVMValueRef value, unsigned lanes);
/* A mathematical function of f32 lanes as arithmetic; NULL when it has none of its own. */
LLVMValueRef gml_emit_math(gml_emit *e, gml_scalar_op op, LLVMValueRef x, unsigned lanes);

/* ---- control flow (flow.c) ---- */
typedef struct gml_loop {
    LLVMBasicBlockRef head, exit;
    LLVMValueRef counter; /* phi */
    LLVMValueRef end, step;
    LLVMValueRef phis[136];
    unsigned n_phis;
} gml_loop;

/* for (counter = begin; counter < end; counter += step). Values carried round are phis: give
 * their start, use loop->phis, and give their next values at the end; after the end they hold
 * the last. */
void gml_loop_begin(gml_emit *e, gml_loop *loop, LLVMValueRef begin, LLVMValueRef end,
                    int64_t step, LLVMValueRef const *starts, unsigned n_starts);
void gml_loop_end(gml_emit *e, gml_loop *loop, LLVMValueRef const *nexts);
void gml_scope_push(gml_emit *e);
void gml_scope_pop(gml_emit *e);
/* Takes the last factor, `extent`, off a unit number: the remainder is returned, the quotient
 * left. */
LLVMValueRef gml_emit_peel(gml_emit *e, LLVMValueRef *unit, gml_dim extent);
/* if (cond) { … } */
LLVMBasicBlockRef gml_if_begin(gml_emit *e, LLVMValueRef cond);
void gml_if_end(gml_emit *e, LLVMBasicBlockRef after);

/* ---- little words ---- */
LLVMValueRef gml_ll_int(const gml_emit *e, int64_t value); /* i64 */
LLVMValueRef gml_ll_splat(gml_emit *e, LLVMValueRef scalar, unsigned lanes);
LLVMValueRef gml_ll_float(gml_emit *e, double value, unsigned lanes); /* f32 lanes */
LLVMValueRef gml_ll_const(gml_emit *e, LLVMTypeRef type, int64_t value, unsigned lanes);
LLVMTypeRef gml_ll_vector(LLVMTypeRef element, unsigned lanes); /* the element for 1 */
/* An intrinsic overloaded on `types`. */
LLVMValueRef gml_ll_intrinsic(gml_emit *e, const char *name, LLVMTypeRef const *types,
                              unsigned n_types, LLVMValueRef const *args, unsigned n_args);
LLVMValueRef gml_ll_fma(gml_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);
/* An external C function called lane by lane: result and arguments as given, i32 and float
 * only. */
LLVMValueRef gml_ll_call(gml_emit *e, const char *name, LLVMTypeRef result,
                         LLVMValueRef const *args, unsigned n_args, unsigned lanes);

#endif
