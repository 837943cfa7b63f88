/* passes/alive.h - how many bytes of values are alive when. Shared by the passes that lower it.
 *
 * Counted are values that nodes of one graph make, regions not looked into, without what
 * kernels need for themselves. A large result that may be computed over an operand (ir/loop.h)
 * takes its place. A state costs nothing, unless its old value is read after the new one is
 * there. All tables are in cx->scratch.
 */
#ifndef GML_PASSES_ALIVE_H
#define GML_PASSES_ALIVE_H

#include "passes/pass.h"

/* A result that may be computed over an operand, by their ids. */
typedef struct gml_cover {
    uint32_t result, operand;
} gml_cover;

/* A node, by its number in the graph. */
typedef struct gml_alive_node {
    gml_node *node;
    gml_vec(uint32_t) uses; /* ids of values of the graph, those of regions' nodes too */
    gml_vec(gml_cover) covers;
} gml_alive_node;

typedef struct gml_alive {
    gml_graph *graph;
    gml_pass_cx *cx;
    gml_alive_node *nodes;
    uint32_t n_nodes;
    /* by value id */
    uint32_t *maker; /* number of its node + 1; 0: a parameter */
    uint64_t *bytes;
    bool *stays;                        /* to the end */
    uint32_t *state_of;                 /* of a state's new value: the id of the old + 1 */
    uint32_t *gone_after, *back_before; /* not alive between these places; both 0: always */
    uint32_t *needed;                   /* alive at this place, whoever reads it; 0: nothing */
    uint32_t *last;                     /* set by weighing: the place of its last reader */
    /* by number */
    uint32_t *place; /* where the node is in the order that is weighed */
    /* by place */
    int64_t *change; /* bytes that appear or, negative, are gone since the place before */
    uint64_t most;   /* alive at once */
    uint32_t where;  /* in which place */
} gml_alive;

/* Looks at `graph` and weighs its order. False when a size is not known, or a node has an
 * effect: then nothing may be moved or repeated. */
bool gml_alive_begin(gml_alive *alive, gml_graph *graph, gml_pass_cx *cx);
/* Sets last, change, most and where from place and the rest. */
void gml_alive_weigh(gml_alive *alive);

#endif
