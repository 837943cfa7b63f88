/* api/eager.h - runs a graph node by node on real values: device `ref`.
 *
 * Each node is inferred with its operands' actual shapes and elements, lowered by itself and
 * interpreted (or its host operator called, or its expansion run the same way). Nothing is
 * fused or compiled, so this is what compiled programs are compared with, and what runs where
 * shapes depend on data. Slow and exact.
 */
#ifndef GML_API_EAGER_H
#define GML_API_EAGER_H

#include "ir/graph.h"
#include "runtime/value.h"

/* Called after each node with its results; a non-OK status stops the run. */
typedef gml_status (*gml_eager_watch)(void *context, const gml_node *node,
                                      const gml_rvalue *results);

typedef struct gml_eager_options {
    gml_eager_watch watch; /* NULL: nobody looks */
    void *watch_context;
} gml_eager_options;

/* `inputs` has graph->n_params values, borrowed; `outputs` gets graph->n_results values, the
 * caller's to reset, all NONE on failure; they may view the module's constants or the inputs'
 * memory. The graph's types need not be known. */
gml_status gml_eager_run(const gml_graph *graph, const gml_rvalue *inputs, gml_rvalue *outputs,
                         const gml_eager_options *options, gml_diags *diags);

/* Gives elements that only view somebody's memory (no buffer) memory of their own, items
 * included. Strings are left as they are. */
gml_status gml_own_elements(gml_rvalue *value);

#endif
