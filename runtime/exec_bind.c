/* runtime/exec_bind.c - sizes get their values.
 *
 * Every expression of the program's table is evaluated once per binding, operands before users,
 * so that kernels find each size by its number. Symbols get their values from the shapes of
 * inputs, or later from what a host operator made, in three rounds: dimensions that are a bare
 * symbol, then expressions (solved where one operand is missing, else taken as they are), then
 * a comparison of all dimensions with what came out.
 */
#include "runtime/instance.h"

#include <inttypes.h>
#include <stdio.h>

bool gml_instance_dim(const gml_instance *instance, gml_dim dim, int64_t *out_value)
{
    if (gml_dim_is_const(dim)) {
        *out_value = dim;
        return true;
    }
    size_t i = gml_dim_index(dim);
    *out_value = instance->dims[i];
    return instance->known[i] != GML_UNKNOWN;
}

/* ---- Evaluation ------------------------------------------------------------------------- */

static uint8_t known_of(const gml_instance *instance, gml_dim dim)
{
    return gml_dim_is_const(dim) ? GML_BOUND : instance->known[gml_dim_index(dim)];
}

static void evaluate(gml_instance *instance)
{
    const gml_dim_pool *pool = &instance->program->dims;
    instance->has_new_sizes = true;
    for (size_t i = 0; i < pool->exprs.count; i++) {
        const gml_dim_expr *expr = &pool->exprs.items[i];
        if (expr->op == GML_DIM_SYMBOL)
            continue;
        uint8_t a_known = known_of(instance, expr->a);
        uint8_t b_known = known_of(instance, expr->b);
        if (a_known == GML_UNKNOWN || b_known == GML_UNKNOWN)
            continue;
        int64_t a = 0;
        int64_t b = 0;
        int64_t value = 0;
        (void)gml_instance_dim(instance, expr->a, &a);
        (void)gml_instance_dim(instance, expr->b, &b);
        bool fits = gml_dim_apply(expr->op, a, b, &value);
        instance->dims[i] = fits ? value : 0;
        instance->known[i] = !fits ? GML_UNKNOWN : a_known > b_known ? a_known : b_known;
    }
}

static void forget(gml_instance *instance, gml_known from)
{
    for (size_t i = 0; i < instance->program->dims.exprs.count; i++) {
        if (instance->known[i] >= (uint8_t)from) {
            instance->known[i] = GML_UNKNOWN;
            instance->dims[i] = 0;
        }
    }
    instance->has_found = false;
    instance->has_new_sizes = true;
}

/* ---- Matching --------------------------------------------------------------------------- */

static void set(gml_instance *instance, gml_dim dim, int64_t value, gml_known how)
{
    size_t i = gml_dim_index(dim);
    if (instance->program->dims.exprs.items[i].op == GML_DIM_SYMBOL && value < 0)
        return;
    instance->dims[i] = value;
    instance->known[i] = (uint8_t)how;
    instance->has_found |= how == GML_FOUND;
}

/* Makes `dim` equal `value` where something in it is unknown, if it can. */
static void solve(gml_instance *instance, gml_dim dim, int64_t value, gml_known how)
{
    while (known_of(instance, dim) == GML_UNKNOWN) {
        const gml_dim_expr *expr = &instance->program->dims.exprs.items[gml_dim_index(dim)];
        bool is_linear = expr->op == GML_DIM_ADD || expr->op == GML_DIM_MUL;
        int64_t part = 0;
        gml_dim rest = 0;
        if (is_linear && gml_instance_dim(instance, expr->a, &part))
            rest = expr->b;
        else if (is_linear && gml_instance_dim(instance, expr->b, &part))
            rest = expr->a;
        else
            is_linear = false;
        if (!is_linear) {
            set(instance, dim, value, how);
            return;
        }
        if (expr->op == GML_DIM_ADD && __builtin_sub_overflow(value, part, &value))
            return;
        if (expr->op == GML_DIM_MUL) {
            if (part == 0 || part == -1 || value % part != 0)
                return;
            value /= part;
        }
        dim = rest;
    }
}

static bool is_symbol(const gml_instance *instance, gml_dim dim)
{
    return !gml_dim_is_const(dim) &&
           instance->program->dims.exprs.items[gml_dim_index(dim)].op == GML_DIM_SYMBOL;
}

