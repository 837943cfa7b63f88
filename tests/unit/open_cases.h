/* tests/unit/open_cases.h - graphs with open sizes: a line or more for each operator that takes
 * sizes to be equal, multiples of others, or not 0. */
#ifndef GML_TESTS_OPEN_CASES_H
#define GML_TESTS_OPEN_CASES_H

#include <stdint.h>

/* "f32[n] f32[m]", named %a, %b, …; the body gives %y. */
typedef struct open_case {
    const char *params;
    const char *body;
    const int64_t *sizes; /* that symbols take, then -1 */
} open_case;

static const int64_t usual_sizes[] = {1, 2, 3, 4, 0, -1};
static const int64_t some_sizes[] = {1, 2, 3, 4, -1};     /* where 0 is another matter */
static const int64_t shape_sizes[] = {1, 2, 3, 4, 0, -1}; /* of a shape: 0 would copy a size */
static const int64_t large_sizes[] = {1, 7, 16, 33, -1};

static const open_case cases[] = {
    /* broadcasting */
    {"f32[n] f32[m]", "%y = Add(%a, %b)", usual_sizes},
    {"f32[n] f32[3]", "%y = Mul(%a, %b)", usual_sizes},
    {"f32[n] f32[m]", "%y = Add(%a, %b)", large_sizes},
    {"f32[n,k] f32[m]", "%t = Sub(%a, %b)\n%y = Tanh(%t)", usual_sizes},
    {"f32[n] f32[m] f32[k]", "%s = Add(%a, %b)\n%t = Add(%s, %c)\n%y = Relu(%t)", usual_sizes},
    {"bool[n] f32[m] f32[k]", "%y = Where(%a, %b, %c)", usual_sizes},
    {"f32[n] f32[m] f32[k]", "%y = Max(%a, %b, %c)", usual_sizes},
    {"f32[n] f32[m]", "%y = Less(%a, %b)", usual_sizes},
    {"f32[2,n,3] f32[m,1]", "%y = PRelu(%a, %b)", usual_sizes},
    {"f32[n] f32[m]", "%s = Shape(%b)\n%y = Expand(%a, %s)", usual_sizes},
    {"f32[n,1] f32[1,m]", "%y = Mul(%a, %b)", usual_sizes},
    /* joining, splitting, moving */
    {"f32[n,2] f32[m,2]", "%y = Concat(%a, %b) {axis = 1}", usual_sizes},
    {"f32[n,k] f32[m,k]", "%y = Concat(%a, %b) {axis = 0}", usual_sizes},
    {"f32[n] f32[m]", "%y, %z = Split(%a) {num_outputs = 2}", usual_sizes},
    {"f32[n]", "%s = Constant {value = [2, 1]} : i64[2]\n%y, %z = Split(%a, %s)", usual_sizes},
    {"f32[n]", "%s = Constant {value = [-1, 2]} : i64[2]\n%y = Reshape(%a, %s)", usual_sizes},
    {"f32[n,2]", "%s = Constant {value = [2, 3]} : i64[2]\n%y = Reshape(%a, %s)", usual_sizes},
    {"f32[n,3] f32[m]", "%s = Shape(%b)\n%y = Reshape(%a, %s)", shape_sizes},
    {"f32[n,m] f32[k,j]", "%s = Shape(%b)\n%y = Reshape(%a, %s)", shape_sizes},
    {"f32[n,3]", "%x = Constant {value = [0]} : i64[1]\n%y = Squeeze(%a, %x)", usual_sizes},
    {"f32[n,2] i64[m]", "%y = Gather(%a, %b)", usual_sizes},
    {"f32[n,2] i64[m,k]", "%y = GatherElements(%a, %b)", usual_sizes},
    {"f32[n,2] i64[m,k]", "%y = GatherElements(%a, %b) {axis = 1}", usual_sizes},
    {"f32[n,2] i64[m,1,1]", "%y = GatherND(%a, %b) {batch_dims = 1}", usual_sizes},
    {"f32[n,2] i64[m,2] f32[k,2]", "%y = ScatterElements(%a, %b, %c)", usual_sizes},
    {"f32[n,2] i64[m,1] f32[k,2]", "%y = ScatterND(%a, %b, %c)", usual_sizes},
    {"f32[2,n] i64[m]", "%y = ReverseSequence(%a, %b) {batch_axis = 1, time_axis = 0}",
     usual_sizes},
    {"f32[n]",
     "%s = Constant {value = [1]} : i64[1]\n%e = Constant {value = [3]} : i64[1]\n"
     "%y = Slice(%a, %s, %e)",
     usual_sizes},
    {"f32[n]", "%p = Constant {value = [-2, 0]} : i64[2]\n%y = Pad(%a, %p)", usual_sizes},
    {"f32[n]", "%p = Constant {value = [1, 2]} : i64[2]\n%y = Pad(%a, %p) {mode = \"edge\"}",
     usual_sizes},
    {"f32[n]", "%p = Constant {value = [1, 2]} : i64[2]\n%y = Pad(%a, %p) {mode = \"wrap\"}",
     usual_sizes},
    {"f32[n] f32[m]", "%s = Shape(%b)\n%y = CenterCropPad(%a, %s)", usual_sizes},
    {"f32[1,n,2,2]", "%y = DepthToSpace(%a) {blocksize = 2}", usual_sizes},
    {"f32[1,1,n,2]", "%y = SpaceToDepth(%a) {blocksize = 2}", usual_sizes},
    {"f32[n,2] f32[m]",
     "%s = Constant {value = [-1]} : i64[1]\n%r = Reshape(%a, %s)\n%t = Add(%r, %b)\n"
     "%y = ReduceSum(%t) {keepdims = 0}",
     usual_sizes},
    {"f32[n] f32[m]", "%t = Add(%a, %b)\n%y = Shape(%t)", usual_sizes},
    /* products */
    {"f32[2,n] f32[m,3]", "%y = MatMul(%a, %b)", usual_sizes},
    {"f32[n,k] f32[m,j]", "%y = MatMul(%a, %b)", large_sizes},
    {"f32[n,2,3] f32[m,3,2]", "%y = MatMul(%a, %b)", usual_sizes},
    {"f32[n] f32[m]", "%y = MatMul(%a, %b)", usual_sizes},
    {"f32[2,n] f32[m,3] f32[k]", "%y = Gemm(%a, %b, %c)", usual_sizes},
    {"f32[n,2] f32[m,3] f32[k,j]", "%y = Gemm(%a, %b, %c) {transA = 1}", usual_sizes},
    {"f32[n,k] f32[m,j]", "%y = Einsum(%a, %b) {equation = \"ij,jk->ik\"}", usual_sizes},
    {"f32[n,m]", "%y = Einsum(%a) {equation = \"ii->i\"}", usual_sizes},
    {"i8[2,n] i8[m,3]", "%y = MatMulInteger(%a, %b)", usual_sizes},
    /* windows */
    {"f32[1,n,5] f32[2,m,3] f32[k]", "%y = Conv(%a, %b, %c)", usual_sizes},
    {"f32[1,2,n] f32[2,2,m]", "%y = Conv(%a, %b)", usual_sizes},
    {"f32[1,2,5] f32[2,2,m]", "%y = Conv(%a, %b) {kernel_shape = [3]}", usual_sizes},
    {"f32[1,n,4] f32[m,1,3]", "%y = Conv(%a, %b) {group = 2}", usual_sizes},
    {"f32[1,n,3] f32[m,2,2] f32[k]", "%y = ConvTranspose(%a, %b, %c)", usual_sizes},
    {"f32[1,1,n]", "%y = MaxPool(%a) {kernel_shape = [3]}", usual_sizes},
    {"f32[1,1,n]", "%y = AveragePool(%a) {kernel_shape = [2], strides = [2]}", usual_sizes},
    /* normalisations, losses, attention */
    {"f32[2,n] f32[m] f32[k]", "%y = LayerNormalization(%a, %b, %c)", usual_sizes},
    {"f32[2,n,2] f32[m] f32[k]", "%y = InstanceNormalization(%a, %b, %c)", usual_sizes},
    {"f32[1,n,2] f32[m] f32[k]", "%y = GroupNormalization(%a, %b, %c) {num_groups = 2}",
     usual_sizes},
    {"f32[2,n,2] f32[m] f32[k] f32[j] f32[2]", "%y = BatchNormalization(%a, %b, %c, %d, %e)",
     usual_sizes},
    {"f32[n,3] i64[m]", "%y = SoftmaxCrossEntropyLoss(%a, %b) {reduction = \"none\"}",
     usual_sizes},
    {"f32[n,3] i64[m] f32[k]",
     "%y = NegativeLogLikelihoodLoss(%a, %b, %c) {reduction = \"none\"}", usual_sizes},
    {"f32[1,2,2,n] f32[1,2,m,n] f32[1,2,k,n]", "%y = Attention(%a, %b, %c) {scale = 0.5}",
     usual_sizes},
    {"f32[1,n,2,4] f32[1,m,3,4] f32[1,m,3,4]", "%y = Attention(%a, %b, %c)", usual_sizes},
    {"f32[1,2,n] f32[1,m,k] f32[1,m,n]",
     "%y = Attention(%a, %b, %c) {q_num_heads = 2, kv_num_heads = 2, scale = 0.5}",
     usual_sizes},
    {"f32[1,2,2,4] f32[1,2,n,4] f32[1,2,n,4] f32[2,m]", "%y = Attention(%a, %b, %c, %d)",
     some_sizes},
    {"f32[n,1,2] f32[1,m,2] f32[1,2,2]", "%y = RNN(%a, %b, %c) {hidden_size = 2}", some_sizes},
    {"f32[n,3] f32[m]",
     "%z = Constant {value = [3]} : u8[]\n%y = QuantizeLinear(%a, %b, %z) "
     "{axis = 0}",
     usual_sizes},
    {"f32[n,1,2,2] f32[m,2,2,2]", "%y = GridSample(%a, %b)", usual_sizes},
    {"f32[1,1,n,m] f32[1,2,2,2]", "%y = GridSample(%a, %b) {padding_mode = \"border\"}",
     usual_sizes},
    /* whatever else has several operands */
    {"i64[n] f32[m]", "%d = Constant {value = [3]} : i64[]\n%y = OneHot(%a, %d, %b)",
     usual_sizes},
    {"f32[n,3,2] f32[m,1,2] i64[k]", "%y = TensorScatter(%a, %b, %c)", usual_sizes},
    {"f32[n,3,2] f32[2,m,2]", "%y = TensorScatter(%a, %b)", usual_sizes},
    {"f32[2,n] f32[m]", "%y = RMSNormalization(%a, %b)", usual_sizes},
    {"f32[1,2,n,4] f32[1,m,2] f32[1,k,2]", "%y = RotaryEmbedding(%a, %b, %c)", usual_sizes},
    {"f32[1,2,n,4] f32[3,2] f32[m,2] i64[1,k]", "%y = RotaryEmbedding(%a, %b, %c, %d)",
     usual_sizes},
    {"f32[n,3,4] f32[m,3,4] f32[k,3,4]",
     "%y = LinearAttention(%a, %b, %c) {kv_num_heads = 2, q_num_heads = 2, "
     "update_rule = \"linear\"}",
     some_sizes},
    {"f32[n,m,5] f32[2,1,3] f32[k]", "%y = CausalConvWithState(%a, %b, %c)", some_sizes},
    {"f32[1,n,2,4] f32[1,m,3,4] f32[1,m,k,4]", "%y = ai.onnx.preview.FlexAttention(%a, %b, %c)",
     some_sizes},
    {"f32[1,n,m]",
     "%i = Constant {value = [3, 3]} : i64[2]\n%k = Constant {value = [2, 2]} : i64[2]\n"
     "%y = Col2Im(%a, %i, %k)",
     usual_sizes},
    {"f32[n,2,3]", "%s = Constant {value = [2, 1, 2, 2]} : i64[4]\n%y = AffineGrid(%a, %s)",
     usual_sizes},
    {"f32[1,n,3,3] f32[1,m,2,2] f32[1,8,k,2]", "%y = DeformConv(%a, %b, %c)", usual_sizes},
    {"f32[1,1,n,2] i64[1,1,m,2]",
     "%y = MaxUnpool(%a, %b) {kernel_shape = [2, 2], "
     "strides = [2, 2]}",
     usual_sizes},
    {"f32[1,1,n,4] f32[m,4] i64[k]", "%y = RoiAlign(%a, %b, %c)", usual_sizes},
    {"f32[1,n,1] f32[m]", "%s = Constant {value = [2]} : i64[]\n%y = STFT(%a, %s, %b)",
     usual_sizes},
    {"f32[1,n,1]", "%y = DFT(%a) {onesided = 1}", some_sizes},
    {"f32[2,n,3] f32[1,6,m] f32[1,6,2] f32[k,12]", "%y = GRU(%a, %b, %c, %d) {hidden_size = 2}",
     some_sizes},
    {"f32[2,n,3] f32[1,8,3] f32[1,8,2] f32[1,m,2]",
     "%y = LSTM(%a, %b, %c, _, _, %d) {hidden_size = 2}", some_sizes},
    {"f32[2,n,3] f32[1,2,3] f32[1,2,2] i32[m]", "%y = RNN(%a, %b, %c, _, %d) {hidden_size = 2}",
     some_sizes},
    {"i8[n,2] f32[m] i8[k]", "%y = DequantizeLinear(%a, %b, %c) {axis = 0}", usual_sizes},
    {"u8[2,n] f32[] u8[] u8[m,3] f32[k] u8[j] f32[]",
     "%z = Constant {value = [1]} : u8[]\n%y = QLinearMatMul(%a, %b, %c, %d, %e, %f, %g, %z)",
     usual_sizes},
    {"u8[1,n,4] u8[2,m,3] u8[]", "%y = ConvInteger(%a, %b, %c)", usual_sizes},
    {"u8[1,n,4] u8[2,m,3] f32[k]",
     "%s = Constant {value = [1.0]} : f32[]\n%z = Constant {value = [1]} : u8[]\n"
     "%y = QLinearConv(%a, %s, %z, %b, %c, %z, %s, %z)",
     usual_sizes},
    {"f32[n] i64[] f32[m] f32[k] f32[j]",
     "%r = Constant {value = [0.1]} : f32[]\n"
     "%y, %z, %w = ai.onnx.preview.training.Adam(%r, %b, %a, %c, %d, %e)",
     usual_sizes},
    {"f32[n] i64[] f32[m] f32[k]",
     "%r = Constant {value = [0.1]} : f32[]\n"
     "%y, %z = ai.onnx.preview.training.Adagrad(%r, %b, %a, %c, %d)",
     usual_sizes},
    {"f32[n] f32[m]",
     "%i = Constant {value = [0]} : i64[]\n%s = CumSum(%a, %i)\n"
     "%y = Add(%s, %b)",
     usual_sizes},
    {"f32[n,m] f32[k,j]", "%s = Min(%a, %b)\n%y = Trilu(%s)", usual_sizes},
    {"f32[n] f32[m]", "%k = Shape(%b)\n%y, %z = TopK(%a, %k)", usual_sizes},
    {"f32[n] f32[] f32[]", "%y = Clip(%a, %b, %c)", usual_sizes},
    {"f32[n] f32[m] f32[k]", "%y = Mean(%a, %b, %c)", usual_sizes},
    {"i64[n] i64[m]", "%y = BitwiseAnd(%a, %b)", usual_sizes},
    {"f32[n] i64[m] f32[k] f32[j]",
     "%r = Constant {value = [0.1]} : f32[]\n%y, %z = ai.onnx.preview.training.Momentum(%r, "
     "%b, "
     "%a, %c, %d) {alpha = 0.5, beta = 0.5, mode = \"standard\", norm_coefficient = 0.0}",
     usual_sizes},
    {"f32[n,2] f32[m]", "%s = Shape(%b)\n%t = Concat(%s, %s) {axis = 0}\n%y = Tile(%a, %t)",
     usual_sizes},
    {"f32[1,1,n,2]",
     "%s = Constant {value = [1.0, 1.0, 1.5, 2.0]} : f32[4]\n%y = Resize(%a, _, %s)",
     usual_sizes},
    {"f32[1,1,n] f32[1,1,m]", "%s = Shape(%b)\n%y = Resize(%a, _, _, %s) {mode = \"linear\"}",
     usual_sizes},
    {"f32[n,m]", "%y = ArgMax(%a) {axis = 0, keepdims = 0}", usual_sizes},
    {"f32[n,m]", "%x = Constant {value = [0]} : i64[1]\n%y = ReduceMax(%a, %x)", usual_sizes},
    {"f32[2,n,m]", "%y = Det(%a)", usual_sizes},
    {"f32[1,n,m]", "%y = LRN(%a) {size = 3}", usual_sizes},
    {"f32[n,m]", "%y = Softmax(%a)", usual_sizes},
    {"f32[n] f32[m]", "%q = SequenceConstruct(%a, %b)\n%y = ConcatFromSequence(%q) {axis = 0}",
     usual_sizes},
    {"f32[n,2] f32[m,2] bool[k]", "%s = Add(%a, %b)\n%y = Compress(%s, %c) {axis = 0}",
     usual_sizes},
    /* sizes that only the run knows */
    {"f32[n] f32[m]", "%i = NonZero(%a)\n%j = NonZero(%b)\n%y = Add(%i, %j)", usual_sizes},
    {"f32[n] f32[m,2]", "%i = NonZero(%a)\n%z = Cast(%i) {to = 1}\n%y = MatMul(%z, %b)",
     usual_sizes},
    {"f32[n] i64[m]", "%i = NonZero(%a)\n%y = Concat(%i, %i) {axis = 0}", usual_sizes},
    {"f32[n] i64[1,m]", "%i = NonZero(%a)\n%y = Mul(%i, %b)", usual_sizes},
    {"f32[n] bool[m]", "%i = Compress(%a, %b)\n%t = Exp(%i)\n%y = Mul(%t, %a)", usual_sizes},
    {"f32[n]",
     "%i = NonZero(%a)\n%s = Constant {value = [-1, 2]} : i64[2]\n%y = Reshape(%i, %s)",
     usual_sizes},
    /* bodies: what a branch needs is needed when it runs */
    {"bool[] f32[n] f32[m]",
     "%y = If(%a) {\n then_branch = graph @t() {\n %s = Add(%b, %c)\n return %s\n },\n"
     " else_branch = graph @e() {\n %s = Neg(%b)\n return %s\n }\n}",
     usual_sizes},
    {"bool[] f32[n] f32[m]",
     "%y = If(%a) {\n then_branch = graph @t() {\n %i = NonZero(%b)\n"
     " %z = Cast(%i) {to = 1}\n %s = Add(%z, %c)\n return %s\n },\n"
     " else_branch = graph @e() {\n %s = Concat(%b, %c) {axis = 0}\n return %s\n }\n}",
     usual_sizes},
    {"f32[n] f32[m]",
     "%t = Constant {value = [3]} : i64[]\n%g = Constant {value = [true]} : bool[]\n"
     "%y = Loop(%t, %g, %a) {\n body = graph @b(%i: i64[], %d: bool[], %v: f32[?]) {\n"
     " %s = Add(%v, %b)\n %e = Identity(%d)\n return %e, %s\n }\n}",
     usual_sizes},
    {"f32[n] f32[k,m]",
     "%y, %z = Scan(%a, %b) {\n body = graph @b(%v: f32[?], %r: f32[?]) {\n"
     " %s = Add(%v, %r)\n %e = Mul(%s, %r)\n return %s, %e\n },\n num_scan_inputs = 1\n}",
     usual_sizes},
    /* gradients, through a loop and by windows */
    {"f32[n] f32[m,n] f32[n]",
     "%h, %z = Scan(%a, %b) {\n body = graph @b(%v: f32[?], %r: f32[?]) {\n"
     " %p = Mul(%v, %c)\n %s = Add(%p, %r)\n %e = Tanh(%s)\n return %e, %e\n },\n"
     " num_scan_inputs = 1\n}\n%q = Mul(%z, %z)\n%f = ReduceSum(%q) {keepdims = 0}\n"
     "%d, %y = ai.onnx.preview.training.Gradient(%c, %b, %c, %b, %f) {xs = [\"c\", \"b\"], y = "
     "\"f\"}",
     some_sizes},
    {"f32[n] f32[m]",
     "%t = Constant {value = [3]} : i64[]\n%g = Constant {value = [true]} : bool[]\n"
     "%h = Loop(%t, %g, %a) {\n body = graph @b(%i: i64[], %d: bool[], %v: f32[?]) {\n"
     " %s = Mul(%v, %b)\n %e = Sin(%s)\n return %d, %e\n }\n}\n"
     "%y = ai.onnx.preview.training.Gradient(%b, %b, %h) {xs = [\"b\"], y = \"h\"}",
     some_sizes},
    {"f32[k,2,n,m] f32[3,2,3,2]",
     "%h = Conv(%a, %b) {strides = [2, 1], auto_pad = \"SAME_LOWER\"}\n%q = Tanh(%h)\n"
     "%p = AveragePool(%q) {kernel_shape = [1, 2], pads = [0, 0, 0, 1], ceil_mode = 1}\n"
     "%d, %y = ai.onnx.preview.training.Gradient(%b, %a, %b, %a, %p) {xs = [\"b\", \"a\"], y = "
     "\"p\"}",
     some_sizes},
    {"f32[k,2,n,m] f32[k,3,2,2]",
     "%h = GridSample(%a, %b)\n%q = Sin(%h)\n"
     "%d, %y = ai.onnx.preview.training.Gradient(%a, %b, %a, %b, %q) {xs = [\"a\", \"b\"], y = "
     "\"q\"}",
     some_sizes},
};

#endif
