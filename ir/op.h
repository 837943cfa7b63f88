/* ir/op.h - one operator, described once.
 *
 * The table is ir/ops.def, one row an operator; the description is ir/ops/<row>.c, which
 * defines `const gml_op_info gml_op_<row>`. No other file switches on an operator: what must be
 * known about one is a field here.
 *
 * Every operator states its types (`infer`) and exactly one way to compute:
 *   scalar  elementwise: the function of one element; broadcasting, loops and fusion come free
 *   lower   other primitives: the element of a result at an index, as an expression
 * (ir/lower.h) expand  composites: simpler nodes in the same graph host    a C function of the
 * runtime (runtime/host.def), for strings, sequences, sorting, data-dependent shapes, and
 * regions (If, Loop, Scan)
 *
 * Static tables; all functions are pure but for the graph they are given. Not thread-safe per
 * module.
 */
#ifndef GML_IR_OP_H
#define GML_IR_OP_H

#include "ir/graph.h"
#include "ir/lower.h"

typedef struct gml_attr_spec {
    const char *name; /* NULL ends the table */
    gml_attr_kind kind;
    enum { GML_ATTR_OPTIONAL, GML_ATTR_REQUIRED, GML_ATTR_DEFAULT } presence;
    int64_t i;         /* default of an INT */
    float f;           /* default of a FLOAT */
    bool names_values; /* STRING, STRINGS: names of values, which the frontend appends to the
                          operands in the order of the table */
    const char *s;     /* default of a STRING */
} gml_attr_spec;

/* Elementwise operators of any number of operands (Sum, Max) take at most so many. */
#define GML_MAX_SCALAR_OPERANDS 1024

typedef enum gml_trait {
    GML_COMMUTATIVE = 1u << 0, /* operands 0 and 1 may be swapped */
    GML_VIEW = 1u << 1,        /* result elements are copies of operand elements (or padding) */
    GML_REDUCES = 1u << 2,     /* a result element reads many operand elements */
    GML_CONTRACTION = 1u << 3, /* a reduction of products: MatMul, Conv, … */
    GML_EFFECT = 1u << 4,      /* not a function of its operands: random numbers, state */
    GML_VALUE_FREE = 1u << 5,  /* results depend on operand types only: Shape, Size */
    GML_INLINES =
        1u << 8, /* its region's parameters stand for its operands, element by element */
    GML_FORWARDS = 1u << 7,        /* result 0 is operand 0 itself */
    GML_BRANCHES = 1u << 6,        /* operand 0 picks region then_branch or else_branch */
    GML_DIFFERENTIATES = 1u << 10, /* passes/differentiate.c replaces it: ir/ops/gradient.c */
    GML_CHANNELS = 1u << 9, /* sums over channels: operand 0 and result 0 are (N, C, space…) */
} gml_trait;

/* What `infer` is given. It reads operand types and known values, and sets
 * node->results[i].type for every result. */
typedef struct gml_infer {
    gml_node *node;
    gml_module *module;
    gml_arena *arena; /* the module's */
    gml_dim_pool *dims;
    gml_diags *diags;
} gml_infer;

/* What `expand` is given: new nodes go before `node`; it stores one value per result. */
typedef struct gml_expand {
    gml_node *node;
    gml_graph *graph;
    gml_module *module;
    gml_arena *arena;
    gml_dim_pool *dims;
    gml_diags *diags;
    gml_value **results; /* to be filled; NULL entries are results nobody asked for */
} gml_expand;

typedef struct gml_grad gml_grad;

/* How a node runs its region again and again. Parameter and operand of one number belong
 * together: from `first` on `count` values that are carried from one iteration to the next,
 * then what is read slice by slice. Result 0 is the body's `first_result`: first the carried
 * ones, then what is stacked. */
typedef struct gml_carries {
    uint32_t count, first, first_result;
} gml_carries;

