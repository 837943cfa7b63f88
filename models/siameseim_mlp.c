/* models/siameseim_mlp.c - projector and predictor of MoCo v3: MLPs of products without bias,
 * each followed by BatchNorm and, but for the last, ReLU. The last BatchNorm has no parameters.
 */
#include "models/siameseim.h"

#include <stdio.h>

/* `depth` products, named NAME.0, NAME.3, ...; their norms are NAME.1, NAME.4, ... */
static gml_value *add_mlp(gml_siam *s, const char *name, gml_value *x, int64_t width,
                          int64_t depth)
{
    const gml_siam_config *c = &s->c;
    for (int64_t i = 0; i < depth; i++) {
        bool is_last = i + 1 == depth;
        int64_t out = is_last ? c->out : c->mlp_hidden;
        gml_scope norm = gml_scope_numbered(name, 3 * i + 1);
        x = gml_siam_product(s, gml_scope_numbered(name, 3 * i).text, x, width, out);
        if (is_last)
            return gml_siam_plain_batch_norm(s, norm.text, x, out);
        x = gml_siam_batch_norm(s, norm.text, x, out, 1);
        x = gml_siam_unary(s, gml_scope_numbered(name, 3 * i + 2).text, "Relu", x);
        width = out;
    }
    return x;
}

gml_value *gml_siam_project(gml_siam *s, gml_value *tokens, int64_t n_tokens)
{
    gml_value *x;
    if (s->c.by_class) {
        x = gml_siam_slice(s, "pool", tokens, 1, (int64_t[]){0, 1});
        x = gml_siam_reshape(s, "pool", x, (int64_t[]){-1, s->c.width}, 2);
    } else {
        x = gml_siam_slice(s, "pool", tokens, 1, (int64_t[]){1, n_tokens});
        x = gml_siam_reduce(s, "pool", "ReduceMean", x, 1, false);
    }
    return add_mlp(s, "head", x, s->c.width, 3);
}

gml_value *gml_siam_predict_vector(gml_siam *s, gml_value *x)
{
    return add_mlp(s, "predictor", x, s->c.out, 2);
}
