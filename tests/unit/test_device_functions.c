/* tests/unit/test_device_functions.c - the named device functions of codegen/llvm/device.h:
 * NVPTX code that ptxas takes, and the same kernel under the emulator. */
#define _POSIX_C_SOURCE 200809L
#include "codegen/llvm/device.h"
#include "runtime/emu.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define THREADS 64

static const gml_launch small = {.threads = THREADS, .shared = 4096};

/* A module with one kernel, k(ptr out, ptr in), which is being written. */
typedef struct device_module {
    gml_backend be;
    gml_emit e;
    LLVMTargetMachineRef machine;
    LLVMValueRef out, in;
} device_module;

static void set_types(gml_backend *be)
{
    be->i1 = LLVMInt1TypeInContext(be->context);
    be->i8 = LLVMInt8TypeInContext(be->context);
    be->i16 = LLVMInt16TypeInContext(be->context);
    be->i32 = LLVMInt32TypeInContext(be->context);
    be->i64 = LLVMInt64TypeInContext(be->context);
    be->f32 = LLVMFloatTypeInContext(be->context);
    be->f64 = LLVMDoubleTypeInContext(be->context);
    be->ptr = LLVMPointerTypeInContext(be->context, 0);
    be->none = LLVMVoidTypeInContext(be->context);
}

static LLVMTargetMachineRef create_machine(const char *triple, const char *cpu,
                                           const char *features)
{
    LLVMTargetRef target = NULL;
    char *error = NULL;
    assert_false(LLVMGetTargetFromTriple(triple, &target, &error));
    return LLVMCreateTargetMachine(target, triple, cpu, features, LLVMCodeGenLevelDefault,
                                   LLVMRelocPIC, LLVMCodeModelDefault);
}

static LLVMValueRef load_param(device_module *m, LLVMValueRef params, unsigned number)
{
    LLVMValueRef at = LLVMConstInt(m->be.i64, number, 0);
    at = LLVMBuildInBoundsGEP2(m->e.b, m->be.ptr, params, &at, 1, "");
    at = LLVMBuildLoad2(m->e.b, m->be.ptr, at, "");
    return LLVMBuildLoad2(m->e.b, m->be.ptr, at, "");
}

/* On a GPU a function of two pointers; emulated, a gml_lane_fn. */
static void begin_kernel(device_module *m)
{
    bool emulated = m->be.gpu == GML_GPU_EMU;
    LLVMTypeRef params[2] = {m->be.ptr, m->be.ptr};
    LLVMTypeRef type = LLVMFunctionType(m->be.none, params, emulated ? 1 : 2, 0);
    m->e.be = &m->be;
    m->e.function = LLVMAddFunction(m->be.module, "k", type);
    m->e.b = LLVMCreateBuilderInContext(m->be.context);
    LLVMPositionBuilderAtEnd(
        m->e.b, LLVMAppendBasicBlockInContext(m->be.context, m->e.function, "entry"));
    m->out = LLVMGetParam(m->e.function, 0);
    if (emulated) {
        LLVMValueRef given = m->out;
        m->out = load_param(m, given, 0);
        m->in = load_param(m, given, 1);
    } else {
        LLVMSetFunctionCallConv(m->e.function, 71 /* a kernel of PTX */);
        m->in = LLVMGetParam(m->e.function, 1);
    }
}

static void begin_module(device_module *m, gml_gpu gpu, const char *cpu)
{
    memset(m, 0, sizeof *m);
    m->be.gpu = gpu;
    m->be.context = LLVMContextCreate();
    m->be.module = LLVMModuleCreateWithNameInContext("test", m->be.context);
    set_types(&m->be);
    char *host = LLVMGetDefaultTargetTriple();
    char *host_cpu = LLVMGetHostCPUName();
    bool cuda = gpu == GML_GPU_CUDA;
    const char *triple = cuda ? "nvptx64-nvidia-cuda" : host;
    m->machine = create_machine(triple, cuda ? cpu : host_cpu, cuda ? "+ptx80" : "");
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(m->machine);
    LLVMSetTarget(m->be.module, triple);
    LLVMSetModuleDataLayout(m->be.module, layout);
    LLVMDisposeTargetData(layout);
    LLVMDisposeMessage(host);
    LLVMDisposeMessage(host_cpu);
    begin_kernel(m);
}

