/* codegen/llvm/module.c - the LLVM module of a program: target, passes, object, jit.
 *
 * The module is optimised lightly (it is written as vectors with invariants hoisted already)
 * and turned into one object, which is either linked into this process or handed out. */
#include "codegen/llvm/device.h"
#include "codegen/llvm/gpu.h"
#include "codegen/llvm/kernel.h"
#include "codegen/llvm/support.h"
#include "runtime/emu.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct gml_codegen {
    gml_backend be;
    gml_arena arena;
    LLVMTargetMachineRef machine;
    const char *cpu;
    const char *features;
    const char *prefix;
    bool optimised;
    gml_map codes; /* by the kernel's text */
    unsigned n_kernels;
};

struct gml_jit {
    LLVMOrcLLJITRef jit;
};

static pthread_once_t targets_once = PTHREAD_ONCE_INIT;

static void initialise_targets(void)
{
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
#if LLVM_HAS_AARCH64_TARGET
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
#endif
}

static gml_loc here(void)
{
    return (gml_loc){.op = "code generation"};
}

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

/* Whether a processor is known, and of the triple's architecture. */
static gml_status check_cpu(const char *triple, const char *cpu, gml_diags *diags)
{
    static const struct {
        const char *architecture, *name;
    } known[] = {
#define X(architecture, name) {architecture, name},
#include "codegen/llvm/cpus.def"
#undef X
    };
    gml_str names;
    gml_str_init(&names);
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strncmp(triple, known[i].architecture, strlen(known[i].architecture)) != 0)
            continue;
        found = found || strcmp(cpu, known[i].name) == 0;
        gml_str_printf(&names, "%s%s", names.len ? ", " : "", known[i].name);
    }
    gml_status status = GML_OK;
    if (!found)
        status =
            gml_fail(diags, GML_E_UNSUPPORTED, here(), "the processor '%s' is not known%s%s",
                     cpu, names.len ? "; these are: " : " for this kind of machine",
                     names.len ? names.text : "");
    gml_str_reset(&names);
    return status;
}

