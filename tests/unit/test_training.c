/* tests/unit/test_training.c - training information: which graph each entry gives, what is
 * wrong with bindings, and what steps do to states, on all devices. */
#include "training_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { GML_N = 67 }; /* elements of a state: vectors, and a rest */
static const int64_t size_n[] = {GML_N};
static const char *const devices[] = {"ref", "cpu", "emu"};

/* y = x + a; in a step a += b, and m, which is the algorithm's own, becomes m + a. */
static Onnx__TrainingInfoProto *begin_model(onnx_model *m)
{
    model_init(m, 17);
    add_input(m, "x", GML_F32, 1, size_n);
    add_vector(m, "c", GML_N, 3);
    add_vector(m, "b", GML_N, 1);
    add_vector(m, "a", GML_N, 5);
    add_node(m, "Add", "x a", "s");
    add_node(m, "Add", "s c", "y");
    add_output(m, "y", GML_F32);
    Onnx__TrainingInfoProto *info = add_training(m);
    in_graph(m, info->algorithm);
    add_vector(m, "m", GML_N, 0);
    in_graph(m, info->algorithm);
    add_update(m, info, "Add", "a b", "a.next");
    add_update(m, info, "Add", "m a", "m.next");
    bind_update(m, info, "m", "m.next");
    bind_update(m, info, "a", "a.next");
    return info;
}

/* ---- importing ----------------------------------------------------------------------------
 */

static gml_module *import(onnx_model *m, gml_onnx_entry entry)
{
    gml_module *module = NULL;
    gml_onnx_options options = {.entry = entry};
    m->bytes.len = 0;
    if (load_model(m, &options, &module) != GML_OK)
        fail_msg("%s", gml_diags_print(&m->diags));
    return module;
}

static void each_entry_has_its_graph(void **state)
{
    (void)state;
    onnx_model m;
    begin_model(&m);
    gml_module *module = import(&m, GML_ONNX_FIXED);
    assert_int_equal(module->states.count, 0);
    assert_int_equal(module->main->n_params, 1);
    assert_int_equal(module->trainings.count, 1);
    assert_true(module->trainings.items[0].has_step);
    assert_false(module->trainings.items[0].has_initialisation);
    gml_module_destroy(module);

    module = import(&m, GML_ONNX_STEP);
    assert_int_equal(module->states.count, 2); /* in the order of the file, not of bindings */
    const gml_state *a = &module->states.items[0];
    const gml_state *momentum = &module->states.items[1];
    assert_string_equal(a->name, "a");
    assert_string_equal(momentum->name, "m");
    assert_int_equal(module->main->n_params, 3);
    assert_int_equal(a->param, 1);
    assert_int_equal(momentum->param, 2);
    assert_int_equal(module->main->n_results,
                     3); /* y, and the states' in the bindings' order */
    assert_int_equal(momentum->result, 1);
    assert_int_equal(a->result, 2);
    float elements[GML_N]; /* a view of the file, of any alignment */
    memcpy(elements, a->initial.data, sizeof elements);
    assert_true(elements[2] == 7);
    gml_module_destroy(module);

    module = import(&m, GML_ONNX_RUN);
    assert_int_equal(module->states.count, 2);
    assert_int_equal(module->main->n_params, 2);
    assert_int_equal(module->states.items[0].param, 1);
    assert_int_equal(module->states.items[0].result, GML_NO_INDEX);
    assert_int_equal(module->states.items[1].param,
                     GML_NO_INDEX); /* it is the algorithm's, … */
    assert_int_equal(module->states.items[1].initial.dtype, GML_F32); /* … but known */
    assert_int_equal(module->states.items[1].initial.dims[0], GML_N);
    gml_module_destroy(module);
    model_reset(&m);
}

static void assert_refused(onnx_model *m, gml_onnx_entry entry, gml_status status,
                           const char *why)
{
    gml_onnx_options options = {.entry = entry};
    gml_status found = refuse_model(m, &options);
    if (!says(m, why))
        fail_msg("\"%s\" is not about \"%s\"", m->bytes.text, why);
    assert_int_equal(found, status);
    model_reset(m);
}

