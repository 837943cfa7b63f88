/* tests/unit/test_open_sizes.c - programs with open sizes, run with sizes that do not fit.
 *
 * Every graph is compiled once for its symbols, and run with every combination of small values
 * for them. The interpreter, which looks at the sizes of that run, says what is right: a
 * program may refuse what the interpreter computes only where a size of 1 would have to be
 * repeated, or where a 0 in a shape stands for another size, and never gives anything else.
 * Inputs lie against a page that cannot be read, once with their end and once with their
 * beginning, because a sanitizer does not see what generated code does.
 */
#define _GNU_SOURCE

#include "api/execute.h"
#include "api/pipeline.h"
#include "ir/text.h"
#include "open_cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define GML_MAX_SYMBOLS 4
#define GML_MAX_INPUTS  7

/* ---- inputs ----------------------------------------------------------------------------- */

/* Pages of which the first and the last cannot be touched. */
typedef struct guarded {
    char *pages;
    size_t page;
} guarded;

static guarded create_guarded(void)
{
    guarded g = {.page = (size_t)sysconf(_SC_PAGESIZE)};
    g.pages =
        mmap(NULL, 6 * g.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(g.pages, MAP_FAILED);
    assert_int_equal(mprotect(g.pages, g.page, PROT_NONE), 0);
    assert_int_equal(mprotect(g.pages + 5 * g.page, g.page, PROT_NONE), 0);
    return g;
}

static void fill(const gml_tensor *tensor, int seed)
{
    int64_t n = gml_tensor_numel(tensor);
    size_t size = gml_dtype_size(tensor->dtype);
    for (int64_t i = 0; i < n; i++) {
        char *at = (char *)tensor->data + (size_t)i * size;
        int number = (int)(i * 2 + seed) % 3;
        float f = (float)number;
        int64_t index = 0;
        if (tensor->dtype == GML_F32)
            memcpy(at, &f, size);
        else if (tensor->dtype == GML_I64)
            memcpy(at, &index, size);
        else
            *at = (char)(tensor->dtype == GML_BOOL ? (i + seed) % 2 == 0 : number);
    }
}

/* A run: the values of the symbols, and inputs of those sizes. */
typedef struct run {
    const open_case *c;
    const int64_t *values; /* by number in the module's pool */
    guarded *room;         /* one an input */
    gml_rvalue inputs[GML_MAX_INPUTS];
    size_t n_inputs;
    unsigned n_faults;
    bool copies; /* a size in a shape is 0 */
} run;

static void make_inputs(run *r, const gml_module *module, int seed)
{
    const gml_graph *graph = module->main;
    r->n_inputs = graph->n_params;
    r->copies = false;
    for (uint32_t i = 0; i < graph->n_params; i++) {
        const gml_type *type = &graph->params[i]->type;
        size_t bytes = 0;
        gml_tensor tensor = {.dtype = type->dtype, .rank = type->rank};
        for (int d = 0; d < type->rank; d++) {
            assert_true(gml_dim_eval(&module->dims, type->dims[d], r->values, &tensor.dims[d]));
            r->copies |= r->c->sizes == shape_sizes && tensor.dims[d] == 0;
        }
        assert_true(gml_tensor_bytes(&tensor, &bytes));
        assert_true(bytes <= 4 * r->room[i].page);
        tensor.data = seed % 2 == 0 ? r->room[i].pages + 5 * r->room[i].page - bytes
                                    : r->room[i].pages + r->room[i].page;
        fill(&tensor, seed);
        r->inputs[i] = (gml_rvalue){.kind = GML_RVALUE_TENSOR, .tensor = tensor};
    }
}

/* ---- modules ---------------------------------------------------------------------------- */

/* NULL when what is known of the sizes does not fit. */
static gml_module *parse(const open_case *c, gml_diags *diags)
{
    gml_module *module = NULL;
    gml_str text;
    gml_str_init(&text);
    gml_str_puts(&text, "graph @f(");
    unsigned i = 0;
    for (const char *at = c->params; *at != '\0'; i++) {
        size_t len = strcspn(at, " ");
        gml_str_printf(&text, "%s%%%c: %.*s", i > 0 ? ", " : "", (char)('a' + i), (int)len, at);
        at += len + (at[len] == ' ');
    }
    gml_str_printf(&text, ") {\n%s\nreturn %%y\n}\n", c->body);
    gml_status status = gml_text_parse(text.text, text.len, "open.gir", diags, &module);
    gml_str_reset(&text);
    return status == GML_OK ? module : NULL;
}

/* What the interpreter says of sizes that all are known. */
static gml_status interpret(const run *r, gml_rvalue *out, gml_diags *diags)
{
    gml_execute_options options = {.device = GML_DEVICE_REF};
    gml_diags ignored;
    gml_diags_init(&ignored, diags->arena);
    gml_module *module = parse(r->c, &ignored);
    return gml_execute(module, r->inputs, out, &options, diags);
}

static bool near(const gml_tensor *a, const gml_tensor *b)
{
    int64_t n = gml_tensor_numel(a);
    if (a->dtype != b->dtype || a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank; d++)
        if (a->dims[d] != b->dims[d])
            return false;
    if (a->dtype != GML_F32)
        return n == 0 || memcmp(a->data, b->data, (size_t)n * gml_dtype_size(a->dtype)) == 0;
    for (int64_t i = 0; i < n; i++) {
        float x = ((const float *)a->data)[i];
        float y = ((const float *)b->data)[i];
        if (x != y && !(fabsf(x - y) <= 1e-5F * (1 + fabsf(y))) && !(isnan(x) && isnan(y)))
            return false;
    }
    return true;
}

static void describe(run *r, const char *what, const char *message)
{
    print_error("%s of %s with", what, r->c->body);
    for (size_t i = 0; i < r->n_inputs; i++) {
        print_error(" [");
        for (int d = 0; d < r->inputs[i].tensor.rank; d++)
            print_error(" %lld", (long long)r->inputs[i].tensor.dims[d]);
        print_error(" ]");
    }
    print_error(": %s\n", message);
    r->n_faults++;
}

/* True when the program has run. */
static bool compare(run *r, gml_instance *instance)
{
    gml_arena arena;
    gml_diags diags;
    gml_diags wrong;
    gml_rvalue ours = {0};
    gml_rvalue theirs = {0};
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    gml_diags_init(&wrong, &arena);
    gml_status status = gml_instance_run(instance, r->inputs, r->n_inputs, &ours, 1, &diags);
    gml_status right = interpret(r, &theirs, &wrong);
    if (status == GML_OK && right != GML_OK)
        describe(r, "a run", gml_diags_print(&wrong));
    if (status == GML_OK && !near(&ours.tensor, &theirs.tensor))
        describe(r, "another result", "");
    bool may_refuse =
        r->copies || strstr(gml_diags_print(&diags), "a size of 1 is repeated only");
    if (status != GML_OK && right == GML_OK && !may_refuse)
        describe(r, "a refusal", gml_diags_print(&diags));
    assert_int_not_equal(status, GML_E_INTERNAL);
    gml_rvalue_reset(&ours);
    gml_rvalue_reset(&theirs);
    gml_arena_reset(&arena);
    return status == GML_OK;
}

/* ---- tests ------------------------------------------------------------------------------ */

/* The next combination of sizes; false after the last. */
static bool advance(const int64_t *sizes, size_t *places, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (sizes[++places[i]] >= 0)
            return true;
        places[i] = 0;
    }
    return false;
}

