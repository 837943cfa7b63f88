/* runtime/emu.c - the emulator's launches: threads of a block take turns.
 *
 * A thread runs until it waits: at the block's barrier, for an mbarrier, or in a collective for
 * the other lanes of its warp, or its warpgroup. It then switches to the next thread that may
 * run, by the order of places, its own warp first. Whoever completes a barrier or collective
 * makes the others ready. When none is ready and not all have ended, those that wait wait for
 * ever.
 *
 * Threads that never wait need no fiber of their own: one that ends is followed by the next on
 * the same stack. */
#include "base/diag.h"
#include "runtime/emu_calls.h"
#include "runtime/emu_state.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

gml_emu_launch_state gml_emu;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool options_set; /* or asked of the environment */
static gml_fiber launcher;
static gml_fiber fibers[GML_EMU_THREADS];
static gml_fiber *idle[GML_EMU_THREADS]; /* fibers without a thread */
static unsigned n_fibers, n_idle;

void gml_emu_lock(void)
{
    pthread_mutex_lock(&lock);
}

void gml_emu_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* ---- failure ------------------------------------------------------------------------------
 */

static gml_fiber *fiber_now(void)
{
    return gml_emu.all[gml_emu.current].fiber;
}

void gml_emu_stop(uint32_t thread, const char *format, ...)
{
    va_list args;
    int n = snprintf(gml_emu.failure, sizeof gml_emu.failure,
                     "kernel %s, block %u, thread %u: ", gml_emu.kernel, gml_emu.block, thread);
    if (n < 0 || (size_t)n >= sizeof gml_emu.failure)
        n = 0;
    va_start(args, format);
    vsnprintf(gml_emu.failure + n, sizeof gml_emu.failure - (size_t)n, format, args);
    va_end(args);
    gml_emu.failed = true;
    gml_fiber_switch(fiber_now(), &launcher);
    GML_BUG("a thread of an ended launch runs");
}

static const char *place_name(gml_emu_wait wait)
{
    switch (wait) {
    case GML_EMU_RUNS: return "runs";
    case GML_EMU_AT_BARRIER:
    case GML_EMU_AT_MBARRIER: return "waits at";
    case GML_EMU_IN_WGMMA: return "waits for its warpgroup in";
    case GML_EMU_IN_SHUFFLE:
    case GML_EMU_IN_MMA_BF16:
    case GML_EMU_IN_MMA_TF32:
    case GML_EMU_IN_LOAD_MATRIX:
    case GML_EMU_IN_LOAD_MATRIX_TRANSPOSED: return "waits for its warp in";
    case GML_EMU_ENDED: return "has ended";
    }
    return "";
}

_Noreturn void gml_emu_stop_waiting(uint32_t waits, uint32_t other)
{
    const gml_emu_thread_state *a = &gml_emu.all[waits];
    const gml_emu_thread_state *b = &gml_emu.all[other];
    bool ended = b->wait == GML_EMU_ENDED;
    gml_emu_stop(waits, "%s %s, but thread %u %s%s%s", place_name(a->wait), a->site, other,
                 place_name(b->wait), ended ? "" : " ", ended ? "" : b->site);
}

/* Nothing of the warp is ready, and some of its lanes are in a collective. */
static _Noreturn void stop_warp(uint32_t warp)
{
    uint32_t waits = gml_emu.warps[warp].first;
    for (uint32_t t = warp * 32; t < warp * 32 + 32; t++)
        if (gml_emu.all[t].wait != gml_emu.all[waits].wait)
            gml_emu_stop_waiting(waits, t);
    GML_BUG("a collective is complete, and waits");
}

/* A thread of the block that waits so, or `threads`. */
static uint32_t find_waiting(gml_emu_wait wait)
{
    uint32_t t = 0;
    while (t < gml_emu.threads && gml_emu.all[t].wait != wait)
        t++;
    return t;
}

