/* ir/ops/optimizer_util.h - what Adagrad, Adam and Momentum share: operands in groups.
 *
 * Operands: learning rate R, step count T, then for n tensors: all values, all gradients, all
 * first moments, and so on. Results: all new values, all new moments.
 */
#ifndef GML_IR_OPS_OPTIMIZER_UTIL_H
#define GML_IR_OPS_OPTIMIZER_UTIL_H

#include "ir/op.h"

enum { GML_OPTIMIZER_MAX = 4 }; /* most groups: value, gradient, two moments */

/* One tensor's operands in, results out: group[0] the value, then the moments. */
typedef void gml_optimizer_step(gml_build *b, const gml_node *node, gml_value *const *in,
                                gml_value **out);

/* `n_groups` counts the value, the gradient and the moments. */
gml_status gml_optimizer_infer(gml_infer *cx, unsigned n_groups);
gml_status gml_optimizer_expand(gml_expand *cx, unsigned n_groups, gml_optimizer_step *step);

/* The learning rate and the step count as scalars of `dtype`. */
gml_value *gml_optimizer_rate(gml_build *b, const gml_node *node, gml_dtype dtype);
gml_value *gml_optimizer_count(gml_build *b, const gml_node *node, gml_dtype dtype);
/* gradient + norm_coefficient * value */
gml_value *gml_optimizer_gradient(gml_build *b, const gml_node *node, gml_value *const *in);
/* `x` from the first step on (T > 0), before it `other`. */
gml_value *gml_optimizer_after(gml_build *b, const gml_node *node, gml_value *x,
                               gml_value *other);

#endif
