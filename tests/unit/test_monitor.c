/* Eigenvalues and the numbers of the collapse monitor, against formulas. */
#include "api/monitor.h"
#include "api/nonfinite.h"
#include "base/eigen.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST 64

static const double pi = 3.14159265358979323846;

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static void check_spectrum(const double *a, int64_t n, const double *expected)
{
    static double copy[MOST * MOST];
    static double work[2 * MOST];
    memcpy(copy, a, (size_t)(n * n) * sizeof *a);
    assert_true(gml_symmetric_eigenvalues(copy, n, work));
    qsort(work + n, (size_t)n, sizeof *work, compare_doubles);
    for (int64_t i = 0; i < n; i++)
        assert_true(fabs(work[n + i] - expected[i]) < 1e-12 * (double)n);
}

/* H diag(d) H for the reflection H = 1 - 2 u u': full, with the eigenvalues d. */
static void reflected_diagonals_keep_their_values(void **state)
{
    (void)state;
    static double a[MOST * MOST];
    double d[MOST];
    double u[MOST];
    for (int64_t n = 1; n <= MOST; n += n < 8 ? 1 : 19) {
        double length = 0;
        for (int64_t i = 0; i < n; i++) {
            d[i] = i % 3 == 0 ? (double)i : (double)(i - i % 3); /* some are equal */
            u[i] = 1 + (double)(i * 7 % 5);
            length += u[i] * u[i];
        }
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < n; j++) {
                a[i * n + j] = 0;
                for (int64_t k = 0; k < n; k++)
                    a[i * n + j] += ((i == k) - 2 * u[i] * u[k] / length) * d[k] *
                                    ((k == j) - 2 * u[k] * u[j] / length);
            }
        check_spectrum(a, n, d);
    }
}

/* Second differences: 2 - 2 cos(k pi / (n + 1)). */
static void tridiagonal_matrices_have_theirs(void **state)
{
    (void)state;
    static double a[MOST * MOST];
    double expected[MOST];
    memset(a, 0, sizeof a);
    for (int64_t i = 0; i < MOST; i++) {
        a[i * MOST + i] = 2;
        if (i > 0)
            a[i * MOST + i - 1] = a[(i - 1) * MOST + i] = -1;
        expected[i] = 2 - 2 * cos((double)(i + 1) * pi / (MOST + 1));
    }
    check_spectrum(a, MOST, expected);
}

static void no_numbers_are_no_matrix(void **state)
{
    (void)state;
    double a[9] = {1, NAN, 0, NAN, 2, NAN, 0, NAN, 3};
    double work[6];
    assert_false(gml_symmetric_eigenvalues(a, 3, work));
}

static gml_monitor look_at(const float *rows, int64_t images, int64_t n, int64_t width)
{
    gml_monitor seen;
    gml_tensor target = {.dtype = GML_F32, .rank = 3, .dims = {images, n, width}};
    union {
        const float *from;
        void *to;
    } data = {.from = rows};
    target.data = data.to;
    assert_int_equal(gml_monitor_targets(&target, &seen), GML_OK);
    return seen;
}

#define ROW_A +1, +1, -1, -1
#define ROW_B +1, -1, +1, -1
#define ROW_C +1, -1, -1, +1

static void assert_near(double got, double expected)
{
    assert_true(fabs(got - expected) < 1e-4);
}

/* Rows of zero mean and variance 1 are their own LayerNorm. */
static void ranks_cosines_and_shares_are_theirs(void **state)
{
    (void)state;
    const float same[] = {ROW_A, ROW_A, ROW_A, ROW_A};
    gml_monitor seen = look_at(same, 2, 2, 4);
    assert_near(seen.effective_rank, 1);
    assert_near(seen.mean_cosine, 1);

    const float one_an_image[] = {ROW_A, ROW_A, ROW_B, ROW_B, ROW_C, ROW_C};
    seen = look_at(one_an_image, 3, 2, 4);
    assert_near(seen.effective_rank, 3);
    assert_near(seen.mean_cosine, 3.0 / 15); /* of 15 pairs 3 are equal, 12 orthogonal */
    assert_near(seen.between_images, 1);

    const float all_in_each[] = {ROW_A, ROW_B, ROW_C, ROW_A, ROW_B, ROW_C};
    seen = look_at(all_in_each, 2, 3, 4);
    assert_near(seen.effective_rank, 3);
    assert_near(seen.between_images, 0);

    /* Shares 2/3 and 1/3 of the trace. */
    const float uneven[] = {ROW_A, ROW_A, ROW_B};
    seen = look_at(uneven, 1, 3, 4);
    assert_near(seen.effective_rank, exp(-2.0 / 3 * log(2.0 / 3) - 1.0 / 3 * log(1.0 / 3)));
}

static void other_tensors_are_not_looked_at(void **state)
{
    (void)state;
    gml_monitor seen;
    float x = 0;
    const gml_tensor others[] = {
        {.dtype = GML_F32, .rank = 1, .dims = {1}, .data = &x},
        {.dtype = GML_I32, .rank = 2, .dims = {1, 1}, .data = &x},
        {.dtype = GML_F32, .rank = 2, .dims = {0, 4}, .data = &x},
        {.dtype = GML_F32, .rank = 2, .dims = {1, 1 << 20}, .data = &x},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(gml_monitor_targets(&others[i], &seen), GML_E_UNSUPPORTED);
}

static void numbers_that_are_none_are_found(void **state)
{
    (void)state;
    float x[1000] = {1, -3.4e38F, 1e-45F};
    gml_tensor tensor = {.dtype = GML_F32, .rank = 1, .dims = {1000}, .data = x};
    assert_false(gml_tensor_nonfinite(&tensor));
    const float none[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        x[999 - i] = none[i];
        assert_true(gml_tensor_nonfinite(&tensor));
        x[999 - i] = 0;
    }
    uint16_t half[2] = {0x3c00, 0x7c00}; /* 1 and infinity */
    gml_tensor halves = {.dtype = GML_F16, .rank = 1, .dims = {2}, .data = half};
    assert_true(gml_tensor_nonfinite(&halves));
    halves.dims[0] = 1;
    assert_false(gml_tensor_nonfinite(&halves));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reflected_diagonals_keep_their_values),
        cmocka_unit_test(tridiagonal_matrices_have_theirs),
        cmocka_unit_test(no_numbers_are_no_matrix),
        cmocka_unit_test(ranks_cosines_and_shares_are_theirs),
        cmocka_unit_test(other_tensors_are_not_looked_at),
        cmocka_unit_test(numbers_that_are_none_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
