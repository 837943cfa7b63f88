/* models/siameseim_step.c - schedules, clipping, AdamW, running statistics.
 *
 * Everything that changes from step to step is computed from the state `step`, which counts
 * iterations: scalars in double precision, cast where they meet tensors. */
#include "models/siameseim.h"

#include <math.h>
#include <stdio.h>

#define GML_SUM          32
#define GML_PI           3.14159265358979323846
#define GML_KEPT         0.9 /* of running statistics; the rest is the batch's */
#define GML_CLIP_EPSILON 1e-6

/* ---- schedules --------------------------------------------------------------------------- */

static gml_value *number64(gml_siam *s, double value)
{
    return gml_siam_number_of(s, GML_F64, value);
}

static gml_value *integer(gml_siam *s, int64_t value)
{
    return gml_siam_number_of(s, GML_I64, (double)value);
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

void gml_siam_begin(gml_siam *s)
{
    static const char scope[] = "schedule";
    int64_t zero = 0;
    gml_tensor tensor = {.dtype = GML_I64, .data = &zero};
    s->step = gml_builder_tensor(s->b, "step", &tensor, true);
    gml_value *begin = s->step; /* of the accumulation: schedules stand still in one */
    gml_value *is_first = NULL;
    int64_t n = s->c.accumulate;
    if (n > 1) {
        gml_value *place = gml_siam_binary(s, scope, "Mod", s->step, integer(s, n));
        begin = gml_siam_binary(s, scope, "Sub", s->step, place);
        is_first = gml_siam_binary(s, scope, "Equal", place, integer(s, 0));
        s->is_last = gml_siam_binary(s, scope, "Equal", place, integer(s, n - 1));
    }
    s->n_updates = gml_siam_binary(s, scope, "Div", begin, integer(s, n));
    s->epoch = gml_siam_cast(s, scope, begin, GML_F64);
    s->epoch = gml_siam_binary(s, scope, "Div", s->epoch, number64(s, s->c.iterations));
    if (!s->c.pixels)
        add_momentum(s, is_first);
}

/* peak e / warmup before the end of the warm-up, then half a cosine down to min_lr: f64 */
static gml_value *learning_rate(gml_siam *s)
{
    static const char scope[] = "schedule.lr";
    const gml_siam_config *c = &s->c;
    gml_value *x = gml_siam_binary(s, scope, "Sub", s->epoch, number64(s, c->warmup));
    x = gml_siam_binary(s, scope, "Div", x, number64(s, c->epochs - c->warmup));
    gml_value *falling = half_wave(s, scope, x, c->lr, c->min_lr);
    if (c->warmup == 0)
        return falling;
    gml_value *rising = gml_siam_binary(s, scope, "Mul", s->epoch, number64(s, c->lr));
    rising = gml_siam_binary(s, scope, "Div", rising, number64(s, c->warmup));
    gml_value *is_rising = gml_siam_binary(s, scope, "Less", s->epoch, number64(s, c->warmup));
    return gml_siam_where(s, scope, is_rising, rising, falling);
}

/* ---- gradients --------------------------------------------------------------------------- */

/* What all parameters' updates share, in the network's type. */
typedef struct update {
    gml_value *factor;    /* of gradients, which clips them; NULL: 1 */
    gml_value *kept;      /* 1 - lr decay */
    gml_value *rate;      /* lr / (1 - beta1^t) */
    gml_value *deviation; /* sqrt(1 - beta2^t) */
} update;

/* `value` when this iteration ends an accumulation, else `old`. */
static gml_value *when_last(gml_siam *s, const char *scope, gml_value *value, gml_value *old)
{
    return s->is_last == NULL ? value : gml_siam_where(s, scope, s->is_last, value, old);
}

/* The state PART.NAME, as large as `like` and 0 at first. */
static gml_value *make_state(gml_siam *s, const char *name, const char *part, gml_value *like)
{
    int64_t dims[GML_MAX_RANK];
    int rank = gml_builder_rank(s->b, like);
    for (int i = 0; i < rank; i++)
        dims[i] = gml_builder_dim(s->b, like, i);
    return gml_builder_state(s->b, gml_scope_in(part, name).text, s->c.dtype, rank, dims,
                             gml_fill_constant(0));
}

/* The mean gradient of an accumulation, as far as it has come. */
static gml_value *accumulate(gml_siam *s, const gml_siam_weight *weight, gml_value *gradient)
{
    if (s->is_last == NULL)
        return gradient;
    gml_scope scope = gml_scope_in(weight->name, "accumulate");
    gml_value *sum = make_state(s, weight->name, "grad_sum", weight->value);
    gml_value *next = gml_siam_binary(s, scope.text, "Add", sum, gradient);
    s->changes[s->n_changes++] =
        (gml_siam_change){sum, when_last(s, scope.text, gml_siam_number(s, 0), next)};
    return gml_siam_binary(s, scope.text, "Div", next,
                           gml_siam_number(s, (double)s->c.accumulate));
}

/* The gradients of all trained parameters, in their order. */
static size_t differentiate(gml_siam *s, gml_value **gradients)
{
    gml_value *xs[GML_SIAM_MAX_WEIGHTS];
    size_t n = 0;
    for (size_t i = 0; i < s->n_weights; i++)
        if (s->weights[i].is_trained)
            xs[n++] = s->weights[i].value;
    gml_value *objective = gml_siam_weigh(s, "objective", 2 * s->c.lambda);
    gml_builder_gradients(s->b,
                          &(gml_gradient_spec){.name = "gradient",
                                               .y = objective,
                                               .xs = xs,
                                               .n_xs = n,
                                               .zs = s->given,
                                               .n_zs = s->n_given},
                          gradients);
    n = 0;
    for (size_t i = 0; i < s->n_weights; i++)
        if (s->weights[i].is_trained) {
            gradients[n] = accumulate(s, &s->weights[i], gradients[n]);
            n++;
        }
    return n;
}

/* The sum of n scalars, GML_SUM at a time: a Sum's operands are limited. Overwrites them. */
static gml_value *sum(gml_siam *s, const char *scope, gml_value **values, size_t n)
{
    while (n > 1) {
        size_t n_sums = 0;
        for (size_t i = 0; i < n; i += GML_SUM) {
            size_t count = n - i < GML_SUM ? n - i : GML_SUM;
            values[n_sums++] = gml_siam_node(
                s, scope,
                (gml_node_spec){.op = "Sum", .input_list = values + i, .n_inputs = count});
        }
        n = n_sums;
    }
    return values[0];
}

/* The length of all gradients together, which becomes an output, and the factor that clips. */
static gml_value *clip(gml_siam *s, gml_value *const *gradients, size_t n)
{
    static const char scope[] = "clip";
    gml_value *squares[GML_SIAM_MAX_WEIGHTS] = {NULL};
    for (size_t i = 0; i < n; i++)
        squares[i] = gml_siam_total(s, scope, "ReduceSumSquare", gradients[i]);
    gml_value *norm = sum(s, scope, squares, n);
    norm = gml_siam_unary(s, scope, "Sqrt", norm);
    gml_builder_output(s->b, norm, "grad_norm");
    if (s->c.clip == 0)
        return NULL;
    gml_value *x = gml_siam_binary(s, scope, "Add", norm, gml_siam_number(s, GML_CLIP_EPSILON));
    x = gml_siam_binary(s, scope, "Div", gml_siam_number(s, s->c.clip), x);
    return gml_siam_binary(s, scope, "Min", x, gml_siam_number(s, 1));
}

/* ---- AdamW ------------------------------------------------------------------------------- */

/* 1 - beta^t, f64 */
static gml_value *correction(gml_siam *s, const char *scope, double beta, gml_value *t)
{
    gml_value *power = gml_siam_binary(s, scope, "Pow", number64(s, beta), t);
    return gml_siam_binary(s, scope, "Sub", number64(s, 1), power);
}

static void prepare_update(gml_siam *s, update *u)
{
    static const char scope[] = "adamw";
    const gml_siam_config *c = &s->c;
    gml_value *lr = learning_rate(s);
    gml_value *t = gml_siam_binary(s, scope, "Add", s->n_updates, integer(s, 1));
    t = gml_siam_cast(s, scope, t, GML_F64);
    gml_value *rate = gml_siam_binary(s, scope, "Div", lr, correction(s, scope, c->beta1, t));
    gml_value *decay = gml_siam_binary(s, scope, "Mul", lr, number64(s, c->decay));
    decay = gml_siam_binary(s, scope, "Sub", number64(s, 1), decay);
    gml_value *deviation = gml_siam_unary(s, scope, "Sqrt", correction(s, scope, c->beta2, t));
    u->rate = gml_siam_cast(s, scope, rate, c->dtype);
    u->kept = gml_siam_cast(s, scope, decay, c->dtype);
    u->deviation = gml_siam_cast(s, scope, deviation, c->dtype);
    gml_builder_output(s->b, gml_siam_cast(s, scope, lr, c->dtype), "lr");
    if (s->momentum != NULL)
        gml_builder_output(s->b, s->momentum, "momentum");
}

/* beta x + (1 - beta) y */
static gml_value *mix(gml_siam *s, const char *scope, double beta, gml_value *x, gml_value *y)
{
    x = gml_siam_binary(s, scope, "Mul", x, gml_siam_number(s, beta));
    y = gml_siam_binary(s, scope, "Mul", y, gml_siam_number(s, 1 - beta));
    return gml_siam_binary(s, scope, "Add", x, y);
}

static void update_weight(gml_siam *s, const update *u, const gml_siam_weight *weight,
                          gml_value *g)
{
    const gml_siam_config *c = &s->c;
    gml_scope name = gml_scope_in(weight->name, "adamw");
    const char *scope = name.text;
    gml_value *first = make_state(s, weight->name, "exp_avg", weight->value);
    gml_value *second = make_state(s, weight->name, "exp_avg_sq", weight->value);
    if (u->factor != NULL)
        g = gml_siam_binary(s, scope, "Mul", g, u->factor);
    gml_value *m = mix(s, scope, c->beta1, first, g);
    gml_value *v = mix(s, scope, c->beta2, second, gml_siam_binary(s, scope, "Mul", g, g));
    gml_value *x = gml_siam_unary(s, scope, "Sqrt", v);
    x = gml_siam_binary(s, scope, "Div", x, u->deviation);
    x = gml_siam_binary(s, scope, "Add", x, gml_siam_number(s, c->epsilon));
    x = gml_siam_binary(s, scope, "Div", m, x);
    x = gml_siam_binary(s, scope, "Mul", x, u->rate);
    gml_value *p = weight->value;
    if (weight->is_decayed)
        p = gml_siam_binary(s, scope, "Mul", p, u->kept);
    p = gml_siam_binary(s, scope, "Sub", p, x);
    gml_builder_update(s->b, weight->value, when_last(s, scope, p, weight->value));
    gml_builder_update(s->b, first, when_last(s, scope, m, first));
    gml_builder_update(s->b, second, when_last(s, scope, v, second));
}

/* ---- statistics -------------------------------------------------------------------------- */

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
    gml_value *gradients[GML_SIAM_MAX_WEIGHTS];
    update u = {NULL};
    gml_builder_begin_step(s->b);
    size_t n = differentiate(s, gradients);
    prepare_update(s, &u);
    u.factor = clip(s, gradients, n);
    n = 0;
    for (size_t i = 0; i < s->n_weights; i++)
        if (s->weights[i].is_trained)
            update_weight(s, &u, &s->weights[i], gradients[n++]);
    for (size_t i = 0; i < s->n_changes; i++)
        gml_builder_update(s->b, s->changes[i].state, s->changes[i].value);
    for (size_t i = 0; i < s->n_norms; i++)
        update_statistics(s, &s->norms[i]);
    gml_builder_update(s->b, s->step,
                       gml_siam_binary(s, "schedule.next", "Add", s->step, integer(s, 1)));
}
