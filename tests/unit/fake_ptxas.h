/* tests/unit/fake_ptxas.h - scripts in place of ptxas, in a folder that also holds the cache
 * and what is temporary. */
#ifndef GML_TESTS_FAKE_PTXAS_H
#define GML_TESTS_FAKE_PTXAS_H

#include "program_util.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Leaves what it is given behind the first bytes of an ELF file. */
#define FAKE_COPIES "printf '\\177ELF' >\"$4\"; cat \"$5\" >>\"$4\""

#define FAKE_ROW(test) cmocka_unit_test_setup_teardown(test, fake_set_up, fake_tear_down)

typedef struct fake {
    char folder[64];
    char ptxas[96], cache[96], temporary[96], calls[96];
} fake;

static GML_UNUSED void check_text(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("\"%s\" does not say \"%s\"", text ? text : "", part);
}

static GML_UNUSED void fake_run(const char *format, const char *argument)
{
    char command[256];
    snprintf(command, sizeof command, format, argument);
    assert_int_equal(system(command), 0);
}

/* It says `version` when it is asked for that; else it does `action`, and leaves a line in
 * `calls`. */
static GML_UNUSED void fake_write(const fake *f, const char *version, const char *action)
{
    unlink(f->ptxas);
    FILE *file = fopen(f->ptxas, "w");
    assert_non_null(file);
    fprintf(file,
            "#!/bin/sh\n"
            "[ \"$1\" = --version ] && { echo '%s'; exit 0; }\n"
            "echo \"$1 $2\" >>'%s'\n%s\n",
            version, f->calls, action);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(f->ptxas, 0700), 0);
}

/* How often it was run. */
static GML_UNUSED size_t fake_count_calls(const fake *f)
{
    size_t n = 0;
    FILE *file = fopen(f->calls, "r");
    for (int byte = 0; file && (byte = getc(file)) != EOF;)
        n += byte == '\n';
    if (file)
        fclose(file);
    return n;
}

static size_t fake_count_files(const char *path)
{
    size_t n = 0;
    DIR *folder = opendir(path);
    if (folder == NULL)
        return 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(folder);
    return n;
}

static int fake_set_up(void **state)
{
    fake *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->folder, "/tmp/gemel-cubin-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->ptxas, sizeof f->ptxas, "%s/ptxas", f->folder);
    snprintf(f->cache, sizeof f->cache, "%s/a/cache", f->folder);
    snprintf(f->temporary, sizeof f->temporary, "%s/temporary", f->folder);
    snprintf(f->calls, sizeof f->calls, "%s/calls", f->folder);
    assert_int_equal(mkdir(f->temporary, 0700), 0);
    setenv("GEMEL_PTXAS", f->ptxas, 1);
    setenv("GEMEL_CACHE", f->cache, 1);
    setenv("TMPDIR", f->temporary, 1);
    fake_write(f, "the first", FAKE_COPIES);
    *state = f;
    return 0;
}

/* Nothing temporary was left. */
static int fake_tear_down(void **state)
{
    fake *f = *state;
    size_t left = fake_count_files(f->temporary);
    fake_run("rm -rf '%s'", f->folder);
    free(f);
    return left == 0 ? 0 : -1;
}

#endif
