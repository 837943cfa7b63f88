/* tests/unit/test_device.c - programs on a device, and devices that are not there. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "device_mock.h"
#include "device_program.h"
#include "runtime/emu.h"
#include "runtime/emu_calls.h"
#include "runtime/host.h"
#include "runtime/states.h"

/* The result is the operand + 1, and shares nothing with it. */
static gml_status add_one(gml_host_call *call)
{
    const gml_tensor *x = &call->inputs[0].tensor;
    GML_TRY(gml_rvalue_alloc(&call->outputs[0], x->dtype, x->rank, x->dims));
    float *out = call->outputs[0].tensor.data;
    for (int64_t i = 0; i < x->dims[0]; i++)
        out[i] = ((const float *)x->data)[i] + 1;
    return GML_OK;
}

/* The result is the operand. */
static gml_status hand_on(gml_host_call *call)
{
    return gml_rvalue_copy(&call->outputs[0], &call->inputs[0]);
}

/* The result of region 0 for the operand, three times in a row. */
static gml_status run_thrice(gml_host_call *call)
{
    gml_rvalue value;
    GML_TRY(gml_rvalue_copy(&value, &call->inputs[0]));
    for (int i = 0; i < 3; i++) {
        gml_rvalue next = {0};
        gml_status status = call->run_region(call, 0, &value, 1, &next, 1);
        gml_rvalue_reset(&value);
        if (status != GML_OK)
            return status;
        value = next;
    }
    call->outputs[0] = value;
    return GML_OK;
}

static uint32_t add_host(gml_program *p, gml_host_fn host, uint32_t x, gml_dim n)
{
    uint32_t out = add_vector(p, GML_SLOT_VALUE, n);
    gml_dtype *dtype = gml_new_array(&p->arena, gml_dtype, 1);
    *dtype = GML_F32;
    gml_step *step = add_step(p, GML_STEP_HOST, "host", 1, &x, out);
    step->host = host;
    step->output_dtypes = dtype;
    return out;
}

static gml_instance *create(bench *b, gml_program *p)
{
    gml_instance *instance = NULL;
    assert_ok(b, gml_instance_create(p, NULL, &instance, &b->diags));
    return instance;
}

/* v = x + c, w = v + 1 by a host operator, z = w + x; also v, c, x */
static gml_program *create_mixed(const float *constant)
{
    gml_program *p = gml_program_create();
    uint32_t x = add_vector(p, GML_SLOT_INPUT, 3);
    uint32_t c = add_vector(p, GML_SLOT_CONSTANT, 3);
    p->slots.items[c].data = constant;
    set_inputs(p, GML_LIST(x));
    uint32_t v = add_map(p, k_add, "k_add", 2, (uint32_t[]){x, c}, 3);
    uint32_t w = add_host(p, add_one, v, 3);
    uint32_t z = add_map(p, k_add, "k_add", 2, (uint32_t[]){w, x}, 3);
    set_outputs(p, GML_LIST(z, v, c, x));
    return p;
}

static void expect(const gml_rvalue *value, float first, float last)
{
    const float *x = value->tensor.data;
    assert_int_equal(value->kind, GML_RVALUE_TENSOR);
    assert_true(x[0] == first && x[2] == last);
}

static void run_mixed(bench *b, gml_device *device)
{
    float constant[] = {10, 20, 30};
    float x[] = {1, 2, 3};
    float z[3];
    gml_program *p = create_mixed(constant);
    move_to(b, p, device, true);
    gml_instance *instance = create(b, p);
    gml_rvalue input = vector_view(3, x);
    for (int run = 0; run < 2; run++) {
        gml_rvalue outputs[4] = {vector_view(3, z)};
        x[0] = (float)run;
        assert_ok(b, gml_instance_run(instance, &input, 1, outputs, 4, &b->diags));
        assert_ptr_equal(outputs[0].tensor.data, z);
        expect(&outputs[0], (float)(11 + 2 * run), 37);
        expect(&outputs[1], (float)(10 + run), 33);
        expect(&outputs[2], 10, 30);
        expect(&outputs[3], (float)run, 3);
        for (int i = 0; i < 4; i++)
            gml_rvalue_reset(&outputs[i]);
    }
    gml_instance_destroy(instance);
    gml_program_release(p);
}

static void values_go_up_and_down_once(void **state)
{
    (void)state;
    bench b;
    mock m;
    bench_init(&b);
    mock_init(&m);
    run_mixed(&b, &m.device);
    assert_int_equal(m.n_puts, 1 + 2 * 2); /* the constant; x and w of each run */
    assert_int_equal(m.n_gets, 2 * 2);     /* v, for the host operator and the caller; z */
    assert_int_equal(m.n_launches, 4);
    mock_end(&m);
    bench_reset(&b);
}

