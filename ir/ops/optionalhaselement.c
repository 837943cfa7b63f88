#include "ir/infer_host.h"

static gml_status infer(gml_infer *cx)
{
    return gml_infer_set(cx, 0, GML_BOOL, 0, NULL);
}

const gml_op_info gml_op_optionalhaselement = {
    .name = "OptionalHasElement",
    .doc = "Whether an optional has an element.",
    .min_in = 0,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .host = "optionalhaselement",
};