/* Numbers of the symbols in the types of the inputs; returns how many. */
static size_t find_symbols(const gml_graph *graph, size_t *out_symbols)
{
    size_t n = 0;
    for (uint32_t i = 0; i < graph->n_params; i++) {
        const gml_type *type = &graph->params[i]->type;
        for (int d = 0; d < type->rank; d++) {
            bool is_new = !gml_dim_is_const(type->dims[d]);
            for (size_t s = 0; s < n; s++)
                is_new = is_new && out_symbols[s] != gml_dim_index(type->dims[d]);
            if (!is_new)
                continue;
            assert_true(n < GML_MAX_SYMBOLS);
            out_symbols[n++] = gml_dim_index(type->dims[d]);
        }
    }
    return n;
}

/* All sizes, inputs at both ends of their rooms; false when none of them fit. */
static bool run_sizes(run *r, const gml_module *module, gml_instance *instance, int64_t *values)
{
    size_t symbols[GML_MAX_SYMBOLS];
    size_t places[GML_MAX_SYMBOLS] = {0};
    size_t n_symbols = find_symbols(module->main, symbols);
    bool has_run = false;
    do {
        for (size_t s = 0; s < n_symbols; s++)
            values[symbols[s]] = r->c->sizes[places[s]];
        for (int seed = 0; seed < 2; seed++) {
            make_inputs(r, module, seed);
            has_run |= compare(r, instance);
        }
    } while (r->n_faults == 0 && advance(r->c->sizes, places, n_symbols));
    return has_run;
}

