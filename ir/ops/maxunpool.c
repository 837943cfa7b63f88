#include "ir/grad.h"
#include "ir/infer_host.h"
#include "ir/ops/build_util.h"

static const gml_attr_spec attrs[] = {
    {"kernel_shape", GML_ATTR_INTS, GML_ATTR_REQUIRED},
    {"pads", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"strides", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {NULL},
};

/* (size - 1) * stride - pads + kernel. */
static gml_dim unpooled(gml_infer *cx, gml_dim size, unsigned i, unsigned n)
{
    size_t n_kernel = 0;
    size_t n_strides = 0;
    size_t n_pads = 0;
    const int64_t *kernel = gml_node_ints(cx->node, "kernel_shape", &n_kernel);
    const int64_t *strides = gml_node_ints(cx->node, "strides", &n_strides);
    const int64_t *pads = gml_node_ints(cx->node, "pads", &n_pads);
    gml_dim steps = gml_dim_sub(cx->dims, size, 1);
    if (n_strides == n)
        steps = gml_dim_mul(cx->dims, steps, strides[i]);
    steps = gml_dim_add(cx->dims, steps, kernel[i]);
    if (n_pads == 2 * (size_t)n) {
        steps = gml_dim_sub(cx->dims, steps, pads[i]);
        steps = gml_dim_sub(cx->dims, steps, pads[n + i]);
    }
    return steps;
}

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FLOATS));
    GML_TRY(gml_infer_expect(cx, 1, GML_SET(I64)));
    GML_TRY(gml_infer_expect(cx, 2, GML_SET(I64)));
    const gml_type *x = NULL;
    GML_TRY(gml_infer_tensor(cx, 0, &x));
    size_t n_kernel = 0;
    const int64_t *kernel = gml_node_ints(cx->node, "kernel_shape", &n_kernel);
    if (x->rank < 3 || n_kernel != (size_t)x->rank - 2)
        return gml_infer_fail(cx, GML_E_SHAPE, "kernel_shape has %zu entries for rank %d",
                              n_kernel, x->rank);
    gml_dim dims[GML_MAX_RANK] = {x->dims[0], x->dims[1]};
    for (unsigned i = 0; i < n_kernel; i++) {
        if (kernel[i] <= -GML_DIM_LIMIT || kernel[i] >= GML_DIM_LIMIT)
            return gml_infer_fail(cx, GML_E_RANGE, "kernel_shape %u is out of range", i);
        dims[i + 2] = unpooled(cx, x->dims[i + 2], i, (unsigned)n_kernel);
    }
    for (int d = 0; d < x->rank && gml_has_operand(cx->node, 2); d++)
        dims[d] = gml_infer_size(cx, 2, (size_t)d, "unpooled");
    return gml_infer_set(cx, 0, x->dtype, x->rank, dims);
}

/* A scatter into a row of zeros, in the shape that the kernel implies, which is then the origin
 * of the result. */
static gml_value *formula(gml_grad *g, gml_value *const *operands)
{
    gml_build *b = &g->b;
    gml_module *module = g->node->graph->module;
    gml_infer cx = {.node = g->node,
                    .module = module,
                    .arena = &module->arena,
                    .dims = &module->dims,
                    .diags = b->diags};
    const gml_type *x = &operands[0]->type;
    gml_dim dims[GML_MAX_RANK] = {x->dims[0], x->dims[1]};
    gml_dim all = gml_type_numel(&module->dims, x);
    gml_dim inner = gml_dim_mul(&module->dims, dims[0], dims[1]);
    for (int d = 2; d < x->rank; d++) {
        dims[d] = unpooled(&cx, x->dims[d], (unsigned)d - 2, (unsigned)x->rank - 2);
        inner = gml_dim_mul(&module->dims, inner, dims[d]);
    }
    gml_value *parts[3] = {gml_build_zeros(b, x->dtype, &inner, 1),
                           gml_build_reshape(b, operands[1], &all, 1),
                           gml_build_reshape(b, operands[0], &all, 1)};
    gml_value *y = gml_build_op(b, &gml_op_scatterelements, parts, 3, NULL, 0);
    y = gml_build_reshape(b, y, dims, (size_t)x->rank);
    for (int d = 0; d < x->rank; d++)
        y = gml_build_resized(b, y, d, g->node->results[0].type.dims[d]);
    return y;
}

static gml_status grad(gml_grad *g)
{
    return gml_grad_by_formula(g, formula);
}

const gml_op_info gml_op_maxunpool = {
    .name = "MaxUnpool",
    .doc = "Pooled elements put back where MaxPool found them, zeros elsewhere.",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "maxunpool",
};
