/* passes/fuse_copy.c - what groups compute themselves instead of storing it for each other.
 *
 * The centred rows of a norm, x - mean, are read by its own kernel and by those of its
 * gradients; where x is stored anyway, as the sum that a product's kernel ends with, these may
 * as well read x and the mean. So an elementwise node of one large operand, which is stored,
 * and a small one gets a copy for each group of its users: nothing is read more, and one value
 * less is stored and kept. The bits are the same. */
#include "passes/costly.h"
#include "passes/fuse.h"
#include "passes/tiles.h"

/* Elements of the large operand for one of the small, at least; results that are worth it. */
#define GML_SMALL     64
#define GML_LARGE     16384
#define GML_MAX_VIEWS 8

/* What a value is a view of, as far as views are computed where they are read. */
static const gml_value *look_through(const gml_value *value)
{
    for (int i = 0; i < GML_MAX_VIEWS && value->def && gml_is_cheap_view(value->def); i++)
        value = value->def->operands[0];
    return value;
}

/* It is in memory, whatever becomes of the node. */
static bool is_stored(const gml_fuser *f, const gml_value *value)
{
    value = look_through(value);
    if (!value->def || value->constant || value->graph != f->graph)
        return true;
    uint32_t number = gml_group_of(f, value->def);
    return number == 0 || f->is_side[value->id] || f->groups[number - 1].root == value->def;
}

/* The large operand of `node`; -1: it has not such a one and a small one beside. */
static int large_operand(const gml_node *node)
{
    int64_t elements = gml_known_elements(&node->results[0].type);
    for (int k = 0; k < 2; k++)
        if (gml_same_dims(&node->operands[k]->type, &node->results[0].type) &&
            node->operands[k]->type.dtype == node->results[0].type.dtype &&
            gml_known_elements(&node->operands[1 - k]->type) <= elements / GML_SMALL)
            return k;
    return -1;
}

/* All users compute elements of the same shape, each in some group. */
static bool suits_users(const gml_fuser *f, const gml_value *value)
{
    for (uint32_t i = f->first_use[value->id]; i < f->first_use[value->id + 1]; i++) {
        const gml_node *user = f->users[i].node;
        if (!user->op->scalar || user->n_results != 1 || gml_group_of(f, user) == 0 ||
            !gml_same_dims(&user->results[0].type, &value->type))
            return false;
    }
    return true;
}

static bool is_candidate(const gml_fuser *f, const gml_node *node)
{
    const gml_value *value = &node->results[0];
    uint32_t number = gml_group_of(f, node);
    if (number == 0 || node->n_results != 1 || !node->op->scalar || node->n_operands != 2 ||
        f->is_result[value->id] || f->is_captured[value->id] || !is_stored(f, value) ||
        gml_known_elements(&value->type) < GML_LARGE || gml_is_costly(f->cx, node))
        return false;
    int k = large_operand(node);
    if (k < 0 || !is_stored(f, node->operands[k]) || !suits_users(f, value))
        return false;
    /* the small one is stored, too, or can be by the same kernel */
    const gml_value *small = node->operands[1 - k];
    return is_stored(f, small) ||
           (small->def && f->is_side[value->id] && gml_group_of(f, small->def) == number &&
            gml_group_may_store(&f->groups[number - 1], &small->type));
}

/* A copy for the users in group `number`, right before the first of them. */
static void copy_for(const gml_fuser *f, const gml_node *node, uint32_t number)
{
    const gml_value *value = &node->results[0];
    gml_node *copy = NULL;
    for (uint32_t i = f->first_use[value->id]; i < f->first_use[value->id + 1]; i++) {
        gml_value_use use = f->users[i];
        if (gml_group_of(f, use.node) != number)
            continue;
        if (!copy) {
            copy = gml_node_create(f->graph, use.node, node->op, node->operands,
                                   node->n_operands, 1, node->loc);
            copy->results[0].type = value->type;
            copy->results[0].name = value->name;
            for (uint32_t k = 0; k < node->n_attrs; k++)
                gml_node_set_attr(copy, &node->attrs[k]);
        }
        use.node->operands[use.k] = &copy->results[0];
    }
}

bool gml_fuse_copy(gml_fuser *f)
{
    bool has_copied = false;
    for (const gml_node *node = f->graph->first; node; node = node->next) {
        if (node->n_results != 1 || node->results[0].id >= f->n_values ||
            !is_candidate(f, node))
            continue;
        const gml_value *value = &node->results[0];
        uint32_t begin = f->first_use[value->id];
        /* the node itself stays with its own group, or that of the first user */
        uint32_t own = f->is_side[value->id] ? gml_group_of(f, node)
                                             : gml_group_of(f, f->users[begin].node);
        for (uint32_t i = begin; i < f->first_use[value->id + 1]; i++) {
            uint32_t number = gml_group_of(f, f->users[i].node);
            bool is_new = number != own;
            for (uint32_t k = begin; k < i; k++)
                is_new = is_new && gml_group_of(f, f->users[k].node) != number;
            if (!is_new)
                continue;
            copy_for(f, node, number);
            has_copied = true;
        }
    }
    return has_copied;
}