static LLVMMemoryBufferRef end_module(device_module *m, LLVMCodeGenFileType form)
{
    char *text = NULL;
    LLVMMemoryBufferRef buffer = NULL;
    LLVMBuildRetVoid(m->e.b);
    LLVMDisposeBuilder(m->e.b);
    if (LLVMVerifyModule(m->be.module, LLVMReturnStatusAction, &text))
        fail_msg("%s", text);
    LLVMDisposeMessage(text);
    if (m->be.gpu == GML_GPU_EMU)
        gml_dev_check_accesses(&m->be);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(
        m->be.module, "always-inline,function(sroa,early-cse,instcombine,simplifycfg)",
        m->machine, options);
    assert_null(error);
    LLVMDisposePassBuilderOptions(options);
    if (getenv("TEST_DEVICE_PRINT"))
        LLVMDumpModule(m->be.module);
    assert_false(
        LLVMTargetMachineEmitToMemoryBuffer(m->machine, m->be.module, form, &text, &buffer));
    LLVMDisposeTargetMachine(m->machine);
    LLVMDisposeModule(m->be.module);
    LLVMContextDispose(m->be.context);
    return buffer;
}

/* ---- small words
 * ------------------------------------------------------------------------------
 */

static LLVMValueRef at(device_module *m, LLVMTypeRef type, LLVMValueRef base, LLVMValueRef i)
{
    return LLVMBuildGEP2(m->e.b, type, base, &i, 1, "");
}

static LLVMValueRef number(device_module *m, unsigned value)
{
    return LLVMConstInt(m->be.i32, value, 0);
}

/* out[thread] = in[63 - thread], through shared memory. */
static void write_exchange(device_module *m, bool barrier)
{
    gml_emit *e = &m->e;
    LLVMTypeRef i32 = m->be.i32;
    LLVMValueRef shared = gml_dev_shared(e);
    LLVMValueRef thread = gml_dev_thread(e);
    LLVMValueRef other = LLVMBuildSub(e->b, number(m, THREADS - 1), thread, "");
    LLVMBuildStore(e->b, LLVMBuildLoad2(e->b, i32, at(m, i32, m->in, thread), ""),
                   at(m, i32, shared, thread));
    if (barrier)
        gml_dev_barrier(e);
    LLVMBuildStore(e->b, LLVMBuildLoad2(e->b, i32, at(m, i32, shared, other), ""),
                   at(m, i32, m->out, thread));
}

/* Everything there is, each result stored. */
static void write_everything(device_module *m)
{
    gml_emit *e = &m->e;
    gml_backend *be = &m->be;
    LLVMValueRef values[32];
    unsigned n = 0;
    LLVMValueRef thread = gml_dev_thread(e);
    LLVMValueRef shared = gml_dev_shared(e);
    values[n++] = thread;
    values[n++] = gml_dev_block(e);
    values[n++] = gml_dev_blocks(e);
    LLVMTypeRef types[4] = {be->i32, be->i64, be->f32, be->f64};
    for (unsigned i = 0; i < 4; i++)
        values[n++] = gml_dev_shuffle_xor(
            e, LLVMBuildLoad2(e->b, types[i], at(m, be->i64, m->in, thread), ""), 1U << i);
    LLVMValueRef line = at(m, be->i8, shared, LLVMBuildMul(e->b, thread, number(m, 16), ""));
    LLVMValueRef source = at(m, be->i8, m->in, LLVMBuildMul(e->b, thread, number(m, 16), ""));
    gml_dev_copy_async(e, line, source,
                       LLVMBuildICmp(e->b, LLVMIntULT, thread, number(m, 9), ""));
    gml_dev_copy_commit(e);
    gml_dev_copy_wait(e, 1);
    gml_dev_copy_wait(e, 0);
    gml_dev_barrier(e);
    LLVMValueRef a[4];
    LLVMValueRef b[4];
    LLVMValueRef c[4];
    LLVMValueRef d[4];
    gml_dev_load_matrix(e, line, false, a);
    gml_dev_load_matrix(e, line, true, b);
    for (unsigned i = 0; i < 4; i++)
        c[i] = LLVMConstReal(be->f32, i);
    gml_dev_mma_bf16(e, a, b, c, d);
    gml_dev_mma_tf32(e, a, b, d, c);
    for (unsigned i = 0; i < 4; i++)
        values[n++] = c[i];
    gml_dev_barrier(e);
    for (unsigned i = 0; i < n; i++)
        LLVMBuildStore(e->b, values[i],
                       at(m, be->i64, m->out,
                          LLVMBuildAdd(e->b, LLVMBuildMul(e->b, thread, number(m, 32), ""),
                                       number(m, i), "")));
}