static void the_emulator_runs_programs(void **state)
{
    (void)state;
    bench b;
    gml_device *device = NULL;
    gml_device *again = NULL;
    bench_init(&b);
    assert_ok(&b, gml_device_open("emu", 0, &device, &b.diags));
    assert_ok(&b, gml_device_open("emu", 0, &again, &b.diags));
    assert_ptr_equal(device, again);
    assert_string_equal(gml_device_kind_name(device), "emu");
    turn = 0;
    run_mixed(&b, device);
    gml_device_release(device);
    gml_device_release(again);
    bench_reset(&b);
}

/* x, out, sizes, units: looks at what lies behind the result. */
static void l_past(void *const *params)
{
    const float *out = mem(params, 1);
    gml_emu_access(out + units(params, 3), sizeof *out, sizeof *out, GML_EMU_LOAD,
                   "load 1 of k_double");
    l_double(params);
}

/* In the arena another value lies there; in an allocation of its own nothing does. */
static void the_emulator_tells_values_apart(void **state)
{
    (void)state;
    for (int apart = 0; apart < 2; apart++) {
        bench b;
        gml_device *device = NULL;
        float x[64] = {1};
        bench_init(&b);
        gml_emu_set_options(&(gml_emu_options){.apart = apart != 0});
        assert_ok(&b, gml_device_open("emu", 0, &device, &b.diags));
        gml_program *p = gml_program_create();
        (void)gml_dim_symbol(&p->dims, "unused");
        uint32_t in = add_vector(p, GML_SLOT_INPUT, 64);
        set_inputs(p, GML_LIST(in));
        uint32_t y = add_map(p, k_double, "k_double", 1, &in, 64);
        uint32_t z = add_map(p, k_double, "k_double", 1, &y, 64);
        set_outputs(p, GML_LIST(z, y));
        move_to(&b, p, device, true);
        gml_phase phase = p->steps.items[0].phases[0];
        phase.kernel.lane = l_past;
        p->steps.items[0].phases = &phase;
        p->slots.items[y].offset = 0;
        p->slots.items[z].offset = 256;
        gml_instance *instance = create(&b, p);
        gml_rvalue input = vector_view(64, x);
        gml_rvalue outputs[2] = {0};
        turn = 0;
        gml_status status = gml_instance_run(instance, &input, 1, outputs, 2, &b.diags);
        assert_int_equal(status, apart ? GML_E_DEVICE : GML_OK);
        if (apart)
            assert_says(&b, "load 1 of k_double");
        gml_rvalue_reset(&outputs[0]);
        gml_rvalue_reset(&outputs[1]);
        gml_instance_destroy(instance);
        gml_program_release(p);
        gml_device_release(device);
        bench_reset(&b);
    }
    gml_emu_set_options(&(gml_emu_options){0});
}

/* ---- Sizes ------------------------------------------------------------------------------ */

static void sizes_and_temporaries_are_there(void **state)
{
    (void)state;
    static const int64_t sizes[] = {10, 1, 0, 200, 200};
    bench b;
    mock m;
    float x[200];
    bench_init(&b);
    mock_init(&m);
    gml_program *p = gml_program_create();
    gml_dim n = gml_dim_symbol(&p->dims, "n");
    uint32_t in = add_vector(p, GML_SLOT_INPUT, n);
    set_inputs(p, GML_LIST(in));
    uint32_t y = add_map(p, k_double, "k_double", 1, &in, n);
    uint32_t sum = add_sum(p, y, n);
    p->steps.items[1].scratch = 0;
    set_outputs(p, GML_LIST(sum, y));
    move_to(&b, p, &m.device, true);
    assert_false(p->is_static);
    gml_instance *instance = create(&b, p);
    for (int i = 0; i < 200; i++)
        x[i] = (float)i;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        gml_rvalue input = vector_view(sizes[s], x);
        gml_rvalue outputs[2] = {0};
        size_t n_puts = m.n_puts;
        assert_ok(&b, gml_instance_run(instance, &input, 1, outputs, 2, &b.diags));
        float expected = (float)(sizes[s] * (sizes[s] - 1));
        assert_true(*(float *)outputs[0].tensor.data == expected);
        assert_int_equal(outputs[1].tensor.dims[0], sizes[s]);
        if (s == 4)
            assert_int_equal(m.n_puts, n_puts + 1); /* sizes are as they were */
    }
    gml_instance_destroy(instance);
    gml_program_release(p);
    mock_end(&m);
    bench_reset(&b);
}

