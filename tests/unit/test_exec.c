/* tests/unit/test_exec.c - gml_instance of runtime/program.h. */
#define _GNU_SOURCE
#include "program_util.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

/* ---- Counting allocations --------------------------------------------------------------- */

static atomic_int n_mallocs;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* Of the sanitizers' allocator; gcc has no header for it. */
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *memory,
                                                                  size_t size),
                                              void (*free_hook)(const volatile void *memory));
static void on_malloc(const volatile void *memory, size_t size)
{
    (void)memory;
    (void)size;
    atomic_fetch_add(&n_mallocs, 1);
}
static void on_free(const volatile void *memory)
{
    (void)memory;
}
static void count_mallocs(void)
{
    static bool installed;
    if (!installed)
        installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) != 0;
    assert_true(installed);
}
#elif defined(__GLIBC__) && !defined(__clang__)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_memalign(size_t align, size_t size);
void *malloc(size_t size)
{
    atomic_fetch_add(&n_mallocs, 1);
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size)
{
    atomic_fetch_add(&n_mallocs, 1);
    return __libc_calloc(count, size);
}
void *aligned_alloc(size_t align, size_t size)
{
    atomic_fetch_add(&n_mallocs, 1);
    return __libc_memalign(align, size);
}
static void count_mallocs(void) {}
#else
static void count_mallocs(void) {}
#endif

/* ---- Static programs -------------------------------------------------------------------- */

/* z = 2 (x + y), s = the sum of z; n elements. */
static gml_program *create_static(gml_dim n)
{
    gml_program *p = gml_program_create();
    if (!gml_dim_is_const(n))
        n = gml_dim_symbol(&p->dims, "n");
    else
        (void)gml_dim_symbol(&p->dims, "unused");
    uint32_t x = add_vector(p, GML_SLOT_INPUT, n);
    uint32_t y = add_vector(p, GML_SLOT_INPUT, n);
    set_inputs(p, GML_LIST(x, y));
    uint32_t sum = add_map(p, k_add, "k_add", 2, (uint32_t[]){x, y}, n);
    uint32_t z = add_map(p, k_double, "k_double", 1, &sum, n);
    set_outputs(p, GML_LIST(z));
    return p;
}

/* A worker that starts allocates for itself: `warm_up` runs come before the count. */
static void expect_no_allocation(bench *b, gml_program *p, gml_pool *pool, int warm_up)
{
    gml_instance *instance = NULL;
    assert_ok(b, gml_instance_create(p, pool, &instance, &b->diags));
    assert_int_equal(gml_instance_memory(instance), 400 + 448);
    float x[100];
    float y[100];
    for (int i = 0; i < 100; i++) {
        x[i] = (float)i;
        y[i] = 1;
    }
    gml_rvalue inputs[] = {vector_view(100, x), vector_view(100, y)};
    gml_rvalue outputs[1] = {0};
    gml_status statuses[4] = {GML_OK};
    int before = 0;
    gml_buffer_fail_at(1);
    for (int run = 0; run < 4; run++) {
        if (run == warm_up)
            before = n_mallocs;
        statuses[run] = gml_instance_run(instance, inputs, 2, outputs, 1, &b->diags);
        x[0] += 1;
    }
    int after = n_mallocs;
    gml_buffer_fail_at(0);
    for (int run = 0; run < 4; run++)
        assert_int_equal(statuses[run], GML_OK);
    assert_int_equal(after, before);
    const float *z = outputs[0].tensor.data;
    assert_true(z[0] == 8 && z[99] == 200);
    assert_null(outputs[0].buffer);
    gml_instance_destroy(instance);
}

static void a_static_run_allocates_nothing(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    count_mallocs();
    gml_program *p = create_static(100);
    assert_ok(&b, gml_program_plan(p, &b.diags));
    assert_true(p->is_static);
    expect_no_allocation(&b, p, NULL, 0);
    gml_pool *pool = gml_pool_create(2, NULL);
    expect_no_allocation(&b, p, pool, 1);
    gml_pool_destroy(pool);
    gml_program_release(p);
    bench_reset(&b);
}

