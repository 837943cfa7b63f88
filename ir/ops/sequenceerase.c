#include "ir/infer_host.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *item = NULL;
    GML_TRY(gml_infer_item(cx, 0, &item));
    GML_TRY(gml_infer_expect(cx, 1, GML_SET_INDEX));
    return gml_infer_same(cx);
}

const gml_op_info gml_op_sequenceerase = {
    .name = "SequenceErase",
    .doc = "The sequence with one item less.",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .host = "sequenceerase",
};
