/* runtime/artifact_write.c - a program to the description of its image. */
#include "runtime/artifact_writer.h"

#include <string.h>

/* The description is a stream; where a constant lies is known only when all of them are, so
 * that the places of its offset are kept. */
typedef struct writer {
    gml_artifact_plan *plan;
    size_t n_earlier; /* constants of the programs before this one */
    gml_str *out;
    gml_diags *diags;
} writer;

void gml_put_number(gml_str *out, uint64_t value, unsigned size)
{
    unsigned char bytes[8];
    gml_store_number(bytes, value, size);
    gml_str_append(out, bytes, size);
}

static void put_bytes_to(gml_str *out, const char *text, size_t len)
{
    gml_put_number(out, len, 4);
    gml_str_append(out, text, len);
}

void gml_put_text(gml_str *out, const char *text)
{
    if (text == NULL)
        gml_put_number(out, GML_NO_TEXT, 4);
    else
        put_bytes_to(out, text, strlen(text));
}

static void put_number(writer *w, uint64_t value, unsigned size)
{
    gml_put_number(w->out, value, size);
}

static void put_u32(writer *w, uint32_t value)
{
    put_number(w, value, 4);
}

static void put_i64(writer *w, int64_t value)
{
    put_number(w, (uint64_t)value, 8);
}

static void put_bytes(writer *w, const char *text, size_t len)
{
    put_bytes_to(w->out, text, len);
}

static void put_text(writer *w, const char *text)
{
    gml_put_text(w->out, text);
}

static void put_numbers(writer *w, const uint32_t *numbers, uint32_t count)
{
    put_u32(w, count);
    for (uint32_t i = 0; i < count; i++)
        put_u32(w, numbers[i]);
}

static gml_status refuse(writer *w, const gml_step *step, const char *what)
{
    return gml_fail(w->diags, GML_E_INVALID, (gml_loc){.node = step->node, .op = step->op},
                    "the program cannot be written: %s", what);
}

/* ---- Elements --------------------------------------------------------------------------- */

/* Programs of one model were imported one by one: the same constant lies in several places. */
static bool is_same_constant(const gml_blob *a, const gml_blob *b)
{
    return a->tensor.name != NULL && b->tensor.name != NULL && a->data != NULL &&
           strcmp(a->tensor.name, b->tensor.name) == 0 && a->tensor.dtype == b->tensor.dtype &&
           memcmp(a->data, b->data, (size_t)a->tensor.size) == 0;
}

/* The number of the constant with these elements. One that is still to be made is nobody
 * else's. */
static uint32_t find_blob(writer *w, const gml_blob *blob)
{
    gml_artifact_plan *plan = w->plan;
    for (size_t i = 0; i < plan->blobs.count && blob->data != NULL; i++) {
        const gml_blob *other = &plan->blobs.items[i];
        if (other->tensor.size == blob->tensor.size &&
            (other->data == blob->data || (i < w->n_earlier && is_same_constant(other, blob))))
            return (uint32_t)i;
    }
    gml_push(&plan->arena, &plan->blobs, *blob);
    return (uint32_t)(plan->blobs.count - 1);
}

/* `blob` says where elements come from when `tensor` does not hold them; its type and shape are
 * filled in. */
static gml_status put_elements(writer *w, const gml_tensor *tensor, gml_blob *blob)
{
    size_t size = 0;
    if (!gml_tensor_bytes(tensor, &size))
        return gml_fail(w->diags, GML_E_SHAPE, (gml_loc){0},
                        "the program cannot be written: a constant has a damaged shape");
    if (size == 0) {
        put_u32(w, GML_ELEMENTS_NONE);
        return GML_OK;
    }
    bool is_made =
        blob->program != NULL && w->plan->options.make != NULL && tensor->dtype != GML_STRING;
    if (tensor->data == NULL && !is_made)
        return gml_fail(w->diags, GML_E_INVALID, (gml_loc){0},
                        "the program cannot be written: a constant has no data");
    if (tensor->dtype == GML_STRING) {
        const gml_string *strings = tensor->data;
        put_u32(w, GML_ELEMENTS_STRINGS);
        for (size_t i = 0; i < size / sizeof(gml_string); i++)
            put_bytes(w, strings[i].data, strings[i].len);
        return GML_OK;
    }
    gml_arena *arena = &w->plan->arena;
    blob->data = tensor->data;
    blob->tensor.dtype = tensor->dtype;
    blob->tensor.rank = tensor->rank;
    blob->tensor.dims = gml_arena_copy(arena, tensor->dims, sizeof tensor->dims);
    blob->tensor.size = size;
    put_u32(w, GML_ELEMENTS_PLACE);
    gml_fixup fixup = {w->out->len, find_blob(w, blob)};
    gml_push(arena, &w->plan->fixups, fixup);
    put_number(w, 0, 8);
    return GML_OK;
}

