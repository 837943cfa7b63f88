/* base/half.h - conversion of every small float type, one element at a time, exactly as ONNX
 * says.
 *
 * Rounding is to nearest, ties to even. Out of range: `saturate` gives the largest finite
 * value, otherwise infinity where the type has one, else NaN (ONNX operator Cast, "saturate").
 * Types: F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1; another one is a
 * bug of the caller. Four of them differ: F16, BF16  ignore `saturate`, as Cast does: infinity;
 *   F4E2M1     always saturates, and makes a zero of NaN;
 *   F8E8M0     alone reads `round` (nearest is ties up). Zero and what is too small become the
 *              smallest value, or NaN when not saturating; negative values become NaN.
 * Pure functions; any thread.
 */
#ifndef GML_BASE_HALF_H
#define GML_BASE_HALF_H

#include "gemel/types.h"

#include <stdint.h>

/* How E8M0 (a bare power of two) rounds: Cast's `round_mode`. */
typedef enum gml_round { GML_ROUND_NEAREST, GML_ROUND_UP, GML_ROUND_DOWN } gml_round;

float gml_small_to_float(gml_dtype dtype, uint16_t bits);
uint16_t gml_small_from_float(gml_dtype dtype, float value, bool saturate, gml_round round);
/* From double in one rounding (through float would round twice). */
uint16_t gml_small_from_double(gml_dtype dtype, double value, bool saturate, gml_round round);

float gml_f16_to_float(uint16_t bits);
uint16_t gml_f16_from_float(float value);
float gml_bf16_to_float(uint16_t bits);
uint16_t gml_bf16_from_float(float value);

#endif
