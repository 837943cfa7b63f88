/* runtime/artifact_image.c - an image's header, and the programs in it. */
#include "runtime/artifact_reader.h"
#include "runtime/cpu.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- The image -------------------------------------------------------------------------- */

static gml_status damaged(const gml_reader *r, const char *what)
{
    return gml_fail(r->diags, GML_E_INVALID, r->loc, "the artifact is damaged: %s", what);
}

/* Header, checksums, and the bounds of description and constants. */
static gml_status open_image(gml_reader *r, size_t len)
{
    const unsigned char *image = r->image;
    if (len < GML_HEADER_SIZE || memcmp(image, GML_ARTIFACT_MAGIC, 8) != 0)
        return gml_fail(r->diags, GML_E_INVALID, r->loc, "this is no artifact of gemel");
    uint64_t version = gml_load_number(image + GML_AT_VERSION, 4);
    if (version != GML_ABI_VERSION)
        return gml_fail(r->diags, GML_E_UNSUPPORTED, r->loc,
                        "the artifact has version %llu, this runtime reads version %d",
                        (unsigned long long)version, GML_ABI_VERSION);
    uint64_t description = gml_load_number(image + GML_AT_DESCRIPTION, 8);
    uint64_t constants = gml_load_number(image + GML_AT_CONSTANTS, 8);
    uint64_t size = gml_load_number(image + GML_AT_CONSTANTS_SIZE, 8);
    if (gml_load_number(image + GML_AT_SIZE, 8) != len)
        return damaged(r, "its size is not the one it had");
    if (description > len - GML_HEADER_SIZE || constants < GML_HEADER_SIZE + description ||
        constants > len || size != len - constants)
        return damaged(r, "its parts do not fit");
    if (gml_load_number(image + GML_AT_CHECKSUM, 8) !=
        gml_image_checksum(image, (size_t)description))
        return damaged(r, "the checksum does not fit");
    for (size_t i = GML_HEADER_SIZE + (size_t)description; i < constants; i++) {
        if (image[i] != 0)
            return damaged(r, "the checksum does not fit");
    }
    if (!r->symbols->trust_constants &&
        gml_load_number(image + GML_AT_CONSTANTS_CHECKSUM, 8) !=
            gml_constants_checksum(image + constants, (size_t)size))
        return damaged(r, "the checksum of its constants does not fit");
    r->at = image + GML_HEADER_SIZE;
    r->end = r->at + description;
    r->constants = image + constants;
    r->constants_size = size;
    return GML_OK;
}

static void check_features(gml_reader *r)
{
    uint32_t count = gml_read_count(r, 4);
    for (uint32_t i = 0; i < count && r->status == GML_OK; i++) {
        const char *feature = gml_read_name(r);
        if (r->status == GML_OK && !gml_cpu_has(feature)) {
            r->status = gml_fail(r->diags, GML_E_UNSUPPORTED, r->loc,
                                 "the artifact needs a processor with %s", feature);
            gml_note(r->diags, "compile it for this machine, or for an older one");
        }
    }
}

static void fill_tables(gml_reader *r, gml_arena *arena)
{
    union {
        const void *from;
        void *to;
    } row;
    gml_map_init(&r->phases, arena);
    gml_map_init(&r->hosts, arena);
    for (size_t i = 0; i < r->symbols->n_phases; i++) {
        row.from = &r->symbols->phases[i];
        (void)gml_map_set(&r->phases, r->symbols->phases[i].name, row.to);
    }
    for (size_t i = 0; i < r->symbols->n_hosts; i++) {
        row.from = &r->symbols->hosts[i];
        (void)gml_map_set(&r->hosts, r->symbols->hosts[i].name, row.to);
    }
}

/* The mapping goes with the last of the programs. */
typedef struct mapping {
    atomic_int refs;
    gml_file file;
} mapping;

static void unmap(void *context)
{
    mapping *shared = context;
    if (atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel) != 1)
        return;
    gml_file_unmap(&shared->file);
    free(shared);
}

static gml_status adopt(gml_reader *r, const gml_artifact_image *image)
{
    mapping *shared = malloc(sizeof *shared);
    if (shared == NULL)
        return gml_fail(r->diags, GML_E_MEMORY, r->loc, "no memory for the program");
    atomic_init(&shared->refs, (int)image->n_entries);
    shared->file = r->file;
    for (size_t i = 0; i < image->n_entries; i++) {
        image->entries[i].program->context = shared;
        image->entries[i].program->release = unmap;
    }
    return GML_OK;
}

/* ---- Entries ---------------------------------------------------------------------------- */

/* A model has few parts. */
#define GML_MAX_ENTRIES 64

static uint32_t read_names(gml_reader *r, gml_artifact_image *image)
{
    r->arena = &image->arena;
    uint32_t n = gml_read_count(r, 4);
    if (n == 0 || n > GML_MAX_ENTRIES) {
        gml_reader_refuse(r, "the number of programs");
        return 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        image->entries[i].name = gml_read_name(r);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(image->entries[k].name, image->entries[i].name) == 0)
                gml_reader_refuse(r, "the name of a program");
    }
    return n;
}

