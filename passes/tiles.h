/* passes/tiles.h - which products a GPU computes on tensor cores, and what that moves.
 *
 * Code generation decides (codegen/llvm/gpu_gemm.h); what is here says beforehand what it will
 * do with a node, by the same numbers. A wrong guess costs time and no result. */
#ifndef GML_PASSES_TILES_H
#define GML_PASSES_TILES_H

#include "ir/op.h"

typedef struct gml_tiles {
    bool is_batched;    /* a matrix of each operand for each of a batch, as in an attention */
    uint32_t n_windows; /* operands from 0 on of which elements are read several times */
    bool is_streamed;   /* stands by itself, and its operands are written as bf16 before */
} gml_tiles;

/* True where operands 0 and 1 of `node` are f32 and the product rounds them to bf16. */
bool gml_tiles_find(const gml_node *node, gml_tiles *out_tiles);

/* `type`, with its sizes known, as a number of elements; -1 when they are not. */
int64_t gml_known_elements(const gml_type *type);

#endif
