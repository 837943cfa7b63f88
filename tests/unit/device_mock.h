/* tests/unit/device_mock.h - a device that counts what is asked of it. Its memory cannot be
 * read or written but through it: whoever takes an address there for one here gets a fault. */
#ifndef GML_TESTS_DEVICE_MOCK_H
#define GML_TESTS_DEVICE_MOCK_H

#include "program_util.h"
#include "runtime/device_table.h"

#include <sys/mman.h>

#define MOCK_PAGE 4096u
#define MOCK_MOST 256

typedef struct mock {
    gml_device device;
    struct {
        char *memory;
        size_t size;
    } blocks[MOCK_MOST];
    size_t n_blocks;
    size_t n_puts, n_gets, n_copies, n_launches;
    size_t fails_at; /* the launch that fails, from 1 */
    /* graphs: as many as were made, issued, and are there */
    size_t n_graphs, n_issues, n_alive;
    bool has_no_graph; /* making one fails */
    bool reverses;     /* of the calls that may be next the last one is issued, not the first */
    /* of the last one made: what each call waits for; of the last one issued: its calls */
    struct {
        uint32_t n, after[8];
    } waits[MOCK_MOST];
    size_t order[MOCK_MOST];
    /* how the last image that was loaded begins and ends; whether ELF files are refused */
    size_t n_loads;
    char image_start[16], image_end;
    bool refuses_cubins;
    size_t n_encodes;
    bool has_no_maps; /* encoding one fails */
} mock;

typedef struct mock_graph {
    const gml_device_call *calls;
    size_t n;
} mock_graph;

static mock *mock_of(gml_device *device)
{
    return (mock *)(void *)device;
}

static void mock_protect(mock *m, int protection)
{
    for (size_t i = 0; i < m->n_blocks; i++)
        assert_int_equal(mprotect(m->blocks[i].memory, m->blocks[i].size, protection), 0);
}

static void *mock_allocate(gml_device *device, size_t bytes)
{
    mock *m = mock_of(device);
    size_t size = (bytes + MOCK_PAGE - 1) / MOCK_PAGE * MOCK_PAGE;
    assert_true(m->n_blocks < MOCK_MOST);
    char *memory = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    m->blocks[m->n_blocks].memory = memory;
    m->blocks[m->n_blocks++].size = size;
    return memory;
}

static void mock_free(gml_device *device, void *memory)
{
    mock *m = mock_of(device);
    size_t i = 0;
    while (i < m->n_blocks && m->blocks[i].memory != memory)
        i++;
    assert_true(i < m->n_blocks);
    assert_int_equal(munmap(memory, m->blocks[i].size), 0);
    m->blocks[i] = m->blocks[--m->n_blocks];
}

static gml_status mock_move(mock *m, void *to, const void *from, size_t bytes, size_t *count)
{
    mock_protect(m, PROT_READ | PROT_WRITE);
    memcpy(to, from, bytes);
    mock_protect(m, PROT_NONE);
    ++*count;
    return GML_OK;
}

static gml_status mock_put(gml_device *device, void *to, const void *from, size_t bytes,
                           GML_UNUSED gml_diags *diags)
{
    return mock_move(mock_of(device), to, from, bytes, &mock_of(device)->n_puts);
}

static gml_status mock_get(gml_device *device, void *to, const void *from, size_t bytes,
                           GML_UNUSED gml_diags *diags)
{
    return mock_move(mock_of(device), to, from, bytes, &mock_of(device)->n_gets);
}

static gml_status mock_copy(gml_device *device, void *to, const void *from, size_t bytes,
                            GML_UNUSED gml_diags *diags)
{
    return mock_move(mock_of(device), to, from, bytes, &mock_of(device)->n_copies);
}

static gml_status mock_load(gml_device *device, const void *image, size_t size,
                            void **out_module, gml_diags *diags)
{
    mock *m = mock_of(device);
    size_t n = size < sizeof m->image_start ? size : sizeof m->image_start;
    m->n_loads++;
    if (n != 0) {
        memcpy(m->image_start, image, n);
        m->image_end = ((const char *)image)[size - 1];
    }
    if (m->refuses_cubins && n >= 4 && memcmp(image, "\177ELF", 4) == 0)
        return gml_fail(diags, GML_E_DEVICE, (gml_loc){0}, "the image is too new");
    *out_module = NULL;
    return GML_OK;
}

static void mock_unload(GML_UNUSED gml_device *device, GML_UNUSED void *module) {}

static gml_status mock_find(GML_UNUSED gml_device *device, GML_UNUSED void *module,
                            GML_UNUSED gml_device_kernel *kernel, GML_UNUSED gml_diags *diags)
{
    return GML_OK;
}

