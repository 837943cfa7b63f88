/* api/kernel_test.c - the kernels of small graphs: generated code against the interpreter. */
#include "api/kernel_test.h"

#include "api/compare.h"
#include "ir/op.h"
#include "runtime/host.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

/* Units in the last place that generated code may be off, relative to the element and to the
 * largest one of its tensor: functions are polynomials here and libm there. */
#define GML_KERNEL_ULPS        8
#define GML_KERNEL_TENSOR_ULPS 4
/* Of the largest element, with operands of products in bf16: each is off by 1/512 at most. */
#define GML_KERNEL_MEDIUM      (1.0 / 64)

/* ---- values -------------------------------------------------------------------------------
 */

static uint64_t next_word(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int64_t largest_int(gml_dtype dtype)
{
    unsigned bits = gml_dtype_bits(dtype);
    bool is_signed = gml_dtype_get_class(dtype) == GML_CLASS_SIGNED;
    return (int64_t)(~UINT64_C(0) >> (64 - bits + is_signed));
}

static void put_special(const gml_tensor *tensor, int64_t at, uint64_t word)
{
    static const double floats[] = {0.0,       -0.0, 1,   -1,   INFINITY,
                                    -INFINITY, NAN,  0.5, -2.5, 65504};
    bool is_signed = gml_dtype_get_class(tensor->dtype) == GML_CLASS_SIGNED;
    if (gml_dtype_get_class(tensor->dtype) == GML_CLASS_FLOAT) {
        gml_host_put(tensor, at, floats[word % (sizeof floats / sizeof *floats)]);
        return;
    }
    int64_t largest = largest_int(tensor->dtype);
    int64_t ints[] = {
        0, 1, 2, largest, is_signed ? -1 : largest - 1, is_signed ? -largest - 1 : 3};
    gml_host_put_int(tensor, at, ints[word % (sizeof ints / sizeof *ints)]);
}

static void put_random(const gml_tensor *tensor, int64_t at, uint64_t word,
                       const gml_kernel_case *c)
{
    double share = (double)(word >> 11) * 0x1p-53;
    bool is_float = gml_dtype_get_class(tensor->dtype) == GML_CLASS_FLOAT;
    double range = is_float ? 4 : 9;
    double lo = c->has_range ? c->lo : -range;
    double hi = c->has_range ? c->hi : range;
    if (is_float) {
        gml_host_put(tensor, at, lo + (hi - lo) * share);
        return;
    }
    if (gml_dtype_get_class(tensor->dtype) == GML_CLASS_UNSIGNED && lo < 0)
        lo = 0;
    gml_host_put_int(tensor, at, (int64_t)floor(lo + (hi - lo + 1) * share));
}

void gml_kernel_case_fill(const gml_tensor *tensor, const char *name, const gml_kernel_case *c,
                          bool specials, uint64_t state)
{
    int64_t n = gml_tensor_numel(tensor);
    bool is_bit =
        strncmp(name, "index", 5) == 0 || gml_dtype_get_class(tensor->dtype) == GML_CLASS_BOOL;
    for (int64_t i = 0; i < n; i++) {
        uint64_t word = next_word(&state);
        if (is_bit)
            gml_host_put_int(tensor, i, (int64_t)(word >> 63));
        else if (specials)
            put_special(tensor, i, word >> 8);
        else
            put_random(tensor, i, word, c);
    }
}

static gml_status make_inputs(const gml_model *model, const gml_kernel_case *c, bool specials,
                              uint64_t seed, gml_rvalue *inputs, gml_diags *diags)
{
    const gml_graph *graph = gml_model_module(model)->main;
    for (uint32_t i = 0; i < graph->n_params; i++) {
        const gml_type *type = &graph->params[i]->type;
        gml_dtype_class class = gml_dtype_get_class(type->dtype);
        if (type->kind != GML_TYPE_TENSOR || !gml_type_is_static(type) ||
            class == GML_CLASS_STRING || class == GML_CLASS_COMPLEX)
            return gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.file = c->op},
                            "parameter %u is no tensor of numbers with a shape", i);
        if (gml_rvalue_alloc(&inputs[i], type->dtype, type->rank, type->dims) != GML_OK)
            return gml_fail(diags, GML_E_MEMORY, (gml_loc){.file = c->op},
                            "no memory for parameter %u", i);
        gml_kernel_case_fill(&inputs[i].tensor, gml_model_inputs(model)[i].name, c, specials,
                             seed ^ (0xd1342543de82ef95u * (i + 1)));
    }
    return GML_OK;
}

/* ---- one case -----------------------------------------------------------------------------
 */

const char *gml_kernel_case_text(const gml_kernel_case *c, gml_dtype dtype, gml_arena *arena,
                                 size_t *out_len)
{
    gml_str text;
    gml_str_init(&text);
    for (size_t i = 0; i < c->len; i++) {
        bool is_type = c->text[i] == 'T' && i + 1 < c->len && c->text[i + 1] == '[' && i > 0 &&
                       !isalnum((unsigned char)c->text[i - 1]);
        if (is_type)
            gml_str_puts(&text, gml_dtype_name(dtype));
        else
            gml_str_append(&text, c->text + i, 1);
    }
    const char *copy = gml_arena_text(arena, text.text, text.len);
    *out_len = text.len;
    gml_str_reset(&text);
    return copy;
}

