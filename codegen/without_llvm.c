/* codegen/without_llvm.c - code generation in a build that has none: everything is refused, by
 * name, and device ref remains. */
#include "codegen/codegen.h"

#ifndef GML_HAVE_LLVM

static gml_status refuse(gml_diags *diags)
{
    gml_status status = gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.op = "code generation"},
                                 "this build of gemel has no LLVM and cannot generate code");
    gml_note(diags, "device ref interprets");
    return status;
}

gml_status gml_codegen_create(const gml_target *target, gml_codegen **out_codegen,
                              gml_diags *diags)
{
    (void)target;
    *out_codegen = NULL;
    return refuse(diags);
}

void gml_codegen_destroy(gml_codegen *codegen)
{
    (void)codegen;
}

gml_status gml_codegen_add(gml_codegen *codegen, gml_kernel *kernel, uint64_t constants,
                           gml_code *out_code, gml_diags *diags)
{
    (void)codegen;
    (void)kernel;
    (void)constants;
    (void)out_code;
    return refuse(diags);
}

unsigned gml_codegen_meetings(const gml_codegen *codegen)
{
    (void)codegen;
    return 0;
}

gml_status gml_codegen_jit(gml_codegen *codegen, gml_jit **out_jit, gml_diags *diags)
{
    (void)codegen;
    *out_jit = NULL;
    return refuse(diags);
}

gml_phase_fn gml_jit_find(const gml_jit *jit, const char *symbol)
{
    (void)jit;
    (void)symbol;
    return NULL;
}

gml_lane_fn gml_jit_find_lane(const gml_jit *jit, const char *symbol)
{
    (void)jit;
    (void)symbol;
    return NULL;
}

void gml_jit_destroy(gml_jit *jit)
{
    (void)jit;
}

void gml_codegen_rest(void) {}

gml_status gml_codegen_object(gml_codegen *codegen, gml_str *out_object, gml_diags *diags)
{
    (void)codegen;
    (void)out_object;
    return refuse(diags);
}

gml_status gml_codegen_print(gml_codegen *codegen, const char *form, gml_str *out,
                             gml_diags *diags)
{
    (void)codegen;
    (void)form;
    (void)out;
    return refuse(diags);
}

#endif
