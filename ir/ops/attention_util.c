/* ir/ops/attention_util.c - products of attention with grouped heads. */
#include "ir/ops/attention_util.h"

#include "ir/ops/build_util.h"

#include <math.h>

/* (B, Hq, X, Y) as (B, Hkv, Hq / Hkv, X, Y) */
static gml_value *grouped(gml_build *b, gml_value *x, gml_dim n_groups)
{
    gml_dim_pool *pool = &b->graph->module->dims;
    gml_dim dims[] = {gml_value_dim(x, 0), n_groups,
                      gml_dim_div(pool, gml_value_dim(x, 1), n_groups), gml_value_dim(x, 2),
                      gml_value_dim(x, 3)};
    return gml_build_reshape(b, x, dims, 5);
}

/* a (B, Hq, M, K) times c (B, Hkv, K, N) */
static gml_value *grouped_product(gml_build *b, gml_value *a, gml_value *c)
{
    static const int64_t group_axis[] = {2};
    gml_dim n_heads = gml_value_dim(a, 1);
    gml_dim n_groups = gml_value_dim(c, 1);
    if (n_heads == n_groups)
        return gml_build_matmul(b, a, c);
    gml_dim dims[] = {gml_value_dim(a, 0), n_heads, gml_value_dim(a, 2), gml_value_dim(c, 3)};
    gml_value *product =
        gml_build_matmul(b, grouped(b, a, n_groups), gml_build_unsqueeze(b, c, group_axis, 1));
    return gml_build_reshape(b, product, dims, 4);
}

gml_value *gml_attention_scores(gml_build *b, gml_value *q, gml_value *k, double scale)
{
    static const int64_t swap[] = {0, 1, 3, 2};
    double root = sqrt(scale);
    gml_value *keys = gml_build_transpose(b, gml_build_mul_scalar(b, k, root), swap, 4);
    return grouped_product(b, gml_build_mul_scalar(b, q, root), keys);
}

gml_value *gml_attention_apply(gml_build *b, gml_value *probabilities, gml_value *v)
{
    return grouped_product(b, probabilities, v);
}

gml_value *gml_heads_split(gml_build *b, gml_value *x, int64_t n_heads)
{
    static const int64_t heads_first[] = {0, 2, 1, 3};
    gml_dim_pool *pool = &b->graph->module->dims;
    gml_dim dims[] = {gml_value_dim(x, 0), gml_value_dim(x, 1), n_heads,
                      gml_dim_div(pool, gml_value_dim(x, 2), n_heads)};
    return gml_build_transpose(b, gml_build_reshape(b, x, dims, 4), heads_first, 4);
}

gml_value *gml_heads_join(gml_build *b, gml_value *x)
{
    static const int64_t heads_last[] = {0, 2, 1, 3};
    gml_dim_pool *pool = &b->graph->module->dims;
    gml_dim dims[] = {gml_value_dim(x, 0), gml_value_dim(x, 2),
                      gml_dim_mul(pool, gml_value_dim(x, 1), gml_value_dim(x, 3))};
    return gml_build_reshape(b, gml_build_transpose(b, x, heads_last, 4), dims, 3);
}

gml_status gml_attention_scale(gml_expand *cx, gml_dim head_size, float unset,
                               double *out_scale)
{
    *out_scale = (double)gml_node_float(cx->node, "scale", unset);
    if (gml_node_find_attr(cx->node, "scale") && *out_scale != (double)unset)
        return GML_OK;
    if (!gml_dim_is_const(head_size) || head_size < 1)
        return gml_fail(cx->diags, GML_E_UNSUPPORTED, cx->node->loc,
                        "the head size is not known, and there is no scale");
    *out_scale = 1.0 / sqrt((double)head_size);
    return GML_OK;
}