typedef struct trial {
    const gml_kernel_case *kernel_case;
    const gml_kernel_options *options;
    gml_model *model;
    gml_rvalue *inputs;
    gml_arena *arena;
    gml_diags *diags;
    gml_kernel_result *result;
} trial;

/* Fused, or with every node a kernel; the first deviation fails the case. */
static gml_status compare(trial *t, bool fused, bool specials)
{
    static const char *const off[] = {"fuse", NULL};
    gml_compare_side actual = {.model = t->model,
                               .execute = {.device = t->options->device,
                                           .device_number = t->options->device_number,
                                           .precision = t->options->precision,
                                           .verify = true,
                                           .optimise = true}};
    gml_compare_side expected = {.model = t->model, .execute = {.device = GML_DEVICE_REF}};
    gml_tolerance tolerance = {
        .atol = t->options->precision == GML_PRECISION_MEDIUM ? GML_KERNEL_MEDIUM : 0,
        .rtol_ulps = GML_KERNEL_ULPS,
        .atol_ulps = specials ? 0 : GML_KERNEL_TENSOR_ULPS + sqrt(t->kernel_case->terms)};
    gml_comparison comparison;
    actual.execute.off = fused ? NULL : off;
    gml_compare_task task = {&actual, &expected, t->inputs, tolerance};
    GML_TRY(gml_compare(&task, t->arena, &comparison, t->diags));
    gml_kernel_result *result = t->result;
    if (comparison.worst && comparison.worst->share > result->deviation)
        result->deviation = comparison.worst->share;
    if (!comparison.first)
        return GML_OK;
    result->passed = false;
    result->why = gml_arena_printf(t->arena, "kernel %s%s, '%s': %s", comparison.first->kernel,
                                   specials ? ", special values" : "", comparison.first->value,
                                   comparison.first->why);
    return GML_OK;
}

static gml_status run_on(trial *t, bool specials)
{
    gml_status status =
        make_inputs(t->model, t->kernel_case, specials, t->options->seed, t->inputs, t->diags);
    if (status == GML_OK)
        status = compare(t, true, specials);
    if (status == GML_OK && t->result->passed)
        status = compare(t, false, specials);
    for (size_t i = 0; i < gml_model_n_inputs(t->model); i++)
        gml_rvalue_reset(&t->inputs[i]);
    return status;
}

void gml_kernel_case_run(const gml_kernel_case *kernel_case, gml_dtype dtype,
                         const gml_kernel_options *options, gml_arena *arena,
                         gml_kernel_result *out_result)
{
    gml_diags diags;
    size_t len = 0;
    const char *text = gml_kernel_case_text(kernel_case, dtype, arena, &len);
    gml_open_options open = {.n_threads = 1};
    *out_result = (gml_kernel_result){.passed = true};
    trial t = {.kernel_case = kernel_case,
               .options = options,
               .arena = arena,
               .diags = &diags,
               .result = out_result};
    gml_diags_init(&diags, arena);
    gml_status status = gml_model_open_bytes(text, len, NULL, &open, &t.model, &diags);
    if (status == GML_OK) {
        t.inputs = gml_new_array(arena, gml_rvalue, gml_model_n_inputs(t.model) + 1);
        status = run_on(&t, false);
        if (status == GML_OK && out_result->passed && kernel_case->specials)
            status = run_on(&t, true);
    }
    gml_model_release(t.model);
    if (status == GML_OK)
        return;
    const char *said = gml_diags_print(&diags);
    out_result->passed = false;
    out_result->why = gml_arena_text(arena, said, strcspn(said, "\n"));
}

/* ---- the table ----------------------------------------------------------------------------
 */

/* A file is named after the row: the operator in small letters. */
static bool is_named(const char *op, const char *file)
{
    while (*op && tolower((unsigned char)*op) == *file)
        op++, file++;
    return !*op && !*file;
}

gml_kernel_op *gml_kernel_ops(const gml_kernel_cases *cases, gml_arena *arena,
                              size_t *out_count)
{
    const gml_op_info *const *table = gml_op_table(out_count);
    gml_kernel_op *ops = gml_new_array(arena, gml_kernel_op, *out_count + 1);
    for (size_t i = 0; i < *out_count; i++) {
        const gml_op_info *op = table[i];
        gml_kernel_op *row = &ops[i];
        row->name = op->name;
        row->doc = op->doc;
        row->how = op->scalar  ? "elementwise"
                   : op->lower ? "lowered"
                   : op->host  ? "host"
                               : "replaced";
        if (op->expand)
            row->how = "expanded";
        row->gradient = op->grad     ? "own"
                        : op->scalar ? "formula"
                        : op->expand ? "expanded"
                                     : "none";
        row->has_kernel = (op->scalar || op->lower) && !(op->domain && *op->domain) &&
                          !(op->traits & GML_VALUE_FREE) && op->max_in != 0;
        for (size_t c = 0; c < cases->count; c++)
            row->has_case = row->has_case || is_named(op->name, cases->items[c].op);
    }
    return ops;
}
