/* base/sha256.h - SHA-256 (FIPS 180-4): a name for bytes that nobody can give to others.
 *
 *     gml_sha256 sum;
 *     gml_sha256_init(&sum);
 *     gml_sha256_add(&sum, bytes, len);      as often as needed
 *     gml_sha256_end(&sum, digest);
 *
 * For names of files that are found by their content. What is only to be told apart or guarded
 * against accidents has gml_hash_bytes (base/map.h), which is ten times as fast.
 */
#ifndef GML_BASE_SHA256_H
#define GML_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define GML_SHA256_SIZE  32
#define GML_SHA256_BLOCK 64

typedef struct gml_sha256 {
    uint32_t state[8];
    uint64_t n_bytes;                     /* added so far */
    unsigned char rest[GML_SHA256_BLOCK]; /* n_bytes % GML_SHA256_BLOCK of them */
} gml_sha256;

void gml_sha256_init(gml_sha256 *sum);
void gml_sha256_add(gml_sha256 *sum, const void *bytes, size_t len);
void gml_sha256_end(gml_sha256 *sum, unsigned char out_digest[GML_SHA256_SIZE]);

#endif
