/* The public API: models from memory, sessions, binding, failures, threads. */
#include "gemel/gemel.h"
#include "runtime/value.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char relu[] = "graph @f(%x: f32[batch,3], %w: f32[3]) {\n"
                           "  %s = Add(%x, %w) : f32[batch,3]\n"
                           "  %y = Relu(%s) : f32[batch,3]\n"
                           "  return %y\n"
                           "}\n";

static const char *const devices[] = {"ref", "cpu", "emu"};

static gml_model *load(const char *text, const char *device)
{
    gml_model *model = NULL;
    gml_model_options options = {.device = device, .n_threads = 2, .fast_compile = true};
    gml_status status = gml_model_wrap(text, strlen(text), NULL, &options, &model);
    if (status != GML_OK)
        fail_msg("%s", gml_error_text());
    return model;
}

static gml_session *create(gml_model *model)
{
    gml_session *session = NULL;
    if (gml_session_create(model, &session) != GML_OK)
        fail_msg("%s", gml_error_text());
    return session;
}

static void must(gml_status status)
{
    if (status != GML_OK)
        fail_msg("%s", gml_error_text());
}

static gml_tensor matrix(float *data, int64_t rows)
{
    return (gml_tensor){.dtype = GML_F32, .rank = 2, .dims = {rows, 3}, .data = data};
}

static gml_tensor vector(float *data)
{
    return (gml_tensor){.dtype = GML_F32, .rank = 1, .dims = {3}, .data = data};
}

static void test_interface(void **state)
{
    (void)state;
    gml_model *model = load(relu, "ref");
    assert_int_equal(gml_model_n_inputs(model), 2);
    assert_int_equal(gml_model_n_outputs(model), 1);
    const gml_port *x = gml_model_input(model, 0);
    assert_string_equal(x->name, "x");
    assert_string_equal(x->type, "f32[batch,3]");
    assert_int_equal(x->kind, GML_PORT_TENSOR);
    assert_int_equal(x->dtype, GML_F32);
    assert_int_equal(x->rank, 2);
    assert_int_equal(x->dims[0], GML_PORT_DIM_UNKNOWN);
    assert_string_equal(x->dim_names[0], "batch");
    assert_int_equal(x->dims[1], 3);
    assert_string_equal(gml_model_output(model, 0)->name, "y");
    assert_null(gml_model_input(model, 2));
    size_t index = 7;
    assert_int_equal(gml_model_find_input(model, "wq", &index), GML_E_USAGE);
    assert_non_null(strstr(gml_error_text(), "did you mean 'w'?"));
    assert_non_null(strstr(gml_error_text(), "the inputs are 'x', 'w'"));
    assert_int_equal(index, 7);
    must(gml_model_find_input(model, "w", &index));
    assert_int_equal(index, 1);
    gml_model_release(model);
    assert_string_equal(gml_version(), GML_TEST_VERSION);
}

static void test_simple(void **state)
{
    (void)state;
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        gml_model *model = load(relu, devices[d]);
        gml_session *session = create(model);
        gml_model_release(model); /* the session holds it */
        float x[] = {1, -2, 3, -4, 5, -6};
        float w[] = {0.5f, 0.5f, 0.5f};
        for (int64_t rows = 1; rows <= 2; rows++) { /* two shapes */
            gml_tensor tx = matrix(x, rows);
            gml_tensor tw = vector(w);
            gml_tensor y;
            must(gml_session_set_input(session, "x", &tx));
            must(gml_session_set_input(session, "w", &tw));
            must(gml_session_run(session));
            must(gml_session_get_output(session, "y", &y));
            assert_int_equal(y.rank, 2);
            assert_int_equal(y.dims[0], rows);
            for (int64_t i = 0; i < 3 * rows; i++)
                assert_true(((float *)y.data)[i] == (x[i] > -0.5f ? x[i] + 0.5f : 0));
        }
        gml_session_destroy(session);
    }
}

static void test_set_copies_bind_does_not(void **state)
{
    (void)state;
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        gml_model *model = load(relu, devices[d]);
        gml_session *session = create(model);
        float x[] = {1, 2, 3};
        float w[] = {0, 0, 0};
        gml_tensor tx = matrix(x, 1);
        gml_tensor tw = vector(w);
        gml_tensor y;
        must(gml_session_bind_input(session, 0, &tx));
        must(gml_session_set_input(session, "w", &tw));
        x[0] = 10;
        w[0] = 100;
        must(gml_session_run(session));
        must(gml_session_output(session, 0, &y));
        assert_true(((float *)y.data)[0] == 10);
        must(gml_session_bind_input(session, 0, NULL));
        assert_int_equal(gml_session_run(session), GML_E_USAGE);
        assert_non_null(strstr(gml_error_text(), "x (input): has no value"));
        assert_int_equal(gml_session_output(session, 0, &y), GML_E_USAGE);
        gml_session_destroy(session);
        gml_model_release(model);
    }
}