static gml_status put_tensor(writer *w, const gml_tensor *tensor)
{
    put_u32(w, (uint32_t)tensor->dtype);
    put_u32(w, (uint32_t)tensor->rank);
    for (int i = 0; i < tensor->rank; i++)
        put_i64(w, tensor->dims[i]);
    return put_elements(w, tensor, &(gml_blob){0});
}

/* ---- Attributes ------------------------------------------------------------------------- */

static void put_float(writer *w, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_u32(w, bits);
}

static gml_status put_list(writer *w, const gml_attr *attr)
{
    for (size_t i = 0; i < attr->count; i++) {
        if (attr->kind == GML_ATTR_INTS)
            put_i64(w, attr->as.ints[i]);
        else if (attr->kind == GML_ATTR_FLOATS)
            put_float(w, attr->as.floats[i]);
        else if (attr->kind == GML_ATTR_STRINGS)
            put_bytes(w, attr->as.strings[i].data, attr->as.strings[i].len);
        else
            GML_TRY(put_tensor(w, attr->as.tensors[i]));
    }
    return GML_OK;
}

static gml_status put_attr(writer *w, const gml_attr *attr)
{
    put_text(w, attr->name);
    put_u32(w, (uint32_t)attr->kind);
    switch (attr->kind) {
    case GML_ATTR_NONE:
    case GML_ATTR_TYPE: break;
    case GML_ATTR_INT: put_i64(w, attr->as.i); break;
    case GML_ATTR_FLOAT: put_float(w, attr->as.f); break;
    case GML_ATTR_STRING: put_bytes(w, attr->as.s.data, attr->as.s.len); break;
    case GML_ATTR_TENSOR: return put_tensor(w, attr->as.t);
    case GML_ATTR_GRAPH: put_u32(w, (uint32_t)attr->count); break;
    case GML_ATTR_INTS:
    case GML_ATTR_FLOATS:
    case GML_ATTR_STRINGS:
    case GML_ATTR_TENSORS: put_u32(w, (uint32_t)attr->count); return put_list(w, attr);
    }
    return GML_OK;
}

/* ---- Programs --------------------------------------------------------------------------- */

static gml_status put_program(writer *w, const gml_program *program);

static void put_dims(writer *w, const gml_dim_pool *pool)
{
    put_u32(w, (uint32_t)pool->exprs.count);
    for (size_t i = 0; i < pool->exprs.count; i++) {
        const gml_dim_expr *expr = &pool->exprs.items[i];
        put_u32(w, (uint32_t)expr->op);
        if (expr->op == GML_DIM_SYMBOL) {
            put_text(w, expr->name);
        } else {
            put_i64(w, expr->a);
            put_i64(w, expr->b);
        }
    }
}

static gml_status put_slot(writer *w, const gml_program *program, uint32_t number)
{
    const gml_slot *slot = &program->slots.items[number];
    put_u32(w, (uint32_t)slot->kind);
    put_u32(w, (uint32_t)slot->dtype);
    put_u32(w, (uint32_t)slot->rank);
    put_text(w, slot->name);
    for (int i = 0; i < slot->rank; i++)
        put_i64(w, slot->dims[i]);
    if (slot->kind != GML_SLOT_CONSTANT)
        return GML_OK;
    union {
        const void *from;
        void *to;
    } data = {slot->data};
    gml_tensor tensor = {.dtype = slot->dtype, .rank = slot->rank, .data = data.to};
    for (int i = 0; i < slot->rank; i++)
        tensor.dims[i] = slot->dims[i];
    gml_blob blob = {.program = program, .slot = number, .tensor.name = slot->name};
    return put_elements(w, &tensor, &blob);
}

static void put_parts(writer *w, const gml_part_sizes *parts)
{
    put_u32(w, parts != NULL ? parts->count : 0);
    if (parts == NULL)
        return;
    put_u32(w, parts->n_sizes);
    for (size_t i = 0; i < (size_t)parts->count * parts->n_sizes; i++)
        put_i64(w, parts->sizes[i]);
    for (uint32_t i = 0; i < parts->count; i++)
        put_i64(w, parts->units[i]);
}

static gml_status put_kernel(writer *w, const gml_step *step)
{
    put_parts(w, step->parts);
    put_u32(w, step->over != NULL);
    for (uint32_t i = 0; step->over != NULL && i < step->n_outputs; i++)
        put_number(w, step->over[i], 8);
    put_u32(w, step->n_phases);
    for (uint32_t i = 0; i < step->n_phases; i++) {
        if (step->phases[i].symbol == NULL)
            return refuse(w, step, "a phase has no symbol");
        put_text(w, step->phases[i].symbol);
        put_i64(w, step->phases[i].extent);
    }
    put_u32(w, step->n_temporaries);
    for (uint32_t i = 0; i < step->n_temporaries; i++)
        put_i64(w, step->temporaries[i]);
    put_i64(w, step->scratch);
    put_i64(w, step->flops);
    put_i64(w, step->bytes);
    return GML_OK;
}