/* A map is where its memory is, how many elements it has, and zeros. */
static gml_status mock_encode(gml_device *device, const gml_map_layout *layout,
                              const void *memory, void *out_map, gml_diags *diags)
{
    mock *m = mock_of(device);
    int64_t map[GML_MAP_BYTES / 8] = {(int64_t)(uintptr_t)memory + layout->offset, 1};
    if (m->has_no_maps)
        return gml_fail(diags, GML_E_DEVICE, (gml_loc){0}, "no map can be made");
    for (uint32_t d = 0; d < layout->rank; d++)
        map[1] *= layout->extents[d];
    memcpy(out_map, map, sizeof map);
    m->n_encodes++;
    return GML_OK;
}

static gml_status mock_launch(gml_device *device, const gml_device_kernel *kernel,
                              uint32_t blocks, void *const *params, gml_diags *diags)
{
    mock *m = mock_of(device);
    if (++m->n_launches == m->fails_at)
        return gml_fail(diags, GML_E_DEVICE, (gml_loc){0}, "%s does not run", kernel->symbol);
    mock_protect(m, PROT_READ | PROT_WRITE);
    for (uint32_t i = 0; i < blocks * kernel->launch.threads; i++)
        kernel->lane(params);
    mock_protect(m, PROT_NONE);
    return GML_OK;
}

static gml_status mock_graph_make(gml_device *device, const gml_device_call *calls, size_t n,
                                  void **out_handle, gml_diags *diags)
{
    mock *m = mock_of(device);
    if (m->has_no_graph)
        return gml_fail(diags, GML_E_DEVICE, (gml_loc){0}, "no graph can be made");
    mock_graph *graph = malloc(sizeof *graph);
    assert_non_null(graph);
    *graph = (mock_graph){calls, n};
    assert_true(n <= MOCK_MOST);
    for (size_t i = 0; i < n; i++) {
        size_t bytes = calls[i].n_after * sizeof *calls[i].after;
        assert_true(bytes <= sizeof m->waits[i].after);
        m->waits[i].n = calls[i].n_after;
        memcpy(m->waits[i].after, calls[i].after, bytes);
    }
    m->n_graphs++;
    m->n_alive++;
    *out_handle = graph;
    return GML_OK;
}

static bool mock_may_be_next(const mock_graph *graph, size_t call, const bool *is_done)
{
    bool may = !is_done[call];
    for (uint32_t i = 0; i < graph->calls[call].n_after; i++) {
        assert_true(graph->calls[call].after[i] < call);
        may = may && is_done[graph->calls[call].after[i]];
    }
    return may;
}

static gml_status mock_graph_issue(gml_device *device, void *handle, gml_diags *diags)
{
    const mock_graph *graph = handle;
    mock *m = mock_of(device);
    bool is_done[MOCK_MOST] = {false};
    m->n_issues++;
    for (size_t k = 0; k < graph->n; k++) {
        size_t i = m->reverses ? graph->n - 1 : 0;
        while (!mock_may_be_next(graph, i, is_done))
            i += m->reverses ? (size_t)-1 : 1;
        is_done[i] = true;
        m->order[k] = i;
        GML_TRY(mock_launch(device, graph->calls[i].kernel, graph->calls[i].blocks,
                            graph->calls[i].params, diags));
    }
    return GML_OK;
}

static void mock_graph_free(gml_device *device, void *handle)
{
    mock_of(device)->n_alive--;
    free(handle);
}

static gml_status mock_wait(GML_UNUSED gml_device *device, GML_UNUSED gml_diags *diags)
{
    return GML_OK;
}

static gml_status mock_clock_stop(GML_UNUSED gml_device *device, uint64_t *out_nanoseconds,
                                  GML_UNUSED gml_diags *diags)
{
    *out_nanoseconds = 7;
    return GML_OK;
}

static void mock_close(GML_UNUSED gml_device *device) {}

static GML_UNUSED void mock_init(mock *m)
{
    static const gml_device_table table = {
        .close = mock_close,
        .allocate = mock_allocate,
        .free = mock_free,
        .put = mock_put,
        .get = mock_get,
        .copy = mock_copy,
        .load = mock_load,
        .unload = mock_unload,
        .find = mock_find,
        .encode = mock_encode,
        .launch = mock_launch,
        .wait = mock_wait,
        .clock_start = mock_wait,
        .clock_stop = mock_clock_stop,
        .graph_make = mock_graph_make,
        .graph_issue = mock_graph_issue,
        .graph_free = mock_graph_free,
    };
    *m = (mock){
        .device = {
            .table = &table, .kind = "mock", .name = "mock", .most_blocks = 1000, .refs = 1}};
}

/* Everything was given back. */
static GML_UNUSED void mock_end(mock *m)
{
    assert_int_equal(m->n_blocks, 0);
    assert_int_equal(m->n_alive, 0);
    assert_int_equal(m->device.refs, 1);
}

#endif
