/* models/siameseim_step.c - momentum of the target, gradients, updates, running statistics.
 *
 * Everything that changes from step to step is computed from the state `step`, which counts
 * iterations: scalars in double precision, cast where they meet tensors. */
#include "models/siameseim.h"

#define GML_PI   3.14159265358979323846
#define GML_KEPT 0.9 /* of running statistics; the rest is the batch's */

/* ---- schedules --------------------------------------------------------------------------- */

static gml_value *number64(gml_siam *s, double value)
{
    return gml_siam_number_of(s, GML_F64, value);
}

/* from + (to - from) (1 - cos(pi x)) / 2, f64 */
static gml_value *half_wave(gml_siam *s, const char *scope, gml_value *x, double from,
                            double to)
{
    x = gml_siam_binary(s, scope, "Mul", x, number64(s, GML_PI));
    x = gml_siam_unary(s, scope, "Cos", x);
    x = gml_siam_binary(s, scope, "Mul", x, number64(s, (from - to) / 2));
    return gml_siam_binary(s, scope, "Add", x, number64(s, (from + to) / 2));
}

/* The target's momentum, which is 1 but in the first iteration of an accumulation. */
static void add_momentum(gml_siam *s, gml_value *is_first)
{
    static const char scope[] = "schedule.momentum";
    const gml_siam_config *c = &s->c;
    gml_value *m = number64(s, c->ema);
    if (c->ema_cosine) {
        gml_value *x = gml_siam_binary(s, scope, "Div", s->epoch, number64(s, c->epochs));
        m = half_wave(s, scope, x, c->ema, 1);
    }
    if (is_first != NULL)
        m = gml_siam_where(s, scope, is_first, m, number64(s, 1));
    gml_value *rest = gml_siam_binary(s, scope, "Sub", number64(s, 1), m);
    s->momentum = gml_siam_cast(s, scope, m, c->dtype);
    s->rest = gml_siam_cast(s, scope, rest, c->dtype);
}

/* In epochs, as `now` is. */
static gml_trainer_options trainer_options(const gml_siam_config *c)
{
    return (gml_trainer_options){
        .kind = GML_TRAINER_ADAMW,
        .beta1 = c->beta1,
        .beta2 = c->beta2,
        .epsilon = c->epsilon,
        .decay = c->decay,
        .clip = c->clip,
        .accumulate = c->accumulate,
        .schedule = GML_SCHEDULE_COSINE,
        .lr = c->lr,
        .min_lr = c->min_lr,
        .warmup = c->warmup,
        .total = c->epochs,
    };
}

void gml_siam_begin(gml_siam *s)
{
    static const char scope[] = "schedule";
    int64_t zero = 0;
    gml_tensor tensor = {.dtype = GML_I64, .data = &zero};
    gml_trainer_options options = trainer_options(&s->c);
    s->trainer = gml_trainer_create(s->b, &options);
    s->count = gml_trainer_count(s->trainer, gml_builder_tensor(s->b, "step", &tensor, true));
    s->epoch = gml_siam_cast(s, scope, s->count.begin, GML_F64);
    s->epoch = gml_siam_binary(s, scope, "Div", s->epoch, number64(s, s->c.iterations));
    if (!s->c.pixels)
        add_momentum(s, s->count.is_first);
}

/* ---- gradients --------------------------------------------------------------------------- */

/* The trained parameters and their gradients. */
static size_t differentiate(gml_siam *s, gml_trained *trained)
{
    gml_value *xs[GML_SIAM_MAX_WEIGHTS];
    gml_value *gradients[GML_SIAM_MAX_WEIGHTS];
    size_t n = 0;
    for (size_t i = 0; i < s->n_weights; i++) {
        if (!s->weights[i].is_trained)
            continue;
        xs[n] = s->weights[i].value;
        trained[n++] = (gml_trained){.weight = s->weights[i].value,
                                     .is_decayed = s->weights[i].is_decayed};
    }
    gml_value *objective = gml_siam_weigh(s, "objective", 2 * s->c.lambda);
    gml_builder_gradients(s->b,
                          &(gml_gradient_spec){.name = "gradient",
                                               .y = objective,
                                               .xs = xs,
                                               .n_xs = n,
                                               .zs = s->given,
                                               .n_zs = s->n_given},
                          gradients);
    for (size_t i = 0; i < n; i++)
        trained[i].gradient = gradients[i];
    return n;
}

/* ---- statistics -------------------------------------------------------------------------- */

/* beta x + (1 - beta) y */
static gml_value *mix(gml_siam *s, const char *scope, double beta, gml_value *x, gml_value *y)
{
    x = gml_siam_binary(s, scope, "Mul", x, gml_siam_number(s, beta));
    y = gml_siam_binary(s, scope, "Mul", y, gml_siam_number(s, 1 - beta));
    return gml_siam_binary(s, scope, "Add", x, y);
}

/* Running means and variances: the variance that is kept is n / (n - 1) times the tokens'. */
static void update_statistics(gml_siam *s, const gml_siam_statistics *norm)
{
    gml_scope name = gml_scope_in(norm->name, "running");
    const char *scope = name.text;
    gml_value *n = gml_siam_count(s, scope, norm->n_tokens);
    gml_value *others = gml_siam_binary(s, scope, "Sub", n, gml_siam_number(s, 1));
    gml_value *share = gml_siam_binary(s, scope, "Div", n, others);
    gml_value *variance = gml_siam_binary(s, scope, "Mul", norm->moments[1], share);
    gml_builder_update(s->b, norm->states[0],
                       mix(s, scope, GML_KEPT, norm->states[0], norm->moments[0]));
    gml_builder_update(s->b, norm->states[1],
                       mix(s, scope, GML_KEPT, norm->states[1], variance));
}

void gml_siam_train(gml_siam *s)
{
    gml_trained trained[GML_SIAM_MAX_WEIGHTS];
    gml_builder_begin_step(s->b);
    size_t n = differentiate(s, trained);
    gml_value *lr = gml_trainer_rate(s->trainer, s->epoch);
    gml_trainer_update(s->trainer, &s->count, lr, trained, n);
    if (s->momentum != NULL)
        gml_builder_output(s->b, s->momentum, "momentum");
    for (size_t i = 0; i < s->n_changes; i++)
        gml_builder_update(s->b, s->changes[i].state, s->changes[i].value);
    for (size_t i = 0; i < s->n_norms; i++)
        update_statistics(s, &s->norms[i]);
    gml_trainer_advance(s->trainer, &s->count);
}
