/* api/build_checks.c - from what inference took for granted to a program's checks.
 *
 * Many nodes need the same of the same sizes: a program checks it once, for the first kernel.
 * What a host operator, a node that is gone, or a value known when compiling was inferred from
 * decides sizes of others; it is checked too, but no step waits for it. */
#include "api/build_checks.h"

#include "ir/op.h"

#include <string.h>

void gml_checks_begin(gml_checks *checks, gml_program *program, gml_arena *scratch)
{
    *checks = (gml_checks){.program = program, .scratch = scratch};
    gml_map_init(&checks->seen, scratch);
}

static const char *keep_text(gml_checks *checks, const char *text)
{
    return text ? gml_arena_text(&checks->program->arena, text, strlen(text)) : NULL;
}

static void add_check(gml_checks *checks, const gml_assumption *assumption, uint32_t step)
{
    gml_program *program = checks->program;
    const char *key =
        gml_arena_printf(checks->scratch, "%d %lld %lld", (int)assumption->relation,
                         (long long)assumption->a, (long long)assumption->b);
    if (gml_map_has(&checks->seen, key))
        return;
    gml_map_set(&checks->seen, key, checks);
    gml_check check = {
        .relation = assumption->relation,
        .a = assumption->a,
        .b = assumption->b,
        .node = keep_text(checks, assumption->loc.node),
        .op = keep_text(checks, assumption->loc.op),
        .step = step,
    };
    gml_push(&program->arena, &program->checks, check);
}

static void add_list(gml_checks *checks, const gml_assumptions *list, bool is_kernel)
{
    uint32_t step = (uint32_t)checks->program->steps.count;
    if (!is_kernel)
        gml_assumptions_add(checks->scratch, &checks->late, list->items, list->count);
    for (size_t i = 0; is_kernel && i < list->count; i++)
        add_check(checks, &list->items[i], step);
}

void gml_checks_add(gml_checks *checks, const gml_node *node, bool is_kernel)
{
    add_list(checks, &node->assumptions, is_kernel);
    if (!(node->op->traits & GML_INLINES))
        return;
    const gml_graph *body = gml_node_region(node, "body");
    for (const gml_node *member = body->first; member; member = member->next)
        add_list(checks, &member->assumptions, is_kernel);
    add_list(checks, &body->assumptions, is_kernel);
}

void gml_checks_end(gml_checks *checks, const gml_graph *graph)
{
    add_list(checks, &graph->assumptions, false);
    for (size_t i = 0; i < checks->late.count; i++)
        add_check(checks, &checks->late.items[i], GML_NO_STEP);
}
