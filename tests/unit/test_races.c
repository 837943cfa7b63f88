/* tests/unit/test_races.c - races in device memory, which the emulator (runtime/emu.h) finds:
 * planted ones, and what looks like one and is none. */
#include "emu_launch.h"

#define FLOATS 64

/* What the kernels of a test do; each test sets what it needs. */
static bool with_barrier, writes_first;
static unsigned size, stride; /* bytes */
static uint32_t who;          /* writes */

static void touch(const void *at, unsigned bytes, uint32_t kind, const char *site)
{
    gml_emu_access(at, bytes, 1, kind, site);
}

static char *bytes_of(void *const *params)
{
    return (char *)data_of(params);
}

static void in_all_orders(const char *name, gml_lane_fn lane, uint32_t threads, uint32_t blocks,
                          void *data, const char *const *words)
{
    for (int order = 0; order < 5; order++) {
        set_order(order < 2 ? (gml_emu_order)order : GML_EMU_MIXED, (uint64_t)order);
        gml_status status = launch(name, lane, threads, blocks, data);
        if (words)
            expect_words(status, words);
        else
            expect_ok(status);
    }
}

#define RACES(name, lane, threads, blocks, data, ...)                                          \
    in_all_orders(name, lane, threads, blocks, data, (const char *const[]){__VA_ARGS__, NULL})
#define IS_CLEAN(name, lane, threads, blocks, data)                                            \
    in_all_orders(name, lane, threads, blocks, data, NULL)

/* ---- blocks -------------------------------------------------------------------------------
 */

static void write_same(void *const *params)
{
    if (gml_emu_thread() == 7 + gml_emu_block())
        store(data_of(params) + 5, 1, "store 1 of same");
}

/* Block 1 has one role, the others have the other. */
static void read_other(void *const *params)
{
    if (gml_emu_thread() != 3)
        return;
    if ((gml_emu_block() == 1) == writes_first)
        load(data_of(params) + 9, "load 1 of other");
    else
        store(data_of(params) + 9, 1, "store 1 of other");
}

/* All blocks read, and block 1 writes what others have read besides it. */
static void read_and_write(void *const *params)
{
    load(data_of(params) + 9, "load 1 of both");
    gml_emu_barrier("barrier 1 of both");
    if (gml_emu_thread() == 3)
        load(data_of(params) + 9, "load 2 of both");
    if (gml_emu_thread() == 3 && gml_emu_block() == 1)
        store(data_of(params) + 9, 1, "store 1 of both");
}

static void write_own_row(void *const *params)
{
    float *row = data_of(params) + gml_emu_block() * 32;
    store(row + gml_emu_thread(), 1, "store 1 of rows");
    gml_emu_barrier("barrier 1 of rows");
    store(row + 31 - gml_emu_thread(), 1, "store 2 of rows");
}

static void blocks_race(void **state)
{
    (void)state;
    float *data = gml_emu_allocate(FLOATS * sizeof *data);
    RACES("same", write_same, 32, 2, data, "kernel same, block 1, thread 8: store 1 of same",
          "it writes byte 20 of an allocation of 256 bytes",
          "which thread 7 of block 0 wrote, in store 1 of same");
    writes_first = false;
    RACES("other", read_other, 32, 2, data,
          "block 1, thread 3: store 1 of other races: it "
          "writes byte 36",
          "which thread 3 of block 0 read, in load 1 of other");
    writes_first = true;
    RACES("other", read_other, 32, 2, data,
          "block 1, thread 3: load 1 of other races: it "
          "reads byte 36",
          "which thread 3 of block 0 wrote, in store 1 of other");
    RACES("both", read_and_write, 32, 2, data, "block 1, thread 3: store 1 of both",
          "which another block read");
    IS_CLEAN("same", write_same, 32, 1, data);
    IS_CLEAN("rows", write_own_row, 32, 2, data);
    gml_emu_free(data);
}

/* Block 4 meets what block 2 did, before or behind its first barrier. */
static void write_late(void *const *params)
{
    if (with_barrier)
        gml_emu_barrier("barrier 1 of late");
    if (gml_emu_block() % 2 == 0 && gml_emu_block() > 0 && gml_emu_thread() == 1)
        store(data_of(params), 1, "store 1 of late");
    gml_emu_barrier("barrier 2 of late");
}

