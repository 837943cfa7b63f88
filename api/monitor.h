/* api/monitor.h - do the targets of a self-supervised training collapse?
 *
 * Of the rows T of a step's targets, each after a LayerNorm without parameters (1e-5), which is
 * what the loss compares with:
 *
 *     effective rank   exp of the entropy of C's eigenvalues over their sum, C = T' T / n: how
 *                      many directions the targets use, from 1 to their width
 *     mean cosine      over all pairs of different rows
 *     between images   the variance of an image's mean row over the variance of all rows, in
 *                      the mean over channels: 1 when all rows of an image are the same
 *
 * In double precision. For width E and n rows: n E² / 2 + 2 E³ / 3 multiplications.
 */
#ifndef GML_API_MONITOR_H
#define GML_API_MONITOR_H

#include "base/diag.h"
#include "gemel/types.h"

typedef struct gml_monitor {
    double effective_rank, mean_cosine, between_images;
} gml_monitor;

/* `target` is (images, rows of each, width) or (images, width), f32 or f64: else
 * GML_E_UNSUPPORTED. GML_E_MEMORY. */
GML_MUST_CHECK gml_status gml_monitor_targets(const gml_tensor *target, gml_monitor *out);

#endif