static void faults_of_bindings_are_named(void **state)
{
    (void)state;
    onnx_model m;
    bind_update(&m, begin_model(&m), "nobody", "a.next");
    assert_refused(&m, GML_ONNX_STEP, GML_E_INVALID, "\"nobody\", which is no initialiser");
    bind_update(&m, begin_model(&m), "x", "a.next"); /* an input is none */
    assert_refused(&m, GML_ONNX_STEP, GML_E_INVALID, "\"x\", which is no initialiser");
    bind_update(&m, begin_model(&m), "a", "m.next");
    assert_refused(&m, GML_ONNX_STEP, GML_E_INVALID, "two bindings name \"a\"");
    bind_update(&m, begin_model(&m), "b", "nothing");
    assert_refused(&m, GML_ONNX_STEP, GML_E_INVALID, "\"nothing\", which is no output");
    bind_update(&m, begin_model(&m), "b", "y"); /* of the graph, not of the algorithm */
    assert_refused(&m, GML_ONNX_STEP, GML_E_INVALID, "\"y\", which is no output");

    Onnx__TrainingInfoProto *info = begin_model(&m);
    in_graph(&m, info->algorithm);
    add_int(&m, add_node(&m, "Cast", "b", "whole"), "to", GML_I32);
    add_output(&m, "whole", GML_I32);
    in_graph(&m, info->algorithm);
    bind_update(&m, info, "b", "whole");
    assert_refused(&m, GML_ONNX_STEP, GML_E_TYPE, "is f32, and is to become i32");
}

static void parts_that_are_not_there_are_named(void **state)
{
    (void)state;
    onnx_model m;
    begin_model(&m);
    assert_refused(&m, GML_ONNX_INITIALISE, GML_E_USAGE, "has no training initialisation");
    model_init(&m, 17);
    add_input(&m, "x", GML_F32, 1, size_n);
    add_node(&m, "Relu", "x", "y");
    add_output(&m, "y", GML_F32);
    assert_refused(&m, GML_ONNX_STEP, GML_E_USAGE, "has no training algorithm");
    Onnx__TrainingInfoProto *info = begin_model(&m);
    info->initialization = new_graph(&m, "first");
    in_graph(&m, info->initialization);
    add_input(&m, "z", GML_F32, 1, size_n);
    add_node(&m, "Relu", "z", "first");
    add_output(&m, "first", GML_F32);
    in_graph(&m, info->initialization);
    bind_initial(&m, info, "a", "first");
    assert_refused(&m, GML_ONNX_INITIALISE, GML_E_INVALID, "an initialisation has no inputs");
}

/* ---- sessions -----------------------------------------------------------------------------
 */

static void must(gml_status status)
{
    if (status != GML_OK)
        fail_msg("%s", gml_error_text());
}

static gml_session *open_part(const onnx_model *m, const gml_model_options *options,
                              const gml_session *other)
{
    gml_model *model = NULL;
    gml_session *session = NULL;
    must(gml_model_wrap(m->bytes.text, m->bytes.len, NULL, options, &model));
    must(other ? gml_session_create_sharing(model, other, &session)
               : gml_session_create(model, &session));
    gml_model_release(model);
    return session;
}

static gml_session *open_entry(const onnx_model *m, const char *device, gml_entry entry,
                               const gml_session *other)
{
    gml_model_options options = {
        .device = device, .n_threads = 2, .fast_compile = true, .entry = entry};
    return open_part(m, &options, other);
}

static const float *state_of(const gml_session *session, const char *name)
{
    gml_tensor tensor;
    must(gml_session_get_state(session, name, &tensor));
    assert_int_equal(tensor.dtype, GML_F32);
    assert_int_equal(tensor.dims[0], GML_N);
    return tensor.data;
}

static void set_x(gml_session *session, float first)
{
    float x[GML_N];
    gml_tensor tensor = {.dtype = GML_F32, .rank = 1, .dims = {GML_N}, .data = x};
    for (int i = 0; i < GML_N; i++)
        x[i] = first;
    must(gml_session_set_input(session, "x", &tensor));
}