/* out (thread, 64) = A B of 64 x 128 x 64, by one warpgroup: A lies along k, B along n. `in` is
 * the maps of both. */
static void write_hopper(device_module *m)
{
    gml_emit *e = &m->e;
    gml_backend *be = &m->be;
    LLVMValueRef sums[64];
    LLVMValueRef thread = gml_dev_thread(e);
    LLVMValueRef shared = gml_dev_shared(e);
    LLVMValueRef a = at(m, be->i8, shared, number(m, 1024));
    LLVMValueRef b[2] = {at(m, be->i8, shared, number(m, 9216)),
                         at(m, be->i8, shared, number(m, 17408))};
    LLVMValueRef b_map = at(m, be->i8, m->in, number(m, 128));
    LLVMValueRef first[2] = {number(m, 0), number(m, 0)};
    LLVMValueRef second[2] = {number(m, 64), number(m, 0)};
    const gml_dev_product product = {.n = 128, .b_is_mn = true};
    LLVMBasicBlockRef then = LLVMAppendBasicBlockInContext(be->context, e->function, "then");
    LLVMBasicBlockRef after = LLVMAppendBasicBlockInContext(be->context, e->function, "after");
    LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntEQ, thread, number(m, 0), ""), then,
                    after);
    LLVMPositionBuilderAtEnd(e->b, then);
    gml_dev_mbarrier_init(e, shared, 1);
    gml_dev_mbarrier_fence(e);
    gml_dev_mbarrier_expect(e, shared, 3 * 8192);
    gml_dev_copy_box(e, a, m->in, first, 2, shared);
    gml_dev_copy_box(e, b[0], b_map, first, 2, shared);
    gml_dev_copy_box(e, b[1], b_map, second, 2, shared);
    LLVMBuildBr(e->b, after);
    LLVMPositionBuilderAtEnd(e->b, after);
    gml_dev_proxy_fence(e);
    gml_dev_barrier(e);
    gml_dev_mbarrier_wait(e, shared, number(m, 0));
    LLVMValueRef rows = gml_dev_matrix(e, a, 0, 1024);
    LLVMValueRef columns = gml_dev_matrix(e, b[0], 8192, 1024);
    for (unsigned i = 0; i < 64; i++)
        sums[i] = LLVMConstReal(be->f32, 0);
    gml_dev_wgmma_fence(e);
    for (unsigned k = 0; k < 4; k++)
        gml_dev_wgmma(e, &product, gml_dev_matrix_after(e, rows, k * 32),
                      gml_dev_matrix_after(e, columns, k * 2048), sums);
    gml_dev_wgmma_commit(e);
    gml_dev_wgmma_wait(e, 0, sums, 64);
    for (unsigned i = 0; i < 64; i++)
        LLVMBuildStore(e->b, sums[i],
                       at(m, be->f32, m->out,
                          LLVMBuildAdd(e->b, LLVMBuildMul(e->b, thread, number(m, 64), ""),
                                       number(m, i), "")));
}

/* ---- NVPTX
 * ------------------------------------------------------------------------------------
 */

