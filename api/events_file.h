/* api/events_file.h - TensorBoard's records. Private to api/.
 *
 * A record is the length of its bytes (u64), that number's checksum (u32), the bytes, their
 * checksum; little-endian. A checksum is CRC-32C (Castagnoli), turned right by 15 bits, plus
 * 0xa282ead8.
 */
#ifndef GML_API_EVENTS_FILE_H
#define GML_API_EVENTS_FILE_H

#include "api/events.h"
#include "base/str.h"

#include <stdint.h>

uint32_t gml_crc32c(const void *bytes, size_t len);

/* Appends the record a file begins with, and one of scalars. */
void gml_events_begin(double time, gml_str *out);
void gml_events_add(int64_t step, double time, const gml_scalar *scalars, size_t n,
                    gml_str *out);
/* How many of the `len` bytes are whole records of steps up to `step`, from the front. */
size_t gml_events_keep(const void *bytes, size_t len, int64_t step);

#endif
