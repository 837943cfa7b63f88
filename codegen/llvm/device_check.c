/* codegen/llvm/device_check.c - what the emulator asks before every access of a kernel.
 *
 * A call before each load, store, masked or scattered access, copy of memory, and atomic
 * operation. What cannot go wrong is left out: stack variables, the module's own tables, and
 * parameters. So are functions that run as a CPU's phases, such as those that pack constants.
 */
#include "codegen/llvm/device.h"
#include "runtime/emu_calls.h"

#include <llvm-c/Target.h>

#include <stdio.h>
#include <string.h>

typedef struct checker {
    gml_backend *be;
    LLVMBuilderRef b;
    LLVMTargetDataRef layout;
    LLVMTypeRef type, masked_type;
    LLVMValueRef check, masked_check;
    LLVMValueRef function;
    LLVMValueRef given; /* a lane function's parameters, or NULL */
    unsigned n_sites;
} checker;

/* An access, or one of several that an instruction makes. */
typedef struct place {
    LLVMValueRef instruction;
    LLVMValueRef pointer;
    LLVMValueRef bytes; /* i64; of a masked access, an element's */
    unsigned align;
    unsigned kind;
    LLVMValueRef mask; /* i64, or NULL */
} place;

/* ---- what is left out ---------------------------------------------------------------------
 */

/* The value that a pointer was computed from. */
static LLVMValueRef base_of(LLVMValueRef pointer)
{
    for (;;) {
        LLVMOpcode opcode = LLVMRet;
        if (LLVMIsAInstruction(pointer))
            opcode = LLVMGetInstructionOpcode(pointer);
        else if (LLVMIsAConstantExpr(pointer))
            opcode = LLVMGetConstOpcode(pointer);
        if (opcode != LLVMGetElementPtr && opcode != LLVMBitCast && opcode != LLVMAddrSpaceCast)
            return pointer;
        pointer = LLVMGetOperand(pointer, 0);
    }
}

static bool is_safe(const checker *c, LLVMValueRef pointer)
{
    LLVMValueRef base = base_of(pointer);
    if (LLVMIsAAllocaInst(base) || LLVMIsAGlobalVariable(base))
        return true;
    if (!c->given)
        return false;
    return base == c->given ||
           (LLVMIsALoadInst(base) && base_of(LLVMGetOperand(base, 0)) == c->given);
}

static bool is_phase_of_cpu(const checker *c, LLVMTypeRef type)
{
    LLVMTypeRef types[5];
    if (LLVMCountParamTypes(type) != 5)
        return false;
    LLVMGetParamTypes(type, types);
    return types[2] == c->be->i64 && types[3] == c->be->i64 && types[4] == c->be->ptr;
}

/* ---- calls --------------------------------------------------------------------------------
 */

static LLVMValueRef site_of(checker *c, const place *p)
{
    static const char *const words[] = {"load", "store", "atomic access"};
    char text[256];
    size_t len = 0;
    size_t base_len = 0;
    const char *function = LLVMGetValueName2(c->function, &len);
    const char *base = LLVMGetValueName2(base_of(p->pointer), &base_len);
    snprintf(text, sizeof text, "%s %u of %s%s%s%s", words[p->kind], ++c->n_sites, function,
             base_len ? " (" : "", base, base_len ? ")" : "");
    return LLVMBuildGlobalStringPtr(c->b, text, "site");
}

static void add_check(checker *c, const place *p)
{
    gml_backend *be = c->be;
    LLVMValueRef args[6] = {p->pointer, p->bytes, LLVMConstInt(be->i32, p->align, 0),
                            LLVMConstInt(be->i32, p->kind, 0)};
    unsigned n = 4;
    if (is_safe(c, p->pointer))
        return;
    LLVMPositionBuilderBefore(c->b, p->instruction);
    if (LLVMGetPointerAddressSpace(LLVMTypeOf(p->pointer)) != 0)
        args[0] = LLVMBuildAddrSpaceCast(c->b, p->pointer, be->ptr, "");
    if (p->mask)
        args[n++] = p->mask;
    args[n++] = site_of(c, p);
    LLVMBuildCall2(c->b, p->mask ? c->masked_type : c->type,
                   p->mask ? c->masked_check : c->check, args, n, "");
}

static LLVMValueRef size_of(const checker *c, LLVMTypeRef type)
{
    return LLVMConstInt(c->be->i64, LLVMStoreSizeOfType(c->layout, type), 0);
}

static void check_plain(checker *c, LLVMValueRef instruction, LLVMTypeRef type,
                        unsigned pointer, unsigned kind)
{
    place p = {instruction,
               LLVMGetOperand(instruction, pointer),
               size_of(c, type),
               LLVMGetAlignment(instruction),
               kind,
               NULL};
    add_check(c, &p);
}

/* llvm.masked.load and .store, with one pointer; .gather and .scatter, with a pointer a lane.
 */