static gml_status put_host(writer *w, const gml_step *step)
{
    if (step->host_name == NULL)
        return refuse(w, step, "a host operator has no name");
    put_text(w, step->host_name);
    put_u32(w, step->n_attrs);
    for (uint32_t i = 0; i < step->n_attrs; i++)
        GML_TRY(put_attr(w, &step->attrs[i]));
    put_u32(w, step->output_dtypes != NULL);
    for (uint32_t i = 0; step->output_dtypes != NULL && i < step->n_outputs; i++)
        put_u32(w, (uint32_t)step->output_dtypes[i]);
    put_u32(w, step->n_regions);
    for (uint32_t i = 0; i < step->n_regions; i++) {
        const gml_region *region = &step->regions[i];
        put_u32(w, region->n_params);
        put_numbers(w, region->captures, region->n_captures);
        GML_TRY(put_program(w, region->program));
    }
    return GML_OK;
}

static gml_status put_step(writer *w, const gml_step *step)
{
    put_u32(w, (uint32_t)step->kind);
    put_text(w, step->name);
    put_text(w, step->node);
    put_text(w, step->op);
    put_numbers(w, step->inputs, step->n_inputs);
    put_numbers(w, step->outputs, step->n_outputs);
    return step->kind == GML_STEP_KERNEL ? put_kernel(w, step) : put_host(w, step);
}

static void put_names(writer *w, const char *const *names, uint32_t count)
{
    put_u32(w, names != NULL);
    for (uint32_t i = 0; names != NULL && i < count; i++)
        put_text(w, names[i]);
}

static void put_check(writer *w, const gml_check *check)
{
    put_u32(w, (uint32_t)check->relation);
    put_i64(w, check->a);
    put_i64(w, check->b);
    put_text(w, check->node);
    put_text(w, check->op);
    put_u32(w, check->step);
}

static bool is_zero(const gml_tensor *tensor)
{
    size_t size = 0;
    const char *bytes = tensor->data;
    if (!gml_tensor_bytes(tensor, &size))
        return false;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* Initial elements are a constant of the state's type, zeros are none: an optimizer's are as
 * large as the weights. */
static gml_status put_state(writer *w, const gml_program *program,
                            const gml_program_state *state)
{
    bool is_read = state->input != GML_NO_SLOT && state->initial != NULL;
    put_text(w, state->name);
    put_u32(w, state->input);
    put_u32(w, state->output);
    gml_tensor tensor = {.dtype = GML_NONE};
    if (is_read) {
        const gml_slot *slot = &program->slots.items[program->inputs[state->input]];
        union {
            const void *from;
            void *to;
        } data = {state->initial};
        tensor = (gml_tensor){.dtype = slot->dtype, .rank = slot->rank, .data = data.to};
        for (int i = 0; i < slot->rank; i++)
            tensor.dims[i] = slot->dims[i];
    }
    bool has_initial = is_read && !is_zero(&tensor);
    put_u32(w, has_initial);
    if (!has_initial)
        return GML_OK;
    gml_blob blob = {.tensor.name = state->name};
    return put_elements(w, &tensor, &blob);
}

static gml_status put_program(writer *w, const gml_program *program)
{
    put_dims(w, &program->dims);
    put_u32(w, (uint32_t)program->slots.count);
    for (uint32_t i = 0; i < program->slots.count; i++)
        GML_TRY(put_slot(w, program, i));
    put_numbers(w, program->inputs, program->n_inputs);
    put_names(w, program->input_names, program->n_inputs);
    put_numbers(w, program->outputs, program->n_outputs);
    put_names(w, program->output_names, program->n_outputs);
    put_u32(w, (uint32_t)program->steps.count);
    for (size_t i = 0; i < program->steps.count; i++)
        GML_TRY(put_step(w, &program->steps.items[i]));
    put_u32(w, (uint32_t)program->states.count);
    for (size_t i = 0; i < program->states.count; i++)
        GML_TRY(put_state(w, program, &program->states.items[i]));
    put_u32(w, (uint32_t)program->checks.count);
    for (size_t i = 0; i < program->checks.count; i++)
        put_check(w, &program->checks.items[i]);
    return GML_OK;
}

gml_status gml_put_program(gml_artifact_plan *plan, const gml_program *program,
                           gml_diags *diags)
{
    writer w = {
        .plan = plan, .n_earlier = plan->blobs.count, .out = &plan->program, .diags = diags};
    return put_program(&w, program);
}
