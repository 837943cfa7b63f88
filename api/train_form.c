/* api/train_form.c - the training form over an imported graph: as a module with states, or as a
 * file. */
#include "api/train_form.h"

#include "api/train_build.h"
#include "frontend/export.h"
#include "ir/verify.h"

#include <math.h>
#include <stdlib.h>

#define GML_MAX_BLOCKS 1000

/* ---- building ---------------------------------------------------------------------------- */

static gml_value *add_counter(gml_train_build *t)
{
    int64_t zero = 0;
    gml_tensor tensor = {.dtype = GML_I64, .data = &zero};
    return gml_builder_tensor(t->b, gml_builder_free_name(t->b, "step"), &tensor, true);
}

int64_t gml_train_block_of(const char *name)
{
    static const char before[] = "blocks.";
    const char *at = strncmp(name, before, sizeof before - 1) == 0 ? name : NULL;
    char *end = NULL;
    if (at == NULL || at[sizeof before - 1] < '0' || at[sizeof before - 1] > '9')
        return -1;
    int64_t block = strtol(at + sizeof before - 1, &end, 10);
    return *end == '.' && block < GML_MAX_BLOCKS ? block : -1;
}

static bool is_before_blocks(const char *name)
{
    return strcmp(name, "cls_token") == 0 || strcmp(name, "pos_embed") == 0 ||
           strncmp(name, "patch_embed.", 12) == 0;
}

/* The share of the rate that the weight gets, of a network of `n_blocks`. */
static double scale_of(const gml_train_build *t, const char *name, int64_t n_blocks)
{
    int64_t block = gml_train_block_of(name);
    int64_t layer = block >= 0 ? block + 1 : is_before_blocks(name) ? 0 : n_blocks + 1;
    double decay = t->form->layer_decay;
    return decay != 0 ? pow(decay, (double)(n_blocks + 1 - layer)) : 1;
}

static gml_trained describe(gml_train_build *t, gml_value *weight, gml_value *gradient,
                            int64_t n_blocks)
{
    const gml_train_form *form = t->form;
    bool is_decayed = gml_trainer_decays(t->b, weight) &&
                      !gml_train_matches(form->no_decay, form->n_no_decay, weight->name);
    return (gml_trained){.weight = weight,
                         .gradient = gradient,
                         .is_decayed = is_decayed,
                         .scale = scale_of(t, weight->name, n_blocks)};
}

static void add_updates(gml_train_build *t)
{
    gml_arena *arena = &t->b->module->arena;
    gml_value **gradients = gml_new_array(arena, gml_value *, t->n_trained + 1);
    gml_trained *trained = gml_new_array(arena, gml_trained, t->n_trained + 1);
    gml_gradient_spec spec = {
        .name = "step.gradient", .y = t->loss, .xs = t->trained, .n_xs = t->n_trained};
    gml_builder_gradients(t->b, &spec, gradients);
    int64_t n_blocks = 0;
    for (size_t i = 0; i < t->n_trained; i++) {
        int64_t block = gml_train_block_of(t->trained[i]->name);
        n_blocks = block >= n_blocks ? block + 1 : n_blocks;
    }
    for (size_t i = 0; i < t->n_trained; i++)
        trained[i] = describe(t, t->trained[i], gradients[i], n_blocks);
    gml_trainer *trainer = gml_trainer_create(t->b, &t->form->trainer);
    gml_step_count count = gml_trainer_count(trainer, add_counter(t));
    gml_value *lr = gml_trainer_rate(trainer, count.now);
    gml_trainer_update(trainer, &count, lr, trained, t->n_trained);
    gml_trainer_advance(trainer, &count);
}

static gml_status build(gml_train_build *t, const gml_train_form *form, gml_module *module,
                        gml_diags *diags)
{
    *t = (gml_train_build){.form = form, .b = gml_builder_open(module, diags)};
    if (form->batch_norm)
        gml_train_use_batches(t);
    gml_builder_begin_step(t->b);
    gml_train_add_loss(t);
    gml_train_find_weights(t);
    if (!gml_builder_has_failed(t->b))
        add_updates(t);
    if (form->batch_norm && !gml_builder_has_failed(t->b))
        gml_train_update_statistics(t);
    return t->b->build.status;
}

/* ---- as a module with states --------------------------------------------------------------
 */

