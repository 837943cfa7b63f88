/* tests/e2e/weights_app.c - a user of a model whose weights are beside it: prints what came
 * out, or why the model cannot be opened. */
#include "model.h"

#include <stdio.h>

int main(void)
{
    static float x[224 * 224];
    static float y[672 * 672];
    char error[400] = "";
    model *m = NULL;
    double sum = 0;
    int status = model_open(&m, 1, error, sizeof error);
    if (status != 0) {
        fprintf(stderr, "%s\n", error);
        return status;
    }
    for (int i = 0; i < 224 * 224; i++)
        x[i] = (float)(i * 37 % 255) / 255.0F;
    status = model_run(m, x, y);
    for (int i = 0; i < 672 * 672; i++)
        sum += (double)y[i] * (i % 7);
    printf("%.9g\n", sum);
    model_close(m);
    return status;
}
