/* tests/unit/test_host_flow.c - sequences, optionals and regions. The body of every region here
 * is the C function that the test names. */
#include "host_call.h"

typedef struct body {
    size_t n_params, n_results;
    gml_status (*run)(const gml_rvalue *inputs, gml_rvalue *outputs);
    int n_runs;
} body;

static gml_status run_region(gml_host_call *call, unsigned region, const gml_rvalue *inputs,
                             size_t n_inputs, gml_rvalue *outputs, size_t n_outputs)
{
    body *b = (body *)call->context + region;
    assert_int_equal(n_inputs, b->n_params);
    assert_int_equal(n_outputs, b->n_results);
    b->n_runs++;
    gml_status status = b->run(inputs, outputs);
    return status == GML_OK ? status : gml_host_fail(call, status, "the body fails");
}

static void region_arity(const gml_host_call *call, unsigned region, size_t *out_params,
                         size_t *out_results)
{
    const body *b = (const body *)call->context + region;
    *out_params = b->n_params;
    *out_results = b->n_results;
}

static void host_region(host_test *t, const char *name, size_t number, body *bodies)
{
    host_attr(t, name, GML_ATTR_GRAPH, number);
    t->call.run_region = run_region;
    t->call.region_arity = region_arity;
    t->call.context = bodies;
}

static gml_status put_number(gml_rvalue *out, gml_dtype dtype, int64_t number)
{
    gml_status status = gml_rvalue_alloc(out, dtype, 0, NULL);
    if (status == GML_OK)
        gml_host_put_int(&out->tensor, 0, number);
    return status;
}

static int64_t number_of(const gml_rvalue *value)
{
    return gml_host_get_int(&value->tensor, 0);
}

/* (i, condition, sum) -> (i < 2, sum + i, sum + i) */
static gml_status add_counter(const gml_rvalue *inputs, gml_rvalue *outputs)
{
    int64_t i = number_of(&inputs[0]);
    int64_t sum = number_of(&inputs[2]) + i;
    gml_status status = put_number(&outputs[0], GML_BOOL, i < 2);
    if (status == GML_OK)
        status = put_number(&outputs[1], GML_I64, sum);
    return status == GML_OK ? put_number(&outputs[2], GML_I64, sum) : status;
}

static void begin_loop(host_test *t, body *b, int64_t trips)
{
    host_begin(t, 2);
    host_input(t, GML_I64, 0, NULL, &trips);
    host_skip(t);
    host_input(t, GML_I64, 0, NULL, &(int64_t){10});
    host_region(t, "body", 0, b);
    t->dtypes[1] = GML_I64;
}

static void a_loop_ends_by_count_or_condition(void **state)
{
    (void)state;
    host_test t;
    body b = {3, 3, add_counter, 0};
    begin_loop(&t, &b, 2);
    assert_int_equal(host_run(&t, gml_host_loop), GML_OK);
    assert_ints(&t, 0, 1, (int64_t[]){11});
    assert_ints(&t, 1, 2, (int64_t[]){10, 11});
    host_end(&t);
    begin_loop(&t, &b, 100);
    assert_int_equal(host_run(&t, gml_host_loop), GML_OK);
    assert_ints(&t, 1, 3, (int64_t[]){10, 11, 13});
    host_fails_cleanly(&t, gml_host_loop);
    host_end(&t);
}

static void a_loop_without_iterations(void **state)
{
    (void)state;
    const int64_t trips[] = {0, -5};
    for (int i = 0; i < 2; i++) {
        host_test t;
        body b = {3, 3, add_counter, 0};
        begin_loop(&t, &b, trips[i]);
        const gml_tensor shapes[2] = {{.rank = 0}, {.rank = 2, .dims = {-1, 7}}};
        t.call.output_shapes = shapes;
        assert_int_equal(host_run(&t, gml_host_loop), GML_OK);
        assert_int_equal(b.n_runs, 0);
        assert_ints(&t, 0, 1, (int64_t[]){10});
        assert_shape(&t, 1, 2, (int64_t[]){0, 7});
        host_end(&t);
    }
}

static void a_loop_refuses_a_body_that_does_not_fit(void **state)
{
    (void)state;
    host_test t;
    body b = {2, 3, add_counter, 0};
    begin_loop(&t, &b, 1);
    assert_int_equal(host_run(&t, gml_host_loop), GML_E_INVALID);
    b = (body){3, 1, add_counter, 0};
    assert_int_equal(host_run(&t, gml_host_loop), GML_E_INVALID);
    host_end(&t);
}

