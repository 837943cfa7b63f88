/* ir/ops/scatter_grad_util.c - gradients of scatters.
 *
 * What an element of the result is made of decides:
 *   none      the last update that goes there, if any does, else the data
 *   add       each gets the gradient
 *   mul       each gets it times the product of the others
 *   max, min  those that are the extreme share it */
#include "ir/ops/scatter_grad_util.h"

#include "ir/ops/build_util.h"

typedef struct scattering {
    gml_grad *g;
    gml_value *data, *updates, *dy;
    gml_gather gather;
    gml_scatter scatter;
} scattering;

/* Updates number themselves, and see which number stays. */
static void grad_of_none(const scattering *s)
{
    gml_build *b = &s->g->b;
    gml_dim all = gml_type_numel(&b->graph->module->dims, &s->updates->type);
    gml_value *zeros = gml_grad_zeros_like(b, s->updates);
    gml_value *numbers = gml_grad_reshape_like(b, gml_build_range(b, all), s->updates);
    gml_value *nothing = gml_build_cast(b, gml_grad_zeros_like(b, s->data), GML_I64);
    gml_value *last = s->gather(s->g, s->scatter(s->g, nothing, numbers, "none"));
    gml_value *stays = gml_build_binary(b, &gml_op_equal, last, numbers);
    s->g->operands[0] = s->scatter(s->g, s->dy, zeros, "none");
    s->g->operands[2] = gml_build_where(b, stays, s->gather(s->g, s->dy),
                                        gml_build_scalar(b, zeros->type.dtype, 0));
}

static void grad_of_add(const scattering *s)
{
    s->g->operands[0] = s->dy;
    s->g->operands[2] = s->gather(s->g, s->dy);
}

/* `x` is one of the factors: the product of the others, from that of all that are not zero and
 * the number of those that are. */
static gml_value *others(gml_build *b, gml_value *x, gml_value *product, gml_value *n_zeros)
{
    gml_dtype dtype = x->type.dtype;
    gml_value *zero = gml_build_scalar(b, dtype, 0);
    gml_value *one = gml_build_scalar(b, dtype, 1);
    gml_value *is_zero = gml_build_binary(b, &gml_op_equal, x, zero);
    gml_value *rest =
        gml_build_sub(b, n_zeros, gml_build_where(b, is_zero, one, zero)); /* of the others */
    gml_value *free = gml_build_binary(b, &gml_op_equal, rest, zero);
    gml_value *quotient = gml_build_div(b, product, gml_build_where(b, is_zero, one, x));
    return gml_build_where(b, free, quotient, zero);
}

static gml_value *nonzero(gml_build *b, gml_value *x, bool flags)
{
    gml_dtype dtype = x->type.dtype;
    gml_value *zero = gml_build_scalar(b, dtype, 0);
    gml_value *one = gml_build_scalar(b, dtype, 1);
    gml_value *is_zero = gml_build_binary(b, &gml_op_equal, x, zero);
    return gml_build_where(b, is_zero, one, flags ? zero : x);
}

static void grad_of_mul(const scattering *s)
{
    gml_build *b = &s->g->b;
    gml_value *product =
        s->scatter(s->g, nonzero(b, s->data, false), nonzero(b, s->updates, false), "mul");
    gml_value *n_zeros =
        s->scatter(s->g, nonzero(b, s->data, true), nonzero(b, s->updates, true), "add");
    s->g->operands[0] = gml_build_mul(b, s->dy, others(b, s->data, product, n_zeros));
    gml_value *rest = others(b, s->updates, s->gather(s->g, product), s->gather(s->g, n_zeros));
    s->g->operands[2] = gml_build_mul(b, s->gather(s->g, s->dy), rest);
}

static void grad_of_extreme(const scattering *s)
{
    gml_build *b = &s->g->b;
    gml_value *y = &s->g->node->results[0];
    gml_dtype dtype = y->type.dtype;
    gml_value *kept = gml_build_binary(b, &gml_op_equal, s->data, y);
    gml_value *taken = gml_build_binary(b, &gml_op_equal, s->updates, s->gather(s->g, y));
    kept = gml_build_cast(b, kept, dtype);
    taken = gml_build_cast(b, taken, dtype);
    gml_value *share = gml_build_div(b, s->dy, s->scatter(s->g, kept, taken, "add"));
    s->g->operands[0] = gml_build_mul(b, share, kept);
    s->g->operands[2] = gml_build_mul(b, s->gather(s->g, share), taken);
}

gml_status gml_grad_of_scatter(gml_grad *g, gml_gather gather, gml_scatter scatter)
{
    scattering s = {.g = g,
                    .data = g->node->operands[0],
                    .updates = g->node->operands[2],
                    .dy = g->results[0],
                    .gather = gather,
                    .scatter = scatter};
    if (s.data->type.rank < 0 || s.updates->type.rank < 0)
        return gml_fail(g->b.diags, GML_E_UNSUPPORTED, g->node->loc,
                        "the gradient needs ranks that are known when compiling");
    if (gml_node_string_is(g->node, "reduction", "add"))
        grad_of_add(&s);
    else if (gml_node_string_is(g->node, "reduction", "mul"))
        grad_of_mul(&s);
    else if (gml_node_string_is(g->node, "reduction", "none"))
        grad_of_none(&s);
    else
        grad_of_extreme(&s);
    return g->b.status;
}
