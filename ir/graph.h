/* ir/graph.h - the one graph language: SSA values, nodes with attributes and regions.
 *
 * A gml_graph is a function: parameters, nodes in an order where every operand comes before its
 * user, results. Regions (the bodies of If, Loop, Scan and fused groups) are graphs too; they
 * may use values of the graphs around them. Operators are those of the newest ONNX opset
 * (ir/ops.def) with one meaning each; opset versions stop at the frontend.
 *
 * Ownership: a module's graphs and everything in them belong to the module's arena and are
 * never freed one by one. Constant tensors are views into the mapped model file or into the
 * arena. Not thread-safe.
 */
#ifndef GML_IR_GRAPH_H
#define GML_IR_GRAPH_H

#include "base/attr.h"
#include "base/file.h"
#include "ir/type.h"

typedef struct gml_module gml_module;
typedef struct gml_graph gml_graph;
typedef struct gml_node gml_node;
typedef struct gml_value gml_value;
typedef struct gml_op_info gml_op_info;

/* Something outside the arena that must live as long as the module: a mapped file. */
typedef struct gml_resource {
    void (*release)(void *context);
    void *context;
} gml_resource;

#define GML_NO_INDEX UINT32_MAX

/* What a model keeps from run to run: a trained weight, a running average, a counter. */
typedef struct gml_state {
    const char *name;
    uint32_t param;     /* of the main graph: its value; GML_NO_INDEX: the graph does not ask */
    uint32_t result;    /* of the main graph: what it becomes; GML_NO_INDEX: it stays */
    gml_tensor initial; /* what it is at first; elements as those of constants */
    bool is_trained;    /* a Gradient is taken by it */
} gml_state;

/* A training information of an ONNX file. */
typedef struct gml_training_part {
    bool has_step, has_initialisation;
} gml_training_part;

/* A text that a file has about itself. */
typedef struct gml_metadata {
    const char *key, *value;
} gml_metadata;

/* Everything that belongs together: the main graph, the sizes it speaks of, its memory. */
struct gml_module {
    gml_arena arena;
    gml_dim_pool dims;
    gml_graph *main;
    gml_vec(gml_state) states;            /* none unless asked for: frontend/import.h */
    gml_vec(gml_training_part) trainings; /* what the file has, whatever was asked for */
    const char *file;                     /* where it was read from, or NULL */
    const char *producer;                 /* of the ONNX file, or NULL */
    gml_vec(gml_metadata) metadata;       /* of the ONNX file */
    int64_t opset;           /* of ai.onnx in the file it was read from; 0 when built here */
    uint32_t n_values;       /* ids handed out so far */
    uint32_t n_initialisers; /* of the main graph, in a module just read from a file: its first
                                nodes */
    gml_vec(gml_resource) resources; /* released when the module is destroyed */
    gml_vec(const gml_file *) files; /* those of them that are mapped; constants lie there */
};

struct gml_value {
    gml_type type;
    gml_node *def;              /* NULL for a graph's parameter */
    gml_graph *graph;           /* the graph that it belongs to */
    const char *name;           /* NULL: numbered when printed */
    uint32_t index;             /* which result of `def`, or which parameter */
    uint32_t id;                /* dense in the module; side tables are arrays by it */
    const gml_tensor *constant; /* its elements, when known at compile time; else NULL */
    const gml_dim
        *elements;      /* of an integer tensor: its elements as sizes, when known; else NULL */
    bool channels_last; /* it is the value of its name with dimension 1 behind all others */
};

/* What a node needs of two sizes and inference cannot decide: the program does when it runs. */
typedef struct gml_assumption {
    gml_relation relation;
    gml_dim a, b;
    gml_loc loc;
} gml_assumption;

typedef gml_vec(gml_assumption) gml_assumptions;

struct gml_node {
    const gml_op_info *op;
    gml_loc loc;
    gml_graph *graph; /* the graph that it is in */
    gml_node *prev, *next;
    gml_value *
        *operands;   /* an absent optional operand is NULL; trailing absents are not stored */
    gml_attr *attrs; /* those given, in the order of the operator's table */
    gml_value *results; /* an array; a result nobody wants has name "" and no uses */
    uint32_t n_operands, n_attrs, n_results;
    bool is_again; /* a copy for one user, to be computed within it: passes/recompute.c,
                      autocast.c */
    gml_assumptions assumptions; /* of its last inference */
};

struct gml_graph {
    gml_module *module;
    gml_node *owner; /* the node whose region this is, or NULL */
    const char *name;
    gml_value **params;
    gml_value **results;
    const char *
        *result_names; /* the graph's output names; NULL entries take the value's name */
    gml_node *first, *last;
    uint32_t n_params, n_results;
    gml_assumptions assumptions; /* of nodes that are gone */
};

