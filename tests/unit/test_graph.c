/* tests/unit/test_graph.c - ir/graph.h, ir/type.h, and the verifier on damaged graphs. */
#include "ir/graph.h"
#include "ir/op.h"
#include "ir/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    gml_module *module;
    gml_graph *graph;
    gml_diags diags;
    gml_value *x;
    gml_node *first, *second; /* %a = Relu(%x), %b = Add(%a, %x); the graph returns %b */
} fixture;

static gml_node *add_node(gml_graph *graph, gml_node *before, const gml_op_info *op,
                          gml_value *a, gml_value *b)
{
    gml_value *operands[] = {a, b};
    gml_node *node = gml_node_create(graph, before, op, operands, 2, 1, (gml_loc){.node = "n"});
    node->results[0].type = gml_type_scalar(GML_F32);
    return node;
}

static int set_up(void **state)
{
    static fixture f;
    f.module = gml_module_create("m.onnx");
    f.graph = gml_graph_create(f.module, "main", NULL);
    f.module->main = f.graph;
    gml_diags_init(&f.diags, &f.module->arena);
    f.x = gml_graph_add_param(f.graph, "x", gml_type_scalar(GML_F32));
    f.first = add_node(f.graph, NULL, &gml_op_relu, f.x, NULL);
    f.second = add_node(f.graph, NULL, &gml_op_add, &f.first->results[0], f.x);
    gml_graph_add_result(f.graph, &f.second->results[0], "y");
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    gml_module_destroy(((fixture *)*state)->module);
    return 0;
}

static void expect_fault(fixture *f, const char *text)
{
    assert_int_equal(gml_module_verify(f->module, &f->diags), GML_E_INVALID);
    assert_non_null(strstr(gml_diags_print(&f->diags), text));
    gml_diags_truncate(&f->diags, 0);
}

static void nodes_are_linked(void **state)
{
    fixture *f = *state;
    assert_int_equal(f->first->n_operands, 1); /* the trailing absent operand is not stored */
    gml_node *middle = add_node(f->graph, f->second, &gml_op_relu, &f->first->results[0], NULL);
    assert_ptr_equal(f->first->next, middle);
    assert_ptr_equal(f->second->prev, middle);
    gml_node_move(middle, NULL);
    assert_ptr_equal(f->graph->last, middle);
    gml_node_move(middle, f->second);
    gml_node_move(middle, middle);
    assert_ptr_equal(f->graph->last, f->second);
    assert_int_equal(gml_module_verify(f->module, &f->diags), GML_OK);
    gml_node_remove(middle);
    assert_ptr_equal(f->first->next, f->second);
    int n_nodes = 0;
    gml_for_each_node(node, f->graph) {
        gml_node_remove(node); /* the loop survives it */
        n_nodes++;
    }
    assert_int_equal(n_nodes, 2);
    assert_null(f->graph->first);
    assert_null(f->graph->last);
}

/* An If whose branches return an outer value and the Relu of one. */
static gml_node *add_if(fixture *f, gml_value *outer)
{
    gml_value *condition = gml_graph_add_param(f->graph, "c", gml_type_scalar(GML_BOOL));
    gml_node *node = add_node(f->graph, NULL, &gml_op_if, condition, NULL);
    gml_graph *one = gml_graph_create(f->module, "then", NULL);
    gml_graph *two = gml_graph_create(f->module, "else", NULL);
    gml_node_set_region(node, "else_branch", two);
    gml_node_set_region(node, "then_branch", one);
    gml_graph_add_result(one, outer, NULL);
    gml_graph_add_result(two, &add_node(two, NULL, &gml_op_relu, outer, NULL)->results[0],
                         NULL);
    return node;
}

static void replacing_reaches_regions_and_results(void **state)
{
    fixture *f = *state;
    gml_value *old = &f->second->results[0];
    gml_node *branch = add_if(f, old);
    gml_arena scratch;
    gml_arena_init(&scratch);
    uint32_t *uses = gml_graph_count_uses(f->graph, &scratch);
    assert_int_equal(uses[old->id], 3); /* the graph's result, then_branch's, the Relu */
    assert_int_equal(uses[f->x->id], 2);
    gml_value_replace(old, f->x);
    uses = gml_graph_count_uses(f->graph, &scratch);
    assert_int_equal(uses[old->id], 0);
    assert_int_equal(uses[f->x->id], 5);
    assert_ptr_equal(f->graph->results[0], f->x);
    assert_ptr_equal(gml_node_region(branch, "then_branch")->results[0], f->x);
    assert_int_equal(gml_module_verify(f->module, &f->diags), GML_OK);
    gml_arena_reset(&scratch);
}