static void assemble(const char *ptx, size_t len, const char *cpu)
{
    static const char ptxas[] = "/usr/local/cuda/bin/ptxas";
    char path[] = "/tmp/test_device_code_XXXXXX";
    char command[256];
    if (access(ptxas, X_OK) != 0)
        return;
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, ptx, len), len);
    close(file);
    snprintf(command, sizeof command, "%s -arch=%s -o /dev/null %s", ptxas, cpu, path);
    int failed = system(command);
    unlink(path);
    if (failed)
        fail_msg("ptxas does not take this:\n%.*s", (int)len, ptx);
}

static void ptxas_takes_everything(void **state)
{
    static const char *const cpus[] = {"sm_80", "sm_90a"};
    static const char *const words[] = {"bar.sync",
                                        "shfl.sync.bfly.b32",
                                        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32",
                                        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32",
                                        "ldmatrix.sync.aligned.m8n8.x4.shared.b16",
                                        "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16",
                                        "cp.async.cg.shared.global",
                                        "cp.async.wait_group 1",
                                        ".extern .shared .align 1024 .b8 gml_shared[]"};
    (void)state;
    for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++) {
        device_module m;
        begin_module(&m, GML_GPU_CUDA, cpus[i]);
        write_everything(&m);
        LLVMMemoryBufferRef buffer = end_module(&m, LLVMAssemblyFile);
        const char *ptx = LLVMGetBufferStart(buffer);
        if (getenv("TEST_DEVICE_PRINT"))
            puts(ptx);
        for (size_t w = 0; w < sizeof words / sizeof *words; w++)
            if (!strstr(ptx, words[w]))
                fail_msg("no %s in\n%s", words[w], ptx);
        assert_null(strstr(ptx, ".func")); /* all of it is inlined */
        assemble(ptx, LLVMGetBufferSize(buffer), cpus[i]);
        LLVMDisposeMemoryBuffer(buffer);
    }
}

static void ptxas_takes_hopper(void **state)
{
    static const char *const words[] = {
        "mbarrier.init.shared::cta.b64",
        "fence.mbarrier_init.release.cluster",
        "mbarrier.arrive.expect_tx.shared::cta.b64",
        "mbarrier.try_wait.parity.shared::cta.b64",
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes",
        "wgmma.fence.sync.aligned",
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16",
        "adds, 1, 1, 0, 1;",
        "wgmma.commit_group.sync.aligned",
        "wgmma.wait_group.sync.aligned 0",
        "fence.proxy.async.shared::cta"};
    (void)state;
    device_module m;
    begin_module(&m, GML_GPU_CUDA, "sm_90a");
    write_hopper(&m);
    LLVMMemoryBufferRef buffer = end_module(&m, LLVMAssemblyFile);
    const char *ptx = LLVMGetBufferStart(buffer);
    if (getenv("TEST_DEVICE_PRINT"))
        puts(ptx);
    for (size_t w = 0; w < sizeof words / sizeof *words; w++)
        if (!strstr(ptx, words[w]))
            fail_msg("no %s in\n%s", words[w], ptx);
    assert_null(strstr(ptx, ".func"));
    assemble(ptx, LLVMGetBufferSize(buffer), "sm_90a");
    LLVMDisposeMemoryBuffer(buffer);
}

static void shared_memory_is_known_to_be_shared(void **state)
{
    (void)state;
    device_module m;
    begin_module(&m, GML_GPU_CUDA, "sm_80");
    write_exchange(&m, true);
    LLVMMemoryBufferRef buffer = end_module(&m, LLVMAssemblyFile);
    const char *ptx = LLVMGetBufferStart(buffer);
    assert_non_null(strstr(ptx, "st.shared.u32"));
    assert_non_null(strstr(ptx, "ld.shared.u32"));
    LLVMDisposeMemoryBuffer(buffer);
}

/* ---- the emulator
 * -----------------------------------------------------------------------------
 */

typedef struct jitted {
    LLVMOrcLLJITRef jit;
    gml_lane_fn lane;
} jitted;