static gml_status create_machine(gml_codegen *cg, const gml_target *target, gml_diags *diags)
{
    const char *named = target ? target->triple : NULL;
    if (cg->be.gpu == GML_GPU_CUDA)
        named = "nvptx64-nvidia-cuda";
    char *triple = named ? LLVMCreateMessage(named) : LLVMGetDefaultTargetTriple();
    LLVMTargetRef llvm_target = NULL;
    char *error = NULL;
    if (LLVMGetTargetFromTriple(triple, &llvm_target, &error)) {
        gml_status status =
            gml_fail(diags, GML_E_UNSUPPORTED, here(), "no code can be made for %s: %s", triple,
                     error ? error : "unknown target");
        LLVMDisposeMessage(error);
        LLVMDisposeMessage(triple);
        return status;
    }
    if (target && target->cpu && cg->be.gpu != GML_GPU_EMU) {
        gml_status status = check_cpu(triple, target->cpu, diags);
        if (status != GML_OK) {
            LLVMDisposeMessage(triple);
            return status;
        }
    }
    bool fast = target && target->fast_compile;
    cg->machine = LLVMCreateTargetMachine(llvm_target, triple, cg->cpu, cg->features,
                                          fast ? LLVMCodeGenLevelLess : LLVMCodeGenLevelDefault,
                                          LLVMRelocPIC, LLVMCodeModelDefault);
    LLVMSetTarget(cg->be.module, triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(cg->machine);
    LLVMSetModuleDataLayout(cg->be.module, layout);
    LLVMDisposeTargetData(layout);
    LLVMDisposeMessage(triple);
    return GML_OK;
}

static char *keep_message(gml_codegen *cg, char *text)
{
    if (!text)
        gml_out_of_memory(1); /* what LLVM answers then */
    char *kept = gml_arena_text(&cg->arena, text, strlen(text));
    LLVMDisposeMessage(text);
    return kept;
}

/* The names of this machine, and of the one that code is for. */
static void choose_machine(gml_codegen *cg, const gml_target *target)
{
    bool elsewhere = target && (target->triple || target->gpu == GML_GPU_CUDA);
    cg->be.gpu = target ? target->gpu : GML_GPU_NONE;
    cg->be.precision = target ? target->precision : GML_PRECISION_HIGHEST;
    cg->be.omit = target ? target->omit : 0;
    cg->be.host_cpu = keep_message(cg, LLVMGetHostCPUName());
    cg->be.host_features = keep_message(cg, LLVMGetHostCPUFeatures());
    cg->be.is_elsewhere = elsewhere;
    cg->be.is_host = !elsewhere && (!target || !target->cpu || cg->be.gpu == GML_GPU_EMU);
    cg->cpu = elsewhere ? "generic" : cg->be.host_cpu;
    if (target && target->cpu && cg->be.gpu != GML_GPU_EMU)
        cg->cpu = gml_arena_text(&cg->arena, target->cpu, strlen(target->cpu));
    cg->prefix = "";
    if (target && target->prefix)
        cg->prefix = gml_arena_text(&cg->arena, target->prefix, strlen(target->prefix));
    cg->features = cg->be.is_host ? cg->be.host_features : "";
    if (cg->be.gpu == GML_GPU_CUDA) {
        cg->cpu = target->cpu ? cg->cpu : "sm_80";
        cg->features = "+ptx80"; /* of CUDA 12.0 and its drivers, and all later ones */
        if (strncmp(cg->cpu, "sm_", 3) == 0)
            cg->be.architecture = (unsigned)strtoul(cg->cpu + 3, NULL, 10);
        cg->be.has_wgmma = strcmp(cg->cpu, "sm_90a") == 0;
    }
    if (cg->be.gpu == GML_GPU_EMU)
        cg->be.has_wgmma = !target->cpu || strcmp(target->cpu, "sm_90a") == 0;
    if (target && target->features)
        cg->features = gml_arena_text(&cg->arena, target->features, strlen(target->features));
}

gml_status gml_codegen_create(const gml_target *target, gml_codegen **out_codegen,
                              gml_diags *diags)
{
    *out_codegen = NULL;
    pthread_once(&targets_once, initialise_targets);
    gml_codegen *cg = calloc(1, sizeof *cg);
    if (!cg)
        return gml_fail(diags, GML_E_MEMORY, here(), "no memory for code generation");
    gml_arena_init(&cg->arena);
    gml_map_init(&cg->codes, &cg->arena);
    choose_machine(cg, target);
    cg->be.context = LLVMContextCreate();
    cg->be.module = LLVMModuleCreateWithNameInContext("gemel", cg->be.context);
    set_types(&cg->be);
    gml_status status = create_machine(cg, target, diags);
    if (status != GML_OK) {
        gml_codegen_destroy(cg);
        return status;
    }
    gml_backend_probe(&cg->be, cg->machine);
    if (cg->be.gpu != GML_GPU_NONE)
        cg->be.vector_bytes = 16;
    *out_codegen = cg;
    return GML_OK;
}

void gml_codegen_destroy(gml_codegen *cg)
{
    if (!cg)
        return;
    if (cg->machine)
        LLVMDisposeTargetMachine(cg->machine);
    if (cg->be.module)
        LLVMDisposeModule(cg->be.module);
    LLVMContextDispose(cg->be.context);
    gml_arena_reset(&cg->arena);
    free(cg);
}

static void add_attribute(gml_backend *be, LLVMValueRef function, const char *name,
                          const char *value)
{
    LLVMAttributeRef attribute = LLVMCreateStringAttribute(
        be->context, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            attribute);
}

void gml_backend_mark_function(gml_backend *be, LLVMValueRef function)
{
    add_attribute(be, function, "prefer-vector-width", be->vector_bytes == 64 ? "512" : "256");
    add_attribute(be, function, "min-legal-vector-width",
                  be->vector_bytes == 64 ? "512" : "256");
    unsigned kind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(be->context, kind, 0));
}

/* {function, name, value}, which is how NVPTX learns what its calling convention does not say.
 */
static void annotate(gml_backend *be, LLVMValueRef function, const char *name,
                     LLVMMetadataRef value)
{
    LLVMMetadataRef parts[3] = {
        LLVMValueAsMetadata(function),
        LLVMMDStringInContext2(be->context, name, strlen(name)),
        value,
    };
    LLVMMetadataRef node = LLVMMDNodeInContext2(be->context, parts, 3);
    LLVMAddNamedMetadataOperand(be->module, "nvvm.annotations",
                                LLVMMetadataAsValue(be->context, node));
}

