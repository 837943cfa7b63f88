/* api/packs.c - constants that are packed ahead. */
#include "api/packs.h"

#include <string.h>

typedef struct pending {
    gml_program *program;
    uint32_t slot;
    gml_code_pack pack;
    const gml_tensor **constants; /* by input, up to pack.input */
} pending;

struct gml_packs {
    gml_module *module;
    gml_vec(pending) list;
    gml_vec(gml_buffer *) buffers;
};

gml_packs *gml_packs_create(gml_module *module)
{
    gml_packs *packs = gml_new(&module->arena, gml_packs);
    packs->module = module;
    return packs;
}

void gml_packs_add(gml_packs *packs, gml_program *program, uint32_t slot,
                   const gml_code_pack *pack, const gml_tensor *const *constants)
{
    gml_arena *arena = &packs->module->arena;
    pending item = {program, slot, *pack, NULL};
    item.pack.symbol = gml_arena_text(arena, pack->symbol, strlen(pack->symbol));
    item.constants =
        gml_arena_copy(arena, constants, (pack->input + 1) * sizeof *item.constants);
    gml_push(arena, &packs->list, item);
}

static gml_status run(const gml_jit *jit, const pending *item, void *bytes, gml_diags *diags)
{
    gml_phase_fn pack = gml_jit_find(jit, item->pack.symbol);
    if (!pack || !gml_dim_is_const(item->pack.extent))
        return gml_fail(diags, GML_E_INTERNAL, (gml_loc){0}, "a constant cannot be packed");
    gml_arena arena;
    gml_arena_init(&arena);
    void **mems = gml_new_array(&arena, void *, item->pack.input + 1);
    for (unsigned i = 0; i < item->pack.input; i++)
        mems[i] = item->constants[i] ? item->constants[i]->data : NULL;
    mems[item->pack.input] = bytes;
    pack(mems, NULL, 0, item->pack.extent, NULL);
    gml_arena_reset(&arena);
    return GML_OK;
}

static void forget_constants(const gml_packs *packs, const pending *item)
{
    for (unsigned i = 0; i < item->pack.input; i++) {
        size_t size = 0;
        if (item->constants[i] && gml_tensor_bytes(item->constants[i], &size))
            gml_module_forget(packs->module, item->constants[i]->data, size);
    }
}

gml_status gml_packs_fill(const gml_packs *packs, const gml_jit *jit,
                          const gml_program *program, uint32_t slot, void *bytes,
                          gml_diags *diags)
{
    for (size_t i = 0; i < packs->list.count; i++) {
        const pending *item = &packs->list.items[i];
        if (item->program != program || item->slot != slot)
            continue;
        GML_TRY(run(jit, item, bytes, diags));
        forget_constants(packs, item);
    }
    return GML_OK;
}

/* Zeroed: what packing leaves out ends up in artifacts, which must not differ. */
static void *make_room(gml_packs *packs, gml_slot *slot)
{
    if (!gml_dim_is_const(slot->dims[0]))
        return NULL;
    gml_buffer *buffer = gml_buffer_create((size_t)slot->dims[0], true);
    if (!buffer)
        return NULL;
    gml_push(&packs->module->arena, &packs->buffers, buffer);
    return gml_buffer_data(buffer);
}

gml_status gml_packs_keep(gml_packs *packs, const gml_jit *jit, gml_diags *diags)
{
    for (size_t i = 0; i < packs->list.count; i++) {
        const pending *item = &packs->list.items[i];
        gml_slot *slot = &item->program->slots.items[item->slot];
        if (slot->data)
            continue; /* another pack of the same slot came before */
        void *bytes = make_room(packs, slot);
        if (!bytes)
            return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for packed weights");
        slot->data = bytes;
        GML_TRY(gml_packs_fill(packs, jit, item->program, item->slot, bytes, diags));
    }
    return GML_OK;
}

void gml_packs_release(gml_packs *packs)
{
    for (size_t i = 0; i < packs->buffers.count; i++)
        gml_buffer_release(packs->buffers.items[i]);
    packs->buffers.count = 0;
}
