/* base/diag.h - what went wrong, where, and what to try.
 *
 * Functions return a gml_status; the words go into a gml_diags, as a list of {status, place,
 * text} with notes. Nothing below cli/ prints. A diagnostic's text is one line, lower case, no
 * full stop: the fact and the numbers; a note says where an operand came from or what to try.
 *
 *     if (axis >= rank)
 *         return gml_fail(diags, GML_E_SHAPE, node->loc, "axis %d is outside rank %d", axis,
 * rank); GML_TRY(infer(node, diags, &type));
 *
 * Everything lives in the arena given to gml_diags_init. Not thread-safe.
 */
#ifndef GML_BASE_DIAG_H
#define GML_BASE_DIAG_H

#include "base/arena.h"
#include "gemel/types.h"

/* Where something comes from. Any field may be NULL or 0. Copied by pointer: arena or static;
 * but a diagnostic has its own copy, since it may outlive the graph. */
typedef struct gml_loc {
    const char *file; /* model file, or textual IR */
    const char *node; /* the ONNX node's name, or its first output when it has no name */
    const char *op;   /* its operator */
    int line;         /* of textual IR, from 1 */
} gml_loc;

typedef struct gml_diag {
    gml_status status;
    gml_loc loc;
    const char *text;
    gml_vec(const char *) notes;
} gml_diag;

typedef struct gml_diags {
    gml_arena *arena;
    gml_vec(gml_diag) list;
} gml_diags;

void gml_diags_init(gml_diags *diags, gml_arena *arena);
/* Records a diagnostic and returns `status`, so that it can be returned at once. */
gml_status gml_fail(gml_diags *diags, gml_status status, gml_loc loc, const char *format, ...)
    GML_PRINTF(4, 5);
/* Adds a note to the newest diagnostic; nothing happens when there is none. */
void gml_note(gml_diags *diags, const char *format, ...) GML_PRINTF(2, 3);
/* All diagnostics as text, "FILE: NODE (OP): text\n  note: …\n", in the diags' arena. */
const char *gml_diags_print(const gml_diags *diags);
/* Forgets the diagnostics after the first `count` (a caller that tried something and
 * recovered). */
void gml_diags_truncate(gml_diags *diags, size_t count);

/* Stops the program: an invariant does not hold and going on would give wrong results. */
_Noreturn void gml_bug(const char *file, int line, const char *what);
#define GML_BUG(what) gml_bug(__FILE__, __LINE__, (what))

#define GML_TRY(expression)                                                                    \
    do {                                                                                       \
        gml_status gml_try_status = (expression);                                              \
        if (gml_try_status != GML_OK)                                                          \
            return gml_try_status;                                                             \
    } while (0)

#endif
