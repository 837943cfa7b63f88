/* api/events.h - the log of a training: scalars by step, for programs and for TensorBoard.
 *
 * Two files in the run's folder, which grow:
 *
 *     log.jsonl                   {"step":120,"time":1700000000.25,"loss":0.71,…} a line; a
 *                                 number that JSON cannot write is null
 *     events.out.tfevents.gemel   the same as TensorBoard's events
 *
 * What was put is with the system when gml_log_put returns, so that a process that is killed
 * loses nothing. Opening keeps what is of steps up to a given one and cuts off the rest, and
 * whatever a kill left half written: a training that goes on from a checkpoint logs no step
 * twice.
 *
 * One thread.
 */
#ifndef GML_API_EVENTS_H
#define GML_API_EVENTS_H

#include "base/diag.h"

#include <stddef.h>

typedef struct gml_scalar {
    const char *name; /* of TensorBoard: its tag */
    double value;
} gml_scalar;

typedef struct gml_log gml_log;

/* GML_E_IO. `*out_log` is untouched on failure. */
GML_MUST_CHECK gml_status gml_log_open(const char *folder, int64_t step, gml_log **out_log,
                                       gml_diags *diags);
/* `time` is in seconds since 1970. After a failure the log is not to be put to any more. */
GML_MUST_CHECK gml_status gml_log_put(gml_log *log, int64_t step, double time,
                                      const gml_scalar *scalars, size_t n, gml_diags *diags);
void gml_log_close(gml_log *log); /* accepts NULL */

#endif
