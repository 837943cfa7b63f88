/* codegen/contract.h - recognises contractions in loop IR: sums of products as matrix products.
 *
 * A perfect nest whose stores hold one and the same sum of products, or none
 *     y[…] = f(sum(k: a(batch, m, k) * b(batch, k, n)), …)
 * is a (batched) matrix product with an epilogue f for each store, whatever the operator was:
 * MatMul, Gemm, Conv, the products of an attention. Store axes that only `a` depends on are
 * merged into m, those that only `b` depends on into n, as far as the store stays contiguous
 * along n; the rest are batch axes. `a` and `b` are any expressions: they are evaluated once
 * while packing. The axes of the sum are taken in the order in which `a` lies in memory.
 */
#ifndef GML_CODEGEN_CONTRACT_H
#define GML_CODEGEN_CONTRACT_H

#include "ir/loop.h"

typedef struct gml_contraction {
    const gml_axis *batch[GML_MAX_RANK];
    unsigned n_batch;
    const gml_axis *m, *n, *k; /* merged; new axes of the kernel */
    const gml_axis *rows[GML_MAX_RANK], *taps[GML_MAX_RANK]; /* what m and k were merged of,
                                                                the last fastest */
    unsigned n_rows, n_taps;
    const gml_expr *a, *b;     /* in terms of batch, m, n, k */
    const gml_expr *a_at;      /* `a` in terms of batch, rows and taps */
    const gml_expr *b_at;      /* `b` in terms of batch, taps and n */
    const gml_expr *sum;       /* stands for the finished sum in `store` */
    const gml_stmt *store;     /* in terms of batch, m, n; a list */
    uint64_t a_batch, b_batch; /* batch axes that a and b depend on, as bits */
    bool b_constant; /* b reads only memories marked constant: it can be packed ahead */
} gml_contraction;

/* `constants`: bit i says that the kernel's input i never changes (the first 64). Adds axes and
 * expressions to the kernel even where it returns false. */
bool gml_contract_find(gml_kernel *kernel, const gml_stmt *stmt, uint64_t constants,
                       gml_contraction *out_contraction);

#endif
