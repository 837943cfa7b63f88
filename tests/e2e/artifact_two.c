/* tests/e2e/artifact_two.c - two artifacts in one program; prints a sum of each one's output.
 * With ALONE only the second, for comparison. */
#include "other.h"

#include <stdio.h>
#include <stdlib.h>
#ifndef ALONE
#    include "model.h"
#endif

static float *ramp(size_t count)
{
    float *x = malloc(count * sizeof *x);
    for (size_t i = 0; x && i < count; i++)
        x[i] = (float)(i * 37 % 255) / 128.0F - 1.0F;
    return x;
}

static void print_sum(const float *y, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)y[i] * (double)(i % 7);
    printf("%.17g\n", sum);
}

int main(void)
{
    other *second = NULL;
    size_t n_out = 672 * 672;
    float *x = ramp(3 * 224 * 224);
    float *y = malloc(n_out * sizeof *y);
    if (!x || !y || other_open(&second, 1, NULL, 0))
        return 1;
#ifndef ALONE
    model *first = NULL;
    if (model_open(&first, 1, NULL, 0) || model_run(first, 1, x, y))
        return 1;
    print_sum(y, 1000);
    model_close(first);
#endif
    if (other_run(second, x, y))
        return 1;
    print_sum(y, n_out);
    other_close(second);
    free(x);
    free(y);
    return 0;
}