static void the_other_block_is_named(void **state)
{
    (void)state;
    float *data = gml_emu_allocate(FLOATS * sizeof *data);
    for (int barriers = 1; barriers < 3; barriers++) {
        with_barrier = barriers == 2;
        RACES("late", write_late, 64, 6, data,
              "block 4, thread 1:", "thread 1 of block 2 wrote, in store 1 of late");
    }
    gml_emu_free(data);
}

/* ---- threads ------------------------------------------------------------------------------
 */

static void write_then_read(void *const *params)
{
    float *data = data_of(params);
    uint32_t thread = gml_emu_thread();
    store(data + thread, 1, "store 1 of turn");
    if (with_barrier)
        gml_emu_barrier("barrier 1 of turn");
    load(data + 63 - thread, "load 1 of turn");
}

static void read_then_write(void *const *params)
{
    float *data = data_of(params);
    load(data, "load 1 of gather");
    if (with_barrier)
        gml_emu_barrier("barrier 1 of gather");
    if (gml_emu_thread() == 40)
        store(data, 1, "store 1 of gather");
}

static void write_one(void *const *params)
{
    if (gml_emu_thread() == 3)
        store(data_of(params), 1, "store 1 of one");
    if (with_barrier)
        gml_emu_barrier("barrier 1 of one");
    if (gml_emu_thread() == 35)
        store(data_of(params), 1, "store 2 of one");
}

/* Whoever reads first, in each order, writes when the others have read, too. */
static void read_and_meet(void *const *params)
{
    float *data = data_of(params);
    load(data, "load 1 of meet");
    gml_emu_shuffle_xor(0, 1, "shuffle 1 of meet");
    if (gml_emu_thread() == who)
        store(data, 1, "store 1 of meet");
}

static void threads_race(void **state)
{
    (void)state;
    float *data = gml_emu_allocate(FLOATS * sizeof *data);
    with_barrier = false;
    RACES("turn", write_then_read, 64, 1, data, "block 0, thread ", " 1 of turn races: it ",
          "since the last barrier, in ");
    RACES("gather", read_then_write, 64, 1, data, "of gather races", "thread ",
          "since the last barrier, in ");
    RACES("one", write_one, 64, 1, data, "of one races: it writes byte 0",
          " wrote since the last barrier, in store ");
    set_order(GML_EMU_FORWARD, 0);
    EXPECT_WORDS(launch("gather", read_then_write, 64, 1, data),
                 "thread 40: store 1 of gather races: it writes byte 0 of an allocation of 256 "
                 "bytes, which thread 0 and others read since the last barrier, in load 1 of");
    for (who = 0; who < 32; who++)
        RACES("meet", read_and_meet, 32, 1, data, "store 1 of meet races: it writes byte 0");
    with_barrier = true;
    IS_CLEAN("turn", write_then_read, 64, 1, data);
    IS_CLEAN("gather", read_then_write, 64, 1, data);
    IS_CLEAN("one", write_one, 64, 1, data);
    gml_emu_free(data);
}

/* ---- bytes --------------------------------------------------------------------------------
 */

/* Elements of `size` bytes, `stride` apart, each by a thread; all are looked at as vectors
 * before, so that what is known of 16 bytes has to be split. */
static void write_elements(void *const *params)
{
    char *data = bytes_of(params);
    uint32_t thread = gml_emu_thread();
    for (uint32_t i = 0; thread == 5 && i < 256 / 16; i++)
        touch(data + (size_t)i * 16, 16, GML_EMU_LOAD, "load 1 of elements");
    gml_emu_barrier("barrier 1 of elements");
    touch(data + (size_t)thread * stride, size, GML_EMU_STORE, "store 1 of elements");
}

static void neighbours_do_not_race(void **state)
{
    (void)state;
    char *data = gml_emu_allocate(8 * FLOATS * sizeof(float));
    for (unsigned bytes = 1; bytes <= 16; bytes *= 2) {
        size = stride = bytes;
        IS_CLEAN("elements", write_elements, 64, 1, data);
        size = bytes + 1;
        RACES("elements", write_elements, 64, 1, data, "of elements races: it writes byte");
        size = 3 * bytes; /* of a length that is no power of two, and odd */
        stride = 3 * bytes;
        IS_CLEAN("elements", write_elements, 32, 1, data);
        stride = 3 * bytes - 1;
        RACES("elements", write_elements, 32, 1, data, "of elements races: it writes byte");
    }
    gml_emu_free(data);
}

