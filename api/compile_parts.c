/* api/compile_parts.c - the programs of a model that is compiled ahead of time. */
#include "api/compile_parts.h"

#include "api/artifact_open.h"

/* What a program is made from. */
typedef struct plan_item {
    gml_onnx_entry entry;
    size_t training;
} plan_item;

typedef struct compilation {
    gml_parts parts;
    const char *path;
    const gml_onnx_options *load;
    const gml_compile_options *options;
    gml_vec(plan_item) plan;
    size_t n_trainings;
    gml_diags *diags;
} compilation;

static void add(compilation *c, gml_onnx_entry entry, size_t training)
{
    gml_push(&c->parts.arena, &c->plan, ((plan_item){entry, training}));
}

static void make_plan(compilation *c, const gml_module *module, gml_parts_wanted wanted)
{
    bool has_step = false;
    c->n_trainings = module->trainings.count;
    for (size_t i = 0; i < c->n_trainings; i++)
        has_step = has_step || module->trainings.items[i].has_step;
    if (wanted == GML_PARTS_RUN || (!has_step && wanted == GML_PARTS_ALL))
        add(c, GML_ONNX_FIXED, 0);
    else if (wanted == GML_PARTS_ALL)
        add(c, GML_ONNX_RUN, 0);
    for (size_t i = 0; i < c->n_trainings && has_step && wanted != GML_PARTS_RUN; i++) {
        if (module->trainings.items[i].has_step)
            add(c, GML_ONNX_STEP, i);
        if (module->trainings.items[i].has_initialisation && wanted == GML_PARTS_ALL)
            add(c, GML_ONNX_INITIALISE, i);
    }
}

/* Takes `module`; NULL: it is loaded. */
static gml_status compile_part(compilation *c, const plan_item *item, gml_module *module)
{
    gml_link_part *part = &c->parts.items[c->parts.count];
    gml_str *object = &c->parts.objects[c->parts.count];
    gml_compile_options options = *c->options;
    gml_str_init(object);
    part->name = gml_entry_name(&c->parts.arena, item->entry, item->training, c->n_trainings);
    part->object = object;
    options.object = object;
    if (item->entry != GML_ONNX_FIXED)
        options.target.prefix = gml_arena_printf(&c->parts.arena, "%s_", part->name);
    c->parts.count++;
    if (module != NULL)
        return gml_compile(module, &options, &part->program, c->diags);
    gml_onnx_options load = *c->load;
    load.entry = item->entry;
    load.training = item->training;
    return gml_compile_file(c->path, &load, &options, &part->program, c->diags);
}

static gml_status compile(compilation *c, gml_parts_wanted wanted)
{
    gml_module *module = NULL;
    gml_onnx_options load = *c->load;
    load.skip_infer = true;
    GML_TRY(gml_onnx_load(c->path, &load, &module, c->diags));
    make_plan(c, module, wanted);
    c->parts.items = gml_new_array(&c->parts.arena, gml_link_part, c->plan.count + 1);
    c->parts.objects = gml_new_array(&c->parts.arena, gml_str, c->plan.count + 1);
    if (c->plan.count == 1 && c->plan.items[0].entry == GML_ONNX_FIXED)
        return compile_part(c, &c->plan.items[0], module);
    gml_module_destroy(module);
    if (c->plan.count == 0)
        return gml_fail(c->diags, GML_E_USAGE, (gml_loc){.file = c->path},
                        "has no training algorithm");
    for (size_t i = 0; i < c->plan.count; i++)
        GML_TRY(compile_part(c, &c->plan.items[i], NULL));
    return GML_OK;
}

gml_status gml_parts_compile(const char *path, const gml_onnx_options *load,
                             gml_parts_wanted wanted, const gml_compile_options *options,
                             gml_parts *out_parts, gml_diags *diags)
{
    compilation c = {.path = path, .load = load, .options = options, .diags = diags};
    gml_arena_init(&c.parts.arena);
    gml_status status = compile(&c, wanted);
    if (status != GML_OK)
        gml_parts_reset(&c.parts);
    else
        *out_parts = c.parts;
    return status;
}

void gml_parts_reset(gml_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        gml_program_release(parts->items[i].program);
        gml_str_reset(&parts->objects[i]);
    }
    gml_arena_reset(&parts->arena);
    *parts = (gml_parts){0};
}
