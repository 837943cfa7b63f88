/* codegen/llvm/gpu_function.c - the frame of a GPU's function: parameters, memories, sizes. */
#include "codegen/llvm/device.h"
#include "codegen/llvm/gpu_plan.h"
#include "codegen/llvm/kernel.h"

#include <string.h>

/* The unit's own arrays: in shared memory behind the rest, or this block's part of the room. */
static LLVMValueRef scratch_of(gml_gpu_plan *p)
{
    gml_emit *e = p->e;
    LLVMValueRef at = gml_ll_int(e, p->shared);
    LLVMValueRef base = gml_dev_shared(e);
    if (p->is_roomy) {
        unsigned n_params = (unsigned)(e->kernel->inputs.count + e->kernel->outputs.count);
        LLVMValueRef block = LLVMBuildZExt(e->b, gml_dev_block(e), e->be->i64, "");
        at = LLVMBuildMul(e->b, block, gml_emit_dim(e, p->homes.scratch), "");
        base = LLVMGetParam(e->function, n_params + p->room);
    }
    return LLVMBuildInBoundsGEP2(e->b, e->be->i8, base, &at, 1, "");
}

static void bind_mems(gml_gpu_plan *p, bool has_scratch)
{
    gml_emit *e = p->e;
    gml_kernel *kernel = e->kernel;
    unsigned n_params = (unsigned)(kernel->inputs.count + kernel->outputs.count);
    LLVMValueRef scratch = has_scratch ? scratch_of(p) : NULL;
    for (unsigned i = 0; i < n_params; i++) {
        const gml_mem *mem = i < kernel->inputs.count
                                 ? kernel->inputs.items[i]
                                 : kernel->outputs.items[i - kernel->inputs.count];
        e->mems[i] = LLVMGetParam(e->function, i);
        if (mem->name) /* in the emulator's reports */
            LLVMSetValueName2(e->mems[i], mem->name, strlen(mem->name));
    }
    for (unsigned i = 0; i < kernel->locals.count; i++) {
        const gml_mem *mem = kernel->locals.items[i];
        const gml_home *h = &p->homes.of[i];
        unsigned bits = (unsigned)gml_dtype_size(mem->dtype) * 8;
        LLVMValueRef *out = &e->mems[n_params + i];
        if (h->shared) {
            *out = LLVMGetParam(e->function, n_params + h->temporary);
        } else if (mem->rank > 0) {
            LLVMValueRef at = gml_emit_dim(e, h->offset);
            *out = scratch ? LLVMBuildInBoundsGEP2(e->b, e->be->i8, scratch, &at, 1, "") : NULL;
        } else {
            *out = LLVMBuildAlloca(e->b, LLVMIntTypeInContext(e->be->context, bits), "");
        }
    }
}

LLVMValueRef gml_gpu_wide(gml_emit *e, LLVMValueRef i32)
{
    return LLVMBuildZExt(e->b, i32, e->be->i64, "");
}

static LLVMTypeRef function_type(gml_gpu_plan *p)
{
    gml_emit *e = p->e;
    gml_backend *be = e->be;
    unsigned n =
        (unsigned)(e->kernel->inputs.count + e->kernel->outputs.count) + p->homes.n_temporaries;
    if (e->kernel->in_parts)
        n = 1;
    LLVMTypeRef *params = gml_new_array(e->kernel->arena, LLVMTypeRef, n + 2 + p->n_maps);
    for (unsigned i = 0; i < n + 2 + p->n_maps; i++)
        params[i] = i == n + 1 ? be->i64 : be->ptr;
    return LLVMFunctionType(be->none, params, n + 2 + p->n_maps, 0);
}

LLVMValueRef gml_gpu_map(gml_gpu_plan *p, unsigned number)
{
    LLVMValueRef function = p->e->function;
    return LLVMGetParam(function, LLVMCountParams(function) - p->n_maps + number);
}

/* Number `word` of a gml_record. */
static LLVMValueRef load_word(gml_emit *e, LLVMValueRef record, unsigned word, LLVMTypeRef type)
{
    LLVMValueRef at = gml_ll_int(e, word);
    LLVMValueRef address = LLVMBuildInBoundsGEP2(e->b, e->be->i64, record, &at, 1, "");
    return LLVMBuildLoad2(e->b, type, address, "");
}

/* A pointer that itself lies in memory. That it leads into the device's own memory NVPTX would
 * not know: then accesses were generic. */
