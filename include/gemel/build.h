/* gemel/build.h - builds an ONNX model in C, and writes it.
 *
 *     gml_builder *b = gml_builder_create("net", 20, 42);
 *     gml_value *x = gml_builder_input(b, "x", GML_F32, 2, (gml_extent[]){{0, "batch"}, {8}});
 *     gml_value *w = gml_builder_weight(b, "fc.weight", GML_F32, 2, (int64_t[]){8, 4},
 *                                       gml_fill_normal(0, 0.02));
 *     gml_value *y =
 *         gml_builder_node(b, &(gml_node_spec){.op = "MatMul", .name = "fc", .inputs = {x,
 * w}}); gml_builder_output(b, y, "y"); if (gml_builder_save(b, "net.onnx", NULL) != GML_OK)
 *         fputs(gml_builder_message(b), stderr);
 *     gml_builder_destroy(b);
 *
 * Operators have the form of ONNX's newest operator set, whatever `opset` the file is to
 * declare; saving fails, with the node's name, where that set does not know an operator,
 * attribute or operand. Types are inferred while the graph grows.
 *
 * Failures stick: the first one is remembered and every later call does nothing and returns
 * some value, never NULL, so that only the end needs a check. Values and everything given
 * belong to the builder: texts and small arrays are copied. Out of memory for the graph itself
 * aborts; for elements of weights it is GML_E_MEMORY. Not thread-safe: one builder, one thread.
 */
#ifndef GEMEL_BUILD_H
#define GEMEL_BUILD_H

#include "gemel/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gml_weights; /* gemel/weights.h */
typedef struct gml_builder gml_builder;
typedef struct gml_value gml_value; /* a tensor of the graph */

/* `opset` is the operator set of ai.onnx that the file declares, 17 to GML_BUILDER_OPSET; 0 is
 * the newest. `seed` decides all random weights. Never NULL. */
#define GML_BUILDER_OPSET 27
gml_builder *gml_builder_create(const char *graph_name, int64_t opset, uint64_t seed);
/* Accepts NULL. */
void gml_builder_destroy(gml_builder *builder);

/* ---- inputs and weights ------------------------------------------------------------------ */

/* One dimension: a number, or a name for a number that is known when the model runs. */
typedef struct gml_extent {
    int64_t value;
    const char *name; /* NULL: `value` counts. An identifier; equal names are equal sizes */
} gml_extent;

/* The names of inputs, weights, constants and nodes' results must differ from one another. */
gml_value *gml_builder_input(gml_builder *builder, const char *name, gml_dtype dtype, int rank,
                             const gml_extent *extents);

typedef enum gml_fill_kind {
    GML_FILL_CONSTANT,         /* a everywhere */
    GML_FILL_UNIFORM,          /* from a to b */
    GML_FILL_NORMAL,           /* mean a, standard deviation b */
    GML_FILL_TRUNCATED_NORMAL, /* the same, of which only a - 2b to a + 2b is kept */
} gml_fill_kind;

/* What a weight holds before training. An element depends on the builder's seed, the weight's
 * name and the element's number, and is the same on every machine. */
typedef struct gml_fill {
    gml_fill_kind kind;
    double a, b;
} gml_fill;

static inline gml_fill gml_fill_constant(double value)
{
    gml_fill fill = {GML_FILL_CONSTANT, value, 0};
    return fill;
}
static inline gml_fill gml_fill_uniform(double low, double high)
{
    gml_fill fill = {GML_FILL_UNIFORM, low, high};
    return fill;
}
static inline gml_fill gml_fill_normal(double mean, double deviation)
{
    gml_fill fill = {GML_FILL_NORMAL, mean, deviation};
    return fill;
}
static inline gml_fill gml_fill_truncated_normal(double mean, double deviation)
{
    gml_fill fill = {GML_FILL_TRUNCATED_NORMAL, mean, deviation};
    return fill;
}

/* A parameter: an initialiser that training changes. Its elements are made when the model is
 * saved, so a graph without them is cheap. Floats of 16 to 64 bits. */