static const float *output_of(const gml_session *session, const char *name)
{
    gml_tensor tensor;
    must(gml_session_get_output(session, name, &tensor));
    assert_int_equal(tensor.dims[0], GML_N);
    return tensor.data;
}

static void the_graph_sees_what_steps_made(void **state)
{
    (void)state;
    onnx_model m;
    begin_model(&m);
    pack_model(&m);
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        for (int first = 0; first < 2; first++) { /* either may own the states */
            gml_session *one =
                open_entry(&m, devices[d], first ? GML_ENTRY_STEP : GML_ENTRY_RUN, NULL);
            gml_session *two =
                open_entry(&m, devices[d], first ? GML_ENTRY_RUN : GML_ENTRY_STEP, one);
            gml_session *step = first ? one : two;
            gml_session *run = first ? two : one;
            assert_int_equal(gml_session_n_states(run), 2);
            assert_string_equal(gml_session_state_name(run, 1), "m");
            assert_null(gml_session_state_name(run, 2));
            set_x(step, 0);
            set_x(run, 0.5F);
            for (int i = 0; i < 3; i++)
                must(gml_session_run(step));
            must(gml_session_run(run));
            for (int i = 0; i < GML_N; i++) {
                float a = (float)(5 + i);
                float b = (float)(1 + i);
                assert_true(state_of(run, "a")[i] == a + 3 * b);
                assert_true(state_of(step, "m")[i] == (float)i + 3 * a + 3 * b);
                assert_true(output_of(run, "y")[i] == 0.5F + a + 3 * b + (float)(3 + i));
            }
            gml_session_destroy(one); /* the other goes on with the states */
            must(gml_session_run(two));
            gml_session_destroy(two);
        }
    }
    model_reset(&m);
}

static void states_are_read_and_set(void **state)
{
    (void)state;
    onnx_model m;
    begin_model(&m);
    pack_model(&m);
    float values[GML_N] = {2};
    gml_tensor tensor = {.dtype = GML_F32, .rank = 1, .dims = {GML_N}, .data = values};
    gml_session *step = open_entry(&m, "ref", GML_ENTRY_STEP, NULL);
    must(gml_session_set_state(step, "a", &tensor));
    assert_true(state_of(step, "a")[0] == 2 && state_of(step, "a")[1] == 0);
    assert_int_equal(gml_session_set_state(step, "aa", &tensor), GML_E_USAGE);
    assert_non_null(strstr(gml_error_text(), "did you mean 'a'?"));
    tensor.dims[0] = GML_N - 1;
    assert_int_equal(gml_session_set_state(step, "a", &tensor), GML_E_SHAPE);
    tensor = (gml_tensor){.dtype = GML_I32, .rank = 1, .dims = {GML_N}, .data = values};
    assert_int_equal(gml_session_set_state(step, "a", &tensor), GML_E_TYPE);
    tensor = (gml_tensor){.dtype = GML_F32, .rank = 1, .dims = {GML_N}};
    assert_int_equal(gml_session_set_state(step, "a", &tensor), GML_E_USAGE);

    /* a model with the weights of the file has none, and those of another are others */
    gml_session *fixed = open_entry(&m, "ref", GML_ENTRY_FIXED, NULL);
    gml_session *session = NULL;
    gml_model *model = NULL;
    gml_model_options options = {.device = "ref", .entry = GML_ENTRY_STEP};
    assert_int_equal(gml_session_n_states(fixed), 0);
    assert_int_equal(gml_session_get_state(fixed, "a", &tensor), GML_E_USAGE);
    onnx_model other;
    bind_update(&other, begin_model(&other), "b", "a.next");
    pack_model(&other);
    must(gml_model_wrap(other.bytes.text, other.bytes.len, NULL, &options, &model));
    assert_int_equal(gml_model_n_trainings(model), 1);
    assert_int_equal(gml_session_create_sharing(model, fixed, &session), GML_E_USAGE);
    assert_int_equal(gml_session_create_sharing(model, step, &session), GML_E_USAGE);
    assert_non_null(strstr(gml_error_text(), "does not have these states"));
    assert_null(session);
    gml_model_release(model);
    gml_session_destroy(fixed);
    gml_session_destroy(step);
    model_reset(&other);
    model_reset(&m);
}

