/* tests/unit/test_emu.c - the emulator (runtime/emu.h): kernels in C, as generated code calls
 * it. */
#define _POSIX_C_SOURCE 200809L
#include "emu_launch.h"

#include <math.h>
#include <time.h>

/* ---- a reduction
 * ------------------------------------------------------------------------------
 */

#define THREADS 256
#define BLOCKS  3

static bool without_first, without_second;

static float shuffle_sum(float value, const char *site)
{
    for (uint32_t mask = 16; mask; mask /= 2) {
        uint32_t bits;
        float other;
        memcpy(&bits, &value, sizeof bits);
        bits = (uint32_t)gml_emu_shuffle_xor(bits, mask, site);
        memcpy(&other, &bits, sizeof other);
        value += other;
    }
    return value;
}

/* in (BLOCKS, THREADS); out (BLOCKS), 16 behind it, gets each block's sum twice over: two sums
 * after each other use the same shared memory. */
static void sum_rows(void *const *params)
{
    float *in = data_of(params);
    float *out = in + BLOCKS * THREADS;
    float *shared = gml_emu_shared();
    uint32_t thread = gml_emu_thread();
    uint32_t block = gml_emu_block();
    float total = 0;
    for (int round = 0; round < 2; round++) {
        float value = load(in + block * THREADS + thread, "load 1 of sum_rows");
        float part = shuffle_sum(value, "shuffle 1 of sum_rows");
        if (thread % 32 == 0)
            store(shared + thread / 32, part, "store 1 of sum_rows");
        if (!without_first)
            gml_emu_barrier("barrier 1 of sum_rows");
        for (uint32_t w = 0; w < THREADS / 32; w++)
            total += load(shared + w, "load 2 of sum_rows");
        if (!without_second)
            gml_emu_barrier("barrier 2 of sum_rows");
    }
    if (thread == 0)
        store(out + block, total, "store 2 of sum_rows");
}

static float *reduction_data(void)
{
    float *data = gml_emu_allocate((BLOCKS * THREADS + BLOCKS) * sizeof *data);
    assert_non_null(data);
    for (int i = 0; i < BLOCKS * THREADS; i++)
        data[i] = 1.0F / (float)(i + 1);
    return data;
}

static void orders_give_the_same_bits(void **state)
{
    (void)state;
    float *data = reduction_data();
    float first[BLOCKS];
    for (int order = 0; order < 8; order++) {
        set_order(order < 2 ? (gml_emu_order)order : GML_EMU_MIXED, (uint64_t)order);
        memset(data + BLOCKS * THREADS, 0, sizeof first);
        expect_ok(launch("sum_rows", sum_rows, THREADS, BLOCKS, data));
        if (order == 0)
            memcpy(first, data + BLOCKS * THREADS, sizeof first);
        assert_memory_equal(first, data + BLOCKS * THREADS, sizeof first);
    }
    double sum = 0;
    for (int i = 0; i < THREADS; i++)
        sum += 2.0 / (i + 1);
    assert_true(fabs(first[0] - sum) < 1e-5);
    gml_emu_free(data);
}

static void missing_barriers_race(void **state)
{
    (void)state;
    float *data = reduction_data();
    for (int which = 0; which < 2; which++) {
        without_first = which == 0;
        without_second = which == 1;
        for (int order = 0; order < 6; order++) {
            set_order(order < 2 ? (gml_emu_order)order : GML_EMU_MIXED, (uint64_t)order);
            EXPECT_WORDS(launch("sum_rows", sum_rows, THREADS, BLOCKS, data), "kernel sum_rows",
                         "block 0", "thread ", "races: it ", " of sum_rows");
        }
    }
    without_first = without_second = false;
    expect_ok(launch("sum_rows", sum_rows, THREADS, BLOCKS, data)); /* it goes on */
    gml_emu_free(data);
}

static void unchecked_launches_still_poison(void **state)
{
    (void)state;
    float *data = reduction_data();
    gml_emu_set_options(&(gml_emu_options){.unchecked = true});
    expect_ok(launch("sum_rows", sum_rows, THREADS, BLOCKS, data));
    assert_true(data[BLOCKS * THREADS] > 0);
    without_first = true;
    expect_ok(launch("sum_rows", sum_rows, THREADS, BLOCKS, data));
    assert_true(isnan(data[BLOCKS * THREADS]));
    without_first = false;
    gml_emu_free(data);
}

