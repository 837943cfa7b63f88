/* tests/e2e/artifact_app.c - a user's program: runs the artifact on a picture of its own
 * making, and leaves what went in (x.npy) and what came out (y.bin). Given a file with what
 * `gemel run` made of x.npy, it compares: the two were compiled for other shapes, so sums may
 * be rounded differently. */
#include "model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = 3 * 224 * 224, CLASSES = 1000 };

static int write_npy(const char *path, const float *x, int batch)
{
    char header[128];
    FILE *file = fopen(path, "wb");
    if (!file)
        return 1;
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    int n = snprintf(header + 10, sizeof header - 10,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 3, 224, 224), }",
                     batch);
    header[10 + n] = ' ';
    header[127] = '\n';
    size_t count = (size_t)batch * PIXELS;
    int bad = fwrite(header, 1, 128, file) != 128 || fwrite(x, 4, count, file) != count;
    return fclose(file) != 0 || bad;
}

static int differs(const char *path, const float *y, int count)
{
    FILE *file = fopen(path, "rb");
    float expected = 0;
    int bad = !file;
    for (int i = 0; i < count && !bad; i++)
        bad = fread(&expected, sizeof expected, 1, file) != 1 ||
              !(fabsf(expected - y[i]) <= 1e-5F * (1 + fabsf(expected)));
    if (file)
        fclose(file);
    return bad;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    int batch = argc > 2 ? atoi(argv[2]) : 1;
    char error[256] = "";
    model *m = NULL;
    float *x = malloc(sizeof(float) * PIXELS * (size_t)batch);
    float *y = malloc(sizeof(float) * CLASSES * (size_t)batch);
    for (int i = 0; x && i < PIXELS * batch; i++)
        x[i] = (float)(i * 37 % 255) / 128.0F - 1.0F;
    if (!x || !y || write_npy("x.npy", x, batch) ||
        model_open(&m, threads, error, sizeof error)) {
        fprintf(stderr, "cannot begin: %s\n", error);
        return 1;
    }
    if (model_run(m, batch, x, y)) {
        fprintf(stderr, "cannot run: %s\n", model_error(m));
        return 1;
    }
    FILE *file = fopen("y.bin", "wb");
    int bad = !file || fwrite(y, sizeof(float), (size_t)(CLASSES * batch), file) !=
                           (size_t)(CLASSES * batch);
    bad = (file && fclose(file) != 0) || bad;
    model_close(m);
    if (argc > 3 && differs(argv[3], y, CLASSES * batch)) {
        fprintf(stderr, "the artifact and gemel run disagree\n");
        bad = 1;
    }
    free(x);
    free(y);
    return bad;
}
