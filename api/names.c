/* api/names.c - faults in names, with what was probably meant. */
#include "api/names.h"

#include "base/str.h"

#include <string.h>

/* Longer names are compared by their beginning. */
#define GML_MAX_COMPARED 63
#define GML_MAX_LISTED   32

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits that make one name of the other: insertions, deletions and replacements of a byte. */
static size_t distance(const char *a, const char *b)
{
    size_t row[GML_MAX_COMPARED + 1];
    size_t n_a = least(strlen(a), GML_MAX_COMPARED);
    size_t n_b = least(strlen(b), GML_MAX_COMPARED);
    for (size_t j = 0; j <= n_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t above = row[j];
            row[j] = least(diagonal + (a[i - 1] != b[j - 1]), least(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[n_b];
}

static const char *find_nearest(const char *name, const char *const *names, size_t n_names)
{
    const char *nearest = NULL;
    size_t best = strlen(name) / 3 + 2; /* farther ones are no slips */
    for (size_t i = 0; i < n_names; i++) {
        size_t d = distance(name, names[i]);
        if (d < best) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}

gml_status gml_name_fail(gml_diags *diags, gml_loc loc, const char *what, const char *name,
                         const char *const *names, size_t n_names)
{
    gml_status status =
        gml_fail(diags, GML_E_USAGE, loc, "there is no %s called '%s'", what, name);
    const char *nearest = find_nearest(name, names, n_names);
    if (nearest)
        gml_note(diags, "did you mean '%s'?", nearest);
    gml_str list;
    gml_str_init(&list);
    for (size_t i = 0; i < n_names && i < GML_MAX_LISTED; i++)
        gml_str_printf(&list, "%s'%s'", i ? ", " : "", names[i]);
    if (n_names > GML_MAX_LISTED)
        gml_str_printf(&list, " and %zu more", n_names - GML_MAX_LISTED);
    if (n_names)
        gml_note(diags, "the %ss are %s", what, list.text);
    else
        gml_note(diags, "there are no %ss", what);
    gml_str_reset(&list);
    return status;
}
