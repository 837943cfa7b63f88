/* data/jpeg.h - pixels to a JPEG file, by libjpeg. */
#ifndef GML_DATA_JPEG_H
#define GML_DATA_JPEG_H

#include "base/str.h"
#include "data/image.h"
#include "gemel/types.h"

/* Appends the bytes of a baseline JPEG of `quality` 1 to 100. From 90 on colours keep their
 * full resolution. GML_E_UNSUPPORTED when the build has no libjpeg, GML_E_RANGE when a side is
 * above 65,500, GML_E_MEMORY; nothing is appended then. */
GML_MUST_CHECK gml_status gml_jpeg_encode(const gml_pixels *pixels, int quality, gml_str *out);

#endif
