/* runtime/exec_check.c - what sizes must be to each other.
 *
 * Kernels are compiled for what inference took for granted: that two names stand for one size,
 * that an axis divides. They would read beyond their operands where that is not so. */
#include "runtime/instance.h"

#include <inttypes.h>

/* "n = 5", or "5" */
static const char *value_text(const gml_instance *instance, gml_dim dim, gml_diags *diags)
{
    int64_t value = 0;
    const char *text = gml_instance_dim_text(instance, dim, diags);
    if (gml_dim_is_const(dim) || !gml_instance_dim(instance, dim, &value))
        return text;
    return gml_arena_printf(diags->arena, "%s = %" PRId64, text, value);
}

static gml_status refuse(const gml_instance *instance, const gml_check *check, bool has_one,
                         gml_diags *diags)
{
    gml_loc loc = {.node = check->node, .op = check->op};
    const char *a = value_text(instance, check->a, diags);
    const char *b = value_text(instance, check->b, diags);
    gml_status status = GML_E_SHAPE;
    if (check->relation == GML_AT_MOST && gml_dim_is_const(check->a))
        (void)gml_fail(diags, status, loc, "size %s must be at least %s", b, a);
    else if (check->relation == GML_AT_MOST)
        (void)gml_fail(diags, status, loc, "size %s must not be above %s", a, b);
    else if (check->relation == GML_MULTIPLE)
        (void)gml_fail(diags, status, loc, "size %s must be a multiple of %s", a, b);
    else if (check->relation == GML_NOT_EMPTY)
        (void)gml_fail(diags, status, loc, "size %s has no element where %s are needed", a, b);
    else
        (void)gml_fail(diags, status, loc, "sizes %s and %s must be equal", a, b);
    if (check->relation == GML_BROADCAST && has_one)
        gml_note(diags, "a size of 1 is repeated only where it is known when compiling");
    return status;
}

gml_status gml_instance_check(gml_instance *instance, gml_diags *diags)
{
    const gml_program *program = instance->program;
    for (size_t i = 0; i < program->checks.count; i++) {
        const gml_check *check = &program->checks.items[i];
        int64_t a = 0;
        int64_t b = 0;
        bool is_known = gml_instance_dim(instance, check->a, &a) &&
                        gml_instance_dim(instance, check->b, &b);
        if (!is_known)
            instance->has_open = true;
        else if (!gml_relation_holds(check->relation, a, b))
            return refuse(instance, check, a == 1 || b == 1, diags);
    }
    return GML_OK;
}

gml_status gml_instance_check_step(gml_instance *instance, uint32_t step, gml_diags *diags)
{
    const gml_program *program = instance->program;
    for (; instance->next_check < program->checks.count; instance->next_check++) {
        const gml_check *check = &program->checks.items[instance->next_check];
        int64_t value = 0;
        if (check->step > step)
            break;
        if (check->step < step)
            continue;
        bool has_a = gml_instance_dim(instance, check->a, &value);
        if (has_a && gml_instance_dim(instance, check->b, &value))
            continue;
        return gml_fail(diags, GML_E_SHAPE, (gml_loc){.node = check->node, .op = check->op},
                        "size %s has no value: one overflows, or nothing decides it",
                        gml_instance_dim_text(instance, has_a ? check->b : check->a, diags));
    }
    return GML_OK;
}
