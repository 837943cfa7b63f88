/* api/link_device.c - a built program becomes one that runs on a device. */
#include "api/link_device.h"

#include "api/cubin.h"

#include <limits.h>
#include <string.h>

static bool is_cuda(const gml_device *device)
{
    return strcmp(gml_device_kind_name(device), "cuda") == 0;
}

/* What `device` is, or `newest` if it is newer. Code for sm_90a runs on 9.0 alone, which has
 * instructions that later ones do not. */
static char *architecture_of(const gml_device *device, int newest, gml_arena *arena)
{
    int number = gml_device_architecture(device);
    return gml_arena_printf(arena, "sm_%d%s", number < newest ? number : newest,
                            number == 90 ? "a" : "");
}

/* What LLVM does not know yet gets the newest that it runs. The emulator runs the code of sm_80
 * and of sm_90a. */
void gml_target_device(gml_target *target, const gml_device *device, gml_arena *arena)
{
    target->gpu = is_cuda(device) ? GML_GPU_CUDA : GML_GPU_EMU;
    target->cpu = architecture_of(device, 90, arena);
}

/* Says under --explain, and to whoever reports on the program, where its code is from. */
static void note_origin(const gml_program_builder *builder, gml_cubin_origin origin,
                        const gml_str *note)
{
    gml_program *program = builder->programs.items[0];
    program->code_origin = gml_cubin_origin_name(origin);
    program->code_note = gml_arena_text(&program->arena, note->text, note->len);
    if (builder->explain)
        gml_str_printf(builder->explain, "code (%s): %s\n", program->code_origin,
                       program->code_note);
}

/* A cubin, which ptxas makes also for architectures that LLVM does not know; where there is
 * none, or one that the driver does not take (of a newer toolkit, say), the PTX. */
static gml_status load_ptx(const gml_program_builder *builder, gml_device *device,
                           const gml_str *ptx, gml_device_code **out_code, gml_diags *diags)
{
    gml_cubin cubin;
    size_t n_diags = diags->list.count;
    gml_cubin_make(ptx->text, ptx->len, architecture_of(device, INT_MAX, diags->arena), &cubin);
    gml_status status = GML_OK;
    if (cubin.origin != GML_CUBIN_NONE) {
        status = gml_device_load(device, cubin.image.text, cubin.image.len, out_code, diags);
        if (status != GML_OK) {
            cubin.origin = GML_CUBIN_NONE;
            gml_str_printf(&cubin.note, "; refused: %s", diags->list.items[n_diags].text);
            gml_diags_truncate(diags, n_diags);
        }
    }
    if (cubin.origin == GML_CUBIN_NONE)
        status = gml_device_load(device, ptx->text, ptx->len + 1, out_code, diags);
    note_origin(builder, cubin.origin, &cubin.note);
    gml_cubin_reset(&cubin);
    return status;
}

static gml_status load_code(gml_program_builder *builder, gml_device *device, gml_jit **out_jit,
                            gml_device_code **out_code, gml_diags *diags)
{
    if (!is_cuda(device)) {
        GML_TRY(gml_codegen_jit(builder->codegen, out_jit, diags));
        return gml_device_load(device, NULL, 0, out_code, diags);
    }
    gml_str ptx;
    gml_str_init(&ptx);
    gml_status status = gml_codegen_print(builder->codegen, "asm", &ptx, diags);
    if (status == GML_OK)
        status = load_ptx(builder, device, &ptx, out_code, diags);
    gml_str_reset(&ptx);
    return status;
}

static gml_status link_step(gml_program *program, gml_step *step, gml_device_code *code,
                            const gml_jit *jit, gml_diags *diags)
{
    gml_phase *phases =
        gml_arena_copy(&program->arena, step->phases, step->n_phases * sizeof *phases);
    for (uint32_t i = 0; i < step->n_phases; i++) {
        gml_phase *phase = &phases[i];
        if (jit)
            phase->lane = gml_jit_find_lane(jit, phase->symbol);
        GML_TRY(gml_device_find(code, phase->symbol, phase->lane, &phase->launch,
                                &phase->kernel, diags));
    }
    step->phases = phases;
    return GML_OK;
}

gml_status gml_link_device(gml_program_builder *builder, gml_device *device, gml_jit **out_jit,
                           gml_diags *diags)
{
    gml_device_code *code = NULL;
    *out_jit = NULL;
    GML_TRY(load_code(builder, device, out_jit, &code, diags));
    builder->programs.items[0]->code = code;
    for (size_t p = 0; p < builder->programs.count; p++) {
        gml_program *program = builder->programs.items[p];
        program->device = gml_device_retain(device);
        gml_program_copy_dims(program, &builder->module->dims);
        for (size_t s = 0; s < program->steps.count; s++)
            GML_TRY(link_step(program, &program->steps.items[s], code, *out_jit, diags));
    }
    /* regions were made after the programs around them, and are planned before */
    for (size_t p = builder->programs.count; p-- > 0;)
        GML_TRY(gml_program_plan(builder->programs.items[p], diags));
    return GML_OK;
}
