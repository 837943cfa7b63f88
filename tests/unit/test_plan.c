/* tests/unit/test_plan.c - runtime/plan.h, gml_program_check, gml_program_plan. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "device_mock.h"
#include "device_program.h"
#include "runtime/plan.h"

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static bool clash(const gml_place *a, const gml_place *b)
{
    return a->first <= b->last && b->first <= a->last && a->offset < b->offset + b->size &&
           b->offset < a->offset + a->size;
}

enum { GML_N = 200 };

static uint64_t make_places(gml_place *places, uint32_t *seed)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < GML_N; i++) {
        uint32_t first = next_random(seed) % 50;
        places[i] = (gml_place){.size = next_random(seed) % 1000,
                                .first = first,
                                .last = first + next_random(seed) % 10,
                                .slot = i};
        sum += gml_align_up(places[i].size);
    }
    return sum;
}

static void expect_no_clash(const gml_place *places, uint64_t size)
{
    for (int i = 0; i < GML_N; i++) {
        assert_int_equal(places[i].offset % GML_ALIGN, 0);
        assert_true(places[i].offset + places[i].size <= size);
        for (int j = 0; j < i; j++)
            assert_false(clash(&places[i], &places[j]));
    }
}

static void nothing_alive_together_overlaps(void **state)
{
    (void)state;
    gml_place places[GML_N];
    gml_place best[GML_N];
    uint32_t order[GML_N];
    uint32_t seed = 1;
    unsigned n_better = 0;
    for (int round = 0; round < 20; round++) {
        uint64_t size = 0;
        uint64_t best_size = 0;
        uint64_t sum = make_places(places, &seed);
        assert_true(gml_place_all(places, GML_N, order, &size));
        assert_true(size < sum / 2);
        expect_no_clash(places, size);
        assert_true(gml_place_best(places, GML_N, order, best, &best_size));
        assert_true(best_size <= size);
        expect_no_clash(best, best_size);
        n_better += best_size < size;
    }
    assert_true(n_better >= 15);
}

static void a_chain_needs_two_places(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_program *p = gml_program_create();
    uint32_t x = add_vector(p, GML_SLOT_INPUT, 100);
    uint32_t y = x;
    set_inputs(p, GML_LIST(x));
    for (int i = 0; i < 6; i++)
        y = add_map(p, k_double, "k_double", 1, &y, 100);
    set_outputs(p, GML_LIST(y));
    assert_ok(&b, gml_program_plan(p, &b.diags));
    assert_true(p->is_static);
    assert_int_equal(p->arena_size, 2 * 448);
    for (size_t i = 1; i < p->slots.count; i++) {
        assert_true(p->slots.items[i].planned);
        assert_int_equal(p->slots.items[i].offset, i % 2 == 1 ? 0 : 448);
    }
    gml_program_release(p);
    bench_reset(&b);
}

static void what_a_step_needs_is_in_the_arena(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_program *p = gml_program_create();
    uint32_t x = add_vector(p, GML_SLOT_INPUT, 1000);
    set_inputs(p, GML_LIST(x));
    uint32_t y = add_sum(p, x, 1000);
    set_outputs(p, GML_LIST(y));
    assert_ok(&b, gml_program_plan(p, &b.diags));
    assert_int_equal(p->arena_size, 64 + 1024 + 64); /* y, temporaries, scratch */
    assert_int_equal(p->scratch_size, 64);
    gml_program_release(p);
    bench_reset(&b);
}

static void symbols_make_a_program_dynamic(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_program *p = gml_program_create();
    gml_dim n = gml_dim_symbol(&p->dims, "n");
    uint32_t x = add_vector(p, GML_SLOT_INPUT, n);
    uint32_t c = add_vector(p, GML_SLOT_INPUT, 8);
    set_inputs(p, GML_LIST(x, c));
    uint32_t y = add_map(p, k_double, "k_double", 1, &x, n);
    uint32_t z = add_map(p, k_double, "k_double", 1, &c, 8);
    set_outputs(p, GML_LIST(y, z));
    assert_ok(&b, gml_program_plan(p, &b.diags));
    assert_false(p->is_static);
    assert_false(p->slots.items[y].planned);
    assert_true(p->slots.items[z].planned);
    gml_program_release(p);
    bench_reset(&b);
}

/* ---- beside each other --------------------------------------------------------------------
 */

