/* codegen/llvm/device_hopper.c - the named device functions of sm_90a: mbarriers, bulk copies,
 * wgmma.
 *
 * LLVM 19 has no intrinsics for most of them. What they mean, with the sections of the PTX ISA,
 * stands with their models, runtime/emu_mbarrier.c, emu_bulk.c, emu_wgmma.c. */
#include "codegen/llvm/device_body.h"
#include "runtime/emu_calls.h"

#include <stdio.h>

static LLVMValueRef i32(const gml_emit *e, unsigned value)
{
    return LLVMConstInt(e->be->i32, value, 0);
}

/* ---- mbarriers ----------------------------------------------------------------------------
 */

/* A function of an mbarrier and, if there is one, a number (i32). */
static void emit_mbarrier(gml_emit *e, const char *const names[4], LLVMValueRef barrier,
                          LLVMValueRef number)
{
    static const char *const constraints[2] = {"r,~{memory}", "r,r,~{memory}"};
    LLVMTypeRef params[2] = {e->be->ptr, e->be->i32};
    LLVMValueRef args[2] = {gml_dev_generic(e, barrier), number};
    unsigned n = number ? 2 : 1;
    gml_dev_fn d = gml_dev_begin(e, names[0], e->be->none, params, n, GML_DEV_MEETS);
    if (d.b) {
        LLVMValueRef given[3] = {d.params[0], d.params[1]};
        given[n] = d.site;
        if (gml_dev_is_emulator(e)) {
            gml_dev_model(&d, names[2], e->be->none, given, n + 1);
        } else {
            given[0] = gml_dev_shared_address(&d, d.params[0]);
            gml_dev_assembly(&d, e->be->none, names[1], constraints[n - 1], given, n);
        }
        gml_dev_end(&d, NULL);
    }
    gml_dev_call(&d, args, names[3]);
}

void gml_dev_mbarrier_init(gml_emit *e, LLVMValueRef barrier, unsigned count)
{
    static const char *const names[4] = {"mbarrier_init",
                                         "mbarrier.init.shared::cta.b64 [$0], $1;",
                                         "gml_emu_mbarrier_init", "mbarrier init"};
    emit_mbarrier(e, names, barrier, i32(e, count));
}

void gml_dev_mbarrier_arrive(gml_emit *e, LLVMValueRef barrier)
{
    static const char *const names[4] = {"mbarrier_arrive",
                                         "mbarrier.arrive.shared::cta.b64 _, [$0];",
                                         "gml_emu_mbarrier_arrive", "mbarrier arrive"};
    if (!gml_dev_is_omitted(e))
        emit_mbarrier(e, names, barrier, NULL);
}

void gml_dev_mbarrier_expect(gml_emit *e, LLVMValueRef barrier, unsigned bytes)
{
    static const char *const names[4] = {
        "mbarrier_expect", "mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;",
        "gml_emu_mbarrier_expect", "mbarrier expect"};
    if (!gml_dev_is_omitted(e))
        emit_mbarrier(e, names, barrier, i32(e, bytes));
}

/* try_wait gives up after a while. */
void gml_dev_mbarrier_wait(gml_emit *e, LLVMValueRef barrier, LLVMValueRef parity)
{
    static const char *const names[4] = {
        "mbarrier_wait",
        "{\n\t.reg .pred over;\n"
        "again:\n\tmbarrier.try_wait.parity.shared::cta.b64 over, [$0], $1;\n\t"
        "@!over bra again;\n\t}",
        "gml_emu_mbarrier_wait", "mbarrier wait"};
    if (!gml_dev_is_omitted(e))
        emit_mbarrier(e, names, barrier, parity);
}

/* A function of nothing. */
static void emit_fence(gml_emit *e, const char *const names[4])
{
    if (gml_dev_is_omitted(e))
        return;
    gml_dev_fn d = gml_dev_begin(e, names[0], e->be->none, NULL, 0, GML_DEV_MEETS);
    if (d.b) {
        if (gml_dev_is_emulator(e))
            gml_dev_model(&d, names[2], e->be->none, &d.site, 1);
        else
            gml_dev_assembly(&d, e->be->none, names[1], "~{memory}", NULL, 0);
        gml_dev_end(&d, NULL);
    }
    gml_dev_call(&d, NULL, names[3]);
}

void gml_dev_mbarrier_fence(gml_emit *e)
{
    static const char *const names[4] = {"mbarrier_fence",
                                         "fence.mbarrier_init.release.cluster;",
                                         "gml_emu_mbarrier_fence", "mbarrier fence"};
    emit_fence(e, names);
}

