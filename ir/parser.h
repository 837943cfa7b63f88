/* ir/parser.h - what the two halves of the parser of textual IR share. Private to ir/parse.c
 * (graphs and nodes) and ir/parse_attr.c (attributes).
 *
 * The text is read once, by hand: a function per rule of the grammar in docs/ir.md, named after
 * it. Each returns a status; a failure has its diagnostic already.
 */
#ifndef GML_IR_PARSER_H
#define GML_IR_PARSER_H

#include "ir/graph.h"

#define GML_MAX_REGION_DEPTH 64

/* A tensor attribute written as bare elements: its type comes later, after the colon. */
typedef struct gml_bare_tensor {
    const char *name;
    const char *at; /* its opening bracket */
} gml_bare_tensor;

/* A value whose type the text states. */
typedef struct gml_written_type {
    gml_value *value;
    gml_type type;
    gml_loc loc;
} gml_written_type;

typedef struct gml_parser {
    gml_module *module;
    gml_diags *diags;
    const char *file;
    const char *text; /* NUL-terminated, as long as the module */
    const char *at;
    const char *counted; /* lines are counted up to here, … */
    int line;            /* … where it is this one */
    int depth;           /* of regions */
    gml_map names;       /* label -> gml_value, or NULL once it is out of sight */
    gml_vec(gml_written_type) written;
    gml_status status; /* of the last fault that did not end the parsing */
} gml_parser;

/* Blanks, line ends, and comments from `#` to the end of the line. */
void gml_parser_skip(gml_parser *p);
/* Skips what may be skipped, then takes `token` when it is there. A token of letters must end
 * where the word does. */
bool gml_parser_accept(gml_parser *p, const char *token);
/* The same; fails when it is not there. */
gml_status gml_parser_expect(gml_parser *p, const char *token);
gml_loc gml_parser_loc(gml_parser *p);
/* Fails with "expected WHAT, found …" at the place reached. */
gml_status gml_parser_expected(gml_parser *p, const char *what);
/* A plain or quoted name, copied. */
gml_status gml_parse_name(gml_parser *p, const char **out_name);
gml_status gml_parse_type(gml_parser *p, gml_type *out_type);

/* The graph of a region or, with no owner, of the whole text. */
gml_status gml_parse_graph(gml_parser *p, gml_node *owner, gml_graph **out_graph);

typedef gml_vec(gml_bare_tensor) gml_bare_tensors;

/* Everything between the braces, both included. */
gml_status gml_parse_attrs(gml_parser *p, gml_node *node, gml_bare_tensors *out_bare);
/* Reads the elements of `bare` as a tensor of type `type`, and sets the attribute. */
gml_status gml_parse_bare_tensor(gml_parser *p, gml_node *node, const gml_bare_tensor *bare,
                                 const gml_type *type);

#endif