/* Two chains of two, and a step that needs most of the arena for itself. */
static gml_program *create_chains(uint32_t *out_first, uint32_t *out_second)
{
    gml_program *p = gml_program_create();
    uint32_t x = add_vector(p, GML_SLOT_INPUT, 100);
    uint32_t y = add_vector(p, GML_SLOT_INPUT, 100);
    uint32_t z = add_vector(p, GML_SLOT_INPUT, 10000);
    set_inputs(p, GML_LIST(x, y, z));
    *out_first = add_map(p, k_double, "k_double", 1, &x, 100);
    uint32_t four_x = add_map(p, k_double, "k_double", 1, out_first, 100);
    *out_second = add_map(p, k_double, "k_double", 1, &y, 100);
    uint32_t four_y = add_map(p, k_double, "k_double", 1, out_second, 100);
    set_outputs(p, GML_LIST(four_x, four_y, add_sum(p, z, 10000)));
    return p;
}

static void chains_get_places_of_their_own(void **state)
{
    (void)state;
    bench b;
    mock m;
    uint64_t size = 0;
    bench_init(&b);
    mock_init(&m);
    for (int i = 0; i < 2; i++) {
        uint32_t first = 0;
        uint32_t second = 0;
        gml_program *p = create_chains(&first, &second);
        if (i == 0)
            assert_ok(&b, gml_program_plan(p, &b.diags));
        else
            move_to(&b, p, &m.device, true);
        bool is_shared = p->slots.items[first].offset == p->slots.items[second].offset;
        assert_true(is_shared == (i == 0));
        assert_true(i == 0 || p->arena_size == size);
        size = p->arena_size;
        gml_program_release(p);
    }
    bench_reset(&b);
    mock_end(&m);
}

enum { GML_STEPS = 60 };

/* Steps that read values made by any before, the same for the same seed; some need memory for
 * themselves. */
static gml_program *create_random(uint32_t seed)
{
    gml_program *p = gml_program_create();
    uint32_t values[GML_STEPS + 1] = {add_vector(p, GML_SLOT_INPUT, 100)};
    set_inputs(p, 1, values);
    for (uint32_t i = 1; i <= GML_STEPS; i++) {
        uint32_t reach = i < 8 ? i : 8;
        uint32_t from[] = {values[i - 1 - next_random(&seed) % reach],
                           values[i - 1 - next_random(&seed) % reach]};
        gml_dim bytes = next_random(&seed) % 2000;
        values[i] = add_map(p, k_add, "k_add", 2, from, 1 + next_random(&seed) % 1000);
        gml_step *step = &p->steps.items[p->steps.count - 1];
        if (next_random(&seed) % 3 == 0) {
            step->temporaries = gml_arena_copy(&p->arena, &bytes, sizeof bytes);
            step->n_temporaries = 1;
        }
    }
    set_outputs(p, 1, &values[GML_STEPS]);
    return p;
}

/* Its places, as liveness has them; returns how many. */
static size_t list_places(const gml_program *p, gml_place *places)
{
    uint32_t first[GML_STEPS + 1];
    uint32_t last[GML_STEPS + 1];
    size_t n = 0;
    gml_find_liveness(p, (gml_liveness){first, last});
    for (uint32_t i = 1; i < p->slots.count; i++) {
        const gml_slot *slot = &p->slots.items[i];
        places[n++] =
            (gml_place){(uint64_t)slot->dims[0] * 4, slot->offset, first[i], last[i], i};
    }
    for (uint32_t s = 0; s < p->steps.count; s++) {
        const gml_step *step = &p->steps.items[s];
        if (step->n_temporaries != 0 && step->temporaries[0] != 0)
            places[n++] =
                (gml_place){(uint64_t)step->temporaries[0], step->temporaries_offset, s, s, 0};
    }
    return n;
}