struct gml_op_info {
    const char *name;       /* ONNX spelling, and the spelling in textual IR */
    const char *domain;     /* NULL: ai.onnx; "ai.onnx.ml", …, "gemel" for our own */
    const char *doc;        /* one sentence */
    int16_t min_in, max_in; /* max -1: any number */
    int16_t min_out, max_out;
    unsigned traits;
    uint32_t
        value_operands; /* bit k: the elements of operand k decide result types (a shape,
                           axes, …) and must be known when compiling; bit 31: all from 31 on */
    uint32_t measured_operands; /* bit k: operand k was measured, a running statistic, and no
                                   training descends on it */
    const gml_attr_spec *attrs; /* NULL: none */
    gml_status (*infer)(gml_infer *cx);
    const gml_expr *(*scalar)(gml_lower *cx, const gml_node *node, const gml_expr *const *args);
    const gml_expr *(*lower)(gml_lower *cx, const gml_node *node, unsigned result,
                             const gml_expr *const *index);
    gml_status (*expand)(gml_expand *cx);
    gml_status (*grad)(gml_grad *g); /* NULL: as elementwise, or as what it expands into,
                                               or it has none (ir/grad.h) */
    gml_carries (*carries)(const gml_node *node); /* NULL: no region, or each runs once */
    const char *host;                             /* name of the row in runtime/host.def */
};

/* The operator called `name` in `domain` ("" and NULL are ai.onnx), or NULL. */
const gml_op_info *gml_op_find(const char *domain, const char *name);
/* The table, in the order of ops.def. */
const gml_op_info *const *gml_op_table(size_t *out_count);

#define X(name) extern const gml_op_info gml_op_##name;
#include "ir/ops.def"
#undef X

/* ---- inference -------------------------------------------------------------------------- */

/* Infers the result types of `node`, then whatever elements of its results are known as sizes.
 * Checks operand counts and attributes against the table first. Every fault is a diagnostic. */
gml_status gml_node_infer(gml_node *node, gml_diags *diags);
/* The same for every node of `graph`, regions included; goes on after a fault to report all. */
gml_status gml_graph_infer(gml_graph *graph, gml_diags *diags);

/* The type of operand `k`; NULL when absent. */
const gml_type *gml_operand_type(const gml_node *node, unsigned k);
bool gml_has_operand(const gml_node *node, unsigned k);
/* How many operands at the end are there because attributes name them (names_values). */
uint32_t gml_node_named_values(const gml_node *node);

/* Fails at `cx->node` with its location. */
gml_status gml_infer_fail(gml_infer *cx, gml_status status, const char *format, ...)
    GML_PRINTF(3, 4);
/* Operand `k` as a tensor of known rank; fails when absent, no tensor, or of unknown rank. */
gml_status gml_infer_tensor(gml_infer *cx, unsigned k, const gml_type **out_type);
/* Sets the type of result `i` (nothing happens when there is no such result). */
gml_status gml_infer_set(gml_infer *cx, unsigned i, gml_dtype dtype, int rank,
                         const gml_dim *dims);
gml_status gml_infer_set_type(gml_infer *cx, unsigned i, gml_type type);
/* Result 0 has the type of operand 0. Serves as `infer` of unary operators. */
gml_status gml_infer_same(gml_infer *cx);
/* Result 0 has operand 0's element type and all operands' shapes broadcast together; all
 * operands must have one element type. Serves as `infer` of elementwise operators. */
gml_status gml_infer_broadcast(gml_infer *cx);
/* The same with result type bool. */
gml_status gml_infer_compare(gml_infer *cx);
/* The broadcast of two shapes; `out_dims` has GML_MAX_RANK entries. Unknown against unknown
 * takes the first's symbol, unknown against a constant other than 1 takes the constant; the
 * program compares them when it runs. */
gml_status gml_infer_broadcast_dims(gml_infer *cx, int rank_a, const gml_dim *a, int rank_b,
                                    const gml_dim *b, int *out_rank, gml_dim *out_dims);
/* One dimension of it; false when the sizes are known not to broadcast. */
bool gml_infer_broadcast_dim(gml_infer *cx, gml_dim a, gml_dim b, gml_dim *out_dim);

/* Whether `a` and `b`, which must be equal, are known to differ. Where that is not known the
 * node notes that it takes them to be equal, and the program compares them when it runs.
 * Whatever `infer` takes for granted of two sizes goes through these (ir/assume.c). */
bool gml_infer_differ(gml_infer *cx, gml_dim a, gml_dim b);
/* The same for `a`, which may not be above `limit`. */
bool gml_infer_exceeds(gml_infer *cx, gml_dim a, gml_dim limit);
/* The same for `a`, which must be a multiple of `b` > 0. */
bool gml_infer_leaves_rest(gml_infer *cx, gml_dim a, gml_dim b);
/* The same for the size of an axis of which some element is read for each of `count`: it may be
 * 0 only when `count` is. */