void gml_dev_proxy_fence(gml_emit *e)
{
    static const char *const names[4] = {"proxy_fence", "fence.proxy.async.shared::cta;",
                                         "gml_emu_proxy_fence", "proxy fence"};
    emit_fence(e, names);
}

/* ---- copies -------------------------------------------------------------------------------
 */

static void copy_by_tensor(const gml_dev_fn *d, unsigned n)
{
    gml_backend *be = d->e->be;
    gml_str text;
    gml_str constraints;
    LLVMValueRef args[3 + GML_MAP_RANK] = {
        gml_dev_shared_address(d, d->params[0]),
        LLVMBuildPtrToInt(d->b, d->params[1], be->i64, ""),
    };
    gml_str_init(&text);
    gml_str_init(&constraints);
    gml_str_puts(&constraints, "r,l");
    gml_str_printf(&text,
                   "cp.async.bulk.tensor.%ud.shared::cluster.global.tile.mbarrier::"
                   "complete_tx::bytes [$0], [$1, {",
                   n);
    for (unsigned i = 0; i < n; i++) {
        args[2 + i] = d->params[3 + i];
        gml_str_puts(&constraints, ",r");
        gml_str_printf(&text, "%s$%u", i ? ", " : "", 2 + i);
    }
    args[2 + n] = gml_dev_shared_address(d, d->params[2]);
    gml_str_puts(&constraints, ",r,~{memory}");
    gml_str_printf(&text, "}], [$%u];", 2 + n);
    gml_dev_assembly(d, be->none, text.text, constraints.text, args, 3 + n);
    gml_str_reset(&text);
    gml_str_reset(&constraints);
}

/* The model reads five coordinates out of memory. */
static void copy_by_model(const gml_dev_fn *d, unsigned n)
{
    gml_backend *be = d->e->be;
    LLVMValueRef words = LLVMBuildAlloca(d->b, LLVMArrayType2(be->i32, GML_MAP_RANK), "");
    for (unsigned i = 0; i < GML_MAP_RANK; i++) {
        LLVMValueRef index = LLVMConstInt(be->i32, i, 0);
        LLVMBuildStore(d->b, i < n ? d->params[3 + i] : LLVMConstInt(be->i32, 0, 0),
                       LLVMBuildInBoundsGEP2(d->b, be->i32, words, &index, 1, ""));
    }
    LLVMValueRef args[5] = {d->params[0], d->params[1], words, d->params[2], d->site};
    gml_dev_model(d, "gml_emu_copy_box", be->none, args, 5);
}

void gml_dev_copy_box(gml_emit *e, LLVMValueRef shared, LLVMValueRef map,
                      LLVMValueRef const *at, unsigned n, LLVMValueRef barrier)
{
    char name[16];
    LLVMTypeRef params[3 + GML_MAP_RANK] = {e->be->ptr, e->be->ptr, e->be->ptr};
    LLVMValueRef args[3 + GML_MAP_RANK] = {gml_dev_generic(e, shared), map,
                                           gml_dev_generic(e, barrier)};
    for (unsigned i = 0; i < n; i++) {
        params[3 + i] = e->be->i32;
        args[3 + i] = at[i];
    }
    snprintf(name, sizeof name, "copy_box_%u", n);
    gml_dev_fn d = gml_dev_begin(e, name, e->be->none, params, 3 + n, GML_DEV_SITED);
    if (d.b) {
        (gml_dev_is_emulator(e) ? copy_by_model : copy_by_tensor)(&d, n);
        gml_dev_end(&d, NULL);
    }
    gml_dev_call(&d, args, "bulk copy");
}

/* ---- wgmma --------------------------------------------------------------------------------
 */

LLVMValueRef gml_dev_matrix(gml_emit *e, LLVMValueRef shared, unsigned leading, unsigned stride)
{
    gml_backend *be = e->be;
    gml_dev_fn d = gml_dev_begin(e, "shared_address", be->i32, &be->ptr, 1, GML_DEV_PLAIN);
    if (d.b) {
        LLVMValueRef at = NULL;
        if (gml_dev_is_emulator(e)) {
            LLVMValueRef base = gml_dev_model(&d, "gml_emu_shared", be->ptr, NULL, 0);
            at = LLVMBuildSub(d.b, LLVMBuildPtrToInt(d.b, d.params[0], be->i64, ""),
                              LLVMBuildPtrToInt(d.b, base, be->i64, ""), "");
            at = LLVMBuildTrunc(d.b, at, be->i32, "");
        } else {
            at = gml_dev_shared_address(&d, d.params[0]);
        }
        gml_dev_end(&d, at);
    }
    LLVMValueRef arg = gml_dev_generic(e, shared);
    LLVMValueRef at = gml_dev_call(&d, &arg, NULL);
    at = LLVMBuildLShr(e->b, LLVMBuildAnd(e->b, at, i32(e, 0x3ffff), ""), i32(e, 4), "");
    int64_t rest =
        INT64_C(1) << 62 | (int64_t)(stride >> 4) << 32 | (int64_t)(leading >> 4) << 16;
    return LLVMBuildOr(e->b, LLVMBuildZExt(e->b, at, be->i64, ""), gml_ll_int(e, rest), "");
}