static void no_program_for_a_device_needs_more(void **state)
{
    (void)state;
    bench b;
    mock m;
    bench_init(&b);
    mock_init(&m);
    for (uint32_t seed = 0; seed < 50; seed++) {
        gml_place places[2 * GML_STEPS];
        gml_program *cpu = create_random(seed);
        gml_program *p = create_random(seed);
        assert_ok(&b, gml_program_plan(cpu, &b.diags));
        move_to(&b, p, &m.device, true);
        assert_int_equal(p->arena_size, cpu->arena_size);
        size_t n = list_places(p, places);
        gml_instance *instance = NULL;
        assert_ok(&b, gml_instance_create(p, NULL, &instance, &b.diags));
        for (size_t i = 0; i < n; i++) {
            assert_true(places[i].offset + places[i].size <= gml_instance_memory(instance));
            assert_int_equal(places[i].offset % GML_ALIGN, 0);
            assert_true(places[i].offset + places[i].size <= p->arena_size);
            for (size_t k = 0; k < i; k++)
                assert_false(clash(&places[i], &places[k]));
        }
        gml_instance_destroy(instance);
        gml_program_release(cpu);
        gml_program_release(p);
    }
    bench_reset(&b);
    mock_end(&m);
}

static gml_program *create_small(uint32_t *out_x, uint32_t *out_y, gml_dim n)
{
    gml_program *p = gml_program_create();
    *out_x = add_vector(p, GML_SLOT_INPUT, n);
    set_inputs(p, 1, out_x);
    *out_y = add_map(p, k_double, "k_double", 1, out_x, n);
    set_outputs(p, 1, out_y);
    return p;
}

static void refuse(gml_program *p, gml_status status, const char *text)
{
    bench b;
    bench_init(&b);
    assert_int_equal(gml_program_plan(p, &b.diags), status);
    assert_says(&b, text);
    bench_reset(&b);
    gml_program_release(p);
}

static void damaged_programs_are_refused(void **state)
{
    (void)state;
    uint32_t x;
    uint32_t y;
    gml_program *p = create_small(&x, &y, 4);
    p->outputs[0] = 99;
    refuse(p, GML_E_INVALID, "slot of an output");
    p = create_small(&x, &y, 4);
    p->inputs[0] = y;
    refuse(p, GML_E_INVALID, "slot of an input");
    p = create_small(&x, &y, 4);
    p->steps.items[0].inputs = p->steps.items[0].outputs;
    refuse(p, GML_E_INVALID, "before it is set");
    p = create_small(&x, &y, 4);
    (void)add_step(p, GML_STEP_KERNEL, "again", 1, &x, y);
    refuse(p, GML_E_INVALID, "may not write");
    p = create_small(&x, &y, 4);
    p->slots.items[y].kind = GML_SLOT_VALUE;
    refuse(p, GML_E_INVALID, "may not write");
    p = create_small(&x, &y, 4);
    p->slots.items[y].rank = 13;
    refuse(p, GML_E_INVALID, "rank of a slot");
    p = create_small(&x, &y, 4);
    p->slots.items[y].dims = gml_arena_copy(&p->arena, &(gml_dim){-GML_DIM_LIMIT - 7}, 8);
    refuse(p, GML_E_INVALID, "size of a slot");
    p = create_small(&x, &y, 4);
    ((gml_phase *)(uintptr_t)p->steps.items[0].phases)->run = NULL;
    refuse(p, GML_E_INVALID, "a phase");
    p = create_small(&x, &y, 4);
    add_check(p, GML_RELATION_COUNT, 1, 1, 0);
    refuse(p, GML_E_INVALID, "a check of sizes");
    p = create_small(&x, &y, 4);
    add_check(p, GML_EQUAL, 1, -GML_DIM_LIMIT - 7, 0);
    refuse(p, GML_E_INVALID, "a check of sizes");
    p = create_small(&x, &y, 4);
    add_check(p, GML_EQUAL, 1, 1, 1);
    refuse(p, GML_E_INVALID, "the step of a check");
    p = create_small(&x, &y, 4);
    add_check(p, GML_EQUAL, 1, 1, GML_NO_STEP);
    add_check(p, GML_EQUAL, 1, 1, 0);
    refuse(p, GML_E_INVALID, "the step of a check");
    refuse(create_small(&x, &y, -4), GML_E_SHAPE, "negative size");
    refuse(create_small(&x, &y, GML_DIM_LIMIT - 1), GML_E_SHAPE, "do not fit");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_alive_together_overlaps),
        cmocka_unit_test(a_chain_needs_two_places),
        cmocka_unit_test(what_a_step_needs_is_in_the_arena),
        cmocka_unit_test(symbols_make_a_program_dynamic),
        cmocka_unit_test(chains_get_places_of_their_own),
        cmocka_unit_test(no_program_for_a_device_needs_more),
        cmocka_unit_test(damaged_programs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