static void outputs_are_written_in_place(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_program *p = create_static(8);
    gml_instance *instance = NULL;
    assert_ok(&b, gml_program_plan(p, &b.diags));
    assert_ok(&b, gml_instance_create(p, NULL, &instance, &b.diags));
    alignas(64) float x[9] = {1, 2, 3, 4, 5, 6, 7, 8};
    float y[8] = {0};
    alignas(64) float z[9] = {0};
    gml_rvalue inputs[] = {vector_view(8, x), vector_view(8, y)};
    for (int k = 0; k < 2; k++) { /* aligned, and not */
        gml_rvalue out = vector_view(8, z + k);
        assert_ok(&b, gml_instance_run(instance, inputs, 2, &out, 1, &b.diags));
        assert_ptr_equal(out.tensor.data, z + k);
        assert_true(z[k] == 2 && z[k + 7] == 16);
    }
    /* over its own input, right on it and shifted */
    gml_rvalue out = vector_view(8, x);
    assert_ok(&b, gml_instance_run(instance, inputs, 2, &out, 1, &b.diags));
    assert_true(x[0] == 2 && x[7] == 16);
    out = vector_view(8, x + 1);
    assert_ok(&b, gml_instance_run(instance, inputs, 2, &out, 1, &b.diags));
    assert_true(x[1] == 4 && x[8] == 32);
    /* another shape is no place */
    out = vector_view(9, z);
    assert_ok(&b, gml_instance_run(instance, inputs, 2, &out, 1, &b.diags));
    assert_ptr_not_equal(out.tensor.data, z);
    assert_int_equal(out.tensor.dims[0], 8);
    /* a buffer that is too small is no place either, and is given up */
    assert_int_equal(gml_rvalue_alloc(&out, GML_F32, 1, (int64_t[]){4}), GML_OK);
    out.tensor.dims[0] = 8;
    assert_ok(&b, gml_instance_run(instance, inputs, 2, &out, 1, &b.diags));
    assert_null(out.buffer);
    gml_instance_destroy(instance);
    gml_program_release(p);
    bench_reset(&b);
}

/* Outputs that are inputs, a constant, and the same slot twice. */
static void outputs_may_be_inputs_and_constants(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    float five[2] = {5, 5};
    gml_program *p = gml_program_create();
    uint32_t x = add_vector(p, GML_SLOT_INPUT, 2);
    uint32_t y = add_vector(p, GML_SLOT_INPUT, 2);
    uint32_t c = add_vector(p, GML_SLOT_CONSTANT, 2);
    p->slots.items[c].data = five;
    set_inputs(p, GML_LIST(x, y));
    uint32_t z = add_map(p, k_add, "k_add", 2, (uint32_t[]){x, c}, 2);
    set_outputs(p, GML_LIST(y, x, c, z, z));
    gml_instance *instance = NULL;
    assert_ok(&b, gml_program_plan(p, &b.diags));
    assert_ok(&b, gml_instance_create(p, NULL, &instance, &b.diags));
    alignas(64) float a[2] = {1, 2};
    alignas(64) float d[2] = {3, 4};
    gml_rvalue inputs[] = {vector_view(2, a), vector_view(2, d)};
    gml_rvalue outputs[5] = {vector_view(2, a), vector_view(2, d)}; /* they change places */
    assert_ok(&b, gml_instance_run(instance, inputs, 2, outputs, 5, &b.diags));
    assert_true(a[0] == 3 && a[1] == 4 && d[0] == 1 && d[1] == 2);
    assert_ptr_equal(outputs[2].tensor.data, five);
    assert_true(((float *)outputs[3].tensor.data)[1] == 7);
    assert_true(((float *)outputs[4].tensor.data)[1] == 7);
    /* without a place, an input is copied */
    outputs[0] = (gml_rvalue){0};
    outputs[1] = (gml_rvalue){0};
    assert_ok(&b, gml_instance_run(instance, inputs, 2, outputs, 5, &b.diags));
    assert_ptr_not_equal(outputs[0].tensor.data, d);
    assert_non_null(outputs[0].buffer);
    assert_true(((float *)outputs[0].tensor.data)[0] == 1);
    for (int i = 0; i < 5; i++)
        gml_rvalue_reset(&outputs[i]);
    gml_instance_destroy(instance);
    gml_program_release(p);
    bench_reset(&b);
}

