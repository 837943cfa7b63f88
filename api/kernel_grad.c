/* api/kernel_grad.c - gradients of small graphs against central differences. */
#include "api/execute.h"
#include "api/kernel_test.h"
#include "ir/op.h"
#include "ir/text.h"

#include <math.h>
#include <string.h>

/* Central differences D of steps h and h / 2 combined, (4 D(h / 2) - D(h)) / 3, are off by h^4
 * times the fifth derivative, and by the rounding of the function over h. Where the step
 * crosses a kink, or a pole is near, shorter ones are tried: a wrong gradient agrees with none.
 */
#define GML_GRAD_STEP       1e-4
#define GML_GRAD_SHORTEST   1e-7
#define GML_GRAD_TOLERANCE  1e-6
#define GML_GRAD_DIRECTIONS 3
/* Variables stay within this of 0 where the case lets them: further out functions like exp have
 * slopes that no difference gets right. */
#define GML_GRAD_RANGE      1.5

typedef struct job {
    const char *text;
    size_t len;
    gml_arena *arena;
    gml_diags *diags;
    gml_rvalue *inputs;
    uint32_t n_inputs;
    uint32_t n_variables;
} job;

static bool is_variable(const gml_value *value)
{
    return value->type.kind == GML_TYPE_TENSOR && value->type.dtype == GML_F64;
}

/* The sum of sin(y) over all f64 results; NULL when there is none. */
static gml_value *build_function(gml_build *b, const gml_graph *graph)
{
    gml_value *sum = NULL;
    for (uint32_t r = 0; r < graph->n_results; r++) {
        if (!is_variable(graph->results[r]))
            continue;
        gml_value *s = gml_build_unary(b, &gml_op_sin, graph->results[r]);
        s = gml_build_reduce(b, &gml_op_reducesum, s, NULL, 0, false);
        sum = sum ? gml_build_binary(b, &gml_op_add, sum, s) : s;
    }
    return sum;
}

/* Makes the derivatives of `y` by all variables the graph's results. */
static void build_gradient(gml_build *b, gml_graph *graph, gml_value *y)
{
    gml_arena *arena = &graph->module->arena;
    gml_value **operands = gml_new_array(arena, gml_value *, 2 * (size_t)graph->n_params + 1);
    gml_string *names = gml_new_array(arena, gml_string, graph->n_params + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < graph->n_params; i++)
        if (is_variable(graph->params[i])) {
            names[n] = (gml_string){graph->params[i]->name, strlen(graph->params[i]->name)};
            operands[n++] = graph->params[i];
        }
    for (uint32_t i = 0; i < n; i++)
        operands[n + i] = operands[i];
    operands[2 * (size_t)n] = y;
    gml_attr attrs[2] = {{.name = "xs", .kind = GML_ATTR_STRINGS, .count = n},
                         gml_attr_string("y", "the function")};
    attrs[0].as.strings = names;
    gml_node *node = gml_build_node(b, &gml_op_gradient, operands, 2 * n + 1, attrs, 2, n);
    for (uint32_t i = 0; i < n && b->status == GML_OK; i++)
        gml_graph_add_result(graph, &node->results[i], NULL);
}

/* The case with the function, or with its derivatives, as results. *out_module is NULL with
 * GML_OK when there is nothing to differentiate. */
static gml_status make_module(job *j, bool gradient, gml_module **out_module)
{
    gml_module *module = NULL;
    *out_module = NULL;
    GML_TRY(gml_text_parse(j->text, j->len, NULL, j->diags, &module));
    gml_graph *graph = module->main;
    gml_status status = gml_graph_infer(graph, j->diags);
    gml_build b = {graph, NULL, {0}, j->diags, GML_OK};
    gml_value *y = status == GML_OK ? build_function(&b, graph) : NULL;
    j->n_variables = 0;
    for (uint32_t i = 0; i < graph->n_params; i++)
        j->n_variables += is_variable(graph->params[i]);
    graph->n_results = 0;
    if (status == GML_OK && y && gradient)
        build_gradient(&b, graph, y);
    else if (status == GML_OK && y)
        gml_graph_add_result(graph, y, NULL);
    status = status == GML_OK ? b.status : status;
    if (status == GML_OK && y && j->n_variables > 0)
        *out_module = module;
    else
        gml_module_destroy(module);
    return status;
}

/* ---- running ------------------------------------------------------------------------------
 */

static gml_status run(job *j, bool gradient, gml_rvalue *outputs)
{
    gml_module *module;
    gml_execute_options options = {.device = GML_DEVICE_REF, .verify = true};
    GML_TRY(make_module(j, gradient, &module));
    return gml_execute(module, j->inputs, outputs, &options, j->diags);
}

static gml_status evaluate(job *j, double *out_value)
{
    gml_rvalue out = {0};
    GML_TRY(run(j, false, &out));
    *out_value = *(const double *)out.tensor.data;
    gml_rvalue_reset(&out);
    return GML_OK;
}

/* Moves all variables along the direction of that seed; adds up the derivative along it. */
static void move(job *j, double step, uint64_t seed, const gml_rvalue *gradient,
                 double *out_slope, double *out_length)
{
    uint64_t state = seed * 2654435761u + 12345;
    uint32_t which = 0;
    for (uint32_t i = 0; i < j->n_inputs; i++) {
        if (j->inputs[i].tensor.dtype != GML_F64)
            continue;
        double *x = j->inputs[i].tensor.data;
        const double *g = gradient[which++].tensor.data;
        for (int64_t k = 0; k < gml_tensor_numel(&j->inputs[i].tensor); k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            double direction = (double)(int64_t)state * 0x1p-63;
            x[k] += step * direction;
            *out_slope += g[k] * direction;
            *out_length += g[k] * g[k];
        }
    }
}

