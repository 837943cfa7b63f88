/* tests/unit/artifact_program.h - a program that has one of everything that an image can hold.
 */
#ifndef GML_TESTS_ARTIFACT_PROGRAM_H
#define GML_TESTS_ARTIFACT_PROGRAM_H

#include "program_util.h"
#include "runtime/host.h"

/* Knows its attributes by their values, and gives its operand back. */
static gml_status check_attrs(gml_host_call *call)
{
    const gml_attr *ints = gml_host_attr(call, "ints");
    const gml_attr *floats = gml_host_attr(call, "floats");
    const gml_attr *strings = gml_host_attr(call, "strings");
    const gml_attr *tensor = gml_host_attr(call, "tensor");
    const gml_attr *tensors = gml_host_attr(call, "tensors");
    if (gml_host_int(call, "int", 0) != -7 || gml_host_float(call, "float", 0) != 0.5f ||
        !gml_host_string_is(call, "string", "text") || ints->count != 2 ||
        ints->as.ints[1] != -2 || floats->count != 1 || floats->as.floats[0] != 2.5f ||
        strings->count != 2 || strings->as.strings[1].len != 3 ||
        memcmp(strings->as.strings[1].data, "two", 3) != 0 ||
        gml_host_get_int(tensor->as.t, 1) != 22 || tensors->count != 1 ||
        ((const gml_string *)tensors->as.tensors[0]->data)[0].len != 3 ||
        call->output_dtypes[0] != GML_F32)
        return gml_host_fail(call, GML_E_MISMATCH, "the attributes are others");
    return gml_rvalue_copy(&call->outputs[0], &call->inputs[0]);
}

static void set_attrs(gml_program *p, gml_step *step)
{
    static const int64_t ints[] = {1, -2};
    static const float floats[] = {2.5f};
    static const gml_string strings[] = {{"one", 3}, {"two", 3}};
    static int32_t numbers[] = {11, 22};
    static gml_string texts[] = {{"abc", 3}};
    static const gml_tensor tensor = {GML_I32, 1, {2}, numbers};
    static const gml_tensor text = {GML_STRING, 1, {1}, texts};
    static const gml_tensor *const tensors[] = {&text};
    static const gml_attr attrs[] = {
        {"int", GML_ATTR_INT, 0, {.i = -7}},
        {"float", GML_ATTR_FLOAT, 0, {.f = 0.5f}},
        {"string", GML_ATTR_STRING, 0, {.s = {"text", 4}}},
        {"ints", GML_ATTR_INTS, 2, {.ints = ints}},
        {"floats", GML_ATTR_FLOATS, 1, {.floats = floats}},
        {"strings", GML_ATTR_STRINGS, 2, {.strings = strings}},
        {"tensor", GML_ATTR_TENSOR, 0, {.t = &tensor}},
        {"tensors", GML_ATTR_TENSORS, 1, {.tensors = tensors}},
        {"type", GML_ATTR_TYPE, 0, {0}},
    };
    step->attrs = gml_arena_copy(&p->arena, attrs, sizeof attrs);
    step->n_attrs = sizeof attrs / sizeof *attrs;
    step->output_dtypes = gml_arena_copy(&p->arena, (gml_dtype[]){GML_F32}, sizeof(gml_dtype));
    step->host = check_attrs;
    step->host_name = "check_attrs";
}

/* A branch: the captured vector, doubled or not. */
static gml_program *create_branch(bool doubles)
{
    gml_program *p = gml_program_create();
    gml_dim n = gml_dim_symbol(&p->dims, "n");
    uint32_t v = add_vector(p, GML_SLOT_INPUT, n);
    set_inputs(p, GML_LIST(v));
    uint32_t out = doubles ? add_map(p, k_double, "k_double", 1, &v, n) : v;
    set_outputs(p, GML_LIST(out));
    return p;
}

