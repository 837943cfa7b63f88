/* tests/unit/test_emu_hopper.c - the emulator's mbarriers, bulk copies and wgmma: kernels in C,
 * right ones against plain loops, and wrong ones, each with one mistake. */
#include "emu_launch.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define M        64
#define DEPTH    64 /* of a slice */
#define STAGES   2
#define BARRIERS 0                     /* in shared memory: full ones, then empty ones */
#define SLICES   1024                  /* stages of A and B */
#define BOX      ((size_t)DEPTH * 128) /* bytes of 64 lines */
#define MOST_N   256
#define STAGE    ((M + MOST_N) * 128)

typedef enum mistake {
    NONE,
    NO_FULL_WAIT,
    NO_EMPTY_WAIT,
    NO_SUMS_WAIT,  /* behind the last product */
    NO_GROUP_WAIT, /* behind each, before the stage is given back */
    NO_COMMIT,
    NO_WGMMA_FENCE,
    NO_INIT_FENCE,
    NO_INIT_BARRIER,
    NO_ARRIVAL,
    TOO_MANY_ARRIVALS,
    TOO_FEW_BYTES,
    TOO_MANY_BYTES,
    NO_EXPECTATION,
    HUGE_EXPECTATION,
    ONE_THREAD_FEWER,
    OTHER_OPERANDS,
    WRONG_STRIDE,
    WRONG_LEADING,
    WRONG_SWIZZLE,
    WRONG_START,
    UNALIGNED_STAGE,
    NO_MAP,
    TOUCH_STAGE, /* a thread writes what a product reads */
    READ_EARLY,  /* or reads what has not arrived */
    TOUCH_MBARRIER,
} mistake;

/* What a launch does: A (64, k) and B (k, n) in slices. */
static struct {
    unsigned n, n_slices;
    bool a_is_mn, b_is_mn;
    mistake mistake;
    char a_map[128], b_map[128];
    uint16_t *a, *b;
    float *out; /* (64, n) */
} job;

static bool is(mistake m)
{
    return job.mistake == m;
}

static char *shared_at(uint32_t offset)
{
    return (char *)gml_emu_shared() + offset;
}

static void *full(unsigned stage)
{
    return shared_at(BARRIERS + 8 * stage);
}

static void *empty(unsigned stage)
{
    return shared_at(BARRIERS + 8 * (STAGES + stage));
}

static char *stage_at(unsigned stage)
{
    return shared_at(SLICES + stage * STAGE + (is(UNALIGNED_STAGE) ? 128 : 0));
}

static void begin(void)
{
    for (unsigned s = 0; gml_emu_thread() == 0 && s < STAGES; s++) {
        gml_emu_mbarrier_init(full(s), 1, "init 1");
        gml_emu_mbarrier_init(empty(s), 4, "init 2");
    }
    if (gml_emu_thread() == 0 && !is(NO_INIT_FENCE))
        gml_emu_mbarrier_fence("fence 1");
    if (!is(NO_INIT_BARRIER))
        gml_emu_barrier("barrier 1");
}

static void copy(unsigned slice)
{
    unsigned stage = slice % STAGES;
    unsigned boxes = job.b_is_mn ? job.n / 64 : 1;
    uint32_t bytes = (M + job.n) * DEPTH * 2;
    int32_t k = (int32_t)slice * DEPTH;
    if (!is(NO_EMPTY_WAIT))
        gml_emu_mbarrier_wait(empty(stage), slice / STAGES % 2 ^ 1, "empty wait");
    if (is(TOO_FEW_BYTES))
        bytes -= 16;
    if (is(TOO_MANY_BYTES))
        bytes += 16;
    if (is(HUGE_EXPECTATION))
        bytes += 1 << 20;
    if (!is(NO_EXPECTATION))
        gml_emu_mbarrier_expect(full(stage), bytes, "expect 1");
    int32_t at[5] = {job.a_is_mn ? 0 : k, job.a_is_mn ? k : 0};
    gml_emu_copy_box(stage_at(stage), is(NO_MAP) ? (void *)job.out : job.a_map, at, full(stage),
                     "copy 1");
    for (unsigned i = 0; i < boxes; i++) {
        int32_t there[5] = {job.b_is_mn ? 64 * (int32_t)i : k, job.b_is_mn ? k : 0};
        gml_emu_copy_box(stage_at(stage) + (size_t)(i + 1) * BOX, job.b_map, there, full(stage),
                         "copy 2");
    }
}

