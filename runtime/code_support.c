/* runtime/code_support.c - the C functions that generated code calls. */
#include "runtime/code_support.h"

#include "base/half.h"

float gml_code_small_decode(int32_t dtype, int32_t code)
{
    return gml_small_to_float((gml_dtype)dtype, (uint16_t)code);
}

int32_t gml_code_small_encode(int32_t dtype, float value)
{
    return gml_small_from_float((gml_dtype)dtype, value, false, GML_ROUND_NEAREST);
}

float gml_code_small_cast(int32_t dtype, double value, int32_t flags)
{
    gml_round round = GML_ROUND_NEAREST;
    if ((uint32_t)flags & GML_CODE_UP)
        round = GML_ROUND_UP;
    if ((uint32_t)flags & GML_CODE_DOWN)
        round = GML_ROUND_DOWN;
    bool saturate = ((uint32_t)flags & GML_CODE_SATURATE) != 0;
    uint16_t code = gml_small_from_double((gml_dtype)dtype, value, saturate, round);
    return gml_small_to_float((gml_dtype)dtype, code);
}

int64_t gml_code_int_power(int64_t base, int64_t exponent, int64_t is_unsigned)
{
    if (!is_unsigned && exponent < 0) {
        if (base == 1)
            return 1;
        if (base == -1)
            return exponent % 2 == 0 ? 1 : -1;
        return 0;
    }
    uint64_t result = 1;
    uint64_t factor = (uint64_t)base;
    for (uint64_t rest = (uint64_t)exponent; rest != 0; rest >>= 1) {
        if (rest & 1)
            result *= factor;
        factor *= factor;
    }
    return (int64_t)result;
}

#define ROW(function)                                                                          \
    {                                                                                          \
#        function, (void (*)(void))(function)                                                  \
    }

const gml_code_function *gml_code_functions(size_t *out_count)
{
    static const gml_code_function functions[] = {
        ROW(gml_code_small_decode),
        ROW(gml_code_small_encode),
        ROW(gml_code_small_cast),
        ROW(gml_code_int_power),
    };
    *out_count = sizeof functions / sizeof *functions;
    return functions;
}