/* The central difference of `step` along the direction of `seed`. */
static gml_status differ(job *j, double step, uint64_t seed, const gml_rvalue *gradient,
                         double *out_difference)
{
    double up = 0;
    double down = 0;
    double unused = 0;
    move(j, step, seed, gradient, &unused, &unused);
    GML_TRY(evaluate(j, &up));
    move(j, -2 * step, seed, gradient, &unused, &unused);
    GML_TRY(evaluate(j, &down));
    move(j, step, seed, gradient, &unused, &unused);
    *out_difference = (up - down) / (2 * step);
    return GML_OK;
}

static gml_status check_direction(job *j, uint64_t seed, const gml_rvalue *gradient,
                                  gml_kernel_gradient *result)
{
    double slope = 0;
    double length = 0;
    double difference = 0;
    double error = INFINITY;
    move(j, 0, seed, gradient, &slope, &length);
    for (double h = GML_GRAD_STEP; h >= GML_GRAD_SHORTEST && error > GML_GRAD_TOLERANCE;
         h /= 10) {
        double whole;
        double half;
        GML_TRY(differ(j, h, seed, gradient, &whole));
        GML_TRY(differ(j, h / 2, seed, gradient, &half));
        difference = (4 * half - whole) / 3;
        double scale = fmax(fmax(fabs(difference), sqrt(length)), 1e-3);
        error = fabs(slope - difference) / scale;
    }
    if (isnan(difference)) {
        result->skipped = "the function is not a number";
        return GML_OK;
    }
    if (!(error <= result->error))
        result->error = error;
    if (error <= GML_GRAD_TOLERANCE || !result->passed)
        return GML_OK;
    result->passed = false;
    result->why = gml_arena_printf(j->arena, "along a direction %.9g, by differences %.9g",
                                   slope, difference);
    return GML_OK;
}

static gml_status fill_inputs(job *j, const gml_kernel_case *given, uint64_t seed)
{
    gml_kernel_case near = *given;
    const gml_kernel_case *c = &near;
    if (!near.has_range) {
        near.lo = -GML_GRAD_RANGE;
        near.hi = GML_GRAD_RANGE;
    } else if (near.lo < GML_GRAD_RANGE && near.hi > -GML_GRAD_RANGE) {
        near.lo = fmax(near.lo, -GML_GRAD_RANGE);
        near.hi = fmin(near.hi, GML_GRAD_RANGE);
    }
    near.has_range = true;
    gml_module *module = NULL;
    GML_TRY(gml_text_parse(j->text, j->len, NULL, j->diags, &module));
    const gml_graph *graph = module->main;
    gml_status status = GML_OK;
    j->n_inputs = graph->n_params;
    j->inputs = gml_new_array(j->arena, gml_rvalue, graph->n_params + 1);
    for (uint32_t i = 0; i < graph->n_params && status == GML_OK; i++) {
        const gml_type *type = &graph->params[i]->type;
        if (type->kind != GML_TYPE_TENSOR || !gml_type_is_static(type) ||
            gml_rvalue_alloc(&j->inputs[i], type->dtype, type->rank, type->dims) != GML_OK)
            status = gml_fail(j->diags, GML_E_UNSUPPORTED, (gml_loc){.file = c->op},
                              "parameter %u is no tensor with a shape", i);
        else
            gml_kernel_case_fill(&j->inputs[i].tensor, graph->params[i]->name, c, false,
                                 seed ^ (0xd1342543de82ef95u * (i + 1)));
    }
    gml_module_destroy(module);
    return status;
}

static gml_status check(job *j, const gml_kernel_case *c, uint64_t seed,
                        gml_kernel_gradient *result)
{
    gml_module *module;
    GML_TRY(make_module(j, true, &module));
    if (!module) {
        result->skipped = "";
        return GML_OK;
    }
    gml_module_destroy(module);
    GML_TRY(fill_inputs(j, c, seed));
    gml_rvalue *gradient = gml_new_array(j->arena, gml_rvalue, j->n_variables + 1);
    gml_status status = run(j, true, gradient);
    for (uint64_t k = 1; k <= GML_GRAD_DIRECTIONS && status == GML_OK; k++)
        status = check_direction(j, k, gradient, result);
    for (uint32_t i = 0; i < j->n_variables; i++)
        gml_rvalue_reset(&gradient[i]);
    for (uint32_t i = 0; i < j->n_inputs; i++)
        gml_rvalue_reset(&j->inputs[i]);
    return status;
}

static bool has_f64(const gml_kernel_case *c)
{
    for (size_t i = 0; i < c->types.count; i++)
        if (c->types.items[i] == GML_F64)
            return true;
    return false;
}

void gml_kernel_case_grad(const gml_kernel_case *kernel_case, uint64_t seed, gml_arena *arena,
                          gml_kernel_gradient *out_result)
{
    gml_diags diags;
    gml_diags_init(&diags, arena);
    job j = {.arena = arena, .diags = &diags};
    *out_result = (gml_kernel_gradient){.passed = true};
    if (!has_f64(kernel_case)) {
        out_result->skipped = "";
        return;
    }
    j.text = gml_kernel_case_text(kernel_case, GML_F64, arena, &j.len);
    gml_status status = check(&j, kernel_case, seed, out_result);
    if (status == GML_OK)
        return;
    const char *said = gml_diags_print(&diags);
    const char *first = gml_arena_text(arena, said, strcspn(said, "\n"));
    out_result->passed = false;
    if (status == GML_E_UNSUPPORTED)
        out_result->skipped = first;
    else
        out_result->why = first;
}
