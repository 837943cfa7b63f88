/* data/digits.h - the handwritten digits that scikit-learn comes with: 8 x 8 pixels of 0 to 16.
 *
 * The file is its digits.csv.gz: a line a picture, 64 pixels and the digit, commas between
 * them, compressed by gzip or not. Training and test pictures are told apart as
 * numpy.random.default_rng(seed).permutation(n) orders them.
 */
#ifndef GML_DATA_DIGITS_H
#define GML_DATA_DIGITS_H

#include "base/diag.h"

#define GML_DIGITS_SIDE 8
#define GML_DIGITS_MAX  100000 /* pictures of a file */

typedef struct gml_digit {
    uint8_t pixels[GML_DIGITS_SIDE * GML_DIGITS_SIDE]; /* 0 to 16 */
    uint8_t class;                                     /* 0 to 9 */
} gml_digit;

typedef struct gml_digits {
    gml_digit *items; /* in the arena, in the file's order */
    size_t count;
} gml_digits;

/* GML_E_IO, or GML_E_INVALID that names the line. */
GML_MUST_CHECK gml_status gml_digits_read(const char *path, gml_arena *arena,
                                          gml_digits *out_digits, gml_diags *diags);
/* The digit enlarged by bilinear interpolation between the centres of pixels, rounded to 8
 * bits; `out` is (size, size, 3), its channels equal. */
void gml_digit_draw(const gml_digit *digit, int64_t size, uint8_t *out);

/* numpy.random.default_rng(seed).permutation(n), with NumPy's own generator (PCG64). */
void gml_numpy_permutation(uint64_t seed, uint32_t n, uint32_t *out_order);

#endif