static void wrong_inputs_are_named(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_program *p = create_static(-GML_DIM_LIMIT);
    const char *names[] = {"left", "right"};
    p->input_names = names;
    gml_instance *instance = NULL;
    assert_ok(&b, gml_instance_create(p, NULL, &instance, &b.diags));
    float x[8] = {0};
    gml_rvalue inputs[] = {vector_view(4, x), vector_view(5, x)};
    gml_rvalue out = {0};
    assert_int_equal(gml_instance_run(instance, inputs, 2, &out, 1, &b.diags), GML_E_SHAPE);
    assert_says(&b, "input right: dimension 0 is 5 where n is 4");
    inputs[1] = tensor_view(GML_F32, 0, NULL, x);
    assert_int_equal(gml_instance_run(instance, inputs, 2, &out, 1, &b.diags), GML_E_SHAPE);
    assert_says(&b, "input right: the rank is 0 where 1 is needed");
    inputs[1] = tensor_view(GML_I32, 1, (int64_t[]){4}, x);
    assert_int_equal(gml_instance_run(instance, inputs, 2, &out, 1, &b.diags), GML_E_TYPE);
    assert_says(&b, "input right: the elements are i32 where f32 is needed");
    inputs[1] = (gml_rvalue){0};
    assert_int_equal(gml_instance_run(instance, inputs, 2, &out, 1, &b.diags), GML_E_TYPE);
    assert_says(&b, "input right is no tensor");
    inputs[1] = vector_view(4, NULL);
    assert_int_equal(gml_instance_run(instance, inputs, 2, &out, 1, &b.diags), GML_E_INVALID);
    inputs[1] = vector_view(-4, x);
    assert_int_equal(gml_instance_run(instance, inputs, 2, &out, 1, &b.diags), GML_E_SHAPE);
    assert_int_equal(gml_instance_run(instance, inputs, 1, &out, 1, &b.diags), GML_E_INVALID);
    assert_int_equal(gml_instance_run(instance, inputs, 2, &out, 0, &b.diags), GML_E_INVALID);
    inputs[1] = vector_view(4, x);
    assert_ok(&b, gml_instance_run(instance, inputs, 2, &out, 1, &b.diags));
    gml_instance_destroy(instance);
    gml_program_release(p);
    bench_reset(&b);
}

/* ---- Sizes ------------------------------------------------------------------------------ */

/* The sum of x of n elements, in blocks; and x doubled. */
static gml_program *create_symbolic(void)
{
    gml_program *p = gml_program_create();
    gml_dim n = gml_dim_symbol(&p->dims, "n");
    uint32_t x = add_vector(p, GML_SLOT_INPUT, n);
    set_inputs(p, GML_LIST(x));
    uint32_t y = add_map(p, k_double, "k_double", 1, &x, n);
    uint32_t sum = add_sum(p, y, n);
    set_outputs(p, GML_LIST(sum, y));
    return p;
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1000, 1, 0, 37, 2000, 37};
    bench b;
    bench_init(&b);
    gml_program *p = create_symbolic();
    assert_ok(&b, gml_program_plan(p, &b.diags));
    float x[2000];
    float sums[3][6];
    for (int i = 0; i < 2000; i++)
        x[i] = 1.0f / (float)(i + 3);
    for (int threads = 1; threads <= 3; threads++) {
        gml_pool *pool = gml_pool_create(threads, NULL);
        gml_instance *instance = NULL;
        assert_ok(&b, gml_instance_create(p, pool, &instance, &b.diags));
        for (size_t s = 0; s < 6; s++) {
            gml_rvalue input = vector_view(sizes[s], x);
            gml_rvalue outputs[2] = {0};
            assert_ok(&b, gml_instance_run(instance, &input, 1, outputs, 2, &b.diags));
            sums[threads - 1][s] = *(float *)outputs[0].tensor.data;
            assert_int_equal(outputs[1].tensor.dims[0], sizes[s]);
            for (int64_t i = 0; i < sizes[s]; i++)
                assert_true(((float *)outputs[1].tensor.data)[i] == 2 * x[i]);
        }
        gml_instance_destroy(instance);
        gml_pool_destroy(pool);
    }
    assert_memory_equal(sums[0], sums[1], sizeof sums[0]);
    assert_memory_equal(sums[0], sums[2], sizeof sums[0]);
    assert_true(sums[0][2] == 0 && sums[0][1] == 2 * x[0]);
    gml_program_release(p);
    bench_reset(&b);
}