/* One round over a shape. */
static void match_dims(gml_instance *instance, const gml_slot *slot, const gml_tensor *tensor,
                       bool symbols, gml_known how)
{
    for (int i = 0; i < slot->rank; i++) {
        if (is_symbol(instance, slot->dims[i]) == symbols)
            solve(instance, slot->dims[i], tensor->dims[i], how);
    }
}

const char *gml_instance_dim_text(const gml_instance *instance, gml_dim dim, gml_diags *diags)
{
    gml_str text;
    gml_str_init(&text);
    gml_dim_print(&instance->program->dims, dim, &text);
    char *copy = gml_arena_text(diags->arena, text.text, text.len);
    gml_str_reset(&text);
    return copy;
}

static gml_status check_dims(const gml_instance *instance, const gml_slot *slot,
                             const gml_tensor *tensor, const char *what, gml_loc loc,
                             gml_diags *diags)
{
    for (int i = 0; i < slot->rank; i++) {
        int64_t expected = 0;
        bool known = gml_instance_dim(instance, slot->dims[i], &expected);
        if (known && expected == tensor->dims[i])
            continue;
        const char *text = gml_instance_dim_text(instance, slot->dims[i], diags);
        if (!known)
            return gml_fail(diags, GML_E_SHAPE, loc,
                            "%s: dimension %d is %" PRId64 ", which %s cannot be", what, i,
                            tensor->dims[i], text);
        if (gml_dim_is_const(slot->dims[i]))
            return gml_fail(diags, GML_E_SHAPE, loc,
                            "%s: dimension %d is %" PRId64 " where %s is needed", what, i,
                            tensor->dims[i], text);
        return gml_fail(diags, GML_E_SHAPE, loc,
                        "%s: dimension %d is %" PRId64 " where %s is %" PRId64, what, i,
                        tensor->dims[i], text, expected);
    }
    return GML_OK;
}

/* What does not depend on symbols. */
static gml_status check_tensor(const gml_slot *slot, const gml_rvalue *value, const char *what,
                               gml_loc loc, gml_diags *diags)
{
    const gml_tensor *tensor = &value->tensor;
    size_t bytes = 0;
    if (value->kind != GML_RVALUE_TENSOR)
        return gml_fail(diags, GML_E_TYPE, loc, "%s is no tensor", what);
    if (tensor->dtype != slot->dtype)
        return gml_fail(diags, GML_E_TYPE, loc, "%s: the elements are %s where %s is needed",
                        what, gml_dtype_name(tensor->dtype), gml_dtype_name(slot->dtype));
    if (!gml_tensor_bytes(tensor, &bytes))
        return gml_fail(diags, GML_E_SHAPE, loc, "%s: the shape is damaged", what);
    if (slot->rank != GML_NO_RANK && tensor->rank != slot->rank)
        return gml_fail(diags, GML_E_SHAPE, loc, "%s: the rank is %d where %d is needed", what,
                        tensor->rank, slot->rank);
    if (bytes != 0 && tensor->data == NULL)
        return gml_fail(diags, GML_E_INVALID, loc, "%s has no data", what);
    return GML_OK;
}

/* ---- Inputs ----------------------------------------------------------------------------- */

static const char *input_name(const gml_program *program, uint32_t input, char *room,
                              size_t size)
{
    const char *name = program->input_names != NULL ? program->input_names[input] : NULL;
    if (name == NULL)
        name = program->slots.items[program->inputs[input]].name;
    if (name != NULL)
        snprintf(room, size, "input %s", name);
    else
        snprintf(room, size, "input %" PRIu32, input);
    return room;
}

static const gml_slot *input_slot(const gml_instance *instance, uint32_t input)
{
    const gml_program *program = instance->program;
    return &program->slots.items[program->inputs[input]];
}

