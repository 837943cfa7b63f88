/* api/artifact_cc.c - the system's C compiler, run to link an artifact. */
#include "api/artifact_cc.h"

#include "api/command.h"

static const char *const *make_arguments(const gml_cc_job *job, gml_arena *arena)
{
    const char *const args[] = {
        job->cc ? job->cc : "cc", "-shared", "-fPIC", "-O1", "-o", job->output, job->stub,
    };
    const char *const more[] = {
        job->runtime,
        "-Wl,--exclude-libs,ALL",
        "-Xlinker", /* -Wl would split a path at its commas */
        "--version-script",
        "-Xlinker",
        job->exports,
        "-Wl,--gc-sections",
        "-Wl,--as-needed",
        "-Wl,-z,noexecstack",
        "-Wl,-z,defs", /* what is missing is missed now, not when the library is loaded */
        "-Wl,--build-id=none", /* the same input gives the same bytes */
        "-Wl,-s",
    };
    gml_vec(const char *) list = {0};
    for (size_t i = 0; i < sizeof args / sizeof *args; i++)
        gml_push(arena, &list, args[i]);
    for (const char *const *object = job->objects; *object; object++)
        gml_push(arena, &list, *object);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        gml_push(arena, &list, more[i]);
    for (const char *const *library = job->libraries; *library; library++)
        gml_push(arena, &list, *library);
    gml_push(arena, &list, "-lm");
    gml_push(arena, &list, "-lpthread");
    gml_push(arena, &list, NULL);
    return list.items;
}

static gml_status link_by(const gml_cc_job *job, gml_arena *arena, gml_diags *diags)
{
    gml_command command = {.argv = make_arguments(job, arena), .errors = job->log};
    const char *why = gml_command_run(&command, arena);
    if (why == NULL)
        return GML_OK;
    return gml_fail(diags, GML_E_DEVICE, (gml_loc){.file = command.argv[0]},
                    "the C compiler %s", why);
}

gml_status gml_cc_link(const gml_cc_job *job, gml_diags *diags)
{
    gml_arena arena;
    gml_arena_init(&arena);
    gml_status status = link_by(job, &arena, diags);
    gml_arena_reset(&arena);
    return status;
}
