/* frontend/opset_age.c - since which operator set a node may be written as it is.
 *
 * One row a word that is newer than GML_OPSET_OLDEST_WRITTEN: an operator in its present form,
 * an attribute, or operands beyond a number. A node needs the newest of the rows that fit it.
 */
#include "frontend/opset.h"
#include "ir/op.h"

#include <string.h>

typedef struct age_row {
    const char *op;
    int64_t since;
    const char *attr;    /* NULL: the row is not about an attribute */
    uint32_t n_operands; /* fits nodes with more operands than this */
} age_row;

static const age_row rows[] = {
    {"AffineGrid", 20},
    {"Attention", 23},
    {"Attention", 24, NULL, 6},
    {"AveragePool", 19, "dilations"},
    {"BitCast", 26},
    {"BitwiseAnd", 18},
    {"BitwiseNot", 18},
    {"BitwiseOr", 18},
    {"BitwiseXor", 18},
    {"Cast", 19, "saturate"},
    {"Cast", 24, "round_mode"},
    {"CastLike", 19, "saturate"},
    {"CastLike", 24, "round_mode"},
    {"CausalConvWithState", 27},
    {"CenterCropPad", 18},
    {"Col2Im", 18},
    {"CumProd", 26},
    {"DFT", 20},
    {"DeformConv", 19},
    {"DequantizeLinear", 21, "block_size"},
    {"DequantizeLinear", 23, "output_dtype"},
    {"Gelu", 20},
    {"GridSample", 20},
    {"GroupNormalization", 21},
    {"ImageDecoder", 20},
    {"LinearAttention", 27},
    {"LpPool", 18, "ceil_mode"},
    {"LpPool", 18, "dilations"},
    {"Mish", 18},
    {"OptionalGetElement", 18},
    {"OptionalHasElement", 18},
    {"Pad", 18, NULL, 3},
    {"QuantizeLinear", 19, "saturate"},
    {"QuantizeLinear", 21, "block_size"},
    {"QuantizeLinear", 21, "output_dtype"},
    {"QuantizeLinear", 23, "precision"},
    {"RMSNormalization", 23},
    {"Range", 27, "stash_type"},
    {"ReduceL1", 18},
    {"ReduceL2", 18},
    {"ReduceLogSum", 18},
    {"ReduceLogSumExp", 18},
    {"ReduceMax", 18},
    {"ReduceMean", 18},
    {"ReduceMin", 18},
    {"ReduceProd", 18},
    {"ReduceSumSquare", 18},
    {"RegexFullMatch", 20},
    {"Resize", 18, "antialias"},
    {"Resize", 18, "axes"},
    {"Resize", 18, "keep_aspect_ratio_policy"},
    {"RotaryEmbedding", 23},
    {"Split", 18, "num_outputs"},
    {"StringConcat", 20},
    {"StringSplit", 20},
    {"Swish", 24},
    {"TensorScatter", 24},
};

static bool row_fits(const age_row *row, const gml_node *node)
{
    if (strcmp(row->op, node->op->name) != 0)
        return false;
    if (row->attr != NULL)
        return gml_node_find_attr(node, row->attr) != NULL;
    return row->n_operands == 0 || node->n_operands > row->n_operands;
}

int64_t gml_opset_of_node(const gml_node *node)
{
    int64_t needed = GML_OPSET_OLDEST_WRITTEN;
    if (node->op->domain != NULL)
        return needed;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].since > needed && row_fits(&rows[i], node))
            needed = rows[i].since;
    return needed;
}

/* The releases of ONNX brought them in this order: 17 with 8, then two sets a version, 23 and
 * 24 with one of their own. */
int64_t gml_opset_ir_version(int64_t opset)
{
    if (opset <= 22)
        return 8 + (opset > 18) + (opset > 20);
    return opset == 23 ? 11 : opset == 24 ? 12 : 13;
}