/* Two vectors of 16 bytes, at `stride` bytes from each other, far into the memory. */
static void write_vectors(void *const *params)
{
    char *at = bytes_of(params) + 4096 - 16;
    if (gml_emu_thread() == 2)
        touch(at, 16, GML_EMU_STORE, "store 1 of vectors");
    if (gml_emu_thread() == 33)
        touch(at + stride, 16, GML_EMU_STORE, "store 2 of vectors");
}

static void vectors_overlap(void **state)
{
    (void)state;
    char *data = gml_emu_allocate(3 * 4096 + 64);
    stride = 12;
    RACES("vectors", write_vectors, 64, 1, data,
          "it writes byte 4092 of an allocation of 12352");
    stride = 15;
    RACES("vectors", write_vectors, 64, 1, data, "it writes byte 4095 of");
    stride = 16;
    IS_CLEAN("vectors", write_vectors, 64, 1, data);
    gml_emu_free(data);
}

/* All of a memory of several pages at once, as a copy of bytes is checked. */
static void write_all(void *const *params)
{
    if (gml_emu_thread() == 2)
        touch(bytes_of(params) + 4, 12000, GML_EMU_STORE, "store 1 of all");
    if (gml_emu_thread() == 33)
        touch(bytes_of(params) + stride, 1, GML_EMU_LOAD, "load 1 of all");
}

static void store_masked(void *const *params)
{
    uint32_t thread = gml_emu_thread();
    uint64_t mask = with_barrier ? UINT64_C(1) << (thread % 8) : 0x3;
    if (thread < 8)
        gml_emu_access_masked(data_of(params), 2, 2, GML_EMU_STORE, mask, "store 1 of masked");
}

static void long_and_masked_accesses_count(void **state)
{
    (void)state;
    char *data = gml_emu_allocate(3 * 4096);
    static const unsigned inside[] = {4, 4095, 4096, 8192, 12003};
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        stride = inside[i];
        RACES("all", write_all, 64, 1, data, "of all races: it ", " 1 of all");
    }
    stride = 3;
    IS_CLEAN("all", write_all, 64, 1, data);
    stride = 12004;
    IS_CLEAN("all", write_all, 64, 1, data);
    with_barrier = true;
    IS_CLEAN("masked", store_masked, 32, 1, data);
    with_barrier = false;
    RACES("masked", store_masked, 32, 1, data, "store 1 of masked races: it writes byte ");
    gml_emu_free(data);
}

/* ---- asynchronous copies ------------------------------------------------------------------
 */

typedef enum when {
    BEFORE,
    AFTER_ISSUE,
    NEXT_TO_ISSUE,
    WHILE_OPEN,
    NEXT_TO_WAIT,
    AFTER_WAIT
} when;

static when then; /* thread `who` writes the source of thread 1's copy */

static void write_source(void *const *params, when now)
{
    if (then == now && gml_emu_thread() == who)
        store(data_of(params) + 6, 1, "store 1 of copies");
}

static void copy_source(void *const *params)
{
    bool copies = gml_emu_thread() == 1;
    write_source(params, BEFORE);
    if (then == BEFORE && who != 1)
        gml_emu_barrier("barrier 0 of copies");
    if (copies) {
        gml_emu_copy_async(gml_emu_shared(), data_of(params) + 4, 1, "copy 1 of copies");
        gml_emu_copy_commit("commit 1 of copies");
    }
    write_source(params, AFTER_ISSUE);
    write_source(params, NEXT_TO_ISSUE);
    gml_emu_barrier("barrier 1 of copies");
    write_source(params, WHILE_OPEN);
    gml_emu_barrier("barrier 2 of copies");
    write_source(params, NEXT_TO_WAIT);
    if (copies)
        gml_emu_copy_wait(0, "wait 1 of copies");
    gml_emu_barrier("barrier 3 of copies");
    write_source(params, AFTER_WAIT);
}

static void copy_and_write(bool early, void *data, when now, uint32_t thread, const char *word)
{
    then = now;
    who = thread;
    for (int order = 0; order < 4; order++) {
        gml_emu_set_options(
            &(gml_emu_options){.order = order < 2 ? (gml_emu_order)order : GML_EMU_MIXED,
                               .seed = (uint64_t)order,
                               .early = early});
        gml_status status = launch("copies", copy_source, 64, 1, data);
        if (word)
            EXPECT_WORDS(status, " of copies races: it ", word);
        else
            expect_ok(status);
    }
}

