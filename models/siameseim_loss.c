/* models/siameseim_loss.c - what is predicted, and the loss.
 *
 * With predictions P and targets T, rows of n tokens of E channels,
 *     pos = mean |P - T|^2,  C = T' T / n,  neg = mean P C P',  loss = (pos + lambda neg) / E.
 * No gradient goes through T or C. Since C is symmetric, the derivative of neg by P is 2 P C /
 * n: with P C, made for neg, taken as given, 2 lambda neg has it, and needs no product of its
 * own. So (pos + 2 lambda neg) / E is what is differentiated. The n x n matrix P C P' is never
 * made. */
#include "models/siameseim.h"

#include <math.h>

/* ---- targets ----------------------------------------------------------------------------- */

/* Rows of pixels with mean 0 and variance 1. */
static gml_value *standardise(gml_siam *s, gml_value *x)
{
    static const char scope[] = "target.standardise";
    double count = (double)(s->c.out - (s->c.biased ? 0 : 1));
    gml_value *mean = gml_siam_reduce(s, scope, "ReduceMean", x, -1, true);
    x = gml_siam_binary(s, scope, "Sub", x, mean);
    gml_value *variance = gml_siam_reduce(s, scope, "ReduceSumSquare", x, -1, true);
    variance = gml_siam_binary(s, scope, "Div", variance, gml_siam_number(s, count));
    variance = gml_siam_binary(s, scope, "Add", variance, gml_siam_number(s, 1e-6));
    return gml_siam_binary(s, scope, "Div", x, gml_siam_unary(s, scope, "Sqrt", variance));
}

static gml_value *unit_length(gml_siam *s, const char *scope, gml_value *x)
{
    gml_value *length = gml_siam_reduce(s, scope, "ReduceSumSquare", x, -1, true);
    length = gml_siam_unary(s, scope, "Sqrt", length);
    length = gml_siam_binary(s, scope, "Max", length, gml_siam_number(s, 1e-12));
    return gml_siam_binary(s, scope, "Div", x, length);
}

/* BatchNorm and unit length, of rows. */
static gml_value *moco_norm(gml_siam *s, const char *scope, gml_value *x)
{
    if (s->c.unit_first)
        x = unit_length(s, scope, x);
    x = gml_siam_plain_batch_norm(s, gml_scope_in(scope, "norm").text, x, s->c.out);
    return s->c.unit_first ? x : unit_length(s, scope, x);
}

/* The target branch's tokens (B, N, E), or one for each image (B, 1, E). */
static gml_value *target_features(gml_siam *s)
{
    const gml_siam_config *c = &s->c;
    s->is_target = true;
    gml_value *x = gml_siam_encode(s, c->same_view ? s->x1 : s->x2, NULL);
    if (c->mlp) {
        s->is_target = false;
        return x;
    }
    gml_siam_parameter(s, "mask_token", 3, (int64_t[]){1, 1, c->decoder_width},
                       gml_fill_constant(0)); /* follows, and serves nothing */
    bool first = c->global && c->by_class;
    x = gml_siam_slice(s, "target", x, 1,
                       (int64_t[]){first ? 0 : 1, first ? 1 : 1 + c->n_patches});
    s->is_target = false;
    return x;
}

gml_value *gml_siam_target(gml_siam *s)
{
    if (s->c.pixels)
        return gml_siam_patches(s, "target.patches", s->c.same_view ? s->x1 : s->x2, true);
    gml_value *target = target_features(s);
    s->given[s->n_given++] = target;
    return target;
}

/* ---- the loss ---------------------------------------------------------------------------- */

/* x (B, T, C) -> rows (n, C) that the loss compares */
static gml_value *rows_of(gml_siam *s, const char *scope, gml_value *x, bool is_target)
{
    const gml_siam_config *c = &s->c;
    if (c->global && !c->by_class && !c->mlp)
        x = gml_siam_reduce(s, scope, "ReduceMean", x, 1, false);
    x = gml_siam_reshape(s, scope, x, (int64_t[]){-1, c->out}, 2);
    if (c->moco)
        return moco_norm(s, scope, x);
    if (!is_target)
        return x;
    return c->pixels ? standardise(s, x) : gml_siam_plain_norm(s, "target.norm", x, c->out);
}

