/* tests/unit/test_device_graph.c - runs that are as the one before are issued as one. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "device_mock.h"
#include "device_program.h"

enum { N = 10 };

typedef struct kit {
    bench b;
    mock m;
    gml_program *program;
    gml_instance *instance;
    float x[N], y[N], z[N];
} kit;

/* z = 2 (x + y) */
static void kit_init(kit *k, gml_device *device)
{
    bench_init(&k->b);
    gml_program *p = k->program = gml_program_create();
    (void)gml_dim_symbol(&p->dims, "unused");
    uint32_t x = add_vector(p, GML_SLOT_INPUT, N);
    uint32_t y = add_vector(p, GML_SLOT_INPUT, N);
    set_inputs(p, GML_LIST(x, y));
    uint32_t sum = add_map(p, k_add, "k_add", 2, (uint32_t[]){x, y}, N);
    uint32_t z = add_map(p, k_double, "k_double", 1, &sum, N);
    set_outputs(p, GML_LIST(z));
    move_to(&k->b, p, device, true);
    assert_ok(&k->b, gml_instance_create(p, NULL, &k->instance, &k->b.diags));
}

static void kit_reset(kit *k)
{
    gml_instance_destroy(k->instance);
    gml_program_release(k->program);
    bench_reset(&k->b);
}

/* A run with new numbers in `x`; the result must be right. */
static void run(kit *k, float seed, const gml_rvalue *there)
{
    for (int i = 0; i < N; i++) {
        k->x[i] = seed + (float)i;
        k->y[i] = 3;
        k->z[i] = -1;
    }
    gml_rvalue inputs[] = {vector_view(N, k->x), there ? *there : vector_view(N, k->y)};
    gml_rvalue outputs[] = {vector_view(N, k->z)};
    assert_ok(&k->b, gml_instance_run(k->instance, inputs, 2, outputs, 1, &k->b.diags));
    for (int i = 0; i < N; i++)
        assert_true(k->z[i] == 2 * (seed + (float)i + 3));
}

static void the_second_run_is_written_down(void **state)
{
    (void)state;
    kit k;
    mock_init(&k.m);
    kit_init(&k, &k.m.device);
    run(&k, 1, NULL);
    assert_int_equal(k.m.n_graphs, 0);
    assert_int_equal(k.m.n_launches, 2);
    for (int i = 0; i < 3; i++)
        run(&k, 10 * (float)i, NULL);
    assert_int_equal(k.m.n_graphs, 1);
    assert_int_equal(k.m.n_issues, 3);
    assert_int_equal(k.m.n_launches, 8);
    kit_reset(&k);
    mock_end(&k.m);
}

static gml_rvalue make_there(kit *k, float value)
{
    float elements[N];
    for (int i = 0; i < N; i++)
        elements[i] = value;
    gml_buffer *buffer = gml_buffer_create_on(&k->m.device, sizeof elements);
    assert_non_null(buffer);
    assert_ok(&k->b, gml_device_put(&k->m.device, gml_buffer_data(buffer), elements,
                                    sizeof elements, &k->b.diags));
    gml_rvalue value_there = vector_view(N, gml_buffer_data(buffer));
    value_there.buffer = buffer;
    return value_there;
}

/* Other memory of the caller's: what was written down is of no use. */
static void other_addresses_are_written_down_anew(void **state)
{
    (void)state;
    kit k;
    mock_init(&k.m);
    kit_init(&k, &k.m.device);
    gml_rvalue first = make_there(&k, 3);
    gml_rvalue second = make_there(&k, 3);
    for (int i = 0; i < 3; i++)
        run(&k, (float)i, &first);
    assert_int_equal(k.m.n_issues, 2);
    run(&k, 5, &second);
    assert_int_equal(k.m.n_issues, 2);
    assert_int_equal(k.m.n_alive, 0);
    run(&k, 6, &second);
    assert_int_equal(k.m.n_graphs, 2);
    assert_int_equal(k.m.n_issues, 3);
    gml_rvalue_reset(&first);
    gml_rvalue_reset(&second);
    kit_reset(&k);
    mock_end(&k.m);
}

static void ignore_step(void *context, const gml_program *program, uint32_t step, uint64_t ns)
{
    (void)context;
    (void)program;
    (void)step;
    (void)ns;
}

/* Who watches steps sees each of them. */
static void watched_runs_are_step_by_step(void **state)
{
    (void)state;
    kit k;
    mock_init(&k.m);
    kit_init(&k, &k.m.device);
    gml_instance_watch(k.instance, ignore_step, NULL, NULL);
    for (int i = 0; i < 3; i++)
        run(&k, (float)i, NULL);
    assert_int_equal(k.m.n_graphs, 0);
    gml_instance_watch(k.instance, NULL, NULL, NULL);
    for (int i = 0; i < 3; i++)
        run(&k, (float)i, NULL);
    assert_int_equal(k.m.n_graphs, 1);
    kit_reset(&k);
    mock_end(&k.m);
}

static void faults_are_reported(void **state)
{
    (void)state;
    kit k;
    float x[N] = {0};
    mock_init(&k.m);
    kit_init(&k, &k.m.device);
    gml_rvalue inputs[] = {vector_view(N, x), vector_view(N, x)};
    gml_rvalue outputs[] = {vector_view(N, k.z)};
    run(&k, 1, NULL);
    inputs[0] = vector_view(N, k.x);
    inputs[1] = vector_view(N, k.y);
    k.m.has_no_graph = true;
    assert_int_equal(gml_instance_run(k.instance, inputs, 2, outputs, 1, &k.b.diags),
                     GML_E_DEVICE);
    assert_says(&k.b, "no graph can be made");
    k.m.has_no_graph = false;
    run(&k, 2, NULL);
    k.m.fails_at = k.m.n_launches + 2;
    assert_int_equal(gml_instance_run(k.instance, inputs, 2, outputs, 1, &k.b.diags),
                     GML_E_DEVICE);
    assert_says(&k.b, "k_double does not run");
    run(&k, 3, NULL);
    kit_reset(&k);
    mock_end(&k.m);
}

/* A device without graphs launches what was written down one by one. */
static void the_emulator_replays(void **state)
{
    (void)state;
    kit k;
    gml_device *emu = NULL;
    bench b;
    bench_init(&b);
    assert_ok(&b, gml_device_open("emu", 0, &emu, &b.diags));
    kit_init(&k, emu);
    for (int i = 0; i < 4; i++)
        run(&k, (float)i, NULL);
    kit_reset(&k);
    gml_device_release(emu);
    bench_reset(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_run_is_written_down),
        cmocka_unit_test(other_addresses_are_written_down_anew),
        cmocka_unit_test(watched_runs_are_step_by_step),
        cmocka_unit_test(faults_are_reported),
        cmocka_unit_test(the_emulator_replays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