/* ---- accesses
 * ---------------------------------------------------------------------------------
 */

static void read_behind(void *const *params)
{
    load(data_of(params) + gml_emu_thread(), "load 7 of read_behind");
}

static void write_before(void *const *params)
{
    if (gml_emu_block() == 1 && gml_emu_thread() == 5)
        store(data_of(params) - 1, 1, "store 7 of write_before");
}

static void load_four(void *const *params)
{
    gml_emu_access(data_of(params) + gml_emu_thread(), 16, 16, GML_EMU_LOAD,
                   "load 7 of load_four");
}

static void store_masked(void *const *params)
{
    float *at = data_of(params) + 61;
    if (gml_emu_thread() != 9)
        return;
    gml_emu_access_masked(at, 4, 4, GML_EMU_STORE, 0x7, "store 7 of masked");
    gml_emu_access_masked(at, 4, 4, GML_EMU_STORE, 0xf, "store 8 of masked");
}

static void leave_shared(void *const *params)
{
    (void)params;
    load((float *)gml_emu_shared() + 2048 - 31 + gml_emu_thread(), "load 7 of leave_shared");
}

static void bad_accesses_are_named(void **state)
{
    (void)state;
    float *data = gml_emu_allocate(64 * sizeof *data);
    expect_ok(launch("read_behind", read_behind, 64, 2, data));
    EXPECT_WORDS(launch("read_behind", read_behind, 96, 2, data), "kernel read_behind",
                 "block 0", "thread 64:", "load 7 of read_behind reads 4 bytes at byte 256",
                 "an allocation of 256 bytes");
    EXPECT_WORDS(launch("write_before", write_before, 64, 2, data), "kernel write_before",
                 "block 1", "thread 5:", "store 7 of write_before writes 4 bytes");
    EXPECT_WORDS(launch("load_four", load_four, 32, 1, data),
                 "block 0, thread 1:", "load 7 of load_four", "not aligned to 16");
    EXPECT_WORDS(launch("masked", store_masked, 32, 1, data), "thread 9:", "store 8 of masked",
                 "byte 256");
    set_order(GML_EMU_REVERSE, 0);
    EXPECT_WORDS(launch("leave_shared", leave_shared, 64, 1, data), "thread 63:",
                 "load 7 of leave_shared reads 4 bytes at byte 8320 of 8192 of shared");
    gml_emu_free(data);
    EXPECT_WORDS(launch("read_behind", read_behind, 32, 1, data), "load 7 of read_behind");
}

static void fresh_memory_is_poison(void **state)
{
    (void)state;
    float *data = gml_emu_allocate(64 * sizeof *data);
    for (int i = 0; i < 64; i++)
        assert_true(isnan(data[i]));
    gml_emu_free(data);
    gml_emu_free(NULL);
}

/* ---- threads that do not meet
 * -----------------------------------------------------------------
 */

static void end_early(void *const *params)
{
    (void)params;
    if (gml_emu_thread() != 40)
        gml_emu_barrier("barrier 1 of end_early");
}

static void two_barriers(void *const *params)
{
    (void)params;
    if (gml_emu_thread() < 32)
        gml_emu_barrier("barrier 1 of two_barriers");
    else
        gml_emu_barrier("barrier 2 of two_barriers");
}

static void lane_away(void *const *params)
{
    (void)params;
    if (gml_emu_thread() == 37)
        gml_emu_barrier("barrier 1 of lane_away");
    else
        gml_emu_shuffle_xor(0, 1, "shuffle 1 of lane_away");
}

static void two_shuffles(void *const *params)
{
    (void)params;
    gml_emu_shuffle_xor(0, 1, gml_emu_thread() == 37 ? "shuffle 1 of two" : "shuffle 2 of two");
}

static void lane_ended(void *const *params)
{
    (void)params;
    if (gml_emu_block() == 1 && gml_emu_thread() == 3)
        return;
    gml_emu_shuffle_xor(0, 1, "shuffle 1 of lane_ended");
}

