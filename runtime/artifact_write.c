/* runtime/artifact_write.c - a program to bytes. */
#include "runtime/artifact_format.h"
#include "runtime/plan.h"

#include <string.h>

/* Elements that are in the image. */
typedef struct blob {
    const void *data;
    size_t size;
    uint64_t offset;
} blob;

typedef struct writer {
    gml_str *out;
    const gml_artifact_options *options;
    gml_arena arena; /* of the lists below */
    gml_vec(blob) blobs;
    uint64_t blobs_size;
    gml_diags *diags;
} writer;

static void put_number(writer *w, uint64_t value, unsigned size)
{
    unsigned char bytes[8];
    gml_store_number(bytes, value, size);
    gml_str_append(w->out, bytes, size);
}

static void put_u32(writer *w, uint32_t value)
{
    put_number(w, value, 4);
}

static void put_i64(writer *w, int64_t value)
{
    put_number(w, (uint64_t)value, 8);
}

static void put_bytes(writer *w, const char *text, size_t len)
{
    put_u32(w, (uint32_t)len);
    gml_str_append(w->out, text, len);
}

static void put_text(writer *w, const char *text)
{
    if (text == NULL)
        put_u32(w, GML_NO_TEXT);
    else
        put_bytes(w, text, strlen(text));
}

static void put_numbers(writer *w, const uint32_t *numbers, uint32_t count)
{
    put_u32(w, count);
    for (uint32_t i = 0; i < count; i++)
        put_u32(w, numbers[i]);
}

static gml_status refuse(writer *w, const gml_step *step, const char *what)
{
    return gml_fail(w->diags, GML_E_INVALID, (gml_loc){.node = step->node, .op = step->op},
                    "the program cannot be written: %s", what);
}

/* ---- Elements --------------------------------------------------------------------------- */

static bool put_in_file(writer *w, const void *data, size_t size)
{
    size_t n_files = w->options != NULL ? w->options->n_files : 0;
    for (size_t i = 0; i < n_files; i++) {
        const gml_file *file = &w->options->files[i].file;
        uintptr_t start = (uintptr_t)file->data;
        uintptr_t at = (uintptr_t)data;
        if (at < start || size > file->size || at - start > file->size - size)
            continue;
        put_u32(w, GML_ELEMENTS_FILE);
        put_u32(w, (uint32_t)i);
        put_number(w, at - start, 8);
        return true;
    }
    return false;
}

static uint64_t place_blob(writer *w, const void *data, size_t size)
{
    for (size_t i = 0; i < w->blobs.count; i++) {
        if (w->blobs.items[i].data == data && w->blobs.items[i].size == size)
            return w->blobs.items[i].offset;
    }
    blob b = {data, size, w->blobs_size};
    gml_push(&w->arena, &w->blobs, b);
    w->blobs_size += gml_align_up(size);
    return b.offset;
}

static gml_status put_elements(writer *w, const gml_tensor *tensor)
{
    size_t size = 0;
    if (!gml_tensor_bytes(tensor, &size))
        return gml_fail(w->diags, GML_E_SHAPE, (gml_loc){0},
                        "the program cannot be written: a constant has a damaged shape");
    if (size == 0) {
        put_u32(w, GML_ELEMENTS_NONE);
        return GML_OK;
    }
    if (tensor->data == NULL)
        return gml_fail(w->diags, GML_E_INVALID, (gml_loc){0},
                        "the program cannot be written: a constant has no data");
    if (tensor->dtype == GML_STRING) {
        const gml_string *strings = tensor->data;
        put_u32(w, GML_ELEMENTS_STRINGS);
        for (size_t i = 0; i < size / sizeof(gml_string); i++)
            put_bytes(w, strings[i].data, strings[i].len);
        return GML_OK;
    }
    if (put_in_file(w, tensor->data, size))
        return GML_OK;
    put_u32(w, GML_ELEMENTS_IMAGE);
    put_number(w, place_blob(w, tensor->data, size), 8);
    return GML_OK;
}

static gml_status put_tensor(writer *w, const gml_tensor *tensor)
{
    put_u32(w, (uint32_t)tensor->dtype);
    put_u32(w, (uint32_t)tensor->rank);
    for (int i = 0; i < tensor->rank; i++)
        put_i64(w, tensor->dims[i]);
    return put_elements(w, tensor);
}

/* ---- Attributes ------------------------------------------------------------------------- */

static void put_float(writer *w, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_u32(w, bits);
}

