/* api/train_loss.c - the loss of a training form. */
#include "api/names.h"
#include "api/source.h"
#include "api/train_build.h"

#define GML_LOSS_SCOPE "step.loss"

static gml_value *make_node(gml_train_build *t, gml_node_spec spec)
{
    spec.name = gml_arena_printf(&t->b->module->arena, GML_LOSS_SCOPE "/%s_%u", spec.op,
                                 t->b->module->n_values);
    return gml_builder_node(t->b, &spec);
}

static gml_value *binary(gml_train_build *t, const char *op, gml_value *x, gml_value *y)
{
    return make_node(t, (gml_node_spec){.op = op, .inputs = {x, y}});
}

static gml_value *mean(gml_train_build *t, gml_value *x)
{
    return make_node(
        t,
        (gml_node_spec){.op = "ReduceMean", .inputs = {x}, .attrs = {GML_INT("keepdims", 0)}});
}

/* ---- outputs ----------------------------------------------------------------------------- */

/* Output `name` of the model, or the first; NULL and a failure when there is none. */
static gml_value *find_output(gml_train_build *t, const char *name)
{
    const gml_module *module = t->b->module;
    const char **names = gml_output_names(module, &t->b->module->arena);
    size_t n = module->main->n_results;
    for (size_t i = 0; i < n; i++)
        if (name == NULL || strcmp(names[i], name) == 0)
            return module->main->results[i];
    gml_train_fail(t, gml_name_fail(t->b->diags, gml_train_loc(t), "output", name, names, n));
    return NULL;
}

static gml_status check_floats(gml_train_build *t, const gml_value *y, const char *name)
{
    const gml_type *type = &y->type;
    gml_loc loc = {.file = t->b->module->file, .node = name, .op = "output"};
    if (type->kind != GML_TYPE_TENSOR || gml_dtype_get_class(type->dtype) != GML_CLASS_FLOAT)
        return gml_fail(t->b->diags, GML_E_TYPE, loc,
                        "a loss is made of floating-point numbers, and this is %s",
                        gml_type_text(t->b->module, type, t->b->diags->arena));
    if (type->rank != GML_RANK_UNKNOWN)
        return GML_OK;
    (void)gml_fail(t->b->diags, GML_E_UNSUPPORTED, loc, "its rank is not known when compiling");
    gml_note(t->b->diags, "--dim gives open dimensions a size");
    return GML_E_UNSUPPORTED;
}

/* ---- the softmax in front of an output --------------------------------------------------- */

static bool is_op(const gml_value *value, const gml_op_info *op)
{
    return value != NULL && value->def != NULL && value->def->op == op;
}

static bool is_softmax(const gml_value *value)
{
    return is_op(value, &gml_op_softmax) || is_op(value, &gml_op_logsoftmax);
}

static bool has_shape(const gml_value *value)
{
    return value != NULL && value->type.kind == GML_TYPE_TENSOR && value->type.rank > 0;
}

static int64_t axis_of(const gml_node *node, int64_t fallback, int rank)
{
    int64_t axis = gml_node_int(node, "axis", fallback);
    return axis < 0 ? axis + rank : axis;
}

/* What operator sets before 13 mean by Softmax on channels: Reshape(Softmax(Flatten(x)),
 * Shape(x)) where nothing follows the channels. NULL for all else. */
static gml_value *before_flat_softmax(const gml_value *y, int64_t *out_axis)
{
    if (!is_op(y, &gml_op_reshape) || !is_softmax(y->def->operands[0]))
        return NULL;
    const gml_value *flat = y->def->operands[0]->def->operands[0];
    const gml_value *shape = y->def->operands[1];
    if (!is_op(flat, &gml_op_flatten))
        return NULL;
    gml_value *x = flat->def->operands[0];
    if (!has_shape(x) || !is_op(shape, &gml_op_shape) || shape->def->operands[0] != x)
        return NULL;
    int64_t axis = axis_of(flat->def, 1, x->type.rank);
    for (int64_t d = axis + 1; d < x->type.rank; d++)
        if (x->type.dims[d] != 1)
            return NULL;
    *out_axis = axis;
    return axis < x->type.rank ? x : NULL;
}

/* The logits behind `y`, and the axis of classes. */
static gml_value *find_logits(gml_train_build *t, gml_value *y, int64_t *out_axis)
{
    gml_value *x = NULL;
    const gml_value *softmax = y;
    while (is_op(softmax, &gml_op_identity))
        softmax = softmax->def->operands[0];
    if (is_softmax(softmax) && has_shape(softmax->def->operands[0])) {
        x = softmax->def->operands[0];
        *out_axis = axis_of(softmax->def, -1, x->type.rank);
    } else {
        x = before_flat_softmax(softmax, out_axis);
    }
    if (x == NULL) {
        *out_axis = t->form->class_axis + (t->form->class_axis < 0 ? y->type.rank : 0);
        return y;
    }
    t->report.softmax = softmax->def->loc.node != NULL ? softmax->def->loc.node : "";
    return x;
}

/* ---- cross-entropy ----------------------------------------------------------------------- */