LLVMValueRef gml_dev_matrix_after(gml_emit *e, LLVMValueRef matrix, unsigned bytes)
{
    return LLVMBuildAdd(e->b, matrix, gml_ll_int(e, bytes >> 4), "");
}

static LLVMTypeRef sums_of(gml_backend *be, unsigned n)
{
    LLVMTypeRef types[GML_DEV_PARAMS];
    for (unsigned i = 0; i < n; i++)
        types[i] = be->f32;
    return LLVMStructTypeInContext(be->context, types, n, 0);
}

/* "=f,…,0,1,…" for `n` sums that stay in their registers. */
static void tie_sums(gml_str *constraints, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        gml_str_puts(constraints, i ? ",=f" : "=f");
    for (unsigned i = 0; i < n; i++)
        gml_str_printf(constraints, ",%u", i);
}

/* The first n parameters, in memory: the model leaves its sums there. */
static LLVMValueRef sums_in_memory(const gml_dev_fn *d, unsigned n)
{
    gml_backend *be = d->e->be;
    LLVMValueRef words = LLVMBuildAlloca(d->b, LLVMArrayType2(be->f32, n), "");
    for (unsigned i = 0; i < n; i++) {
        LLVMValueRef index = LLVMConstInt(be->i32, i, 0);
        LLVMBuildStore(d->b, d->params[i],
                       LLVMBuildInBoundsGEP2(d->b, be->f32, words, &index, 1, ""));
    }
    return words;
}

static LLVMValueRef sums_from_memory(const gml_dev_fn *d, LLVMValueRef words, unsigned n)
{
    gml_backend *be = d->e->be;
    LLVMValueRef all = LLVMGetPoison(sums_of(be, n));
    for (unsigned i = 0; i < n; i++) {
        LLVMValueRef index = LLVMConstInt(be->i32, i, 0);
        LLVMValueRef at = LLVMBuildInBoundsGEP2(d->b, be->f32, words, &index, 1, "");
        all = LLVMBuildInsertValue(d->b, all, LLVMBuildLoad2(d->b, be->f32, at, ""), i, "");
    }
    return all;
}

static LLVMValueRef multiply_by_wgmma(const gml_dev_fn *d, const gml_dev_product *form)
{
    gml_backend *be = d->e->be;
    unsigned n = form->n / 2;
    gml_str text;
    gml_str constraints;
    gml_str_init(&text);
    gml_str_init(&constraints);
    tie_sums(&constraints, n);
    gml_str_puts(&constraints, ",l,l");
    gml_str_printf(&text,
                   "{\n\t.reg .pred adds;\n\tsetp.ne.b32 adds, %u, 0;\n\t"
                   "wgmma.mma_async.sync.aligned.m64n%uk16.f32.bf16.bf16 {",
                   form->overwrites ? 0U : 1U, form->n);
    for (unsigned i = 0; i < n; i++)
        gml_str_printf(&text, "%s$%u", i ? ", " : "", i);
    gml_str_printf(&text, "}, $%u, $%u, adds, 1, 1, %u, %u;\n\t}", 2 * n, 2 * n + 1,
                   form->a_is_mn ? 1U : 0U, form->b_is_mn ? 1U : 0U);
    LLVMValueRef result =
        gml_dev_assembly(d, sums_of(be, n), text.text, constraints.text, d->params, n + 2);
    gml_str_reset(&text);
    gml_str_reset(&constraints);
    return result;
}

static LLVMValueRef multiply_by_model(const gml_dev_fn *d, const gml_dev_product *form)
{
    gml_backend *be = d->e->be;
    unsigned n = form->n / 2;
    unsigned bits = form->n | (form->a_is_mn ? GML_EMU_WGMMA_A_IS_MN : 0U) |
                    (form->b_is_mn ? GML_EMU_WGMMA_B_IS_MN : 0U) |
                    (form->overwrites ? 0U : GML_EMU_WGMMA_ACCUMULATE);
    LLVMValueRef words = sums_in_memory(d, n);
    LLVMValueRef args[5] = {words, d->params[n], d->params[n + 1],
                            LLVMConstInt(be->i32, bits, 0), d->site};
    gml_dev_model(d, "gml_emu_wgmma", be->none, args, 5);
    return sums_from_memory(d, words, n);
}