static void sparse_initialisers_are_states(void **state)
{
    (void)state;
    static const int64_t one[] = {1};
    static const int64_t at[] = {4};
    onnx_model m;
    Onnx__TrainingInfoProto *info = begin_model(&m);
    Onnx__SparseTensorProto *sparse = gml_new(&m.arena, Onnx__SparseTensorProto);
    onnx__sparse_tensor_proto__init(sparse);
    in_graph(&m, info->algorithm);
    add_vector(&m, "v", 1, 9);
    sparse->values = m.graph.initializer[--m.graph.n_initializer];
    add_tensor(&m, "at", GML_I64, 1, one, at, sizeof at);
    sparse->indices = m.graph.initializer[--m.graph.n_initializer];
    sparse->dims = gml_arena_copy(&m.arena, size_n, sizeof size_n);
    sparse->n_dims = 1;
    GML_APPEND(&m, m.graph.sparse_initializer, m.graph.n_sparse_initializer, sparse);
    in_graph(&m, info->algorithm);
    add_update(&m, info, "Add", "v b", "v.next");
    bind_update(&m, info, "v", "v.next");
    pack_model(&m);
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        gml_session *step = open_entry(&m, devices[d], GML_ENTRY_STEP, NULL);
        assert_int_equal(gml_session_n_states(step), 3);
        for (int i = 0; i < GML_N; i++)
            assert_true(state_of(step, "v")[i] == (i == 4 ? 9 : 0));
        set_x(step, 0);
        must(gml_session_run(step));
        for (int i = 0; i < GML_N; i++)
            assert_true(state_of(step, "v")[i] == (float)(1 + i) + (i == 4 ? 9.0F : 0.0F));
        gml_session_destroy(step);
    }
    model_reset(&m);
}

/* ---- what is updated in place must not be read afterwards ---------------------------------
 */

/* A step over the states p, q, r and the input x. */
typedef struct step_case {
    const char *what;
    const char *nodes[6][3];    /* operator, inputs, output; all of them the algorithm's */
    const char *bindings[3][2]; /* state and what it becomes */
    void (*expect)(float *s, float x, float *old); /* of an element: p, q, r */
    void (*whole)(float s[3][GML_N], float x);     /* instead: of all of them; "old" is p's */
} step_case;

static void expect_swap(float *s, float x, float *old)
{
    (void)x;
    float kept = s[0];
    *old = kept;
    s[0] = s[1];
    s[1] = kept;
}

static void expect_ring(float *s, float x, float *old)
{
    float kept = s[0];
    *old = kept;
    s[0] = s[1] + x;
    s[1] = s[2] + x;
    s[2] = kept + x;
}

static void expect_old(float *s, float x, float *old)
{
    *old = s[0];
    s[1] = s[0] * s[1];
    s[0] = s[0] + x;
}

static void expect_same(float *s, float x, float *old)
{
    *old = s[0];
    s[0] = s[0] + x;
    s[1] = s[0];
}

static void expect_behind(float *s, float x, float *old)
{
    *old = s[0];
    s[0] = s[1];
    s[1] = s[1] + x;
    s[2] = s[2] + s[0];
}

static void expect_twice(float *s, float x, float *old)
{
    *old = s[0];
    s[0] = (s[0] + x) * s[0];
    s[1] = *old - s[1];
}

static void expect_reversed(float s[3][GML_N], float x)
{
    (void)x;
    for (int i = 0; i < GML_N / 2; i++) {
        float kept = s[0][i];
        s[0][i] = s[0][GML_N - 1 - i];
        s[0][GML_N - 1 - i] = kept;
    }
}

static void expect_sum(float s[3][GML_N], float x)
{
    float sum = 0;
    for (int i = 0; i < GML_N; i++)
        sum += s[0][i];
    for (int i = 0; i < GML_N; i++) {
        s[0][i] += x;
        s[1][i] += sum;
    }
}

static void expect_old_reversed(float s[3][GML_N], float x)
{
    for (int i = 0; i < GML_N; i++)
        s[1][i] = s[0][GML_N - 1 - i];
    for (int i = 0; i < GML_N; i++)
        s[0][i] += x;
}

