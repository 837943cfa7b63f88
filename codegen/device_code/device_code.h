/* codegen/device_code/device_code.h - functions that kernels of a GPU call, in C.
 *
 * What a CPU's kernels have from libm: with its special cases (NaN, infinities, signed zeros,
 * domain errors), but no errno and no rounding mode but to nearest. They are compiled twice:
 * into this program, for the emulator and for tests, and into LLVM bitcode, of which a CUDA
 * module takes the functions that it calls. So they use nothing but arithmetic.
 *
 * Doubles are within 4 ulp (pow 8), and floats, which are computed in double, within 1. Series
 * are those of the functions themselves (Taylor's, and the continued fraction of erfc), cut
 * where the next term is below half an ulp; nothing is fitted. Pure; any thread.
 */
#ifndef GML_CODEGEN_DEVICE_CODE_DEVICE_CODE_H
#define GML_CODEGEN_DEVICE_CODE_DEVICE_CODE_H

#define GML_DEVICE_FUNCTIONS(X)                                                                \
    X(exp)                                                                                     \
    X(log)                                                                                     \
    X(sin)                                                                                     \
    X(cos)                                                                                     \
    X(tan)                                                                                     \
    X(asin)                                                                                    \
    X(acos)                                                                                    \
    X(atan)                                                                                    \
    X(sinh)                                                                                    \
    X(cosh)                                                                                    \
    X(tanh)                                                                                    \
    X(asinh)                                                                                   \
    X(acosh)                                                                                   \
    X(atanh)                                                                                   \
    X(erf)

#define X(name)                                                                                \
    double gml_fn_##name(double x);                                                            \
    float gml_fn_##name##f(float x);
GML_DEVICE_FUNCTIONS(X)
#undef X

double gml_fn_pow(double x, double y);
float gml_fn_powf(float x, float y);
double gml_fn_fmod(double x, double y); /* exact */
float gml_fn_fmodf(float x, float y);

/* What base/half.c needs of libm when it is compiled for a GPU. */
float gml_fn_ldexpf(float x, int exponent);
double gml_fn_frexp(double x, int *exponent);

#endif
