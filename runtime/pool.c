/* runtime/pool.c - threads that share the units of a phase.
 *
 * Every worker has a ticket on a cache line of its own: the caller raises it to start the
 * worker, and only the workers that get a part are started, so that an idle one never looks at
 * a job. A worker that waits spins for GML_SPIN_NS, then sleeps; so does the caller while
 * others finish.
 *
 * Going to sleep and waking up meet as in Dekker's algorithm: the sleeper first says that it
 * sleeps, then looks at the number once more; the waker first changes the number, then looks
 * for sleepers. Both orders are sequentially consistent, so one of them sees the other.
 */
#define _POSIX_C_SOURCE 200809L

#include "runtime/program.h"

#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define GML_MAX_THREADS 256
#define GML_SPIN_NS     50000
#define GML_LINE        64

/* A number that one side changes and the other waits for. */
typedef struct gate {
    atomic_uint number;
    atomic_bool sleeps;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
} gate;

typedef struct worker {
    alignas(GML_LINE) gate ticket; /* raised once for every job */
    gml_pool *pool;
    int index; /* 1 to n_threads - 1; the caller is 0 */
    pthread_t thread;
} worker;

/* What all threads do together. */
typedef struct task {
    gml_phase_fn run;
    const gml_job *jobs;
    uint32_t n_jobs;
    int64_t extent; /* of all jobs */
    char *scratch;
    size_t scratch_size;
    int n_shares;
} task;

struct gml_pool {
    alignas(GML_LINE) gate pending; /* workers at work on `task` */
    alignas(GML_LINE) atomic_bool busy;
    task task;
    int n_threads;
    atomic_bool stop;
    void (*thread_init)(void);
    gml_buffer *memory; /* of the pool and its workers */
    worker *workers;    /* n_threads of them; 0 is unused */
};

/* The initialisation that this thread ran last. */
static _Thread_local void (*thread_initialised)(void);

static void init_thread(const gml_pool *pool)
{
    if (pool->thread_init == NULL || thread_initialised == pool->thread_init)
        return;
    thread_initialised = pool->thread_init;
    pool->thread_init();
}

/* ---- Gates ------------------------------------------------------------------------------ */

static bool init_gate(gate *g)
{
    atomic_init(&g->number, 0);
    atomic_init(&g->sleeps, false);
    if (pthread_mutex_init(&g->mutex, NULL) != 0)
        return false;
    if (pthread_cond_init(&g->cond, NULL) == 0)
        return true;
    pthread_mutex_destroy(&g->mutex);
    return false;
}

static void reset_gate(gate *g)
{
    pthread_cond_destroy(&g->cond);
    pthread_mutex_destroy(&g->mutex);
}

