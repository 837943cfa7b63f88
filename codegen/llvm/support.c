/* codegen/llvm/support.c - device code into modules, unit by unit.
 *
 * A unit of bitcode is linked when it defines what the module declares without a body. Units
 * call each other, so this goes round until nothing is added; what of a unit nobody calls is
 * dropped at the end. */
#include "codegen/llvm/support.h"

#include "codegen/device_code/device_code.h"

#include <llvm-c/BitReader.h>
#include <llvm-c/Linker.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include <string.h>

static gml_loc here(void)
{
    return (gml_loc){.op = "code generation"};
}

const char *gml_support_name(const gml_backend *be, const char *name, bool is_double,
                             char out[GML_SUPPORT_NAME_MAX])
{
    const char *parts[3] = {be->gpu == GML_GPU_NONE ? "" : "gml_fn_", name,
                            is_double ? "" : "f"};
    size_t len = 0;
    for (int i = 0; i < 3; i++)
        for (const char *from = parts[i]; *from && len < GML_SUPPORT_NAME_MAX - 1; from++)
            out[len++] = *from;
    out[len] = 0;
    return out;
}

/* Whether a function is one that device code defines, and has no body yet. */
static bool is_wanted(LLVMValueRef function)
{
    size_t len = 0;
    const char *name = LLVMGetValueName2(function, &len);
    return LLVMIsDeclaration(function) && LLVMGetFirstUse(function) &&
           (strncmp(name, "gml_fn_", 7) == 0 || strncmp(name, "gml_code_", 9) == 0 ||
            strncmp(name, "gml_small_", 10) == 0);
}

static LLVMValueRef find_wanted(LLVMModuleRef module)
{
    LLVMValueRef function = LLVMGetFirstFunction(module);
    while (function && !is_wanted(function))
        function = LLVMGetNextFunction(function);
    return function;
}

static bool has_body(LLVMModuleRef module, const char *name)
{
    LLVMValueRef function = LLVMGetNamedFunction(module, name);
    return function && !LLVMIsDeclaration(function);
}

static bool defines_wanted(LLVMModuleRef unit, LLVMModuleRef module)
{
    LLVMValueRef function = LLVMGetFirstFunction(module);
    for (; function; function = LLVMGetNextFunction(function)) {
        size_t len = 0;
        if (is_wanted(function) && has_body(unit, LLVMGetValueName2(function, &len)))
            return true;
    }
    return false;
}

/* Attributes with texts name the processor that clang assumed, and stand in the way of
 * inlining. */
static void drop_texts(LLVMValueRef function)
{
    enum { GML_MOST = 32 };
    LLVMAttributeRef attributes[GML_MOST];
    LLVMAttributeIndex index = (LLVMAttributeIndex)LLVMAttributeFunctionIndex;
    unsigned n = LLVMGetAttributeCountAtIndex(function, index);
    if (n > GML_MOST)
        return;
    LLVMGetAttributesAtIndex(function, index, attributes);
    for (unsigned i = 0; i < n; i++)
        if (LLVMIsStringAttribute(attributes[i])) {
            unsigned len = 0;
            const char *kind = LLVMGetStringAttributeKind(attributes[i], &len);
            LLVMRemoveStringAttributeAtIndex(function, index, kind, len);
        }
}

static LLVMModuleRef read_unit(gml_backend *be, const gml_bitcode *code)
{
    LLVMModuleRef unit = NULL;
    LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRange(
        (const char *)code->bytes, code->size, code->name, 0);
    bool failed = LLVMParseBitcodeInContext2(be->context, buffer, &unit) != 0;
    LLVMDisposeMemoryBuffer(buffer);
    return failed ? NULL : unit;
}

/* Makes the functions of `unit` internal ones of the module. Takes the unit. */
static gml_status link_unit(gml_backend *be, LLVMModuleRef unit, const char *name,
                            gml_diags *diags)
{
    gml_vec(char *) added = {0};
    gml_arena arena;
    gml_arena_init(&arena);
    LLVMValueRef function = LLVMGetFirstFunction(unit);
    for (; function; function = LLVMGetNextFunction(function)) {
        size_t len = 0;
        const char *text = LLVMGetValueName2(function, &len);
        drop_texts(function);
        if (!LLVMIsDeclaration(function))
            gml_push(&arena, &added, gml_arena_text(&arena, text, len));
    }
    LLVMSetTarget(unit, LLVMGetTarget(be->module));
    LLVMSetDataLayout(unit, LLVMGetDataLayoutStr(be->module));
    bool failed = LLVMLinkModules2(be->module, unit) != 0;
    for (size_t i = 0; i < added.count && !failed; i++) {
        function = LLVMGetNamedFunction(be->module, added.items[i]);
        if (function)
            LLVMSetLinkage(function, LLVMInternalLinkage);
    }
    gml_arena_reset(&arena);
    return failed ? gml_fail(diags, GML_E_INTERNAL, here(), "device code of %s does not link",
                             name)
                  : GML_OK;
}

/* One round over the units. */
static gml_status link_wanted(gml_backend *be, bool *out_any, gml_diags *diags)
{
    for (size_t i = 0; i < gml_n_device_bitcode && find_wanted(be->module); i++) {
        const gml_bitcode *code = &gml_device_bitcode[i];
        LLVMModuleRef unit = read_unit(be, code);
        if (!unit)
            return gml_fail(diags, GML_E_INTERNAL, here(), "bitcode of %s is not readable",
                            code->name);
        if (!defines_wanted(unit, be->module)) {
            LLVMDisposeModule(unit);
            continue;
        }
        GML_TRY(link_unit(be, unit, code->name, diags));
        *out_any = true;
    }
    return GML_OK;
}

static gml_status drop_unused(gml_backend *be, gml_diags *diags)
{
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(be->module, "globaldce", NULL, options);
    LLVMDisposePassBuilderOptions(options);
    if (!error)
        return GML_OK;
    char *message = LLVMGetErrorMessage(error);
    gml_status status = gml_fail(diags, GML_E_INTERNAL, here(), "%s", message);
    LLVMDisposeErrorMessage(message);
    return status;
}

gml_status gml_backend_link_support(gml_backend *be, gml_diags *diags)
{
    bool any = true;
    bool ever = false;
    while (any) {
        any = false;
        GML_TRY(link_wanted(be, &any, diags));
        ever |= any;
    }
    LLVMValueRef missing = find_wanted(be->module);
    if (missing) {
        size_t len = 0;
        gml_status status =
            gml_fail(diags, GML_E_UNSUPPORTED, here(), "there is no device code of %s",
                     LLVMGetValueName2(missing, &len));
        if (gml_n_device_bitcode == 0)
            gml_note(diags, "gemel was built without clang, which compiles it: install "
                            "clang-14 and build again");
        return status;
    }
    return ever ? drop_unused(be, diags) : GML_OK;
}

const gml_code_function *gml_support_functions(size_t *out_count)
{
    static const gml_code_function functions[] = {
#define X(name, arguments)                                                                     \
    {"gml_fn_" #name, (void (*)(void))gml_fn_##name},                                          \
        {"gml_fn_" #name "f", (void (*)(void))gml_fn_##name##f},
#include "codegen/device_code/functions.def"
#undef X
    };
    *out_count = sizeof functions / sizeof *functions;
    return functions;
}
