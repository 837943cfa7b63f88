/* cli/info.c - gemel info: what a model is. */
#include "api/summary.h"
#include "cli/cli.h"
#include "cli/json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

typedef struct request {
    gml_arena arena;
    gml_diags diags;
    gml_vec(gml_onnx_dim) dims;
    bool json;
} request;

static const gml_cli_option options[] = {
    {"dim", "NAME=N", "the size of an open dimension"},
    {"json", NULL, "report as JSON"},
    {NULL, NULL, NULL},
};

static const gml_cli cli = {
    options,
    "gemel info MODEL [options]",
    "Says what a model is: who made it, inputs and outputs, parameters, arithmetic, operators. "
    "Every\n"
    "operator that gemel does not know is named, with its nodes; the exit status is then 4.",
};

static bool handle(void *context, const char *name, const char *value)
{
    request *r = context;
    int64_t n = 0;
    if (strcmp(name, "json") == 0)
        return r->json = true;
    const char *dim = NULL;
    if (!gml_cli_pair(&r->arena, value, &dim, &n))
        return false;
    gml_push(&r->arena, &r->dims, ((gml_onnx_dim){dim, n}));
    return true;
}

/* ---- text ---------------------------------------------------------------------------------
 */

/* 1234567 as 1.23 M. */
static const char *short_number(request *r, double value)
{
    static const char *const units[] = {"", " k", " M", " G", " T", " P"};
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1000;
        unit++;
    }
    return gml_arena_printf(&r->arena, unit ? "%.3g%s" : "%.0f%s", value, units[unit]);
}

static const char *dim_text(request *r, const gml_module *module, gml_dim dim)
{
    if (gml_dim_is_const(dim))
        return short_number(r, (double)dim);
    gml_str str;
    gml_str_init(&str);
    gml_dim_print(&module->dims, dim, &str);
    const char *text = gml_arena_text(&r->arena, str.text, str.len);
    gml_str_reset(&str);
    return text;
}

static void print_ports(const char *what, const gml_port *ports, size_t n)
{
    printf("%s\n", what);
    for (size_t i = 0; i < n; i++)
        printf("  %s: %s\n", ports[i].name, ports[i].type);
}

static void print_text(request *r, const gml_model *model, const gml_summary *s)
{
    const gml_module *module = gml_model_module(model);
    if (module->producer && *module->producer)
        printf("producer    %s\n", module->producer);
    if (module->opset)
        printf("opset       %" PRId64 "\n", module->opset);
    printf("parameters  %" PRIu64 " (%s), %" PRIu64 " bytes of constants\n", s->n_parameters,
           short_number(r, (double)s->n_parameters), s->constant_bytes);
    if (s->no_cost) {
        printf("FLOPs       unknown: %s\n", s->no_cost);
    } else {
        printf("MACs        %s\n", dim_text(r, s->module, s->macs));
        printf("FLOPs       %s\n", dim_text(r, s->module, s->flops));
    }
    print_ports("inputs", gml_model_inputs(model), gml_model_n_inputs(model));
    print_ports("outputs", gml_model_outputs(model), gml_model_n_outputs(model));
    printf("%s       %" PRIu64 "\n",
           gml_model_source(model)->artifact.program ? "steps" : "nodes", s->n_nodes);
    for (size_t i = 0; i < s->n_ops; i++) {
        const gml_op_count *op = &s->ops[i];
        bool is_plain = strcmp(op->domain, "ai.onnx") == 0;
        printf("  %6" PRIu64 " %s%s%s", op->count, is_plain ? "" : op->domain,
               is_plain ? "" : ".", op->op);
        if (op->macs != 0)
            printf(", %s MACs", dim_text(r, s->module, op->macs));
        putchar('\n');
    }
}

