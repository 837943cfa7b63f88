/* tests/unit/test_host_shapes.c - sorting, selecting and scattering, with values nobody should
 * trust. */
#include "host_call.h"

#include <math.h>

static void top_k_breaks_ties_by_index(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 2);
    host_input(&t, GML_F32, 2, (int64_t[]){2, 4},
               (float[]){1, 3, 3, NAN, -INFINITY, 0, -0.0f, 2});
    host_input(&t, GML_I64, 1, (int64_t[]){1}, (int64_t[]){3});
    assert_int_equal(host_run(&t, gml_host_topk), GML_OK);
    assert_ints(&t, 1, 6, (int64_t[]){3, 1, 2, 3, 1, 2});
    host_set_int(&t, "largest", 0);
    assert_int_equal(host_run(&t, gml_host_topk), GML_OK);
    assert_ints(&t, 1, 6, (int64_t[]){0, 1, 2, 0, 1, 2});
    host_fails_cleanly(&t, gml_host_topk);
    host_end(&t);
}

static void top_k_along_an_inner_axis_of_u64(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 2);
    host_input(&t, GML_U64, 2, (int64_t[]){3, 2},
               (uint64_t[]){UINT64_MAX, 5, UINT64_MAX - 1, 6, 7, 4});
    host_input(&t, GML_I64, 1, (int64_t[]){1}, (int64_t[]){2});
    host_set_int(&t, "axis", 0);
    assert_int_equal(host_run(&t, gml_host_topk), GML_OK);
    assert_shape(&t, 0, 2, (int64_t[]){2, 2});
    assert_ints(&t, 1, 4, (int64_t[]){0, 1, 1, 0});
    host_end(&t);
}

static void top_k_refuses_a_wrong_k(void **state)
{
    (void)state;
    const int64_t wrong[] = {-1, 5, INT64_MAX};
    for (int i = 0; i < 3; i++) {
        host_test t;
        host_begin(&t, 2);
        host_input(&t, GML_I32, 1, (int64_t[]){4}, (int32_t[]){4, 3, 2, 1});
        host_input(&t, GML_I64, 1, (int64_t[]){1}, &wrong[i]);
        assert_int_equal(host_run(&t, gml_host_topk), GML_E_RANGE);
        host_end(&t);
    }
}

static void nothing_is_sorted(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 2);
    host_input(&t, GML_F32, 3, (int64_t[]){(int64_t)1 << 40, 0, (int64_t)1 << 40}, NULL);
    host_input(&t, GML_I64, 1, (int64_t[]){1}, (int64_t[]){0});
    host_set_int(&t, "axis", 1);
    assert_int_equal(host_run(&t, gml_host_topk), GML_OK);
    host_end(&t);
}

static void nonzero_of_a_scalar_and_of_a_matrix(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_input(&t, GML_BOOL, 0, NULL, (uint8_t[]){1});
    assert_int_equal(host_run(&t, gml_host_nonzero), GML_OK);
    assert_shape(&t, 0, 2, (int64_t[]){0, 1});
    host_end(&t);
    host_begin(&t, 1);
    host_input(&t, GML_F32, 2, (int64_t[]){2, 2}, (float[]){0, 1, NAN, -0.0f});
    assert_int_equal(host_run(&t, gml_host_nonzero), GML_OK);
    assert_ints(&t, 0, 4, (int64_t[]){0, 1, 1, 0});
    host_fails_cleanly(&t, gml_host_nonzero);
    host_end(&t);
}

static void compress_stays_inside(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_input(&t, GML_I32, 2, (int64_t[]){2, 2}, (int32_t[]){1, 2, 3, 4});
    host_input(&t, GML_BOOL, 1, (int64_t[]){3}, (uint8_t[]){0, 1, 0});
    host_set_int(&t, "axis", -1);
    assert_int_equal(host_run(&t, gml_host_compress), GML_OK);
    assert_ints(&t, 0, 2, (int64_t[]){2, 4});
    ((uint8_t *)t.inputs[1].tensor.data)[2] = 1;
    assert_int_equal(host_run(&t, gml_host_compress), GML_E_RANGE);
    host_end(&t);
}

static void unique_strings_in_both_orders(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 4);
    host_strings(&t, 1, (int64_t[]){5}, (const char *const[]){"b", "a", "", "b", "a"});
    assert_int_equal(host_run(&t, gml_host_unique), GML_OK);
    assert_texts(&t, 0, 3, (const char *const[]){"", "a", "b"});
    assert_ints(&t, 1, 3, (int64_t[]){2, 1, 0});
    assert_ints(&t, 2, 5, (int64_t[]){2, 1, 0, 2, 1});
    assert_ints(&t, 3, 3, (int64_t[]){1, 2, 2});
    host_set_int(&t, "sorted", 0);
    assert_int_equal(host_run(&t, gml_host_unique), GML_OK);
    assert_texts(&t, 0, 3, (const char *const[]){"b", "a", ""});
    assert_ints(&t, 2, 5, (int64_t[]){0, 1, 2, 0, 1});
    host_fails_cleanly(&t, gml_host_unique);
    host_end(&t);
}

