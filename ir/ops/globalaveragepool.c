/* ir/ops/globalaveragepool.c - GlobalAveragePool: the mean of every channel. */
#include "ir/ops/global_util.h"

static gml_status expand(gml_expand *cx)
{
    gml_build b = gml_build_expand(cx);
    cx->results[0] = gml_global_build(&b, &gml_op_reducemean, cx->node->operands[0]);
    return b.status;
}

const gml_op_info gml_op_globalaveragepool = {
    .name = "GlobalAveragePool",
    .doc = "The mean of every channel.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .infer = gml_global_infer,
    .expand = expand,
};
