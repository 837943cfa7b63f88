/* ir/ops/attention_util.h - the two products of attention, with grouped heads.
 *
 * Queries are (B, Hq, S, D), keys (B, Hkv, T, D), values (B, Hkv, T, Dv). Hkv divides Hq: query
 * head h uses key head h / (Hq / Hkv). Groups broadcast in the product, so keys are never
 * repeated.
 */
#ifndef GML_IR_OPS_ATTENTION_UTIL_H
#define GML_IR_OPS_ATTENTION_UTIL_H

#include "ir/op.h"

/* q k' * scale (B, Hq, S, T); each side is multiplied by sqrt(scale) before, so that the
 * product does not overflow. */
gml_value *gml_attention_scores(gml_build *b, gml_value *q, gml_value *k, double scale);
/* probabilities (B, Hq, S, T) times values: (B, Hq, S, Dv) */
gml_value *gml_attention_apply(gml_build *b, gml_value *probabilities, gml_value *v);
/* (B, S, H * D) to (B, H, S, D), and back. */
gml_value *gml_heads_split(gml_build *b, gml_value *x, int64_t n_heads);
gml_value *gml_heads_join(gml_build *b, gml_value *x);
/* The attribute "scale", or 1 / sqrt(head size) when it is absent or `unset`. Fails when the
 * head size is needed and not constant. */
gml_status gml_attention_scale(gml_expand *cx, gml_dim head_size, float unset,
                               double *out_scale);

#endif