static void attributes_stand_in_the_order_of_the_table(void **state)
{
    fixture *f = *state;
    gml_node *node = gml_node_create(f->graph, NULL, &gml_op_split, &f->x, 1, 2, (gml_loc){0});
    assert_int_equal(gml_node_int(node, "axis", 7), 0);        /* the table's default */
    assert_int_equal(gml_node_int(node, "num_outputs", 7), 7); /* it has none */
    gml_node_set_int(node, "num_outputs", 2);
    gml_node_set_int(node, "axis", 1);
    gml_node_set_int(node, "axis", 3);
    assert_int_equal(node->n_attrs, 2);
    assert_string_equal(node->attrs[0].name, "axis");
    assert_int_equal(gml_node_int(node, "axis", 7), 3);
    assert_int_equal(gml_node_float(node, "axis", 0.5f) == 0.5f, 1); /* of another kind */
    size_t count = 1;
    assert_null(gml_node_ints(node, "perm", &count));
    assert_int_equal(count, 0);
    gml_node_set_ints(node, "perm", (const int64_t[]){2, 1}, 2);
    assert_int_equal(gml_node_ints(node, "perm", &count)[0], 2);
    assert_int_equal(count, 2);
    gml_node_set_string(node, "mode", "linear");
    assert_true(gml_node_string_is(node, "mode", "linear"));
    assert_false(gml_node_string_is(node, "mode", "line"));
    assert_false(gml_node_string_is(node, "absent", ""));
    assert_int_equal(gml_node_string(node, "absent").len, 0);
}

static int n_released;

static void release(void *context)
{
    int *order = context;
    *order = ++n_released;
}

static void resources_are_released_newest_first(void **state)
{
    (void)state;
    int order[20] = {0};
    n_released = 0;
    gml_module *module = gml_module_create(NULL);
    for (int i = 0; i < 20; i++)
        gml_module_own(module, release, &order[i]);
    gml_module_destroy(module);
    for (int i = 0; i < 20; i++)
        assert_int_equal(order[i], 20 - i);
    gml_module_destroy(NULL);
}

static void many_parameters_and_results(void **state)
{
    fixture *f = *state;
    for (uint32_t i = 1; i < 100; i++) {
        gml_value *param = gml_graph_add_param(f->graph, NULL, gml_type_scalar(GML_F32));
        gml_graph_add_result(f->graph, param, NULL);
        assert_int_equal(param->index, i);
    }
    assert_int_equal(f->graph->n_results, 100);
    for (uint32_t i = 1; i < 100; i++)
        assert_ptr_equal(f->graph->params[i], f->graph->results[i]);
    assert_int_equal(gml_module_verify(f->module, &f->diags), GML_OK);
}

static void a_constant_knows_its_tensor(void **state)
{
    fixture *f = *state;
    static int64_t data[] = {4, 8};
    gml_tensor tensor = {.dtype = GML_I64, .rank = 1, .dims = {2}, .data = data};
    gml_value *value = gml_graph_constant(f->graph, f->first, &tensor, (gml_loc){0});
    assert_string_equal(value->def->op->name, "Constant");
    assert_ptr_equal(value->constant->data, data);
    assert_int_equal(value->type.dims[0], 2);
    assert_ptr_equal(f->graph->first, value->def);
    assert_int_equal(gml_module_verify(f->module, &f->diags), GML_OK);
    /* A size that no gml_dim can hold becomes an unknown one. */
    tensor.dims[0] = INT64_MAX;
    tensor.rank = 2;
    value = gml_graph_constant(f->graph, NULL, &tensor, (gml_loc){0});
    assert_false(gml_dim_is_const(value->type.dims[0]));
}

static void the_verifier_finds_damage(void **state)
{
    fixture *f = *state;
    gml_value *inner;
    gml_value *a = &f->first->results[0];

    f->second->operands[0] = &f->second->results[0];
    expect_fault(f, "n (Add): operand 0 (without a name) is used before it is defined");
    gml_node *branch = add_if(f, f->x);
    inner = &gml_node_region(branch, "else_branch")->first->results[0];
    f->second->operands[0] = inner;
    expect_fault(f,
                 "operand 0 (without a name) belongs to a graph that is not around this one");
    gml_node_region(branch, "else_branch")->owner = f->first;
    f->second->operands[0] = a;
    expect_fault(f, "n (If): a region does not know its owner");
    gml_node_region(branch, "else_branch")->owner = branch;

    a->index = 3;
    expect_fault(f, "n (Relu): result 0 does not know its place");
    a->index = 0;
    uint32_t id = a->id;
    a->id = f->x->id;
    expect_fault(f, "result 0 has an id that is not its own");
    a->id = UINT32_MAX;
    expect_fault(f, "result 0 has an id that is not its own");
    a->id = id;

    f->second->operands[1] = NULL;
    expect_fault(f, "n (Add): operand 1 is missing");
    f->second->operands[1] = f->x;
    f->second->n_operands = 1;
    expect_fault(f, "n (Add): 1 operands where 2 are needed");
    f->second->n_operands = 2;

    a->name = "";
    expect_fault(f, "n (Add): operand 0 is a result that nobody wanted");
    a->name = NULL;
    f->graph->results[0] = NULL;
    expect_fault(f, "the graph's result 0 is missing");
    f->graph->results[0] = a;
    assert_int_equal(gml_module_verify(f->module, &f->diags), GML_OK);
}

