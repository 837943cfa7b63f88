/* api/build_program.c - from an optimised graph to a program without addresses. */
#include "api/build_program.h"

#include "api/build_checks.h"
#include "ir/op.h"

#include <string.h>

typedef struct frame {
    gml_program_builder *builder;
    const gml_graph *graph;
    gml_program *program;
    uint32_t *slots; /* by value id: slot + 1 */
    gml_value *const *captures;
    uint32_t n_captures;
    gml_checks checks;
} frame;

/* ---- slots --------------------------------------------------------------------------------
 */

static uint32_t add_slot(frame *f, const gml_value *value, gml_slot_kind kind)
{
    gml_arena *arena = &f->program->arena;
    const gml_type *type = &value->type;
    gml_slot slot = {.kind = kind, .rank = GML_NO_RANK, .channels_last = value->channels_last};
    slot.name = value->name ? gml_arena_text(arena, value->name, strlen(value->name)) : NULL;
    if (kind == GML_SLOT_CONSTANT) {
        slot.dtype = value->constant->dtype;
        slot.rank = value->constant->rank;
        slot.dims =
            gml_arena_copy(arena, value->constant->dims, (size_t)slot.rank * sizeof *slot.dims);
        slot.data = value->constant->data;
    } else if (type->kind == GML_TYPE_TENSOR) {
        slot.dtype = type->dtype;
        slot.rank = type->rank == GML_RANK_UNKNOWN ? GML_NO_RANK : type->rank;
        if (slot.rank > 0)
            slot.dims =
                gml_arena_copy(arena, type->dims, (size_t)slot.rank * sizeof *slot.dims);
    }
    uint32_t number = (uint32_t)f->program->slots.count;
    gml_push(arena, &f->program->slots, slot);
    f->slots[value->id] = number + 1;
    return number;
}

/* The slot of a value; constants get theirs on first use. */
static gml_status find_slot(frame *f, const gml_value *value, gml_loc loc, uint32_t *out_slot)
{
    *out_slot = GML_NO_SLOT;
    if (!value)
        return GML_OK;
    if (f->slots[value->id])
        *out_slot = f->slots[value->id] - 1;
    else if (value->constant)
        *out_slot = add_slot(f, value, GML_SLOT_CONSTANT);
    else
        return gml_fail(f->builder->diags, GML_E_INTERNAL, loc, "value %s of %s has no slot",
                        value->name ? value->name : "?",
                        value->def ? value->def->op->name : "the graph");
    return GML_OK;
}

/* ---- kernels ------------------------------------------------------------------------------
 */

static gml_status check_results(const frame *f, const gml_node *node)
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

static void copy_code(frame *f, const gml_code *code, gml_step *step)
{
    gml_arena *arena = &f->program->arena;
    gml_phase *phases = gml_new_array(arena, gml_phase, code->n_phases + 1);
    for (unsigned i = 0; i < code->n_phases; i++) {
        phases[i].extent = code->phases[i].extent;
        phases[i].launch = code->phases[i].launch;
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

/* "MatMul+Add+Gelu": what is inside, as far as it fits. */
static const char *kernel_name(frame *f, const gml_node *node)
{
    if (!(node->op->traits & GML_INLINES))
        return node->op->name;
    gml_str str;
    gml_str_init(&str);
    for (const gml_node *member = gml_node_region(node, "body")->first; member;
         member = member->next) {
        if (str.len > 60) {
            gml_str_puts(&str, "+…");
            break;
        }
        gml_str_printf(&str, "%s%s", str.len ? "+" : "", member->op->name);
    }
    const char *name = gml_arena_text(&f->program->arena, str.text, str.len);
    gml_str_reset(&str);
    return name;
}

/* "fc1/MatMul (MatMul), act/Gelu (Gelu)", and " | " between stages. */
static void list_members(gml_str *out, const gml_node *node)
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
        list_members(out, member);
        after_stage = is_stage;
    }
}

