/* tests/unit/test_host_ml.c - ai.onnx.ml: look-ups, linear and tree models, maps; wrong
 * attributes. */
#include "host_call.h"

#include <math.h>

static void labels_are_found_or_default(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    const gml_string values[] = {{"one", 3}, {"nan", 3}, {"zero", 4}};
    const float keys[] = {1, NAN, 0};
    host_input(&t, GML_F32, 1, (int64_t[]){4}, (float[]){NAN, 1, -0.0f, 5});
    host_set_floats(&t, "keys_floats", 3, keys);
    host_set_strings(&t, "values_strings", 3, values);
    assert_int_equal(host_run(&t, gml_host_labelencoder), GML_OK);
    assert_texts(&t, 0, 4, (const char *const[]){"nan", "one", "zero", "_Unused"});
    host_fails_cleanly(&t, gml_host_labelencoder);
    t.attrs[0].count = 2;
    assert_int_equal(host_run(&t, gml_host_labelencoder), GML_E_INVALID);
    host_end(&t);
}

static void categories_go_both_ways(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    const gml_string names[] = {{"a", 1}, {"b", 1}};
    host_input(&t, GML_I64, 1, (int64_t[]){2}, (int64_t[]){7, 9});
    host_set_strings(&t, "cats_strings", 2, names);
    host_set_ints(&t, "cats_int64s", 2, (int64_t[]){3, 7});
    assert_int_equal(host_run(&t, gml_host_categorymapper), GML_OK);
    assert_texts(&t, 0, 2, (const char *const[]){"b", "_Unused"});
    host_set_int(&t, "zeros", 0);
    assert_int_equal(host_run(&t, gml_host_onehotencoder), GML_E_RANGE);
    host_end(&t);
}

static void features_out_of_range_are_refused(void **state)
{
    (void)state;
    const int64_t wrong[] = {-1, 2, INT64_MAX};
    for (int i = 0; i < 3; i++) {
        host_test t;
        host_begin(&t, 1);
        host_input(&t, GML_F32, 2, (int64_t[]){1, 2}, (float[]){1, 2});
        host_input(&t, GML_I64, 1, (int64_t[]){1}, &wrong[i]);
        assert_int_equal(host_run(&t, gml_host_arrayfeatureextractor), GML_E_RANGE);
        host_end(&t);
    }
}

static void a_linear_classifier_of_two_classes(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 2);
    const gml_string names[] = {{"no", 2}, {"yes", 3}};
    host_input(&t, GML_F32, 2, (int64_t[]){2, 2}, (float[]){1, 1, -3, 1});
    host_set_floats(&t, "coefficients", 2, (float[]){1, 2});
    host_set_floats(&t, "intercepts", 1, (float[]){-1});
    host_set_strings(&t, "classlabels_strings", 2, names);
    assert_int_equal(host_run(&t, gml_host_linearclassifier), GML_OK);
    assert_texts(&t, 0, 2, (const char *const[]){"yes", "no"});
    assert_ints(&t, 1, 4, (int64_t[]){-2, 2, 2, -2});
    host_fails_cleanly(&t, gml_host_linearclassifier);
    t.attrs[0].count = 1;
    assert_int_equal(host_run(&t, gml_host_linearclassifier), GML_E_INVALID);
    host_end(&t);
}

static void an_svm_checks_its_lists(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 2);
    host_input(&t, GML_F32, 2, (int64_t[]){1, 2}, (float[]){1, 1});
    host_set_floats(&t, "coefficients", 2, (float[]){1, -1});
    host_set_floats(&t, "rho", 1, (float[]){0.5f});
    host_set_floats(&t, "support_vectors", 4, (float[]){1, 0, 0, 3});
    host_set_ints(&t, "vectors_per_class", 2, (int64_t[]){1, 1});
    host_set_ints(&t, "classlabels_ints", 2, (int64_t[]){4, 5});
    assert_int_equal(host_run(&t, gml_host_svmclassifier), GML_OK);
    assert_ints(&t, 0, 1, (int64_t[]){5}); /* 1 - 3 + 0.5 votes for the second */
    host_fails_cleanly(&t, gml_host_svmclassifier);
    t.attrs[2].count = 3;
    assert_int_equal(host_run(&t, gml_host_svmclassifier), GML_E_INVALID);
    t.attrs[2].count = 4;
    t.attrs[3].as.ints = (int64_t[]){-1, 3};
    assert_int_equal(host_run(&t, gml_host_svmclassifier), GML_E_INVALID);
    host_end(&t);
}

/* One tree: x[0] <= 2 ? (x[1] in {5, 6} ? leaf 0 : leaf 1) : leaf 2. */
typedef struct tree {
    uint8_t modes[2];
    float splits[2], weights[3], members[3];
    int64_t features[2], yes[2], no[2], yes_leaf[2], no_leaf[2], targets[3], roots[1];
    gml_tensor tensors[4];
} tree;

static tree make_tree(void)
{
    return (tree){
        .modes = {0, 6},
        .splits = {2, 0},
        .weights = {1, 10, 100},
        .members = {5, 6, NAN},
        .features = {0, 1},
        .yes = {1, 0},
        .no = {2, 1},
        .yes_leaf = {0, 1},
        .no_leaf = {1, 1},
        .targets = {0, 1, 0},
    };
}

