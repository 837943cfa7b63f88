/* api/trainer_rules.c - AdamW, SGD, LARS: what one weight becomes. The formulas are in
 * gemel/trainer.h. */
#include "api/trainer.h"

/* One weight on its way. */
typedef struct rule {
    gml_trainer *o;
    const gml_update *u;
    const gml_trained *trained;
    const char *scope;
    gml_dtype dtype;
    gml_value *p; /* the weight, in `dtype` */
} rule;

static gml_value *binary(const rule *r, const char *op, gml_value *x, gml_value *y)
{
    return gml_trainer_binary(r->o, r->scope, op, x, y);
}

static gml_value *number(const rule *r, double value)
{
    return gml_trainer_number(r->o, r->dtype, value);
}

static gml_value *shared(const rule *r, gml_value *scalar)
{
    return gml_trainer_share(r->o, scalar, r->dtype);
}

/* A number of the step that is proportional to the rate, for this weight. */
static gml_value *scaled(const rule *r, gml_value *scalar)
{
    double scale = r->trained->scale;
    if (scale != 0 && scale != 1)
        scalar = gml_trainer_binary(r->o, r->scope, "Mul", scalar,
                                    gml_trainer_number(r->o, GML_F64, scale));
    return scalar;
}

/* 1 - lr decay */
static gml_value *kept(const rule *r)
{
    gml_trainer *o = r->o;
    if (r->trained->scale == 0 || r->trained->scale == 1)
        return r->u->kept;
    gml_value *decay = gml_trainer_binary(o, r->scope, "Mul", scaled(r, r->u->lr),
                                          gml_trainer_number(o, GML_F64, o->options.decay));
    return gml_trainer_binary(o, r->scope, "Sub", gml_trainer_number(o, GML_F64, 1), decay);
}

/* `state` becomes `value` when the step ends an accumulation. */
static void store(const rule *r, gml_value *state, gml_value *value)
{
    value = gml_trainer_cast(r->o, r->scope, value, state->type.dtype);
    if (r->u->is_last != NULL)
        value = gml_trainer_where(r->o, r->scope, r->u->is_last, value, state);
    gml_builder_update(r->o->b, state, value);
}

/* ---- AdamW ------------------------------------------------------------------------------- */

/* 1 - beta^t, f64 */
static gml_value *correction(gml_trainer *o, const char *scope, double beta, gml_value *t)
{
    gml_value *power =
        gml_trainer_binary(o, scope, "Pow", gml_trainer_number(o, GML_F64, beta), t);
    return gml_trainer_binary(o, scope, "Sub", gml_trainer_number(o, GML_F64, 1), power);
}

static void prepare_adamw(gml_trainer *o, gml_update *u, gml_value *n_updates)
{
    static const char scope[] = "optimizer.adamw";
    gml_value *t =
        gml_trainer_binary(o, scope, "Add", n_updates, gml_trainer_number(o, GML_I64, 1));
    t = gml_trainer_cast(o, scope, t, GML_F64);
    u->rate =
        gml_trainer_binary(o, scope, "Div", u->lr, correction(o, scope, o->options.beta1, t));
    gml_value *decay = gml_trainer_binary(o, scope, "Mul", u->lr,
                                          gml_trainer_number(o, GML_F64, o->options.decay));
    u->kept = gml_trainer_binary(o, scope, "Sub", gml_trainer_number(o, GML_F64, 1), decay);
    u->deviation =
        gml_trainer_unary(o, scope, "Sqrt", correction(o, scope, o->options.beta2, t));
}

/* beta x + (1 - beta) y */
static gml_value *mix(const rule *r, double beta, gml_value *x, gml_value *y)
{
    x = binary(r, "Mul", x, number(r, beta));
    y = binary(r, "Mul", y, number(r, 1 - beta));
    return binary(r, "Add", x, y);
}