/* The mean of what each row contributes (n), over all rows or those of masked patches. */
static gml_value *mean_of(gml_siam *s, const char *scope, gml_value *rows, gml_value *masked)
{
    if (masked == NULL)
        return gml_siam_total(s, scope, "ReduceMean", rows);
    double n = (double)s->c.n_patches;
    double share = n / (n - (double)s->c.n_visible);
    rows = gml_siam_binary(s, scope, "Mul", rows, masked);
    rows = gml_siam_total(s, scope, "ReduceMean", rows);
    return gml_siam_binary(s, scope, "Mul", rows, gml_siam_number(s, share));
}

/* 1 for masked patches, 0 for others: (n) */
static gml_value *masked_rows(gml_siam *s)
{
    static const char scope[] = "loss.masked";
    gml_value *visible = gml_siam_is_visible(s, "loss.visible"); /* (B, V, N) */
    visible = gml_siam_reduce(s, scope, "ReduceSum", visible, 1, false);
    visible = gml_siam_reshape(s, scope, visible, (int64_t[]){-1}, 1);
    return gml_siam_binary(s, scope, "Sub", gml_siam_number(s, 1), visible);
}

/* C: (E, E), of this batch or averaged over steps */
static gml_value *correlate(gml_siam *s, gml_value *targets)
{
    static const char scope[] = "loss.correlation";
    const gml_siam_config *c = &s->c;
    gml_value *rows = gml_siam_count(s, "loss.rows", c->global ? 1 : c->n_patches);
    gml_value *turned = gml_siam_transpose(s, scope, targets, (int64_t[]){1, 0}, 2);
    gml_value *now = gml_siam_binary(s, scope, "MatMul", turned, targets);
    now = gml_siam_binary(s, scope, "Div", now, rows);
    if (c->correlation == 0)
        return now;
    gml_value *state = gml_builder_state(s->b, "correlation", c->dtype, 2,
                                         (int64_t[]){c->out, c->out}, gml_fill_constant(0));
    gml_value *old =
        gml_siam_binary(s, scope, "Mul", state, gml_siam_number(s, c->correlation));
    gml_value *more =
        gml_siam_binary(s, scope, "Mul", now, gml_siam_number(s, 1 - c->correlation));
    gml_value *is_first =
        gml_siam_binary(s, scope, "Equal", s->count.step, gml_siam_number_of(s, GML_I64, 0));
    gml_value *both = gml_siam_binary(s, scope, "Add", old, more);
    gml_value *value = gml_siam_where(s, scope, is_first, now, both);
    s->changes[s->n_changes++] = (gml_siam_change){state, value};
    return value;
}

/* mean of p C p' over rows p; P C is given from here on */
static gml_value *negatives(gml_siam *s, gml_value *p, gml_value *t, gml_value *masked)
{
    static const char scope[] = "loss.negative";
    gml_value *c = correlate(s, t);
    gml_value *product = gml_siam_binary(s, scope, "MatMul", p, c);
    s->given[s->n_given++] = product;
    gml_value *rows = gml_siam_binary(s, scope, "Mul", product, p);
    rows = gml_siam_reduce(s, scope, "ReduceSum", rows, -1, false);
    return mean_of(s, scope, rows, masked);
}

gml_value *gml_siam_weigh(gml_siam *s, const char *scope, double lambda)
{
    gml_value *sum = s->positive;
    if (s->negative != NULL) {
        gml_value *part =
            gml_siam_binary(s, scope, "Mul", s->negative, gml_siam_number(s, lambda));
        sum = gml_siam_binary(s, scope, "Add", sum, part);
    }
    double channels = s->c.divides ? (double)s->c.out : 1;
    return gml_siam_binary(s, scope, "Div", sum, gml_siam_number(s, channels));
}

void gml_siam_loss(gml_siam *s, gml_value *pred, gml_value *target)
{
    gml_value *p = rows_of(s, "pred", pred, false);
    gml_value *t = rows_of(s, "target.rows", target, true);
    gml_value *masked = s->c.masked_only ? masked_rows(s) : NULL;
    gml_value *rows = gml_siam_binary(s, "loss.positive", "Sub", p, t);
    rows = gml_siam_reduce(s, "loss.positive", "ReduceSumSquare", rows, -1, false);
    s->positive = mean_of(s, "loss.positive", rows, masked);
    if (!s->c.l2)
        s->negative = negatives(s, p, t, masked);
    gml_builder_output(s->b, gml_siam_weigh(s, "loss", s->c.lambda), "loss");
    gml_builder_output(s->b, s->positive, "pos");
    if (s->negative != NULL)
        gml_builder_output(s->b, s->negative, "neg");
    gml_builder_output(s->b, pred, "pred");
    gml_builder_output(s->b, target, "target");
}