static gml_status put_list(writer *w, const gml_attr *attr)
{
    for (size_t i = 0; i < attr->count; i++) {
        if (attr->kind == GML_ATTR_INTS)
            put_i64(w, attr->as.ints[i]);
        else if (attr->kind == GML_ATTR_FLOATS)
            put_float(w, attr->as.floats[i]);
        else if (attr->kind == GML_ATTR_STRINGS)
            put_bytes(w, attr->as.strings[i].data, attr->as.strings[i].len);
        else
            GML_TRY(put_tensor(w, attr->as.tensors[i]));
    }
    return GML_OK;
}

static gml_status put_attr(writer *w, const gml_attr *attr)
{
    put_text(w, attr->name);
    put_u32(w, (uint32_t)attr->kind);
    switch (attr->kind) {
    case GML_ATTR_NONE:
    case GML_ATTR_TYPE: break;
    case GML_ATTR_INT: put_i64(w, attr->as.i); break;
    case GML_ATTR_FLOAT: put_float(w, attr->as.f); break;
    case GML_ATTR_STRING: put_bytes(w, attr->as.s.data, attr->as.s.len); break;
    case GML_ATTR_TENSOR: return put_tensor(w, attr->as.t);
    case GML_ATTR_GRAPH: put_u32(w, (uint32_t)attr->count); break;
    case GML_ATTR_INTS:
    case GML_ATTR_FLOATS:
    case GML_ATTR_STRINGS:
    case GML_ATTR_TENSORS: put_u32(w, (uint32_t)attr->count); return put_list(w, attr);
    }
    return GML_OK;
}

/* ---- Programs --------------------------------------------------------------------------- */

static gml_status put_program(writer *w, const gml_program *program);

static void put_dims(writer *w, const gml_dim_pool *pool)
{
    put_u32(w, (uint32_t)pool->exprs.count);
    for (size_t i = 0; i < pool->exprs.count; i++) {
        const gml_dim_expr *expr = &pool->exprs.items[i];
        put_u32(w, (uint32_t)expr->op);
        if (expr->op == GML_DIM_SYMBOL) {
            put_text(w, expr->name);
        } else {
            put_i64(w, expr->a);
            put_i64(w, expr->b);
        }
    }
}

static gml_status put_slot(writer *w, const gml_slot *slot)
{
    put_u32(w, (uint32_t)slot->kind);
    put_u32(w, (uint32_t)slot->dtype);
    put_u32(w, (uint32_t)slot->rank);
    put_text(w, slot->name);
    for (int i = 0; i < slot->rank; i++)
        put_i64(w, slot->dims[i]);
    if (slot->kind != GML_SLOT_CONSTANT)
        return GML_OK;
    union {
        const void *from;
        void *to;
    } data = {slot->data};
    gml_tensor tensor = {.dtype = slot->dtype, .rank = slot->rank, .data = data.to};
    for (int i = 0; i < slot->rank; i++)
        tensor.dims[i] = slot->dims[i];
    return put_elements(w, &tensor);
}

static gml_status put_kernel(writer *w, const gml_step *step)
{
    put_u32(w, step->n_phases);
    for (uint32_t i = 0; i < step->n_phases; i++) {
        if (step->phases[i].symbol == NULL)
            return refuse(w, step, "a phase has no symbol");
        put_text(w, step->phases[i].symbol);
        put_i64(w, step->phases[i].extent);
    }
    put_u32(w, step->n_temporaries);
    for (uint32_t i = 0; i < step->n_temporaries; i++)
        put_i64(w, step->temporaries[i]);
    put_i64(w, step->scratch);
    put_i64(w, step->flops);
    put_i64(w, step->bytes);
    return GML_OK;
}

static gml_status put_host(writer *w, const gml_step *step)
{
    if (step->host_name == NULL)
        return refuse(w, step, "a host operator has no name");
    put_text(w, step->host_name);
    put_u32(w, step->n_attrs);
    for (uint32_t i = 0; i < step->n_attrs; i++)
        GML_TRY(put_attr(w, &step->attrs[i]));
    put_u32(w, step->output_dtypes != NULL);
    for (uint32_t i = 0; step->output_dtypes != NULL && i < step->n_outputs; i++)
        put_u32(w, (uint32_t)step->output_dtypes[i]);
    put_u32(w, step->n_regions);
    for (uint32_t i = 0; i < step->n_regions; i++) {
        const gml_region *region = &step->regions[i];
        put_u32(w, region->n_params);
        put_numbers(w, region->captures, region->n_captures);
        GML_TRY(put_program(w, region->program));
    }
    return GML_OK;
}

static gml_status put_step(writer *w, const gml_step *step)
{
    put_u32(w, (uint32_t)step->kind);
    put_text(w, step->name);
    put_text(w, step->node);
    put_text(w, step->op);
    put_numbers(w, step->inputs, step->n_inputs);
    put_numbers(w, step->outputs, step->n_outputs);
    return step->kind == GML_STEP_KERNEL ? put_kernel(w, step) : put_host(w, step);
}

