/* ir/eval_size.c - the value of one integer expression, as a size: constants are computed,
 * symbols kept. */
#include "ir/eval.h"
#include "ir/scalar.h"

typedef struct sizing {
    gml_kernel *kernel;
    gml_size_of_load load;
    void *context;
    unsigned budget;
} sizing;

static const gml_expr *known(sizing *s, const gml_expr *expr);

static const gml_expr *known_load(sizing *s, const gml_expr *expr)
{
    int64_t index[GML_MAX_RANK];
    gml_dim value = 0;
    if (expr->as.load.pred) {
        const gml_expr *pred = known(s, expr->as.load.pred);
        if (!pred || pred->kind != GML_EXPR_CONST)
            return NULL;
        if (!pred->as.cst.i)
            return gml_expr_int(s->kernel, expr->dtype, 0);
    }
    for (int d = 0; d < expr->as.load.mem->rank; d++) {
        const gml_expr *at = known(s, expr->as.load.index[d]);
        if (!at || at->kind != GML_EXPR_CONST)
            return NULL;
        index[d] = at->as.cst.i;
    }
    if (!s->load(s->context, expr->as.load.mem, index, &value))
        return NULL;
    /* sizes stay sizes whatever integer type carries them */
    return gml_dim_is_const(value) ? gml_expr_int(s->kernel, expr->dtype, value)
                                   : gml_expr_dim(s->kernel, value);
}

static const gml_expr *known_scalar(sizing *s, const gml_expr *expr)
{
    const gml_expr *args[3] = {NULL, NULL, NULL};
    if (expr->as.scalar.op == GML_X_SELECT) {
        const gml_expr *cond = known(s, expr->as.scalar.args[0]);
        if (!cond || cond->kind != GML_EXPR_CONST)
            return NULL;
        return known(s, expr->as.scalar.args[cond->as.cst.i ? 1 : 2]);
    }
    bool symbolic = false;
    for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++) {
        args[i] = known(s, expr->as.scalar.args[i]);
        if (!args[i])
            return NULL;
        symbolic = symbolic || args[i]->kind == GML_EXPR_DIM;
    }
    if (!symbolic)
        return gml_expr_scalar(s->kernel, expr->as.scalar.op, expr->dtype,
                               expr->as.scalar.flags, args);
    if (expr->as.scalar.op == GML_X_CAST)
        return gml_dtype_lanes(expr->dtype) == GML_LANE_I64 ? args[0] : NULL;
    const gml_expr *result =
        gml_expr_scalar(s->kernel, expr->as.scalar.op, expr->dtype, 0, args);
    return result->kind == GML_EXPR_CONST || result->kind == GML_EXPR_DIM ? result : NULL;
}

/* A sum or product over a few values of one axis. */
static const gml_expr *known_reduce(sizing *s, const gml_expr *expr)
{
    const gml_axis *axis = expr->as.reduce.axes[0];
    if (expr->as.reduce.n_axes != 1 || !gml_dim_is_const(axis->extent) || axis->extent > 64)
        return NULL;
    gml_scalar_op op = GML_X_ADD;
    if (expr->as.reduce.op == GML_REDUCE_PROD)
        op = GML_X_MUL;
    else if (expr->as.reduce.op != GML_REDUCE_SUM)
        return NULL;
    const gml_expr *total = gml_expr_int(s->kernel, expr->dtype, op == GML_X_MUL);
    for (int64_t i = 0; i < axis->extent && total; i++) {
        const gml_expr *value = gml_expr_int(s->kernel, GML_I64, i);
        const gml_expr *args[3] = {
            total,
            known(s, gml_expr_substitute(s->kernel, expr->as.reduce.body, &axis, &value, 1)),
            NULL};
        total = args[1] ? gml_expr_scalar(s->kernel, op, expr->dtype, 0, args) : NULL;
    }
    return total;
}

static const gml_expr *known(sizing *s, const gml_expr *expr)
{
    if (s->budget == 0)
        return NULL;
    s->budget--;
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM: return expr;
    case GML_EXPR_AXIS: return NULL;
    case GML_EXPR_LOAD: return known_load(s, expr);
    case GML_EXPR_SCALAR: return known_scalar(s, expr);
    case GML_EXPR_REDUCE: return known_reduce(s, expr);
    }
    return NULL;
}

bool gml_expr_to_dim(gml_kernel *kernel, const gml_expr *expr, gml_size_of_load load,
                     void *context, gml_dim *out_dim)
{
    sizing s = {kernel, load, context, 4096};
    const gml_expr *value = known(&s, expr);
    if (!value || (value->kind != GML_EXPR_CONST && value->kind != GML_EXPR_DIM) ||
        gml_dtype_lanes(value->dtype) != GML_LANE_I64)
        return false;
    *out_dim = value->kind == GML_EXPR_DIM ? value->as.dim : value->as.cst.i;
    return value->kind == GML_EXPR_DIM || gml_dim_is_const(*out_dim);
}