/* (state, x) -> (state + x, state) */
static gml_status accumulate(const gml_rvalue *inputs, gml_rvalue *outputs)
{
    gml_status status =
        put_number(&outputs[0], GML_I64, number_of(&inputs[0]) + number_of(&inputs[1]));
    return status == GML_OK ? gml_rvalue_copy(&outputs[1], &inputs[0]) : status;
}

static void a_scan_reads_backwards(void **state)
{
    (void)state;
    host_test t;
    body b = {2, 2, accumulate, 0};
    const int64_t one = 1;
    host_begin(&t, 2);
    host_input(&t, GML_I64, 0, NULL, &(int64_t){0});
    host_input(&t, GML_I64, 1, (int64_t[]){3}, (int64_t[]){1, 10, 100});
    host_set_int(&t, "num_scan_inputs", 1);
    host_region(&t, "body", 0, &b);
    host_set_ints(&t, "scan_input_directions", 1, &one);
    host_set_ints(&t, "scan_output_directions", 1, &one);
    assert_int_equal(host_run(&t, gml_host_scan), GML_OK);
    assert_ints(&t, 0, 1, (int64_t[]){111});
    assert_ints(&t, 1, 3, (int64_t[]){110, 100, 0});
    host_fails_cleanly(&t, gml_host_scan);
    t.attrs[0].as.i = 3;
    assert_int_equal(host_run(&t, gml_host_scan), GML_E_INVALID);
    host_end(&t);
}

static gml_status give_one(const gml_rvalue *inputs, gml_rvalue *outputs)
{
    (void)inputs;
    return put_number(&outputs[0], GML_I64, 1);
}

static gml_status give_two(const gml_rvalue *inputs, gml_rvalue *outputs)
{
    (void)inputs;
    return put_number(&outputs[0], GML_I64, 2);
}

static void a_condition_picks_the_region(void **state)
{
    (void)state;
    host_test t;
    body bodies[2] = {{0, 1, give_two, 0}, {0, 1, give_one, 0}};
    host_begin(&t, 1);
    host_input(&t, GML_BOOL, 1, (int64_t[]){1}, (uint8_t[]){1});
    host_region(&t, "else_branch", 0, bodies);
    host_region(&t, "then_branch", 1, bodies);
    assert_int_equal(host_run(&t, gml_host_if), GML_OK);
    assert_ints(&t, 0, 1, (int64_t[]){1});
    host_fails_cleanly(&t, gml_host_if);
    *(uint8_t *)t.inputs[0].tensor.data = 0;
    assert_int_equal(host_run(&t, gml_host_if), GML_OK);
    assert_ints(&t, 0, 1, (int64_t[]){2});
    t.inputs[0].tensor.dims[0] = 0;
    assert_int_equal(host_run(&t, gml_host_if), GML_E_SHAPE);
    host_end(&t);
}