static void sources_of_copies_are_read_until_waited_for(void **state)
{
    (void)state;
    float *data = gml_emu_allocate(FLOATS * sizeof *data);
    for (int early = 0; early < 2; early++) {
        copy_and_write(early, data, BEFORE, 1, NULL);
        copy_and_write(early, data, BEFORE, 40, NULL);
        copy_and_write(early, data, AFTER_ISSUE, 1, "store 1 of copies races: it writes byte");
        copy_and_write(early, data, NEXT_TO_ISSUE, 40, "copy 1 of copies");
        copy_and_write(early, data, WHILE_OPEN, 1,
                       "which thread 1 wrote while the copy was open, in store 1 of copies");
        copy_and_write(early, data, WHILE_OPEN, 40, "wait 1 of copies races: it reads byte");
        copy_and_write(early, data, NEXT_TO_WAIT, 40, "wait 1 of copies");
        copy_and_write(early, data, AFTER_WAIT, 1, NULL);
        copy_and_write(early, data, AFTER_WAIT, 40, NULL);
    }
    gml_emu_free(data);
}

/* Each thread waits for its own copy and writes its source, with no barrier. */
static void copy_and_replace(void *const *params)
{
    size_t at = (size_t)gml_emu_thread() * 4;
    gml_emu_copy_async((float *)gml_emu_shared() + at, data_of(params) + at, 1, "copy 1");
    gml_emu_copy_commit("commit 1");
    gml_emu_copy_wait(0, "wait 1");
    touch(data_of(params) + at, 16, GML_EMU_STORE, "store 1");
}

static void sources_may_be_written_after_the_wait(void **state)
{
    (void)state;
    float *data = gml_emu_allocate(4 * FLOATS * sizeof *data);
    IS_CLEAN("replace", copy_and_replace, 64, 1, data);
    gml_emu_free(data);
}

/* ---- launches and allocations -------------------------------------------------------------
 */

static void fill(void *const *params)
{
    store(data_of(params) + gml_emu_block() * 32 + gml_emu_thread(), 1, "store 1 of fill");
}

static void read_all(void *const *params)
{
    for (unsigned i = 0; i < FLOATS; i++)
        load(data_of(params) + i, "load 1 of read");
}

static void launches_do_not_race(void **state)
{
    (void)state;
    float *data = gml_emu_allocate(FLOATS * sizeof *data);
    for (int i = 0; i < 3; i++) {
        IS_CLEAN("fill", fill, 32, 2, data);
        IS_CLEAN("read", read_all, 64, 2, data);
    }
    RACES("same", write_same, 32, 2, data, "store 1 of same races");
    IS_CLEAN("fill", fill, 32, 2, data); /* it goes on */
    gml_emu_free(data);
}

static void memory_is_forgotten_when_freed(void **state)
{
    (void)state;
    for (size_t n = FLOATS; n <= 64 * FLOATS; n *= 8)
        for (int i = 0; i < 3; i++) {
            float *data = gml_emu_allocate(n * sizeof *data);
            float *other = gml_emu_allocate(FLOATS * sizeof *other);
            IS_CLEAN("fill", fill, 32, 2, data);
            gml_emu_free(i % 2 ? data : other);
            float *again = gml_emu_allocate(n * sizeof *data);
            IS_CLEAN("read", read_all, 64, 2, again);
            RACES("same", write_same, 32, 2, again, "thread 7 of block 0 wrote");
            gml_emu_free(again);
            gml_emu_free(i % 2 ? other : data);
        }
}

static void unchecked_launches_race_unseen(void **state)
{
    (void)state;
    float *data = gml_emu_allocate(FLOATS * sizeof *data);
    gml_emu_set_options(&(gml_emu_options){.unchecked = true});
    expect_ok(launch("same", write_same, 32, 2, data));
    gml_emu_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocks_race),
        TEST(the_other_block_is_named),
        TEST(threads_race),
        TEST(neighbours_do_not_race),
        TEST(vectors_overlap),
        TEST(long_and_masked_accesses_count),
        TEST(sources_of_copies_are_read_until_waited_for),
        TEST(sources_may_be_written_after_the_wait),
        TEST(launches_do_not_race),
        TEST(memory_is_forgotten_when_freed),
        TEST(unchecked_launches_race_unseen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
