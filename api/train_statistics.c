/* api/train_statistics.c - BatchNormalization of a training form: the batch's statistics
 * instead of the running ones, and those updated.
 *
 * ONNX: running = running momentum + batch (1 - momentum), where the batch's variance divides
 * by the count. */
#include "api/train_build.h"

static bool is_frozen(const gml_node *node)
{
    return node->op == &gml_op_batchnormalization && !gml_node_int(node, "training_mode", 0);
}

/* A copy of `node` that takes the batch's statistics and gives the running ones, in its place.
 */
static void replace_node(gml_train_build *t, gml_node *node)
{
    gml_build build = {t->b->module->main, node, node->loc, t->b->diags, GML_OK};
    gml_attr attrs[3] = {gml_attr_int("training_mode", 1)};
    size_t n = 1;
    for (uint32_t i = 0; i < node->n_attrs && n < 3; i++)
        if (strcmp(node->attrs[i].name, "training_mode") != 0)
            attrs[n++] = node->attrs[i];
    gml_node *made =
        gml_build_node(&build, node->op, node->operands, node->n_operands, attrs, n, 3);
    gml_train_fail(t, build.status);
    if (build.status != GML_OK)
        return;
    made->results[0].name = node->results[0].name;
    gml_value_replace(&node->results[0], &made->results[0]);
    if (t->b->before_step == node)
        t->b->before_step = made;
    gml_node_remove(node);
}

void gml_train_use_batches(gml_train_build *t)
{
    gml_for_each_node(node, t->b->module->main) {
        if (gml_builder_has_failed(t->b))
            return;
        if (is_frozen(node))
            replace_node(t, node);
    }
}

static bool is_updated(const gml_train_build *t, const gml_value *state)
{
    for (size_t i = 0; i < t->b->updates.count; i++)
        if (t->b->updates.items[i].state == state)
            return true;
    return false;
}

void gml_train_update_statistics(gml_train_build *t)
{
    gml_for_each_node(node, t->b->module->main) {
        if (node->op != &gml_op_batchnormalization || node->n_results != 3)
            continue;
        for (uint32_t k = 0; k < 2; k++) {
            gml_value *state = node->operands[3 + k];
            if (state->def == NULL || state->def->op != &gml_op_constant)
                continue;
            if (is_updated(t, state))
                gml_builder_fail_at(t->b, GML_E_UNSUPPORTED, state->name, NULL,
                                    "two BatchNormalization nodes share a running statistic");
            gml_builder_update(t->b, state, &node->results[1 + k]);
        }
    }
}