/* Returns the number of faults; `*n_run` counts graphs that have run. */
static unsigned run_case(const open_case *c, guarded *rooms, unsigned *n_run)
{
    gml_arena arena;
    gml_diags diags;
    gml_program *program = NULL;
    gml_instance *instance = NULL;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    run r = {.c = c, .room = rooms};
    gml_compile_options options = {.target.fast_compile = true};
    gml_module *module = parse(c, &diags);
    gml_module *copy = module != NULL ? parse(c, &diags) : NULL;
    if (copy != NULL && gml_compile(copy, &options, &program, &diags) == GML_OK) {
        int64_t *values = gml_new_array(&arena, int64_t, module->dims.exprs.count + 1);
        r.values = values;
        assert_int_equal(gml_instance_create(program, NULL, &instance, &diags), GML_OK);
        *n_run += run_sizes(&r, module, instance, values);
        gml_instance_destroy(instance);
        gml_program_release(program);
    }
    if (module != NULL)
        gml_module_destroy(module);
    gml_arena_reset(&arena);
    return r.n_faults;
}

static void create_rooms(guarded *out_rooms)
{
    for (size_t i = 0; i < GML_MAX_INPUTS; i++)
        out_rooms[i] = create_guarded();
}

static void destroy_rooms(guarded *rooms)
{
    for (size_t i = 0; i < GML_MAX_INPUTS; i++)
        munmap(rooms[i].pages, 6 * rooms[i].page);
}

static void sizes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    guarded rooms[GML_MAX_INPUTS];
    unsigned n_faults = 0;
    unsigned n_run = 0;
    create_rooms(rooms);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        n_faults += run_case(&cases[i], rooms, &n_run);
    destroy_rooms(rooms);
    assert_int_equal(n_faults, 0);
    assert_int_equal(n_run, sizeof cases / sizeof *cases); /* for each some sizes fit */
}

/* ---- graphs by chance ------------------------------------------------------------------- */

#define GML_RANDOM_GRAPHS 120

static unsigned draw(uint64_t *state, unsigned n)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(*state >> 33) % n;
}

/* "%a, %t1": operands among the three inputs and the `n` results so far. */
static void put_operands(gml_str *out, uint64_t *state, unsigned n, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned k = draw(state, n + 3);
        gml_str_puts(out, i > 0 ? ", " : "");
        if (k < 3)
            gml_str_printf(out, "%%%c", (char)('a' + k));
        else
            gml_str_printf(out, "%%t%u", k - 3);
    }
}

