/* runtime/code_support.h - the C functions that generated code calls, one lane at a time.
 *
 * Declared nowhere else: generated code knows their names and types. Pure; any thread.
 */
#ifndef GML_RUNTIME_CODE_SUPPORT_H
#define GML_RUNTIME_CODE_SUPPORT_H

#include "gemel/types.h"

/* Flags of a cast to a small float. */
#define GML_CODE_SATURATE 1u
#define GML_CODE_UP       2u
#define GML_CODE_DOWN     4u

float gml_code_small_decode(int32_t dtype, int32_t code);
int32_t gml_code_small_encode(int32_t dtype, float value);
float gml_code_small_cast(int32_t dtype, double value, int32_t flags);
int64_t gml_code_int_power(int64_t base, int64_t exponent, int64_t is_unsigned);

typedef struct gml_code_function {
    const char *name;
    void (*address)(void); /* of whatever type its name stands for */
} gml_code_function;

const gml_code_function *gml_code_functions(size_t *out_count);

#endif
