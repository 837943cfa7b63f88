/* api/trainer.c - schedules, accumulation, clipping: what all optimizers share. */
#include "api/trainer.h"

#define GML_SUM          32 /* operands of one Sum */
#define GML_PI           3.14159265358979323846
#define GML_CLIP_EPSILON 1e-6 /* as PyTorch's clip_grad_norm_ */

static const char *find_fault(const gml_trainer_options *options)
{
    if (options->accumulate < 1)
        return "an accumulation has at least one step";
    if (options->schedule != GML_SCHEDULE_CONST && !(options->total > options->warmup))
        return "a schedule ends behind its warm-up: the total is too small";
    if (!(options->warmup >= 0))
        return "a warm-up cannot be negative";
    return NULL;
}

gml_trainer *gml_trainer_create(gml_builder *builder, const gml_trainer_options *options)
{
    gml_trainer *o = gml_new(&builder->module->arena, gml_trainer);
    o->b = builder;
    o->options = *options;
    gml_map_init(&o->n_nodes, &builder->module->arena);
    const char *fault = find_fault(options);
    if (fault != NULL)
        gml_builder_fail(builder, GML_E_USAGE, "%s", fault);
    return o;
}

static gml_value *number64(gml_trainer *o, double value)
{
    return gml_trainer_number(o, GML_F64, value);
}

/* ---- schedules --------------------------------------------------------------------------- */

gml_step_count gml_trainer_count(gml_trainer *o, gml_value *step)
{
    static const char scope[] = "optimizer.count";
    gml_step_count count = {.step = step, .begin = step, .n_updates = step};
    int64_t n = o->options.accumulate;
    if (n > 1) {
        gml_value *size = gml_trainer_number(o, GML_I64, (double)n);
        gml_value *place = gml_trainer_binary(o, scope, "Mod", step, size);
        count.begin = gml_trainer_binary(o, scope, "Sub", step, place);
        count.is_first =
            gml_trainer_binary(o, scope, "Equal", place, gml_trainer_number(o, GML_I64, 0));
        count.is_last = gml_trainer_binary(o, scope, "Equal", place,
                                           gml_trainer_number(o, GML_I64, (double)(n - 1)));
        count.n_updates = gml_trainer_binary(o, scope, "Div", count.begin, size);
    }
    count.now = gml_trainer_cast(o, scope, count.n_updates, GML_F64);
    return count;
}

/* The part of the way from the end of the warm-up to the end. */
static gml_value *place(gml_trainer *o, const char *scope, gml_value *now)
{
    const gml_trainer_options *options = &o->options;
    gml_value *x = gml_trainer_binary(o, scope, "Sub", now, number64(o, options->warmup));
    x = gml_trainer_binary(o, scope, "Div", x, number64(o, options->total - options->warmup));
    return gml_trainer_binary(o, scope, "Min", x, number64(o, 1));
}

static gml_value *falling_rate(gml_trainer *o, const char *scope, gml_value *now)
{
    double lr = o->options.lr;
    double min = o->options.min_lr;
    if (o->options.schedule == GML_SCHEDULE_CONST)
        return number64(o, lr);
    gml_value *x = place(o, scope, now);
    if (o->options.schedule == GML_SCHEDULE_LINEAR) {
        x = gml_trainer_binary(o, scope, "Mul", x, number64(o, min - lr));
        return gml_trainer_binary(o, scope, "Add", x, number64(o, lr));
    }
    x = gml_trainer_binary(o, scope, "Mul", x, number64(o, GML_PI));
    x = gml_trainer_unary(o, scope, "Cos", x);
    x = gml_trainer_binary(o, scope, "Mul", x, number64(o, (lr - min) / 2));
    return gml_trainer_binary(o, scope, "Add", x, number64(o, (lr + min) / 2));
}

gml_value *gml_trainer_rate(gml_trainer *o, gml_value *now)
{
    static const char scope[] = "optimizer.lr";
    const gml_trainer_options *options = &o->options;
    gml_value *falling = falling_rate(o, scope, now);
    if (options->warmup == 0)
        return falling;
    gml_value *rising = gml_trainer_binary(o, scope, "Mul", now, number64(o, options->lr));
    rising = gml_trainer_binary(o, scope, "Div", rising, number64(o, options->warmup));
    gml_value *is_rising =
        gml_trainer_binary(o, scope, "Less", now, number64(o, options->warmup));
    return gml_trainer_where(o, scope, is_rising, rising, falling);
}

void gml_trainer_advance(gml_trainer *o, const gml_step_count *count)
{
    gml_builder_update(o->b, count->step,
                       gml_trainer_binary(o, "optimizer.next", "Add", count->step,
                                          gml_trainer_number(o, GML_I64, 1)));
}

/* ---- gradients --------------------------------------------------------------------------- */