static jitted jit(device_module *m)
{
    jitted j = {0};
    size_t n = 0;
    LLVMMemoryBufferRef object = end_module(m, LLVMObjectFile);
    assert_null(LLVMOrcCreateLLJIT(&j.jit, NULL));
    const gml_code_function *functions = gml_emu_functions(&n);
    LLVMOrcCSymbolMapPair pairs[64] = {0};
    assert_true(n <= 64);
    for (size_t i = 0; i < n; i++) {
        pairs[i].Name = LLVMOrcLLJITMangleAndIntern(j.jit, functions[i].name);
        pairs[i].Sym.Address = (LLVMOrcExecutorAddress)(uintptr_t)functions[i].address;
        pairs[i].Sym.Flags.GenericFlags = LLVMJITSymbolGenericFlagsExported;
    }
    LLVMOrcJITDylibRef library = LLVMOrcLLJITGetMainJITDylib(j.jit);
    assert_null(LLVMOrcJITDylibDefine(library, LLVMOrcAbsoluteSymbols(pairs, n)));
    assert_null(LLVMOrcLLJITAddObjectFile(j.jit, library, object));
    LLVMOrcExecutorAddress address = 0;
    assert_null(LLVMOrcLLJITLookup(j.jit, &address, "k"));
    j.lane = (gml_lane_fn)(uintptr_t)address;
    return j;
}

static gml_status launch(jitted *j, const gml_launch *how, void *out, void *in,
                         const char **out_text, gml_arena *arena)
{
    gml_diags diags;
    gml_diags_init(&diags, arena);
    void *params[2] = {&out, &in};
    gml_status status = gml_emu_launch("k", j->lane, how, 1, params, &diags);
    *out_text = gml_diags_print(&diags);
    assert_null(LLVMOrcDisposeLLJIT(j->jit));
    return status;
}

static gml_status run_exchange(bool barrier, const char **out_text, gml_arena *arena)
{
    device_module m;
    begin_module(&m, GML_GPU_EMU, NULL);
    write_exchange(&m, barrier);
    jitted j = jit(&m);
    uint32_t *in = gml_emu_allocate(THREADS * 4);
    uint32_t *out = gml_emu_allocate(THREADS * 4);
    for (uint32_t i = 0; i < THREADS; i++)
        in[i] = i * 3;
    gml_status status = launch(&j, &small, out, in, out_text, arena);
    for (uint32_t i = 0; i < THREADS && status == GML_OK; i++)
        assert_int_equal(out[i], (THREADS - 1 - i) * 3);
    gml_emu_free(in);
    gml_emu_free(out);
    return status;
}

static void emulated_code_runs(void **state)
{
    (void)state;
    gml_arena arena;
    const char *text = NULL;
    gml_arena_init(&arena);
    if (run_exchange(true, &text, &arena) != GML_OK)
        fail_msg("%s", text);
    gml_arena_reset(&arena);
}

/* `short_by` bytes of the input are missing. */
static gml_status run_everything(size_t short_by, const char **out_text, gml_arena *arena)
{
    device_module m;
    begin_module(&m, GML_GPU_EMU, NULL);
    write_everything(&m);
    jitted j = jit(&m);
    uint64_t *in = gml_emu_allocate((size_t)THREADS * 16 - short_by);
    uint64_t *out = gml_emu_allocate((size_t)THREADS * 32 * 8);
    for (size_t i = 0; i < (THREADS * 16 - short_by) / 8; i++)
        in[i] = i * UINT64_C(0x100000001);
    gml_status status = launch(&j, &small, out, in, out_text, arena);
    for (uint32_t t = 0; t < THREADS && status == GML_OK; t++) {
        const uint64_t *row = out + (size_t)t * 32;
        assert_int_equal((uint32_t)row[0], t);
        assert_int_equal((uint32_t)row[1], 0);
        assert_int_equal((uint32_t)row[2], 1);
        assert_int_equal((uint32_t)row[3], t ^ 1);
        assert_true(row[4] == (t ^ 2) * UINT64_C(0x100000001));
        assert_int_equal((uint32_t)row[5], t ^ 4);
        assert_true(row[6] == (t ^ 8) * UINT64_C(0x100000001));
        for (unsigned i = 0; i < 4; i++) {
            float sum; /* of products that are 0: but for c, all is subnormal */
            memcpy(&sum, &row[7 + i], sizeof sum);
            assert_true(sum == (float)i);
        }
    }
    gml_emu_free(in);
    gml_emu_free(out);
    return status;
}