/* A host operator decides the size of what a kernel makes of it. */
static void sizes_found_while_running_go_up(void **state)
{
    (void)state;
    bench b;
    mock m;
    float x[200];
    bench_init(&b);
    mock_init(&m);
    gml_program *p = gml_program_create();
    gml_dim n = gml_dim_symbol(&p->dims, "n");
    uint32_t in = add_slot(p, GML_SLOT_INPUT, GML_F32, GML_NO_RANK, NULL);
    set_inputs(p, GML_LIST(in));
    uint32_t found = add_host(p, add_one, in, n);
    uint32_t y = add_map(p, k_double, "k_double", 1, &found, n);
    uint32_t sum = add_sum(p, y, n);
    p->steps.items[2].scratch = 0;
    set_outputs(p, GML_LIST(sum, y));
    move_to(&b, p, &m.device, true);
    gml_instance *instance = create(&b, p);
    for (int i = 0; i < 200; i++)
        x[i] = (float)(i - 1);
    for (int64_t size = 3; size <= 200; size += 97) {
        gml_rvalue input = vector_view(size, x);
        gml_rvalue outputs[2] = {0};
        assert_ok(&b, gml_instance_run(instance, &input, 1, outputs, 2, &b.diags));
        assert_true(*(float *)outputs[0].tensor.data == (float)(size * (size - 1)));
        assert_true(((float *)outputs[1].tensor.data)[size - 1] == (float)(2 * (size - 1)));
        for (int i = 0; i < 2; i++)
            gml_rvalue_reset(&outputs[i]);
    }
    gml_instance_destroy(instance);
    gml_program_release(p);
    mock_end(&m);
    bench_reset(&b);
}

/* ---- Regions ---------------------------------------------------------------------------- */

/* The region adds a captured slot of the arena to its parameter. */
static void regions_capture_what_is_there(void **state)
{
    (void)state;
    bench b;
    mock m;
    float x[] = {1, 2, 3};
    bench_init(&b);
    mock_init(&m);
    gml_program *inner = gml_program_create();
    uint32_t value = add_vector(inner, GML_SLOT_INPUT, 3);
    uint32_t captured = add_vector(inner, GML_SLOT_INPUT, 3);
    set_inputs(inner, GML_LIST(value, captured));
    uint32_t both = add_map(inner, k_add, "k_add", 2, (uint32_t[]){value, captured}, 3);
    set_outputs(inner, GML_LIST(both));
    move_to(&b, inner, &m.device, false);
    gml_program *p = gml_program_create();
    uint32_t in = add_vector(p, GML_SLOT_INPUT, 3);
    set_inputs(p, GML_LIST(in));
    uint32_t twice = add_map(p, k_double, "k_double", 1, &in, 3);
    uint32_t out = add_host(p, run_thrice, in, 3);
    uint32_t same = add_host(p, hand_on, twice, 3);
    gml_region region = {
        .program = inner, .n_params = 1, .captures = numbers_of(p, 1, &twice), .n_captures = 1};
    p->steps.items[1].regions = gml_arena_copy(&p->arena, &region, sizeof region);
    p->steps.items[1].n_regions = 1;
    set_outputs(p, GML_LIST(out, same));
    move_to(&b, p, &m.device, true);
    gml_instance *instance = create(&b, p);
    gml_rvalue input = vector_view(3, x);
    gml_rvalue outputs[2] = {0};
    assert_ok(&b, gml_instance_run(instance, &input, 1, outputs, 2, &b.diags));
    expect(&outputs[0], 7, 21);
    expect(&outputs[1], 2, 6);
    assert_int_equal(m.n_puts, 1 + 3); /* x, and the parameter three times */
    for (int i = 0; i < 2; i++)
        gml_rvalue_reset(&outputs[i]);
    gml_instance_destroy(instance);
    gml_program_release(p);
    mock_end(&m);
    bench_reset(&b);
}

/* ---- The caller's memory ---------------------------------------------------------------- */

static gml_rvalue create_there(bench *b, mock *m, const float *elements)
{
    gml_rvalue value = vector_view(3, NULL);
    value.buffer = gml_buffer_create_on(&m->device, 3 * sizeof(float));
    assert_ptr_equal(gml_buffer_device(value.buffer), &m->device);
    value.tensor.data = gml_buffer_data(value.buffer);
    assert_ok(b, gml_device_put(&m->device, value.tensor.data, elements, 3 * sizeof(float),
                                &b->diags));
    return value;
}