static void unique_of_nothing(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 4);
    host_input(&t, GML_F32, 2, (int64_t[]){3, 0}, NULL);
    assert_int_equal(host_run(&t, gml_host_unique), GML_OK);
    assert_shape(&t, 0, 1, (int64_t[]){0});
    host_set_int(&t, "axis", 1);
    assert_int_equal(host_run(&t, gml_host_unique), GML_OK);
    assert_shape(&t, 0, 2, (int64_t[]){3, 0});
    host_end(&t);
}

static void suppression_keeps_the_best(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    const float boxes[] = {0, 0, 1, 1, 0, 0, 1, 1.1f, 0, 5, 1, 6, NAN, 0, 1, 1};
    host_input(&t, GML_F32, 3, (int64_t[]){1, 4, 4}, boxes);
    host_input(&t, GML_F32, 3, (int64_t[]){1, 1, 4}, (float[]){0.5f, 0.9f, 0.9f, 0.1f});
    host_input(&t, GML_I64, 1, (int64_t[]){1}, (int64_t[]){INT64_MAX});
    host_input(&t, GML_F32, 1, (int64_t[]){1}, (float[]){0.5f});
    host_input(&t, GML_F32, 1, (int64_t[]){1}, (float[]){0.2f});
    assert_int_equal(host_run(&t, gml_host_nonmaxsuppression), GML_OK);
    assert_ints(&t, 0, 6, (int64_t[]){0, 0, 1, 0, 0, 2});
    host_fails_cleanly(&t, gml_host_nonmaxsuppression);
    *(int64_t *)t.inputs[2].tensor.data = -4;
    assert_int_equal(host_run(&t, gml_host_nonmaxsuppression), GML_OK);
    assert_shape(&t, 0, 2, (int64_t[]){0, 3});
    t.inputs[1].tensor.dims[2] = 3;
    assert_int_equal(host_run(&t, gml_host_nonmaxsuppression), GML_E_SHAPE);
    host_end(&t);
}

static void scattering_checks_every_index(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_input(&t, GML_I8, 1, (int64_t[]){3}, (int8_t[]){100, 2, 3});
    host_input(&t, GML_I64, 1, (int64_t[]){2}, (int64_t[]){0, -3});
    host_input(&t, GML_I8, 1, (int64_t[]){2}, (int8_t[]){100, 1});
    host_set_string(&t, "reduction", "add");
    assert_int_equal(host_run(&t, gml_host_scatterelements), GML_OK);
    assert_ints(&t, 0, 3, (int64_t[]){-55, 2, 3}); /* wraps */
    host_fails_cleanly(&t, gml_host_scatterelements);
    ((int64_t *)t.inputs[1].tensor.data)[1] = -4;
    assert_int_equal(host_run(&t, gml_host_scatterelements), GML_E_RANGE);
    ((int64_t *)t.inputs[1].tensor.data)[1] = INT64_MIN;
    assert_int_equal(host_run(&t, gml_host_scatterelements), GML_E_RANGE);
    t.inputs[1].tensor.dims[0] = 1;
    assert_int_equal(host_run(&t, gml_host_scatterelements), GML_E_SHAPE);
    host_end(&t);
}

static void scattering_slices_checks_its_shapes(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_strings(&t, 1, (int64_t[]){3}, (const char *const[]){"a", "b", "c"});
    host_input(&t, GML_I64, 2, (int64_t[]){1, 1}, (int64_t[]){-1});
    host_strings(&t, 1, (int64_t[]){1}, (const char *const[]){"new"});
    assert_int_equal(host_run(&t, gml_host_scatternd), GML_OK);
    assert_texts(&t, 0, 3, (const char *const[]){"a", "b", "new"});
    host_fails_cleanly(&t, gml_host_scatternd);
    host_set_string(&t, "reduction", "add");
    assert_int_equal(host_run(&t, gml_host_scatternd), GML_E_TYPE);
    t.inputs[1].tensor.dims[1] = 2;
    assert_int_equal(host_run(&t, gml_host_scatternd), GML_E_SHAPE);
    host_end(&t);
}

