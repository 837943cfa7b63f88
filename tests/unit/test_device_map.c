/* tests/unit/test_device_map.c - the tensor maps of launches: encoded when something in them
 * changed, and kept by graphs. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "device_mock.h"
#include "device_program.h"

enum { N = 12 };

typedef struct kit {
    bench b;
    mock m;
    gml_program *program;
    gml_instance *instance;
    float x[N], y[N], z[N];
} kit;

static void never(void *const *mems, const int64_t *dims, int64_t begin, int64_t end,
                  void *scratch)
{
    (void)mems;
    (void)dims;
    (void)begin;
    (void)end;
    (void)scratch;
    fail();
}

/* A kernel that reads its operand by a map of (2, n / 2). */
static uint32_t add_turn(gml_program *p, uint32_t x, gml_dim n)
{
    uint32_t out = add_map(p, never, "k_turn", 1, &x, n);
    const gml_step *step = &p->steps.items[p->steps.count - 1];
    gml_map_layout map = {.dtype = GML_BF16, .rank = 2, .strides = {2, 16}};
    gml_phase *phase = gml_arena_copy(&p->arena, step->phases, sizeof *phase);
    map.extents[0] = 2;
    map.extents[1] = gml_dim_div(&p->dims, n, 2);
    phase->launch.n_maps = 1;
    phase->maps = gml_arena_copy(&p->arena, &map, sizeof map);
    p->steps.items[p->steps.count - 1].phases = phase;
    return out;
}

/* z = turned(turned(x) + y), of N elements or of any even number. */
static void kit_init(kit *k, bool is_open)
{
    mock_init(&k->m);
    bench_init(&k->b);
    gml_program *p = k->program = gml_program_create();
    gml_dim half = gml_dim_symbol(&p->dims, "half");
    gml_dim n = is_open ? gml_dim_mul(&p->dims, half, 2) : N;
    gml_dim dims[2] = {half, 2};
    uint32_t x = is_open ? add_slot(p, GML_SLOT_INPUT, GML_F32, 2, dims)
                         : add_vector(p, GML_SLOT_INPUT, N);
    uint32_t y = add_vector(p, GML_SLOT_INPUT, n);
    set_inputs(p, GML_LIST(x, y));
    uint32_t turned = add_turn(p, x, n);
    uint32_t sum = add_map(p, k_add, "k_add", 2, (uint32_t[]){turned, y}, n);
    uint32_t z = add_turn(p, sum, n);
    set_outputs(p, GML_LIST(z));
    move_to(&k->b, p, &k->m.device, true);
    assert_ok(&k->b, gml_instance_create(p, NULL, &k->instance, &k->b.diags));
}

static void kit_reset(kit *k)
{
    gml_instance_destroy(k->instance);
    gml_program_release(k->program);
    bench_reset(&k->b);
    mock_end(&k->m);
}

static gml_status try_run(kit *k, int64_t n, bool is_open, const gml_rvalue *there)
{
    const int64_t dims[2] = {n / 2, 2};
    for (int i = 0; i < N; i++) {
        k->x[i] = (float)i;
        k->y[i] = (float)(100 * i);
        k->z[i] = -1;
    }
    gml_rvalue inputs[] = {is_open ? tensor_view(GML_F32, 2, dims, k->x) : vector_view(n, k->x),
                           vector_view(n, k->y)};
    gml_rvalue outputs[] = {vector_view(n, k->z)};
    if (there)
        inputs[0] = *there;
    return gml_instance_run(k->instance, inputs, 2, outputs, 1, &k->b.diags);
}

static void run(kit *k, int64_t n, bool is_open, const gml_rvalue *there)
{
    assert_ok(&k->b, try_run(k, n, is_open, there));
    for (int64_t i = 0; i < n; i++)
        assert_true(k->z[i] == (float)i + (float)(100 * (n - 1 - i)));
}

static void maps_are_kept(void **state)
{
    (void)state;
    kit k;
    kit_init(&k, false);
    for (int i = 0; i < 4; i++)
        run(&k, N, false, NULL);
    assert_int_equal(k.m.n_graphs, 1);
    assert_int_equal(k.m.n_issues, 3);
    assert_int_equal(k.m.n_encodes, 2);
    kit_reset(&k);
}

static gml_rvalue make_there(kit *k)
{
    float elements[N];
    for (int i = 0; i < N; i++)
        elements[i] = (float)i;
    gml_buffer *buffer = gml_buffer_create_on(&k->m.device, sizeof elements);
    assert_non_null(buffer);
    assert_ok(&k->b, gml_device_put(&k->m.device, gml_buffer_data(buffer), elements,
                                    sizeof elements, &k->b.diags));
    gml_rvalue there = vector_view(N, gml_buffer_data(buffer));
    there.buffer = buffer;
    return there;
}

static void other_addresses_are_encoded_anew(void **state)
{
    (void)state;
    kit k;
    kit_init(&k, false);
    gml_rvalue first = make_there(&k);
    gml_rvalue second = make_there(&k);
    for (int i = 0; i < 3; i++)
        run(&k, N, false, &first);
    assert_int_equal(k.m.n_encodes, 2);
    for (int i = 0; i < 3; i++)
        run(&k, N, false, &second);
    assert_int_equal(k.m.n_graphs, 2);
    assert_int_equal(k.m.n_encodes, 3);
    gml_rvalue_reset(&first);
    gml_rvalue_reset(&second);
    kit_reset(&k);
}

static void other_sizes_are_encoded_anew(void **state)
{
    (void)state;
    kit k;
    kit_init(&k, true);
    run(&k, N, true, NULL);
    run(&k, N, true, NULL);
    assert_int_equal(k.m.n_encodes, 2);
    run(&k, 6, true, NULL);
    run(&k, 6, true, NULL);
    assert_int_equal(k.m.n_encodes, 4);
    run(&k, 0, true, NULL); /* there is no map of nothing */
    assert_int_equal(k.m.n_encodes, 4);
    run(&k, 10, true, NULL);
    assert_int_equal(k.m.n_encodes, 6);
    kit_reset(&k);
}

static void faults_are_reported(void **state)
{
    (void)state;
    kit k;
    kit_init(&k, false);
    k.m.has_no_maps = true;
    assert_int_equal(try_run(&k, N, false, NULL), GML_E_DEVICE);
    assert_says(&k.b, "no map can be made");
    k.m.has_no_maps = false;
    run(&k, N, false, NULL);
    kit_reset(&k);
}

static void bad_maps_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        kit k;
        kit_init(&k, false);
        gml_step *step = &k.program->steps.items[0];
        gml_phase phase = step->phases[0];
        gml_map_layout map = phase.maps[0];
        phase.maps = &map;
        assert_ok(&k.b, gml_program_check(k.program, &k.b.diags));
        step->phases = &phase;
        if (i == 0)
            map.mem = 2;
        else if (i == 1)
            map.rank = 6;
        else
            map.extents[1] = GML_DIM_LIMIT + 77;
        assert_int_equal(gml_program_check(k.program, &k.b.diags), GML_E_INVALID);
        assert_says(&k.b, "tensor maps of a phase");
        kit_reset(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_are_kept),
        cmocka_unit_test(other_addresses_are_encoded_anew),
        cmocka_unit_test(other_sizes_are_encoded_anew),
        cmocka_unit_test(faults_are_reported),
        cmocka_unit_test(bad_maps_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