static void explain_kernel(const frame *f, const gml_node *node, const gml_step *step)
{
    gml_str *out = f->builder->explain;
    if (!out)
        return;
    gml_str_printf(out, "kernel %s: ", step->name);
    list_members(out, node);
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
static const char *pack_name(frame *f, const gml_node *node)
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
static void add_packs(frame *f, const gml_node *node, const gml_code *code,
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

/* NULL when no output can be computed over an input. */
static const uint64_t *find_over(frame *f, const gml_kernel *kernel)
{
    uint64_t *over = gml_new_array(&f->program->arena, uint64_t, kernel->outputs.count + 1);
    gml_kernel_over(kernel, over);
    for (size_t i = 0; i < kernel->outputs.count; i++)
        if (over[i] != 0)
            return over;
    return NULL;
}

static gml_status add_kernel(frame *f, const gml_node *node, gml_step *step)
{
    gml_program_builder *b = f->builder;
    gml_arena *arena = &f->program->arena;
    unsigned *numbers = gml_new_array(b->scratch, unsigned, node->n_operands + 1);
    gml_code code;
    GML_TRY(check_results(f, node));
    gml_kernel *kernel = gml_lower_node(b->scratch, &b->module->dims, node, numbers);
    if (b->loops)
        gml_kernel_print(kernel, b->loops);
    uint32_t n_inputs = (uint32_t)kernel->inputs.count;
    uint64_t constants = constant_inputs(kernel, node, numbers);
    gml_kernel_cost(kernel, &step->flops, &step->bytes);
    step->name = kernel_name(f, node);
    explain_kernel(f, node, step);
    GML_TRY(gml_codegen_add(b->codegen, kernel, constants, &code, b->diags));
    copy_code(f, &code, step);
    uint32_t *inputs = gml_new_array(arena, uint32_t, n_inputs + code.n_packs + 1);
    uint32_t *outputs = gml_new_array(arena, uint32_t, node->n_results + 1);
    const gml_tensor **tensors =
        gml_new_array(b->scratch, const gml_tensor *, n_inputs + code.n_packs + 1);
    for (uint32_t i = 0; i < n_inputs; i++) {
        const gml_value *operand = node->operands[numbers[i]];
        tensors[i] = operand->constant;
        inputs[i] = GML_NO_SLOT;
        if (i >= 64 || !(code.unread >> i & 1))
            GML_TRY(find_slot(f, operand, node->loc, &inputs[i]));
    }
    add_packs(f, node, &code, tensors, inputs, &n_inputs);
    for (uint32_t r = 0; r < node->n_results; r++)
        outputs[r] = add_slot(f, &node->results[r], GML_SLOT_ARENA);
    step->kind = GML_STEP_KERNEL;
    step->over = find_over(f, kernel);
    step->inputs = inputs;
    step->n_inputs = n_inputs;
    step->outputs = outputs;
    step->n_outputs = node->n_results;
    return GML_OK;
}

/* ---- host operators and regions -----------------------------------------------------------
 */

typedef struct capture_list {
    gml_arena *arena;
    const gml_graph *region;
    gml_vec(gml_value *) values;
} capture_list;

static bool is_inside(const gml_graph *region, const gml_graph *graph)
{
    for (; graph; graph = graph->owner ? graph->owner->graph : NULL)
        if (graph == region)
            return true;
    return false;
}

static void capture(capture_list *list, gml_value *value)
{
    if (!value || value->constant || is_inside(list->region, value->graph))
        return;
    for (size_t i = 0; i < list->values.count; i++)
        if (list->values.items[i] == value)
            return;
    gml_push(list->arena, &list->values, value);
}

static void capture_graph(capture_list *list, const gml_graph *graph)
{
    for (const gml_node *node = graph->first; node; node = node->next) {
        for (uint32_t k = 0; k < node->n_operands; k++)
            capture(list, node->operands[k]);
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                capture_graph(list, node->attrs[i].as.graph);
    }
    for (uint32_t r = 0; r < graph->n_results; r++)
        capture(list, graph->results[r]);
}

static gml_status add_region(frame *f, const gml_node *node, const gml_graph *graph,
                             gml_region *out_region)
{
    capture_list list = {.arena = f->builder->scratch, .region = graph};
    capture_graph(&list, graph);
    uint32_t n = (uint32_t)list.values.count;
    uint32_t *slots = gml_new_array(&f->program->arena, uint32_t, n + 1);
    for (uint32_t i = 0; i < n; i++)
        GML_TRY(find_slot(f, list.values.items[i], node->loc, &slots[i]));
    GML_TRY(gml_build_program(f->builder, graph, list.values.items, n, &out_region->program));
    out_region->n_params = graph->n_params;
    out_region->captures = slots;
    out_region->n_captures = n;
    return GML_OK;
}

static gml_attr copy_attr(gml_arena *arena, const gml_attr *attr)
{
    gml_attr copy = *attr;
    copy.name = gml_arena_text(arena, attr->name, strlen(attr->name));
    return copy; /* the elements stay in the module, which the program keeps */
}

static gml_status add_host(frame *f, const gml_node *node, gml_step *step)
{
    gml_arena *arena = &f->program->arena;
    gml_attr *attrs = gml_new_array(arena, gml_attr, node->n_attrs + 1);
    gml_region *regions = gml_new_array(arena, gml_region, node->n_attrs + 1);
    gml_dtype *dtypes = gml_new_array(arena, gml_dtype, node->n_results + 1);
    uint32_t *inputs = gml_new_array(arena, uint32_t, node->n_operands + 1);
    uint32_t *outputs = gml_new_array(arena, uint32_t, node->n_results + 1);
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        attrs[i] = copy_attr(arena, &node->attrs[i]);
        if (attrs[i].kind != GML_ATTR_GRAPH)
            continue;
        attrs[i].count = step->n_regions;
        GML_TRY(add_region(f, node, node->attrs[i].as.graph, &regions[step->n_regions++]));
    }
    for (uint32_t k = 0; k < node->n_operands; k++)
        GML_TRY(find_slot(f, node->operands[k], node->loc, &inputs[k]));
    for (uint32_t r = 0; r < node->n_results; r++) {
        const gml_type *type = &node->results[r].type;
        dtypes[r] = type->kind == GML_TYPE_TENSOR ? type->dtype : GML_NONE;
        outputs[r] = add_slot(f, &node->results[r], GML_SLOT_VALUE);
    }
    step->kind = GML_STEP_HOST;
    step->host_name = node->op->host;
    step->host = gml_host_find(node->op->host);
    if (!step->host)
        return gml_fail(f->builder->diags, GML_E_INTERNAL, node->loc,
                        "host operator '%s' is missing", node->op->host);
    step->attrs = attrs;
    step->n_attrs = node->n_attrs;
    step->regions = regions;
    step->output_dtypes = dtypes;
    step->inputs = inputs;
    step->n_inputs = node->n_operands;
    step->outputs = outputs;
    step->n_outputs = node->n_results;
    return GML_OK;
}

/* ---- graphs -------------------------------------------------------------------------------
 */

static bool is_constant(const gml_node *node)
{
    for (uint32_t r = 0; r < node->n_results; r++)
        if (!node->results[r].constant)
            return false;
    return node->n_results > 0;
}

static gml_status add_node(frame *f, const gml_node *node)
{
    gml_arena *arena = &f->program->arena;
    gml_step step = {0};
    gml_checks_add(&f->checks, node, !node->op->host && !is_constant(node));
    if (is_constant(node))
        return GML_OK;
    const char *name = node->loc.node ? node->loc.node : "";
    step.node = gml_arena_text(arena, name, strlen(name));
    step.op = node->op->name;
    step.name = node->op->name;
    if (node->op->host)
        GML_TRY(add_host(f, node, &step));
    else if (node->op->expand)
        return gml_fail(f->builder->diags, GML_E_INTERNAL, node->loc,
                        "a composite operator was not expanded");
    else
        GML_TRY(add_kernel(f, node, &step));
    gml_push(arena, &f->program->steps, step);
    return GML_OK;
}

static gml_status add_interface(frame *f)
{
    const gml_graph *graph = f->graph;
    gml_program *program = f->program;
    gml_arena *arena = &program->arena;
    program->n_outputs = graph->n_results;
    program->outputs = gml_new_array(arena, uint32_t, graph->n_results + 1);
    program->output_names = gml_new_array(arena, const char *, graph->n_results + 1);
    for (uint32_t r = 0; r < graph->n_results; r++) {
        GML_TRY(find_slot(f, graph->results[r], (gml_loc){.file = f->builder->module->file},
                          &program->outputs[r]));
        const char *name = graph->result_names && graph->result_names[r]
                               ? graph->result_names[r]
                               : graph->results[r]->name;
        program->output_names[r] = name ? gml_arena_text(arena, name, strlen(name)) : "";
    }
    return GML_OK;
}

static void add_inputs(frame *f)
{
    const gml_graph *graph = f->graph;
    gml_program *program = f->program;
    uint32_t n = graph->n_params + f->n_captures;
    program->n_inputs = n;
    program->inputs = gml_new_array(&program->arena, uint32_t, n + 1);
    program->input_names = gml_new_array(&program->arena, const char *, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        const gml_value *value =
            i < graph->n_params ? graph->params[i] : f->captures[i - graph->n_params];
        program->inputs[i] = add_slot(f, value, GML_SLOT_INPUT);
        program->input_names[i] =
            value->name ? program->slots.items[program->inputs[i]].name : "";
    }
}

static uint32_t number_of(uint32_t index)
{
    return index == GML_NO_INDEX ? GML_NO_SLOT : index;
}

static void add_states(frame *f)
{
    const gml_module *module = f->builder->module;
    gml_arena *arena = &f->program->arena;
    for (size_t i = 0; f->graph == module->main && i < module->states.count; i++) {
        const gml_state *state = &module->states.items[i];
        gml_program_state copy = {
            .name = gml_arena_text(arena, state->name, strlen(state->name)),
            .input = number_of(state->param),
            .output = number_of(state->result),
            .initial = state->param != GML_NO_INDEX ? state->initial.data : NULL};
        gml_push(arena, &f->program->states, copy);
    }
}

gml_status gml_build_program(gml_program_builder *builder, const gml_graph *graph,
                             gml_value *const *captures, uint32_t n_captures,
                             gml_program **out_program)
{
    *out_program = NULL;
    gml_program *program = gml_program_create();
    if (!program)
        return gml_fail(builder->diags, GML_E_MEMORY, (gml_loc){.file = builder->module->file},
                        "no memory for a program");
    gml_push(builder->scratch, &builder->programs, program);
    *out_program = program;
    frame f = {.builder = builder,
               .graph = graph,
               .program = program,
               .captures = captures,
               .n_captures = n_captures};
    f.slots = gml_new_array(builder->scratch, uint32_t, builder->module->n_values + 1);
    add_inputs(&f);
    add_states(&f);
    gml_checks_begin(&f.checks, program, builder->scratch);
    for (const gml_node *node = graph->first; node; node = node->next)
        GML_TRY(add_node(&f, node));
    gml_checks_end(&f.checks, graph);
    return add_interface(&f);
}

void gml_program_copy_dims(gml_program *program, const gml_dim_pool *from)
{
    gml_dim_pool *to = &program->dims;
    to->exprs.count = 0;
    for (size_t i = 0; i < from->exprs.count; i++) {
        gml_dim_expr expr = from->exprs.items[i];
        if (expr.name)
            expr.name = gml_arena_text(&program->arena, expr.name, strlen(expr.name));
        gml_push(&program->arena, &to->exprs, expr);
    }
}

gml_status gml_link_program(gml_program_builder *builder, const gml_jit *jit)
{
    for (size_t p = 0; p < builder->programs.count; p++) {
        gml_program *program = builder->programs.items[p];
        gml_program_copy_dims(program, &builder->module->dims);
        for (size_t s = 0; s < program->steps.count; s++) {
            gml_step *step = &program->steps.items[s];
            gml_phase *phases =
                gml_arena_copy(&program->arena, step->phases, step->n_phases * sizeof *phases);
            for (uint32_t i = 0; i < step->n_phases; i++) {
                phases[i].run = gml_jit_find(jit, phases[i].symbol);
                if (!phases[i].run)
                    return gml_fail(builder->diags, GML_E_INTERNAL,
                                    (gml_loc){.node = step->node, .op = step->op},
                                    "generated code is missing: %s", phases[i].symbol);
            }
            step->phases = phases;
        }
    }
    /* regions were made after the programs around them, and are planned before */
    for (size_t p = builder->programs.count; p-- > 0;)
        GML_TRY(gml_program_plan(builder->programs.items[p], builder->diags));
    return GML_OK;
}
