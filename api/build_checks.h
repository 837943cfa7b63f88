/* api/build_checks.h - from what inference took for granted to a program's checks. Private to
 * api/. */
#ifndef GML_API_BUILD_CHECKS_H
#define GML_API_BUILD_CHECKS_H

#include "ir/graph.h"
#include "runtime/program.h"

typedef struct gml_checks {
    gml_program *program;
    gml_arena *scratch;
    gml_map seen;         /* checks of the program, as text */
    gml_assumptions late; /* of what is no kernel */
} gml_checks;

void gml_checks_begin(gml_checks *checks, gml_program *program, gml_arena *scratch);
/* What `node` and, where it is a fused group, its members need; to be called before its step,
 * if it becomes one, is added to the program. */
void gml_checks_add(gml_checks *checks, const gml_node *node, bool is_kernel);
/* What is left, and what nodes needed that `graph` has no longer. */
void gml_checks_end(gml_checks *checks, const gml_graph *graph);

#endif
