/* tests/unit/test_device_link.c - device code inside of CUDA modules: nothing is unresolved,
 * nothing is superfluous, and ptxas, where it is installed, takes it. */
#define _POSIX_C_SOURCE 200809L
#include "codegen/device_code/device_code.h"
#include "codegen/llvm/support.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct kit {
    gml_arena arena;
    gml_diags diags;
    gml_backend be;
    LLVMTargetMachineRef machine;
} kit;

static void kit_init(kit *k, const char *cpu)
{
    static const char triple[] = "nvptx64-nvidia-cuda";
    LLVMTargetRef target = NULL;
    char *message = NULL;
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    *k = (kit){0};
    gml_arena_init(&k->arena);
    gml_diags_init(&k->diags, &k->arena);
    assert_false(LLVMGetTargetFromTriple(triple, &target, &message));
    k->machine = LLVMCreateTargetMachine(target, triple, cpu, "+ptx78", LLVMCodeGenLevelDefault,
                                         LLVMRelocDefault, LLVMCodeModelDefault);
    gml_backend *be = &k->be;
    be->gpu = GML_GPU_CUDA;
    be->context = LLVMContextCreate();
    be->module = LLVMModuleCreateWithNameInContext("test", be->context);
    be->i32 = LLVMInt32TypeInContext(be->context);
    be->i64 = LLVMInt64TypeInContext(be->context);
    be->f32 = LLVMFloatTypeInContext(be->context);
    be->f64 = LLVMDoubleTypeInContext(be->context);
    be->ptr = LLVMPointerTypeInContext(be->context, 0);
    be->none = LLVMVoidTypeInContext(be->context);
    LLVMSetTarget(be->module, triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(k->machine);
    LLVMSetModuleDataLayout(be->module, layout);
    LLVMDisposeTargetData(layout);
}

static void kit_reset(kit *k)
{
    LLVMDisposeModule(k->be.module);
    LLVMDisposeTargetMachine(k->machine);
    LLVMContextDispose(k->be.context);
    gml_arena_reset(&k->arena);
}

/* void call_NAME(TYPE *p) { *p = NAME(p[0], p[1], …); } with arguments of the types given. */
static void add_call(gml_backend *be, const char *name, LLVMTypeRef result, unsigned n,
                     LLVMTypeRef *types)
{
    char caller[64];
    LLVMValueRef args[3];
    snprintf(caller, sizeof caller, "call_%s", name);
    LLVMTypeRef type = LLVMFunctionType(result, types, n, 0);
    LLVMValueRef callee = LLVMAddFunction(be->module, name, type);
    LLVMValueRef function =
        LLVMAddFunction(be->module, caller, LLVMFunctionType(be->none, &be->ptr, 1, 0));
    LLVMBuilderRef b = LLVMCreateBuilderInContext(be->context);
    LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(be->context, function, ""));
    LLVMValueRef p = LLVMGetParam(function, 0);
    for (unsigned i = 0; i < n; i++) {
        LLVMValueRef at = LLVMConstInt(be->i64, i, 0);
        args[i] = LLVMBuildLoad2(b, types[i], LLVMBuildGEP2(b, be->f64, p, &at, 1, ""), "");
    }
    LLVMBuildStore(b, LLVMBuildCall2(b, type, callee, args, n, ""), p);
    LLVMBuildRetVoid(b);
    LLVMDisposeBuilder(b);
}

static void add_function(gml_backend *be, const char *name, bool is_double, unsigned n)
{
    char room[GML_SUPPORT_NAME_MAX];
    LLVMTypeRef type = is_double ? be->f64 : be->f32;
    LLVMTypeRef types[2] = {type, type};
    add_call(be, gml_support_name(be, name, is_double, room), type, n, types);
}