static void divergence_is_named(void **state)
{
    (void)state;
    for (int order = 0; order < 3; order++) {
        set_order((gml_emu_order)order, 5);
        EXPECT_WORDS(launch("end_early", end_early, 64, 2, NULL), "kernel end_early, block 0",
                     "waits at barrier 1 of end_early, but thread 40 has ended");
        EXPECT_WORDS(launch("two_barriers", two_barriers, 64, 1, NULL),
                     "kernel two_barriers, block 0, thread ", "barrier 1 of", "barrier 2 of");
        EXPECT_WORDS(launch("lane_away", lane_away, 64, 1, NULL),
                     "waits for its warp in shuffle 1 of lane_away, but thread 37 waits at "
                     "barrier 1 of lane_away");
        EXPECT_WORDS(launch("two_shuffles", two_shuffles, 64, 1, NULL), "thread 37",
                     "shuffle 1 of two", "shuffle 2 of two");
        EXPECT_WORDS(launch("lane_ended", lane_ended, 64, 2, NULL), "block 1",
                     "shuffle 1 of lane_ended, but thread 3 has ended");
    }
}

static void bad_launches_are_refused(void **state)
{
    (void)state;
    EXPECT_WORDS(launch("k", end_early, 48, 1, NULL), "48 threads");
    EXPECT_WORDS(launch("k", end_early, 2048, 1, NULL), "2048 threads");
    gml_launch how = {.threads = 32, .shared = 300000};
    EXPECT_WORDS(gml_emu_launch("k", end_early, &how, 1, NULL, &diags), "300000 bytes");
}

/* ---- asynchronous copies
 * ----------------------------------------------------------------------
 */

static bool copies_wait;
static bool copies_valid;

/* in (64, 4), out (64, 4): out = in, through shared memory, row 63 - thread. */
static void copy_rows(void *const *params)
{
    float *in = data_of(params);
    float *out = in + 256;
    float *shared = gml_emu_shared();
    uint32_t thread = gml_emu_thread();
    gml_emu_copy_async(shared + thread * 4, in + thread * 4, copies_valid || thread % 2,
                       "copy 1 of copy_rows");
    gml_emu_copy_commit("commit 1 of copy_rows");
    gml_emu_copy_wait(copies_wait ? 0 : 1, "wait 1 of copy_rows");
    gml_emu_barrier("barrier 1 of copy_rows");
    for (uint32_t i = 0; i < 4; i++)
        store(out + (63 - thread) * 4 + i,
              load(shared + (63 - thread) * 4 + i, "load 1 of copy_rows"),
              "store 1 of copy_rows");
}

static void copies_land_when_waited_for(void **state)
{
    (void)state;
    float *data = gml_emu_allocate(512 * sizeof *data);
    for (int early = 0; early < 2; early++)
        for (int unchecked = 0; unchecked < 2; unchecked++) {
            gml_emu_set_options(
                &(gml_emu_options){.early = early != 0, .unchecked = unchecked != 0});
            for (int i = 0; i < 512; i++)
                data[i] = i < 256 ? (float)i : -1.0F;
            copies_wait = copies_valid = true;
            expect_ok(launch("copy_rows", copy_rows, 64, 1, data));
            assert_memory_equal(data, data + 256, 256 * sizeof *data);
            copies_valid = false;
            expect_ok(launch("copy_rows", copy_rows, 64, 1, data));
            for (int i = 0; i < 256; i++)
                assert_true(data[256 + i] == (i / 4 % 2 ? (float)i : 0.0F));
            copies_wait = false;
            copies_valid = true;
            gml_status status = launch("copy_rows", copy_rows, 64, 1, data);
            if (!unchecked)
                EXPECT_WORDS(status, "load 1 of copy_rows", "asynchronous copy");
            else if (!early)
                assert_true(isnan(data[256]));
        }
    gml_emu_free(data);
}

/* ---- tensor cores
 * -----------------------------------------------------------------------------
 */

static float bf16_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits &= 0xffff0000U;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint16_t code_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static uint32_t word_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float a_at(unsigned m, unsigned k)
{
    return bf16_of(sinf((float)(m * 16 + k)));
}

static float b_at(unsigned k, unsigned n)
{
    return bf16_of(cosf((float)(k * 8 + n)));
}