/* Every value is a matrix of whole numbers: nothing depends on the order of sums. */
static void put_node(gml_str *out, uint64_t *state, unsigned n)
{
    static const struct {
        const char *before; /* makes %c#, which the operator uses last */
        const char *op;
        unsigned n_operands;
        const char *after;
    } ops[] = {
        {"", "Add", 2, ")"},
        {"", "Mul", 2, ")"},
        {"", "Max", 3, ")"},
        {"", "Concat", 2, ") {axis = 0}"},
        {"", "Concat", 3, ") {axis = 1}"},
        {"", "MatMul", 2, ")"},
        {"", "Gemm", 3, ")"},
        {"", "Transpose", 1, ") {perm = [1, 0]}"},
        {"", "Relu", 1, ")"},
        {"", "Sub", 2, ")"},
        {"Constant {value = [1]} : i64[1]", "ReduceSum", 1, ", %c#) {keepdims = 1}"},
        {"Constant {value = [2, -1]} : i64[2]", "Reshape", 1, ", %c#)"},
        {"Constant {value = [-1, 2]} : i64[2]", "Reshape", 1, ", %c#)"},
        {"Constant {value = [1, 0]} : i64[2]", "Gather", 1, ", %c#)"},
        {"Constant {value = [0, 1, -1, 0]} : i64[4]", "Pad", 1, ", %c#)"},
    };
    unsigned k = draw(state, sizeof ops / sizeof *ops);
    if (*ops[k].before != '\0')
        gml_str_printf(out, "%%c%u = %s\n", n, ops[k].before);
    gml_str_printf(out, "%%t%u = %s(", n, ops[k].op);
    put_operands(out, state, n, ops[k].n_operands);
    for (const char *at = ops[k].after; *at != '\0'; at++) {
        if (*at == '#')
            gml_str_printf(out, "%u", n);
        else
            gml_str_putc(out, *at);
    }
    gml_str_putc(out, '\n');
}

/* Every node counts: the last one and the sums of all. */
static void put_result(gml_str *out, unsigned n_nodes)
{
    gml_str_printf(out, "%%axes = Constant {value = [0, 1]} : i64[2]\n%%y0 = Neg(%%t%u)\n",
                   n_nodes - 1);
    for (unsigned n = 0; n < n_nodes; n++)
        gml_str_printf(out,
                       "%%s%u = ReduceSum(%%t%u, %%axes) {keepdims = 1}\n"
                       "%%y%u = Add(%%y%u, %%s%u)\n",
                       n, n, n + 1, n, n);
    gml_str_printf(out, "%%y = Identity(%%y%u)", n_nodes);
}

static void put_params(gml_str *out, uint64_t *state)
{
    static const char *const sizes[] = {"n", "m", "n", "m", "2", "3", "1"};
    for (unsigned i = 0; i < 3; i++)
        gml_str_printf(out, "%sf32[%s,%s]", i > 0 ? " " : "", sizes[draw(state, 7)],
                       sizes[draw(state, 7)]);
}

static void graphs_by_chance_stay_inside(void **state)
{
    (void)state;
    guarded rooms[GML_MAX_INPUTS];
    unsigned n_faults = 0;
    unsigned n_graphs = 0;
    uint64_t chance = 7;
    create_rooms(rooms);
    for (unsigned i = 0; i < GML_RANDOM_GRAPHS; i++) {
        gml_str params;
        gml_str body;
        unsigned n_nodes = 1 + draw(&chance, 4);
        gml_str_init(&params);
        gml_str_init(&body);
        put_params(&params, &chance);
        for (unsigned n = 0; n < n_nodes; n++)
            put_node(&body, &chance, n);
        put_result(&body, n_nodes);
        open_case c = {params.text, body.text, usual_sizes};
        n_faults += run_case(&c, rooms, &n_graphs);
        gml_str_reset(&params);
        gml_str_reset(&body);
    }
    destroy_rooms(rooms);
    assert_int_equal(n_faults, 0);
    assert_true(n_graphs > GML_RANDOM_GRAPHS / 3); /* the others never fit */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_do_not_fit_are_refused),
        cmocka_unit_test(graphs_by_chance_stay_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
