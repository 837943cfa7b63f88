/* frontend/import_training.c - the main graph: of a run, of a training step, or of an
 * initialisation.
 *
 * ONNX says of a step that it runs the model's graph and the algorithm's, one behind the other,
 * as one: inputs, initialisers, nodes and outputs are those of both. An initialiser that a
 * binding names is a state: what was a constant is a parameter then, and what the binding gives
 * it a result. */
#include "frontend/importer.h"
#include "ir/op.h"

#include <string.h>

/* Where a state's first elements are in the file. */
typedef struct state_source {
    const Onnx__TensorProto *dense; /* or NULL, and then */
    const Onnx__SparseTensorProto *sparse;
} state_source;

typedef struct training {
    gml_scope *scope;
    gml_importer *importer;
    const Onnx__TrainingInfoProto *info; /* NULL for a run */
    gml_map states;                      /* name -> gml_state of the module */
    gml_vec(state_source) sources;       /* by state */
    gml_map bound;                       /* value of a binding -> the binding */
} training;

typedef struct bindings {
    Onnx__StringStringEntryProto *const *items;
    size_t count;
} bindings;

static gml_loc model_loc(const training *t, const char *name)
{
    gml_importer *importer = t->importer;
    return (gml_loc){.file = importer->module->file,
                     .node = gml_import_text(importer, name),
                     .op = "TrainingInfo"};
}

static bindings updates_of(const Onnx__TrainingInfoProto *info)
{
    return (bindings){info->update_binding, info->n_update_binding};
}

static bindings initials_of(const Onnx__TrainingInfoProto *info)
{
    return (bindings){info->initialization_binding, info->n_initialization_binding};
}

/* ---- states -------------------------------------------------------------------------------
 */

static void note_keys(gml_map *keys, bindings list)
{
    for (size_t i = 0; i < list.count; i++)
        gml_map_set(keys, gml_text_or_empty(list.items[i]->key), list.items[i]);
}

/* Adds the initialiser called `name` when it is one of `keys`. */
static void add_state(training *t, const gml_map *keys, const char *name, state_source source)
{
    gml_module *module = t->importer->module;
    name = gml_text_or_empty(name);
    if (gml_map_find(keys, name) == NULL || gml_map_has(&t->states, name))
        return;
    gml_state state = {.name = gml_import_text(t->importer, name),
                       .param = GML_NO_INDEX,
                       .result = GML_NO_INDEX};
    gml_push(&module->arena, &module->states, state);
    gml_push(&t->importer->scratch, &t->sources, source);
    gml_map_set(&t->states, state.name, NULL);
}

static void add_states(training *t, const gml_map *keys, const Onnx__GraphProto *proto)
{
    for (size_t i = 0; proto != NULL && i < proto->n_initializer; i++)
        add_state(t, keys, proto->initializer[i]->name,
                  (state_source){.dense = proto->initializer[i]});
    for (size_t i = 0; proto != NULL && i < proto->n_sparse_initializer; i++) {
        const Onnx__SparseTensorProto *sparse = proto->sparse_initializer[i];
        if (sparse->values != NULL)
            add_state(t, keys, sparse->values->name, (state_source){.sparse = sparse});
    }
}

/* Every initialiser that some binding of the model names, whichever part is wanted: all parts
 * of a model speak of the same states. */
static void find_states(training *t)
{
    const Onnx__ModelProto *model = t->importer->model;
    gml_map keys;
    gml_map_init(&keys, &t->importer->scratch);
    for (size_t i = 0; i < model->n_training_info; i++) {
        note_keys(&keys, updates_of(model->training_info[i]));
        note_keys(&keys, initials_of(model->training_info[i]));
    }
    add_states(t, &keys, model->graph);
    for (size_t i = 0; i < model->n_training_info; i++)
        add_states(t, &keys, model->training_info[i]->algorithm);
    gml_module *module = t->importer->module;
    for (size_t i = 0; i < module->states.count; i++)
        gml_map_set(&t->states, module->states.items[i].name, &module->states.items[i]);
}

static gml_state *find_state(const training *t, const char *name)
{
    return gml_map_find(&t->states, gml_text_or_empty(name));
}

/* What the file holds for `state`, taken out of the graph. */
static void take_initial(training *t, gml_state *state)
{
    gml_value *value = gml_map_find(&t->scope->names, state->name);
    if (value == NULL || value->constant == NULL)
        return; /* of an algorithm that is not wanted, or faulty and reported */
    state->initial = *value->constant;
    gml_node_remove(value->def);
    gml_map_set(&t->scope->names, state->name, NULL);
}

/* All parts of a model know what all its states are at first: whichever is opened first has
 * the memory for the others. */