typedef struct thread_case {
    gml_program *program;
    float sum;
} thread_case;

static void *run_many(void *argument)
{
    thread_case *c = argument;
    bench b;
    bench_init(&b);
    gml_instance *instance = NULL;
    float x[500];
    for (int i = 0; i < 500; i++)
        x[i] = 1.0f / (float)(i + 3);
    if (gml_instance_create(c->program, NULL, &instance, &b.diags) != GML_OK)
        return NULL;
    for (int64_t n = 1; n <= 500; n++) {
        gml_rvalue input = vector_view(n, x);
        gml_rvalue outputs[2] = {0};
        if (gml_instance_run(instance, &input, 1, outputs, 2, &b.diags) == GML_OK)
            c->sum += *(float *)outputs[0].tensor.data;
    }
    gml_instance_destroy(instance);
    bench_reset(&b);
    return NULL;
}

static void instances_run_side_by_side(void **state)
{
    (void)state;
    thread_case cases[3] = {0};
    pthread_t threads[3];
    gml_program *p = create_symbolic();
    for (int i = 0; i < 3; i++) {
        cases[i].program = p;
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &cases[i]), 0);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_true(cases[0].sum > 0);
    assert_true(cases[0].sum == cases[1].sum && cases[0].sum == cases[2].sum);
    gml_program_release(p);
}

static void expressions_are_solved_for_their_symbol(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_program *p = gml_program_create();
    gml_dim n = gml_dim_symbol(&p->dims, "n");
    gml_dim m = gml_dim_add(&p->dims, gml_dim_mul(&p->dims, n, 3), 1);
    uint32_t x = add_vector(p, GML_SLOT_INPUT, m);
    set_inputs(p, GML_LIST(x));
    uint32_t y = add_map(p, k_double, "k_double", 1, &x, n);
    set_outputs(p, GML_LIST(y));
    gml_instance *instance = NULL;
    assert_ok(&b, gml_instance_create(p, NULL, &instance, &b.diags));
    float data[16] = {0};
    gml_rvalue out = {0};
    gml_rvalue input = vector_view(10, data);
    assert_ok(&b, gml_instance_run(instance, &input, 1, &out, 1, &b.diags));
    assert_int_equal(out.tensor.dims[0], 3);
    input = vector_view(9, data);
    assert_int_equal(gml_instance_run(instance, &input, 1, &out, 1, &b.diags), GML_E_SHAPE);
    assert_says(&b, "input 0: dimension 0 is 9, which");
    input = vector_view(0, data);
    assert_int_equal(gml_instance_run(instance, &input, 1, &out, 1, &b.diags), GML_E_SHAPE);
    gml_instance_destroy(instance);
    gml_program_release(p);
    bench_reset(&b);
}

/* ---- Host steps ------------------------------------------------------------------------- */