static LLVMMetadataRef number_of(gml_backend *be, unsigned value)
{
    return LLVMValueAsMetadata(LLVMConstInt(be->i32, value, 0));
}

#define GML_PTX_KERNEL_CALL 71 /* LLVM's number of the calling convention */

void gml_backend_mark_gpu_kernel(gml_backend *be, LLVMValueRef function, unsigned threads,
                                 unsigned blocks)
{
    unsigned kind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(be->context, kind, 0));
    if (be->gpu != GML_GPU_CUDA)
        return;
    LLVMSetFunctionCallConv(function, GML_PTX_KERNEL_CALL);
    annotate(be, function, "maxntidx", number_of(be, threads));
    /* without it ptxas spills at times for more blocks than were asked for */
    annotate(be, function, "minctasm", number_of(be, blocks > 0 ? blocks : 1));
}

/* The last parameters: 128 bytes each that no thread writes, so that copies read them where
 * they are. */
void gml_backend_mark_maps(gml_backend *be, LLVMValueRef function, unsigned n)
{
    unsigned n_params = LLVMCountParams(function);
    unsigned byval = LLVMGetEnumAttributeKindForName("byval", 5);
    unsigned align = LLVMGetEnumAttributeKindForName("align", 5);
    LLVMMetadataRef numbers[8];
    if (be->gpu != GML_GPU_CUDA || n == 0)
        return;
    for (unsigned i = 0; i < n; i++) {
        unsigned number = n_params - n + i + 1; /* from 1 on */
        LLVMTypeRef words = LLVMArrayType2(be->i64, GML_MAP_BYTES / 8);
        LLVMAddAttributeAtIndex(function, number,
                                LLVMCreateTypeAttribute(be->context, byval, words));
        LLVMAddAttributeAtIndex(function, number,
                                LLVMCreateEnumAttribute(be->context, align, 64));
        numbers[i] = LLVMValueAsMetadata(LLVMConstInt(be->i32, number, 0));
    }
    annotate(be, function, "grid_constant", LLVMMDNodeInContext2(be->context, numbers, n));
}

void gml_backend_mark_ahead(gml_backend *be, LLVMValueRef function)
{
    if (be->is_host || be->is_elsewhere)
        return;
    add_attribute(be, function, "target-cpu", be->host_cpu);
    add_attribute(be, function, "target-features", be->host_features);
}

/* Dims are copied by value; everything else must outlive the kernel's arena. */
static gml_code *keep_code(gml_codegen *cg, const gml_code *code)
{
    gml_arena *arena = &cg->arena;
    gml_code *kept = gml_arena_copy(arena, code, sizeof *code);
    gml_code_phase *phases =
        gml_arena_copy(arena, code->phases, code->n_phases * sizeof *phases);
    gml_code_pack *packs = gml_arena_copy(arena, code->packs, code->n_packs * sizeof *packs);
    for (unsigned i = 0; i < code->n_phases; i++) {
        gml_cost *cost = &phases[i].cost;
        phases[i].symbol = gml_arena_text(arena, phases[i].symbol, strlen(phases[i].symbol));
        cost->accesses =
            gml_arena_copy(arena, cost->accesses, cost->n_accesses * sizeof *cost->accesses);
        phases[i].maps = gml_arena_copy(arena, phases[i].maps,
                                        phases[i].launch.n_maps * sizeof *phases[i].maps);
    }
    for (unsigned i = 0; i < code->n_packs; i++)
        packs[i].symbol = gml_arena_text(arena, packs[i].symbol, strlen(packs[i].symbol));
    kept->phases = phases;
    kept->packs = packs;
    kept->temporaries = gml_arena_copy(arena, code->temporaries,
                                       code->n_temporaries * sizeof *code->temporaries);
    return kept;
}