static void read_initials(training *t)
{
    gml_module *module = t->importer->module;
    const gml_tensor_reader *reader = &t->importer->reader;
    for (size_t i = 0; i < module->states.count; i++) {
        gml_state *state = &module->states.items[i];
        gml_loc loc = model_loc(t, state->name);
        const state_source *source = &t->sources.items[i];
        if (state->initial.dtype != GML_NONE || gml_import_is_hopeless(t->importer))
            continue;
        gml_status status =
            source->dense != NULL
                ? gml_tensor_read(reader, source->dense, loc, &state->initial)
                : gml_tensor_read_sparse(reader, source->sparse, loc, &state->initial);
        (void)status; /* a fault is in the diagnostics */
    }
}

/* The states that are in the scope become parameters. */
static void define_params(training *t)
{
    gml_module *module = t->importer->module;
    for (size_t i = 0; i < module->states.count; i++) {
        gml_state *state = &module->states.items[i];
        take_initial(t, state);
        const gml_tensor *initial = &state->initial;
        if (initial->dtype == GML_NONE)
            continue;
        gml_type type =
            gml_type_tensor(&module->arena, initial->dtype, initial->rank, initial->dims);
        gml_value *param = gml_graph_add_param(t->scope->graph, state->name, type);
        state->param = param->index;
        gml_scope_define(t->scope, state->name, param, model_loc(t, state->name));
    }
    read_initials(t);
}

static void find_trained(training *t)
{
    gml_module *module = t->importer->module;
    bool *is_trained = gml_new_array(&t->importer->scratch, bool, module->main->n_params + 1);
    for (const gml_node *node = module->main->first; node != NULL; node = node->next) {
        if ((node->op->traits & GML_DIFFERENTIATES) == 0)
            continue;
        for (uint32_t k = 0; k < node->n_operands; k++) {
            const gml_value *operand = node->operands[k];
            if (operand != NULL && operand->def == NULL && operand->graph == module->main)
                is_trained[operand->index] = true;
        }
    }
    for (size_t i = 0; i < module->states.count; i++) {
        gml_state *state = &module->states.items[i];
        state->is_trained = state->param != GML_NO_INDEX && is_trained[state->param];
    }
}

/* ---- results ------------------------------------------------------------------------------
 */

/* Checks the keys, and notes which outputs of the graph they are bound to. */
static void note_bound(training *t, bindings list)
{
    gml_map keys;
    gml_map_init(&keys, &t->importer->scratch);
    for (size_t i = 0; i < list.count; i++) {
        const Onnx__StringStringEntryProto *binding = list.items[i];
        const char *key = gml_text_or_empty(binding->key);
        if (find_state(t, key) == NULL)
            (void)gml_import_fail(t->importer, GML_E_INVALID, model_loc(t, key),
                                  "a binding names \"%s\", which is no initialiser", key);
        else if (gml_map_set(&keys, key, list.items[i]) != NULL)
            (void)gml_import_fail(t->importer, GML_E_INVALID, model_loc(t, key),
                                  "two bindings name \"%s\"", key);
        gml_map_set(&t->bound, gml_text_or_empty(binding->value), list.items[i]);
    }
}

static void add_outputs(training *t, const Onnx__GraphProto *proto)
{
    for (size_t i = 0; i < proto->n_output; i++) {
        if (gml_import_is_hopeless(t->importer))
            return;
        const char *name = gml_text_or_empty(proto->output[i]->name);
        gml_value *value = gml_import_output(t->scope, proto, i);
        if (value != NULL && gml_map_find(&t->bound, name) == NULL)
            gml_graph_add_result(t->scope->graph, value, proto->output[i]->name);
    }
}

static bool is_output(const Onnx__GraphProto *proto, const char *name)
{
    for (size_t i = 0; i < proto->n_output; i++)
        if (strcmp(gml_text_or_empty(proto->output[i]->name), name) == 0)
            return true;
    return false;
}

static void add_bound(training *t, bindings list, const Onnx__GraphProto *proto)
{
    gml_graph *graph = t->scope->graph;
    for (size_t i = 0; i < list.count; i++) {
        const char *name = gml_text_or_empty(list.items[i]->value);
        gml_state *state = find_state(t, list.items[i]->key);
        gml_value *value = gml_scope_find(t->scope, name);
        if (state == NULL)
            continue;
        if (value == NULL || value == &t->importer->absent || !is_output(proto, name)) {
            (void)gml_import_fail(t->importer, GML_E_INVALID, model_loc(t, state->name),
                                  "its binding names \"%s\", which is no output", name);
            continue;
        }
        bool contradicts = value->type.kind == GML_TYPE_TENSOR &&
                           state->initial.dtype != GML_NONE &&
                           value->type.dtype != state->initial.dtype;
        if (contradicts)
            (void)gml_import_fail(t->importer, GML_E_TYPE, model_loc(t, state->name),
                                  "is %s, and is to become %s",
                                  gml_dtype_name(state->initial.dtype),
                                  gml_dtype_name(value->type.dtype));
        state->result = graph->n_results;
        gml_graph_add_result(graph, value, state->name);
    }
}