/* Calls a function of n sums and some more, which gives them back. */
static void call_with_sums(const gml_dev_fn *d, LLVMValueRef *sums, unsigned n,
                           LLVMValueRef const *more, unsigned n_more, const char *what)
{
    LLVMValueRef args[GML_DEV_PARAMS];
    for (unsigned i = 0; i < n + n_more; i++)
        args[i] = i < n ? sums[i] : more[i - n];
    LLVMValueRef all = gml_dev_call(d, args, what);
    for (unsigned i = 0; i < n; i++)
        sums[i] = LLVMBuildExtractValue(d->e->b, all, i, "");
}

void gml_dev_wgmma(gml_emit *e, const gml_dev_product *form, LLVMValueRef a, LLVMValueRef b,
                   LLVMValueRef *sums)
{
    LLVMTypeRef params[GML_DEV_PARAMS];
    LLVMValueRef operands[2] = {a, b};
    char name[32];
    unsigned n = form->n / 2;
    for (unsigned i = 0; i < n + 2; i++)
        params[i] = i < n ? e->be->f32 : e->be->i64;
    snprintf(name, sizeof name, "wgmma_%u_%c%c%s", form->n, form->a_is_mn ? 'm' : 'k',
             form->b_is_mn ? 'n' : 'k', form->overwrites ? "_overwrites" : "");
    gml_dev_fn d = gml_dev_begin(e, name, sums_of(e->be, n), params, n + 2, GML_DEV_MEETS);
    if (d.b)
        gml_dev_end(&d,
                    (gml_dev_is_emulator(e) ? multiply_by_model : multiply_by_wgmma)(&d, form));
    call_with_sums(&d, sums, n, operands, 2, "wgmma");
}

void gml_dev_wgmma_fence(gml_emit *e)
{
    static const char *const names[4] = {"wgmma_fence",
                                         "bar.warp.sync -1;\n\twgmma.fence.sync.aligned;",
                                         "gml_emu_wgmma_fence", "wgmma fence"};
    emit_fence(e, names);
}

void gml_dev_wgmma_commit(gml_emit *e)
{
    static const char *const names[4] = {"wgmma_commit", "wgmma.commit_group.sync.aligned;",
                                         "gml_emu_wgmma_commit", "wgmma commit"};
    emit_fence(e, names);
}

/* The sums go through it, so that nothing is done with them before. */
static LLVMValueRef wait_by_wgmma(const gml_dev_fn *d, unsigned pending, unsigned n)
{
    char text[64];
    gml_str constraints;
    gml_str_init(&constraints);
    tie_sums(&constraints, n);
    gml_str_puts(&constraints, ",~{memory}");
    snprintf(text, sizeof text, "wgmma.wait_group.sync.aligned %u;", pending);
    LLVMValueRef result =
        gml_dev_assembly(d, sums_of(d->e->be, n), text, constraints.text, d->params, n);
    gml_str_reset(&constraints);
    return result;
}

void gml_dev_wgmma_wait(gml_emit *e, unsigned pending, LLVMValueRef *sums, unsigned n_sums)
{
    LLVMTypeRef params[GML_DEV_PARAMS];
    char name[32];
    if (gml_dev_is_omitted(e))
        return;
    for (unsigned i = 0; i < n_sums; i++)
        params[i] = e->be->f32;
    snprintf(name, sizeof name, "wgmma_wait_%u_%u", pending, n_sums);
    gml_dev_fn d =
        gml_dev_begin(e, name, sums_of(e->be, n_sums), params, n_sums, GML_DEV_MEETS);
    if (d.b && gml_dev_is_emulator(e)) {
        LLVMValueRef words = sums_in_memory(&d, n_sums);
        LLVMValueRef args[4] = {i32(e, pending), words, i32(e, n_sums), d.site};
        gml_dev_model(&d, "gml_emu_wgmma_wait", e->be->none, args, 4);
        gml_dev_end(&d, sums_from_memory(&d, words, n_sums));
    } else if (d.b) {
        gml_dev_end(&d, wait_by_wgmma(&d, pending, n_sums));
    }
    call_with_sums(&d, sums, n_sums, NULL, 0, "wgmma wait");
}
