/* codegen/split.h - a long reduction as two: parts, then their sum.
 *
 *     for j in 768                          for p in 64, j in 768
 *         y[j] = f(sum(i in 4096: x[i,j]))      part[p,j] = sum(i in 64: x[64 p + i, j])
 *                                           for j in 768
 *                                               y[j] = f(sum(p in 64: part[p,j]))
 *
 * Where a nest has fewer elements than a device has threads, the parts are what keeps it busy:
 * sums of columns, of everything, and matrix products with long sums (then the parts are a
 * batch). The order of a sum is fixed by the numbers here, not by threads.
 */
#ifndef GML_CODEGEN_SPLIT_H
#define GML_CODEGEN_SPLIT_H

#include "ir/loop.h"

/* `stmt`, a perfect nest of stores whose values hold one reduction, or several over axes of the
 * same size, is cut into at most `parts` (and at least 2) of at least `least` steps, all alike.
 * False where no axis divides so, and nothing is made. `out_first` and `out_second` are
 * top-level statements. */
bool gml_split_reduction(gml_kernel *kernel, const gml_stmt *stmt, int64_t parts, int64_t least,
                         gml_stmt **out_first, gml_stmt **out_second);

#endif