/* (N, …, C, …) -> (N, C, …) */
static gml_value *classes_second(gml_train_build *t, gml_value *logits, int axis)
{
    int64_t perm[GML_MAX_RANK];
    size_t n = 0;
    for (int d = 0; d < logits->type.rank; d++) {
        if (d != axis)
            perm[n++] = d;
        if (n == 1 && d != axis)
            perm[n++] = axis;
    }
    gml_node_spec spec = {.op = "Transpose", .inputs = {logits}};
    spec.attrs[0] =
        (gml_node_attr){.name = "perm", .kind = GML_NODE_INTS, .ints = perm, .count = n};
    return axis == 1 ? logits : make_node(t, spec);
}

/* The input of labels: as `logits`, (N, C, …), without C. */
static gml_value *add_labels(gml_train_build *t, const gml_value *logits)
{
    gml_dim dims[GML_MAX_RANK];
    int rank = 0;
    for (int d = 0; d < logits->type.rank; d++)
        if (d != 1)
            dims[rank++] = logits->type.dims[d];
    return gml_builder_param(t->b, gml_builder_free_name(t->b, "labels"),
                             gml_type_tensor(&t->b->module->arena, GML_I64, rank, dims));
}

/* (1 - s) x mean of -log p(label) + s x mean of -log p */
static gml_value *cross_entropy(gml_train_build *t, gml_value *y, const char *name)
{
    int64_t axis = 1;
    gml_value *logits = find_logits(t, y, &axis);
    if (logits->type.rank < 2 || axis < 0 || axis >= logits->type.rank) {
        gml_train_fail(
            t, gml_fail(t->b->diags, GML_E_SHAPE,
                        (gml_loc){.file = t->b->module->file, .node = name, .op = "output"},
                        "logits of rank %d have no axis %lld of classes beside one of samples",
                        logits->type.rank, (long long)axis));
        return y;
    }
    logits = classes_second(t, logits, (int)axis);
    if (gml_builder_has_failed(t->b))
        return y;
    bool is_smooth = t->form->smoothing != 0;
    gml_value *loss = make_node(t, (gml_node_spec){.op = "SoftmaxCrossEntropyLoss",
                                                   .inputs = {logits, add_labels(t, logits)},
                                                   .n_outputs = is_smooth ? 2 : 1});
    if (!is_smooth || gml_builder_has_failed(t->b))
        return loss;
    gml_value *all = mean(t, gml_builder_result(t->b, loss, 1));
    gml_dtype dtype = loss->type.dtype;
    loss =
        binary(t, "Mul", loss, gml_build_scalar(&t->b->build, dtype, 1 - t->form->smoothing));
    all = binary(t, "Mul", all, gml_build_scalar(&t->b->build, dtype, t->form->smoothing));
    return binary(t, "Sub", loss, all);
}

/* - mean over samples of the sum of target log p */
static gml_value *soft_cross_entropy(gml_train_build *t, gml_value *y, const char *name)
{
    int64_t axis = 1;
    gml_value *logits = find_logits(t, y, &axis);
    const gml_type *type = &logits->type;
    if (type->rank != 2 || axis != 1 || !gml_dim_is_const(type->dims[1])) {
        gml_train_fail(
            t, gml_fail(t->b->diags, GML_E_SHAPE,
                        (gml_loc){.file = t->b->module->file, .node = name, .op = "output"},
                        "shares of classes are for logits [N,C] of a known C"));
        return y;
    }
    gml_value *target = gml_builder_param(t->b, gml_builder_free_name(t->b, "target"), *type);
    gml_value *log_p = make_node(
        t,
        (gml_node_spec){.op = "LogSoftmax", .inputs = {logits}, .attrs = {GML_INT("axis", 1)}});
    gml_value *loss = mean(t, binary(t, "Mul", target, log_p));
    return binary(t, "Mul", loss,
                  gml_build_scalar(&t->b->build, type->dtype, -(double)type->dims[1]));
}

/* ---- the whole --------------------------------------------------------------------------- */

static gml_value *squared_error(gml_train_build *t, gml_value *y)
{
    gml_value *target = gml_builder_param(t->b, gml_builder_free_name(t->b, "target"), y->type);
    gml_value *difference = binary(t, "Sub", y, target);
    return mean(t, binary(t, "Mul", difference, difference));
}

void gml_train_add_loss(gml_train_build *t)
{
    const char *loss = t->form->loss;
    bool is_entropy = strcmp(loss, "cross-entropy") == 0;
    bool is_soft = strcmp(loss, "soft-cross-entropy") == 0;
    bool is_mse = strcmp(loss, "mse") == 0;
    bool is_named = !is_entropy && !is_soft && !is_mse;
    const char *name = is_named ? loss : t->form->output;
    if (gml_builder_has_failed(t->b))
        return;
    gml_value *y = find_output(t, name);
    name = name != NULL ? name : gml_output_names(t->b->module, &t->b->module->arena)[0];
    if (y != NULL)
        gml_train_fail(t, check_floats(t, y, name));
    if (gml_builder_has_failed(t->b))
        return;
    if (is_entropy)
        t->loss = cross_entropy(t, y, name);
    else if (is_soft)
        t->loss = soft_cross_entropy(t, y, name);
    else
        t->loss = is_mse ? squared_error(t, y) : mean(t, y);
    t->is_loss_output = is_named && strcmp(name, "loss") == 0;
    if (!t->is_loss_output && !gml_builder_has_failed(t->b))
        gml_builder_output(t->b, t->loss, gml_builder_free_name(t->b, "loss"));
}