/* Nothing of the block is ready, and not all have ended. */
static _Noreturn void stop_block(void)
{
    uint32_t waits = find_waiting(GML_EMU_AT_MBARRIER);
    if (waits < gml_emu.threads)
        gml_emu_stop_mbarrier(waits);
    waits = find_waiting(GML_EMU_IN_WGMMA);
    for (uint32_t t = waits & ~127U; waits < gml_emu.threads && t < (waits | 127U); t++)
        if (gml_emu.all[t].wait != GML_EMU_IN_WGMMA)
            gml_emu_stop_waiting(waits, t);
    for (uint32_t t = 0; t < gml_emu.threads; t++)
        if (gml_emu.all[t].wait != GML_EMU_AT_BARRIER)
            gml_emu_stop_waiting(gml_emu.first_at_barrier, t);
    GML_BUG("a barrier is complete, and waits");
}

/* ---- turns --------------------------------------------------------------------------------
 */

/* The first bit of `set` after `place`, round to the lowest. */
static unsigned next_place(uint32_t set, unsigned place)
{
    uint32_t later = place == 31 ? 0 : set & (UINT32_MAX << (place + 1));
    return (unsigned)__builtin_ctz(later ? later : set);
}

/* Some lane waits for what other warps, or copies, do. */
static bool is_at_mbarrier(uint32_t warp)
{
    for (uint32_t t = warp * 32; t < warp * 32 + 32; t++)
        if (gml_emu.all[t].wait == GML_EMU_AT_MBARRIER)
            return true;
    return false;
}

/* The thread whose turn it is after the current one's; false: none is ready. */
static bool find_next(uint32_t *out_thread)
{
    uint32_t warp = gml_emu.current / 32;
    unsigned place = gml_emu.place_of_lane[gml_emu.current % 32];
    if (!gml_emu.warps[warp].ready) {
        unsigned at = gml_emu.place_of_warp[warp];
        if (gml_emu.warps[warp].n_here > 0 && !is_at_mbarrier(warp))
            stop_warp(warp);
        gml_emu.ready_warps &= ~(UINT32_C(1) << at);
        if (!gml_emu.ready_warps)
            return false;
        warp = gml_emu.warp_at[next_place(gml_emu.ready_warps, at)];
        place = 31; /* from its first */
    }
    *out_thread = warp * 32 + gml_emu.lane_at[next_place(gml_emu.warps[warp].ready, place)];
    return true;
}

static void switch_to(uint32_t thread)
{
    gml_fiber *from = fiber_now();
    gml_emu_thread_state *next = &gml_emu.all[thread];
    if (!next->fiber)
        next->fiber = idle[--n_idle];
    gml_emu.current = thread;
    gml_fiber_switch(from, next->fiber);
}

/* The current thread is no longer ready; returns when it is again. */
static void wait_for_turn(void)
{
    uint32_t next = 0;
    if (!find_next(&next))
        stop_block();
    switch_to(next);
}

static void set_unready(void)
{
    gml_emu.warps[gml_emu.current / 32].ready &=
        ~(UINT32_C(1) << gml_emu.place_of_lane[gml_emu.current % 32]);
}

void gml_emu_wait_for(gml_emu_wait what, const char *site)
{
    gml_emu_thread_state *me = &gml_emu.all[gml_emu.current];
    me->wait = what;
    me->site = site;
    set_unready();
    wait_for_turn();
}

void gml_emu_make_ready(uint32_t thread)
{
    uint32_t warp = thread / 32;
    gml_emu.all[thread].wait = GML_EMU_RUNS;
    gml_emu.warps[warp].ready |= UINT32_C(1) << gml_emu.place_of_lane[thread % 32];
    gml_emu.ready_warps |= UINT32_C(1) << gml_emu.place_of_warp[warp];
}