static LLVMValueRef load_pointer(gml_emit *e, LLVMValueRef record, unsigned word)
{
    if (e->be->gpu != GML_GPU_CUDA)
        return load_word(e, record, word, e->be->ptr);
    LLVMValueRef global =
        load_word(e, record, word, LLVMPointerTypeInContext(e->be->context, 1));
    return LLVMBuildAddrSpaceCast(e->b, global, e->be->ptr, "");
}

/* What is the function's own elsewhere: of the part that this block belongs to (gml_record). */
static void bind_part(gml_gpu_plan *p)
{
    gml_emit *e = p->e;
    gml_backend *be = e->be;
    unsigned n = (unsigned)(e->kernel->inputs.count + e->kernel->outputs.count);
    LLVMValueRef block = gml_gpu_wide(e, gml_dev_block(e));
    LLVMValueRef at =
        LLVMBuildInBoundsGEP2(e->b, be->i32, LLVMGetParam(e->function, 1), &block, 1, "");
    LLVMValueRef part = gml_gpu_wide(e, LLVMBuildLoad2(e->b, be->i32, at, ""));
    LLVMValueRef offset = LLVMBuildMul(
        e->b, part, gml_ll_int(e, (int64_t)(sizeof(gml_record) + n * sizeof(int64_t))), "");
    LLVMValueRef record =
        LLVMBuildInBoundsGEP2(e->b, be->i8, LLVMGetParam(e->function, 0), &offset, 1, "");
    p->block = LLVMBuildSub(e->b, block, load_word(e, record, 0, be->i64), "");
    p->n_blocks = load_word(e, record, 1, be->i64);
    e->dims = load_pointer(e, record, 2);
    for (unsigned i = 0; i < n; i++) {
        const gml_mem *mem = i < e->kernel->inputs.count
                                 ? e->kernel->inputs.items[i]
                                 : e->kernel->outputs.items[i - e->kernel->inputs.count];
        e->mems[i] = load_pointer(e, record, 3 + i);
        if (mem->name) /* in the emulator's reports */
            LLVMSetValueName2(e->mems[i], mem->name, strlen(mem->name));
    }
}

void gml_gpu_begin_function(gml_gpu_plan *p, const char *symbol, unsigned threads,
                            unsigned blocks)
{
    gml_emit *e = p->e;
    gml_backend *be = e->be;
    const char *name = be->gpu == GML_GPU_EMU
                           ? gml_arena_printf(e->kernel->arena, "%s.kernel", symbol)
                           : symbol;
    e->function = LLVMAddFunction(be->module, name, function_type(p));
    gml_backend_mark_gpu_kernel(be, e->function, threads, blocks);
    gml_backend_mark_maps(be, e->function, p->n_maps);
    LLVMPositionBuilderAtEnd(e->b,
                             LLVMAppendBasicBlockInContext(be->context, e->function, "entry"));
    e->n_scopes = 0;
    memset(e->axis, 0, sizeof e->axis);
    gml_scope_push(e);
    if (e->kernel->in_parts) {
        bind_part(p);
        return;
    }
    e->dims = LLVMGetParam(e->function, LLVMCountParams(e->function) - 2 - p->n_maps);
    p->block = gml_gpu_wide(e, gml_dev_block(e));
    p->n_blocks = gml_gpu_wide(e, gml_dev_blocks(e));
    bind_mems(p, p->homes.scratch != 0);
}

/* The emulator's form of a kernel: its parameters out of a list of pointers to them. Of a map
 * the kernel wants that pointer itself. */
void gml_gpu_write_lane(gml_gpu_plan *p, const char *symbol)
{
    gml_emit *e = p->e;
    gml_backend *be = e->be;
    LLVMValueRef kernel = e->function;
    unsigned n = LLVMCountParams(kernel);
    LLVMTypeRef list = be->ptr;
    LLVMValueRef *args = gml_new_array(e->kernel->arena, LLVMValueRef, n + 1);
    LLVMValueRef lane =
        LLVMAddFunction(be->module, symbol, LLVMFunctionType(be->none, &list, 1, 0));
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(be->context, lane, "entry"));
    for (unsigned i = 0; i < n; i++) {
        LLVMValueRef at = gml_ll_int(e, i);
        LLVMValueRef place =
            LLVMBuildInBoundsGEP2(e->b, be->ptr, LLVMGetParam(lane, 0), &at, 1, "");
        args[i] = LLVMBuildLoad2(e->b, be->ptr, place, "");
        if (i < n - p->n_maps)
            args[i] = LLVMBuildLoad2(e->b, LLVMTypeOf(LLVMGetParam(kernel, i)), args[i], "");
    }
    LLVMBuildCall2(e->b, LLVMGlobalGetValueType(kernel), kernel, args, n, "");
    LLVMBuildRetVoid(e->b);
}