/* Takes over the views, and tells whether all shapes are those of the run before. */
static bool take_inputs(gml_instance *instance, const gml_rvalue *inputs)
{
    const gml_program *program = instance->program;
    bool same = instance->is_bound;
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        gml_rvalue *value = &instance->values[program->inputs[i]];
        int64_t *bound = instance->bound + (size_t)i * (GML_MAX_RANK + 1);
        *value = inputs[i];
        if (instance->outer == NULL && value->kind == GML_RVALUE_TENSOR)
            value->buffer =
                gml_buffer_device(value->buffer) != NULL ? instance->remote : instance->marker;
        instance->addresses[program->inputs[i]] = value->tensor.data;
        if (input_slot(instance, i)->dtype == GML_NONE)
            continue;
        same = same && bound[0] == value->tensor.rank;
        bound[0] = value->tensor.rank;
        for (int d = 0; d < value->tensor.rank; d++) {
            same = same && bound[1 + d] == value->tensor.dims[d];
            bound[1 + d] = value->tensor.dims[d];
        }
    }
    for (size_t i = 0; i < instance->n_inherited; i++) {
        gml_inherited *from = &instance->inherited[i];
        int64_t now = *from->known != GML_UNKNOWN ? *from->value : -1;
        same = same && now == from->last;
        from->last = now;
    }
    return same;
}

static void bind_symbols(gml_instance *instance)
{
    const gml_program *program = instance->program;
    forget(instance, GML_BOUND);
    for (size_t i = 0; i < instance->n_inherited; i++) {
        const gml_inherited *from = &instance->inherited[i];
        if (from->last < 0)
            continue;
        instance->dims[from->symbol] = from->last;
        instance->known[from->symbol] = GML_BOUND;
    }
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < program->n_inputs; i++) {
            const gml_slot *slot = input_slot(instance, i);
            if (slot->dtype != GML_NONE)
                match_dims(instance, slot, &instance->values[program->inputs[i]].tensor,
                           round == 0, GML_BOUND);
        }
        evaluate(instance);
    }
}

gml_status gml_instance_bind(gml_instance *instance, const gml_rvalue *inputs, size_t n_inputs,
                             bool *out_changed, gml_diags *diags)
{
    const gml_program *program = instance->program;
    char what[128];
    if (n_inputs != program->n_inputs)
        return gml_fail(diags, GML_E_INVALID, (gml_loc){0},
                        "%zu inputs where the program has %" PRIu32, n_inputs,
                        program->n_inputs);
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        const gml_slot *slot = input_slot(instance, i);
        const gml_device *device = gml_buffer_device(inputs[i].buffer);
        if (slot->dtype != GML_NONE)
            GML_TRY(check_tensor(slot, &inputs[i], input_name(program, i, what, sizeof what),
                                 (gml_loc){0}, diags));
        if (device != NULL && device != program->device)
            return gml_fail(diags, GML_E_INVALID, (gml_loc){0},
                            "%s lies on a device that the program does not run on",
                            input_name(program, i, what, sizeof what));
    }
    if (instance->has_found)
        forget(instance, GML_FOUND);
    bool is_same = take_inputs(instance, inputs);
    *out_changed = !is_same;
    if (is_same)
        return GML_OK;
    instance->is_bound = false;
    bind_symbols(instance);
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        const gml_slot *slot = input_slot(instance, i);
        if (slot->dtype != GML_NONE)
            GML_TRY(check_dims(instance, slot, &inputs[i].tensor,
                               input_name(program, i, what, sizeof what), (gml_loc){0}, diags));
    }
    instance->has_open = false;
    GML_TRY(gml_instance_check(instance, diags));
    instance->is_bound = true;
    return GML_OK;
}

/* ---- Results of host operators ---------------------------------------------------------- */

gml_status gml_instance_match(gml_instance *instance, const gml_step *step, uint32_t number,
                              gml_diags *diags)
{
    uint32_t slot_number = step->outputs[number];
    const gml_slot *slot = &instance->program->slots.items[slot_number];
    const gml_rvalue *value = &instance->values[slot_number];
    gml_loc loc = gml_step_loc(step);
    char what[32];
    if (slot->dtype == GML_NONE || value->kind == GML_RVALUE_NONE)
        return GML_OK;
    snprintf(what, sizeof what, "result %" PRIu32, number);
    GML_TRY(check_tensor(slot, value, what, loc, diags));
    bool is_known = true;
    for (int i = 0; i < slot->rank; i++)
        is_known = is_known && known_of(instance, slot->dims[i]) != GML_UNKNOWN;
    if (!is_known) {
        match_dims(instance, slot, &value->tensor, true, GML_FOUND);
        evaluate(instance);
        match_dims(instance, slot, &value->tensor, false, GML_FOUND);
        evaluate(instance);
    }
    return check_dims(instance, slot, &value->tensor, what, loc, diags);
}
