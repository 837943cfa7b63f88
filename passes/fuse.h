/* passes/fuse.h - what passes/fuse.c knows of a graph's groups. Private to it and to
 * passes/fuse_copy.c. */
#ifndef GML_PASSES_FUSE_H
#define GML_PASSES_FUSE_H

#include "passes/region.h"

#define GML_MAX_SIDES 8

typedef struct gml_group {
    gml_node *root;
    unsigned n_nodes;
    unsigned n_sides;
    bool has_contraction;
    int rows; /* leading dimensions of the rows that its reductions work on; -1: it has none */
} gml_group;

/* Operand `k` of `node`. */
typedef struct gml_value_use {
    gml_node *node;
    uint32_t k;
} gml_value_use;

typedef struct gml_fuser {
    gml_graph *graph;
    gml_pass_cx *cx;
    gml_group
        *groups; /* by number; the group of a node is group_of[id of its first result] - 1 */
    uint32_t n_groups;
    uint32_t *group_of;  /* by value id */
    uint32_t n_values;   /* ids when the tables were made: what is made since has none */
    bool *is_result;     /* by value id: of the graph */
    bool *is_captured;   /* by value id: used in a region */
    bool *is_side;       /* by value id: stored by a group that it is not the root of */
    uint32_t *first_use; /* by value id: users[first_use[id]] up to the next id's */
    gml_value_use *users;
} gml_fuser;

/* The number of a node's group + 1; 0: it is in none. */
static inline uint32_t gml_group_of(const gml_fuser *f, const gml_node *node)
{
    return node->n_results && node->results[0].id < f->n_values
               ? f->group_of[node->results[0].id]
               : 0;
}

/* The group can store a result of this type beside its own: it has the same elements, or one
 * for each row of reductions. */
bool gml_group_may_store(const gml_group *group, const gml_type *type);

/* Copies what groups need not store for each other, because it is as cheap to compute it from
 * what is stored anyway (fuse_copy.c). True when there was something: then the groups are to be
 * formed again. */
bool gml_fuse_copy(gml_fuser *f);

#endif
