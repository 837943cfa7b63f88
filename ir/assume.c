/* ir/assume.c - what inference takes two sizes to be to each other.
 *
 * Where both are known the answer is final. Where it follows from what they are made of there
 * is nothing to note. Otherwise it is noted on the node, and the program compares them as soon
 * as it knows them, before a kernel that relies on it runs. */
#include "ir/op.h"

static bool is_known_pair(gml_dim a, gml_dim b)
{
    return gml_dim_is_const(a) && gml_dim_is_const(b);
}

/* True when it is known that `relation` does not hold. */
static bool fails(gml_infer *cx, gml_relation relation, gml_dim a, gml_dim b)
{
    if (is_known_pair(a, b))
        return !gml_relation_holds(relation, a, b);
    gml_assumption assumption = {relation, a, b, cx->node->loc};
    gml_assumptions_add(cx->arena, &cx->node->assumptions, &assumption, 1);
    return false;
}

bool gml_infer_differ(gml_infer *cx, gml_dim a, gml_dim b)
{
    return a != b && fails(cx, GML_EQUAL, a, b);
}

bool gml_infer_exceeds(gml_infer *cx, gml_dim a, gml_dim limit)
{
    return gml_dim_max(cx->dims, a, limit) != limit && fails(cx, GML_AT_MOST, a, limit);
}

bool gml_infer_leaves_rest(gml_infer *cx, gml_dim a, gml_dim b)
{
    bool divides = gml_dim_is_const(b) && b > 0 && gml_dim_mod(cx->dims, a, b) == 0;
    return !divides && fails(cx, GML_MULTIPLE, a, b);
}

bool gml_infer_is_empty(gml_infer *cx, gml_dim size, gml_dim count)
{
    bool is_fine = count == 0 || (gml_dim_is_const(size) && size > 0);
    if (gml_dim_is_const(size) && size <= 0 && !gml_dim_is_const(count))
        return true;
    return !is_fine && fails(cx, GML_NOT_EMPTY, size, count);
}

bool gml_infer_broadcast_dim(gml_infer *cx, gml_dim a, gml_dim b, gml_dim *out_dim)
{
    *out_dim = a == 1 || (gml_dim_is_const(b) && b != 1) ? b : a;
    return a == b || a == 1 || b == 1 || !fails(cx, GML_BROADCAST, a, b);
}