static uint64_t matrix(const char *at, bool is_mn)
{
    uint64_t start = (uint64_t)(at - shared_at(0));
    uint64_t stride = is(WRONG_STRIDE) ? 512 : 1024;
    uint64_t leading = is_mn && !is(WRONG_LEADING) ? BOX : 0;
    start += is(WRONG_START) ? 128 : 0;
    return start >> 4 | leading >> 4 << 16 | stride >> 4 << 32 |
           UINT64_C(1) << (is(WRONG_SWIZZLE) ? 63 : 62);
}

static void multiply(unsigned slice, uint32_t *words)
{
    unsigned stage = slice % STAGES;
    char *a = stage_at(stage);
    uint32_t form = job.n | (job.a_is_mn ? GML_EMU_WGMMA_A_IS_MN : 0) |
                    (job.b_is_mn ? GML_EMU_WGMMA_B_IS_MN : 0);
    if (!is(NO_FULL_WAIT))
        gml_emu_mbarrier_wait(full(stage), slice / STAGES % 2, "full wait");
    if (!is(NO_WGMMA_FENCE))
        gml_emu_wgmma_fence("wgmma fence");
    if (is(OTHER_OPERANDS) && gml_emu_thread() == 77)
        a += 32;
    for (unsigned k = 0; k < DEPTH; k += 16) {
        if (slice > 0 || k > 0)
            form |= GML_EMU_WGMMA_ACCUMULATE;
        gml_emu_wgmma(words, matrix(a + (job.a_is_mn ? k * 128 : k * 2), job.a_is_mn),
                      matrix(a + BOX + (job.b_is_mn ? k * 128 : k * 2), job.b_is_mn), form,
                      "wgmma 1");
    }
    if (!is(NO_COMMIT))
        gml_emu_wgmma_commit("commit 1");
}

static void give_back(unsigned slice)
{
    unsigned stage = slice % STAGES;
    if (is(TOUCH_STAGE) && gml_emu_thread() == 3)
        gml_emu_access(stage_at(stage), 2, 2, GML_EMU_STORE, "store 1");
    if (!is(NO_GROUP_WAIT))
        gml_emu_wgmma_wait(0, NULL, 0, "group wait");
    if (gml_emu_thread() % 32 == 0 && !(is(NO_ARRIVAL) && gml_emu_thread() == 64))
        gml_emu_mbarrier_arrive(empty(stage), "arrive 1");
    if (is(TOO_MANY_ARRIVALS) && gml_emu_thread() == 0)
        gml_emu_mbarrier_arrive(full(stage), "arrive 2");
}

/* out = A B by one warpgroup: copies run a slice ahead. */
static void product(void *const *params)
{
    uint32_t words[MOST_N / 2] = {0};
    uint32_t thread = gml_emu_thread();
    (void)params;
    if (is(ONE_THREAD_FEWER) && thread == 50)
        return;
    begin();
    if (thread == 0)
        copy(0);
    if (is(READ_EARLY) && thread == 9)
        gml_emu_access(stage_at(0), 2, 2, GML_EMU_LOAD, "load 1");
    if (is(TOUCH_MBARRIER) && thread == 9)
        gml_emu_access(full(1), 4, 4, GML_EMU_LOAD, "load 2");
    for (unsigned slice = 0; slice < job.n_slices; slice++) {
        if (thread == 0 && slice + 1 < job.n_slices)
            copy(slice + 1);
        multiply(slice, words);
        if (slice + 1 < job.n_slices)
            give_back(slice);
    }
    if (!is(NO_SUMS_WAIT))
        gml_emu_wgmma_wait(0, words, job.n / 2, "sums wait");
    for (unsigned i = 0; i < job.n / 2; i++) {
        unsigned row = thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8;
        unsigned column = i / 4 * 8 + thread % 4 * 2 + i % 2;
        memcpy(&job.out[row * job.n + column], &words[i], sizeof *words);
    }
}

/* ---- running ------------------------------------------------------------------------------
 */

static float a_at(unsigned m, unsigned k)
{
    return (float)((m * 7 + k * 3) % 33) / 16 - 1;
}

