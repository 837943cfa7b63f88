/* runtime/artifact_plan.c - which programs an image has, and where its constants lie. */
#include "runtime/artifact_writer.h"
#include "runtime/plan.h"

#include <stdlib.h>
#include <string.h>

static bool is_aligned(const gml_blob *blob)
{
    return blob->tensor.size % GML_ALIGN == 0;
}

static int by_alignment(const void *left, const void *right)
{
    const gml_blob *const *a = left;
    const gml_blob *const *b = right;
    size_t a_size = gml_dtype_size((*a)->tensor.dtype);
    size_t b_size = gml_dtype_size((*b)->tensor.dtype);
    if (is_aligned(*a) != is_aligned(*b))
        return is_aligned(*a) ? -1 : 1;
    if (!is_aligned(*a) && a_size != b_size)
        return a_size > b_size ? -1 : 1;
    return (*a > *b) - (*a < *b); /* both in one array, in the order of the program */
}

/* Elements keep the alignment of their type: what is behind the multiples of 64 falls in size.
 */
static void place_blobs(gml_artifact_plan *plan, gml_str *description)
{
    size_t count = plan->blobs.count;
    plan->order = gml_new_array(&plan->arena, gml_blob *, count);
    plan->tensors = gml_new_array(&plan->arena, gml_artifact_tensor, count);
    for (size_t i = 0; i < count; i++)
        plan->order[i] = &plan->blobs.items[i];
    if (count != 0)
        qsort(plan->order, count, sizeof *plan->order, by_alignment);
    for (size_t i = 0; i < count; i++) {
        plan->order[i]->tensor.offset = plan->constants_size;
        plan->constants_size += plan->order[i]->tensor.size;
        plan->tensors[i] = plan->order[i]->tensor;
    }
    for (size_t i = 0; i < plan->fixups.count; i++)
        gml_store_number((unsigned char *)description->text + plan->fixups.items[i].at,
                         plan->blobs.items[plan->fixups.items[i].blob].tensor.offset, 8);
}

static gml_status put_entries(gml_artifact_plan *plan, const gml_artifact_entry *entries,
                              size_t n, gml_diags *diags)
{
    gml_str *out = &plan->program;
    GML_TRY(gml_put_program(plan, entries[0].program, diags));
    if (n == 1 && strcmp(entries[0].name, GML_ARTIFACT_RUN) == 0)
        return GML_OK;
    gml_put_number(out, n, 4);
    for (size_t i = 0; i < n; i++)
        gml_put_text(out, entries[i].name);
    for (size_t i = 1; i < n; i++)
        GML_TRY(gml_put_program(plan, entries[i].program, diags));
    return GML_OK;
}

gml_status gml_artifact_plan_create(const gml_program *program,
                                    const gml_artifact_options *options,
                                    gml_artifact_plan **out_plan, gml_diags *diags)
{
    union {
        const gml_program *from;
        gml_program *to; /* is only read */
    } cast = {program};
    gml_artifact_entry entry = {GML_ARTIFACT_RUN, cast.to};
    return gml_artifact_plan_entries(&entry, 1, options, out_plan, diags);
}

gml_status gml_artifact_plan_entries(const gml_artifact_entry *entries, size_t n,
                                     const gml_artifact_options *options,
                                     gml_artifact_plan **out_plan, gml_diags *diags)
{
    *out_plan = NULL;
    for (size_t i = 0; i < n; i++)
        GML_TRY(gml_program_check(entries[i].program, diags));
    gml_artifact_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for an artifact");
    gml_arena_init(&plan->arena);
    gml_str_init(&plan->program);
    if (options != NULL)
        plan->options = *options;
    gml_status status = put_entries(plan, entries, n, diags);
    if (status != GML_OK) {
        gml_artifact_plan_destroy(plan);
        return status;
    }
    place_blobs(plan, &plan->program);
    *out_plan = plan;
    return GML_OK;
}

void gml_artifact_plan_destroy(gml_artifact_plan *plan)
{
    if (plan == NULL)
        return;
    gml_str_reset(&plan->program);
    gml_arena_reset(&plan->arena);
    free(plan);
}

const gml_artifact_tensor *gml_artifact_tensors(const gml_artifact_plan *plan,
                                                size_t *out_count)
{
    *out_count = plan->blobs.count;
    return plan->tensors;
}

void gml_artifact_plan_file(gml_artifact_plan *plan, const gml_artifact_file *file)
{
    plan->file = *file;
    plan->file.name = gml_arena_text(&plan->arena, file->name, strlen(file->name));
}

/* What stands before the program in the description. */
void gml_artifact_put_options(const gml_artifact_plan *plan, gml_str *out)
{
    const gml_artifact_options *options = &plan->options;
    gml_put_number(out, options->n_features, 4);
    for (size_t i = 0; i < options->n_features; i++)
        gml_put_text(out, options->features[i]);
    gml_put_number(out, plan->file.name != NULL, 4);
    if (plan->file.name == NULL)
        return;
    gml_put_text(out, plan->file.name);
    gml_put_number(out, plan->file.size, 8);
    gml_put_number(out, plan->file.constants, 8);
    gml_put_number(out, plan->file.head_checksum, 8);
    gml_put_number(out, plan->file.constants_checksum, 8);
}