static void add_all(gml_backend *be)
{
#define X(name, arguments)                                                                     \
    add_function(be, #name, true, arguments);                                                  \
    add_function(be, #name, false, arguments);
#include "codegen/device_code/functions.def"
#undef X
    LLVMTypeRef decode[2] = {be->i32, be->i32};
    LLVMTypeRef encode[2] = {be->i32, be->f32};
    LLVMTypeRef cast[3] = {be->i32, be->f64, be->i32};
    LLVMTypeRef power[3] = {be->i64, be->i64, be->i64};
    add_call(be, "gml_code_small_decode", be->f32, 2, decode);
    add_call(be, "gml_code_small_encode", be->i32, 2, encode);
    add_call(be, "gml_code_small_cast", be->f32, 3, cast);
    add_call(be, "gml_code_int_power", be->i64, 3, power);
}

/* Whether every function but LLVM's own has a body; counts those that do. */
static bool is_closed(gml_backend *be, unsigned *out_bodies)
{
    bool closed = true;
    *out_bodies = 0;
    LLVMValueRef function = LLVMGetFirstFunction(be->module);
    for (; function; function = LLVMGetNextFunction(function)) {
        size_t len = 0;
        const char *name = LLVMGetValueName2(function, &len);
        if (!LLVMIsDeclaration(function))
            ++*out_bodies;
        else if (strncmp(name, "llvm.", 5) != 0)
            closed = false;
    }
    return closed;
}

static void assemble(kit *k, const char *cpu)
{
    char path[] = "/tmp/gemel-device-XXXXXX";
    char command[128];
    char *message = NULL;
    LLVMMemoryBufferRef text = NULL;
    assert_false(LLVMTargetMachineEmitToMemoryBuffer(k->machine, k->be.module, LLVMAssemblyFile,
                                                     &message, &text));
    /* roundings are spelled out, so that ptxas does not fuse what must not be fused */
    assert_non_null(strstr(LLVMGetBufferStart(text), "add.rn.f64"));
    assert_null(strstr(LLVMGetBufferStart(text), "add.f64"));
    assert_null(strstr(LLVMGetBufferStart(text), "mul.f64"));
    assert_null(strstr(LLVMGetBufferStart(text), ".extern"));
    int file = mkstemp(path);
    assert_true(file >= 0);
    size_t size = LLVMGetBufferSize(text);
    assert_true(write(file, LLVMGetBufferStart(text), size) == (ssize_t)size);
    close(file);
    LLVMDisposeMemoryBuffer(text);
    snprintf(command, sizeof command, "ptxas -arch=%s -o /dev/null %s", cpu, path);
    int status = system("command -v ptxas >/dev/null") == 0 ? system(command) : 0;
    unlink(path);
    assert_int_equal(status, 0);
}

static void all_is_linked(void **state)
{
    static const char *const cpus[] = {"sm_80", "sm_90"};
    (void)state;
    if (gml_n_device_bitcode == 0)
        skip();
    for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++) {
        kit k;
        unsigned bodies = 0;
        kit_init(&k, cpus[i]);
        add_all(&k.be);
        assert_int_equal(gml_backend_link_support(&k.be, &k.diags), GML_OK);
        assert_int_equal(gml_backend_link_support(&k.be, &k.diags), GML_OK);
        assert_false(LLVMVerifyModule(k.be.module, LLVMPrintMessageAction, NULL));
        assert_true(is_closed(&k.be, &bodies));
        assemble(&k, cpus[i]);
        kit_reset(&k);
    }
}

static void only_what_is_called_is_linked(void **state)
{
    (void)state;
    kit k;
    unsigned bodies = 0;
    if (gml_n_device_bitcode == 0)
        skip();
    kit_init(&k, "sm_80");
    assert_int_equal(gml_backend_link_support(&k.be, &k.diags), GML_OK);
    assert_true(is_closed(&k.be, &bodies));
    assert_int_equal(bodies, 0);
    add_function(&k.be, "pow", true, 2);
    assert_int_equal(gml_backend_link_support(&k.be, &k.diags), GML_OK);
    assert_true(is_closed(&k.be, &bodies));
    assert_true(bodies >= 2 && bodies <= 5); /* caller, pow, its exponential and logarithm */
    assert_null(LLVMGetNamedFunction(k.be.module, "gml_fn_log"));
    kit_reset(&k);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    kit k;
    kit_init(&k, "sm_80");
    add_function(&k.be, "tgamma", true, 1);
    assert_int_equal(gml_backend_link_support(&k.be, &k.diags), GML_E_UNSUPPORTED);
    assert_non_null(strstr(gml_diags_print(&k.diags), "gml_fn_tgamma"));
    kit_reset(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_linked),
        cmocka_unit_test(only_what_is_called_is_linked),
        cmocka_unit_test(what_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