/* y = x + x, over x if it has to be */
static gml_program *create_step(void)
{
    static const uint64_t over[] = {1};
    gml_program *p = gml_program_create();
    uint32_t x = add_vector(p, GML_SLOT_INPUT, 3);
    set_inputs(p, GML_LIST(x));
    uint32_t y = add_map(p, k_double, "k_double", 1, &x, 3);
    p->steps.items[0].over = over;
    set_outputs(p, GML_LIST(y));
    gml_program_state s = {.name = "s", .input = 0, .output = 0};
    gml_push(&p->arena, &p->states, s);
    return p;
}

static void values_there_stay_there(void **state)
{
    (void)state;
    bench b;
    mock m;
    float x[] = {1, 2, 3};
    bench_init(&b);
    mock_init(&m);
    gml_program *p = create_step();
    move_to(&b, p, &m.device, true);
    assert_true(p->slots.items[1].is_state);
    gml_instance *instance = create(&b, p);
    gml_rvalue there = create_there(&b, &m, x);
    gml_rvalue output = there; /* the same memory */
    gml_buffer_retain(output.buffer);
    m.n_puts = 0;
    assert_ok(&b, gml_instance_run(instance, &there, 1, &output, 1, &b.diags));
    assert_ptr_equal(output.tensor.data, there.tensor.data);
    assert_int_equal(m.n_puts + m.n_gets + m.n_copies, 0);
    gml_rvalue_reset(&output);
    /* the result here, the operand there */
    assert_ok(&b, gml_instance_run(instance, &there, 1, &output, 1, &b.diags));
    expect(&output, 4, 12);
    assert_int_equal(m.n_puts + m.n_copies, 0);
    gml_rvalue_reset(&output);
    /* and the other way round */
    gml_rvalue input = vector_view(3, x);
    output = there;
    assert_ok(&b, gml_instance_run(instance, &input, 1, &output, 1, &b.diags));
    assert_ok(&b, gml_rvalue_to_host(&there, &b.diags));
    assert_null(gml_buffer_device(there.buffer));
    expect(&there, 2, 6);
    gml_rvalue_reset(&there);
    gml_instance_destroy(instance);
    gml_program_release(p);
    mock_end(&m);
    bench_reset(&b);
}

/* A step reads and writes the states where they lie, and nothing is copied. */
static void states_stay_on_their_device(void **state)
{
    (void)state;
    bench b;
    mock m;
    float first[] = {1, 2, 3};
    gml_state_port ports[] = {{.name = "s", .input = 0, .output = 0},
                              {.name = "t", .input = GML_NO_PORT, .output = GML_NO_PORT}};
    gml_tensor tensor;
    gml_states *states = NULL;
    bench_init(&b);
    mock_init(&m);
    gml_program *p = create_step();
    move_to(&b, p, &m.device, true);
    gml_instance *instance = create(&b, p);
    ports[0].initial = vector_view(3, first).tensor;
    ports[1].initial = vector_view(5, NULL).tensor;
    assert_ok(&b, gml_states_create(ports, 2, &m.device, NULL, &states, &b.diags));
    assert_ptr_equal(gml_states_device(states), &m.device);
    m.n_puts = 0;
    for (int i = 0; i < 3; i++) {
        gml_rvalue input = {0};
        gml_rvalue output = {0};
        gml_states_bind(states, ports, &input, &output);
        assert_ok(&b, gml_instance_run(instance, &input, 1, &output, 1, &b.diags));
        assert_ok(&b, gml_states_store(states, ports, &output, NULL, &b.diags));
        gml_states_drop(states, ports, &output);
    }
    assert_int_equal(m.n_puts + m.n_gets + m.n_copies, 0);
    assert_ok(&b, gml_states_read(states, 0, &tensor, &b.diags));
    assert_true(((float *)tensor.data)[2] == 24);
    assert_ok(&b, gml_states_read(states, 1, &tensor, &b.diags));
    assert_true(((float *)tensor.data)[4] == 0);
    tensor = ports[0].initial;
    assert_ok(&b, gml_states_set(states, 0, &tensor, (gml_loc){0}, &b.diags));
    assert_ok(&b, gml_states_read(states, 0, &tensor, &b.diags));
    assert_memory_equal(tensor.data, first, sizeof first);
    assert_null(gml_states_type(states, 0).data);
    gml_states_release(states);
    gml_instance_destroy(instance);
    gml_program_release(p);
    mock_end(&m);
    bench_reset(&b);
}