static float b_at(unsigned k, unsigned n)
{
    return (float)((k * 5 + n * 11) % 31) / 16 - 1;
}

static uint16_t code_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* A map of (lines, along) whose boxes are 64 along and `box` lines. */
static void map_plane(void *map, const void *memory, unsigned along, unsigned lines,
                      unsigned box)
{
    gml_map_layout layout = {.dtype = GML_BF16,
                             .rank = 2,
                             .extents = {along, lines},
                             .strides = {2, (gml_dim)along * 2},
                             .box = {64, box},
                             .is_swizzled = true};
    assert_null(gml_emu_encode(&layout, memory, map));
}

static void prepare(unsigned n, unsigned n_slices, bool a_is_mn, bool b_is_mn)
{
    unsigned depth = n_slices * DEPTH;
    job.n = n;
    job.n_slices = n_slices;
    job.a_is_mn = a_is_mn;
    job.b_is_mn = b_is_mn;
    job.mistake = NONE;
    job.a = gml_emu_allocate((size_t)M * depth * 2);
    job.b = gml_emu_allocate((size_t)n * depth * 2);
    job.out = gml_emu_allocate((size_t)M * n * sizeof *job.out);
    for (unsigned k = 0; k < depth; k++) {
        for (unsigned m = 0; m < M; m++)
            job.a[a_is_mn ? k * M + m : m * depth + k] = code_of(a_at(m, k));
        for (unsigned j = 0; j < n; j++)
            job.b[b_is_mn ? k * n + j : j * depth + k] = code_of(b_at(k, j));
    }
    map_plane(job.a_map, job.a, a_is_mn ? M : depth, a_is_mn ? depth : M, 64);
    map_plane(job.b_map, job.b, b_is_mn ? n : depth, b_is_mn ? depth : n, b_is_mn ? 64 : n);
    shared_bytes = SLICES + STAGES * STAGE + 1024;
}

static void release(void)
{
    gml_emu_free(job.a);
    gml_emu_free(job.b);
    gml_emu_free(job.out);
}

static gml_status run(void)
{
    memset(job.out, 0xff, (size_t)M * job.n * sizeof *job.out);
    return launch("product", product, 128, 1, NULL);
}

static bool is_right(void)
{
    for (unsigned m = 0; m < M; m++)
        for (unsigned j = 0; j < job.n; j++) {
            float sum = 0;
            for (unsigned k = 0; k < job.n_slices * DEPTH; k++)
                sum += a_at(m, k) * b_at(k, j);
            if (job.out[m * job.n + j] != sum) /* multiples of 1/256: exact */
                return false;
        }
    return true;
}

static void products_are_right(void **state)
{
    static const unsigned columns[] = {8, 64, 128, 256};
    (void)state;
    for (unsigned i = 0; i < COUNT(columns); i++)
        for (unsigned which = 0; which < 8; which++) {
            if (which & 2 && columns[i] < 64)
                continue;
            prepare(columns[i], which & 4 ? 5 : 1, which & 1, which & 2);
            for (unsigned order = 0; order < 6; order++) {
                gml_emu_set_options(&(gml_emu_options){
                    .order = (gml_emu_order)(order % 3), .seed = order, .early = order > 2});
                expect_ok(run());
                assert_true(is_right());
            }
            gml_emu_set_options(&(gml_emu_options){.unchecked = true});
            expect_ok(run());
            assert_true(is_right());
            release();
        }
}