gml_value *gml_builder_weight(gml_builder *builder, const char *name, gml_dtype dtype, int rank,
                              const int64_t *dims, gml_fill fill);
/* A weight of two dimensions that a linear layer multiplies by, stored (in, out); frameworks
 * store the same one (out, in). Its name becomes a line of the metadata entry
 * "gemel.transposed". */
gml_value *gml_builder_matrix(gml_builder *builder, const char *name, gml_dtype dtype,
                              int64_t in, int64_t out, gml_fill fill);
/* The same as gml_builder_weight for what is no parameter: a running statistic, a moment of the
 * optimizer. */
gml_value *gml_builder_state(gml_builder *builder, const char *name, gml_dtype dtype, int rank,
                             const int64_t *dims, gml_fill fill);
/* From here on every weight begins as the tensor of its name in `weights` does, which is mapped
 * (gml_weights_map) and outlives the builder; fills count for nothing. Floats of other types
 * are converted, matrices turned where they are stored the other way. A weight that is missing
 * or has another shape is a failure, and so is, when the model is saved, a tensor that the map
 * takes and no weight asked for. */
void gml_builder_weights(gml_builder *builder, struct gml_weights *weights);
/* An initialiser that holds `tensor`. With `copy` the elements are copied; else they must
 * outlive the builder and stay as they are. */
gml_value *gml_builder_tensor(gml_builder *builder, const char *name, const gml_tensor *tensor,
                              bool copy);
/* A state that begins as `like` does, a weight or state of this builder. */
gml_value *gml_builder_copy(gml_builder *builder, const char *name, gml_value *like);
/* i64 of rank 1, f32 of rank 0. */
gml_value *gml_builder_ints(gml_builder *builder, const char *name, const int64_t *values,
                            size_t count);
gml_value *gml_builder_float(gml_builder *builder, const char *name, float value);
/* `value` as f32, f64 or i64 of rank 0, named after it: "PREFIXf32.0.5". The same calls give
 * the same constant. */
gml_value *gml_builder_number(gml_builder *builder, const char *prefix, gml_dtype dtype,
                              double value);

/* Elements of all weights together. */
uint64_t gml_builder_parameters(const gml_builder *builder);

/* ---- nodes ------------------------------------------------------------------------------- */

typedef enum gml_node_attr_kind {
    GML_NODE_INT = 1,
    GML_NODE_FLOAT,
    GML_NODE_TEXT,
    GML_NODE_INTS,
    GML_NODE_FLOATS,
    GML_NODE_TENSOR,
} gml_node_attr_kind;

/* An attribute; the macros below write one. */
typedef struct gml_node_attr {
    const char *name; /* NULL ends a node's attributes */
    gml_node_attr_kind kind;
    size_t count; /* of ints or floats */
    int64_t i;
    float f;
    const char *text;
    const int64_t *ints;
    const float *floats;
    const gml_tensor *tensor;
} gml_node_attr;

#define GML_INT(key, value)                                                                    \
    {                                                                                          \
        .name = (key), .kind = GML_NODE_INT, .i = (value)                                      \
    }
#define GML_FLOAT(key, value)                                                                  \
    {                                                                                          \
        .name = (key), .kind = GML_NODE_FLOAT, .f = (value)                                    \
    }
#define GML_TEXT(key, value)                                                                   \
    {                                                                                          \
        .name = (key), .kind = GML_NODE_TEXT, .text = (value)                                  \
    }
#define GML_INTS(key, ...)                                                                     \
    {                                                                                          \
        .name = (key), .kind = GML_NODE_INTS,                                                  \
        .count = sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                     \
        .ints = (const int64_t[])                                                              \
        {                                                                                      \
            __VA_ARGS__                                                                        \
        }                                                                                      \
    }

#define GML_NODE_INPUTS 8
#define GML_NODE_ATTRS  8