static void set_branches(gml_program *p, gml_step *step, uint32_t captured)
{
    gml_region regions[2] = {{.program = create_branch(true)},
                             {.program = create_branch(false)}};
    gml_attr attrs[2] = {{"then_branch", GML_ATTR_GRAPH, 0, {0}},
                         {"else_branch", GML_ATTR_GRAPH, 1, {0}}};
    for (int i = 0; i < 2; i++) {
        regions[i].captures = numbers_of(p, 1, &captured);
        regions[i].n_captures = 1;
    }
    step->regions = gml_arena_copy(&p->arena, regions, sizeof regions);
    step->n_regions = 2;
    step->attrs = gml_arena_copy(&p->arena, attrs, sizeof attrs);
    step->n_attrs = 2;
    step->host = gml_host_if;
    step->host_name = "if";
}

/* if (cond) 2 (x + c) else x + c, of n = 3 elements; and the sum of x. `c` is at `constant`. */
static GML_UNUSED gml_program *create_program(const float *constant)
{
    static const char *input_names[] = {"x", NULL};
    static const gml_string words[] = {{"some", 4}, {"words", 5}};
    gml_program *p = gml_program_create();
    gml_dim n = gml_dim_symbol(&p->dims, "n");
    uint32_t x = add_vector(p, GML_SLOT_INPUT, n);
    uint32_t cond = add_slot(p, GML_SLOT_INPUT, GML_BOOL, 0, NULL);
    uint32_t c = add_vector(p, GML_SLOT_CONSTANT, 3);
    p->slots.items[c].data = constant;
    p->slots.items[c].name = "c";
    uint32_t text = add_slot(p, GML_SLOT_CONSTANT, GML_STRING, 1, (gml_dim[]){2});
    p->slots.items[text].data = words;
    set_inputs(p, GML_LIST(x, cond));
    uint32_t y = add_map(p, k_add, "k_add", 2, (uint32_t[]){x, c}, n);
    uint32_t z = add_vector(p, GML_SLOT_VALUE, n);
    set_attrs(p, add_step(p, GML_STEP_HOST, "attrs", 1, &y, z));
    uint32_t out = add_vector(p, GML_SLOT_VALUE, n);
    set_branches(p, add_step(p, GML_STEP_HOST, "if", 1, &cond, out), z);
    uint32_t sum = add_sum(p, x, n);
    add_check(p, GML_EQUAL, n, 3, 0);
    add_check(p, GML_AT_MOST, 1, n, GML_NO_STEP);
    set_outputs(p, GML_LIST(out, sum, text));
    p->input_names = input_names;
    return p;
}

static GML_UNUSED void add_state(gml_program *p, const char *name, uint32_t input,
                                 uint32_t output, const float *initial)
{
    gml_program_state state = {name, input, output, initial};
    gml_push(&p->arena, &p->states, state);
}

/* y = x + a of three elements; a and m are states, m is not there. */
static GML_UNUSED gml_program *create_run_part(const float *a)
{
    gml_program *p = gml_program_create();
    uint32_t x = add_vector(p, GML_SLOT_INPUT, 3);
    uint32_t old = add_vector(p, GML_SLOT_INPUT, 3);
    set_inputs(p, GML_LIST(x, old));
    uint32_t y = add_map(p, k_add, "k_add", 2, (uint32_t[]){x, old}, 3);
    set_outputs(p, GML_LIST(y));
    add_state(p, "a", 1, GML_NO_SLOT, a);
    add_state(p, "m", GML_NO_SLOT, GML_NO_SLOT, NULL);
    return p;
}

/* The same, and a becomes a + x, m becomes m + m. */
static GML_UNUSED gml_program *create_step_part(const float *a, const float *m)
{
    gml_program *p = gml_program_create();
    uint32_t x = add_vector(p, GML_SLOT_INPUT, 3);
    uint32_t old = add_vector(p, GML_SLOT_INPUT, 3);
    uint32_t moment = add_vector(p, GML_SLOT_INPUT, 3);
    set_inputs(p, GML_LIST(x, old, moment));
    uint32_t y = add_map(p, k_add, "k_add", 2, (uint32_t[]){x, old}, 3);
    uint32_t next = add_map(p, k_add, "k_add", 2, (uint32_t[]){old, x}, 3);
    uint32_t twice = add_map(p, k_add, "k_add", 2, (uint32_t[]){moment, moment}, 3);
    set_outputs(p, GML_LIST(y, next, twice));
    add_state(p, "a", 1, 1, a);
    add_state(p, "m", 2, 2, m);
    return p;
}

#endif
