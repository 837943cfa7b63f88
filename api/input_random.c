/* api/input_random.c - random values for inputs that nobody gave. */
#include "api/input.h"
#include "runtime/host.h"

#include <string.h>

/* Sizes of the open dimensions, by their number in the module's pool; 0: not known yet. */
typedef struct sizes {
    const gml_dim_pool *pool;
    int64_t *values;
    bool *known;
} sizes;

/* What a value given says about the open dimensions of its input. */
static void learn(sizes *s, const gml_type *type, const gml_rvalue *value)
{
    if (type->kind != GML_TYPE_TENSOR || type->rank == GML_RANK_UNKNOWN ||
        value->kind != GML_RVALUE_TENSOR)
        return;
    for (int d = 0; d < type->rank; d++) {
        if (gml_dim_is_const(type->dims[d]))
            continue;
        size_t number = gml_dim_index(type->dims[d]);
        if (s->pool->exprs.items[number].op != GML_DIM_SYMBOL || s->known[number])
            continue;
        s->values[number] = value->tensor.dims[d];
        s->known[number] = true;
    }
}

/* A stream of 64-bit words: counter and seed through SplitMix64's finaliser. */
static uint64_t next_word(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void fill_strings(const gml_tensor *tensor, gml_arena *arena, uint64_t *state)
{
    gml_string *strings = tensor->data;
    for (int64_t i = 0; i < gml_tensor_numel(tensor); i++) {
        char text[4] = {0};
        for (int k = 0; k < 3; k++)
            text[k] = (char)('a' + next_word(state) % 26);
        strings[i] = (gml_string){gml_arena_text(arena, text, 3), 3};
    }
}

static void fill_tensor(const gml_tensor *tensor, gml_arena *arena, uint64_t state)
{
    gml_dtype_class class = gml_dtype_get_class(tensor->dtype);
    int64_t n = gml_tensor_numel(tensor);
    if (class == GML_CLASS_STRING) {
        fill_strings(tensor, arena, &state);
        return;
    }
    if (class == GML_CLASS_COMPLEX) { /* two floats each */
        gml_tensor parts = *tensor;
        parts.dtype = tensor->dtype == GML_C64 ? GML_F32 : GML_F64;
        for (int64_t i = 0; i < 2 * n; i++)
            gml_host_put(&parts, i, (double)(next_word(&state) >> 40) * 0x1p-23 - 1);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        uint64_t word = next_word(&state);
        if (class == GML_CLASS_FLOAT)
            gml_host_put(tensor, i, (double)(word >> 40) * 0x1p-23 - 1);
        else
            gml_host_put_int(tensor, i, (int64_t)(word >> 63));
    }
}

/* A type whose sizes are numbers. */
static gml_status choose_type(const gml_inputs *inputs, const gml_type *type, const sizes *s,
                              gml_type *out_type, gml_diags *diags, gml_loc loc)
{
    int64_t dims[GML_MAX_RANK] = {0};
    if (type->rank == GML_RANK_UNKNOWN)
        return gml_fail(diags, GML_E_USAGE, loc,
                        "needs a value: the model does not say how many dimensions it has");
    for (int d = 0; d < type->rank; d++) {
        if (!gml_dim_eval(s->pool, type->dims[d], s->values, &dims[d]))
            return gml_fail(diags, GML_E_RANGE, loc, "dimension %d has no size", d);
    }
    *out_type = gml_type_tensor(inputs->arena, type->dtype, type->rank, dims);
    return gml_type_check(out_type, diags, loc);
}

static gml_status fill_one(gml_inputs *inputs, size_t index, const sizes *s, uint64_t seed,
                           gml_diags *diags)
{
    gml_module *module = gml_model_module(inputs->model)->main->module;
    gml_type type = module->main->params[index]->type;
    gml_rvalue *value = &inputs->values[index];
    gml_loc loc = {.file = gml_model_source(inputs->model)->path,
                   .node = gml_model_inputs(inputs->model)[index].name,
                   .op = "input"};
    gml_status status = GML_OK;
    switch (type.kind) {
    case GML_TYPE_TENSOR:
        GML_TRY(choose_type(inputs, &type, s, &type, diags, loc));
        status = gml_rvalue_alloc(value, type.dtype, type.rank, type.dims);
        break;
    case GML_TYPE_OPTIONAL: value->is_optional = true; return GML_OK;
    case GML_TYPE_SEQUENCE: status = gml_rvalue_sequence(value, 0); break;
    case GML_TYPE_MAP:
    case GML_TYPE_UNKNOWN:
        return gml_fail(diags, GML_E_USAGE, loc, "needs a value: %s cannot be made up",
                        gml_model_inputs(inputs->model)[index].type);
    }
    if (status != GML_OK) {
        *value = (gml_rvalue){0};
        return gml_fail(diags, status, loc, "no memory for a value of type %s",
                        gml_type_text(module, &type, diags->arena));
    }
    if (value->kind == GML_RVALUE_TENSOR)
        fill_tensor(&value->tensor, inputs->arena, seed ^ (0xd1342543de82ef95u * (index + 1)));
    return GML_OK;
}

gml_status gml_inputs_fill(gml_inputs *inputs, uint64_t seed, gml_diags *diags)
{
    const gml_graph *graph = gml_model_module(inputs->model)->main;
    sizes s = {.pool = &graph->module->dims};
    size_t n = s.pool->exprs.count;
    s.values = gml_new_array(inputs->arena, int64_t, n + 1);
    s.known = gml_new_array(inputs->arena, bool, n + 1);
    for (size_t i = 0; i < n; i++)
        s.values[i] = 1;
    size_t n_inputs = gml_model_n_inputs(inputs->model);
    for (uint32_t i = 0; i < n_inputs; i++)
        learn(&s, &graph->params[i]->type, &inputs->values[i]);
    for (uint32_t i = 0; i < n_inputs; i++)
        if (inputs->values[i].kind == GML_RVALUE_NONE && !inputs->files[i])
            GML_TRY(fill_one(inputs, i, &s, seed, diags));
    return GML_OK;
}
