/* tests/unit/test_depends.c - which calls wait for which: each kind of wait, and any number of
 * calls against all pairs of them. */
#define _POSIX_C_SOURCE 200809L
#include "runtime/depends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define READ(start, end)  ((gml_range){start, end, false})
#define WRITE(start, end) ((gml_range){start, end, true})

/* Adds a call that touches up to three ranges; it must wait for `right`, falling numbers. */
static void expect(gml_depends *d, const char *right, size_t n, const gml_range *ranges)
{
    char got[256] = "";
    uint32_t count = 0;
    const uint32_t *after = gml_depends_add(d, ranges, n, &count);
    for (uint32_t i = 0; i < count; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), i == 0 ? "%u" : " %u", after[i]);
    assert_string_equal(got, right);
}

#define EXPECT(d, right, ...)                                                                  \
    expect(d, right, sizeof((gml_range[]){__VA_ARGS__}) / sizeof(gml_range),                   \
           (gml_range[]){__VA_ARGS__})

static void each_kind_of_wait(void **state)
{
    (void)state;
    gml_depends d;
    gml_depends_init(&d);
    EXPECT(&d, "", WRITE(0, 10));
    EXPECT(&d, "0", READ(9, 12));    /* what was written */
    EXPECT(&d, "0", READ(0, 9));     /* beside another reader */
    EXPECT(&d, "1", WRITE(10, 11));  /* over what is read, and nobody wrote */
    EXPECT(&d, "2 1", WRITE(0, 10)); /* over what is read; 0 is before both */
    EXPECT(&d, "4", WRITE(5, 6));    /* over what was written */
    EXPECT(&d, "", READ(20, 30));    /* nothing */
    EXPECT(&d, "", READ(20, 30));    /* readers alone */
    EXPECT(&d, "", WRITE(30, 40));   /* the byte behind */
    EXPECT(&d, "8", READ(39, 40));
    EXPECT(&d, "", WRITE(15, 15)); /* nothing at all */
    gml_depends_reset(&d);
}

/* A chain has one wait a call, whatever else is in between. */
static void a_chain_stays_one(void **state)
{
    (void)state;
    gml_depends d;
    gml_depends_init(&d);
    EXPECT(&d, "", WRITE(0, 10), READ(90, 100));
    EXPECT(&d, "0", READ(0, 10), WRITE(10, 20), READ(90, 100));
    EXPECT(&d, "1", READ(10, 20), READ(0, 10), WRITE(20, 30));
    EXPECT(&d, "2", READ(0, 30), WRITE(0, 30));
    EXPECT(&d, "3", READ(10, 20), WRITE(10, 20));
    gml_depends_reset(&d);
}

static void what_is_not_known_parts_the_rest(void **state)
{
    (void)state;
    gml_depends d;
    gml_depends_init(&d);
    EXPECT(&d, "", WRITE(0, 10));
    EXPECT(&d, "", READ(50, 60));
    EXPECT(&d, "1 0", GML_EVERYWHERE);
    EXPECT(&d, "2", READ(50, 60));
    EXPECT(&d, "2", WRITE(100, 110));
    EXPECT(&d, "4 3", GML_EVERYWHERE);
    EXPECT(&d, "5", GML_EVERYWHERE);
    gml_depends_reset(&d);
}

/* ---- against all pairs --------------------------------------------------------------------
 */

enum { CALLS = 60, RANGES = 4, BYTES = 64 };

typedef struct call {
    gml_range ranges[RANGES];
    size_t n;
    bool before[CALLS]; /* that this one comes after, directly or not */
} call;

static uint64_t seed;

static unsigned draw(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % n;
}

static void draw_call(call *c, unsigned longest)
{
    *c = (call){.n = draw(RANGES + 1)};
    for (size_t i = 0; i < c->n; i++) {
        uint64_t start = draw(BYTES);
        c->ranges[i] = (gml_range){start, start + draw(longest), draw(3) == 0};
    }
}