/* The model's training step: what it changes, and its arithmetic. */
static void print_training(request *r, const gml_model *model, const gml_summary *s)
{
    bool is_compiled = gml_model_source(model)->artifact.program != NULL;
    printf("training    ");
    if (!is_compiled) /* of states, a compiled model does not know which are trained */
        printf("%" PRIu64 " parameters in %zu tensors; ", s->trained_elements, s->n_trained);
    printf("%zu states, %" PRIu64 " bytes\n", s->n_states, s->state_bytes);
    if (is_compiled) {
        printf("  steps     %" PRIu64 "\n", s->n_nodes);
    } else if (s->no_cost) {
        printf("  FLOPs     unknown: %s\n", s->no_cost);
    } else {
        printf("  MACs      %s a step", dim_text(r, s->module, s->macs));
        if (s->batch > 1 && gml_dim_is_const(s->macs))
            printf(", %s for each of %" PRId64,
                   short_number(r, (double)s->macs / (double)s->batch), s->batch);
        printf("\n  FLOPs     %s a step\n", dim_text(r, s->module, s->flops));
    }
    print_ports("  inputs of a step", gml_model_inputs(model), gml_model_n_inputs(model));
}

/* ---- JSON ---------------------------------------------------------------------------------
 */

/* A number, or the expression as text. */
static json_t *json_dim(request *r, const gml_module *module, gml_dim dim)
{
    return gml_dim_is_const(dim) ? json_integer(dim) : gml_json_text(dim_text(r, module, dim));
}

static json_t *json_ports(const gml_port *ports, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list,
                              json_pack("{s:o, s:o}", "name", gml_json_text(ports[i].name),
                                        "type", gml_json_text(ports[i].type)));
    return list;
}

static json_t *json_ops(request *r, const gml_summary *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n_ops; i++) {
        json_t *op =
            json_pack("{s:o, s:o, s:I}", "domain", gml_json_text(s->ops[i].domain), "op",
                      gml_json_text(s->ops[i].op), "count", (json_int_t)s->ops[i].count);
        if (s->module)
            json_object_set_new(op, "macs", json_dim(r, s->module, s->ops[i].macs));
        json_array_append_new(list, op);
    }
    return list;
}

static json_t *json_training(request *r, const gml_model *model, const gml_summary *s)
{
    json_t *object = json_object();
    json_object_set_new(object, "parameters", json_integer((json_int_t)s->trained_elements));
    json_object_set_new(object, "tensors", json_integer((json_int_t)s->n_trained));
    json_object_set_new(object, "states", json_integer((json_int_t)s->n_states));
    json_object_set_new(object, "state_bytes", json_integer((json_int_t)s->state_bytes));
    json_object_set_new(object, "macs",
                        s->module ? json_dim(r, s->module, s->macs) : json_null());
    json_object_set_new(object, "flops",
                        s->module ? json_dim(r, s->module, s->flops) : json_null());
    json_object_set_new(object, "inputs",
                        json_ports(gml_model_inputs(model), gml_model_n_inputs(model)));
    json_object_set_new(object, "outputs",
                        json_ports(gml_model_outputs(model), gml_model_n_outputs(model)));
    return object;
}

static void print_json(request *r, const gml_model *model, const gml_summary *s,
                       json_t *training)
{
    const gml_module *module = gml_model_module(model);
    json_t *root = json_object();
    json_object_set_new(root, "producer", gml_json_text(module->producer));
    json_object_set_new(root, "opset",
                        module->opset ? json_integer(module->opset) : json_null());
    json_object_set_new(root, "inputs",
                        json_ports(gml_model_inputs(model), gml_model_n_inputs(model)));
    json_object_set_new(root, "outputs",
                        json_ports(gml_model_outputs(model), gml_model_n_outputs(model)));
    json_object_set_new(root, "parameters", json_integer((json_int_t)s->n_parameters));
    json_object_set_new(root, "constant_bytes", json_integer((json_int_t)s->constant_bytes));
    json_object_set_new(root, "macs",
                        s->module ? json_dim(r, s->module, s->macs) : json_null());
    json_object_set_new(root, "flops",
                        s->module ? json_dim(r, s->module, s->flops) : json_null());
    json_object_set_new(root, "nodes", json_integer((json_int_t)s->n_nodes));
    json_object_set_new(root, "operators", json_ops(r, s));
    json_object_set_new(root, "training", training);
    json_object_set_new(root, "unsupported", json_array());
    (void)gml_json_print(root); /* whoever called looks at the stream */
}

