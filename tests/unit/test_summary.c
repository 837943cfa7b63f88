/* What `gemel info` counts. */
#include "api/summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    gml_arena arena;
    gml_diags diags;
    gml_model *model;
    gml_summary summary;
} fixture;

static void summarize(fixture *f, const char *text)
{
    gml_open_options options = {.device = GML_DEVICE_REF};
    gml_arena_init(&f->arena);
    gml_diags_init(&f->diags, &f->arena);
    f->model = NULL;
    if (gml_model_open_bytes(text, strlen(text), NULL, &options, &f->model, &f->diags) !=
        GML_OK)
        fail_msg("%s", gml_diags_print(&f->diags));
    gml_summarize(f->model, &f->arena, &f->summary);
}

static void forget(fixture *f)
{
    gml_module_destroy(f->summary.module);
    gml_model_release(f->model);
    gml_arena_reset(&f->arena);
}

static const char *dim_text(fixture *f, gml_dim dim)
{
    gml_str str;
    gml_str_init(&str);
    gml_dim_print(&f->summary.module->dims, dim, &str);
    const char *text = gml_arena_text(&f->arena, str.text, str.len);
    gml_str_reset(&str);
    return text;
}

static void test_symbolic(void **state)
{
    (void)state;
    fixture f;
    summarize(&f, "graph @f(%x: f32[batch,8], %w: f32[8,4]) {\n"
                  "  %b = Constant {value = [1, 2, 3, 4]} : f32[4]\n"
                  "  %p = MatMul(%x, %w) : f32[batch,4]\n"
                  "  %s = Add(%p, %b) : f32[batch,4]\n"
                  "  %y = Relu(%s) : f32[batch,4]\n"
                  "  %z = Relu(%y) : f32[batch,4]\n"
                  "  return %z\n"
                  "}\n");
    assert_null(f.summary.no_cost);
    assert_int_equal(f.summary.n_nodes, 4);
    assert_int_equal(f.summary.n_parameters, 4);
    assert_int_equal(f.summary.constant_bytes, 16);
    assert_int_equal(f.summary.n_ops, 3);
    assert_string_equal(f.summary.ops[0].op, "Relu");
    assert_int_equal(f.summary.ops[0].count, 2);
    assert_string_equal(f.summary.ops[1].op, "Add");
    assert_string_equal(f.summary.ops[2].op, "MatMul");
    assert_string_equal(dim_text(&f, f.summary.ops[2].macs), "(batch * 32)");
    assert_string_equal(dim_text(&f, f.summary.macs), "(batch * 32)");
    assert_string_equal(dim_text(&f, f.summary.flops), "(batch * 76)"); /* 64 + 3 * 4 */
    forget(&f);
}

static void test_expanded(void **state)
{
    (void)state;
    fixture f;
    summarize(&f, "graph @f(%a: f32[5,7], %b: f32[7,3], %x: f32[1,2,9,9], %w: f32[4,2,3,3]) {\n"
                  "  %g = Gemm(%a, %b) : f32[5,3]\n"
                  "  %c = Conv(%x, %w) : f32[1,4,7,7]\n"
                  "  return %g, %c\n"
                  "}\n");
    assert_null(f.summary.no_cost);
    assert_string_equal(f.summary.ops[0].op, "Conv");
    assert_int_equal(f.summary.ops[0].macs, 4 * 7 * 7 * 2 * 3 * 3);
    assert_string_equal(f.summary.ops[1].op, "Gemm");
    assert_int_equal(f.summary.ops[1].macs, 5 * 7 * 3);
    forget(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_symbolic),
        cmocka_unit_test(test_expanded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