static bool must_wait(const call *a, const call *b)
{
    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; k < b->n; k++) {
            const gml_range *x = &a->ranges[i];
            const gml_range *y = &b->ranges[k];
            if ((x->is_written || y->is_written) && x->start < x->end && y->start < y->end &&
                x->start < y->end && y->start < x->end)
                return true;
        }
    return false;
}

static void wait_for(call *calls, int later, uint32_t earlier)
{
    calls[later].before[earlier] = true;
    for (int i = 0; i < CALLS; i++)
        calls[later].before[i] = calls[later].before[i] || calls[earlier].before[i];
}

static void random_calls_wait_as_they_must(void **state)
{
    (void)state;
    for (seed = 0; seed < 2000;) {
        call calls[CALLS];
        gml_depends d;
        uint64_t kept = seed;
        unsigned longest = 2 + (unsigned)seed % 30;
        gml_depends_init(&d);
        for (int i = 0; i < CALLS; i++) {
            uint32_t n = 0;
            draw_call(&calls[i], longest);
            const uint32_t *after = gml_depends_add(&d, calls[i].ranges, calls[i].n, &n);
            call right = {0};
            for (int k = 0; k < i; k++)
                for (int j = 0; must_wait(&calls[k], &calls[i]) && j < CALLS; j++)
                    right.before[j] = right.before[j] || j == k || calls[k].before[j];
            for (uint32_t k = 0; k < n; k++) {
                assert_true(k == 0 || after[k] < after[k - 1]);
                assert_false(calls[i].before[after[k]]); /* others imply it */
                assert_true(must_wait(&calls[after[k]], &calls[i]));
                wait_for(calls, i, after[k]);
            }
            assert_memory_equal(calls[i].before, right.before, sizeof right.before);
        }
        gml_depends_reset(&d);
        seed = kept + 1;
    }
}

/* ---- as large as a training step ----------------------------------------------------------
 */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Layers forth and back, two calls each beside the other, weights of their own, and a call that
 * changes all weights. */
static void a_step_takes_little_time(void **state)
{
    (void)state;
    enum { LAYERS = 750, WIDE = 4 };
    static gml_range all[2 * LAYERS * WIDE];
    gml_depends d;
    uint32_t n = 0;
    size_t n_after = 0;
    double start = now();
    gml_depends_init(&d);
    for (uint64_t i = 0; i < (uint64_t)LAYERS * 2; i++) {
        uint64_t layer = i < LAYERS ? i : (uint64_t)LAYERS * 2 - 1 - i;
        uint64_t weights = 1000000 + layer * WIDE * 100;
        gml_range ranges[] = {
            READ(i * 100, i * 100 + 100), READ(layer * 100, layer * 100 + 100),
            WRITE(i * 100 + 100, i * 100 + 200), READ(weights, weights + 400)};
        (void)gml_depends_add(&d, ranges, 4, &n);
        n_after += n;
    }
    for (uint64_t i = 0; i < (uint64_t)LAYERS * WIDE; i++) {
        all[2 * i] = READ(1000000 + i * 100, 1000100 + i * 100);
        all[2 * i + 1] = WRITE(1000000 + i * 100, 1000100 + i * 100);
    }
    (void)gml_depends_add(&d, all, 2 * (size_t)LAYERS * WIDE, &n);
    double seconds = now() - start;
    print_message("%d calls, %zu waits: %.2f ms\n", 2 * LAYERS + 1, n_after + n, seconds * 1e3);
    assert_int_equal(n_after, 2 * LAYERS - 1);
    assert_int_equal(n, 1);
    assert_true(seconds < 2); /* sanitizers and other work included */
    gml_depends_reset(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_wait),
        cmocka_unit_test(a_chain_stays_one),
        cmocka_unit_test(what_is_not_known_parts_the_rest),
        cmocka_unit_test(random_calls_wait_as_they_must),
        cmocka_unit_test(a_step_takes_little_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
