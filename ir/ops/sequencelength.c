#include "ir/infer_host.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *item = NULL;
    GML_TRY(gml_infer_item(cx, 0, &item));
    return gml_infer_set(cx, 0, GML_I64, 0, NULL);
}

const gml_op_info gml_op_sequencelength = {
    .name = "SequenceLength",
    .doc = "The number of items.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .host = "sequencelength",
};
