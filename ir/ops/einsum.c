/* ir/ops/einsum.c - Einsum: a sum of products, axes named by letters.
 *
 * Every axis of every operand gets a label: a letter, or for the axes under an ellipsis a
 * number counted from the right, so that ellipses of different length broadcast. The result is
 * the product of all operands summed over the labels that the output does not name. A letter
 * twice in one term is a diagonal: both axes get the same index.
 */
#include "ir/ops/expect_util.h"

enum { GML_LETTERS = 52, GML_LABELS = GML_LETTERS + GML_MAX_RANK };

static const gml_attr_spec attrs[] = {
    {"equation", GML_ATTR_STRING, GML_ATTR_REQUIRED},
    {NULL},
};

/* Labels of one tensor's axes. */
typedef struct term {
    int rank;
    unsigned char labels[GML_MAX_RANK];
} term;

typedef struct equation {
    term *inputs; /* one an operand */
    term output;
    gml_dim size[GML_LABELS];      /* 1 unless some operand has more there */
    unsigned letters[GML_LETTERS]; /* occurrences on the left */
    int n_ellipsis;                /* most axes under an ellipsis */
} equation;

static int letter_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    return -1;
}

/* Reads one term up to ',' or '-' or the end. `n_dots` axes stand under its ellipsis: when
 * negative, as many as `rank` leaves over. Returns NULL, or what is wrong. */
static const char *read_term(const char **text, const char *end, int rank, int n_dots,
                             term *out_term)
{
    int n_letters = 0;
    for (const char *p = *text; p < end && *p != ',' && *p != '-'; p++)
        n_letters += letter_of(*p) >= 0;
    if (n_dots < 0)
        n_dots = rank - n_letters;
    bool seen_dots = false;
    out_term->rank = 0;
    for (; *text < end && **text != ',' && **text != '-'; ++*text) {
        int letter = letter_of(**text);
        bool dots =
            end - *text >= 3 && (*text)[0] == '.' && (*text)[1] == '.' && (*text)[2] == '.';
        if (**text == ' ')
            continue;
        if (letter < 0 && (!dots || seen_dots))
            return "the equation has a character that means nothing";
        int n = dots ? n_dots : 1;
        if (n < 0 || out_term->rank + n > GML_MAX_RANK)
            return "a term does not fit the rank of its operand";
        for (int d = 0; d < n; d++)
            out_term->labels[out_term->rank++] =
                (unsigned char)(dots ? GML_LETTERS + n_dots - 1 - d : letter);
        if (dots)
            *text += 2;
        seen_dots |= dots;
    }
    return NULL;
}

/* Without "->": the ellipsis, then every letter that occurs once, in alphabetical order. */
static const char *default_output(equation *eq)
{
    eq->output.rank = 0;
    for (int d = eq->n_ellipsis; d-- > 0;)
        eq->output.labels[eq->output.rank++] = (unsigned char)(GML_LETTERS + d);
    for (int letter = 0; letter < GML_LETTERS; letter++) {
        if (eq->letters[letter] != 1)
            continue;
        if (eq->output.rank == GML_MAX_RANK)
            return "the result has too many axes";
        eq->output.labels[eq->output.rank++] = (unsigned char)letter;
    }
    return NULL;
}

static const char *add_operand(equation *eq, const term *input, const gml_type *type)
{
    if (input->rank != type->rank)
        return "a term does not fit the rank of its operand";
    for (int d = 0; d < input->rank; d++) {
        unsigned label = input->labels[d];
        gml_dim *size = &eq->size[label];
        if (gml_dim_differs(*size, type->dims[d]) && *size != 1 && type->dims[d] != 1)
            return "axes of one label have different sizes";
        if (*size == 1 ||
            (!gml_dim_is_const(*size) && gml_dim_is_const(type->dims[d]) && type->dims[d] != 1))
            *size = type->dims[d];
        if (label < GML_LETTERS)
            eq->letters[label]++;
        else if (eq->n_ellipsis < (int)label - GML_LETTERS + 1)
            eq->n_ellipsis = (int)label - GML_LETTERS + 1;
    }
    return NULL;
}