bool gml_infer_is_empty(gml_infer *cx, gml_dim size, gml_dim count);
/* The elements of integer operand `k` as sizes, in the module's arena. Fails, naming the
 * operand, when they are not known. An absent operand gives *out_count = 0 and *out_elements =
 * NULL. */
gml_status gml_infer_elements(gml_infer *cx, unsigned k, const gml_dim **out_elements,
                              size_t *out_count);
/* Elements of an integer value as sizes, or of a numeric constant as doubles, in `arena`; NULL
 * and *out_count = 0 when they are not known. */
const gml_dim *gml_value_elements(const gml_value *value, gml_arena *arena, size_t *out_count);
const double *gml_value_floats(const gml_value *value, gml_arena *arena, size_t *out_count);
/* Normalises `axis` into 0..rank-1; fails when outside -rank..rank-1. */
gml_status gml_infer_axis(gml_infer *cx, int64_t axis, int rank, int *out_axis);
/* Elements of a float operand known at compile time, converted to double; fails as above. */
gml_status gml_infer_floats(gml_infer *cx, unsigned k, const double **out_values,
                            size_t *out_count);

/* ---- building nodes (expand, frontend, passes) ------------------------------------------- */

/* A builder places nodes and infers their types at once; the first failure sticks in `status`,
 * after which every call returns some value of the graph and does nothing. */
typedef struct gml_build {
    gml_graph *graph;
    gml_node *before; /* new nodes go before it; NULL: at the end */
    gml_loc loc;
    gml_diags *diags;
    gml_status status;
} gml_build;

gml_build gml_build_expand(gml_expand *cx);
/* Result 0 of a new node; operands may be NULL (absent). Attributes follow as with gml_attr_*.
 */
gml_value *gml_build_op(gml_build *b, const gml_op_info *op, gml_value *const *operands,
                        uint32_t n_operands, const gml_attr *attrs, size_t n_attrs);
/* The same, returning the node, for several results. */
gml_node *gml_build_node(gml_build *b, const gml_op_info *op, gml_value *const *operands,
                         uint32_t n_operands, const gml_attr *attrs, size_t n_attrs,
                         uint32_t n_results);
gml_value *gml_build_unary(gml_build *b, const gml_op_info *op, gml_value *x);
gml_value *gml_build_binary(gml_build *b, const gml_op_info *op, gml_value *x, gml_value *y);
/* A scalar constant of `dtype` with this value. */
gml_value *gml_build_scalar(gml_build *b, gml_dtype dtype, double value);
/* An i64 vector. */
gml_value *gml_build_ints(gml_build *b, const int64_t *values, size_t count);
/* An i64 vector of sizes: a constant when all are, else a SizeVector node. */
gml_value *gml_build_dims(gml_build *b, const gml_dim *dims, size_t count);
gml_value *gml_build_cast(gml_build *b, gml_value *x,
                          gml_dtype dtype); /* x itself if it has it */
gml_value *gml_build_reshape(gml_build *b, gml_value *x, const gml_dim *dims, size_t rank);
gml_value *gml_build_transpose(gml_build *b, gml_value *x, const int64_t *perm, size_t rank);
/* Reduce* over `axes` (all when count is 0). */
gml_value *gml_build_reduce(gml_build *b, const gml_op_info *op, gml_value *x,
                            const int64_t *axes, size_t count, bool keepdims);
gml_value *gml_build_unsqueeze(gml_build *b, gml_value *x, const int64_t *axes, size_t count);
gml_value *gml_build_squeeze(gml_build *b, gml_value *x, const int64_t *axes, size_t count);
gml_value *gml_build_concat(gml_build *b, gml_value *const *xs, uint32_t count, int64_t axis);
gml_value *gml_build_slice(gml_build *b, gml_value *x, int64_t axis, int64_t start,
                           int64_t end);

gml_attr gml_attr_int(const char *name, int64_t value);
gml_attr gml_attr_float(const char *name, float value);
gml_attr gml_attr_string(const char *name, const char *value);
gml_attr gml_attr_ints(const char *name, const int64_t *values, size_t count); /* borrowed */

#endif
