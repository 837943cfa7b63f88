/* weights/pickle_machine.h - stack and memo of the machine that reads pickles. Private to
 * weights/.
 *
 * The stack holds values; MARK puts a marker there, and opcodes that take "all since the
 * marker" find the last one. The memo holds values under numbers. Every opcode makes at most
 * one value, so that their number, the stack and the memo are bounded by the bytes read.
 */
#ifndef GML_WEIGHTS_PICKLE_MACHINE_H
#define GML_WEIGHTS_PICKLE_MACHINE_H

#include "weights/pickle.h"

typedef struct gml_machine {
    const unsigned char *bytes;
    size_t len, at;
    size_t start; /* of the opcode being executed */
    const gml_pickle_options *options;
    gml_arena *arena;
    gml_diags *diags;
    gml_vec(gml_pickled *) stack;
    gml_vec(gml_pickled *) memo; /* NULL: not set */
    size_t n_values;
    gml_pickle *out;
} gml_machine;

/* GML_E_INVALID: the pickle is broken at the opcode being executed. */
gml_status gml_machine_fail(gml_machine *m, const char *what);
/* The next `len` bytes. */
GML_MUST_CHECK gml_status gml_machine_take(gml_machine *m, uint64_t len,
                                           const unsigned char **out_bytes);
/* An unsigned number of `size` bytes, little-endian. */
GML_MUST_CHECK gml_status gml_machine_take_number(gml_machine *m, unsigned size,
                                                  uint64_t *out_number);
/* Bytes behind their length, which has `size` bytes. */
GML_MUST_CHECK gml_status gml_machine_take_text(gml_machine *m, unsigned size,
                                                gml_string *out_text);
/* A line, without its end. */
GML_MUST_CHECK gml_status gml_machine_take_line(gml_machine *m, gml_string *out_line);
GML_MUST_CHECK gml_status gml_machine_push_value(gml_machine *m, gml_pickled value);
GML_MUST_CHECK gml_status gml_machine_push_number(gml_machine *m, gml_pickled_kind kind,
                                                  int64_t number);
/* The value on top; a marker is none. */
GML_MUST_CHECK gml_status gml_machine_pop(gml_machine *m, gml_pickled **out_value);
/* The same, and it stays there. */
GML_MUST_CHECK gml_status gml_machine_top(gml_machine *m, gml_pickled **out_value);
/* Where the values since the last marker begin. */
GML_MUST_CHECK gml_status gml_machine_find_mark(gml_machine *m, size_t *out_first);
/* A value of `kind` in the place of the last marker and of those behind it, which it holds. */
GML_MUST_CHECK gml_status gml_machine_collect(gml_machine *m, gml_pickled_kind kind);
/* A tuple in the place of the `n` values on top. */
GML_MUST_CHECK gml_status gml_machine_collect_tuple(gml_machine *m, size_t n);
/* The values since the last marker go into the container under it, which is of `kind`. */
GML_MUST_CHECK gml_status gml_machine_extend_marked(gml_machine *m, gml_pickled_kind kind);
/* The same for the `n` values on top, without a marker. */
GML_MUST_CHECK gml_status gml_machine_extend_by(gml_machine *m, gml_pickled_kind kind,
                                                size_t n);
/* The memo: the value on top gets a number; the value of a number is pushed. */
GML_MUST_CHECK gml_status gml_machine_remember(gml_machine *m, uint64_t number);
GML_MUST_CHECK gml_status gml_machine_recall(gml_machine *m, uint64_t number);

#endif