static const step_case cases[] = {
    {"a swap",
     {{"Identity", "p", "old"}, {"Identity", "q", "p.next"}, {"Identity", "p", "q.next"}},
     {{"p", "p.next"}, {"q", "q.next"}},
     expect_swap},
    {"a swap without nodes", /* an output may be a state itself */
     {{"Identity", "p", "old"}},
     {{"p", "q"}, {"q", "p"}},
     expect_swap},
    {"a ring of three",
     {{"Add", "q x", "p.next"},
      {"Add", "r x", "q.next"},
      {"Add", "p x", "r.next"},
      {"Identity", "p", "old"}},
     {{"p", "p.next"}, {"q", "q.next"}, {"r", "r.next"}},
     expect_ring},
    {"an old value that others need",
     {{"Add", "p x", "p.next"}, {"Mul", "p q", "q.next"}, {"Identity", "p", "old"}},
     {{"p", "p.next"}, {"q", "q.next"}},
     expect_old},
    {"two states become one value",
     {{"Identity", "p", "old"}, {"Add", "p x", "n"}},
     {{"p", "n"}, {"q", "n"}},
     expect_same},
    {"one state follows another",
     {{"Identity", "p", "old"},
      {"Identity", "q", "p.next"},
      {"Add", "q x", "q.next"},
      {"Add", "r q", "r.next"}},
     {{"p", "p.next"}, {"q", "q.next"}, {"r", "r.next"}},
     expect_behind},
    {"a state that is read twice",
     {{"Add", "p x", "t"},
      {"Mul", "t p", "p.next"},
      {"Sub", "p q", "q.next"},
      {"Identity", "p", "old"}},
     {{"p", "p.next"}, {"q", "q.next"}},
     expect_twice},
    {"elements that change places",
     {{"Gather", "p reverse", "p.next"}, {"Identity", "p", "old"}},
     {{"p", "p.next"}},
     NULL,
     expect_reversed},
    {"elements that change places, and nobody else looks",
     {{"Gather", "p reverse", "p.next"}},
     {{"p", "p.next"}},
     NULL,
     expect_reversed},
    {"a sum over the old value",
     {{"Add", "p x", "p.next"},
      {"ReduceSum", "p", "sum"},
      {"Add", "q sum", "q.next"},
      {"Identity", "p", "old"}},
     {{"p", "p.next"}, {"q", "q.next"}},
     NULL,
     expect_sum},
    {"an old value that is read elsewhere",
     {{"Add", "p x", "p.next"}, {"Gather", "p reverse", "q.next"}, {"Identity", "p", "old"}},
     {{"p", "p.next"}, {"q", "q.next"}},
     NULL,
     expect_old_reversed},
    {"an old value that is read elsewhere, and no more",
     {{"Add", "p x", "p.next"}, {"Gather", "p reverse", "q.next"}},
     {{"p", "p.next"}, {"q", "q.next"}},
     NULL,
     expect_old_reversed},
};

static bool is_output(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_output; i++)
        if (strcmp(graph->output[i]->name, name) == 0)
            return true;
    return false;
}

static void build_case(onnx_model *m, const step_case *c)
{
    model_init(m, 17);
    add_input(m, "x", GML_F32, 1, size_n);
    add_vector(m, "p", GML_N, 1);
    add_vector(m, "q", GML_N, 0.25F);
    add_vector(m, "r", GML_N, -7);
    int64_t reverse[GML_N];
    for (int i = 0; i < GML_N; i++)
        reverse[i] = GML_N - 1 - i;
    add_tensor(m, "reverse", GML_I64, 1, size_n, reverse, sizeof reverse);
    add_node(m, "Neg", "x", "y");
    add_output(m, "y", GML_F32);
    Onnx__TrainingInfoProto *info = add_training(m);
    for (size_t i = 0; i < 6 && c->nodes[i][0]; i++)
        add_update(m, info, c->nodes[i][0], c->nodes[i][1], c->nodes[i][2]);
    for (size_t i = 0; i < 3 && c->bindings[i][0]; i++) {
        in_graph(m, info->algorithm);
        if (!is_output(&m->graph, c->bindings[i][1]))
            add_output(m, c->bindings[i][1], GML_F32);
        in_graph(m, info->algorithm);
        bind_update(m, info, c->bindings[i][0], c->bindings[i][1]);
    }
    pack_model(m);
}

