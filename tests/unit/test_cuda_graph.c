/* tests/unit/test_cuda_graph.c - graphs as the driver is asked for them: a driver that writes
 * down the nodes. */
#include "runtime/device_cuda.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

enum { MOST = 8 };

/* What was asked for. Node i is &nodes[i]. */
static struct {
    struct {
        size_t n_after;
        void *after[MOST];
        void *kernel;
    } nodes[MOST];
    size_t n_nodes, fails_at; /* the node that fails, from 1 */
    int n_graphs, n_ready, n_launched;
} asked;

static int enter(void *context)
{
    (void)context;
    return 0;
}

static int say(int error, const char **out_text)
{
    (void)error;
    *out_text = "no";
    return 0;
}

static int create(void **out_graph, unsigned flags)
{
    assert_int_equal(flags, 0);
    asked.n_graphs++;
    *out_graph = &asked;
    return 0;
}

static int destroy(void *graph)
{
    assert_ptr_equal(graph, &asked);
    asked.n_graphs--;
    return 0;
}

static int add(void **out_node, void *graph, void *const *after, size_t n_after,
               const void *params)
{
    size_t i = asked.n_nodes++;
    assert_ptr_equal(graph, &asked);
    assert_true(i < MOST && n_after < MOST);
    asked.nodes[i].n_after = n_after;
    for (size_t k = 0; k < n_after; k++)
        asked.nodes[i].after[k] = after[k];
    asked.nodes[i].kernel = *(void *const *)params; /* its first member */
    *out_node = &asked.nodes[i];
    return asked.n_nodes == asked.fails_at ? 1 : 0;
}

static int make_ready(void **out_executable, void *graph, unsigned long long flags)
{
    assert_ptr_equal(graph, &asked);
    assert_int_equal(flags, 0);
    asked.n_ready++;
    *out_executable = &asked.n_ready;
    return 0;
}

static int launch(void *executable, void *stream)
{
    assert_ptr_equal(executable, &asked.n_ready);
    assert_ptr_equal(stream, &asked.n_launched);
    asked.n_launched++;
    return 0;
}

static int discard(void *executable)
{
    assert_ptr_equal(executable, &asked.n_ready);
    asked.n_ready--;
    return 0;
}

static gml_cuda device_of_driver(void)
{
    memset(&asked, 0, sizeof asked);
    gml_cu.context_set = enter;
    gml_cu.error_text = say;
    gml_cu.error_name = say;
    gml_cu.graph_create = create;
    gml_cu.graph_destroy = destroy;
    gml_cu.graph_add_kernel = add;
    gml_cu.graph_instantiate = make_ready;
    gml_cu.graph_launch = launch;
    gml_cu.graph_free = discard;
    return (gml_cuda){.stream = &asked.n_launched};
}

/* Two beginnings, what needs both, one behind that, and one behind a beginning. */
static const uint32_t both[] = {1, 0};
static const uint32_t third[] = {2};
static const uint32_t first[] = {0};
static char functions[5];
static const gml_device_kernel kernels[] = {{.function = &functions[0]},
                                            {.function = &functions[1]},
                                            {.function = &functions[2]},
                                            {.function = &functions[3]},
                                            {.function = &functions[4]}};
static const gml_device_call calls[] = {
    {.kernel = &kernels[0], .blocks = 1},
    {.kernel = &kernels[1], .blocks = 2},
    {.kernel = &kernels[2], .blocks = 3, .after = both, .n_after = 2},
    {.kernel = &kernels[3], .blocks = 4, .after = third, .n_after = 1},
    {.kernel = &kernels[4], .blocks = 5, .after = first, .n_after = 1},
};

static void nodes_wait_as_calls_do(void **state)
{
    (void)state;
    gml_cuda cuda = device_of_driver();
    gml_arena arena;
    gml_diags diags;
    void *handle = NULL;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    assert_int_equal(gml_cuda_graph_make(&cuda.device, calls, COUNT(calls), &handle, &diags),
                     GML_OK);
    assert_int_equal(asked.n_nodes, COUNT(calls));
    for (size_t i = 0; i < COUNT(calls); i++) {
        assert_ptr_equal(asked.nodes[i].kernel, calls[i].kernel->function);
        assert_int_equal(asked.nodes[i].n_after, calls[i].n_after);
        for (size_t k = 0; k < calls[i].n_after; k++)
            assert_ptr_equal(asked.nodes[i].after[k], &asked.nodes[calls[i].after[k]]);
    }
    assert_int_equal(asked.n_graphs, 0); /* what was made of it stays */
    assert_int_equal(gml_cuda_graph_issue(&cuda.device, handle, &diags), GML_OK);
    assert_int_equal(asked.n_launched, 1);
    gml_cuda_graph_free(&cuda.device, handle);
    assert_int_equal(asked.n_ready, 0);
    gml_arena_reset(&arena);
}

static void a_node_that_is_refused_leaves_nothing(void **state)
{
    (void)state;
    gml_cuda cuda = device_of_driver();
    gml_arena arena;
    gml_diags diags;
    void *handle = NULL;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    asked.fails_at = 3;
    assert_int_equal(gml_cuda_graph_make(&cuda.device, calls, COUNT(calls), &handle, &diags),
                     GML_E_DEVICE);
    assert_non_null(strstr(gml_diags_print(&diags), "adding a kernel to a graph"));
    assert_null(handle);
    assert_int_equal(asked.n_graphs, 0);
    assert_int_equal(asked.n_ready, 0);
    gml_arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_wait_as_calls_do),
        cmocka_unit_test(a_node_that_is_refused_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