static void put_names(writer *w, const char *const *names, uint32_t count)
{
    put_u32(w, names != NULL);
    for (uint32_t i = 0; names != NULL && i < count; i++)
        put_text(w, names[i]);
}

static gml_status put_program(writer *w, const gml_program *program)
{
    put_dims(w, &program->dims);
    put_u32(w, (uint32_t)program->slots.count);
    for (size_t i = 0; i < program->slots.count; i++)
        GML_TRY(put_slot(w, &program->slots.items[i]));
    put_numbers(w, program->inputs, program->n_inputs);
    put_names(w, program->input_names, program->n_inputs);
    put_numbers(w, program->outputs, program->n_outputs);
    put_names(w, program->output_names, program->n_outputs);
    put_u32(w, (uint32_t)program->steps.count);
    for (size_t i = 0; i < program->steps.count; i++)
        GML_TRY(put_step(w, &program->steps.items[i]));
    return GML_OK;
}

/* ---- The image -------------------------------------------------------------------------- */

static void pad_to(gml_str *out, size_t size)
{
    static const char zeros[256];
    while (out->len < size)
        gml_str_append(out, zeros, size - out->len < 256 ? size - out->len : 256);
}

static void put_options(writer *w)
{
    const gml_artifact_options none = {0};
    const gml_artifact_options *options = w->options != NULL ? w->options : &none;
    put_u32(w, (uint32_t)options->n_features);
    for (size_t i = 0; i < options->n_features; i++)
        put_text(w, options->features[i]);
    put_u32(w, (uint32_t)options->n_files);
    for (size_t i = 0; i < options->n_files; i++) {
        put_text(w, options->files[i].name);
        put_number(w, options->files[i].file.size, 8);
        put_number(w, gml_head_checksum(&options->files[i].file), 8);
    }
}

/* The constants, and the header's numbers. */
static void finish(writer *w)
{
    gml_str *out = w->out;
    size_t description = out->len - GML_HEADER_SIZE;
    size_t constants = out->len;
    if (w->blobs.count != 0)
        constants =
            (constants + GML_ARTIFACT_ALIGN - 1) / GML_ARTIFACT_ALIGN * GML_ARTIFACT_ALIGN;
    for (size_t i = 0; i < w->blobs.count; i++) {
        pad_to(out, constants + w->blobs.items[i].offset);
        gml_str_append(out, w->blobs.items[i].data, w->blobs.items[i].size);
    }
    pad_to(out, constants + w->blobs_size);
    unsigned char *image = (unsigned char *)out->text;
    gml_store_number(image + GML_AT_VERSION, GML_ABI_VERSION, 4);
    gml_store_number(image + GML_AT_SIZE, out->len, 8);
    gml_store_number(image + GML_AT_DESCRIPTION, description, 8);
    gml_store_number(image + GML_AT_CONSTANTS, constants, 8);
    gml_store_number(image + GML_AT_CONSTANTS_SIZE, w->blobs_size, 8);
    (void)gml_artifact_seal(out->text, out->len);
}

gml_status gml_artifact_write(const gml_program *program, const gml_artifact_options *options,
                              gml_str *out, gml_diags *diags)
{
    writer w = {.out = out, .options = options, .diags = diags};
    GML_TRY(gml_program_check(program, diags));
    gml_arena_init(&w.arena);
    gml_str_append(out, GML_MAGIC, 8);
    pad_to(out, GML_HEADER_SIZE);
    put_options(&w);
    gml_status status = put_program(&w, program);
    if (status == GML_OK)
        finish(&w);
    gml_arena_reset(&w.arena);
    return status;
}

bool gml_artifact_seal(void *bytes, size_t len)
{
    unsigned char *image = bytes;
    if (len < GML_HEADER_SIZE)
        return false;
    uint64_t description = gml_load_number(image + GML_AT_DESCRIPTION, 8);
    uint64_t constants = gml_load_number(image + GML_AT_CONSTANTS, 8);
    uint64_t size = gml_load_number(image + GML_AT_CONSTANTS_SIZE, 8);
    if (description > len - GML_HEADER_SIZE || constants > len || size > len - constants)
        return false;
    gml_store_number(image + GML_AT_CONSTANTS_CHECKSUM,
                     gml_hash_bytes(image + constants, (size_t)size, 0), 8);
    gml_store_number(image + GML_AT_CHECKSUM, gml_image_checksum(image, (size_t)description),
                     8);
    return true;
}