static void test_bound_output(void **state)
{
    (void)state;
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        gml_model *model = load(relu, devices[d]);
        gml_session *session = create(model);
        float x[] = {1, 2, 3};
        float *place = aligned_alloc(64, 64);
        gml_tensor tx = matrix(x, 1);
        gml_tensor tw = vector(x);
        gml_tensor ty = matrix(place, 1);
        gml_tensor y;
        must(gml_session_bind_input(session, 0, &tx));
        must(gml_session_bind_input(session, 1, &tw));
        must(gml_session_bind_output(session, 0, &ty));
        must(gml_session_run(session));
        must(gml_session_output(session, 0, &y));
        assert_ptr_equal(y.data, place);
        assert_true(place[0] == 2 && place[1] == 4 && place[2] == 6);
        ty.dims[0] = 2;
        must(gml_session_bind_output(session, 0, &ty));
        assert_int_equal(gml_session_run(session), GML_E_SHAPE);
        assert_non_null(
            strstr(gml_error_text(), "is f32[1,3], and the memory bound to it f32[2,3]"));
        must(gml_session_bind_output(session, 0, NULL));
        must(gml_session_run(session));
        gml_session_destroy(session);
        gml_model_release(model);
        free(place);
    }
}

static void test_faults(void **state)
{
    (void)state;
    gml_model *model = NULL;
    gml_model_options options = {.device = "gpu"};
    assert_int_equal(gml_model_load("/nowhere/m.onnx", &model), GML_E_IO);
    assert_non_null(strstr(gml_error_text(), "/nowhere/m.onnx: cannot open"));
    assert_int_equal(gml_model_load_with("m.onnx", &options, &model), GML_E_USAGE);
    options = (gml_model_options){.precision = "lowest"};
    assert_int_equal(gml_model_wrap(relu, strlen(relu), NULL, &options, &model), GML_E_USAGE);
    assert_non_null(strstr(gml_error_text(), "there is no precision called 'lowest'"));
    options = (gml_model_options){.device = "ref", .precision = "medium"};
    assert_int_equal(gml_model_wrap(relu, strlen(relu), NULL, &options, &model),
                     GML_E_UNSUPPORTED);
    options = (gml_model_options){.dims = &(gml_dim_size){"bach", 2}, .n_dims = 1};
    assert_int_equal(gml_model_wrap(relu, strlen(relu), NULL, &options, &model), GML_E_USAGE);
    assert_non_null(strstr(gml_error_text(), "did you mean 'batch'?"));
    assert_int_equal(gml_model_wrap("", 0, NULL, NULL, &model), GML_E_INVALID);
    assert_null(model);

    model = load(relu, "ref");
    gml_session *session = create(model);
    float x[] = {1, 2, 3};
    gml_tensor t = vector(x);
    assert_int_equal(gml_session_set_input(session, "x", &t), GML_E_SHAPE);
    assert_non_null(strstr(gml_error_text(), "is f32[3] where the model takes f32[batch,3]"));
    t.dtype = GML_I32;
    assert_int_equal(gml_session_set_input(session, "w", &t), GML_E_TYPE);
    t.dtype = (gml_dtype)99;
    assert_int_equal(gml_session_set_input(session, "w", &t), GML_E_USAGE);
    t = vector(NULL);
    assert_int_equal(gml_session_bind_input(session, 1, &t), GML_E_USAGE);
    t.rank = 99;
    assert_int_equal(gml_session_bind_input(session, 1, &t), GML_E_USAGE);
    assert_int_equal(gml_session_bind_input(session, 2, NULL), GML_E_USAGE);
    assert_int_equal(gml_session_bind_items(session, 1, NULL, 0), GML_E_TYPE);
    gml_session_destroy(session);
    gml_model_release(model);
    gml_session_destroy(NULL);
    gml_model_release(NULL);
}

static void test_dims(void **state)
{
    (void)state;
    gml_model *model = NULL;
    gml_model_options options = {
        .device = "ref", .dims = &(gml_dim_size){"batch", 2}, .n_dims = 1};
    must(gml_model_wrap(relu, strlen(relu), NULL, &options, &model));
    assert_string_equal(gml_model_input(model, 0)->type, "f32[2,3]");
    gml_model_release(model);
}