/* A fiber's life: it runs one thread after the other. */
static void live(void)
{
    gml_fiber_started();
    for (;;) {
        gml_emu_thread_state *me = &gml_emu.all[gml_emu.current];
        gml_fiber *fiber = me->fiber;
        uint32_t next = 0;
        gml_emu.lane(gml_emu.params);
        me->wait = GML_EMU_ENDED;
        gml_emu.n_ended++;
        set_unready();
        bool more = find_next(&next);
        if (more && !gml_emu.all[next].fiber) {
            me->fiber = NULL;
            gml_emu.all[next].fiber = fiber;
            gml_emu.current = next;
            continue;
        }
        if (!more && gml_emu.n_ended < gml_emu.threads)
            stop_block();
        me->fiber = NULL;
        idle[n_idle++] = fiber;
        if (more) {
            gml_emu.current = next;
            gml_fiber_switch(fiber, gml_emu.all[next].fiber);
        } else {
            gml_fiber_switch(fiber, &launcher);
        }
    }
}

/* ---- where threads meet -------------------------------------------------------------------
 */

static void set_all_ready(void)
{
    for (uint32_t w = 0; w < gml_emu.n_warps; w++)
        gml_emu.warps[w].ready = UINT32_MAX;
    gml_emu.ready_warps = gml_emu.all_warps;
}

void gml_emu_barrier(const char *site)
{
    gml_emu_thread_state *me = &gml_emu.all[gml_emu.current];
    if (gml_emu.n_at_barrier == 0)
        gml_emu.first_at_barrier = gml_emu.current;
    me->wait = GML_EMU_AT_BARRIER;
    me->site = site;
    if (gml_emu.all[gml_emu.first_at_barrier].site != site)
        gml_emu_stop_waiting(gml_emu.first_at_barrier, gml_emu.current);
    if (++gml_emu.n_at_barrier < gml_emu.threads) {
        set_unready();
        wait_for_turn();
        return;
    }
    gml_emu.n_at_barrier = 0;
    gml_emu_next_epoch();
    if (gml_emu.is_hopper)
        gml_emu_hopper_meet();
    gml_emu_next_stamp();
    for (uint32_t t = 0; t < gml_emu.threads; t++)
        gml_emu.all[t].wait = GML_EMU_RUNS;
    set_all_ready();
    uint32_t first = gml_emu.warp_at[0] * 32U + gml_emu.lane_at[0];
    if (first != gml_emu.current)
        switch_to(first);
}

bool gml_emu_gather(gml_emu_wait what, void *operand, const char *site)
{
    gml_emu_thread_state *me = &gml_emu.all[gml_emu.current];
    gml_emu_warp *warp = &gml_emu.warps[gml_emu.current / 32];
    if (warp->n_here == 0)
        warp->first = gml_emu.current;
    me->wait = what;
    me->site = site;
    const gml_emu_thread_state *first = &gml_emu.all[warp->first];
    if (first->wait != what || first->site != site)
        gml_emu_stop_waiting(warp->first, gml_emu.current);
    warp->operand[gml_emu.current % 32] = operand;
    if (++warp->n_here < 32) {
        set_unready();
        wait_for_turn();
        return false;
    }
    warp->n_here = 0;
    warp->ready = UINT32_MAX;
    for (uint32_t lane = 0; lane < 32; lane++)
        gml_emu.all[gml_emu.current / 32 * 32 + lane].wait = GML_EMU_RUNS;
    return true;
}

/* ---- a block ------------------------------------------------------------------------------
 */

static gml_loc here(void)
{
    return (gml_loc){.op = "emulator"};
}

static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void order_places(uint8_t *at, uint8_t *place_of, unsigned n, uint64_t *seed)
{
    for (unsigned i = 0; i < n; i++)
        at[i] = (uint8_t)(gml_emu.options.order == GML_EMU_REVERSE ? n - 1 - i : i);
    for (unsigned i = n; gml_emu.options.order == GML_EMU_MIXED && i > 1; i--) {
        unsigned other = (unsigned)(draw(seed) % i);
        uint8_t kept = at[other];
        at[other] = at[i - 1];
        at[i - 1] = kept;
    }
    for (unsigned i = 0; i < n; i++)
        place_of[at[i]] = (uint8_t)i;
}