static bool has_old(const step_case *c)
{
    for (size_t i = 0; i < 6 && c->nodes[i][0]; i++)
        if (strcmp(c->nodes[i][2], "old") == 0)
            return true;
    return false;
}

/* "r" is a state only where a binding names it. */
static void check_case(const gml_session *step, const step_case *c, float p[3][GML_N],
                       const float *old)
{
    static const char *const names[] = {"p", "q", "r"};
    for (size_t s = 0; s < gml_session_n_states(step); s++)
        for (int i = 0; i < GML_N; i++)
            if (state_of(step, names[s])[i] != p[s][i])
                fail_msg("%s: %s[%d] is %g, not %g", c->what, names[s], i,
                         (double)state_of(step, names[s])[i], (double)p[s][i]);
    for (int i = 0; has_old(c) && i < GML_N; i++)
        if (output_of(step, "old")[i] != old[i])
            fail_msg("%s: old[%d] is %g, not %g", c->what, i, (double)output_of(step, "old")[i],
                     (double)old[i]);
}

static void expect_step(const step_case *c, float p[3][GML_N], float *old)
{
    memcpy(old, p[0], sizeof p[0]);
    if (c->whole)
        c->whole(p, 0.5F);
    for (int i = 0; i < GML_N && !c->whole; i++) {
        float s[] = {p[0][i], p[1][i], p[2][i]};
        c->expect(s, 0.5F, &old[i]);
        for (int j = 0; j < 3; j++)
            p[j][i] = s[j];
    }
}

static void states_change_all_at_once(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        onnx_model m;
        build_case(&m, &cases[k]);
        for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
            float p[3][GML_N];
            float old[GML_N];
            gml_session *step = open_entry(&m, devices[d], GML_ENTRY_STEP, NULL);
            for (int i = 0; i < GML_N; i++) {
                p[0][i] = 1 + (float)i;
                p[1][i] = 0.25F + (float)i;
                p[2][i] = -7 + (float)i;
            }
            set_x(step, 0.5F);
            for (int run = 0; run < 3; run++) {
                must(gml_session_run(step));
                expect_step(&cases[k], p, old);
                check_case(step, &cases[k], p, old);
            }
            gml_session_destroy(step);
        }
        model_reset(&m);
    }
}

/* ---- failures, initialisation, several trainings ------------------------------------------
 */

static void states_stay_after_a_failure(void **state)
{
    (void)state;
    onnx_model m;
    Onnx__TrainingInfoProto *info = begin_model(&m);
    info->update_binding[1]->value = model_text(&m, "long"); /* a */
    in_graph(&m, info->algorithm);
    add_input(&m, "z", GML_F32, 1, (int64_t[]){-1});
    add_int(&m, add_node(&m, "Concat", "a z", "long"), "axis", 0);
    add_output(&m, "long", GML_F32);
    in_graph(&m, info->algorithm);
    pack_model(&m);
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        float z[2] = {0};
        gml_tensor none = {.dtype = GML_F32, .rank = 1, .dims = {0}, .data = z};
        gml_tensor two = {.dtype = GML_F32, .rank = 1, .dims = {2}, .data = z};
        gml_session *step = open_entry(&m, devices[d], GML_ENTRY_STEP, NULL);
        assert_int_equal(gml_session_run(step), GML_E_USAGE); /* no inputs */
        set_x(step, 0);
        must(gml_session_set_input(step, "z", &two));
        assert_int_equal(gml_session_run(step), GML_E_SHAPE);
        assert_non_null(strstr(gml_error_text(), "would become f32[69]"));
        assert_true(state_of(step, "a")[1] == 6);
        must(gml_session_set_input(step, "z", &none));
        must(gml_session_run(step));
        assert_true(state_of(step, "a")[1] == 6);
        gml_session_destroy(step);
    }
    model_reset(&m);
}

