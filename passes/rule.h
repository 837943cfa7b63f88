/* passes/rule.h - a rule once it is parsed; shared by the parser, the matcher and the rewriter.
 *
 * Everything lives in the arena given to the parser. Variables are numbers: places in an array
 * of gml_binding that a match fills.
 */
#ifndef GML_PASSES_RULE_H
#define GML_PASSES_RULE_H

#include "ir/op.h"
#include "passes/rewrite.h"

#define GML_MAX_VARIABLES     12
#define GML_MAX_PATTERN_ARGS  8
#define GML_MAX_FUNCTION_ARGS 3

/* What a variable stands for: a value, or an attribute (kind GML_ATTR_NONE when the node has
 * none and the operator no default). */
typedef struct gml_binding {
    bool bound;
    gml_value *value; /* NULL: it is the attribute */
    gml_attr attr;
} gml_binding;

/* A named function of conditions, and of attributes of replacements. It returns whether the
 * condition holds, or whether it could make the attribute. */
typedef struct gml_rule_function {
    const char *name;
    unsigned n_args;
    bool makes; /* fills *out: kind and payload, data in `arena` */
    bool (*call)(const gml_binding *const *args, gml_arena *arena, gml_attr *out);
} gml_rule_function;

/* NULL when there is none. */
const gml_rule_function *gml_rule_function_find(const char *name, size_t len);

typedef struct gml_rule_call {
    const gml_rule_function *function;
    int args[GML_MAX_FUNCTION_ARGS]; /* variables */
} gml_rule_call;

typedef struct gml_attr_pattern {
    const gml_attr_spec *spec;
    enum { GML_ATTR_IS_NUMBER, GML_ATTR_IS_TEXT, GML_ATTR_IS_VARIABLE, GML_ATTR_IS_CALL } kind;
    double number;
    bool near; /* within one ulp of a float */
    const char *text;
    int variable;
    gml_rule_call call;
} gml_attr_pattern;

typedef enum gml_pattern_kind {
    GML_PATTERN_ANY,
    GML_PATTERN_VARIABLE,
    GML_PATTERN_NUMBER,
    GML_PATTERN_NODE,
    GML_PATTERN_EITHER,
} gml_pattern_kind;

typedef struct gml_pattern {
    gml_pattern_kind kind;
    int variable; /* of VARIABLE; of NODE its name, or -1 */
    double number;
    bool near;
    const gml_op_info *op;
    bool any_attrs;
    gml_vec(gml_attr_pattern) attrs;
    gml_vec(struct gml_pattern *) args; /* operands, or the alternatives of EITHER */
} gml_pattern;

/* `variable = pattern`, or a call when `pattern` is NULL. */
typedef struct gml_rule_condition {
    const gml_pattern *pattern;
    int variable;
    gml_rule_call call;
} gml_rule_condition;

typedef struct gml_rule {
    const gml_rule_row *row;
    const gml_pattern *from;
    const gml_pattern *to;
    gml_vec(gml_rule_condition) conditions;
    bool shared; /* fires though what is inside has other users */
} gml_rule;

gml_status gml_rule_parse(const gml_rule_row *row, const char *table, gml_arena *arena,
                          gml_rule *out_rule, gml_diags *diags);

/* ---- matching --------------------------------------------------------------------------- */

typedef struct gml_match {
    const gml_rule *rule;
    gml_node *root;
    const uint32_t *uses; /* by value id */
    gml_arena *arena;     /* for what conditions need */
    gml_binding bindings[GML_MAX_VARIABLES];
    gml_vec(gml_node *) nodes;    /* matched, the root first */
    int trail[GML_MAX_VARIABLES]; /* variables in the order they were bound */
    int n_trail;
} gml_match;

/* Fills `bindings` and `nodes` of a match whose other fields are set. */
bool gml_match_rule(gml_match *match);

/* ---- constants -------------------------------------------------------------------------- */

/* Every element of the constant `value` is `number` rounded to its type (of the same sign when
 * 0), or when `near` at most one ulp away from it. False when it is no constant. */
bool gml_constant_is(const gml_value *value, double number, bool near);
bool gml_number_is(gml_dtype dtype, double value, double number, bool near);
/* The only element of a constant of one element. */
bool gml_constant_number(const gml_value *value, double *out_number);
/* Both are constants of the same type and elements, of at most `max_bytes` bytes unless they
 * share them. */
bool gml_constants_equal(const gml_tensor *a, const gml_tensor *b, size_t max_bytes);
/* The values of two attributes, whatever their names are; graphs are never equal. */
bool gml_attr_equal(const gml_attr *a, const gml_attr *b);

#endif