static void run_block(uint32_t block)
{
    uint64_t seed = gml_emu.options.seed * UINT64_C(0x2545f4914f6cdd1d) + block;
    gml_emu.block = block;
    gml_emu.n_at_barrier = gml_emu.n_ended = 0;
    gml_emu_next_epoch();
    gml_emu_begin_block();
    gml_emu_drop_copies();
    gml_emu_hopper_reset();
    if (block == 0 || gml_emu.options.order == GML_EMU_MIXED) {
        order_places(gml_emu.warp_at, gml_emu.place_of_warp, gml_emu.n_warps, &seed);
        order_places(gml_emu.lane_at, gml_emu.place_of_lane, 32, &seed);
    }
    for (uint32_t w = 0; w < gml_emu.n_warps; w++)
        gml_emu.warps[w].n_here = 0;
    for (uint32_t t = 0; t < gml_emu.threads; t++)
        gml_emu.all[t] = (gml_emu_thread_state){0};
    set_all_ready();
    memset(gml_emu.shared, GML_EMU_POISON, gml_emu.n_shared);
    gml_emu.current = gml_emu.warp_at[0] * 32U + gml_emu.lane_at[0];
    gml_emu.all[gml_emu.current].fiber = idle[--n_idle];
    gml_fiber_switch(&launcher, gml_emu.all[gml_emu.current].fiber);
}

static void reset_fibers(void)
{
    n_idle = 0;
    for (unsigned i = n_fibers; i > 0; i--) {
        gml_fiber_reset(&fibers[i - 1], i - 1, live);
        idle[n_idle++] = &fibers[i - 1];
    }
}

/* ---- options ------------------------------------------------------------------------------
 */

void gml_emu_set_options(const gml_emu_options *options)
{
    gml_emu_lock();
    gml_emu.options = *options;
    options_set = true;
    gml_emu_unlock();
}

static bool read_option(const char *word, size_t len, gml_emu_options *options)
{
    if (len == 7 && memcmp(word, "forward", len) == 0)
        options->order = GML_EMU_FORWARD;
    else if (len == 7 && memcmp(word, "reverse", len) == 0)
        options->order = GML_EMU_REVERSE;
    else if (len >= 5 && memcmp(word, "mixed", 5) == 0 && (len == 5 || word[5] == ':')) {
        options->order = GML_EMU_MIXED;
        options->seed = len > 6 ? strtoull(word + 6, NULL, 10) : 0;
    } else if (len == 5 && memcmp(word, "early", len) == 0)
        options->early = true;
    else if (len == 9 && memcmp(word, "unchecked", len) == 0)
        options->unchecked = true;
    else if (len == 5 && memcmp(word, "apart", len) == 0)
        options->apart = true;
    else if (len == 5 && memcmp(word, "sm_80", len) == 0)
        options->architecture = 80;
    else if (len == 6 && memcmp(word, "sm_90a", len) == 0)
        options->architecture = 90;
    else
        return len == 0;
    return true;
}

/* GEMEL_EMU, a list as "reverse,early,unchecked" or "mixed:7", where nobody set them; a word
 * that is none of them, or NULL. */
static const char *ask_environment(size_t *out_len)
{
    gml_emu_options options = {0};
    const char *text = getenv("GEMEL_EMU");
    while (!options_set && text) {
        *out_len = strcspn(text, ",");
        if (!read_option(text, *out_len, &options))
            return text;
        text = text[*out_len] ? text + *out_len + 1 : NULL;
    }
    if (!options_set)
        gml_emu.options = options;
    options_set = true;
    return NULL;
}

static gml_status find_options(gml_diags *diags)
{
    size_t len = 0;
    const char *wrong = ask_environment(&len);
    if (wrong == NULL)
        return GML_OK;
    return gml_fail(diags, GML_E_USAGE, here(),
                    "GEMEL_EMU has '%.*s', which is none of forward, reverse, mixed:SEED, "
                    "early, unchecked, apart, sm_80, sm_90a",
                    (int)len, wrong);
}

