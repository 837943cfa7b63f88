/* ir/type.h - the type of a value: a tensor's element type and shape, a sequence, an optional.
 *
 * Types are values, copied freely; `dims` and `element` live in the graph's arena and are never
 * written after they are made.
 */
#ifndef GML_IR_TYPE_H
#define GML_IR_TYPE_H

#include "base/diag.h"
#include "base/dim.h"

typedef enum gml_type_kind {
    GML_TYPE_UNKNOWN, /* not inferred yet */
    GML_TYPE_TENSOR,
    GML_TYPE_SEQUENCE, /* of *element */
    GML_TYPE_OPTIONAL, /* of *element */
    GML_TYPE_MAP,      /* ai.onnx.ml: from `dtype` keys to *element */
} gml_type_kind;

#define GML_RANK_UNKNOWN (-1)

typedef struct gml_type {
    gml_type_kind kind;
    gml_dtype dtype;
    int rank; /* GML_RANK_UNKNOWN, or 0 to GML_MAX_RANK */
    const gml_dim *dims;
    const struct gml_type *element;
} gml_type;

gml_type gml_type_tensor(gml_arena *arena, gml_dtype dtype, int rank, const gml_dim *dims);
gml_type gml_type_scalar(gml_dtype dtype);
/* A tensor of unknown rank. */
gml_type gml_type_unranked(gml_dtype dtype);
gml_type gml_type_sequence(gml_arena *arena, gml_type element);
gml_type gml_type_optional(gml_arena *arena, gml_type element);
gml_type gml_type_map(gml_arena *arena, gml_dtype key, gml_type element);

bool gml_type_equal(const gml_type *a, const gml_type *b);
/* True when a value of type `actual` may be bound where `declared` stands: unknown ranks and
 * symbols of `declared` accept anything. */
bool gml_type_accepts(const gml_type *declared, const gml_type *actual);
/* A tensor whose rank and every dimension are constant. */
bool gml_type_is_static(const gml_type *type);
/* The number of elements. Rank must be known. */
gml_dim gml_type_numel(gml_dim_pool *pool, const gml_type *type);
/* GML_E_SHAPE when a constant dimension is negative or the size in bytes exceeds 2^46. */
gml_status gml_type_check(const gml_type *type, gml_diags *diags, gml_loc loc);

/* "f32[batch,197,768]", "seq(i64[?])", "opt(f32[])". `*` is an unknown rank. */
void gml_type_print(const gml_dim_pool *pool, const gml_type *type, gml_str *out);
/* Parses a type as printed; advances `*text`, which is NUL-terminated. False, with `*text`
 * where it stopped, when it cannot. The sizes are not checked: see gml_type_check. */
bool gml_type_parse(gml_dim_pool *pool, gml_arena *arena, const char **text,
                    gml_type *out_type);

#endif
