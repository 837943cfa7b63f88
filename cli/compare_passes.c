/* cli/compare_passes.c - comparisons over the table of passes. */
#include "api/pipeline.h"
#include "cli/compare.h"

#include <stdio.h>

int gml_compare_list_passes(bool json)
{
    size_t n = 0;
    const gml_pass *table = gml_pass_table(&n);
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++) {
        bool optional = table[i].need == GML_PASS_OPTIONAL;
        if (!json)
            printf("%-8s %s  %s\n", table[i].name, optional ? "optional" : "required",
                   table[i].doc);
        json_array_append_new(rows, json_pack("{s:s, s:b, s:s}", "name", table[i].name,
                                              "optional", optional, "doc", table[i].doc));
    }
    if (json)
        return gml_json_print(rows);
    json_decref(rows);
    return 0;
}

/* What no pass did need not be left out: the program is the same. */
static void note_idle(const gml_compare_request *r, const gml_pass *pass, json_t *list)
{
    json_array_append_new(list,
                          json_pack("{s:s, s:b}", "off", pass->name, "changes_nothing", true));
    if (!r->json)
        printf("PASS without %s: it changes nothing here\n", pass->name);
}

gml_status gml_compare_passes(gml_compare_request *r, const gml_compare_side *expected,
                              const gml_rvalue *inputs, int *out_exit)
{
    size_t n = 0;
    unsigned counts[2] = {0, 0};
    const gml_pass *table = gml_pass_table(&n);
    json_t *list = json_array();
    uint64_t changing = 0; /* known after the first comparison */
    gml_compare_side whole = *expected;
    whole.execute.changing = &changing;
    for (size_t i = 0; i < n; i++) {
        const char *off[] = {table[i].name, NULL};
        gml_compare_side actual = *expected;
        gml_comparison comparison;
        actual.execute.off = off;
        if (table[i].need != GML_PASS_OPTIONAL)
            continue;
        if (changing && !(changing >> i & 1)) {
            note_idle(r, &table[i], list);
            counts[0]++;
            continue;
        }
        gml_compare_task task = {&actual, &whole, inputs, r->tolerance};
        gml_status status = gml_compare(&task, &r->arena, &comparison, &r->diags);
        if (status != GML_OK) {
            gml_note(&r->diags, "without pass '%s'", table[i].name);
            json_decref(list);
            return status;
        }
        counts[comparison.first != NULL]++;
        json_t *entry = gml_compare_json(&comparison, r->all);
        json_object_set_new(entry, "off", gml_json_text(table[i].name));
        json_array_append_new(list, entry);
        if (!r->json)
            gml_compare_print(r,
                              gml_arena_printf(&r->arena, "%s without %s",
                                               comparison.first ? "FAIL" : "PASS",
                                               table[i].name),
                              &comparison);
    }
    *out_exit = counts[1] ? 1 : 0;
    if (r->json) {
        *out_exit = gml_json_print(list) ? 5 : *out_exit;
        return GML_OK;
    }
    json_decref(list);
    printf("%u passed, %u failed, 0 skipped\n", counts[0], counts[1]);
    return GML_OK;
}

/* ---- pass by pass -------------------------------------------------------------------------
 */

/* What a run is called: up to which pass of the list, counted from 1. */
static const char *up_to(gml_compare_request *r, const gml_pass *pass, size_t number)
{
    return pass ? gml_arena_printf(&r->arena, "up to %s, pass %zu", pass->name, number)
                : "the required passes alone";
}

static gml_status compare_up_to(gml_compare_request *r, const gml_compare_task *task,
                                size_t number, const gml_pass *pass, json_t *list,
                                bool *out_deviates)
{
    gml_comparison comparison;
    const char *name = up_to(r, pass, number);
    gml_status status = gml_compare(task, &r->arena, &comparison, &r->diags);
    if (status != GML_OK) {
        gml_note(&r->diags, "with %s", name);
        return status;
    }
    *out_deviates = comparison.first != NULL;
    json_t *entry = gml_compare_json(&comparison, r->all);
    json_object_set_new(entry, "up_to", pass ? gml_json_text(pass->name) : json_null());
    json_object_set_new(entry, "number", json_integer((json_int_t)number));
    json_array_append_new(list, entry);
    if (!r->json)
        gml_compare_print(
            r, gml_arena_printf(&r->arena, "%s %s", *out_deviates ? "FAIL" : "PASS", name),
            &comparison);
    return GML_OK;
}

gml_status gml_compare_pass_by_pass(gml_compare_request *r, const gml_compare_side *actual,
                                    const gml_compare_side *expected, const gml_rvalue *inputs,
                                    int *out_exit)
{
    const gml_pass *pass = NULL;
    bool deviates = false;
    size_t n_passed = 0;
    json_t *list = json_array();
    gml_status status = GML_OK;
    for (size_t n = 0; status == GML_OK && !deviates; n++) {
        gml_compare_side side = *actual;
        side.execute.pass_list = gml_first_passes(n, &r->arena, &pass);
        if (!side.execute.pass_list)
            break;
        if (pass && pass->need == GML_PASS_REQUIRED)
            continue;
        gml_compare_task task = {&side, expected, inputs, r->tolerance};
        status = compare_up_to(r, &task, n, pass, list, &deviates);
        n_passed += !deviates;
    }
    *out_exit = deviates;
    if (status != GML_OK || !r->json) {
        json_decref(list);
    } else if (gml_json_print(list) != 0) {
        *out_exit = 5;
    }
    if (status != GML_OK || r->json)
        return status;
    if (deviates)
        printf("%s makes values deviate first\n", pass ? pass->name : "no optional pass");
    printf("%zu passed, %d failed, 0 skipped\n", n_passed, deviates);
    return GML_OK;
}