static float c_at(unsigned m, unsigned n)
{
    return (float)m - (float)n;
}

static void take_sums(const uint32_t *words, float *out)
{
    uint32_t lane = gml_emu_thread();
    for (unsigned i = 0; i < 4; i++)
        memcpy(&out[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2], &words[6 + i], 4);
}

static void put_sums(uint32_t *words)
{
    uint32_t lane = gml_emu_thread();
    for (unsigned i = 0; i < 4; i++)
        words[6 + i] = word_of(c_at(lane / 4 + i / 2 * 8, lane % 4 * 2 + i % 2));
}

/* A (16, 16) row by row and B (16, 8) row by row lie in shared memory: A is loaded as it is, B
 * transposed. */
static void tile_bf16(void *const *params)
{
    uint16_t *shared = gml_emu_shared();
    uint32_t lane = gml_emu_thread();
    uint32_t words[10];
    uint32_t b[4];
    for (unsigned i = 0; i < 8; i++)
        shared[lane * 8 + i] = code_of(a_at(lane / 2, lane % 2 * 8 + i));
    for (unsigned i = 0; i < 8 && lane < 16; i++)
        shared[256 + lane * 8 + i] = code_of(b_at(lane, i));
    gml_emu_barrier("barrier 1");
    gml_emu_load_matrix(shared + lane % 16 * 16 + lane / 16 * 8, 0, words, "ldmatrix 1");
    gml_emu_load_matrix(shared + 256 + lane % 16 * 8, 1, b, "ldmatrix 2");
    memcpy(words + 4, b, 2 * sizeof *b);
    put_sums(words);
    gml_emu_mma_bf16(words, "mma 1");
    take_sums(words, data_of(params));
}

static void tile_tf32(void *const *params)
{
    uint32_t lane = gml_emu_thread();
    uint32_t words[10];
    for (unsigned i = 0; i < 4; i++) /* bits that do not count */
        words[i] = word_of(a_at(lane / 4 + i % 2 * 8, lane % 4 + i / 2 * 4)) | 0x1fff;
    for (unsigned i = 0; i < 2; i++)
        words[4 + i] = word_of(b_at(lane % 4 + i * 4, lane / 4)) | 0x1abc;
    put_sums(words);
    gml_emu_mma_tf32(words, "mma 2");
    take_sums(words, data_of(params));
}

static void tensor_cores_multiply(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++)
        for (int order = 0; order < 3; order++) {
            float *out = gml_emu_allocate(128 * sizeof *out);
            set_order((gml_emu_order)order, 3);
            expect_ok(launch("tile", which ? tile_tf32 : tile_bf16, 32, 1, out));
            for (unsigned m = 0; m < 16; m++)
                for (unsigned n = 0; n < 8; n++) {
                    double sum = c_at(m, n);
                    for (unsigned k = 0; k < (which ? 8 : 16); k++)
                        sum += (double)a_at(m, k) * b_at(k, n);
                    assert_true(fabs(out[m * 8 + n] - sum) < 1e-5);
                }
            gml_emu_free(out);
        }
}

/* ---- speed
 * ------------------------------------------------------------------------------------
 */

#define SWITCHES 4000

static void shuffle_on(void *const *params)
{
    (void)params;
    uint64_t value = gml_emu_thread();
    for (int i = 0; i < SWITCHES; i++)
        value += gml_emu_shuffle_xor(value, 1, "shuffle 1");
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Says how fast it is and demands nothing: machines differ. */
static void many_switches(void **state)
{
    (void)state;
    double begin = seconds();
    expect_ok(launch("shuffle_on", shuffle_on, THREADS, 1, NULL));
    print_message("%.1f million switches a second\n",
                  1e-6 * THREADS * SWITCHES / (seconds() - begin));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(orders_give_the_same_bits),       TEST(missing_barriers_race),
        TEST(unchecked_launches_still_poison), TEST(bad_accesses_are_named),
        TEST(fresh_memory_is_poison),          TEST(divergence_is_named),
        TEST(bad_launches_are_refused),        TEST(copies_land_when_waited_for),
        TEST(tensor_cores_multiply),           TEST(many_switches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
