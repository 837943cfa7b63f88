/* frontend/importer.h - what the files of the importer share; nobody else includes it.
 *
 * A scope is the names of one graph: the main graph, a region, or a function body being inlined
 * (whose nodes go into the graph of its caller). Regions see the scopes around them, function
 * bodies do not. Parsed messages and everything about scopes live in `scratch`; what the module
 * keeps is copied.
 */
#ifndef GML_FRONTEND_IMPORTER_H
#define GML_FRONTEND_IMPORTER_H

#include "base/str.h"
#include "frontend/external.h"
#include "frontend/import.h"
#include "frontend/opset.h"
#include "frontend/tensor.h"

#define GML_MAX_CALLS   64  /* functions inside functions */
#define GML_MAX_NESTING 256 /* graphs and calls inside each other, however they are mixed */
#define GML_MAX_NODES   (1u << 20) /* in the module: calls inside calls multiply */
#define GML_MAX_FAULTS  100        /* reported before the importer gives up */
/* Bytes that graphs may take beyond 64 times the file's: calls multiply attributes and names,
 * too. */
#define GML_MAX_MEMORY  ((size_t)2 << 30)

typedef struct gml_opsets {
    const Onnx__OperatorSetIdProto *const *items;
    size_t count;
} gml_opsets;

/* An operator nobody knows, with the nodes that use it. */
typedef struct gml_unknown_op {
    const char *op;
    const char *domain;
    int64_t version;
    gml_loc loc;                /* of the first */
    gml_vec(const char *) more; /* names of the others */
} gml_unknown_op;

typedef struct gml_importer {
    gml_module *module;
    gml_arena *arena; /* the module's */
    gml_arena scratch;
    gml_diags *diags;
    size_t first_diag; /* those before are not ours */
    const gml_onnx_options *options;
    gml_externals externals;
    gml_tensor_reader reader;
    const Onnx__ModelProto *model;
    gml_opsets opsets;
    gml_map texts;     /* copies that the module has */
    gml_str key;       /* of a look-up in `functions` */
    gml_map functions; /* "domain\nname\noverload" -> Onnx__FunctionProto */
    gml_vec(gml_unknown_op *) unknown;
    gml_value absent; /* what an argument that a call leaves out is called in its function */
    size_t n_nodes;
    size_t max_memory;
    unsigned nesting;
} gml_importer;

struct gml_scope;

/* An attribute of a call: graphs in it see the caller's names. */
typedef struct gml_binding {
    const Onnx__AttributeProto *attr;
    struct gml_scope *scope;
} gml_binding;

/* A call being inlined. */
typedef struct gml_call {
    const Onnx__FunctionProto *function;
    const char *path; /* names of the calling nodes, for names inside */
    gml_map bindings; /* attribute -> gml_binding */
    const struct gml_call *caller;
    unsigned depth;
} gml_call;

typedef struct gml_scope {
    gml_importer *importer;
    gml_graph *graph;
    struct gml_scope *parent; /* of a region; NULL for others */
    gml_map names;            /* name -> gml_value */
    gml_map hints;            /* name -> Onnx__TypeProto of value_info */
    gml_opsets opsets;
    const gml_call *call;                /* NULL outside functions */
    gml_node *inferred;                  /* for gml_draft.inferred */
    const Onnx__NodeProto *const *nodes; /* all of them, to explain undefined names */
    size_t n_nodes;
} gml_scope;

/* ---- import.c ---- */

/* One copy of `text` in the module, the same for equal texts; NULL stays NULL. */
const char *gml_import_text(gml_importer *importer, const char *text);
/* Records a fault. */
gml_status gml_import_fail(gml_importer *importer, gml_status status, gml_loc loc,
                           const char *format, ...) GML_PRINTF(4, 5);
/* "CALL/NAME", shortened where a hostile name would multiply. */
const char *gml_import_path(gml_importer *importer, const char *call, const char *name);
/* Something was reported: types downstream may be missing. */
bool gml_import_has_failed(const gml_importer *importer);
/* True once so much is wrong that going on only repeats it. */
bool gml_import_is_hopeless(const gml_importer *importer);
const char *gml_text_or_empty(const char *text);
/* "" for the standard domain under either of its names. */
const char *gml_domain_name(const char *domain);
int64_t gml_opset_version(const gml_scope *scope, const char *domain);

/* ---- import_types.c ---- */

/* UNKNOWN when `proto` is NULL or says nothing. */
GML_MUST_CHECK gml_status gml_import_type(gml_importer *importer, const Onnx__TypeProto *proto,
                                          gml_loc loc, gml_type *out_type);
/* The attribute itself, or what it refers to in the call; NULL: the call does not give it. */
gml_binding gml_resolve_attr(gml_scope *scope, const Onnx__AttributeProto *proto);
/* Any attribute but graphs, under its own name. */
GML_MUST_CHECK gml_status gml_import_attr(gml_importer *importer, const char *name,
                                          const Onnx__AttributeProto *proto, gml_loc loc,
                                          gml_attr *out_attr);
/* The kind that `proto` has, from its type or, in old files, from the field that is set. */
int gml_attr_proto_type(const Onnx__AttributeProto *proto);

/* ---- import_node.c ---- */

/* Where `proto` is: its name, or its first output. */
gml_loc gml_node_loc(const gml_scope *scope, const Onnx__NodeProto *proto);
void gml_import_node(gml_scope *scope, const Onnx__NodeProto *proto);
/* The value of operand `k`, whose name is not empty; a fault and a placeholder when undefined.
 */
gml_value *gml_import_operand(gml_scope *scope, const Onnx__NodeProto *proto, size_t k,
                              gml_loc loc);
/* Defines every output as something that failed. */
void gml_import_placeholders(gml_scope *scope, const Onnx__NodeProto *proto, gml_loc loc);

/* ---- import_graph.c ---- */

void gml_scope_init(gml_scope *scope, gml_importer *importer, gml_graph *graph,
                    gml_scope *parent);
/* NULL when undefined; &importer->absent for an argument that the call leaves out. */
gml_value *gml_scope_find(const gml_scope *scope, const char *name);
/* Gives `value` a name; a name that this scope has already is a fault. */
void gml_scope_define(gml_scope *scope, const char *name, gml_value *value, gml_loc loc);
/* A value that stands for something that failed. */
gml_value *gml_scope_placeholder(gml_scope *scope);
/* Fills `scope->graph` from `proto`. */
void gml_import_graph(gml_scope *scope, const Onnx__GraphProto *proto);
/* Its parts, for a graph that is made of several: type hints, initialisers, inputs; then nodes;
 * then output `i`, NULL after a fault. */
void gml_import_declarations(gml_scope *scope, const Onnx__GraphProto *proto);
void gml_import_nodes(gml_scope *scope, const Onnx__GraphProto *proto);
gml_value *gml_import_output(gml_scope *scope, const Onnx__GraphProto *proto, size_t i);
/* The function that `proto` calls, or NULL. */
const Onnx__FunctionProto *gml_find_function(const gml_scope *scope,
                                             const Onnx__NodeProto *proto);
void gml_import_call(gml_scope *caller, const Onnx__NodeProto *proto,
                     const Onnx__FunctionProto *function, gml_loc loc);

/* ---- import_training.c ---- */

/* The main graph as options->entry wants it. */
void gml_import_training(gml_scope *scope);

#endif