static void check_masked(checker *c, LLVMValueRef call, bool is_store, bool many)
{
    gml_backend *be = c->be;
    unsigned first = is_store ? 1 : 0;
    LLVMValueRef pointer = LLVMGetOperand(call, first);
    LLVMValueRef align = LLVMGetOperand(call, first + 1);
    LLVMValueRef mask = LLVMGetOperand(call, first + 2);
    LLVMTypeRef type = LLVMTypeOf(is_store ? LLVMGetOperand(call, 0) : call);
    unsigned lanes = LLVMGetVectorSize(type);
    place p = {call,
               pointer,
               size_of(c, LLVMGetElementType(type)),
               (unsigned)LLVMConstIntGetZExtValue(align),
               is_store ? GML_EMU_STORE : GML_EMU_LOAD,
               NULL};
    LLVMPositionBuilderBefore(c->b, call);
    if (!many) {
        mask = LLVMBuildBitCast(c->b, mask, LLVMIntTypeInContext(be->context, lanes), "");
        p.mask = LLVMBuildZExt(c->b, mask, be->i64, "");
        add_check(c, &p);
        return;
    }
    for (unsigned lane = 0; lane < lanes; lane++) {
        LLVMValueRef number = LLVMConstInt(be->i32, lane, 0);
        LLVMPositionBuilderBefore(c->b, call);
        p.pointer = LLVMBuildExtractElement(c->b, pointer, number, "");
        p.mask =
            LLVMBuildZExt(c->b, LLVMBuildExtractElement(c->b, mask, number, ""), be->i64, "");
        add_check(c, &p);
    }
}

/* llvm.memcpy, .memmove, .memset: bytes. */
static void check_bytes(checker *c, LLVMValueRef call, unsigned pointer, unsigned kind)
{
    LLVMPositionBuilderBefore(c->b, call);
    LLVMValueRef bytes = LLVMBuildZExt(c->b, LLVMGetOperand(call, 2), c->be->i64, "");
    place p = {call, LLVMGetOperand(call, pointer), bytes, 1, kind, NULL};
    add_check(c, &p);
}

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

static void check_call(checker *c, LLVMValueRef call)
{
    size_t len = 0;
    LLVMValueRef callee = LLVMGetCalledValue(call);
    const char *name = LLVMIsAFunction(callee) ? LLVMGetValueName2(callee, &len) : "";
    if (begins(name, "llvm.masked.load."))
        check_masked(c, call, false, false);
    else if (begins(name, "llvm.masked.store."))
        check_masked(c, call, true, false);
    else if (begins(name, "llvm.masked.gather."))
        check_masked(c, call, false, true);
    else if (begins(name, "llvm.masked.scatter."))
        check_masked(c, call, true, true);
    else if (begins(name, "llvm.memset."))
        check_bytes(c, call, 0, GML_EMU_STORE);
    else if (begins(name, "llvm.memcpy.") || begins(name, "llvm.memmove.")) {
        check_bytes(c, call, 0, GML_EMU_STORE);
        check_bytes(c, call, 1, GML_EMU_LOAD);
    }
}

static void check_instruction(checker *c, LLVMValueRef instruction)
{
    if (LLVMIsALoadInst(instruction))
        check_plain(c, instruction, LLVMTypeOf(instruction), 0, GML_EMU_LOAD);
    else if (LLVMIsAStoreInst(instruction))
        check_plain(c, instruction, LLVMTypeOf(LLVMGetOperand(instruction, 0)), 1,
                    GML_EMU_STORE);
    else if (LLVMIsAAtomicRMWInst(instruction) || LLVMIsAAtomicCmpXchgInst(instruction))
        check_plain(c, instruction, LLVMTypeOf(LLVMGetOperand(instruction, 1)), 0,
                    GML_EMU_ATOMIC);
    else if (LLVMIsACallInst(instruction))
        check_call(c, instruction);
}

/* ---- the module ---------------------------------------------------------------------------
 */

static void check_function(checker *c, LLVMValueRef function)
{
    size_t len = 0;
    LLVMTypeRef type = LLVMGlobalGetValueType(function);
    if (begins(LLVMGetValueName2(function, &len), "gml_dev_") || is_phase_of_cpu(c, type))
        return;
    c->function = function;
    c->given = NULL;
    c->n_sites = 0;
    if (LLVMCountParams(function) == 1)
        c->given = LLVMGetParam(function, 0);
    LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function);
    for (; block; block = LLVMGetNextBasicBlock(block)) {
        LLVMValueRef next = NULL;
        for (LLVMValueRef i = LLVMGetFirstInstruction(block); i; i = next) {
            next = LLVMGetNextInstruction(i);
            check_instruction(c, i);
        }
    }
}

static LLVMValueRef declare(gml_backend *be, const char *name, LLVMTypeRef type)
{
    LLVMValueRef function = LLVMAddFunction(be->module, name, type);
    unsigned kind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(be->context, kind, 0));
    return function;
}

void gml_dev_check_accesses(gml_backend *be)
{
    LLVMTypeRef types[5] = {be->ptr, be->i64, be->i32, be->i32, be->ptr};
    LLVMTypeRef masked[6] = {be->ptr, be->i64, be->i32, be->i32, be->i64, be->ptr};
    checker c = {.be = be,
                 .b = LLVMCreateBuilderInContext(be->context),
                 .layout = LLVMGetModuleDataLayout(be->module),
                 .type = LLVMFunctionType(be->none, types, 5, 0),
                 .masked_type = LLVMFunctionType(be->none, masked, 6, 0)};
    c.check = declare(be, "gml_emu_access", c.type);
    c.masked_check = declare(be, "gml_emu_access_masked", c.masked_type);
    for (LLVMValueRef f = LLVMGetFirstFunction(be->module); f; f = LLVMGetNextFunction(f))
        if (!LLVMIsDeclaration(f))
            check_function(&c, f);
    LLVMDisposeBuilder(c.b);
}
