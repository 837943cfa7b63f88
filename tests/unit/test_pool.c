/* tests/unit/test_pool.c - gml_pool of runtime/program.h. */
#define _POSIX_C_SOURCE 200809L
#include "program_util.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* mems[0]: one counter a unit; mems[1]: one flag for a scratch that two threads used at once.
 */
static void count_units(void *const *mems, const int64_t *dims, int64_t begin, int64_t end,
                        void *scratch)
{
    unsigned char *hits = mems[0];
    atomic_int *clashes = mems[1];
    atomic_int *user = scratch;
    (void)dims;
    if (atomic_fetch_add(user, 1) != 0)
        atomic_fetch_add(clashes, 1);
    for (int64_t i = begin; i < end; i++)
        hits[i]++;
    atomic_fetch_sub(user, 1);
}

static void every_unit_runs_once(void **state)
{
    (void)state;
    static const int64_t extents[] = {0, 1, 2, 3, 4, 5, 7, 64, 1000, 1001};
    unsigned char hits[1001];
    for (int n = 1; n <= 5; n++) {
        gml_pool *pool = gml_pool_create(n, NULL);
        assert_non_null(pool);
        assert_int_equal(gml_pool_threads(pool), n);
        for (size_t e = 0; e < sizeof extents / sizeof *extents; e++) {
            atomic_int clashes = 0;
            char scratch[5 * 64] = {0};
            void *mems[] = {hits, &clashes};
            memset(hits, 0, sizeof hits);
            gml_pool_run(pool, count_units, &(gml_job){mems, NULL, extents[e]}, 1, scratch, 64);
            for (int64_t i = 0; i < 1001; i++)
                assert_int_equal(hits[i], i < extents[e]);
            assert_int_equal(clashes, 0);
        }
        gml_pool_destroy(pool);
    }
}

/* Jobs of no, few and many units: each is run over all of its units, with what is its own. */
static void jobs_share_one_run(void **state)
{
    (void)state;
    enum { N_JOBS = 6 };
    static const int64_t extents[N_JOBS] = {3, 0, 1, 40, 0, 7};
    unsigned char hits[N_JOBS][64];
    for (int n = 1; n <= 5; n++) {
        gml_pool *pool = gml_pool_create(n, NULL);
        atomic_int clashes = 0;
        char scratch[5 * 64] = {0};
        void *mems[N_JOBS][2];
        gml_job jobs[N_JOBS];
        memset(hits, 0, sizeof hits);
        for (int i = 0; i < N_JOBS; i++) {
            mems[i][0] = hits[i];
            mems[i][1] = &clashes;
            jobs[i] = (gml_job){mems[i], NULL, extents[i]};
        }
        gml_pool_run(pool, count_units, jobs, N_JOBS, scratch, 64);
        for (int i = 0; i < N_JOBS; i++)
            for (int64_t u = 0; u < 64; u++)
                assert_int_equal(hits[i][u], u < extents[i]);
        assert_int_equal(clashes, 0);
        gml_pool_destroy(pool);
    }
}

static void many_short_phases_follow_each_other(void **state)
{
    (void)state;
    gml_pool *pool = gml_pool_create(3, NULL);
    unsigned char hits[3] = {0};
    atomic_int clashes = 0;
    char scratch[3 * 64] = {0};
    void *mems[] = {hits, &clashes};
    for (int i = 0; i < 3000; i++) {
        gml_pool_run(pool, count_units, &(gml_job){mems, NULL, 3}, 1, scratch, 64);
        if (i % 500 == 0) { /* long enough that the workers sleep */
            struct timespec pause = {0, 2000000};
            nanosleep(&pause, NULL);
        }
    }
    assert_int_equal(hits[0], 3000 % 256);
    assert_int_equal(hits[2], 3000 % 256);
    gml_pool_destroy(pool);
    gml_pool_destroy(NULL);
}

static atomic_int n_inits;
static _Thread_local int inits_here;

static void init_hook(void)
{
    atomic_fetch_add(&n_inits, 1);
    inits_here++;
}

static void check_init(void *const *mems, const int64_t *dims, int64_t begin, int64_t end,
                       void *scratch)
{
    atomic_int *bad = mems[0];
    (void)dims;
    (void)begin;
    (void)end;
    (void)scratch;
    if (inits_here != 1)
        atomic_fetch_add(bad, 1);
}

static void the_hook_runs_once_on_every_thread(void **state)
{
    (void)state;
    atomic_int bad = 0;
    void *mems[] = {&bad};
    char scratch[4 * 64];
    gml_pool *pool = gml_pool_create(4, init_hook);
    for (int i = 0; i < 10; i++)
        gml_pool_run(pool, check_init, &(gml_job){mems, NULL, 4}, 1, scratch, 64);
    gml_pool_destroy(pool);
    assert_int_equal(bad, 0);
    assert_int_equal(n_inits, 4);
}

typedef struct caller {
    gml_pool *pool;
    int64_t sum;
} caller;

static void add_range(void *const *mems, const int64_t *dims, int64_t begin, int64_t end,
                      void *scratch)
{
    int64_t *parts = mems[0];
    (void)dims;
    (void)scratch;
    for (int64_t i = begin; i < end; i++)
        parts[i] = i;
}

static void *call_often(void *argument)
{
    caller *c = argument;
    int64_t parts[100];
    void *mems[] = {parts};
    char scratch[2 * 64];
    for (int i = 0; i < 300; i++) {
        gml_pool_run(c->pool, add_range, &(gml_job){mems, NULL, 100}, 1, scratch, 64);
        for (int k = 0; k < 100; k++)
            c->sum += parts[k];
    }
    return NULL;
}

static void two_callers_share_a_pool(void **state)
{
    (void)state;
    caller callers[2] = {{gml_pool_create(2, NULL), 0}};
    callers[1].pool = callers[0].pool;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, call_often, &callers[1]), 0);
    (void)call_often(&callers[0]);
    pthread_join(thread, NULL);
    assert_int_equal(callers[0].sum, 300 * 4950);
    assert_int_equal(callers[1].sum, 300 * 4950);
    gml_pool_destroy(callers[0].pool);
}

static void what_cannot_be_had_is_null(void **state)
{
    (void)state;
    assert_null(gml_pool_create(0, NULL));
    assert_null(gml_pool_create(-3, NULL));
    assert_null(gml_pool_create(257, NULL));
    gml_buffer_fail_at(1);
    assert_null(gml_pool_create(2, NULL));
    gml_buffer_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_unit_runs_once),
        cmocka_unit_test(jobs_share_one_run),
        cmocka_unit_test(many_short_phases_follow_each_other),
        cmocka_unit_test(the_hook_runs_once_on_every_thread),
        cmocka_unit_test(two_callers_share_a_pool),
        cmocka_unit_test(what_cannot_be_had_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