static void add_random(onnx_model *m, const char *name)
{
    add_ints(m, add_node(m, "RandomNormal", "", name), "shape", size_n, 1);
    add_output(m, name, GML_F32);
}

static void initialisation_sets_states(void **state)
{
    (void)state;
    onnx_model m;
    Onnx__TrainingInfoProto *info = begin_model(&m);
    info->initialization = new_graph(&m, "first");
    in_graph(&m, info->initialization);
    add_random(&m, "free");
    add_random(&m, "seeded");
    add_float(&m, m.graph.node[1], "seed", 4);
    in_graph(&m, info->initialization);
    bind_initial(&m, info, "a", "free");
    bind_initial(&m, info, "m", "seeded");
    pack_model(&m);
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        float a[3][GML_N];
        float momentum[3][GML_N];
        for (int k = 0; k < 3; k++) { /* no seed, and two */
            gml_model_options options = {
                .device = devices[d], .entry = GML_ENTRY_INITIALISE, .seed = (uint64_t)k};
            gml_session *step = open_entry(&m, devices[d], GML_ENTRY_STEP, NULL);
            gml_session *first = open_part(&m, &options, step);
            must(gml_session_run(first));
            gml_session_destroy(first);
            memcpy(a[k], state_of(step, "a"), sizeof a[k]);
            memcpy(momentum[k], state_of(step, "m"), sizeof momentum[k]);
            set_x(step, 0);
            must(gml_session_run(step));
            for (int i = 0; i < GML_N; i++)
                assert_true(state_of(step, "a")[i] == a[k][i] + (float)(1 + i));
            gml_session_destroy(step);
        }
        for (int k = 1; k < 3; k++) { /* the file's seed wins */
            assert_memory_equal(momentum[0], momentum[k], sizeof momentum[0]);
            assert_memory_not_equal(a[k - 1], a[k], sizeof a[0]);
        }
        assert_memory_not_equal(a[0], a[2], sizeof a[0]);
        assert_true(a[0][0] != 5 || a[0][1] != 6);
    }
    model_reset(&m);
}

static void trainings_share_all_states(void **state)
{
    (void)state;
    onnx_model m;
    begin_model(&m);
    Onnx__TrainingInfoProto *info = add_training(&m);
    add_update(&m, info, "Add", "b a", "b.next");
    bind_update(&m, info, "b", "b.next");
    pack_model(&m);
    for (size_t d = 0; d < sizeof devices / sizeof *devices; d++) {
        gml_model_options options = {
            .device = devices[d], .fast_compile = true, .entry = GML_ENTRY_STEP};
        gml_session *one = open_part(&m, &options, NULL);
        options.training = 1;
        gml_session *two = open_part(&m, &options, one);
        assert_int_equal(gml_session_n_states(one), 3);
        assert_string_equal(gml_session_state_name(one, 0), "b"); /* before a in the file */
        set_x(one, 0);
        set_x(two, 0);
        for (int run = 0; run < 2; run++) {
            must(gml_session_run(one));
            must(gml_session_run(two));
        }
        for (int i = 0; i < GML_N; i++) {
            float a = (float)(5 + i);
            float b = (float)(1 + i);
            for (int run = 0; run < 2; run++) {
                a += b;
                b += a;
            }
            assert_true(state_of(one, "a")[i] == a);
            assert_true(state_of(one, "b")[i] == b);
        }
        gml_session_destroy(one);
        gml_session_destroy(two);
        options.training = 2;
        gml_model *model = NULL;
        assert_int_equal(gml_model_wrap(m.bytes.text, m.bytes.len, NULL, &options, &model),
                         GML_E_USAGE);
    }
    model_reset(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_entry_has_its_graph),
        cmocka_unit_test(faults_of_bindings_are_named),
        cmocka_unit_test(parts_that_are_not_there_are_named),
        cmocka_unit_test(the_graph_sees_what_steps_made),
        cmocka_unit_test(states_are_read_and_set),
        cmocka_unit_test(sparse_initialisers_are_states),
        cmocka_unit_test(states_change_all_at_once),
        cmocka_unit_test(states_stay_after_a_failure),
        cmocka_unit_test(initialisation_sets_states),
        cmocka_unit_test(trainings_share_all_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
