/* passes/passes.c - the table of passes and their driver. */
#include "ir/text.h"
#include "ir/verify.h"
#include "passes/pass.h"

#include <string.h>

static const gml_pass table[] = {
#define X(name, need, doc) {#name, GML_PASS_##need, doc, gml_pass_##name},
#include "passes/passes.def"
#undef X
};

const gml_pass *gml_pass_table(size_t *out_count)
{
    *out_count = sizeof table / sizeof *table;
    return table;
}

static const gml_pass *find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strlen(table[i].name) == len && memcmp(table[i].name, name, len) == 0)
            return &table[i];
    return NULL;
}

const gml_pass *gml_pass_find(const char *name)
{
    return find(name, strlen(name));
}

static bool is_off(const gml_passes_options *options, const char *name)
{
    if (!options || !options->off)
        return false;
    for (const char *const *off = options->off; *off; off++)
        if (strcmp(*off, name) == 0)
            return true;
    return false;
}

static gml_status check_off(const gml_passes_options *options, gml_diags *diags)
{
    if (!options || !options->off)
        return GML_OK;
    for (const char *const *off = options->off; *off; off++) {
        const gml_pass *pass = gml_pass_find(*off);
        if (!pass)
            return gml_fail(diags, GML_E_USAGE, (gml_loc){0}, "there is no pass '%s'", *off);
        if (pass->need == GML_PASS_REQUIRED)
            return gml_fail(diags, GML_E_USAGE, (gml_loc){0},
                            "pass '%s' cannot be left out: what follows relies on it", *off);
    }
    return GML_OK;
}

static gml_status run_one(gml_module *module, const gml_pass *pass,
                          const gml_passes_options *options, gml_diags *diags)
{
    gml_arena scratch;
    gml_arena_init(&scratch);
    gml_pass_cx cx = {.module = module, .scratch = &scratch, .diags = diags};
    if (options) {
        cx.explain = options->explain;
        cx.memory = options->memory;
        cx.report = options->report;
        cx.is_gpu = options->is_gpu;
        cx.bf16_products = options->bf16_products;
    }
    bool changed = false;
    gml_status status = pass->run(module->main, &cx, &changed);
    gml_arena_reset(&scratch);
    GML_TRY(status);
    if (options && options->changing && changed)
        *options->changing |= UINT64_C(1) << (pass - table);
    if (options && options->verify)
        GML_TRY(gml_module_verify(module, diags));
    if (options && options->print_after && strcmp(options->print_after, pass->name) == 0)
        gml_graph_print(module->main, options->out);
    return GML_OK;
}

gml_status gml_passes_run(gml_module *module, const char *names,
                          const gml_passes_options *options, gml_diags *diags)
{
    GML_TRY(check_off(options, diags));
    while (*names) {
        size_t len = strcspn(names, ",");
        const gml_pass *pass = find(names, len);
        if (!pass)
            return gml_fail(diags, GML_E_USAGE, (gml_loc){0}, "there is no pass '%.*s'",
                            (int)len, names);
        if (!is_off(options, pass->name))
            GML_TRY(run_one(module, pass, options, diags));
        names += len;
        names += *names == ',';
    }
    return GML_OK;
}
