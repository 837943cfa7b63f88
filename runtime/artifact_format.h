/* runtime/artifact_format.h - the bytes of an image. Private to runtime/artifact_*.c.
 *
 *   0  magic          8 bytes
 *   8  version        u32, GML_ABI_VERSION
 *  12  zero           u32
 *  16  size           u64, of the image
 *  24  description    u64, bytes from GML_HEADER_SIZE on
 *  32  constants      u64, where they begin: a multiple of GML_ARTIFACT_ALIGN, zeros before
 *  40  constants      u64, bytes; 0 when they are in a file
 *  48  checksum       u64, of bytes 0..47, then the description
 *  56  checksum       u64, of the constants
 *
 * All numbers are little-endian. The description is one stream: u32 for counts, kinds and slot
 * numbers, i64 for sizes, u32 length and bytes for text (GML_NO_TEXT: none). Order: features;
 * whether there is a file, and then its name and the numbers of gml_artifact_file; the program,
 * in which regions' programs stand where they are used. If there are several programs, or one
 * that is not GML_ARTIFACT_RUN, then follow their number, all their names, and the programs
 * behind the first.
 *
 * The checksum of the constants is chained over blocks of GML_BLOCK bytes, so that it can be
 * computed while they are written.
 */
#ifndef GML_RUNTIME_ARTIFACT_FORMAT_H
#define GML_RUNTIME_ARTIFACT_FORMAT_H

#include "base/map.h"
#include "runtime/artifact.h"

#define GML_HEADER_SIZE 64
#define GML_NO_TEXT     UINT32_MAX

enum {
    GML_AT_VERSION = 8,
    GML_AT_SIZE = 16,
    GML_AT_DESCRIPTION = 24,
    GML_AT_CONSTANTS = 32,
    GML_AT_CONSTANTS_SIZE = 40,
    GML_AT_CHECKSUM = 48,
    GML_AT_CONSTANTS_CHECKSUM = 56,
};

/* Where a tensor's elements are. */
typedef enum gml_elements {
    GML_ELEMENTS_NONE,    /* there is none */
    GML_ELEMENTS_PLACE,   /* u64: offset in the constants */
    GML_ELEMENTS_STRINGS, /* as text, one after the other */
} gml_elements;

static inline uint64_t gml_load_number(const unsigned char *bytes, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static inline void gml_store_number(unsigned char *bytes, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
}

/* Of header and description. */
static inline uint64_t gml_image_checksum(const unsigned char *image, size_t description)
{
    uint64_t seed = gml_hash_bytes(image, GML_AT_CHECKSUM, 0);
    return gml_hash_bytes(image + GML_HEADER_SIZE, description, seed);
}

#define GML_BLOCK ((size_t)1 << 20)

static inline uint64_t gml_constants_checksum(const unsigned char *constants, size_t size)
{
    uint64_t hash = 0;
    for (size_t at = 0; at < size; at += GML_BLOCK)
        hash =
            gml_hash_bytes(constants + at, size - at < GML_BLOCK ? size - at : GML_BLOCK, hash);
    return hash;
}

#endif
