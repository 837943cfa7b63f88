/* tests/e2e/fail_malloc.c - an object to preload: of all allocations since main began, number
 * GEMEL_FAIL_AT fails. Where GEMEL_FAIL_AT is 0, the number of all of them goes to the file
 * GEMEL_COUNT.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* glibc's own, which need no lookup that would allocate. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
int __libc_start_main(int (*run)(int, char **, char **), int argc, char **argv,
                      void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                      void *stack_end);

static atomic_ulong n_allocations;
static atomic_bool is_counting;
static unsigned long fail_at;
static int (*real_main)(int, char **, char **);

static int must_fail(void)
{
    if (!atomic_load(&is_counting) || atomic_fetch_add(&n_allocations, 1) + 1 != fail_at)
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return must_fail() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return must_fail() ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return must_fail() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *memory = aligned_alloc(alignment, size);
    if (memory == NULL)
        return ENOMEM;
    *out = memory;
    return 0;
}

/* The number is all that is written: no allocation. */
static void report(void)
{
    char text[32];
    const char *path = getenv("GEMEL_COUNT");
    atomic_store(&is_counting, 0);
    int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666) : -1;
    int len = snprintf(text, sizeof text, "%lu\n", atomic_load(&n_allocations));
    if (fd >= 0 && write(fd, text, (size_t)len) == len)
        close(fd);
}

static int counted_main(int argc, char **argv, char **envp)
{
    const char *at = getenv("GEMEL_FAIL_AT");
    unsetenv("LD_PRELOAD"); /* what this program starts has all the memory it wants */
    if (at == NULL)
        return real_main(argc, argv, envp);
    fail_at = strtoul(at, NULL, 10);
    if (fail_at == 0)
        atexit(report);
    atomic_store(&is_counting, 1);
    return real_main(argc, argv, envp);
}

int __libc_start_main(int (*run)(int, char **, char **), int argc, char **argv,
                      void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                      void *stack_end)
{
    union {
        void *address;
        int (*start)(int (*)(int, char **, char **), int, char **, void (*)(void),
                     void (*)(void), void (*)(void), void *);
    } real = {.address = dlsym(RTLD_NEXT, "__libc_start_main")};
    real_main = run;
    return real.start(counted_main, argc, argv, init, fini, rtld_fini, stack_end);
}
