/* ir/infer_host.h - helpers of `infer` for operators that run in the runtime: sets of element
 * types, sizes that only the run decides, merging of types.
 *
 * Types live in the module's arena. Not thread-safe per module. */
#ifndef GML_IR_INFER_HOST_H
#define GML_IR_INFER_HOST_H

#include "ir/op.h"

/* A set of element types: bit number `dtype`. */
#define GML_SET(name) (1u << GML_##name)
#define GML_SET_INDEX (GML_SET(I32) | GML_SET(I64))
#define GML_SET_INTS                                                                           \
    (GML_SET(U8) | GML_SET(U16) | GML_SET(U32) | GML_SET(U64) | GML_SET(I8) | GML_SET(I16) |   \
     GML_SET_INDEX)
#define GML_SET_FLOATS   (GML_SET(F16) | GML_SET(BF16) | GML_SET(F32) | GML_SET(F64))
#define GML_SET_NUMBERS  (GML_SET_INTS | GML_SET_FLOATS)
#define GML_SET_STRING   GML_SET(STRING)
/* What the ai.onnx.ml operators compute with. */
#define GML_SET_FEATURES (GML_SET(F32) | GML_SET(F64) | GML_SET_INDEX)
#define GML_SET_ANY      UINT32_MAX

/* Operand `k`, when present, must be a tensor with an element type of `set`. */
gml_status gml_infer_expect(gml_infer *cx, unsigned k, uint32_t set);
/* Operands `a` and `b` must have one element type. */
gml_status gml_infer_expect_same(gml_infer *cx, unsigned a, unsigned b);
/* The element type that integer attribute `name` gives (its number in ONNX), `fallback` when
 * absent; must be one of `set`. */
gml_status gml_infer_attr_dtype(gml_infer *cx, const char *name, gml_dtype fallback,
                                uint32_t set, gml_dtype *out_dtype);

/* Result `i`: a tensor whose sizes only the run decides. */
gml_status gml_infer_fresh(gml_infer *cx, unsigned i, gml_dtype dtype, int rank,
                           const char *hint);
gml_status gml_infer_unranked(gml_infer *cx, unsigned i, gml_dtype dtype);
/* Result `i`: the shape of operand `k`, of `dtype` (the operand's own when NONE). The rank may
 * be unknown. */
gml_status gml_infer_shaped(gml_infer *cx, unsigned i, unsigned k, gml_dtype dtype);
/* Element `position` of integer operand `k` as a size; a fresh one when it is not known. */
gml_dim gml_infer_size(gml_infer *cx, unsigned k, size_t position, const char *hint);

/* The type of what is either an `a` or a `b`: sizes that differ are fresh, ranks that differ
 * unknown, an optional when either is. False when element types or kinds do not fit. */
bool gml_type_merge(gml_infer *cx, const gml_type *a, const gml_type *b, gml_type *out_type);
/* `type` with a fresh size for every one that is not constant: an item of a sequence. */
gml_type gml_type_freshen(gml_infer *cx, const gml_type *type);
/* `type` with a fresh size for every one made since the pool had `mark` expressions: what
 * leaves a region must not speak of sizes that only the region knows. */
gml_type gml_type_outside(gml_infer *cx, const gml_type *type, size_t mark);
/* The element type of operand `k`, which must be a sequence. */
gml_status gml_infer_item(gml_infer *cx, unsigned k, const gml_type **out_item);

/* ---- regions ---------------------------------------------------------------------------- */

/* Infers `region` anew after its parameters' types changed. */
gml_status gml_region_infer(gml_infer *cx, gml_graph *region);
/* Finds types of the first `n_carried` values that a body takes at parameter `first_param` and
 * gives back at result `first_result`, such that they hold in every iteration, and infers the
 * body. `initial` are the types before the first iteration; other parameters' types must be
 * set. */
gml_status gml_region_infer_loop(gml_infer *cx, gml_graph *body, const gml_type *initial,
                                 uint32_t n_carried, uint32_t first_param,
                                 uint32_t first_result);
/* Result `i` of the node, which is a carried value of that body: the type after any number of
 * iterations. */
gml_status gml_infer_carried(gml_infer *cx, unsigned i, const gml_type *initial,
                             const gml_type *given);

#endif