bool gml_emu_keeps_apart(void)
{
    gml_emu_lock();
    size_t len = 0;
    bool apart = ask_environment(&len) == NULL && gml_emu.options.apart;
    gml_emu_unlock();
    return apart;
}

int gml_emu_architecture(void)
{
    gml_emu_lock();
    size_t len = 0;
    bool is_old = ask_environment(&len) == NULL && gml_emu.options.architecture == 80;
    gml_emu_unlock();
    return is_old ? 80 : 90;
}

size_t gml_emu_choose(size_t n, uint64_t *drawn)
{
    gml_emu_lock();
    size_t len = 0;
    size_t chosen = 0;
    uint64_t seed = gml_emu.options.seed * UINT64_C(0x2545f4914f6cdd1d) + *drawn;
    bool is_known = ask_environment(&len) == NULL;
    if (is_known && gml_emu.options.order == GML_EMU_REVERSE)
        chosen = n - 1;
    else if (is_known && gml_emu.options.order == GML_EMU_MIXED)
        chosen = (size_t)(draw(&seed) % n);
    gml_emu_unlock();
    ++*drawn;
    return chosen;
}

/* ---- launches ---------------------------------------------------------------------------- */

static gml_status prepare(const gml_launch *launch, gml_diags *diags)
{
    if (!gml_fiber_exists())
        return gml_fail(diags, GML_E_UNSUPPORTED, here(), "the emulator runs on x86-64 only");
    if (launch->threads == 0 || launch->threads % 32 || launch->threads > GML_EMU_THREADS)
        return gml_fail(diags, GML_E_DEVICE, here(),
                        "kernel %s: a block of %u threads; they are up to 1024, in 32s",
                        gml_emu.kernel, launch->threads);
    if (launch->shared > GML_EMU_SHARED)
        return gml_fail(diags, GML_E_DEVICE, here(),
                        "kernel %s: %u bytes of shared memory; a block has %zu", gml_emu.kernel,
                        launch->shared, GML_EMU_SHARED);
    bool more = n_fibers < launch->threads;
    while (n_fibers < launch->threads) {
        if (!gml_fiber_create(&fibers[n_fibers]))
            return gml_fail(diags, GML_E_MEMORY, here(), "no memory for the emulator's stacks");
        n_fibers++;
    }
    if (more || n_idle < n_fibers)
        reset_fibers();
    return GML_OK;
}

static gml_status run(uint32_t blocks, gml_diags *diags)
{
    gml_emu.failed = false;
    launcher = (gml_fiber){0};
    if (!gml_emu_begin_races(blocks))
        return gml_fail(diags, GML_E_MEMORY, here(), "no memory to look for races");
    for (uint32_t block = 0; block < blocks && !gml_emu.failed; block++)
        run_block(block);
    if (!gml_emu.failed)
        return GML_OK;
    reset_fibers();
    return gml_fail(diags, GML_E_DEVICE, here(), "%s", gml_emu.failure);
}

gml_status gml_emu_launch(const char *kernel, gml_lane_fn lane, const gml_launch *launch,
                          uint32_t blocks, void *const *params, gml_diags *diags)
{
    gml_emu_lock();
    static _Alignas(1024) char shared[GML_EMU_SHARED + 128];
    gml_emu.kernel = kernel;
    gml_emu.lane = lane;
    gml_emu.params = params;
    gml_emu.threads = launch->threads;
    gml_emu.blocks = blocks;
    gml_emu.n_warps = launch->threads / 32;
    gml_emu.all_warps = UINT32_MAX >> ((32 - gml_emu.n_warps) % 32);
    gml_emu.shared = shared;
    gml_emu.n_shared = launch->shared;
    gml_status status = find_options(diags);
    if (status == GML_OK)
        status = prepare(launch, diags);
    if (status == GML_OK)
        status = run(blocks, diags);
    gml_emu_unlock();
    return status;
}
