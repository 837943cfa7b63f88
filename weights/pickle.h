/* weights/pickle.h - Python's pickles as trees of inert values.
 *
 * A pickle is a program for a stack machine, which may call any function of any module. Here it
 * calls nothing: a name of a function is a value (GML_PICKLED_NAME), a call is a value that
 * holds the name and the arguments (GML_PICKLED_CALL), with what was then set in it. Whoever
 * reads the tree decides what a call means.
 *
 * A name that the caller's list does not hold is refused where it is read, called or not, and
 * the message says which. The opcodes are those that protocols 2 to 5 write; the text opcodes
 * of protocol 0, extension codes and buffers outside the file are refused by name, too.
 *
 * Trees share parts and can contain themselves: readers bound how deep they look, and how much.
 * Memory is at most some hundred bytes for a byte of pickle; texts point into the bytes. All
 * values live in the arena.
 */
#ifndef GML_WEIGHTS_PICKLE_H
#define GML_WEIGHTS_PICKLE_H

#include "base/diag.h"

#define GML_PICKLE_MAX_BYTES  ((size_t)64 << 20)
#define GML_PICKLE_MAX_VALUES ((size_t)1 << 22)

typedef enum gml_pickled_kind {
    GML_PICKLED_NONE,
    GML_PICKLED_BOOL,       /* number */
    GML_PICKLED_INT,        /* number */
    GML_PICKLED_BIG,        /* an integer that 64 bits do not hold: text, little-endian */
    GML_PICKLED_FLOAT,      /* real */
    GML_PICKLED_TEXT,       /* text, UTF-8 */
    GML_PICKLED_BYTES,      /* text */
    GML_PICKLED_LIST,       /* items: a list, tuple or set */
    GML_PICKLED_DICT,       /* items: key, value, key, value, … */
    GML_PICKLED_NAME,       /* number: which of the caller's names */
    GML_PICKLED_CALL,       /* callee, arguments; entries and state set afterwards */
    GML_PICKLED_PERSISTENT, /* arguments: the identifier */
    GML_PICKLED_MARK,       /* inside the machine only */
} gml_pickled_kind;

typedef struct gml_pickled gml_pickled;
struct gml_pickled {
    gml_pickled_kind kind;
    int64_t number;
    double real;
    gml_string text;
    gml_vec(gml_pickled *) items; /* of a call: keys and values that were set in its result */
    const gml_pickled *callee;    /* a NAME */
    const gml_pickled *arguments; /* a LIST */
    const gml_pickled *state;     /* what BUILD gave; NULL: nothing did */
};

/* A function or class that a pickle may name. */
typedef struct gml_pickle_name {
    const char *module;
    const char *name;
} gml_pickle_name;

typedef struct gml_pickle_options {
    const gml_pickle_name *names;
    size_t n_names;
    const char *file; /* for messages */
} gml_pickle_options;

typedef struct gml_pickle {
    const gml_pickled *value;
    gml_vec(const gml_pickled *) persistents; /* all of them, in the order of the file */
    size_t size;                              /* bytes, STOP included */
} gml_pickle;

/* Reads one pickle from the front of `bytes`. */
GML_MUST_CHECK gml_status gml_pickle_read(const void *bytes, size_t len,
                                          const gml_pickle_options *options, gml_arena *arena,
                                          gml_pickle *out, gml_diags *diags);

/* The value of the text key `key` in a dictionary or in the result of a call; NULL when there
 * is none. */
const gml_pickled *gml_pickled_find(const gml_pickled *value, const char *key);
bool gml_pickled_is_text(const gml_pickled *value, const char *text);

#endif