/* Results of updates go behind all others, under the states' names. */
static void sort_results(gml_builder *b)
{
    gml_graph *graph = b->module->main;
    gml_arena *arena = &b->module->arena;
    gml_value **values = gml_new_array(arena, gml_value *, graph->n_results + 1);
    const char **names = gml_new_array(arena, const char *, graph->n_results + 1);
    bool *is_update = gml_new_array(arena, bool, graph->n_results + 1);
    uint32_t n = 0;
    for (size_t i = 0; i < b->updates.count; i++)
        is_update[b->updates.items[i].result] = true;
    for (uint32_t r = 0; r < graph->n_results; r++) {
        values[n] = graph->results[r];
        names[n] = graph->result_names[r];
        n += !is_update[r];
    }
    for (size_t i = 0; i < b->updates.count; i++) {
        gml_export_update *update = &b->updates.items[i];
        values[n] = graph->results[update->result];
        names[n] = update->state->name;
        update->result = n++;
    }
    memcpy(graph->results, values, n * sizeof *values);
    memcpy(graph->result_names, names, n * sizeof *names);
}

static bool is_trained(const gml_train_build *t, const gml_value *value)
{
    for (size_t i = 0; i < t->n_trained; i++)
        if (t->trained[i] == value)
            return true;
    return false;
}

/* The constant that `update` changes becomes a parameter. */
static void add_state(gml_train_build *t, const gml_export_update *update)
{
    gml_module *module = t->b->module;
    gml_value *old = update->state->def->results;
    const gml_tensor *initial = old->constant;
    gml_value *param = gml_graph_add_param(
        module->main, old->name,
        gml_type_tensor(&module->arena, initial->dtype, initial->rank, initial->dims));
    gml_state state = {.name = old->name,
                       .param = param->index,
                       .result = update->result,
                       .initial = *initial,
                       .is_trained = is_trained(t, old)};
    gml_push(&module->arena, &module->states, state);
    gml_value_replace(old, param);
    gml_node_remove(old->def);
}

/* In the order of the constants, which is that of a file that holds the form. */
static void make_states(gml_train_build *t)
{
    gml_builder *b = t->b;
    gml_module *module = b->module;
    const gml_export_update **updates =
        gml_new_array(&module->arena, const gml_export_update *, module->n_values + 1);
    sort_results(b);
    for (size_t i = 0; i < b->updates.count; i++)
        updates[b->updates.items[i].state->id] = &b->updates.items[i];
    gml_for_each_node(node, module->main) {
        if (node->op == &gml_op_constant && updates[node->results[0].id] != NULL)
            add_state(t, updates[node->results[0].id]);
    }
}

/* While the algorithm was built, states were constants, and integers that come from them seemed
 * to be known. */
static gml_status forget_values(gml_graph *graph, gml_diags *diags)
{
    for (gml_node *node = graph->first; node != NULL; node = node->next)
        for (uint32_t r = 0; r < node->n_results && node->n_operands != 0; r++) {
            node->results[r].elements = NULL;
            node->results[r].constant = NULL;
        }
    return gml_graph_infer(graph, diags);
}

gml_status gml_train_form_apply(const gml_train_form *form, gml_module *module,
                                gml_train_report *report, gml_diags *diags)
{
    gml_train_build t;
    GML_TRY(build(&t, form, module, diags));
    make_states(&t);
    GML_TRY(forget_values(module->main, diags));
    module->n_initialisers = 0;
    if (report != NULL)
        *report = t.report;
    return gml_module_verify(module, diags);
}

/* ---- as a file ----------------------------------------------------------------------------
 */

gml_status gml_train_form_write(const gml_train_form *form, gml_module *module,
                                const char *path, bool external, gml_train_report *report,
                                gml_diags *diags)
{
    gml_train_build t;
    gml_export_training training;
    GML_TRY(build(&t, form, module, diags));
    GML_TRY(gml_module_verify(module, diags));
    if (report != NULL)
        *report = t.report;
    gml_export_options options = {.external_data = external,
                                  .training = gml_builder_training(t.b, &training)};
    return gml_onnx_save(module, path, &options, diags);
}

gml_status gml_train_form_bytes(const gml_train_form *form, gml_module *module, gml_str *out,
                                gml_diags *diags)
{
    gml_train_build t;
    gml_export_training training;
    GML_TRY(build(&t, form, module, diags));
    GML_TRY(gml_module_verify(module, diags));
    gml_export_options options = {.training = gml_builder_training(t.b, &training)};
    return gml_onnx_write(module, &options, out, diags);
}