/* Each is found whatever the order; `words` are in the report, NULL: results differ. */
static void mistakes_are_found(void **state)
{
    static const struct {
        mistake mistake;
        const char *words[3];
    } all[] = {
        {NO_FULL_WAIT, {"wgmma 1", "target of a bulk copy", "has not waited for phase 0"}},
        {NO_EMPTY_WAIT,
         {"copy 1 writes byte", "which a wgmma of warp", "not known to be done"}},
        {NO_SUMS_WAIT, {NULL}},
        {NO_GROUP_WAIT,
         {"copy 1 writes byte", "which a wgmma of warp", "not known to be done"}},
        {NO_COMMIT, {"copy 1 writes byte", "which a wgmma of warp"}},
        {NO_WGMMA_FENCE, {"wgmma 1 takes sums out of registers without wgmma.fence"}},
        {NO_INIT_FENCE, {"copy 1: no fence has shown copies the mbarrier"}},
        {NO_INIT_BARRIER, {"mbarrier at byte"}},
        {NO_ARRIVAL, {"thread 0: waits for ever at empty wait", "lacks 1 of 4 arrivals"}},
        {TOO_MANY_ARRIVALS, {"mbarrier at byte"}},
        {TOO_FEW_BYTES, {"copy 2: a copy of", "expects", "under way"}},
        {TOO_MANY_BYTES, {"waits for ever at full wait", "lacks 0 of 1 arrivals and 16 of"}},
        {NO_EXPECTATION, {"copy 1: a copy of 8192 bytes", "expects 0"}},
        {HUGE_EXPECTATION, {"expect 1: ", "too many for an mbarrier"}},
        {ONE_THREAD_FEWER, {"thread 50 has ended"}},
        {OTHER_OPERANDS, {"wgmma 1: its operands are others than thread"}},
        {WRONG_STRIDE, {NULL}},
        {WRONG_LEADING, {NULL}},
        {WRONG_SWIZZLE, {"another swizzle"}},
        {WRONG_START, {"begins inside of a pattern"}},
        {UNALIGNED_STAGE, {"copy 1: byte 1152 of shared memory is not aligned to 1024"}},
        {NO_MAP, {"is no tensor map"}},
        {TOUCH_STAGE, {"store 1 writes byte", "which a wgmma of warp"}},
        {READ_EARLY, {"thread 9", "shared memory"}},
        {TOUCH_MBARRIER, {"load 2 touches the mbarrier at byte 8"}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++)
        for (unsigned order = 0; order < 6; order++) {
            prepare(128, 5, false, true);
            job.mistake = all[i].mistake;
            gml_emu_set_options(&(gml_emu_options){
                .order = (gml_emu_order)(order % 3), .seed = order, .early = order > 2});
            gml_status status = run();
            const char *words[4] = {all[i].words[0], all[i].words[1], all[i].words[2], NULL};
            if (words[0])
                expect_words(status, words);
            else if (status == GML_OK)
                assert_false(is_right());
            release();
        }
}

/* ---- copies alone -------------------------------------------------------------------------
 */

/* out (4, 4, 64) is the box of `in` (3, 5, 72) at -1, 2, 40. */
static void copy_corner(void *const *params)
{
    char *const *const *data = (char *const *const *)params;
    const uint16_t *shared = gml_emu_shared();
    uint16_t *out = (uint16_t *)(void *)*data[0];
    int32_t at[5] = {40, 2, -1};
    void *barrier = shared_at(32768);
    uint32_t thread = gml_emu_thread();
    if (thread == 0) {
        gml_emu_mbarrier_init(barrier, 1, "init 1");
        gml_emu_mbarrier_fence("fence 1");
        gml_emu_mbarrier_expect(barrier, 4 * 4 * 64 * 2, "expect 1");
        gml_emu_copy_box(shared_at(0), job.a_map, at, barrier, "copy 1");
    }
    gml_emu_barrier("barrier 1");
    gml_emu_mbarrier_wait(barrier, 0, "wait 1");
    for (unsigned i = thread * 8; i < 4 * 4 * 64; i += 32 * 8) {
        unsigned line = i / 64;
        unsigned piece = (i / 8 % 8) ^ (line % 8);
        gml_emu_access(shared + (size_t)line * 64 + (size_t)piece * 8, 16, 16, GML_EMU_LOAD,
                       "load 1");
        memcpy(out + i, shared + (size_t)line * 64 + (size_t)piece * 8, 16);
    }
}

static void edges_arrive_as_zeros(void **state)
{
    (void)state;
    gml_map_layout layout = {.dtype = GML_BF16,
                             .rank = 3,
                             .offset = 16,
                             .extents = {72, 5, 3},
                             .strides = {2, 144, 720},
                             .box = {64, 4, 4},
                             .is_swizzled = true};
    uint16_t *in = gml_emu_allocate(16 + 3 * 720);
    uint16_t *out = gml_emu_allocate((size_t)4 * 4 * 64 * 2);
    for (unsigned i = 0; i < 3 * 360; i++)
        in[8 + i] = (uint16_t)(i + 1);
    shared_bytes = 32776;
    for (unsigned early = 0; early < 2; early++) {
        gml_emu_set_options(&(gml_emu_options){.early = early});
        assert_null(gml_emu_encode(&layout, in, job.a_map));
        expect_ok(launch("copy_corner", copy_corner, 32, 1, out));
        for (int z = 0; z < 4; z++)
            for (int y = 0; y < 4; y++)
                for (int x = 0; x < 64; x++) {
                    bool is_inside = z >= 1 && y + 2 < 5 && x + 40 < 72;
                    int want = is_inside ? (z - 1) * 360 + (y + 2) * 72 + x + 40 + 1 : 0;
                    assert_int_equal(out[(z * 4 + y) * 64 + x], want);
                }
    }
    layout.extents[1] = 6; /* more than there is */
    assert_null(gml_emu_encode(&layout, in, job.a_map));
    EXPECT_WORDS(launch("copy_corner", copy_corner, 32, 1, out), "reads 64 bytes at byte 2256",
                 "an allocation of 2176 bytes");
    gml_emu_free(in);
    gml_emu_free(out);
}

static void bad_maps_are_refused(void **state)
{
    static _Alignas(16) char memory[64];
    char map[128];
    const gml_map_layout good = {.dtype = GML_BF16,
                                 .rank = 2,
                                 .extents = {64, 64},
                                 .strides = {2, 128},
                                 .box = {64, 64},
                                 .is_swizzled = true};
    (void)state;
    assert_null(gml_emu_encode(&good, memory, map));
    assert_non_null(gml_emu_encode(&good, memory + 8, map));
    gml_map_layout bad = good;
    bad.rank = 6;
    assert_non_null(gml_emu_encode(&bad, memory, map));
    bad = good;
    bad.extents[1] = 0;
    assert_non_null(gml_emu_encode(&bad, memory, map));
    bad = good;
    bad.strides[1] = 120;
    assert_non_null(gml_emu_encode(&bad, memory, map));
    bad = good;
    bad.box[1] = 257;
    assert_non_null(gml_emu_encode(&bad, memory, map));
    bad = good;
    bad.box[0] = 32;
    assert_non_null(gml_emu_encode(&bad, memory, map));
}

/* ---- what threads write themselves --------------------------------------------------------
 */

/* Both operands are zeros that threads write. */
static void write_operands(void *const *params)
{
    uint32_t words[4] = {0};
    uint32_t thread = gml_emu_thread();
    (void)params;
    for (unsigned i = 0; i < 64; i += 8) {
        gml_emu_access(shared_at(thread * 128 + i * 2), 16, 16, GML_EMU_STORE, "store 1");
        memset(shared_at(thread * 128 + i * 2), 0, 16);
    }
    if (job.mistake != NO_INIT_FENCE)
        gml_emu_proxy_fence("fence 1");
    if (job.mistake != NO_INIT_BARRIER)
        gml_emu_barrier("barrier 1");
    gml_emu_wgmma_fence("fence 2");
    gml_emu_wgmma(words, matrix(shared_at(0), false), matrix(shared_at(8192), false),
                  8 | GML_EMU_WGMMA_ACCUMULATE, "wgmma 1");
    gml_emu_wgmma_commit("commit 1");
    gml_emu_wgmma_wait(0, words, 4, "wait 1");
    if (words[0] != 0 || words[3] != 0)
        *job.out = 1;
}

static void own_writes_need_a_fence(void **state)
{
    (void)state;
    float differs = 0;
    job.out = &differs;
    shared_bytes = 32768;
    job.mistake = NONE;
    expect_ok(launch("write_operands", write_operands, 128, 1, NULL));
    assert_true(differs == 0);
    job.mistake = NO_INIT_FENCE;
    EXPECT_WORDS(
        launch("write_operands", write_operands, 128, 1, NULL),
        "wgmma 1 reads byte 0 of shared memory, which thread 0 wrote without a proxy fence");
    job.mistake = NO_INIT_BARRIER;
    EXPECT_WORDS(launch("write_operands", write_operands, 128, 1, NULL), "wgmma 1 races");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(products_are_right),   TEST(mistakes_are_found),      TEST(edges_arrive_as_zeros),
        TEST(bad_maps_are_refused), TEST(own_writes_need_a_fence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
