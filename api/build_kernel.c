/* api/build_kernel.c - from a node that code is generated for to a step. */
#include "api/build_frame.h"

#include <string.h>

static gml_status check_results(const gml_build_frame *f, const gml_node *node)
{
    for (uint32_t r = 0; r < node->n_results; r++) {
        const gml_type *type = &node->results[r].type;
        if (type->kind != GML_TYPE_TENSOR || type->rank == GML_RANK_UNKNOWN ||
            gml_dtype_get_class(type->dtype) == GML_CLASS_STRING ||
            gml_dtype_get_class(type->dtype) == GML_CLASS_COMPLEX)
            return gml_fail(f->builder->diags, GML_E_UNSUPPORTED, node->loc,
                            "no kernel can compute a result of this type");
    }
    return GML_OK;
}

void gml_frame_copy_code(gml_build_frame *f, const gml_code *code, gml_step *step)
{
    gml_arena *arena = &f->program->arena;
    gml_phase *phases = gml_new_array(arena, gml_phase, code->n_phases + 1);
    for (unsigned i = 0; i < code->n_phases; i++) {
        const gml_cost *cost = &code->phases[i].cost;
        phases[i].cost = *cost;
        phases[i].cost.accesses =
            gml_arena_copy(arena, cost->accesses, cost->n_accesses * sizeof *cost->accesses);
        phases[i].extent = code->phases[i].extent;
        phases[i].launch = code->phases[i].launch;
        phases[i].maps = gml_arena_copy(arena, code->phases[i].maps,
                                        phases[i].launch.n_maps * sizeof *phases[i].maps);
        phases[i].symbol =
            gml_arena_text(arena, code->phases[i].symbol, strlen(code->phases[i].symbol));
    }
    step->phases = phases;
    step->n_phases = code->n_phases;
    step->temporaries = gml_arena_copy(arena, code->temporaries,
                                       code->n_temporaries * sizeof *code->temporaries);
    step->n_temporaries = code->n_temporaries;
    step->scratch = code->scratch;
}

/* "MatMul+Add|ReduceSum": operators, and stages. False when that is long enough. */
static bool name_members(gml_str *out, const gml_node *node)
{
    bool after_stage = false;
    for (const gml_node *member = gml_node_region(node, "body")->first; member;
         member = member->next) {
        bool is_stage = (member->op->traits & GML_INLINES) != 0;
        if (member->prev)
            gml_str_puts(out, is_stage || after_stage ? "|" : "+");
        after_stage = is_stage;
        if (out->len > 60) {
            gml_str_puts(out, "…");
            return false;
        }
        if (!is_stage)
            gml_str_puts(out, member->op->name);
        else if (!name_members(out, member))
            return false;
    }
    return true;
}

const char *gml_frame_kernel_name(gml_build_frame *f, const gml_node *node)
{
    if (!(node->op->traits & GML_INLINES))
        return node->op->name;
    gml_str str;
    gml_str_init(&str);
    name_members(&str, node);
    const char *name = gml_arena_text(&f->program->arena, str.text, str.len);
    gml_str_reset(&str);
    return name;
}

void gml_frame_list_members(gml_str *out, const gml_node *node)
{
    if (!(node->op->traits & GML_INLINES)) {
        gml_str_printf(out, "%s (%s)", node->loc.node ? node->loc.node : "", node->op->name);
        return;
    }
    bool after_stage = false;
    for (const gml_node *member = gml_node_region(node, "body")->first; member;
         member = member->next) {
        bool is_stage = (member->op->traits & GML_INLINES) != 0;
        if (member->prev)
            gml_str_puts(out, is_stage || after_stage ? " | " : ", ");
        gml_frame_list_members(out, member);
        after_stage = is_stage;
    }
}

static void explain_kernel(const gml_build_frame *f, const gml_node *node, const gml_step *step)
{
    gml_str *out = f->builder->explain;
    if (!out)
        return;
    gml_str_printf(out, "kernel %s: ", step->name);
    gml_frame_list_members(out, node);
    gml_str_puts(out, "\n");
}

static uint64_t constant_inputs(const gml_kernel *kernel, const gml_node *node,
                                const unsigned *numbers)
{
    uint64_t constants = 0;
    for (size_t i = 0; i < kernel->inputs.count && i < 64; i++)
        if (node->operands[numbers[i]]->constant)
            constants |= UINT64_C(1) << i;
    return constants;
}