static void emulated_devices_do_everything(void **state)
{
    (void)state;
    gml_arena arena;
    const char *text = NULL;
    gml_arena_init(&arena);
    if (run_everything(0, &text, &arena) != GML_OK)
        fail_msg("%s", text);
    gml_arena_reset(&arena);
}

static uint16_t code_of(int value)
{
    float wide = (float)value;
    uint32_t bits;
    memcpy(&bits, &wide, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static void emulated_hopper_multiplies(void **state)
{
    (void)state;
    static const gml_launch how = {.threads = 128, .shared = 25600};
    gml_arena arena;
    const char *text = NULL;
    device_module m;
    gml_arena_init(&arena);
    begin_module(&m, GML_GPU_EMU, NULL);
    write_hopper(&m);
    jitted j = jit(&m);
    uint16_t *a = gml_emu_allocate(64 * 64 * 2);
    uint16_t *b = gml_emu_allocate(64 * 128 * 2);
    char *maps = gml_emu_allocate(256);
    float *out = gml_emu_allocate(128 * 64 * 4);
    gml_map_layout layout = {.dtype = GML_BF16,
                             .rank = 2,
                             .extents = {64, 64},
                             .strides = {2, 128},
                             .box = {64, 64},
                             .is_swizzled = true};
    assert_null(gml_emu_encode(&layout, a, maps));
    layout.extents[0] = 128;
    layout.strides[1] = 256;
    assert_null(gml_emu_encode(&layout, b, maps + 128));
    for (int i = 0; i < 64 * 64; i++)
        a[i] = code_of(i * 7 % 15 - 7);
    for (int i = 0; i < 64 * 128; i++)
        b[i] = code_of(i * 5 % 17 - 8);
    if (launch(&j, &how, out, maps, &text, &arena) != GML_OK)
        fail_msg("%s", text);
    for (int t = 0; t < 128; t++)
        for (int i = 0; i < 64; i++) {
            int row = t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8;
            int column = i / 4 * 8 + t % 4 * 2 + i % 2;
            int sum = 0;
            for (int k = 0; k < 64; k++)
                sum += ((row * 64 + k) * 7 % 15 - 7) * ((k * 128 + column) * 5 % 17 - 8);
            assert_true(out[t * 64 + i] == (float)sum);
        }
    gml_emu_free(a);
    gml_emu_free(b);
    gml_emu_free(maps);
    gml_emu_free(out);
    gml_arena_reset(&arena);
}

static void emulated_mistakes_are_named(void **state)
{
    (void)state;
    gml_arena arena;
    const char *text = NULL;
    gml_arena_init(&arena);
    assert_int_equal(run_exchange(false, &text, &arena), GML_E_DEVICE);
    assert_non_null(strstr(text, "kernel k, block 0, thread "));
    assert_non_null(strstr(text, "of k races: it "));
    assert_int_equal(run_everything((size_t)THREADS * 8 + 8, &text, &arena), GML_E_DEVICE);
    assert_non_null(strstr(text, "thread 63: load 1 of k reads 4 bytes at byte 504 of an "
                                 "allocation of 504 bytes"));
    gml_arena_reset(&arena);
}

int main(void)
{
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ptxas_takes_everything),
        cmocka_unit_test(ptxas_takes_hopper),
        cmocka_unit_test(shared_memory_is_known_to_be_shared),
        cmocka_unit_test(emulated_code_runs),
        cmocka_unit_test(emulated_devices_do_everything),
        cmocka_unit_test(emulated_hopper_multiplies),
        cmocka_unit_test(emulated_mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
