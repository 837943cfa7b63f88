/* frontend/wire.h - a look at protobuf bytes before protobuf-c gets them.
 *
 * protobuf-c trusts its input: nesting recurses without bound, every bytes field is copied (a
 * model's weights, twice the file in memory), and lengths above 2 GB fail. So a message is
 * scanned first, along its descriptor, and a stripped copy is made of it, in which
 *   - fields that the schema does not name are left out;
 *   - TensorProto.raw_data holds a reference into the original bytes (gml_wire_raw), not the
 * elements. What remains is small and known to be well formed, and protobuf-c parses that.
 *
 * The scan refuses, with GML_E_INVALID and the byte's position: nesting deeper than
 * GML_WIRE_MAX_DEPTH, lengths that leave their message, malformed varints, wire types that do
 * not fit the field, groups, NUL inside text, a second occurrence of a field that holds one
 * message (merging costs quadratic time), and more than GML_WIRE_MAX_ITEMS messages and list
 * elements (a byte of file can become 200 of memory).
 */
#ifndef GML_FRONTEND_WIRE_H
#define GML_FRONTEND_WIRE_H

#include "base/diag.h"
#include "base/str.h"

#include <protobuf-c/protobuf-c.h>

#define GML_WIRE_MAX_DEPTH 64
#define GML_WIRE_MAX_ITEMS ((size_t)1 << 24)

/* Appends the stripped copy of `bytes`, a message of type `descriptor`, to `out`. */
GML_MUST_CHECK gml_status gml_wire_strip(const ProtobufCMessageDescriptor *descriptor,
                                         const void *bytes, size_t len, gml_str *out,
                                         gml_diags *diags, gml_loc loc);

/* Scans, strips and parses `bytes`. The message lives in `arena`; its raw_data references are
 * into `bytes`. NULL, with a diagnostic of GML_E_INVALID, on failure. */
GML_MUST_CHECK ProtobufCMessage *gml_wire_unpack(const ProtobufCMessageDescriptor *descriptor,
                                                 const void *bytes, size_t len,
                                                 gml_arena *arena, gml_diags *diags,
                                                 gml_loc loc);

/* The elements that a raw_data of a stripped message refers to. */
void gml_wire_raw(const ProtobufCBinaryData *reference, const void **out_data, size_t *out_len);

#endif