/* All parts of a model have the same states. */
static void check_states(gml_reader *r, const gml_program *first, const gml_program *program)
{
    bool is_same = first->states.count == program->states.count;
    for (size_t i = 0; is_same && i < first->states.count; i++)
        is_same = strcmp(first->states.items[i].name, program->states.items[i].name) == 0;
    if (!is_same)
        gml_reader_refuse(r, "the states of a program");
}

/* Programs are counted once they are there, so that a fault releases those before it. */
static void read_entries(gml_reader *r, gml_artifact_image *image)
{
    image->entries = gml_new_array(&image->arena, gml_artifact_entry, GML_MAX_ENTRIES);
    image->entries[0] = (gml_artifact_entry){GML_ARTIFACT_RUN, gml_read_program(r)};
    if (r->status != GML_OK)
        return;
    image->n_entries = 1;
    uint32_t n = r->at != r->end ? read_names(r, image) : 1;
    for (uint32_t i = 1; i < n && r->status == GML_OK; i++) {
        gml_program *program = gml_read_program(r);
        if (program == NULL)
            return;
        image->entries[i].program = program;
        image->n_entries = i + 1;
        check_states(r, image->entries[0].program, program);
    }
    if (r->at != r->end)
        gml_reader_refuse(r, "there is more than its programs");
}

gml_status gml_artifact_read_entries(const void *bytes, size_t len,
                                     const gml_artifact_symbols *symbols,
                                     gml_artifact_image *out_image, gml_diags *diags)
{
    gml_reader r = {.image = bytes,
                    .symbols = symbols,
                    .loc = {.file = symbols->name},
                    .file = {.data = ""},
                    .diags = diags};
    GML_TRY(open_image(&r, len));
    gml_arena arena;
    gml_artifact_image image = {0};
    gml_arena_init(&arena);
    gml_arena_init(&image.arena);
    r.arena = &arena;
    fill_tables(&r, &arena);
    check_features(&r);
    gml_read_file(&r);
    read_entries(&r, &image);
    if (r.status == GML_OK)
        r.status = adopt(&r, &image);
    if (r.status == GML_OK) {
        *out_image = image;
    } else {
        gml_artifact_image_reset(&image);
        gml_file_unmap(&r.file);
    }
    gml_arena_reset(&arena);
    return r.status;
}

void gml_artifact_image_reset(gml_artifact_image *image)
{
    for (size_t i = 0; i < image->n_entries; i++)
        gml_program_release(image->entries[i].program);
    gml_arena_reset(&image->arena);
    *image = (gml_artifact_image){0};
}

gml_program *gml_artifact_image_find(const gml_artifact_image *image, const char *name)
{
    for (size_t i = 0; i < image->n_entries; i++)
        if (strcmp(image->entries[i].name, name) == 0)
            return image->entries[i].program;
    return NULL;
}

gml_status gml_artifact_read(const void *bytes, size_t len, const gml_artifact_symbols *symbols,
                             gml_program **out_program, gml_diags *diags)
{
    gml_artifact_image image = {0};
    GML_TRY(gml_artifact_read_entries(bytes, len, symbols, &image, diags));
    assert(image.entries != NULL && image.n_entries != 0);
    *out_program = gml_program_retain(image.entries[0].program);
    gml_artifact_image_reset(&image);
    return GML_OK;
}

/* ---- States ----------------------------------------------------------------------------- */

/* Type and elements of state `i`; false when this program knows nothing of them. */
static bool find_initial(const gml_program *program, size_t i, gml_tensor *out)
{
    const gml_program_state *state = &program->states.items[i];
    uint32_t number = GML_NO_SLOT;
    if (state->input != GML_NO_SLOT)
        number = program->inputs[state->input];
    else if (state->output != GML_NO_SLOT)
        number = program->outputs[state->output];
    if (number == GML_NO_SLOT)
        return false;
    const gml_slot *slot = &program->slots.items[number];
    union {
        const void *from;
        void *to; /* is only read */
    } data = {state->initial};
    *out = (gml_tensor){.dtype = slot->dtype, .rank = slot->rank, .data = data.to};
    for (int d = 0; d < slot->rank; d++) {
        if (!gml_dim_is_const(slot->dims[d]))
            return false;
        out->dims[d] = slot->dims[d];
    }
    return slot->dtype != GML_NONE && slot->rank >= 0;
}

/* One that reads the state has its elements: it goes before those that only set it. */
static gml_tensor initial_of(const gml_artifact_image *image, size_t i)
{
    gml_tensor initial = {.dtype = GML_NONE};
    gml_tensor found;
    for (size_t e = image->n_entries; e-- > 0;)
        if (find_initial(image->entries[e].program, i, &found))
            initial = found;
    for (size_t e = 0; e < image->n_entries; e++) {
        const gml_program *program = image->entries[e].program;
        if (program->states.items[i].input != GML_NO_SLOT && find_initial(program, i, &found))
            return found;
    }
    return initial;
}

gml_state_port *gml_artifact_ports(const gml_artifact_image *image, const gml_program *program,
                                   gml_arena *arena)
{
    size_t n = program->states.count;
    gml_state_port *ports = gml_new_array(arena, gml_state_port, n + 1);
    for (size_t i = 0; i < n; i++) {
        const gml_program_state *state = &program->states.items[i];
        ports[i] = (gml_state_port){.name = state->name,
                                    .initial = initial_of(image, i),
                                    .input = state->input,
                                    .output = state->output};
    }
    return ports;
}