static void begin_tree(host_test *t, tree *model)
{
    const gml_dtype dtypes[] = {GML_U8, GML_F32, GML_F32, GML_F32};
    void *const data[] = {model->modes, model->splits, model->weights, model->members};
    const int64_t sizes[] = {2, 2, 3, 3};
    const char *const names[] = {"nodes_modes", "nodes_splits", "leaf_weights",
                                 "membership_values"};
    host_begin(t, 1);
    host_input(t, GML_F32, 2, (int64_t[]){3, 2}, (float[]){2, 6, 1, 7, NAN, 5});
    for (int i = 0; i < 4; i++) {
        model->tensors[i] =
            (gml_tensor){.dtype = dtypes[i], .rank = 1, .dims = {sizes[i]}, .data = data[i]};
        host_set_tensor(t, names[i], &model->tensors[i]);
    }
    host_set_ints(t, "nodes_featureids", 2, model->features);
    host_set_ints(t, "nodes_truenodeids", 2, model->yes);
    host_set_ints(t, "nodes_falsenodeids", 2, model->no);
    host_set_ints(t, "nodes_trueleafs", 2, model->yes_leaf);
    host_set_ints(t, "nodes_falseleafs", 2, model->no_leaf);
    host_set_ints(t, "leaf_targetids", 3, model->targets);
    host_set_ints(t, "tree_roots", 1, model->roots);
    host_set_int(t, "n_targets", 2);
}

static void a_tree_is_walked(void **state)
{
    (void)state;
    host_test t;
    tree model = make_tree();
    begin_tree(&t, &model);
    assert_int_equal(host_run(&t, gml_host_treeensemble), GML_OK);
    assert_ints(&t, 0, 6, (int64_t[]){1, 0, 0, 10, 100, 0});
    host_fails_cleanly(&t, gml_host_treeensemble);
    host_end(&t);
}

static void assert_tree_refused(tree model, gml_status expected)
{
    host_test t;
    begin_tree(&t, &model);
    assert_int_equal(host_run(&t, gml_host_treeensemble), expected);
    host_end(&t);
}

static void wrong_trees_are_refused(void **state)
{
    (void)state;
    tree model = make_tree();
    model.yes[0] = 0; /* a cycle */
    assert_tree_refused(model, GML_E_INVALID);
    model = make_tree();
    model.no[0] = 3;
    assert_tree_refused(model, GML_E_RANGE);
    model = make_tree();
    model.features[1] = 2;
    assert_tree_refused(model, GML_E_RANGE);
    model = make_tree();
    model.targets[2] = -1;
    assert_tree_refused(model, GML_E_RANGE);
    model = make_tree();
    model.roots[0] = 2;
    assert_tree_refused(model, GML_E_RANGE);
    model = make_tree();
    model.modes[0] = 7;
    assert_tree_refused(model, GML_E_INVALID);
    model = make_tree();
    model.members[2] = 0; /* the set does not end */
    assert_tree_refused(model, GML_E_INVALID);
}

static void rows_become_maps_and_rows_again(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    const gml_string names[] = {{"b", 1}, {"a", 1}};
    host_input(&t, GML_F32, 2, (int64_t[]){2, 2}, (float[]){1, 2, 3, 4});
    host_set_strings(&t, "classlabels_strings", 2, names);
    assert_int_equal(host_run(&t, gml_host_zipmap), GML_OK);
    assert_int_equal(t.outputs[0].n_items, 2);
    host_fails_cleanly(&t, gml_host_zipmap);
    host_test u;
    host_begin(&u, 1);
    const gml_string words[] = {{"a", 1}, {"z", 1}, {"b", 1}};
    assert_int_equal(gml_rvalue_copy(&u.inputs[0], &t.outputs[0].items[1]), GML_OK);
    host_end(&t);
    u.call.n_inputs = 1;
    host_set_strings(&u, "string_vocabulary", 3, words);
    assert_int_equal(host_run(&u, gml_host_dictvectorizer), GML_OK);
    assert_ints(&u, 0, 3, (int64_t[]){4, 0, 3});
    host_fails_cleanly(&u, gml_host_dictvectorizer);
    host_end(&u);
}

static void a_sparse_map_stays_inside(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    gml_rvalue *map = &t.inputs[t.call.n_inputs++];
    assert_int_equal(gml_rvalue_sequence(map, 2), GML_OK);
    map->kind = GML_RVALUE_MAP;
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            gml_rvalue_alloc(&map->items[i], i == 0 ? GML_I64 : GML_F32, 1, (int64_t[]){2}),
            GML_OK);
    for (int64_t i = 0; i < 2; i++) {
        gml_host_put_int(&map->items[0].tensor, i, 3 - i);
        gml_host_put(&map->items[1].tensor, i, 0.5 + (double)i);
    }
    host_set_string(&t, "map_form", "SPARSE");
    host_set_string(&t, "cast_to", "TO_STRING");
    host_set_int(&t, "max_map", 4);
    assert_int_equal(host_run(&t, gml_host_castmap), GML_OK);
    assert_texts(&t, 0, 4, (const char *const[]){"", "", "1.5", "0.5"});
    host_fails_cleanly(&t, gml_host_castmap);
    t.attrs[2].as.i = 3;
    assert_int_equal(host_run(&t, gml_host_castmap), GML_E_RANGE);
    host_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_found_or_default),
        cmocka_unit_test(categories_go_both_ways),
        cmocka_unit_test(features_out_of_range_are_refused),
        cmocka_unit_test(a_linear_classifier_of_two_classes),
        cmocka_unit_test(an_svm_checks_its_lists),
        cmocka_unit_test(a_tree_is_walked),
        cmocka_unit_test(wrong_trees_are_refused),
        cmocka_unit_test(rows_become_maps_and_rows_again),
        cmocka_unit_test(a_sparse_map_stays_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
