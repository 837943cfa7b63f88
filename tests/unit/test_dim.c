/* tests/unit/test_dim.c - base/dim.h: identities, text, and random expressions against plain
 * integers. */
#include "base/dim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    gml_arena arena;
    gml_dim_pool pool;
    gml_dim a, b, c;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    gml_arena_init(&f.arena);
    gml_dim_pool_init(&f.pool, &f.arena);
    f.a = gml_dim_symbol(&f.pool, "a");
    f.b = gml_dim_symbol(&f.pool, "b");
    f.c = gml_dim_symbol(&f.pool, "c");
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    gml_arena_reset(&((fixture *)*state)->arena);
    return 0;
}

static gml_dim read(fixture *f, const char *text)
{
    gml_dim dim = 0;
    const char *at = text;
    if (!gml_dim_parse(&f->pool, &at, &dim) || *at != '\0')
        fail_msg("'%s' is not a size, from '%s' on", text, at);
    return dim;
}

static void expect_text(fixture *f, gml_dim dim, const char *expected)
{
    gml_str str;
    gml_str_init(&str);
    gml_dim_print(&f->pool, dim, &str);
    assert_string_equal(str.text, expected);
    gml_str_reset(&str);
}

static void equal_sizes_are_equal_handles(void **state)
{
    fixture *f = *state;
    static const char *const pairs[][2] = {
        {"(a + b)", "(b + a)"},
        {"(a * b)", "(b * a)"},
        {"(a + 0)", "a"},
        {"(a * 1)", "a"},
        {"(a * 0)", "0"},
        {"(a * 2 + a * 3)", "(a * 5)"},
        {"(a * b * 4 - b * a * 4)", "0"},
        {"((a + 1) * (b + 1))", "(a * b + a + b + 1)"},
        {"(a * 4 / 4)", "a"},
        {"((a * 4 + 3) / 4)", "a"},
        {"((a * 4 + 3) % 4)", "3"},
        {"((a * 6 + b * 4) / 2)", "(a * 3 + b * 2)"},
        {"(a * b * 768 / (a * 768))", "b"},
        {"(a * b * 768 / (a * 12))", "(b * 64)"},
        {"(a * b / (a * 2))", "(b / 2)"},
        {"(a * b * 3 / (a * 2))", "(b + b / 2)"},
        {"((a + 1) * 768 * b / ((a + 1) * b))", "768"},
        {"((a * a - 1) / (a + 1))", "(a - 1)"},
        {"(a / 4 / 8)", "(a / 32)"},
        {"((a / 4 + 3) / 8)", "((a + 12) / 32)"},
        {"(a * 4 / 8)", "(a / 2)"},
        {"((a * 4 + 3) / 8)", "(a / 2)"},
        {"(a * 4 % 8)", "((a % 2) * 4)"},
        {"((a % 8) / 8)", "0"},
        {"((a % 4) % 8)", "(a % 4)"},
        {"(a / -1)", "(a * -1)"},
        {"min(a, a)", "a"},
        {"min(a, a + 1)", "a"},
        {"max(a, a + 1)", "(a + 1)"},
        {"max(a, 0)", "a"},
        {"min(a, -1)", "-1"},
        {"min(b, a)", "min(a, b)"},
        {"max(7, 3)", "7"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (read(f, pairs[i][0]) != read(f, pairs[i][1]))
            fail_msg("%s is not %s", pairs[i][0], pairs[i][1]);
    }
    assert_true(read(f, "(a * 3 / 2)") != read(f, "(a * 2)"));
    assert_true(gml_dim_div(&f->pool, 7, -2) == -4);
    assert_true(gml_dim_mod(&f->pool, -7, 2) == 1);
    assert_true(gml_dim_ceil_div(&f->pool, 7, 2) == 4);
    assert_true(gml_dim_ceil_div(&f->pool, -7, 2) == -3);
    assert_true(gml_dim_ceil_div(&f->pool, 7, -2) == -3);
    assert_true(gml_dim_ceil_div(&f->pool, read(f, "(a * 6)"), 3) == read(f, "(a * 2)"));
}

static void what_has_no_value_is_a_fresh_symbol(void **state)
{
    fixture *f = *state;
    gml_dim big = GML_DIM_LIMIT - 1;
    gml_dim results[] = {
        gml_dim_div(&f->pool, f->a, 0),
        gml_dim_div(&f->pool, 5, 0),
        gml_dim_mod(&f->pool, f->a, 0),
        gml_dim_ceil_div(&f->pool, 1, 0),
        gml_dim_mul(&f->pool, big, 2),
        gml_dim_add(&f->pool, big, 1),
        gml_dim_sub(&f->pool, -big, 1),
        gml_dim_mul(&f->pool, gml_dim_mul(&f->pool, f->a, big), 3),
        gml_dim_fresh(&f->pool, "d"),
        gml_dim_fresh(&f->pool, "d"),
    };
    size_t count = sizeof(results) / sizeof(results[0]);
    for (size_t i = 0; i < count; i++) {
        assert_false(gml_dim_is_const(results[i]));
        assert_int_equal(f->pool.exprs.items[gml_dim_index(results[i])].op, GML_DIM_SYMBOL);
        for (size_t j = 0; j < i; j++)
            assert_true(results[i] != results[j]);
    }
    assert_true(gml_dim_mul(&f->pool, big, 0) == 0);
}

static void text_reads_back(void **state)
{
    fixture *f = *state;
    static const char *const texts[] = {
        "0",
        "-12",
        "2305843009213693951",
        "a",
        "(a * 2)",
        "(a * b * 2 + c - 1)",
        "(b * -1 + 3)",
        "(a * b - c * 2 - 7)",
        "(a / 2)",
        "((a + b) / 2)",
        "(b + (a / 2) * 3)",
        "(a / (b + c))",
        "((a % 3) * 4)",
        "min(a, b * 2 + 1)",
        "max(c - 4, min(a, b))",
        "\"batch size\"",
        "(\"min\" * 2)",
        "(\"a \\\"b\\\\\" + 1)",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        expect_text(f, read(f, texts[i]), texts[i]);
    assert_true(read(f, "?") != read(f, "?"));
    static const char *const broken[] = {
        "",
        "(",
        "(a",
        "(a +)",
        "min(a)",
        "min(a, b",
        "\"a",
        "\"a\\q\"",
        "2305843009213693952",
        "99999999999999999999999",
        "-",
        "(a b)",
        "*",
        "\"a\\x00b\"",
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        gml_dim dim;
        const char *at = broken[i];
        if (gml_dim_parse(&f->pool, &at, &dim))
            fail_msg("'%s' passes for a size", broken[i]);
    }
    char deep[4097];
    memset(deep, '(', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    const char *at = deep;
    gml_dim dim;
    assert_false(gml_dim_parse(&f->pool, &at, &dim));
}

/* The order of terms does not depend on which symbol came first. */
static void text_is_the_same_in_every_pool(void **state)
{
    fixture *f = *state;
    gml_dim_pool other;
    gml_dim_pool_init(&other, &f->arena);
    gml_dim sum = gml_dim_add(&other, gml_dim_symbol(&other, "b"), gml_dim_symbol(&other, "a"));
    gml_str str;
    gml_str_init(&str);
    gml_dim_print(&other, sum, &str);
    assert_string_equal(str.text, "(a + b)");
    gml_str_reset(&str);
}

static void evaluation(void **state)
{
    fixture *f = *state;
    gml_dim dim = read(f, "(a * b + (c / 2) - min(a, c))");
    int64_t values[256] = {0};
    int64_t value;
    values[gml_dim_index(f->a)] = 3;
    values[gml_dim_index(f->b)] = 5;
    values[gml_dim_index(f->c)] = 9;
    assert_true(gml_dim_eval(&f->pool, dim, values, &value));
    assert_int_equal(value, 16);
    values[gml_dim_index(f->a)] = INT64_MAX / 2;
    assert_false(gml_dim_eval(&f->pool, dim, values, &value));
    values[gml_dim_index(f->b)] = 0;
    assert_false(gml_dim_eval(&f->pool, read(f, "(c / b)"), values, &value));
    assert_false(gml_dim_eval(&f->pool, read(f, "(c % b)"), values, &value));
}

/* ---- Random expressions ----------------------------------------------------------------- */

#define GML_N_VALUES 5 /* the symbols' values of each trial */

typedef struct trial {
    gml_dim dim;
    int64_t values[GML_N_VALUES];
    bool valid[GML_N_VALUES]; /* no division by 0 on the way */
} trial;

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t apply(gml_dim_op op, int64_t a, int64_t b)
{
    switch (op) {
    case GML_DIM_SYMBOL: return a;
    case GML_DIM_ADD: return a + b;
    case GML_DIM_MUL: return a * b;
    case GML_DIM_DIV: return floor_div(a, b);
    case GML_DIM_MOD: return a - floor_div(a, b) * b;
    case GML_DIM_MIN: return a < b ? a : b;
    case GML_DIM_MAX: return a > b ? a : b;
    }
    return 0;
}

static gml_dim apply_dim(gml_dim_pool *pool, gml_dim_op op, gml_dim a, gml_dim b)
{
    switch (op) {
    case GML_DIM_SYMBOL: return a;
    case GML_DIM_ADD: return gml_dim_add(pool, a, b);
    case GML_DIM_MUL: return gml_dim_mul(pool, a, b);
    case GML_DIM_DIV: return gml_dim_div(pool, a, b);
    case GML_DIM_MOD: return gml_dim_mod(pool, a, b);
    case GML_DIM_MIN: return gml_dim_min(pool, a, b);
    case GML_DIM_MAX: return gml_dim_max(pool, a, b);
    }
    return 0;
}

static trial combine(gml_dim_pool *pool, gml_dim_op op, const trial *x, const trial *y)
{
    trial out = {.dim = apply_dim(pool, op, x->dim, y->dim)};
    bool divides = op == GML_DIM_DIV || op == GML_DIM_MOD;
    for (int i = 0; i < GML_N_VALUES; i++) {
        out.valid[i] = x->valid[i] && y->valid[i] && !(divides && y->values[i] == 0);
        if (out.valid[i])
            out.values[i] = apply(op, x->values[i], y->values[i]);
    }
    return out;
}

static void leaf(fixture *f, uint64_t *seed, const int64_t symbols[3][GML_N_VALUES], trial *out)
{
    uint64_t choice = next_random(seed) % 5;
    int64_t constant = (int64_t)(next_random(seed) % 9) - 2;
    gml_dim dims[3] = {f->a, f->b, f->c};
    out->dim = choice < 3 ? dims[choice] : constant;
    for (int i = 0; i < GML_N_VALUES; i++) {
        out->values[i] = choice < 3 ? symbols[choice][i] : constant;
        out->valid[i] = true;
    }
}

/* A result that took a fresh symbol cannot be evaluated here. */
static bool has_fresh(const gml_dim_pool *pool, gml_dim dim)
{
    if (gml_dim_is_const(dim))
        return false;
    const gml_dim_expr *expr = &pool->exprs.items[gml_dim_index(dim)];
    if (expr->op == GML_DIM_SYMBOL)
        return strlen(expr->name) != 1;
    return has_fresh(pool, expr->a) || has_fresh(pool, expr->b);
}

static void check_trial(fixture *f, const trial *t, const int64_t symbols[3][GML_N_VALUES])
{
    gml_str str;
    gml_str_init(&str);
    gml_dim_print(&f->pool, t->dim, &str);
    if (read(f, str.text) != t->dim)
        fail_msg("%s reads back as another size", str.text);
    for (int i = 0; i < GML_N_VALUES && !has_fresh(&f->pool, t->dim); i++) {
        int64_t values[3] = {symbols[0][i], symbols[1][i], symbols[2][i]};
        int64_t value = 0;
        if (!t->valid[i])
            continue;
        if (!gml_dim_eval(&f->pool, t->dim, values, &value) || value != t->values[i])
            fail_msg("%s is %lld where it should be %lld", str.text, (long long)value,
                     (long long)t->values[i]);
    }
    gml_str_reset(&str);
}

/* Whatever the simplifier does, the value is that of the arithmetic written. */
static void random_expressions_keep_their_value(void **state)
{
    fixture *f = *state;
    static const int64_t symbols[3][GML_N_VALUES] = {
        {1, 3, 0, 8, 197}, {2, 1, 5, 12, 64}, {7, 2, 4, 1, 0}};
    static const gml_dim_op ops[] = {GML_DIM_ADD, GML_DIM_ADD, GML_DIM_MUL,
                                     GML_DIM_MUL, GML_DIM_DIV, GML_DIM_DIV,
                                     GML_DIM_MOD, GML_DIM_MIN, GML_DIM_MAX};
    uint64_t seed = 1;
    for (int round = 0; round < 4000; round++) {
        trial stack[5];
        int n = 1 + (int)(next_random(&seed) % 5);
        for (int i = 0; i < n; i++)
            leaf(f, &seed, symbols, &stack[i]);
        while (n > 1) {
            int at = (int)(next_random(&seed) % (uint64_t)(n - 1));
            gml_dim_op op = ops[next_random(&seed) % (sizeof(ops) / sizeof(ops[0]))];
            stack[at] = combine(&f->pool, op, &stack[at], &stack[at + 1]);
            memmove(&stack[at + 1], &stack[at + 2], (size_t)(n - at - 2) * sizeof(trial));
            n--;
        }
        check_trial(f, &stack[0], symbols);
    }
}

/* Growth without end stops at a fresh symbol; nothing recurses deeply or takes long. */
static void large_expressions_are_given_up(void **state)
{
    fixture *f = *state;
    gml_dim nested = f->a;
    gml_dim power = read(f, "(a + b + c + 1)");
    for (int i = 0; i < 1000; i++) {
        nested = gml_dim_max(&f->pool, gml_dim_div(&f->pool, nested, f->b),
                             gml_dim_mod(&f->pool, nested, f->c));
        power = gml_dim_mul(&f->pool, power, power);
    }
    assert_true(f->pool.exprs.items[gml_dim_index(nested)].size <= 256);
    assert_true(f->pool.exprs.items[gml_dim_index(power)].size <= 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_sizes_are_equal_handles, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_no_value_is_a_fresh_symbol, set_up, tear_down),
        cmocka_unit_test_setup_teardown(text_reads_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(text_is_the_same_in_every_pool, set_up, tear_down),
        cmocka_unit_test_setup_teardown(evaluation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_expressions_keep_their_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_expressions_are_given_up, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
