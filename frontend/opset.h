/* frontend/opset.h - brings nodes of older operator sets to the newest form.
 *
 * The rest of gemel knows one meaning per operator. A node is first a draft: what the file
 * says, with operands looked up. Every row of the table in opset.c that fits the draft's
 * operator and version changes it; a rule may add nodes before it (constants that used to be
 * attributes), and nodes after it by building everything itself and leaving the values in
 * `results`.
 *
 * Everything lives in the module's arena. Not thread-safe.
 */
#ifndef GML_FRONTEND_OPSET_H
#define GML_FRONTEND_OPSET_H

#include "ir/graph.h"

/* Operator sets up to these are understood. */
#define GML_OPSET_NEWEST         28
#define GML_OPSET_ML_NEWEST      5
/* What is written. */
#define GML_OPSET_WRITTEN        27
#define GML_OPSET_ML_WRITTEN     5
#define GML_OPSET_OLDEST_WRITTEN 17

typedef struct gml_draft {
    const char *op;
    const char *domain; /* "" is ai.onnx */
    int64_t version;    /* of the domain's operator set that the node was written for */
    gml_vec(gml_value *) operands; /* NULL: absent */
    gml_vec(gml_attr) attrs;       /* under the names of that version; no graphs */
    const char *const *outputs;    /* their names, "" for those nobody wants */
    uint32_t n_outputs;
    gml_value *
        *results; /* one per output, all NULL before; if a rule fills [0], no node is made */
    gml_graph *graph;    /* nodes go to its end */
    gml_node **inferred; /* how far types of `graph` have been asked for; NULL: not at all */
    gml_loc loc;
    gml_diags *diags;
} gml_draft;

/* GML_E_UNSUPPORTED or GML_E_INVALID with a diagnostic at draft->loc. */
GML_MUST_CHECK gml_status gml_opset_upgrade(gml_draft *draft);

/* The oldest operator set of ai.onnx, from GML_OPSET_OLDEST_WRITTEN on, in which `node` has the
 * form that it has in the newest. Operators, attributes and operand counts are looked at;
 * element types and the values of attributes are not. Other domains: GML_OPSET_OLDEST_WRITTEN.
 */
int64_t gml_opset_of_node(const gml_node *node);
/* The IR version of a file with this operator set. */
int64_t gml_opset_ir_version(int64_t opset);

/* ---- for rules ------------------------------------------------------------------------------
 */

typedef gml_status (*gml_upgrade_fn)(gml_draft *draft);

/* NULL when there is no such attribute of that kind. The pointer is valid until attrs change.
 */
const gml_attr *gml_draft_find(const gml_draft *draft, const char *name, gml_attr_kind kind);
int64_t gml_draft_int(const gml_draft *draft, const char *name, int64_t fallback);
void gml_draft_drop(gml_draft *draft, const char *name);
/* Sets an attribute, new or not. */
void gml_draft_set(gml_draft *draft, gml_attr attr);
/* Sets operand `k`; those between are absent. */
void gml_draft_set_operand(gml_draft *draft, unsigned k, gml_value *value);
gml_value *gml_draft_operand(const gml_draft *draft, unsigned k); /* NULL: absent */
bool gml_draft_wants(const gml_draft *draft, unsigned output);

/* The tensor type of operand `k`, with known rank, inferring what was built so far; NULL when
 * it cannot be known. */
const gml_type *gml_draft_type(gml_draft *draft, unsigned k);

/* Constants of rank 1. */
gml_value *gml_draft_ints(gml_draft *draft, const int64_t *values, size_t count);
gml_value *gml_draft_floats(gml_draft *draft, const float *values, size_t count);
/* A scalar constant with the element type of operand `k`. */
GML_MUST_CHECK gml_status gml_draft_scalar_like(gml_draft *draft, unsigned k, float value,
                                                gml_value **out_value);
/* Result 0 of a new node. */
GML_MUST_CHECK gml_status gml_draft_emit(gml_draft *draft, const char *op,
                                         gml_value *const *operands, uint32_t n_operands,
                                         const gml_attr *attr, gml_value **out_value);
/* "opset N" and why it is not supported. */
gml_status gml_draft_refuse(gml_draft *draft, const char *what);

#endif