static void apply_adamw(const rule *r, gml_value *g)
{
    const gml_trainer_options *options = &r->o->options;
    gml_value *first = gml_trainer_state(r->o, "exp_avg", r->trained->weight, r->dtype);
    gml_value *second = gml_trainer_state(r->o, "exp_avg_sq", r->trained->weight, r->dtype);
    gml_value *m = mix(r, options->beta1, first, g);
    gml_value *v = mix(r, options->beta2, second, binary(r, "Mul", g, g));
    gml_value *x = gml_trainer_unary(r->o, r->scope, "Sqrt", v);
    x = binary(r, "Div", x, shared(r, r->u->deviation));
    x = binary(r, "Add", x, number(r, options->epsilon));
    x = binary(r, "Div", m, x);
    x = binary(r, "Mul", x, shared(r, scaled(r, r->u->rate)));
    gml_value *p = r->p;
    if (r->trained->is_decayed && options->decay != 0)
        p = binary(r, "Mul", p, shared(r, kept(r)));
    store(r, r->trained->weight, binary(r, "Sub", p, x));
    store(r, first, m);
    store(r, second, v);
}

/* ---- SGD and LARS ------------------------------------------------------------------------ */

static gml_value *length(const rule *r, gml_value *x)
{
    x = gml_trainer_total(r->o, r->scope, "ReduceSumSquare", x);
    return gml_trainer_unary(r->o, r->scope, "Sqrt", x);
}

/* trust |p| / |g|, or 1 where one of them is 0 */
static gml_value *trust_ratio(const rule *r, gml_value *g)
{
    gml_value *p_length = length(r, r->p);
    gml_value *g_length = length(r, g);
    gml_value *product = binary(r, "Mul", p_length, g_length);
    gml_value *is_positive = binary(r, "Greater", product, number(r, 0));
    gml_value *one = number(r, 1);
    gml_value *divisor = gml_trainer_where(r->o, r->scope, is_positive, g_length, one);
    gml_value *q = binary(r, "Mul", p_length, number(r, r->o->options.trust));
    q = binary(r, "Div", q, divisor);
    return gml_trainer_where(r->o, r->scope, is_positive, q, one);
}

static void apply_sgd(const rule *r, gml_value *g)
{
    const gml_trainer_options *options = &r->o->options;
    bool is_lars = options->kind == GML_TRAINER_LARS;
    if (r->trained->is_decayed && options->decay != 0)
        g = binary(r, "Add", g, binary(r, "Mul", r->p, number(r, options->decay)));
    if (is_lars && r->p->type.rank > 1)
        g = binary(r, "Mul", g, trust_ratio(r, g));
    gml_value *direction = g;
    if (options->momentum != 0) {
        gml_value *old =
            gml_trainer_state(r->o, "momentum_buffer", r->trained->weight, r->dtype);
        gml_value *moved = binary(r, "Mul", old, number(r, options->momentum));
        moved = binary(r, "Add", moved, g);
        direction = moved;
        if (options->nesterov && !is_lars) {
            direction = binary(r, "Mul", moved, number(r, options->momentum));
            direction = binary(r, "Add", g, direction);
        }
        store(r, old, moved);
    }
    gml_value *x = binary(r, "Mul", direction, shared(r, scaled(r, r->u->lr)));
    store(r, r->trained->weight, binary(r, "Sub", r->p, x));
}

/* ---- either ------------------------------------------------------------------------------ */

void gml_trainer_prepare(gml_trainer *o, gml_update *update, gml_value *n_updates)
{
    if (o->options.kind == GML_TRAINER_ADAMW)
        prepare_adamw(o, update, n_updates);
}

void gml_trainer_apply(gml_trainer *o, const gml_update *update, const gml_trained *trained,
                       gml_value *gradient)
{
    static const char *const parts[] = {"adamw", "sgd", "lars"};
    rule r = {.o = o, .u = update, .trained = trained};
    r.scope = gml_trainer_scope(o, trained->weight, parts[o->options.kind]);
    r.dtype = gml_trainer_dtype(trained->weight);
    r.p = gml_trainer_cast(o, r.scope, trained->weight, r.dtype);
    if (o->options.kind == GML_TRAINER_ADAMW)
        apply_adamw(&r, gradient);
    else
        apply_sgd(&r, gradient);
}
