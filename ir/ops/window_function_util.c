/* ir/ops/window_function_util.c - windows that are sums of cosines. */
#include "ir/ops/window_function_util.h"

#include "ir/ops/expect_util.h"

#define GML_TWO_PI 6.283185307179586476925286766559

const gml_attr_spec gml_window_function_attrs[] = {
    {"output_datatype", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"periodic", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

gml_status gml_window_function_infer(gml_infer *cx)
{
    GML_TRY(gml_infer_require(cx, 0, GML_IS_INT));
    gml_dim size;
    GML_TRY(gml_expect_size(cx, 0, &size));
    if (gml_dim_is_const(size) && size < 0)
        return gml_infer_fail(cx, GML_E_RANGE, "a window of %lld elements", (long long)size);
    int64_t number = gml_node_int(cx->node, "output_datatype", 1);
    gml_dtype dtype = number > 0 && number < GML_DTYPE_COUNT ? (gml_dtype)number : GML_NONE;
    if (!gml_dtype_is_float(dtype) && !gml_dtype_is_int(dtype))
        return gml_infer_fail(cx, GML_E_TYPE, "output_datatype %lld is no number",
                              (long long)number);
    return gml_infer_set(cx, 0, dtype, 1, &size);
}

const gml_expr *gml_window_function_lower(gml_lower *x, const gml_expr *position,
                                          const double *a)
{
    gml_dim size = x->node->results[0].type.dims[0];
    if (!gml_node_int(x->node, "periodic", 1))
        size = gml_dim_sub(x->kernel->dims, size, 1);
    const gml_expr *n = gml_cast(x, position, GML_F64);
    const gml_expr *whole = gml_cast(x, gml_size(x, size), GML_F64);
    const gml_expr *t = gml_div(x, gml_mul(x, n, gml_like(x, n, GML_TWO_PI)), whole);
    const gml_expr *sum = gml_like(x, n, 0);
    for (int k = 1; k <= 2; k++) {
        if (a[k] == 0)
            continue;
        const gml_expr *cosine =
            gml_unary(x, GML_X_COS, gml_mul(x, t, gml_like(x, n, (double)k)));
        sum = gml_add(x, sum, gml_mul(x, cosine, gml_like(x, n, a[k])));
    }
    sum = gml_add(x, sum, gml_like(x, n, a[0])); /* last: the middle is exactly 1 */
    return gml_cast(x, sum, gml_result_dtype(x, 0));
}
