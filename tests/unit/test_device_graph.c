/* tests/unit/test_device_graph.c - runs that are as the one before are issued as one. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "device_mock.h"
#include "device_program.h"
#include "runtime/emu.h"

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

/* ---- what waits for what ------------------------------------------------------------------
 */

static void expect_waits(const mock *m, size_t call, size_t n, const uint32_t *after)
{
    assert_int_equal(m->waits[call].n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(m->waits[call].after[i], after[i]);
}

static void expect_chain(const mock *m, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        expect_waits(m, i, i != 0, (uint32_t[]){i - 1});
}

enum { X, Y, A, B, VECTORS };

/* Two launches, each of which doubles a vector into another, and what is there then, as
 * multiples of what was there before: 1 to 4. */
typedef struct hazard {
    const char *name;
    struct {
        int from, to;
    } launches[2];
    bool is_wait; /* the second one waits for the first */
    float right[VECTORS];
} hazard;

static const hazard hazards[] = {
    {"it reads what was written", {{X, A}, {A, B}}, true, {1, 2, 2, 4}},
    {"it writes what is read", {{A, B}, {X, A}}, true, {1, 2, 2, 6}},
    {"it writes what was written", {{X, A}, {Y, A}}, true, {1, 2, 4, 4}},
    {"it reads what is read", {{X, A}, {X, B}}, false, {1, 2, 2, 2}},
};

typedef struct two {
    gml_device *device;
    gml_device_code *code;
    gml_device_kernel kernel;
    void *vectors[VECTORS];
    void *sizes;
} two;

static gml_range range_of(const void *memory, bool is_written)
{
    uint64_t start = (uint64_t)(uintptr_t)memory;
    return (gml_range){start, start + N * sizeof(float), is_written};
}

static void two_init(two *t, bench *b, gml_device *device)
{
    const gml_launch launch = {.threads = THREADS, .per_block = 1 << 20};
    *t = (two){.device = device};
    assert_ok(b, gml_device_load(device, NULL, 0, &t->code, &b->diags));
    assert_ok(b, gml_device_find(t->code, "k_double", find_lane("k_double"), &launch,
                                 &t->kernel, &b->diags));
    for (int i = 0; i < VECTORS; i++)
        t->vectors[i] = gml_device_allocate(device, N * sizeof(float));
}

static void two_reset(two *t)
{
    for (int i = 0; i < VECTORS; i++)
        gml_device_free(t->device, t->vectors[i]);
    gml_device_unload(t->code);
}

/* Whether a graph of both launches gives what is right. With `is_told` it knows what the second
 * one touches, else it takes it to touch nothing. */
static bool is_right(two *t, bench *b, const hazard *h, bool is_told)
{
    gml_device_graph *graph = NULL;
    int64_t units = N;
    float got[N];
    bool is_same = true;
    assert_ok(b, gml_device_graph_create(t->device, &graph, &b->diags));
    for (int i = 0; i < 2; i++) {
        void **from = &t->vectors[h->launches[i].from];
        void **to = &t->vectors[h->launches[i].to];
        void *params[] = {from, to, &t->sizes, &units};
        gml_device_graph_touch_none(graph);
        if (i == 0 || is_told) {
            gml_device_graph_touch(graph, range_of(*from, false));
            gml_device_graph_touch(graph, range_of(*to, true));
        }
        assert_ok(b, gml_device_graph_add(graph, &t->kernel, N, params, 4, &b->diags));
    }
    assert_ok(b, gml_device_graph_finish(graph, &b->diags));
    for (int v = 0; v < VECTORS; v++) {
        for (int i = 0; i < N; i++)
            got[i] = (float)(v + 1) * (float)(i + 1);
        assert_ok(b, gml_device_put(t->device, t->vectors[v], got, sizeof got, &b->diags));
    }
    assert_ok(b, gml_device_graph_issue(graph, &b->diags));
    for (int v = 0; v < VECTORS; v++) {
        assert_ok(b, gml_device_get(t->device, got, t->vectors[v], sizeof got, &b->diags));
        for (int i = 0; i < N; i++)
            is_same = is_same && got[i] == h->right[v] * (float)(i + 1);
    }
    gml_device_graph_destroy(graph);
    return is_same;
}

/* Each kind of wait is there, and without it the last one that may be first gives other bits.
 */
static void each_wait_is_needed(void **state)
{
    (void)state;
    bench b;
    mock m;
    two t;
    bench_init(&b);
    mock_init(&m);
    m.reverses = true;
    two_init(&t, &b, &m.device);
    for (size_t i = 0; i < sizeof hazards / sizeof *hazards; i++) {
        const hazard *h = &hazards[i];
        print_message("%s\n", h->name);
        assert_true(is_right(&t, &b, h, true));
        assert_int_equal(m.order[0], h->is_wait ? 0 : 1);
        assert_int_equal(is_right(&t, &b, h, false), !h->is_wait);
        assert_int_equal(m.order[0], 1);
    }
    two_reset(&t);
    bench_reset(&b);
    mock_end(&m);
}

static void nothing_said_is_everything(void **state)
{
    (void)state;
    bench b;
    mock m;
    two t;
    gml_device_graph *graph = NULL;
    int64_t units = N;
    bench_init(&b);
    mock_init(&m);
    two_init(&t, &b, &m.device);
    void *params[] = {&t.vectors[X], &t.vectors[A], &t.sizes, &units};
    assert_ok(&b, gml_device_graph_create(&m.device, &graph, &b.diags));
    for (int i = 0; i < 3; i++)
        assert_ok(&b, gml_device_graph_add(graph, &t.kernel, N, params, 4, &b.diags));
    assert_ok(&b, gml_device_graph_finish(graph, &b.diags));
    expect_chain(&m, 3);
    gml_device_graph_destroy(graph);
    two_reset(&t);
    bench_reset(&b);
    mock_end(&m);
}

static void the_emulator_has_other_orders(void **state)
{
    (void)state;
    bench b;
    two t;
    gml_device *emu = NULL;
    bench_init(&b);
    assert_ok(&b, gml_device_open("emu", 0, &emu, &b.diags));
    two_init(&t, &b, emu);
    for (size_t i = 0; i < sizeof hazards / sizeof *hazards; i++) {
        const hazard *h = &hazards[i];
        unsigned n_right = 0;
        gml_emu_set_options(&(gml_emu_options){.order = GML_EMU_FORWARD});
        assert_true(is_right(&t, &b, h, false));
        gml_emu_set_options(&(gml_emu_options){.order = GML_EMU_REVERSE});
        assert_true(is_right(&t, &b, h, true));
        assert_int_equal(is_right(&t, &b, h, false), !h->is_wait);
        for (uint64_t seed = 0; seed < 32; seed++) {
            gml_emu_set_options(&(gml_emu_options){.order = GML_EMU_MIXED, .seed = seed});
            assert_true(is_right(&t, &b, h, true));
            n_right += is_right(&t, &b, h, false);
        }
        assert_true(h->is_wait ? n_right > 4 && n_right < 28 : n_right == 32);
    }
    gml_emu_set_options(&(gml_emu_options){0});
    two_reset(&t);
    gml_device_release(emu);
    bench_reset(&b);
}

/* ---- programs whose launches may change places --------------------------------------------
 */

/* Inputs x and y of N elements; the outputs are to be set. */
static gml_program *new_program(bench *b, uint32_t *out_x, uint32_t *out_y)
{
    bench_init(b);
    gml_program *p = gml_program_create();
    (void)gml_dim_symbol(&p->dims, "unused");
    *out_x = add_vector(p, GML_SLOT_INPUT, N);
    *out_y = add_vector(p, GML_SLOT_INPUT, N);
    set_inputs(p, GML_LIST(*out_x, *out_y));
    return p;
}

/* Runs three times, from the last launch that may be first; x[i] is i + 1, y[i] is 10 (i + 1).
 * The outputs have `n` elements. */
static void run_reversed(bench *b, mock *m, gml_program *p, int64_t n, float *z, float *w)
{
    gml_instance *instance = NULL;
    float x[N];
    float y[N];
    move_to(b, p, &m->device, true);
    assert_ok(b, gml_instance_create(p, NULL, &instance, &b->diags));
    for (int i = 0; i < N; i++) {
        x[i] = (float)(i + 1);
        y[i] = 10 * (float)(i + 1);
    }
    m->reverses = true;
    gml_rvalue inputs[] = {vector_view(N, x), vector_view(N, y)};
    gml_rvalue outputs[] = {tensor_view(GML_F32, p->slots.items[p->outputs[0]].rank, &n, z),
                            tensor_view(GML_F32, p->slots.items[p->outputs[0]].rank, &n, w)};
    for (int i = 0; i < 3; i++) {
        memset(z, 0xff, (size_t)n * sizeof *z);
        memset(w, 0xff, (size_t)n * sizeof *w);
        assert_ok(b, gml_instance_run(instance, inputs, 2, outputs, 2, &b->diags));
    }
    assert_int_equal(m->n_issues, 2);
    gml_instance_destroy(instance);
}

/* z = 2x + 2y, w = 4y */
static void branches_are_beside_each_other(void **state)
{
    (void)state;
    bench b;
    mock m;
    float z[N];
    float w[N];
    uint32_t x;
    uint32_t y;
    gml_program *p = new_program(&b, &x, &y);
    mock_init(&m);
    uint32_t two_x = add_map(p, k_double, "k_double", 1, &x, N);
    uint32_t two_y = add_map(p, k_double, "k_double", 1, &y, N);
    uint32_t four = add_map(p, k_double, "k_double", 1, &two_y, N);
    uint32_t sum = add_map(p, k_add, "k_add", 2, (uint32_t[]){two_x, two_y}, N);
    set_outputs(p, GML_LIST(sum, four));
    run_reversed(&b, &m, p, N, z, w);
    expect_waits(&m, 0, 0, NULL);
    expect_waits(&m, 1, 0, NULL);
    expect_waits(&m, 2, 1, (const uint32_t[]){1});
    expect_waits(&m, 3, 2, (const uint32_t[]){1, 0}); /* not for who reads 2y, too */
    for (int i = 0; i < N; i++)
        assert_true(z[i] == 22 * (float)(i + 1) && w[i] == 40 * (float)(i + 1));
    assert_int_equal(m.order[0], 1);
    gml_program_release(p);
    bench_reset(&b);
    mock_end(&m);
}

/* z = 4x, w = 4y, and three places in the arena for four values: 4y waits for 4x, which reads
 * 2x there. */
static void places_of_the_arena_are_waited_for(void **state)
{
    (void)state;
    bench b;
    mock m;
    float z[N];
    float w[N];
    uint32_t x;
    uint32_t y;
    gml_program *p = new_program(&b, &x, &y);
    mock_init(&m);
    uint32_t two_x = add_map(p, k_double, "k_double", 1, &x, N);
    uint32_t four_x = add_map(p, k_double, "k_double", 1, &two_x, N);
    uint32_t two_y = add_map(p, k_double, "k_double", 1, &y, N);
    uint32_t four_y = add_map(p, k_double, "k_double", 1, &two_y, N);
    set_outputs(p, GML_LIST(four_x, four_y));
    run_reversed(&b, &m, p, N, z, w);
    assert_int_equal(p->slots.items[two_x].offset, p->slots.items[four_y].offset);
    expect_waits(&m, 0, 0, NULL);
    expect_waits(&m, 1, 1, (const uint32_t[]){0});
    expect_waits(&m, 2, 0, NULL);
    expect_waits(&m, 3, 2, (const uint32_t[]){2, 1});
    for (int i = 0; i < N; i++)
        assert_true(z[i] == 4 * (float)(i + 1) && w[i] == 40 * (float)(i + 1));
    gml_program_release(p);
    bench_reset(&b);
    mock_end(&m);
}

/* Two sums in two phases each, whose parts have one place. */
static void phases_and_temporaries_are_waited_for(void **state)
{
    (void)state;
    bench b;
    mock m;
    float z = 0;
    float w = 0;
    uint32_t x;
    uint32_t y;
    bench_init(&b);
    gml_program *p = gml_program_create();
    mock_init(&m);
    gml_dim n = gml_dim_symbol(&p->dims, "n");
    x = add_vector(p, GML_SLOT_INPUT, n);
    y = add_vector(p, GML_SLOT_INPUT, n);
    set_inputs(p, GML_LIST(x, y));
    set_outputs(p, GML_LIST(add_sum(p, x, N), add_sum(p, y, N)));
    run_reversed(&b, &m, p, 1, &z, &w);
    expect_chain(&m, 4);
    assert_true(z == 55 && w == 550);
    gml_program_release(p);
    bench_reset(&b);
    mock_end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_run_is_written_down),
        cmocka_unit_test(other_addresses_are_written_down_anew),
        cmocka_unit_test(watched_runs_are_step_by_step),
        cmocka_unit_test(faults_are_reported),
        cmocka_unit_test(the_emulator_replays),
        cmocka_unit_test(each_wait_is_needed),
        cmocka_unit_test(nothing_said_is_everything),
        cmocka_unit_test(the_emulator_has_other_orders),
        cmocka_unit_test(branches_are_beside_each_other),
        cmocka_unit_test(places_of_the_arena_are_waited_for),
        cmocka_unit_test(phases_and_temporaries_are_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