/* The positive elements of a vector. */
static gml_status keep_positive(gml_host_call *call)
{
    const gml_tensor *x = &call->inputs[0].tensor;
    int64_t count = 0;
    for (int64_t i = 0; i < x->dims[0]; i++)
        count += gml_host_get_float(x, i) > 0;
    if (count == 5)
        return gml_host_fail(call, GML_E_RANGE, "%d is too many", 5);
    GML_TRY(gml_rvalue_alloc(&call->outputs[0], GML_F32, 1, &count));
    for (int64_t i = 0, j = 0; i < x->dims[0]; i++) {
        if (gml_host_get_float(x, i) > 0)
            gml_host_put(&call->outputs[0].tensor, j++, gml_host_get_float(x, i));
    }
    return GML_OK;
}

/* A sequence that shares its operand, twice. */
static gml_status pair_up(gml_host_call *call)
{
    GML_TRY(gml_rvalue_sequence(&call->outputs[0], 2));
    GML_TRY(gml_rvalue_copy(&call->outputs[0].items[0], &call->inputs[0]));
    return gml_rvalue_copy(&call->outputs[0].items[1], &call->inputs[0]);
}

/* k = the positive ones of x; y = 2 k; s = pair(2 y); t = 2 (2 y). */
static gml_program *create_hosted(void)
{
    gml_program *p = gml_program_create();
    gml_dim n = gml_dim_symbol(&p->dims, "n");
    gml_dim k = gml_dim_symbol(&p->dims, "kept");
    uint32_t x = add_vector(p, GML_SLOT_INPUT, n);
    set_inputs(p, GML_LIST(x));
    uint32_t copy = add_map(p, k_double, "k_double", 1, &x, n);
    uint32_t kept = add_vector(p, GML_SLOT_VALUE, k);
    gml_step *step = add_step(p, GML_STEP_HOST, "keep", 1, &copy, kept);
    step->host = keep_positive;
    uint32_t y = add_map(p, k_double, "k_double", 1, &kept, k);
    uint32_t z = add_map(p, k_double, "k_double", 1, &y, k);
    uint32_t s = add_slot(p, GML_SLOT_VALUE, GML_NONE, GML_NO_RANK, NULL);
    add_step(p, GML_STEP_HOST, "pair", 1, &copy, s)->host = pair_up;
    uint32_t t = add_map(p, k_double, "k_double", 1, &z, k);
    set_outputs(p, GML_LIST(t, s, kept));
    return p;
}

static void sizes_may_come_from_host_operators(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_program *p = create_hosted();
    gml_instance *instance = NULL;
    assert_ok(&b, gml_instance_create(p, NULL, &instance, &b.diags));
    float x[6] = {1, -1, 2, -2, 3, -3};
    for (int64_t n = 6; n >= 0; n--) {
        gml_rvalue input = vector_view(n, x);
        gml_rvalue outputs[3] = {0};
        assert_ok(&b, gml_instance_run(instance, &input, 1, outputs, 3, &b.diags));
        assert_int_equal(outputs[0].tensor.dims[0], (n + 1) / 2);
        assert_int_equal(outputs[1].n_items, 2);
        /* what a host operator made is the caller's, though the run goes on */
        gml_rvalue other = vector_view(1, x + 1);
        gml_rvalue more[3] = {0};
        assert_ok(&b, gml_instance_run(instance, &other, 1, more, 3, &b.diags));
        for (int64_t i = 0; i < (n + 1) / 2; i++)
            assert_true(((float *)outputs[0].tensor.data)[i] == 16 * x[2 * i]);
        for (int64_t i = 0; i < n; i++)
            assert_true(((float *)outputs[1].items[1].tensor.data)[i] == 2 * x[i]);
        for (int i = 0; i < 3; i++) {
            gml_rvalue_reset(&outputs[i]);
            gml_rvalue_reset(&more[i]);
        }
    }
    float many[5] = {1, 1, 1, 1, 1};
    gml_rvalue input = vector_view(5, many);
    gml_rvalue outputs[3] = {0};
    assert_int_equal(gml_instance_run(instance, &input, 1, outputs, 3, &b.diags), GML_E_RANGE);
    assert_says(&b, "keep (Test): 5 is too many");
    gml_instance_destroy(instance);
    gml_program_release(p);
    bench_reset(&b);
}