static void a_cache_is_not_left(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_input(&t, GML_I32, 3, (int64_t[]){1, 3, 1}, (int32_t[]){1, 2, 3});
    host_input(&t, GML_I32, 3, (int64_t[]){1, 2, 1}, (int32_t[]){8, 9});
    host_input(&t, GML_I64, 1, (int64_t[]){1}, (int64_t[]){2});
    assert_int_equal(host_run(&t, gml_host_tensorscatter), GML_E_RANGE);
    host_set_string(&t, "mode", "circular");
    assert_int_equal(host_run(&t, gml_host_tensorscatter), GML_OK);
    assert_ints(&t, 0, 3, (int64_t[]){9, 2, 8});
    *(int64_t *)t.inputs[2].tensor.data = INT64_MIN;
    assert_int_equal(host_run(&t, gml_host_tensorscatter), GML_OK);
    host_end(&t);
}

static void unpooling_refuses_what_does_not_fit(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_input(&t, GML_F32, 3, (int64_t[]){1, 1, 2}, (float[]){5, 6});
    host_input(&t, GML_I64, 3, (int64_t[]){1, 1, 2}, (int64_t[]){1, 3});
    const int64_t kernel = 2;
    const int64_t stride = 2;
    host_set_ints(&t, "kernel_shape", 1, &kernel);
    host_set_ints(&t, "strides", 1, &stride);
    assert_int_equal(host_run(&t, gml_host_maxunpool), GML_OK);
    assert_ints(&t, 0, 4, (int64_t[]){0, 5, 0, 6});
    ((int64_t *)t.inputs[1].tensor.data)[1] = 4;
    assert_int_equal(host_run(&t, gml_host_maxunpool), GML_E_RANGE);
    const int64_t huge = INT64_MAX;
    t.attrs[1].as.ints = &huge;
    assert_int_equal(host_run(&t, gml_host_maxunpool), GML_E_SHAPE);
    host_end(&t);
}

static void running_sums_go_both_ways(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_input(&t, GML_I32, 1, (int64_t[]){3}, (int32_t[]){1, 2, 3});
    host_input(&t, GML_I32, 0, NULL, (int32_t[]){-1});
    host_set_int(&t, "exclusive", 1);
    host_set_int(&t, "reverse", 1);
    assert_int_equal(host_run(&t, gml_host_cumsum), GML_OK);
    assert_ints(&t, 0, 3, (int64_t[]){5, 3, 0});
    assert_int_equal(host_run(&t, gml_host_cumprod), GML_OK);
    assert_ints(&t, 0, 3, (int64_t[]){6, 3, 1});
    *(int32_t *)t.inputs[1].tensor.data = 1;
    assert_int_equal(host_run(&t, gml_host_cumsum), GML_E_RANGE);
    host_end(&t);
}

static void reversing_checks_lengths(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_input(&t, GML_I32, 2, (int64_t[]){3, 1}, (int32_t[]){1, 2, 3});
    host_input(&t, GML_I64, 1, (int64_t[]){1}, (int64_t[]){2});
    assert_int_equal(host_run(&t, gml_host_reversesequence), GML_OK);
    assert_ints(&t, 0, 3, (int64_t[]){2, 1, 3});
    *(int64_t *)t.inputs[1].tensor.data = 4;
    assert_int_equal(host_run(&t, gml_host_reversesequence), GML_E_RANGE);
    host_end(&t);
}

static void determinants_of_odd_matrices(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_input(&t, GML_F64, 3, (int64_t[]){2, 2, 2}, (double[]){0, 2, 3, 4, 1, 2, 2, 4});
    assert_int_equal(host_run(&t, gml_host_det), GML_OK);
    assert_ints(&t, 0, 2, (int64_t[]){-6, 0});
    host_fails_cleanly(&t, gml_host_det);
    t.inputs[0].tensor.dims[2] = 1;
    assert_int_equal(host_run(&t, gml_host_det), GML_E_SHAPE);
    host_end(&t);
    host_begin(&t, 1);
    host_input(&t, GML_F32, 2, (int64_t[]){0, 0}, NULL);
    assert_int_equal(host_run(&t, gml_host_det), GML_OK);
    assert_ints(&t, 0, 1, (int64_t[]){1});
    host_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(top_k_breaks_ties_by_index),
        cmocka_unit_test(top_k_along_an_inner_axis_of_u64),
        cmocka_unit_test(top_k_refuses_a_wrong_k),
        cmocka_unit_test(nothing_is_sorted),
        cmocka_unit_test(nonzero_of_a_scalar_and_of_a_matrix),
        cmocka_unit_test(compress_stays_inside),
        cmocka_unit_test(unique_strings_in_both_orders),
        cmocka_unit_test(unique_of_nothing),
        cmocka_unit_test(suppression_keeps_the_best),
        cmocka_unit_test(scattering_checks_every_index),
        cmocka_unit_test(scattering_slices_checks_its_shapes),
        cmocka_unit_test(a_cache_is_not_left),
        cmocka_unit_test(unpooling_refuses_what_does_not_fit),
        cmocka_unit_test(running_sums_go_both_ways),
        cmocka_unit_test(reversing_checks_lengths),
        cmocka_unit_test(determinants_of_odd_matrices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
