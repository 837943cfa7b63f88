/* ir/ops/einsum.c - Einsum: a sum of products, axes named by letters.
 *
 * Every axis of every operand gets a label: a letter, or for the axes under an ellipsis a
 * number counted from the right, so that ellipses of different length broadcast. The result is
 * the product of all operands summed over the labels that the output does not name. A letter
 * twice in one term is a diagonal: both axes get the same index.
 */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
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

/* ---- gradient -----------------------------------------------------------------------------
 */

/* The equation of a gradient while it is written: letters stand for labels, and further ones
 * for the other end of a diagonal. */
typedef struct back {
    gml_grad *g;
    const equation *eq;
    gml_str text;
    gml_vec(gml_value *) operands;
    int n_letters;
    int letters[GML_LABELS]; /* of labels; -1: none yet */
} back;

static char letter_text(int letter)
{
    return (char)(letter < 26 ? 'A' + letter : 'a' + letter - 26);
}

static int letter_for(back *w, unsigned label)
{
    if (w->letters[label] < 0)
        w->letters[label] = w->n_letters++;
    return w->letters[label];
}

static void put_letter(back *w, int letter)
{
    char c = letter_text(letter < GML_LETTERS ? letter : 0);
    gml_str_append(&w->text, &c, 1);
}

static void put_term(back *w, const term *t, gml_value *value)
{
    if (w->operands.count)
        gml_str_puts(&w->text, ",");
    for (int d = 0; d < t->rank; d++)
        put_letter(w, letter_for(w, t->labels[d]));
    gml_push(w->g->scratch, &w->operands, value);
}

/* One more operand, of two axes: 1 where they are equal. */
static void put_diagonal(back *w, int first, int second, gml_dim size, gml_dtype dtype)
{
    gml_dim dims[2] = {size, size};
    gml_value *zeros = gml_build_zeros(&w->g->b, dtype, dims, 2);
    gml_str_puts(&w->text, ",");
    put_letter(w, first);
    put_letter(w, second);
    gml_push(w->g->scratch, &w->operands, gml_build_unary(&w->g->b, &gml_op_eyelike, zeros));
}

/* One more operand, of one axis: ones, for a label that nothing else has. */
static void put_ones(back *w, int letter, gml_dim size, gml_dtype dtype)
{
    gml_value *operands[2] = {gml_build_scalar(&w->g->b, dtype, 1),
                              gml_build_dims(&w->g->b, &size, 1)};
    gml_str_puts(&w->text, ",");
    put_letter(w, letter);
    gml_push(w->g->scratch, &w->operands,
             gml_build_op(&w->g->b, &gml_op_expand, operands, 2, NULL, 0));
}

/* The gradient of operand `k`: dy and the other operands summed to its labels. */
static gml_status grad_operand(gml_grad *g, const equation *eq, uint32_t k)
{
    back w = {.g = g, .eq = eq};
    const term *mine = &eq->inputs[k];
    const gml_type *type = &g->node->operands[k]->type;
    bool seen[GML_LABELS] = {false};
    char output[GML_MAX_RANK + 1] = "";
    for (int label = 0; label < GML_LABELS; label++)
        w.letters[label] = -1;
    gml_str_init(&w.text);
    put_term(&w, &eq->output, g->results[0]);
    for (uint32_t j = 0; j < g->node->n_operands; j++)
        if (j != k)
            put_term(&w, &eq->inputs[j], g->node->operands[j]);
    for (int d = 0; d < mine->rank; d++) {
        unsigned label = mine->labels[d];
        bool alone = w.letters[label] < 0;
        int letter = letter_for(&w, label);
        if (alone)
            put_ones(&w, letter, type->dims[d], type->dtype);
        if (seen[label]) {
            put_diagonal(&w, letter, w.n_letters, type->dims[d], type->dtype);
            letter = w.n_letters++;
        }
        seen[label] = true;
        output[d] = letter_text(letter < GML_LETTERS ? letter : 0);
    }
    gml_str_puts(&w.text, "->");
    gml_str_puts(&w.text, output);
    gml_status status = g->b.status;
    if (w.n_letters > GML_LETTERS) {
        status = gml_fail(g->b.diags, GML_E_UNSUPPORTED, g->node->loc,
                          "the gradient has more than %d labels", GML_LETTERS);
    } else {
        gml_attr attr =
            gml_attr_string("equation", gml_arena_text(&g->node->graph->module->arena,
                                                       w.text.text, w.text.len));
        g->operands[k] = gml_build_op(&g->b, &gml_op_einsum, w.operands.items,
                                      (uint32_t)w.operands.count, &attr, 1);
        status = g->b.status;
    }
    gml_str_reset(&w.text);
    return status;
}

static gml_status grad(gml_grad *g)
{
    equation eq;
    if (read_equation(g->scratch, g->node, &eq))
        GML_BUG("an equation that infer accepted");
    for (uint32_t k = 0; k < g->node->n_operands; k++)
        if (g->wanted[k])
            GML_TRY(grad_operand(g, &eq, k));
    return GML_OK;
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
    .grad = grad,
};