static void values_of_other_devices_are_refused(void **state)
{
    (void)state;
    bench b;
    mock m;
    float x[] = {1, 2, 3};
    bench_init(&b);
    mock_init(&m);
    gml_program *p = create_step();
    assert_ok(&b, gml_program_plan(p, &b.diags));
    gml_instance *instance = create(&b, p);
    gml_rvalue there = create_there(&b, &m, x);
    gml_rvalue output = {0};
    assert_int_equal(gml_instance_run(instance, &there, 1, &output, 1, &b.diags),
                     GML_E_INVALID);
    assert_says(&b, "input 0 lies on a device that the program does not run on");
    gml_rvalue_reset(&there);
    gml_instance_destroy(instance);
    gml_program_release(p);
    mock_end(&m);
    bench_reset(&b);
}

/* ---- Faults, watches -------------------------------------------------------------------- */

static void failing_launches_are_reported(void **state)
{
    (void)state;
    bench b;
    mock m;
    float constant[] = {10, 20, 30};
    float x[] = {1, 2, 3};
    bench_init(&b);
    mock_init(&m);
    gml_program *p = create_mixed(constant);
    move_to(&b, p, &m.device, true);
    gml_instance *instance = create(&b, p);
    gml_rvalue input = vector_view(3, x);
    gml_rvalue outputs[4] = {0};
    m.fails_at = 2;
    assert_int_equal(gml_instance_run(instance, &input, 1, outputs, 4, &b.diags), GML_E_DEVICE);
    assert_says(&b, "k_add does not run");
    assert_says(&b, "in phase 0 of k_add, of node k_add");
    gml_instance_destroy(instance);
    gml_program_release(p);
    mock_end(&m);
    bench_reset(&b);
}

typedef struct seen {
    uint64_t nanoseconds;
    float sum;
} seen;

static void see_step(void *context, GML_UNUSED const gml_program *program,
                     GML_UNUSED uint32_t step, uint64_t nanoseconds)
{
    seen *s = context;
    s->nanoseconds += step == 1 ? 0 : nanoseconds;
}

static gml_status see_value(void *context, GML_UNUSED const gml_program *program,
                            GML_UNUSED uint32_t step, GML_UNUSED uint32_t slot,
                            const gml_rvalue *value)
{
    seen *s = context;
    s->sum += *(const float *)value->tensor.data;
    return GML_OK;
}

static void watches_see_what_is_there(void **state)
{
    (void)state;
    bench b;
    mock m;
    seen s = {0};
    float constant[] = {10, 20, 30};
    float x[] = {1, 2, 3};
    bench_init(&b);
    mock_init(&m);
    gml_program *p = create_mixed(constant);
    move_to(&b, p, &m.device, true);
    gml_instance *instance = create(&b, p);
    gml_rvalue input = vector_view(3, x);
    gml_rvalue outputs[4] = {0};
    gml_instance_watch(instance, see_step, see_value, &s);
    assert_ok(&b, gml_instance_run(instance, &input, 1, outputs, 4, &b.diags));
    assert_int_equal(s.nanoseconds, 2 * 7); /* the device's clock */
    assert_true(s.sum == 11 + 12 + 13);
    for (int i = 0; i < 4; i++)
        gml_rvalue_reset(&outputs[i]);
    gml_instance_destroy(instance);
    gml_program_release(p);
    mock_end(&m);
    bench_reset(&b);
}

static void missing_devices_are_reported(void **state)
{
    (void)state;
    bench b;
    gml_device *device = NULL;
    bench_init(&b);
    assert_int_equal(gml_device_open("tpu", 0, &device, &b.diags), GML_E_DEVICE);
    assert_says(&b, "there is no kind of device called 'tpu'");
    assert_int_equal(gml_device_open("emu", 1, &device, &b.diags), GML_E_DEVICE);
    assert_says(&b, "there is no device emu:1, only emu");
    gml_status status = gml_device_open("cuda", 0, &device, &b.diags);
    if (status != GML_OK) {
        assert_int_equal(status, GML_E_DEVICE);
        assert_null(device);
        assert_says(&b, "CUDA");
    } else {
        assert_true(gml_device_architecture(device) >= 50);
    }
    gml_device_release(device);
    bench_reset(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_go_up_and_down_once),
        cmocka_unit_test(the_emulator_runs_programs),
        cmocka_unit_test(the_emulator_tells_values_apart),
        cmocka_unit_test(sizes_and_temporaries_are_there),
        cmocka_unit_test(sizes_found_while_running_go_up),
        cmocka_unit_test(regions_capture_what_is_there),
        cmocka_unit_test(values_there_stay_there),
        cmocka_unit_test(states_stay_on_their_device),
        cmocka_unit_test(values_of_other_devices_are_refused),
        cmocka_unit_test(failing_launches_are_reported),
        cmocka_unit_test(watches_see_what_is_there),
        cmocka_unit_test(missing_devices_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