/* A node to be made; what is left out is absent. */
typedef struct gml_node_spec {
    const char *op;                     /* "LayerNormalization" */
    const char *domain;                 /* NULL: ai.onnx */
    const char *name;                   /* NULL: numbered by operator */
    gml_value *inputs[GML_NODE_INPUTS]; /* NULL: an optional input that is absent */
    gml_value *const *input_list;       /* instead of `inputs`, for more: n_inputs of them */
    size_t n_inputs;
    gml_node_attr attrs[GML_NODE_ATTRS];
    size_t n_outputs; /* 0: one */
} gml_node_spec;

/* Adds a node and returns its first result, named NAME_output_0; the others are
 * gml_builder_result(builder, value, k). */
gml_value *gml_builder_node(gml_builder *builder, const gml_node_spec *spec);
gml_value *gml_builder_result(gml_builder *builder, gml_value *value, size_t k);

/* The rank of `value`, -1 when it is not known or something failed. */
int gml_builder_rank(const gml_builder *builder, const gml_value *value);
/* Its size along `axis`; -1 when that is no number known now. */
int64_t gml_builder_dim(const gml_builder *builder, const gml_value *value, int axis);

/* ---- training ---------------------------------------------------------------------------- */

/* From here on inputs, weights, nodes and outputs belong to the algorithm that trains the model
 * (ONNX: TrainingInfoProto.algorithm), and may use every value made before. Once, and after the
 * model has an output. */
void gml_builder_begin_step(gml_builder *builder);

/* Derivatives of y, its elements summed. Where y depends on one of `zs` that one counts as
 * given: nothing is differentiated through it. Both lists without repetition. */
typedef struct gml_gradient_spec {
    const char *name; /* of the node; NULL: numbered */
    gml_value *y;
    gml_value *const *xs; /* what is differentiated by: weights of the builder */
    size_t n_xs;
    gml_value *const *zs;
    size_t n_zs;
} gml_gradient_spec;

/* Adds a Gradient node (ai.onnx.preview.training); out[i] is the derivative by xs[i], of its
 * type. In a step only. After a failure `out` holds some values. */
void gml_builder_gradients(gml_builder *builder, const gml_gradient_spec *spec,
                           gml_value **out);

/* After each step `initialiser` (a weight, state or tensor) holds `value`, of the same type,
 * which becomes an output "NAME.next" of the algorithm. In a step only; once for each. */
void gml_builder_update(gml_builder *builder, gml_value *initialiser, gml_value *value);

/* ---- the end ----------------------------------------------------------------------------- */

void gml_builder_output(gml_builder *builder, gml_value *value, const char *name);
/* An entry of the file's metadata; the last one of a key stays. */
void gml_builder_metadata(gml_builder *builder, const char *key, const char *value);
/* Adds a line to the entry, which need not exist. */
void gml_builder_metadata_append(gml_builder *builder, const char *key, const char *line);

/* Records a failure of the caller's own, as if a call had failed: model code checks its options
 * so. */
void gml_builder_fail(gml_builder *builder, gml_status status, const char *format, ...)
    GML_PRINTF(3, 4);
/* The first failure, and what it says: "NODE (OP): text\n", with notes. Never NULL, owned by
 * the builder, valid until its next call. */
gml_status gml_builder_status(const gml_builder *builder);
const char *gml_builder_message(gml_builder *builder);

/* Called now and then with how much of `stage` is done; `total` is not 0. */
typedef void (*gml_progress_fn)(void *context, const char *stage, uint64_t done,
                                uint64_t total);

typedef struct gml_save_options {
    bool external_data; /* weights of 4096 bytes and more go to PATH.data, for models above 2 GB
                         */
    gml_progress_fn progress; /* NULL: nobody looks */
    void *progress_context;
} gml_save_options;

/* Fills the weights, checks the whole graph and writes the file, which appears whole or not at
 * all. The weights are held in memory once. `options` may be NULL. The same calls give the same
 * bytes. */
GML_MUST_CHECK gml_status gml_builder_save(gml_builder *builder, const char *path,
                                           const gml_save_options *options);

#ifdef __cplusplus
}
#endif
#endif
