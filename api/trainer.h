/* api/trainer.h - the inside of a gml_trainer, for the files that implement it: nodes by
 * scopes, constants, and the rules of the optimizers. */
#ifndef GML_API_TRAINER_H
#define GML_API_TRAINER_H

#include "api/builder.h"
#include "gemel/trainer.h"

/* A scalar that many weights need in their type. */
typedef struct gml_trainer_shared {
    const gml_value *scalar;
    gml_value *cast;
} gml_trainer_shared;

struct gml_trainer {
    gml_builder *b;
    gml_trainer_options options;
    gml_map n_nodes; /* scope -> unsigned: nodes made in it */
    gml_vec(gml_trainer_shared) shared;
};

/* What all updates of one step share; scalars of f64 but for `is_last`. */
typedef struct gml_update {
    gml_value *lr;
    gml_value *kept;      /* 1 - lr decay */
    gml_value *rate;      /* AdamW: lr / (1 - beta1^t) */
    gml_value *deviation; /* AdamW: sqrt(1 - beta2^t) */
    gml_value *is_last;   /* NULL: true */
} gml_update;

/* ---- trainer_nodes.c: a node is called "SCOPE/Mul_3"; numbers are constants made once -----
 */

gml_value *gml_trainer_node(gml_trainer *o, const char *scope, gml_node_spec spec);
gml_value *gml_trainer_unary(gml_trainer *o, const char *scope, const char *op, gml_value *x);
gml_value *gml_trainer_binary(gml_trainer *o, const char *scope, const char *op, gml_value *x,
                              gml_value *y);
gml_value *gml_trainer_where(gml_trainer *o, const char *scope, gml_value *condition,
                             gml_value *x, gml_value *y);
/* `x` itself when it has the type. */
gml_value *gml_trainer_cast(gml_trainer *o, const char *scope, gml_value *x, gml_dtype dtype);
/* The same, but one Cast serves all who ask. */
gml_value *gml_trainer_share(gml_trainer *o, gml_value *scalar, gml_dtype dtype);
/* A reduction over all axes to a scalar. */
gml_value *gml_trainer_total(gml_trainer *o, const char *scope, const char *op, gml_value *x);
/* A scalar of f64, f32 or i64. */
gml_value *gml_trainer_number(gml_trainer *o, gml_dtype dtype, double value);
/* The state "PART.WEIGHT" of this type, as large as `weight`, 0 at first. */
gml_value *gml_trainer_state(gml_trainer *o, const char *part, const gml_value *weight,
                             gml_dtype dtype);
/* "NAME.PART", the builder's. */
const char *gml_trainer_scope(gml_trainer *o, const gml_value *weight, const char *part);

/* The type that updates of a weight are computed in. */
static inline gml_dtype gml_trainer_dtype(const gml_value *weight)
{
    return weight->type.dtype == GML_F64 ? GML_F64 : GML_F32;
}

/* ---- trainer_rules.c --------------------------------------------------------------------
 */

/* What the rule needs besides the learning rate. */
void gml_trainer_prepare(gml_trainer *o, gml_update *update, gml_value *n_updates);
/* Updates one weight and its states; `gradient` is clipped and of gml_trainer_dtype. */
void gml_trainer_apply(gml_trainer *o, const gml_update *update, const gml_trained *trained,
                       gml_value *gradient);
#endif