static void wake(gate *g)
{
    if (!atomic_load(&g->sleeps))
        return;
    pthread_mutex_lock(&g->mutex);
    pthread_cond_signal(&g->cond);
    pthread_mutex_unlock(&g->mutex);
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A ticket opens when it is no longer `value`; the count of pending workers, when it is. */
static bool is_open(gate *g, unsigned value, bool until_equal)
{
    return (atomic_load(&g->number) == value) == until_equal;
}

static void wait_at(gate *g, unsigned value, bool until_equal)
{
    for (int64_t end = 0;;) {
        for (int i = 0; i < 64; i++) {
            if (is_open(g, value, until_equal))
                return;
            relax();
        }
        int64_t now = now_ns();
        if (end == 0)
            end = now + GML_SPIN_NS;
        else if (now >= end)
            break;
    }
    pthread_mutex_lock(&g->mutex);
    atomic_store(&g->sleeps, true);
    while (!is_open(g, value, until_equal))
        pthread_cond_wait(&g->cond, &g->mutex);
    atomic_store(&g->sleeps, false);
    pthread_mutex_unlock(&g->mutex);
}

/* ---- Work ------------------------------------------------------------------------------- */

/* Share `index`: the first `extent % n_shares` shares have one unit more. */
static void run_share(const task *t, int index)
{
    int64_t share = t->extent / t->n_shares;
    int64_t longer = t->extent % t->n_shares;
    int64_t begin = share * index + (index < longer ? index : longer);
    int64_t end = begin + share + (index < longer);
    char *scratch = t->scratch + t->scratch_size * (size_t)index;
    for (uint32_t i = 0; i < t->n_jobs && end > 0; i++) {
        const gml_job *job = &t->jobs[i];
        if (begin < job->extent)
            t->run(job->mems, job->dims, begin > 0 ? begin : 0,
                   end < job->extent ? end : job->extent, scratch);
        begin -= job->extent;
        end -= job->extent;
    }
}

static void *work(void *argument)
{
    worker *self = argument;
    gml_pool *pool = self->pool;
    init_thread(pool);
    for (unsigned seen = 0;; seen++) {
        wait_at(&self->ticket, seen, false);
        if (atomic_load(&pool->stop))
            return NULL;
        run_share(&pool->task, self->index);
        if (atomic_fetch_sub(&pool->pending.number, 1) == 1)
            wake(&pool->pending);
    }
}

static void start(worker *w)
{
    atomic_fetch_add(&w->ticket.number, 1);
    wake(&w->ticket);
}

void gml_pool_run(gml_pool *pool, gml_phase_fn run, const gml_job *jobs, uint32_t n_jobs,
                  char *scratch, size_t scratch_size)
{
    task t = {.run = run, .jobs = jobs, .n_jobs = n_jobs, .n_shares = 1};
    t.scratch = scratch;
    t.scratch_size = scratch_size;
    for (uint32_t i = 0; i < n_jobs; i++)
        t.extent += jobs[i].extent;
    if (t.extent <= 0)
        return;
    init_thread(pool);
    int n_shares = t.extent < pool->n_threads ? (int)t.extent : pool->n_threads;
    bool idle = false;
    if (n_shares == 1 || !atomic_compare_exchange_strong(&pool->busy, &idle, true)) {
        run_share(&t, 0);
        return;
    }
    t.n_shares = n_shares;
    pool->task = t;
    atomic_store(&pool->pending.number, (unsigned)n_shares - 1);
    for (int i = 1; i < n_shares; i++)
        start(&pool->workers[i]);
    run_share(&pool->task, 0);
    wait_at(&pool->pending, 0, true);
    atomic_store(&pool->busy, false);
}

/* ---- Life ------------------------------------------------------------------------------- */

/* Signals go to the program's own threads: the workers take none. */
static bool start_thread(worker *w)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    if (!init_gate(&w->ticket))
        return false;
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        reset_gate(&w->ticket);
    return error == 0;
}

gml_pool *gml_pool_create(int n_threads, void (*thread_init)(void))
{
    if (n_threads < 1 || n_threads > GML_MAX_THREADS)
        return NULL;
    size_t size = sizeof(gml_pool) + (size_t)n_threads * sizeof(worker);
    gml_buffer *memory = gml_buffer_create(size, true);
    if (memory == NULL)
        return NULL;
    gml_pool *pool = gml_buffer_data(memory);
    pool->memory = memory;
    pool->workers = (worker *)(pool + 1);
    pool->thread_init = thread_init;
    pool->n_threads = 1;
    if (!init_gate(&pool->pending)) {
        gml_buffer_release(memory);
        return NULL;
    }
    for (int i = 1; i < n_threads; i++) {
        pool->workers[i].pool = pool;
        pool->workers[i].index = i;
        if (!start_thread(&pool->workers[i])) {
            gml_pool_destroy(pool);
            return NULL;
        }
        pool->n_threads = i + 1;
    }
    return pool;
}

void gml_pool_destroy(gml_pool *pool)
{
    if (pool == NULL)
        return;
    atomic_store(&pool->stop, true);
    for (int i = 1; i < pool->n_threads; i++)
        start(&pool->workers[i]);
    for (int i = 1; i < pool->n_threads; i++) {
        pthread_join(pool->workers[i].thread, NULL);
        reset_gate(&pool->workers[i].ticket);
    }
    reset_gate(&pool->pending);
    gml_buffer_release(pool->memory);
}

int gml_pool_threads(const gml_pool *pool)
{
    return pool->n_threads;
}