/* Runs on the first `n` of x and expects a message, or none. */
static void expect(bench *b, gml_instance *instance, int64_t n, const char *message)
{
    static float x[6] = {1, -1, 2, -2, 3, -3};
    gml_rvalue input = vector_view(n, x);
    gml_rvalue outputs[3] = {0};
    gml_status status = gml_instance_run(instance, &input, 1, outputs, 3, &b->diags);
    assert_int_equal(status, message != NULL ? GML_E_SHAPE : GML_OK);
    if (message != NULL)
        assert_says(b, message);
    for (int i = 0; i < 3; i++)
        gml_rvalue_reset(&outputs[i]);
}

static void sizes_are_compared_once_they_are_known(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_instance *instance = NULL;
    gml_program *p = create_hosted();
    gml_dim n = gml_dim_symbol(&p->dims, "n");
    gml_dim k = gml_dim_symbol(&p->dims, "kept");
    add_check(p, GML_AT_MOST, 2, n, 0);
    add_check(p, GML_BROADCAST, k, 2, 2);
    add_check(p, GML_MULTIPLE, n, k, GML_NO_STEP);
    add_check(p, GML_EQUAL, gml_dim_symbol(&p->dims, "nobody"), 1, GML_NO_STEP);
    assert_ok(&b, gml_instance_create(p, NULL, &instance, &b.diags));
    for (int round = 0; round < 2; round++) { /* a refusal leaves nothing behind */
        expect(&b, instance, 4, NULL);
        expect(&b, instance, 4, NULL);
        expect(&b, instance, 1, "node (Op): size n = 1 must be at least 2");
        expect(&b, instance, 1, "node (Op): size n = 1 must be at least 2");
        expect(&b, instance, 6, "node (Op): sizes kept = 3 and 2 must be equal");
        expect(&b, instance, 6, "node (Op): sizes kept = 3 and 2 must be equal");
        expect(&b, instance, 2,
               "a size of 1 is repeated only where it is known when compiling");
        expect(&b, instance, 3, "node (Op): size n = 3 must be a multiple of kept = 2");
    }
    gml_instance_destroy(instance);
    gml_program_release(p);
    p = create_hosted();
    add_check(p, GML_EQUAL, gml_dim_symbol(&p->dims, "nobody"), 1, 5);
    assert_ok(&b, gml_instance_create(p, NULL, &instance, &b.diags));
    expect(&b, instance, 4, "node (Op): size nobody has no value: one overflows, or nothing");
    gml_instance_destroy(instance);
    gml_program_release(p);
    bench_reset(&b);
}

/* ---- Regions ---------------------------------------------------------------------------- */

static void k_and(void *const *mems, const int64_t *dims, int64_t begin, int64_t end,
                  void *scratch)
{
    (void)dims;
    (void)begin;
    (void)end;
    (void)scratch;
    *(uint8_t *)mems[1] = *(const uint8_t *)mems[0];
}

/* (i, go, v) and the captured w and n: (go, v + w, v + w), of n elements. `n` is not in any
 * operand's shape, but in the program around. */
static gml_program *create_body(void)
{
    gml_program *p = gml_program_create();
    gml_dim n = gml_dim_symbol(&p->dims, "n");
    uint32_t i = add_slot(p, GML_SLOT_INPUT, GML_I64, 0, NULL);
    uint32_t go = add_slot(p, GML_SLOT_INPUT, GML_BOOL, 0, NULL);
    uint32_t v = add_slot(p, GML_SLOT_INPUT, GML_F32, GML_NO_RANK, NULL);
    uint32_t w = add_slot(p, GML_SLOT_INPUT, GML_F32, GML_NO_RANK, NULL);
    set_inputs(p, GML_LIST(i, go, v, w));
    uint32_t goes = add_slot(p, GML_SLOT_ARENA, GML_BOOL, 0, NULL);
    add_phase(p, add_step(p, GML_STEP_KERNEL, "and", 1, &go, goes), k_and, "k_and", 1);
    uint32_t sum = add_map(p, k_add, "k_add", 2, (uint32_t[]){v, w}, n);
    uint32_t twice = add_map(p, k_double, "k_double", 1, &sum, n);
    set_outputs(p, GML_LIST(goes, sum, twice));
    return p;
}