/* The mean gradient of an accumulation, as far as it has come. */
static gml_value *accumulate(gml_trainer *o, const gml_step_count *count,
                             const gml_trained *trained)
{
    gml_dtype dtype = gml_trainer_dtype(trained->weight);
    const char *scope = gml_trainer_scope(o, trained->weight, "accumulate");
    gml_value *gradient = gml_trainer_cast(o, scope, trained->gradient, dtype);
    if (count->is_last == NULL)
        return gradient;
    gml_value *sum = gml_trainer_state(o, "grad_sum", trained->weight, dtype);
    gml_value *next = gml_trainer_binary(o, scope, "Add", sum, gradient);
    gml_value *zero = gml_trainer_number(o, dtype, 0);
    gml_builder_update(o->b, sum, gml_trainer_where(o, scope, count->is_last, zero, next));
    return gml_trainer_binary(o, scope, "Div", next,
                              gml_trainer_number(o, dtype, (double)o->options.accumulate));
}

/* The sum of n scalars, GML_SUM at a time: a Sum's operands are limited. Overwrites them. */
static gml_value *sum(gml_trainer *o, const char *scope, gml_value **values, size_t n)
{
    while (n > 1) {
        size_t n_sums = 0;
        for (size_t i = 0; i < n; i += GML_SUM) {
            size_t count = n - i < GML_SUM ? n - i : GML_SUM;
            values[n_sums++] = gml_trainer_node(
                o, scope,
                (gml_node_spec){.op = "Sum", .input_list = values + i, .n_inputs = count});
        }
        n = n_sums;
    }
    return values[0];
}

/* The length of all gradients together, which becomes an output, and the factor that clips;
 * NULL when nothing does. */
static gml_value *clip(gml_trainer *o, gml_value *const *gradients, size_t n)
{
    static const char scope[] = "optimizer.clip";
    gml_value **squares = gml_new_array(&o->b->module->arena, gml_value *, n);
    gml_dtype dtype = GML_F32;
    for (size_t i = 0; i < n; i++)
        if (gradients[i]->type.dtype == GML_F64)
            dtype = GML_F64;
    for (size_t i = 0; i < n; i++) {
        gml_value *square = gml_trainer_total(o, scope, "ReduceSumSquare", gradients[i]);
        squares[i] = gml_trainer_cast(o, scope, square, dtype);
    }
    gml_value *norm = gml_trainer_unary(o, scope, "Sqrt", sum(o, scope, squares, n));
    gml_builder_output(o->b, norm, gml_builder_free_name(o->b, "grad_norm"));
    if (o->options.clip == 0)
        return NULL;
    gml_value *x = gml_trainer_binary(o, scope, "Add", norm,
                                      gml_trainer_number(o, dtype, GML_CLIP_EPSILON));
    x = gml_trainer_binary(o, scope, "Div", gml_trainer_number(o, dtype, o->options.clip), x);
    return gml_trainer_binary(o, scope, "Min", x, gml_trainer_number(o, dtype, 1));
}

static gml_value *shorten(gml_trainer *o, const gml_trained *trained, gml_value *gradient,
                          gml_value *factor)
{
    if (factor == NULL)
        return gradient;
    const char *scope = gml_trainer_scope(o, trained->weight, "clip");
    factor = gml_trainer_share(o, factor, gradient->type.dtype);
    return gml_trainer_binary(o, scope, "Mul", gradient, factor);
}

/* ---- all weights ------------------------------------------------------------------------- */

bool gml_trainer_decays(const gml_builder *builder, const gml_value *weight)
{
    static const char bias[] = ".bias";
    size_t len = weight->name != NULL ? strlen(weight->name) : 0;
    bool is_bias =
        len >= sizeof bias - 1 && strcmp(weight->name + len - (sizeof bias - 1), bias) == 0;
    return gml_builder_rank(builder, weight) > 1 && !is_bias;
}

void gml_trainer_update(gml_trainer *o, const gml_step_count *count, gml_value *lr,
                        const gml_trained *trained, size_t n)
{
    gml_value **gradients = gml_new_array(&o->b->module->arena, gml_value *, n + 1);
    gml_update update = {.lr = lr, .is_last = count->is_last};
    if (n == 0)
        gml_builder_fail(o->b, GML_E_USAGE, "there is nothing to train");
    if (gml_builder_has_failed(o->b))
        return;
    for (size_t i = 0; i < n; i++)
        gradients[i] = accumulate(o, count, &trained[i]);
    gml_trainer_prepare(o, &update, count->n_updates);
    gml_dtype dtype = gml_trainer_dtype(trained[0].weight);
    gml_builder_output(o->b, gml_trainer_share(o, lr, dtype),
                       gml_builder_free_name(o->b, "lr"));
    gml_value *factor = clip(o, gradients, n);
    for (size_t i = 0; i < n; i++)
        gml_trainer_apply(o, &update, &trained[i],
                          shorten(o, &trained[i], gradients[i], factor));
}
