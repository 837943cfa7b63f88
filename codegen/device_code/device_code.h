/* codegen/device_code/device_code.h - the C library's scalar functions for machines without
 * one.
 *
 * This folder is freestanding C, built twice: to LLVM bitcode, out of which a GPU's module
 * takes what it calls (codegen/llvm/support.h), and into this process, for the emulator and the
 * tests. Both give the same bits. Only arithmetic that every GPU has: + - * /, fused
 * multiply-add, square root, rounding to integers, integers of up to 64 bits.
 *
 * gml_fn_NAME is libm's NAME of double, gml_fn_NAMEf of float, with C's results for NaN,
 * infinities, signed zeros and arguments out of the domain (Annex F), but no errno and no
 * promise about floating-point flags. Errors, asserted by tests/unit/test_device_code.c: below
 * 1 ulp in float, which is computed in double; below 2.5 ulp in double; fmod is exact.
 *
 * Polynomials were fitted for these files: interpolation in Chebyshev's nodes of the function
 * that a comment names, solved with 70 digits, then rounded to double.
 *
 * Pure; any thread.
 */
#ifndef GML_CODEGEN_DEVICE_CODE_DEVICE_CODE_H
#define GML_CODEGEN_DEVICE_CODE_DEVICE_CODE_H

#include <stddef.h>

double gml_fn_acos(double x);
double gml_fn_acosh(double x);
double gml_fn_asin(double x);
double gml_fn_asinh(double x);
double gml_fn_atan(double x);
double gml_fn_atanh(double x);
double gml_fn_cos(double x);
double gml_fn_cosh(double x);
double gml_fn_erf(double x);
double gml_fn_exp(double x);
double gml_fn_fmod(double x, double y);
double gml_fn_log(double x);
double gml_fn_pow(double x, double y);
double gml_fn_sin(double x);
double gml_fn_sinh(double x);
double gml_fn_tan(double x);
double gml_fn_tanh(double x);

float gml_fn_acosf(float x);
float gml_fn_acoshf(float x);
float gml_fn_asinf(float x);
float gml_fn_asinhf(float x);
float gml_fn_atanf(float x);
float gml_fn_atanhf(float x);
float gml_fn_cosf(float x);
float gml_fn_coshf(float x);
float gml_fn_erff(float x);
float gml_fn_expf(float x);
float gml_fn_fmodf(float x, float y);
float gml_fn_logf(float x);
float gml_fn_powf(float x, float y);
float gml_fn_sinf(float x);
float gml_fn_sinhf(float x);
float gml_fn_tanf(float x);
float gml_fn_tanhf(float x);

/* The bitcode, a unit a source file; none when there was no clang at build time. Units call
 * each other. */
typedef struct gml_bitcode {
    const char *name; /* of the source file */
    const unsigned char *bytes;
    size_t size;
} gml_bitcode;
extern const gml_bitcode gml_device_bitcode[];
extern const size_t gml_n_device_bitcode;

#endif
