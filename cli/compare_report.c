/* cli/compare_report.c - one comparison as text and as JSON. */
#include "cli/compare.h"

#include <stdio.h>

static const char *node_text(gml_compare_request *r, const gml_compare_row *row)
{
    const char *node = *row->node ? gml_arena_printf(&r->arena, " of %s", row->node) : "";
    const char *kernel =
        *row->kernel ? gml_arena_printf(&r->arena, " (kernel %s)", row->kernel) : "";
    return gml_arena_printf(&r->arena, "'%s'%s%s", row->value, node, kernel);
}

static void print_rows(gml_compare_request *r, const gml_comparison *comparison)
{
    for (size_t i = 0; i < comparison->rows.count; i++) {
        const gml_compare_row *row = &comparison->rows.items[i];
        if (row->why)
            printf("deviates  %s: %s\n", node_text(r, row), row->why);
        else if (r->all)
            printf("%.2e  %s\n", row->share, node_text(r, row));
    }
}

/* One line: how many, and which is the first or the worst. */
static void print_sum(gml_compare_request *r, const char *what,
                      const gml_comparison *comparison)
{
    size_t n = comparison->rows.count;
    const char *s = n == 1 ? "" : "s";
    if (comparison->first)
        printf("%s: %zu of %zu value%s deviate, first %s\n", what, comparison->n_deviating, n,
               s, node_text(r, comparison->first));
    else if (comparison->worst && comparison->worst->share > 0)
        printf("%s: %zu value%s agree; the largest deviation is %.1e of its tensor's largest "
               "element, in %s\n",
               what, n, s, comparison->worst->share, node_text(r, comparison->worst));
    else
        printf("%s: %zu value%s compared, no deviation\n", what, n, s);
}

void gml_compare_print(gml_compare_request *r, const char *what,
                       const gml_comparison *comparison)
{
    print_rows(r, comparison);
    print_sum(r, what, comparison);
    fflush(stdout);
}

static json_t *json_row(const gml_compare_row *row)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "value", gml_json_text(row->value),
                     "node", gml_json_text(row->node), "kernel", gml_json_text(row->kernel),
                     "why", gml_json_text(row->why), "deviation", gml_json_real(row->deviation),
                     "share", gml_json_real(row->share), "output", row->is_output);
}

json_t *gml_compare_json(const gml_comparison *comparison, bool all)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < comparison->rows.count; i++)
        if (all || comparison->rows.items[i].why)
            json_array_append_new(rows, json_row(&comparison->rows.items[i]));
    return json_pack(
        "{s:I, s:I, s:o, s:o, s:o}", "compared", (json_int_t)comparison->rows.count,
        "deviating", (json_int_t)comparison->n_deviating, "first",
        comparison->first ? json_row(comparison->first) : json_null(), "worst",
        comparison->worst ? json_row(comparison->worst) : json_null(), "values", rows);
}
