/* api/command.h - another program, run and waited for. Private to api/.
 *
 * It is started without a shell, with nothing to read. Thread-safe.
 */
#ifndef GML_API_COMMAND_H
#define GML_API_COMMAND_H

#include "base/arena.h"

typedef struct gml_command {
    const char *const
        *argv;          /* the program, looked up in PATH if it has no slash; ends with NULL */
    const char *output; /* file that gets what it prints; NULL: where ours goes */
    const char *errors; /* the same for what it complains of; not NULL */
    unsigned seconds;   /* that it may take before it is killed; 0: any */
} gml_command;

/* NULL when it ended with status 0. Else what became of it, in `arena`: "cannot be run: …",
 * "failed: " with the first line of its complaints, … */
const char *gml_command_run(const gml_command *command, gml_arena *arena);

#endif