static const char *read_output(equation *eq, const char *text, const char *end)
{
    const char *fault = read_term(&text, end, 0, eq->n_ellipsis, &eq->output);
    if (fault || text != end)
        return fault ? fault : "the equation goes on after its output";
    bool used[GML_LABELS] = {false};
    for (int d = 0; d < eq->output.rank; d++) {
        unsigned label = eq->output.labels[d];
        if (used[label] || (label < GML_LETTERS && eq->letters[label] == 0))
            return "an output letter occurs twice, or in no operand";
        used[label] = true;
    }
    return NULL;
}

/* Returns NULL, or what is wrong. Operand types must be tensors of known rank. */
static const char *read_equation(gml_arena *arena, const gml_node *node, equation *out_eq)
{
    gml_string source = gml_node_string(node, "equation");
    const char *text = source.data;
    const char *end = text + source.len;
    *out_eq = (equation){.inputs = gml_new_array(arena, term, node->n_operands)};
    for (int label = 0; label < GML_LABELS; label++)
        out_eq->size[label] = 1;
    for (uint32_t k = 0; k < node->n_operands; k++) {
        const gml_type *type = gml_operand_type(node, k);
        if (k > 0 && (text == end || *text++ != ','))
            return "the equation has fewer terms than there are operands";
        const char *fault = read_term(&text, end, type->rank, -1, &out_eq->inputs[k]);
        if (!fault)
            fault = add_operand(out_eq, &out_eq->inputs[k], type);
        if (fault)
            return fault;
    }
    if (text == end)
        return default_output(out_eq);
    if (end - text < 2 || text[0] != '-' || text[1] != '>')
        return "the equation has more terms than there are operands";
    return read_output(out_eq, text + 2, end);
}

/* What is not known yet must be 1, known to be, or the size of the label. */
static void note_sizes(gml_infer *cx, const equation *eq)
{
    gml_dim same;
    for (uint32_t k = 0; k < cx->node->n_operands; k++)
        for (int d = 0; d < eq->inputs[k].rank; d++)
            (void)gml_infer_broadcast_dim(cx, gml_operand_type(cx->node, k)->dims[d],
                                          eq->size[eq->inputs[k].labels[d]], &same);
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *first;
    GML_TRY(gml_infer_tensor(cx, 0, &first));
    for (uint32_t k = 0; k < cx->node->n_operands; k++) {
        const gml_type *type;
        GML_TRY(gml_infer_tensor(cx, k, &type));
        GML_TRY(gml_infer_require(cx, k, GML_IS_NUMBER));
        GML_TRY(gml_expect_dtype(cx, k, first->dtype));
    }
    equation eq;
    const char *fault = read_equation(cx->arena, cx->node, &eq);
    if (fault)
        return gml_infer_fail(cx, GML_E_SHAPE, "%s", fault);
    note_sizes(cx, &eq);
    gml_dim dims[GML_MAX_RANK];
    for (int d = 0; d < eq.output.rank; d++)
        dims[d] = eq.size[eq.output.labels[d]];
    return gml_infer_set(cx, 0, first->dtype, eq.output.rank, dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    equation eq;
    if (read_equation(x->kernel->arena, node, &eq))
        GML_BUG("an equation that infer accepted");
    const gml_expr *value[GML_LABELS] = {NULL};
    for (int d = 0; d < eq.output.rank; d++)
        value[eq.output.labels[d]] = index[d];
    const gml_axis *axes[GML_LABELS];
    unsigned n_axes = 0;
    const gml_expr *product = NULL;
    for (uint32_t k = 0; k < node->n_operands; k++) {
        const gml_expr *at[GML_MAX_RANK];
        for (int d = 0; d < eq.inputs[k].rank; d++) {
            unsigned label = eq.inputs[k].labels[d];
            if (!value[label]) {
                axes[n_axes] = gml_reduce_axis(x, eq.size[label]);
                value[label] = gml_axis_value(x, axes[n_axes++]);
            }
            at[d] = gml_operand_dim(x, k, d) == 1 ? gml_i64(x, 0) : value[label];
        }
        const gml_expr *element = gml_wide(x, gml_at(x, k, at));
        product = product ? gml_mul(x, product, element) : element;
    }
    if (n_axes)
        product = gml_reduce_over(x, GML_REDUCE_SUM, axes, n_axes, product);
    return gml_cast(x, product, gml_result_dtype(x, result));
}

const gml_op_info gml_op_einsum = {
    .name = "Einsum",
    .doc = "Sums of products after Einstein's convention.",
    .min_in = 1,
    .max_in = -1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES | GML_CONTRACTION,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
};
