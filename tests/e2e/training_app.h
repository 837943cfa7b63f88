/* tests/e2e/training_app.h - what the users' programs of training.sh have in common. */
#ifndef GML_TESTS_TRAINING_APP_H
#define GML_TESTS_TRAINING_APP_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 8, IN = 6, OUT = 5 };

static inline void must(int status, const char *error)
{
    if (status == 0)
        return;
    fprintf(stderr, "%d: %s\n", status, error);
    exit(1);
}

static inline void expect(int is_so, const char *what)
{
    if (is_so)
        return;
    fprintf(stderr, "not so: %s\n", what);
    exit(1);
}

/* f32[rows,columns] for `gemel train`. */
static inline void write_npy(const char *path, const float *data, int rows, int columns)
{
    char header[128];
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    int n = snprintf(header + 10, sizeof header - 10,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows,
                     columns);
    header[10 + n] = ' ';
    header[127] = '\n';
    size_t count = (size_t)rows * (size_t)columns;
    FILE *file = fopen(path, "wb");
    expect(file && fwrite(header, 1, 128, file) == 128 &&
               fwrite(data, sizeof *data, count, file) == count && fclose(file) == 0,
           "the inputs are written");
}

static inline void make_inputs(float *x, float *t)
{
    for (int i = 0; i < ROWS * IN; i++)
        x[i] = (float)(i * 29 % 41) / 20.0F - 1.0F;
    for (int i = 0; i < ROWS * OUT; i++)
        t[i] = (float)(i * 17 % 23) / 23.0F;
}

/* Does the safetensors file have these bytes under `name`? */
static inline int has_state(const char *path, const char *name, const void *data, size_t size)
{
    static char bytes[1 << 20];
    char key[300];
    uint64_t head = 0;
    unsigned long long begin = 0;
    unsigned long long end = 0;
    FILE *file = fopen(path, "rb");
    size_t len = file ? fread(bytes, 1, sizeof bytes - 1, file) : 0;
    if (file)
        fclose(file);
    bytes[len] = '\0';
    if (len < 8)
        return 0;
    memcpy(&head, bytes, 8);
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *row = head <= len - 8 ? strstr(bytes + 8, key) : NULL;
    const char *offsets = row ? strstr(row, "\"data_offsets\":[") : NULL;
    return offsets && sscanf(offsets, "\"data_offsets\":[%llu,%llu]", &begin, &end) == 2 &&
           end - begin == size && end <= len - 8 - head &&
           memcmp(bytes + 8 + head + begin, data, size) == 0;
}

#endif