/* w = 2 x; Loop(m, true, w) over the body, which captures w: the last v, and 2 v of each
 * iteration. */
static gml_program *create_loop(void)
{
    static const uint8_t yes = 1;
    gml_program *p = gml_program_create();
    gml_dim n = gml_dim_symbol(&p->dims, "n");
    gml_dim trips = gml_dim_symbol(&p->dims, "trips");
    uint32_t m = add_slot(p, GML_SLOT_INPUT, GML_I64, 0, NULL);
    uint32_t x = add_vector(p, GML_SLOT_INPUT, n);
    uint32_t go = add_slot(p, GML_SLOT_CONSTANT, GML_BOOL, 0, NULL);
    p->slots.items[go].data = &yes;
    set_inputs(p, GML_LIST(m, x));
    uint32_t w = add_map(p, k_double, "k_double", 1, &x, n);
    uint32_t outs[2] = {add_vector(p, GML_SLOT_VALUE, n)};
    outs[1] = add_slot(p, GML_SLOT_VALUE, GML_F32, 2, (gml_dim[]){trips, n});
    uint32_t ins[] = {m, go, w};
    gml_step *step = add_step(p, GML_STEP_HOST, "loop", 3, ins, outs[0]);
    step->outputs = numbers_of(p, 2, outs);
    step->n_outputs = 2;
    step->host = gml_host_loop;
    step->host_name = "loop";
    gml_attr body = {.name = "body", .kind = GML_ATTR_GRAPH, .count = 0};
    step->attrs = gml_arena_copy(&p->arena, &body, sizeof body);
    step->n_attrs = 1;
    step->output_dtypes = gml_arena_copy(&p->arena, (gml_dtype[]){GML_F32, GML_F32}, 8);
    gml_region region = {.program = create_body(), .n_params = 3, .n_captures = 1};
    region.captures = numbers_of(p, 1, &w);
    step->regions = gml_arena_copy(&p->arena, &region, sizeof region);
    step->n_regions = 1;
    set_outputs(p, GML_LIST(outs[0], outs[1]));
    return p;
}

static gml_status run_loop(bench *b, gml_instance *instance, int64_t trips, int64_t n,
                           gml_rvalue *outputs)
{
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    gml_rvalue inputs[] = {tensor_view(GML_I64, 0, NULL, &trips), vector_view(n, x)};
    return gml_instance_run(instance, inputs, 2, outputs, 2, &b->diags);
}

static void a_region_is_a_program_of_its_own(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_program *p = create_loop();
    gml_pool *pool = gml_pool_create(2, NULL);
    gml_instance *instance = NULL;
    assert_ok(&b, gml_instance_create(p, pool, &instance, &b.diags));
    for (int64_t trips = 0; trips < 4; trips++) {
        for (int64_t n = 8; n > 0; n -= 3) {
            gml_rvalue outputs[2] = {0};
            assert_ok(&b, run_loop(&b, instance, trips, n, outputs));
            const float *v = outputs[0].tensor.data;
            const float *all = outputs[1].tensor.data;
            assert_int_equal(outputs[0].tensor.dims[0], n);
            assert_int_equal(outputs[1].tensor.dims[0], trips);
            for (int64_t i = 0; i < n; i++)
                assert_true(v[i] == (float)((trips + 1) * 2 * (i + 1)));
            for (int64_t i = 0; i < trips * n; i++)
                assert_true(all[i] == (float)(2 * (i / n + 2) * 2 * (i % n + 1)));
            gml_rvalue_reset(&outputs[0]);
            gml_rvalue_reset(&outputs[1]);
        }
    }
    gml_instance_destroy(instance);
    gml_pool_destroy(pool);
    gml_program_release(p);
    bench_reset(&b);
}

/* ---- Watching, failing ------------------------------------------------------------------ */

typedef struct seen {
    int steps, values;
    int stop_at;
} seen;