/* A new, empty module. Free with gml_module_destroy, which frees every graph in it. */
gml_module *gml_module_create(const char *file);
void gml_module_destroy(gml_module *module);

/* `release(context)` runs when the module is destroyed; newest first. */
void gml_module_own(gml_module *module, void (*release)(void *context), void *context);
/* The same for a mapping, which is the module's from now on. Returns its copy of `file`. */
gml_file *gml_module_own_file(gml_module *module, const gml_file *file);
/* These bytes of a constant will not be read soon: gives back their memory where they lie in a
 * mapped file, as gml_file_forget does. */
void gml_module_forget(const gml_module *module, const void *data, size_t size);

gml_graph *gml_graph_create(gml_module *module, const char *name, gml_node *owner);
gml_value *gml_graph_add_param(gml_graph *graph, const char *name, gml_type type);
/* `name` may be NULL. */
void gml_graph_add_result(gml_graph *graph, gml_value *value, const char *name);

/* A new node with `n_results` results of unknown type, placed before `before` (at the end when
 * NULL). Operands are copied; attributes are added with gml_node_set_*. Types are inferred with
 * gml_node_infer (ir/op.h). */
gml_node *gml_node_create(gml_graph *graph, gml_node *before, const gml_op_info *op,
                          gml_value *const *operands, uint32_t n_operands, uint32_t n_results,
                          gml_loc loc);
/* Unlinks `node`; its results must have no users left. */
void gml_node_remove(gml_node *node);
/* The same for a node that was part of what was asked for: other nodes do its work now, or only
 * the sizes of its results were wanted, so what it assumed must hold still. */
void gml_node_retire(gml_node *node);
/* Adds what is not there already. */
void gml_assumptions_add(gml_arena *arena, gml_assumptions *list, const gml_assumption *more,
                         size_t n_more);
/* Moves `node` before `before` in the same graph (to the end when NULL). */
void gml_node_move(gml_node *node, gml_node *before);
/* Moves `node` into another graph, to its end; operands stay what they are. */
void gml_node_transfer(gml_node *node, gml_graph *graph);
/* Moves all nodes of `region`, which has no parameters, before `before` in its graph. */
void gml_graph_splice(gml_graph *region, gml_node *before);
void gml_node_set_operands(gml_node *node, gml_value *const *operands, uint32_t n_operands);

/* The value of a Constant node made for `tensor`, whose data must outlive the module. */
gml_value *gml_graph_constant(gml_graph *graph, gml_node *before, const gml_tensor *tensor,
                              gml_loc loc);

/* Makes every user of `old` in its graph and the regions inside, and the graph's results, use
 * `replacement`. */
void gml_value_replace(gml_value *old, gml_value *replacement);
/* Number of uses per value id (operands and results, regions included), an array in `arena` of
 * length module->n_values. */
uint32_t *gml_graph_count_uses(const gml_graph *graph, gml_arena *arena);

/* Attributes. get_* return the default of the operator's table, or `fallback` where the table
 * has none; kinds were checked by the verifier. */
const gml_attr *gml_node_find_attr(const gml_node *node, const char *name);
int64_t gml_node_int(const gml_node *node, const char *name, int64_t fallback);
float gml_node_float(const gml_node *node, const char *name, float fallback);
/* A NUL-terminated copy in the module's arena is not made: bytes with a length. */
gml_string gml_node_string(const gml_node *node, const char *name);
/* True when the string attribute is present (or has a default) and equals `text`. */
bool gml_node_string_is(const gml_node *node, const char *name, const char *text);
/* NULL and *out_count = 0 when absent. */
const int64_t *gml_node_ints(const gml_node *node, const char *name, size_t *out_count);
const float *gml_node_floats(const gml_node *node, const char *name, size_t *out_count);
gml_graph *gml_node_region(const gml_node *node, const char *name);

void gml_node_set_attr(gml_node *node,
                       const gml_attr *attr); /* copies the struct, not the data */
void gml_node_set_int(gml_node *node, const char *name, int64_t value);
void gml_node_set_float(gml_node *node, const char *name, float value);
void gml_node_set_string(gml_node *node, const char *name, const char *value);
void gml_node_set_ints(gml_node *node, const char *name, const int64_t *values, size_t count);
void gml_node_set_region(gml_node *node, const char *name, gml_graph *region);

#define gml_for_each_node(node, graph)                                                         \
    for (gml_node *node = (graph)->first, *node##_next = node ? node->next : NULL; node;       \
         node = node##_next, node##_next = node ? node->next : NULL)

#endif