/* What cannot be read or is not supported, for programs. */
static void print_json_faults(const request *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->diags.list.count; i++) {
        const gml_diag *diag = &r->diags.list.items[i];
        json_t *notes = json_array();
        for (size_t k = 0; k < diag->notes.count; k++)
            json_array_append_new(notes, gml_json_text(diag->notes.items[k]));
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o}", "node",
                                              gml_json_text(diag->loc.node), "op",
                                              gml_json_text(diag->loc.op), "text",
                                              gml_json_text(diag->text), "notes", notes));
    }
    (void)gml_json_print(json_pack("{s:o}", "unsupported", list));
}

/* ---- the verb -----------------------------------------------------------------------------
 */

/* What a model says of itself, opened as what `entry` says. */
typedef struct view {
    gml_model *model;
    gml_summary summary;
} view;

static gml_status open_view(request *r, const char *path, gml_onnx_entry entry, view *out_view,
                            gml_diags *diags)
{
    gml_open_options open = {.entry = entry, .dims = r->dims.items, .n_dims = r->dims.count};
    GML_TRY(gml_model_open(path, &open, &out_view->model, diags));
    gml_summarize(out_view->model, &r->arena, &out_view->summary);
    return GML_OK;
}

static void close_view(view *v)
{
    if (v->model == NULL)
        return;
    gml_module_destroy(v->summary.module);
    gml_model_release(v->model);
}

/* The model as a training step; nothing where it is none. */
static gml_status open_training(request *r, const char *path, view *out_step)
{
    gml_diags diags;
    gml_diags_init(&diags, &r->arena);
    gml_status status = open_view(r, path, GML_ONNX_STEP, out_step, &diags);
    bool is_none =
        status == GML_E_USAGE || (status == GML_OK && out_step->summary.n_states == 0);
    if (is_none) {
        close_view(out_step);
        *out_step = (view){NULL};
        return GML_OK;
    }
    if (status != GML_OK)
        fputs(gml_diags_print(&diags), stderr);
    return status;
}

static int describe(request *r, const char *path)
{
    view model = {NULL};
    view step = {NULL};
    gml_status status = open_view(r, path, GML_ONNX_FIXED, &model, &r->diags);
    if (status != GML_OK) {
        if (r->json && status == GML_E_UNSUPPORTED)
            print_json_faults(r);
        return gml_cli_fail(&r->diags, status);
    }
    status = open_training(r, path, &step);
    if (r->json)
        print_json(r, model.model, &model.summary,
                   step.model ? json_training(r, step.model, &step.summary) : json_null());
    else
        print_text(r, model.model, &model.summary);
    if (step.model && !r->json)
        print_training(r, step.model, &step.summary);
    close_view(&step);
    close_view(&model);
    if (fflush(stdout) != 0 || ferror(stdout))
        return gml_cli_fail(&r->diags, gml_fail(&r->diags, GML_E_IO, (gml_loc){0},
                                                "cannot write to standard output"));
    return gml_status_exit(status);
}

int gml_verb_info(int argc, char **argv)
{
    request r = {0};
    gml_arena_init(&r.arena);
    gml_diags_init(&r.diags, &r.arena);
    int n = gml_cli_parse(&cli, argc, argv, handle, &r);
    int status = n < 0 ? -1 - n : 2;
    if (n == 1)
        status = describe(&r, argv[1]);
    else if (n >= 0)
        fputs("gemel: info needs one MODEL; --help says more\n", stderr);
    gml_arena_reset(&r.arena);
    return status;
}