static void test_sequences(void **state)
{
    (void)state;
    static const char text[] = "graph @f(%s: seq(f32[3]), %x: f32[3]) {\n"
                               "  %y = SequenceInsert(%s, %x) : seq(f32[3])\n"
                               "  return %y\n"
                               "}\n";
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        gml_model *model = load(text, devices[d]);
        gml_session *session = create(model);
        float a[] = {1, 2, 3};
        float b[] = {4, 5, 6};
        gml_tensor items[2] = {vector(a), vector(b)};
        gml_tensor y;
        size_t n = 0;
        assert_int_equal(gml_model_input(model, 0)->kind, GML_PORT_SEQUENCE);
        must(gml_session_bind_items(session, 0, items, 2));
        must(gml_session_bind_input(session, 1, &items[0]));
        must(gml_session_run(session));
        must(gml_session_count_items(session, 0, &n));
        assert_int_equal(n, 3);
        must(gml_session_output_item(session, 0, 1, &y));
        assert_memory_equal(y.data, b, sizeof b);
        must(gml_session_output_item(session, 0, 2, &y));
        assert_memory_equal(y.data, a, sizeof a);
        assert_int_equal(gml_session_output_item(session, 0, 3, &y), GML_E_USAGE);
        assert_int_equal(gml_session_output(session, 0, &y), GML_E_USAGE);
        gml_session_destroy(session);
        gml_model_release(model);
    }
}

/* Whatever allocation fails, the run says that there is no memory, and the next one goes well.
 */
static void test_out_of_memory(void **state)
{
    (void)state;
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        gml_model *model = load(relu, devices[d]);
        bool done = false;
        for (unsigned n = 1; !done; n++) {
            gml_session *session = create(model);
            float x[] = {1, 2, 3};
            gml_tensor tx = matrix(x, 1);
            gml_tensor tw = vector(x);
            must(gml_session_bind_input(session, 1, &tw));
            gml_buffer_fail_at(n);
            gml_status status = gml_session_set_input(session, "x", &tx);
            if (status == GML_OK)
                status = gml_session_run(session);
            gml_buffer_fail_at(0);
            done = status == GML_OK;
            if (!done) {
                assert_int_equal(status, GML_E_MEMORY);
                assert_non_null(strstr(gml_error_text(), "memory"));
            }
            must(gml_session_set_input(session, "x", &tx));
            must(gml_session_run(session));
            gml_session_destroy(session);
            assert_true(n < 100);
        }
        gml_model_release(model);
    }
}

typedef struct worker {
    pthread_t thread;
    gml_model *model;
    float first;
    bool ok;
} worker;

static void *work(void *context)
{
    worker *w = context;
    gml_session *session = NULL;
    w->ok = gml_session_create(w->model, &session) == GML_OK;
    for (int i = 0; i < 20 && w->ok; i++) {
        float x[6] = {w->first, (float)i, 0, 0, 0, 1};
        float zero[3] = {0};
        gml_tensor tx = matrix(x, 1 + i % 2);
        gml_tensor tw = vector(zero);
        gml_tensor y;
        w->ok = gml_session_set_input(session, "x", &tx) == GML_OK &&
                gml_session_set_input(session, "w", &tw) == GML_OK &&
                gml_session_run(session) == GML_OK &&
                gml_session_get_output(session, "y", &y) == GML_OK &&
                memcmp(y.data, x, (size_t)(3 * (1 + i % 2)) * sizeof *x) == 0;
        gml_tensor none;
        w->ok = w->ok && gml_session_get_output(session, "z", &none) == GML_E_USAGE &&
                strstr(gml_error_text(), "'z'");
    }
    gml_session_destroy(session);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        gml_model *model = load(relu, devices[d]);
        worker workers[4];
        for (int i = 0; i < 4; i++) {
            workers[i] = (worker){.model = model, .first = (float)i};
            assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(workers[i].thread, NULL);
            assert_true(workers[i].ok);
        }
        gml_model_release(model);
    }
}

/* More shapes than programs are kept. */
static void test_many_shapes(void **state)
{
    (void)state;
    gml_model *model = load(relu, "cpu");
    gml_session *session = create(model);
    float x[20 * 3];
    float zero[3] = {0};
    for (int i = 0; i < 60; i++)
        x[i] = (float)i;
    gml_tensor tw = vector(zero);
    must(gml_session_bind_input(session, 1, &tw));
    for (int round = 0; round < 2; round++) {
        for (int64_t rows = 0; rows < 20; rows++) {
            gml_tensor tx = matrix(x, rows);
            gml_tensor y;
            must(gml_session_bind_input(session, 0, &tx));
            must(gml_session_run(session));
            must(gml_session_output(session, 0, &y));
            assert_int_equal(y.dims[0], rows);
            if (rows)
                assert_memory_equal(y.data, x, (size_t)rows * 3 * sizeof *x);
        }
    }
    gml_session_destroy(session);
    gml_model_release(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interface),
        cmocka_unit_test(test_simple),
        cmocka_unit_test(test_set_copies_bind_does_not),
        cmocka_unit_test(test_bound_output),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_dims),
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_many_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
