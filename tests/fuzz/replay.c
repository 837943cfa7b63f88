/* tests/fuzz/replay.c - runs a fuzz target without libFuzzer: over every file of a corpus, then
 * over what becomes of it when it is cut short, a byte is changed, or a byte is left out. The
 * same every time, so that it is a test.
 *
 *     fuzz_import tests/fuzz/import
 */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Runs of one file; longer files are damaged at fewer places. */
#define GML_MAX_RUNS 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of the exact size, so that the address sanitizer sees a read past its end. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size != 0 ? size : 1);
    if (copy == NULL)
        exit(1);
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void damage(uint8_t *data, size_t size)
{
    static const uint8_t masks[] = {0x01, 0x80, 0xff};
    size_t step = 5 * size / GML_MAX_RUNS + 1;
    for (size_t i = 0; i < size; i += step) {
        uint8_t byte = data[i];
        run(data, i);
        for (size_t k = 0; k < sizeof masks; k++) {
            data[i] = byte ^ masks[k];
            run(data, size);
        }
        memmove(data + i, data + i + 1, size - i - 1);
        run(data, size - 1);
        memmove(data + i + 1, data + i, size - i - 1);
        data[i] = byte;
    }
}

static int replay(const char *folder, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *stream = fopen(path, "rb");
    static uint8_t data[1 << 20];
    if (stream == NULL)
        return 1;
    size_t size = fread(data, 1, sizeof data, stream);
    fclose(stream);
    run(data, size);
    damage(data, size);
    return 0;
}

int main(int argc, char **argv)
{
    int n_failed = 0;
    int n_files = 0;
    for (int i = 1; i < argc; i++) {
        struct dirent **entries;
        int n = scandir(argv[i], &entries, NULL, alphasort);
        n_failed += n < 0;
        for (int k = 0; k < n; k++) {
            if (entries[k]->d_name[0] != '.') {
                n_failed += replay(argv[i], entries[k]->d_name);
                n_files++;
            }
            free(entries[k]);
        }
        if (n >= 0)
            free(entries);
    }
    printf("%d files, %d could not be read\n", n_files, n_failed);
    return n_failed != 0 || n_files == 0;
}