/* A sequence of the numbers 0 to n - 1 as the next operand. */
static void host_numbers(host_test *t, size_t n)
{
    gml_rvalue *sequence = &t->inputs[t->call.n_inputs++];
    assert_int_equal(gml_rvalue_sequence(sequence, n), GML_OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(put_number(&sequence->items[i], GML_I64, (int64_t)i), GML_OK);
}

static void positions_in_sequences_are_checked(void **state)
{
    (void)state;
    const struct {
        int64_t position;
        gml_status at, insert, erase;
    } rows[] = {
        {0, GML_OK, GML_OK, GML_OK},
        {2, GML_OK, GML_OK, GML_OK},
        {-3, GML_OK, GML_OK, GML_OK},
        {3, GML_E_RANGE, GML_OK, GML_E_RANGE},
        {4, GML_E_RANGE, GML_E_RANGE, GML_E_RANGE},
        {-4, GML_E_RANGE, GML_E_RANGE, GML_E_RANGE},
        {INT64_MIN, GML_E_RANGE, GML_E_RANGE, GML_E_RANGE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        host_test t;
        host_begin(&t, 1);
        host_numbers(&t, 3);
        host_input(&t, GML_I64, 0, NULL, &rows[i].position);
        assert_int_equal(host_run(&t, gml_host_sequenceat), rows[i].at);
        assert_int_equal(host_run(&t, gml_host_sequenceerase), rows[i].erase);
        if (rows[i].erase == GML_OK)
            assert_int_equal(t.outputs[0].n_items, 2);
        host_input(&t, GML_I64, 0, NULL, &rows[i].position);
        assert_int_equal(host_run(&t, gml_host_sequenceinsert), rows[i].insert);
        if (rows[i].insert == GML_OK)
            assert_int_equal(t.outputs[0].n_items, 4);
        host_end(&t);
    }
}

static void inserting_keeps_the_order(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_numbers(&t, 3);
    host_input(&t, GML_I64, 0, NULL, &(int64_t){9});
    host_input(&t, GML_I64, 0, NULL, &(int64_t){-1});
    assert_int_equal(host_run(&t, gml_host_sequenceinsert), GML_OK);
    const int64_t expected[] = {0, 1, 9, 2};
    for (int i = 0; i < 4; i++)
        assert_int_equal(number_of(&t.outputs[0].items[i]), expected[i]);
    host_fails_cleanly(&t, gml_host_sequenceinsert);
    host_end(&t);
}

static void splitting_checks_sizes(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_strings(&t, 1, (int64_t[]){3}, (const char *const[]){"a", "b", "c"});
    host_input(&t, GML_I64, 1, (int64_t[]){2}, (int64_t[]){1, 2});
    assert_int_equal(host_run(&t, gml_host_splittosequence), GML_OK);
    assert_int_equal(t.outputs[0].n_items, 2);
    assert_text(((const gml_string *)t.outputs[0].items[1].tensor.data)[1], "c");
    host_fails_cleanly(&t, gml_host_splittosequence);
    ((int64_t *)t.inputs[1].tensor.data)[0] = -1;
    assert_int_equal(host_run(&t, gml_host_splittosequence), GML_E_RANGE);
    ((int64_t *)t.inputs[1].tensor.data)[0] = 2;
    assert_int_equal(host_run(&t, gml_host_splittosequence), GML_E_RANGE);
    t.inputs[1].tensor.rank = 0;
    assert_int_equal(host_run(&t, gml_host_splittosequence), GML_OK);
    assert_int_equal(t.outputs[0].items[1].tensor.dims[0], 1);
    *(int64_t *)t.inputs[1].tensor.data = 0;
    assert_int_equal(host_run(&t, gml_host_splittosequence), GML_E_RANGE);
    host_end(&t);
}

static void joining_checks_shapes(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_numbers(&t, 2);
    host_set_int(&t, "axis", 0);
    assert_int_equal(host_run(&t, gml_host_concatfromsequence), GML_E_RANGE);
    host_set_int(&t, "new_axis", 1);
    assert_int_equal(host_run(&t, gml_host_concatfromsequence), GML_OK);
    assert_ints(&t, 0, 2, (int64_t[]){0, 1});
    host_fails_cleanly(&t, gml_host_concatfromsequence);
    t.inputs[0].items[1].tensor.dtype = GML_U64;
    assert_int_equal(host_run(&t, gml_host_concatfromsequence), GML_E_SHAPE);
    host_end(&t);
    host_begin(&t, 1);
    host_numbers(&t, 0);
    assert_int_equal(host_run(&t, gml_host_concatfromsequence), GML_E_RANGE);
    host_end(&t);
}

static void optionals_have_an_element_or_none(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    assert_int_equal(host_run(&t, gml_host_optional), GML_OK);
    assert_true(t.outputs[0].is_optional);
    assert_int_equal(t.outputs[0].kind, GML_RVALUE_NONE);
    assert_int_equal(host_run(&t, gml_host_optionalgetelement), GML_E_INVALID);
    assert_int_equal(host_run(&t, gml_host_optionalhaselement), GML_OK);
    assert_ints(&t, 0, 1, (int64_t[]){0});
    host_numbers(&t, 2);
    host_fails_cleanly(&t, gml_host_optional);
    assert_int_equal(host_run(&t, gml_host_optionalhaselement), GML_OK);
    assert_ints(&t, 0, 1, (int64_t[]){1});
    host_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_ends_by_count_or_condition),
        cmocka_unit_test(a_loop_without_iterations),
        cmocka_unit_test(a_loop_refuses_a_body_that_does_not_fit),
        cmocka_unit_test(a_scan_reads_backwards),
        cmocka_unit_test(a_condition_picks_the_region),
        cmocka_unit_test(positions_in_sequences_are_checked),
        cmocka_unit_test(inserting_keeps_the_order),
        cmocka_unit_test(splitting_checks_sizes),
        cmocka_unit_test(joining_checks_shapes),
        cmocka_unit_test(optionals_have_an_element_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