/* "blocks.0.weight.packed", after the largest constant, which is what needs packing. */
static const char *pack_name(gml_build_frame *f, const gml_node *node)
{
    const char *name = NULL;
    size_t largest = 0;
    for (uint32_t k = 0; k < node->n_operands; k++) {
        const gml_value *operand = node->operands[k];
        size_t size = 0;
        if (operand && operand->constant && operand->name &&
            gml_tensor_bytes(operand->constant, &size) && size > largest) {
            largest = size;
            name = operand->name;
        }
    }
    return name ? gml_arena_printf(&f->program->arena, "%s.packed", name) : NULL;
}

/* Slots for the constants that are packed ahead; they are filled when the code exists. */
static void add_packs(gml_build_frame *f, const gml_node *node, const gml_code *code,
                      const gml_tensor *const *constants, uint32_t *inputs, uint32_t *n_inputs)
{
    gml_arena *arena = &f->program->arena;
    for (unsigned i = 0; i < code->n_packs; i++) {
        const gml_code_pack *pack = &code->packs[i];
        if (pack->input >= *n_inputs) {
            gml_slot slot = {.kind = GML_SLOT_CONSTANT, .dtype = GML_U8, .rank = 1};
            slot.name = pack_name(f, node);
            slot.dims = gml_arena_copy(arena, &pack->bytes, sizeof pack->bytes);
            inputs[pack->input] = (uint32_t)f->program->slots.count;
            *n_inputs = pack->input + 1;
            gml_push(arena, &f->program->slots, slot);
        }
        gml_packs_add(f->builder->packs, f->program, inputs[pack->input], pack, constants);
    }
}

const uint64_t *gml_frame_find_over(gml_build_frame *f, const gml_kernel *kernel)
{
    uint64_t *over = gml_new_array(&f->program->arena, uint64_t, kernel->outputs.count + 1);
    gml_kernel_over(kernel, over);
    for (size_t i = 0; i < kernel->outputs.count; i++)
        if (over[i] != 0)
            return over;
    return NULL;
}

gml_status gml_frame_lower(gml_build_frame *f, const gml_node *node, gml_kernel **out_kernel,
                           const unsigned **out_numbers)
{
    gml_program_builder *b = f->builder;
    unsigned *numbers = gml_new_array(b->scratch, unsigned, node->n_operands + 1);
    GML_TRY(check_results(f, node));
    *out_kernel = gml_lower_node(b->scratch, &b->module->dims, node, numbers);
    *out_numbers = numbers;
    return GML_OK;
}

gml_status gml_frame_add_kernel(gml_build_frame *f, const gml_node *node, gml_kernel *kernel,
                                const unsigned *numbers)
{
    gml_program_builder *b = f->builder;
    gml_arena *arena = &f->program->arena;
    gml_step step = gml_frame_begin_step(f, node);
    gml_code code;
    gml_checks_add(&f->checks, node, true);
    if (b->loops)
        gml_kernel_print(kernel, b->loops);
    uint32_t n_inputs = (uint32_t)kernel->inputs.count;
    uint64_t constants = constant_inputs(kernel, node, numbers);
    gml_kernel_cost(kernel, &step.flops, &step.bytes);
    step.name = gml_frame_kernel_name(f, node);
    explain_kernel(f, node, &step);
    GML_TRY(gml_codegen_add(b->codegen, kernel, constants, &code, b->diags));
    gml_frame_copy_code(f, &code, &step);
    uint32_t *inputs = gml_new_array(arena, uint32_t, n_inputs + code.n_packs + 1);
    uint32_t *outputs = gml_new_array(arena, uint32_t, node->n_results + 1);
    const gml_tensor **tensors =
        gml_new_array(b->scratch, const gml_tensor *, n_inputs + code.n_packs + 1);
    for (uint32_t i = 0; i < n_inputs; i++) {
        const gml_value *operand = node->operands[numbers[i]];
        tensors[i] = operand->constant;
        inputs[i] = GML_NO_SLOT;
        if (i >= 64 || !(code.unread >> i & 1))
            GML_TRY(gml_frame_find_slot(f, operand, node->loc, &inputs[i]));
    }
    add_packs(f, node, &code, tensors, inputs, &n_inputs);
    for (uint32_t r = 0; r < node->n_results; r++)
        outputs[r] = gml_frame_add_slot(f, &node->results[r], GML_SLOT_ARENA);
    step.kind = GML_STEP_KERNEL;
    step.over = gml_frame_find_over(f, kernel);
    step.inputs = inputs;
    step.n_inputs = n_inputs;
    step.outputs = outputs;
    step.n_outputs = node->n_results;
    gml_push(arena, &f->program->steps, step);
    return GML_OK;
}