gml_status gml_codegen_add(gml_codegen *cg, gml_kernel *kernel, uint64_t constants,
                           gml_code *out_code, gml_diags *diags)
{
    gml_str key;
    gml_str_init(&key);
    gml_str_printf(&key, "%llx ", (unsigned long long)constants);
    gml_kernel_print(kernel, &key);
    const gml_code *known = gml_map_find_len(&cg->codes, key.text, key.len);
    gml_status status = GML_OK;
    if (known) {
        *out_code = *known;
    } else {
        const char *symbol =
            gml_arena_printf(&cg->arena, "gml_%sk%u", cg->prefix, cg->n_kernels++);
        gml_code code;
        status = cg->be.gpu == GML_GPU_NONE
                     ? gml_emit_kernel(&cg->be, kernel, symbol, constants, &code, diags)
                     : gml_gpu_emit_kernel(&cg->be, kernel, symbol, &code, diags);
        if (status == GML_OK) {
            gml_code *kept = keep_code(cg, &code);
            gml_map_set(&cg->codes, key.text, kept);
            *out_code = *kept;
        }
    }
    gml_str_reset(&key);
    return status;
}

unsigned gml_codegen_meetings(const gml_codegen *cg)
{
    return cg->be.n_meetings;
}

static gml_status optimise(gml_codegen *cg, gml_diags *diags)
{
    char *text = NULL;
    if (cg->optimised)
        return GML_OK;
    cg->optimised = true;
    if (cg->be.gpu == GML_GPU_EMU)
        gml_dev_check_accesses(&cg->be);
    if (cg->be.gpu == GML_GPU_CUDA)
        GML_TRY(gml_backend_link_support(&cg->be, diags));
    if (LLVMVerifyModule(cg->be.module, LLVMReturnStatusAction, &text)) {
        gml_status status =
            gml_fail(diags, GML_E_INTERNAL, here(), "generated code is malformed: %s", text);
        LLVMDisposeMessage(text);
        return status;
    }
    LLVMDisposeMessage(text);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    bool is_gpu = cg->be.gpu != GML_GPU_NONE;
    LLVMErrorRef error = LLVMRunPasses(
        cg->be.module,
        is_gpu ? "always-inline,"
                 "function(sroa,early-cse,instcombine<no-verify-fixpoint>,simplifycfg),"
                 "globaldce"
               : "function(sroa,early-cse,instcombine<no-verify-fixpoint>,simplifycfg)",
        cg->machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (!error)
        return GML_OK;
    char *message = LLVMGetErrorMessage(error);
    gml_status status = gml_fail(diags, GML_E_INTERNAL, here(), "%s", message);
    LLVMDisposeErrorMessage(message);
    return status;
}

static gml_status emit(gml_codegen *cg, LLVMCodeGenFileType form, LLVMMemoryBufferRef *out,
                       gml_diags *diags)
{
    char *text = NULL;
    GML_TRY(optimise(cg, diags));
    if (!LLVMTargetMachineEmitToMemoryBuffer(cg->machine, cg->be.module, form, &text, out))
        return GML_OK;
    gml_status status = gml_fail(diags, GML_E_INTERNAL, here(), "%s", text);
    LLVMDisposeMessage(text);
    return status;
}

gml_status gml_codegen_object(gml_codegen *cg, gml_str *out_object, gml_diags *diags)
{
    LLVMMemoryBufferRef buffer = NULL;
    GML_TRY(emit(cg, LLVMObjectFile, &buffer, diags));
    gml_str_append(out_object, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
    LLVMDisposeMemoryBuffer(buffer);
    return GML_OK;
}

gml_status gml_codegen_print(gml_codegen *cg, const char *form, gml_str *out, gml_diags *diags)
{
    if (strcmp(form, "llvm") == 0) {
        GML_TRY(optimise(cg, diags));
        char *text = LLVMPrintModuleToString(cg->be.module);
        gml_str_puts(out, text);
        LLVMDisposeMessage(text);
        return GML_OK;
    }
    LLVMMemoryBufferRef buffer = NULL;
    GML_TRY(emit(cg, LLVMAssemblyFile, &buffer, diags));
    gml_str_append(out, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
    LLVMDisposeMemoryBuffer(buffer);
    return GML_OK;
}

/* ---- code in this process -----------------------------------------------------------------
 */

static gml_status orc_failure(LLVMErrorRef error, gml_diags *diags)
{
    char *message = LLVMGetErrorMessage(error);
    gml_status status = gml_fail(diags, GML_E_INTERNAL, here(), "%s", message);
    LLVMDisposeErrorMessage(message);
    return status;
}

/* gemel's own functions by address, so that the executable need not export them. */
static LLVMErrorRef define(LLVMOrcLLJITRef jit, LLVMOrcJITDylibRef library,
                           const gml_code_function *functions, size_t n)
{
    LLVMOrcCSymbolMapPair *pairs = calloc(n, sizeof *pairs);
    if (!pairs)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        pairs[i].Name = LLVMOrcLLJITMangleAndIntern(jit, functions[i].name);
        pairs[i].Sym.Address = (LLVMOrcExecutorAddress)(uintptr_t)functions[i].address;
        pairs[i].Sym.Flags.GenericFlags =
            LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable;
        pairs[i].Sym.Flags.TargetFlags = 0;
    }
    LLVMErrorRef error = LLVMOrcJITDylibDefine(library, LLVMOrcAbsoluteSymbols(pairs, n));
    free(pairs);
    return error;
}

static LLVMErrorRef define_support(LLVMOrcLLJITRef jit, LLVMOrcJITDylibRef library)
{
    size_t n = 0;
    const gml_code_function *functions = gml_code_functions(&n);
    LLVMErrorRef error = define(jit, library, functions, n);
    if (error)
        return error;
    functions = gml_support_functions(&n);
    error = define(jit, library, functions, n);
    if (error)
        return error;
    functions = gml_emu_functions(&n);
    return define(jit, library, functions, n);
}

static LLVMErrorRef fill_jit(LLVMOrcLLJITRef jit, LLVMMemoryBufferRef object)
{
    LLVMOrcJITDylibRef library = LLVMOrcLLJITGetMainJITDylib(jit);
    LLVMOrcDefinitionGeneratorRef process = NULL;
    LLVMErrorRef error = define_support(jit, library);
    if (!error)
        error = LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
            &process, LLVMOrcLLJITGetGlobalPrefix(jit), NULL, NULL);
    if (error) {
        LLVMDisposeMemoryBuffer(object);
        return error;
    }
    LLVMOrcJITDylibAddGenerator(library, process);
    return LLVMOrcLLJITAddObjectFile(jit, library, object);
}

gml_status gml_codegen_jit(gml_codegen *cg, gml_jit **out_jit, gml_diags *diags)
{
    LLVMMemoryBufferRef object = NULL;
    LLVMOrcLLJITRef lljit = NULL;
    *out_jit = NULL;
    GML_TRY(emit(cg, LLVMObjectFile, &object, diags));
    LLVMErrorRef error = LLVMOrcCreateLLJIT(&lljit, NULL);
    if (error) {
        LLVMDisposeMemoryBuffer(object);
        return orc_failure(error, diags);
    }
    gml_jit *jit = calloc(1, sizeof *jit);
    error = fill_jit(lljit, object);
    if (error || !jit) {
        free(jit);
        gml_status status = error ? orc_failure(error, diags)
                                  : gml_fail(diags, GML_E_MEMORY, here(), "no memory");
        error = LLVMOrcDisposeLLJIT(lljit);
        return error ? orc_failure(error, diags) : status;
    }
    jit->jit = lljit;
    *out_jit = jit;
    return GML_OK;
}

static uintptr_t find(const gml_jit *jit, const char *symbol)
{
    LLVMOrcExecutorAddress address = 0;
    LLVMErrorRef error = LLVMOrcLLJITLookup(jit->jit, &address, symbol);
    if (error) {
        LLVMConsumeError(error);
        return 0;
    }
    return (uintptr_t)address;
}

gml_phase_fn gml_jit_find(const gml_jit *jit, const char *symbol)
{
    return (gml_phase_fn)find(jit, symbol);
}

gml_lane_fn gml_jit_find_lane(const gml_jit *jit, const char *symbol)
{
    return (gml_lane_fn)find(jit, symbol);
}

void gml_jit_destroy(gml_jit *jit)
{
    if (!jit)
        return;
    LLVMErrorRef error = LLVMOrcDisposeLLJIT(jit->jit);
    if (error)
        LLVMConsumeError(error);
    free(jit);
}