static void see_step(void *context, const gml_program *program, uint32_t step, uint64_t ns)
{
    (void)program;
    (void)step;
    (void)ns;
    ((seen *)context)->steps++;
}

static gml_status see_value(void *context, const gml_program *program, uint32_t step,
                            uint32_t slot, const gml_rvalue *value)
{
    seen *s = context;
    (void)step;
    assert_true(slot < program->slots.count);
    assert_true(value->kind != GML_RVALUE_NONE);
    return ++s->values == s->stop_at ? GML_E_MISMATCH : GML_OK;
}

static void watches_see_every_step(void **state)
{
    (void)state;
    bench b;
    bench_init(&b);
    gml_program *p = create_loop();
    gml_instance *instance = NULL;
    seen s = {0};
    gml_rvalue outputs[2] = {0};
    assert_ok(&b, gml_instance_create(p, NULL, &instance, &b.diags));
    gml_instance_watch(instance, see_step, see_value, &s);
    assert_ok(&b, run_loop(&b, instance, 2, 4, outputs));
    assert_int_equal(s.steps, 2 + 2 * 3);
    assert_int_equal(s.values, 3 + 2 * 3);
    s = (seen){.stop_at = 5};
    assert_int_equal(run_loop(&b, instance, 2, 4, outputs), GML_E_MISMATCH);
    assert_int_equal(s.values, 5);
    assert_says(&b, "in region 0 of loop");
    for (int i = 0; i < 2; i++)
        gml_rvalue_reset(&outputs[i]);
    gml_instance_destroy(instance);
    gml_program_release(p);
    bench_reset(&b);
}

/* Everything that can run out of memory does, once. */
static bool survives(gml_program *p, unsigned n, bool is_loop)
{
    bench b;
    bench_init(&b);
    gml_instance *instance = NULL;
    gml_rvalue outputs[3] = {0};
    float x[4] = {1, 2, -1, 3};
    gml_rvalue input = vector_view(4, x);
    gml_buffer_fail_at(n);
    gml_status status = gml_instance_create(p, NULL, &instance, &b.diags);
    for (int run = 0; run < 2 && status == GML_OK; run++)
        status = is_loop ? run_loop(&b, instance, 2, 4 + run, outputs)
                         : gml_instance_run(instance, &input, 1, outputs, 3, &b.diags);
    gml_buffer_fail_at(0);
    assert_true(status == GML_OK || status == GML_E_MEMORY);
    assert_true(status == GML_OK || b.diags.list.count != 0);
    if (status != GML_OK && instance != NULL) { /* and it can go on */
        status = is_loop ? run_loop(&b, instance, 2, 4, outputs)
                         : gml_instance_run(instance, &input, 1, outputs, 3, &b.diags);
        assert_ok(&b, status);
        status = GML_E_MEMORY;
    }
    for (int i = 0; i < 3; i++)
        gml_rvalue_reset(&outputs[i]);
    gml_instance_destroy(instance);
    bench_reset(&b);
    return status == GML_OK;
}

static void failing_at_any_allocation_is_reported(void **state)
{
    (void)state;
    for (int is_loop = 0; is_loop < 2; is_loop++) {
        gml_program *p = is_loop != 0 ? create_loop() : create_hosted();
        unsigned n = 1;
        while (!survives(p, n, is_loop != 0))
            n++;
        assert_true(n > 10);
        gml_program_release(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_static_run_allocates_nothing),
        cmocka_unit_test(outputs_are_written_in_place),
        cmocka_unit_test(outputs_may_be_inputs_and_constants),
        cmocka_unit_test(wrong_inputs_are_named),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(instances_run_side_by_side),
        cmocka_unit_test(expressions_are_solved_for_their_symbol),
        cmocka_unit_test(sizes_may_come_from_host_operators),
        cmocka_unit_test(sizes_are_compared_once_they_are_known),
        cmocka_unit_test(a_region_is_a_program_of_its_own),
        cmocka_unit_test(watches_see_every_step),
        cmocka_unit_test(failing_at_any_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
