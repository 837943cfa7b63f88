/* codegen/columns.h - sums of columns, made by the statement that stores what they sum.
 *
 *     for b, s, n                             for b, s, n
 *         v[b,s,n] = e                            v[b,s,n] = e
 *     for n                                       whole[b,s,n] = g(e)
 *         y[n] = f(sum(b, s: g(v[b,s,n])))    for n
 *                                                 y[n] = f(sum(p: parts[p,n]))
 *
 * `whole` has a role of its own, GML_MEM_SUM: it has no place, and whoever stores there adds to
 * parts[p,n] instead, where p is the run of rows that the storing block has. So v is not read
 * again, and where nothing else reads it, it is not stored. Which runs of rows there are is
 * fixed by the numbers here, and so is the order of a sum.
 */
#ifndef GML_CODEGEN_COLUMNS_H
#define GML_CODEGEN_COLUMNS_H

#include "ir/loop.h"

#define GML_MAX_COLUMN_SUMS 4
/* Axes that a kernel has left where sums are found: for looking three times for a contraction
 * (codegen/contract.h: three each, while eight are left), operands and parts. */
#define GML_COLUMN_AXES     24

typedef struct gml_column_sum {
    gml_mem *whole;       /* its number is that of the sum */
    const gml_mem *parts; /* [n_parts, columns] of f32 */
    gml_stmt *rest;       /* for n: y[n] = f(sum(p: parts[p,n])) */
    /* of gml_columns_find: the statement that there was, and its reduction */
    const gml_stmt *stmt;
    const gml_expr *reduce;
} gml_column_sum;

typedef struct gml_columns {
    gml_stmt *writer; /* with stores to each sum's `whole` */
    gml_column_sum sums[GML_MAX_COLUMN_SUMS];
    unsigned n_sums;
    /* An element of `whole` is in row position / columns: the outermost `n_row_loops` of
     * the loops around its store count those, the others the columns. */
    int64_t rows, columns;
    const gml_axis *loops[GML_MAX_AXES];
    unsigned n_loops, n_row_loops;
    int64_t n_parts;
} gml_columns;

/* Whether statements directly behind the first of `list` sum columns of what it stores, in f32
 * and of constant sizes: those that do, up to the first that does not. Makes expressions, and
 * changes no statement. */
bool gml_columns_find(gml_kernel *kernel, const gml_stmt *list, gml_columns *out_columns);
/* Sets parts and rest of each sum, for so many runs of rows. */
void gml_columns_cut(gml_kernel *kernel, gml_columns *columns, int64_t n_parts);

#endif
