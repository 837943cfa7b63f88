/* passes/region.h - puts nodes into a gemel.Fused region. Shared by the passes that make them.
 */
#ifndef GML_PASSES_REGION_H
#define GML_PASSES_REGION_H

#include "ir/op.h"
#include "passes/pass.h"

/* The users of a value's elements; operands that only decide shapes do not read elements. */
bool gml_reads_elements(const gml_node *user, uint32_t k);

/* Marks, by value id, all that a region and those inside it read or return. */
void gml_mark_captured(const gml_graph *region, bool *marks);

/* Leading dimensions of the rows that a reduction works on: Reduce* over the last axes with
 * their dimensions kept, or an operator along the last axis. -1 when it is neither. */
int gml_rows_of(const gml_node *node);
bool gml_same_dims(const gml_type *a, const gml_type *b);

/* The kernel of a group of nodes can run where `node` does, and store its result. */
bool gml_can_root(const gml_node *node);
/* With a copy of a cheap view for each user it never has to be stored, and its operand is what
 * meets the users. */
void gml_copy_views(gml_graph *graph, bool *out_changed);

/* A gemel.Fused node in the making. */
typedef struct gml_region {
    gml_pass_cx *cx;
    gml_node *node;
    gml_graph *body;
    gml_vec(gml_value *) operands;
    gml_value *const *sides;
    uint32_t n_sides;
} gml_region;

/* Begins a region after `root`, whose users become the new node's; `root`'s first result
 * becomes the region's first, `sides`, whose nodes will be moved inside, the others. */
gml_region gml_region_begin(gml_pass_cx *cx, gml_node *root, gml_value *const *sides,
                            uint32_t n_sides);
/* Moves `member` inside; in the order of the graph. What it reads from outside becomes an
 * operand, but for constants of one element and for shapes; members behind `root` read what is
 * inside. */
void gml_region_move(gml_region *region, gml_node *member);
/* Users of `sides` that are not inside become the new node's; they come after it, or will move
 * into regions that do. */
GML_MUST_CHECK gml_status gml_region_end(gml_region *region);

#endif
