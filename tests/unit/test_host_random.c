/* tests/unit/test_host_random.c - the generator's known answers, and what the distributions
 * look like. */
#include "host_call.h"
#include "runtime/host/random_util.h"

#include <math.h>

/* Philox 4x32-10: the published vector for a zero key and counter. */
static void the_generator_gives_known_words(void **state)
{
    (void)state;
    uint32_t words[4];
    gml_random_words(&(gml_random){{0, 0}}, 0, words);
    assert_int_equal(words[0], 0x6627e8d5u);
    assert_int_equal(words[1], 0xe169c58du);
    assert_int_equal(words[2], 0xbc57ac4cu);
    assert_int_equal(words[3], 0x9b00dbd8u);
}

static void moments(const gml_tensor *x, double out_moments[4])
{
    int64_t n = gml_tensor_numel(x);
    memset(out_moments, 0, 4 * sizeof *out_moments);
    for (int64_t i = 0; i < n; i++) {
        double power = 1;
        for (int k = 0; k < 4; k++) {
            power *= gml_host_get_float(x, i);
            out_moments[k] += power / (double)n;
        }
    }
}

static void fill(host_test *t, gml_host_fn function, const int64_t *shape)
{
    host_begin(t, 1);
    host_set_ints(t, "shape", 1, shape);
    host_attr(t, "seed", GML_ATTR_FLOAT, 1)->as.f = 3;
    assert_int_equal(host_run(t, function), GML_OK);
}

static void normal_numbers_are_normal(void **state)
{
    (void)state;
    host_test t;
    double m[4];
    fill(&t, gml_host_randomnormal, &(int64_t){200000});
    moments(&t.outputs[0].tensor, m);
    assert_true(fabs(m[0]) < 0.01 && fabs(m[1] - 1) < 0.02);
    assert_true(fabs(m[2]) < 0.05 && fabs(m[3] - 3) < 0.1);
    host_fails_cleanly(&t, gml_host_randomnormal);
    host_end(&t);
}

static void uniform_numbers_are_uniform(void **state)
{
    (void)state;
    host_test t;
    double m[4];
    fill(&t, gml_host_randomuniform, &(int64_t){200000});
    moments(&t.outputs[0].tensor, m);
    for (int k = 0; k < 4; k++)
        assert_true(fabs(m[k] - 1.0 / (k + 2)) < 0.005);
    host_end(&t);
}

static void a_seed_repeats_and_names_differ(void **state)
{
    (void)state;
    host_test a;
    host_test b;
    fill(&a, gml_host_randomuniform, &(int64_t){8});
    fill(&b, gml_host_randomuniform, &(int64_t){8});
    assert_memory_equal(a.outputs[0].tensor.data, b.outputs[0].tensor.data, 8 * sizeof(float));
    a.call.n_attrs = 1; /* no seed: the node's name */
    b.call.n_attrs = 1;
    b.call.node = "another";
    assert_int_equal(host_run(&a, gml_host_randomuniform), GML_OK);
    assert_int_equal(host_run(&b, gml_host_randomuniform), GML_OK);
    assert_memory_not_equal(a.outputs[0].tensor.data, b.outputs[0].tensor.data,
                            8 * sizeof(float));
    host_end(&a);
    host_end(&b);
}

static void classes_come_as_often_as_they_should(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_input(&t, GML_F64, 2, (int64_t[]){1, 3}, (double[]){log(1), -INFINITY, log(3)});
    host_set_int(&t, "sample_size", 40000);
    assert_int_equal(host_run(&t, gml_host_multinomial), GML_OK);
    int64_t counts[3] = {0};
    for (int64_t i = 0; i < 40000; i++)
        counts[gml_host_get_int(&t.outputs[0].tensor, i)]++;
    assert_int_equal(counts[1], 0);
    assert_true(counts[0] > 9500 && counts[0] < 10500);
    host_fails_cleanly(&t, gml_host_multinomial);
    double *x = t.inputs[0].tensor.data;
    x[0] = x[2] = -INFINITY;
    assert_int_equal(host_run(&t, gml_host_multinomial), GML_E_RANGE);
    t.inputs[0].tensor.dims[1] = 0;
    assert_int_equal(host_run(&t, gml_host_multinomial), GML_E_RANGE);
    t.attrs[0].as.i = -1;
    assert_int_equal(host_run(&t, gml_host_multinomial), GML_E_SHAPE);
    host_end(&t);
}

static void certain_events_happen(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_input(&t, GML_F32, 1, (int64_t[]){3}, (float[]){1, 0, 1});
    host_set_int(&t, "dtype", GML_BOOL);
    assert_int_equal(host_run(&t, gml_host_bernoulli), GML_OK);
    assert_ints(&t, 0, 3, (int64_t[]){1, 0, 1});
    host_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generator_gives_known_words),
        cmocka_unit_test(normal_numbers_are_normal),
        cmocka_unit_test(uniform_numbers_are_uniform),
        cmocka_unit_test(a_seed_repeats_and_names_differ),
        cmocka_unit_test(classes_come_as_often_as_they_should),
        cmocka_unit_test(certain_events_happen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