/* ---- the parts ----------------------------------------------------------------------------
 */

static void import_run(training *t)
{
    const Onnx__GraphProto *proto = t->importer->model->graph;
    gml_import_declarations(t->scope, proto);
    define_params(t);
    gml_import_nodes(t->scope, proto);
    add_outputs(t, proto);
}

static void import_step(training *t)
{
    const Onnx__GraphProto *proto = t->importer->model->graph;
    const Onnx__GraphProto *algorithm = t->info->algorithm;
    gml_import_declarations(t->scope, proto);
    gml_import_declarations(t->scope, algorithm);
    define_params(t);
    note_bound(t, updates_of(t->info));
    gml_import_nodes(t->scope, proto);
    gml_import_nodes(t->scope, algorithm);
    add_outputs(t, proto);
    add_outputs(t, algorithm);
    add_bound(t, updates_of(t->info), algorithm);
    find_trained(t);
}

static bool has_seed(const gml_op_info *op)
{
    bool found = false;
    for (const gml_attr_spec *attr = op->attrs; attr != NULL && attr->name != NULL; attr++)
        found = found || strcmp(attr->name, "seed") == 0;
    return found && (op->traits & GML_EFFECT) != 0;
}

/* Random operators without a seed get one each; a number that a float has exactly. */
static void set_seeds(const training *t, gml_graph *graph, uint64_t *number)
{
    for (gml_node *node = graph->first; node != NULL; node = node->next) {
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                set_seeds(t, node->attrs[i].as.graph, number);
        if (!has_seed(node->op) || gml_node_find_attr(node, "seed") != NULL)
            continue;
        uint64_t key[2] = {t->importer->options->seed, (*number)++};
        gml_node_set_float(node, "seed", (float)(gml_hash_bytes(key, sizeof key, 3) >> 40));
    }
}

static void import_initialisation(training *t)
{
    const Onnx__GraphProto *proto = t->info->initialization;
    if (proto->n_input != 0)
        (void)gml_import_fail(t->importer, GML_E_INVALID, model_loc(t, proto->input[0]->name),
                              "an initialisation has no inputs");
    gml_import_declarations(t->scope, proto);
    read_initials(t);
    note_bound(t, initials_of(t->info));
    gml_import_nodes(t->scope, proto);
    uint64_t number = 0;
    if (t->importer->options->seed != 0)
        set_seeds(t, t->scope->graph, &number);
    add_outputs(t, proto);
    add_bound(t, initials_of(t->info), proto);
}

static bool find_info(training *t)
{
    const gml_onnx_options *options = t->importer->options;
    const Onnx__ModelProto *model = t->importer->model;
    if (options->entry == GML_ONNX_RUN)
        return true;
    if (options->training < model->n_training_info)
        t->info = model->training_info[options->training];
    bool is_there =
        t->info != NULL && (options->entry == GML_ONNX_STEP ? t->info->algorithm != NULL
                                                            : t->info->initialization != NULL);
    if (!is_there)
        (void)gml_import_fail(t->importer, GML_E_USAGE,
                              (gml_loc){.file = t->importer->module->file},
                              "has no training %s",
                              options->entry == GML_ONNX_STEP ? "algorithm" : "initialisation");
    return is_there;
}

static void note_trainings(gml_importer *importer)
{
    const Onnx__ModelProto *model = importer->model;
    for (size_t i = 0; i < model->n_training_info; i++) {
        const Onnx__TrainingInfoProto *info = model->training_info[i];
        gml_training_part part = {info->algorithm != NULL, info->initialization != NULL};
        gml_push(importer->arena, &importer->module->trainings, part);
    }
}

void gml_import_training(gml_scope *scope)
{
    gml_importer *importer = scope->importer;
    note_trainings(importer);
    training t = {.scope = scope, .importer = importer};
    if (importer->options->entry == GML_ONNX_FIXED) {
        gml_import_graph(scope, importer->model->graph);
        return;
    }
    gml_map_init(&t.states, &importer->scratch);
    gml_map_init(&t.bound, &importer->scratch);
    if (!find_info(&t))
        return;
    find_states(&t);
    importer->nesting++;
    switch (importer->options->entry) {
    case GML_ONNX_RUN: import_run(&t); break;
    case GML_ONNX_STEP: import_step(&t); break;
    case GML_ONNX_INITIALISE: import_initialisation(&t); break;
    case GML_ONNX_FIXED: break;
    }
    importer->nesting--;
}
