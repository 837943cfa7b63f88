/* gemel/trainer.h - AdamW, SGD and LARS in the step of a gml_builder, in ordinary operators.
 *
 *     gml_trainer *o = gml_trainer_create(b, &options);
 *     gml_step_count count = gml_trainer_count(o, step);    // step: an i64 state, 0 at first
 *     gml_value *lr = gml_trainer_rate(o, count.now);
 *     gml_trainer_update(o, &count, lr, trained, n_trained);
 *
 * What changes from step to step is computed from the counter `step`, in double precision, and
 * cast where it meets tensors. Weights of f64 are updated in f64, all others in f32.
 *
 * Faults stick to the builder, as those of its own functions do (gemel/build.h).
 */
#ifndef GEMEL_TRAINER_H
#define GEMEL_TRAINER_H

#include "gemel/build.h"

#ifdef __cplusplus
extern "C" {
#endif

/* With gradient g, weight p, learning rate lr, decay d (0 for weights that do not decay):
 *   AdamW  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g g      states exp_avg, exp_avg_sq
 *          p = p (1 - lr d) - lr m / (1 - b1^t) / (sqrt(v) / sqrt(1 - b2^t) + epsilon)
 *   SGD    g = g + d p;  u = momentum u + g                     state momentum_buffer
 *          p = p - lr u, or p - lr (g + momentum u) by Nesterov
 *   LARS   g = g + d p;  q = trust |p| / |g| for rank > 1 where neither is 0, else 1
 *          u = momentum u + q g;  p = p - lr u                  state momentum_buffer
 * t counts the updates from 1. A state is called "exp_avg.WEIGHT". */
typedef enum gml_trainer_kind {
    GML_TRAINER_ADAMW,
    GML_TRAINER_SGD,
    GML_TRAINER_LARS,
} gml_trainer_kind;

/* With x = (now - warmup) / (total - warmup), at most 1. Before the end of the warm-up all of
 * them are lr now / warmup. */
typedef enum gml_schedule_kind {
    GML_SCHEDULE_CONST,  /* lr */
    GML_SCHEDULE_COSINE, /* min_lr + (lr - min_lr) (1 + cos(pi x)) / 2 */
    GML_SCHEDULE_LINEAR, /* lr + (min_lr - lr) x */
} gml_schedule_kind;

typedef struct gml_trainer_options {
    gml_trainer_kind kind;
    double beta1, beta2, epsilon;
    double momentum, trust;
    bool nesterov;
    double decay;
    double clip;        /* gradients are shortened to this length together; 0: not */
    int64_t accumulate; /* steps whose mean gradient makes an update, from 1 */
    gml_schedule_kind schedule;
    double lr, min_lr;
    double warmup, total; /* in the unit of `now` */
} gml_trainer_options;

typedef struct gml_trainer gml_trainer; /* the builder's */

/* Never NULL. */
gml_trainer *gml_trainer_create(gml_builder *builder, const gml_trainer_options *options);

/* Where a step stands: scalars. */
typedef struct gml_step_count {
    gml_value *step;      /* i64: steps done */
    gml_value *begin;     /* i64: the first step of this accumulation */
    gml_value *n_updates; /* i64: updates done */
    gml_value *now;       /* the same, f64 */
    gml_value *is_first;  /* bool, of an accumulation: this step begins it, … */
    gml_value *is_last;   /* … ends it; NULL both: each step does both */
} gml_step_count;

gml_step_count gml_trainer_count(gml_trainer *trainer, gml_value *step);
/* The learning rate at `now`, a scalar of f64: f64. Stands still in an accumulation, when `now`
 * does. */
gml_value *gml_trainer_rate(gml_trainer *trainer, gml_value *now);

typedef struct gml_trained {
    gml_value *weight;   /* an initialiser */
    gml_value *gradient; /* of its type */
    bool is_decayed;
    double scale; /* of the learning rate for this weight; 0: 1 */
} gml_trained;

/* The usual choice: weights of rank 2 and more decay, but for those whose name ends in ".bias".
 */
bool gml_trainer_decays(const gml_builder *builder, const gml_value *weight);

/* Updates all weights and the optimizer's states, in a step of the builder; not the counter,
 * whose next value is `step` + 1. Outputs "lr" and "grad_norm": the length of all gradients
 * together before they are clipped; those of an accumulation so far. */
void gml_trainer_update(gml_trainer *trainer, const gml_step_count *count, gml_value *lr,
                        const gml_trained *trained, size_t n);
/* The counter's next value is one more. */
void gml_trainer_advance(gml_trainer *trainer, const gml_step_count *count);

#ifdef __cplusplus
}
#endif
#endif