static void the_verifier_finds_bad_types_links_and_attributes(void **state)
{
    fixture *f = *state;
    gml_value *a = &f->first->results[0];
    gml_type good = a->type;

    a->type = (gml_type){.kind = GML_TYPE_UNKNOWN};
    expect_fault(f, "n (Relu): the type of result 0 is not known");
    gml_dim dims[] = {-GML_DIM_LIMIT - 1000};
    a->type = (gml_type){.kind = GML_TYPE_TENSOR, .dtype = GML_F32, .rank = 1, .dims = dims};
    expect_fault(f, "n (Relu): the shape of result 0 is damaged");
    dims[0] = -4;
    expect_fault(f, "dimension 0 is negative: -4");
    dims[0] = 2;
    gml_tensor tensor = {.dtype = GML_F32, .rank = 1, .dims = {3}};
    a->constant = &tensor;
    expect_fault(f, "the elements known of result 0 do not have its type");
    a->constant = NULL;
    a->type = good;

    gml_node_set_int(f->first, "alpha", 1);
    expect_fault(f, "n (Relu): there is no attribute 'alpha'");
    f->first->n_attrs = 0;
    f->second->next = f->first; /* a list without an end */
    expect_fault(f, "the node is not linked properly into its graph");
    f->second->next = NULL;
    f->graph->last = f->first;
    expect_fault(f, "the last node of the graph is not its last");
    f->graph->last = f->second;
    f->first->op = NULL;
    expect_fault(f, "a node without an operator");
    f->first->op = &gml_op_relu;
    f->module->main = NULL;
    expect_fault(f, "there is no main graph");
}

static void types_compare(void **state)
{
    fixture *f = *state;
    gml_arena *arena = &f->module->arena;
    gml_dim_pool *pool = &f->module->dims;
    gml_dim n = gml_dim_symbol(pool, "n");
    gml_type fixed = gml_type_tensor(arena, GML_F32, 2, (const gml_dim[]){3, 4});
    gml_type open = gml_type_tensor(arena, GML_F32, 2, (const gml_dim[]){n, 4});
    gml_type free_rank = gml_type_unranked(GML_F32);
    assert_true(gml_type_accepts(&open, &fixed));
    assert_false(gml_type_accepts(&fixed, &open));
    assert_true(gml_type_accepts(&free_rank, &open));
    assert_false(gml_type_accepts(&open, &free_rank));
    gml_type sequence = gml_type_sequence(arena, open);
    gml_type other = gml_type_sequence(arena, fixed);
    assert_true(gml_type_accepts(&sequence, &other));
    assert_false(gml_type_equal(&sequence, &other));
    assert_false(gml_type_accepts(&open, &sequence));
    gml_type optional = gml_type_optional(arena, open);
    assert_false(gml_type_equal(&sequence, &optional));
    assert_true(gml_type_equal(&open, &open));
    assert_true(gml_type_numel(pool, &open) == gml_dim_mul(pool, n, 4));
    assert_true(gml_type_is_static(&fixed) && !gml_type_is_static(&open));
    gml_type scalar = gml_type_scalar(GML_F32);
    assert_true(gml_type_numel(pool, &scalar) == 1);
    gml_dim huge[] = {INT64_C(1) << 40, INT64_C(1) << 40, 0};
    gml_type empty = gml_type_tensor(arena, GML_F32, 3, huge);
    gml_type vast = gml_type_tensor(arena, GML_F32, 2, huge);
    assert_true(gml_type_numel(pool, &empty) == 0);
    assert_int_equal(gml_type_check(&empty, &f->diags, (gml_loc){0}), GML_OK);
    assert_int_equal(gml_type_check(&vast, &f->diags, (gml_loc){0}), GML_E_SHAPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nodes_are_linked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replacing_reaches_regions_and_results, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(attributes_stand_in_the_order_of_the_table, set_up,
                                        tear_down),
        cmocka_unit_test(resources_are_released_newest_first),
        cmocka_unit_test_setup_teardown(many_parameters_and_results, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_constant_knows_its_tensor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_verifier_finds_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_verifier_finds_bad_types_links_and_attributes,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(types_compare, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
