/* ir/grad_graph.h - reverse mode over a graph: from the gradients of some of its values those
 * of others.
 *
 * A node is active when it depends on the `xs` and the `ys` depend on it. Active nodes are
 * walked backwards; each turns the gradients of its results into those of its operands
 * (ir/grad.h), which add up where a value has several users. Regions are graphs too: what is
 * active in one follows from the graph around it, and for what is carried from one iteration to
 * the next holds what any iteration says.
 *
 * Everything lives in `scratch` but the nodes that are made. Not thread-safe per module. */
#ifndef GML_IR_GRAD_GRAPH_H
#define GML_IR_GRAD_GRAPH_H

#include "ir/grad.h"

struct gml_reverse {
    gml_graph *graph;
    gml_node *end; /* nodes before it are walked, and new ones go before it; NULL: to the end */
    gml_arena *scratch;
    gml_diags *diags;
    gml_value *const *xs; /* what is differentiated by */
    uint32_t n_xs;
    gml_value *const *zs; /* what counts as given, also where it is made from xs */
    uint32_t n_zs;
    gml_value *const *ys; /* what is differentiated */
    uint32_t n_ys;
    bool *depends;                  /* by value id: on xs */
    bool *needed;                   /* by value id: ys depend on it */
    uint32_t n_values;              /* that the two know */
    gml_vec(gml_value *) gradients; /* by value id: so far */
};

/* Finds what is active; the fields up to `n_ys` are set. Again after nodes changed. */
void gml_reverse_analyse(gml_reverse *r);
bool gml_reverse_is_active(const gml_reverse *r, const gml_node *node);
/* The value depends on xs, and ys on it. */
bool gml_reverse_leads(const gml_reverse *r, const gml_value *value);
/* The same, and it can have a gradient: it is a tensor of floats. */
bool gml_reverse_wants(const gml_reverse *r, const gml_value *value);

/* What is active in `region` of an active node of `outer`: without xs and ys. */
gml_reverse gml_reverse_region(const gml_reverse *outer, const gml_node *node,
                               gml_graph *region);
/* The values from around the node's regions that want gradients, each once, in `scratch`. */
gml_value **gml_reverse_captured(const gml_reverse *outer, const gml_node *node,
                                 uint32_t *out_count);

/* Builds the gradients by xs from those of ys; NULL is zero on both sides. `r` was analysed,
 * and every active node has a gradient. */
gml_status gml_reverse_run(gml_reverse *r, gml_value *const *seeds, gml_value **out_gradients);

#endif
