/* codegen/llvm/support.h - the scalar functions of a GPU's code, which has no C library.
 *
 * Kernels call functions of codegen/device_code by name. For CUDA their bitcode is linked into
 * the module; for the emulator the jit finds them at their addresses in this process. The
 * conversions of small floats and powers of integers (runtime/code_support.h) keep their names:
 * their sources are compiled to bitcode too. Private to codegen/llvm.
 */
#ifndef GML_CODEGEN_LLVM_SUPPORT_H
#define GML_CODEGEN_LLVM_SUPPORT_H

#include "codegen/llvm/emit.h"
#include "runtime/code_support.h"

#define GML_SUPPORT_NAME_MAX 24

/* What code for `be` calls for libm's function `name` of doubles, or of floats: "sinf" on a
 * CPU, "gml_fn_sinf" on a GPU. Written into `out`, which is returned. */
const char *gml_support_name(const gml_backend *be, const char *name, bool is_double,
                             char out[GML_SUPPORT_NAME_MAX]);

/* Defines the functions of device code that the module declares, and what these call, as
 * internal functions; nothing else is added. Call it after all kernels have been emitted and
 * before the module is optimised; calling it again is harmless. GML_E_UNSUPPORTED when one is
 * missing: gemel was built without clang. */
GML_MUST_CHECK gml_status gml_backend_link_support(gml_backend *be, gml_diags *diags);

/* gml_fn_NAME and gml_fn_NAMEf in this process. */
const gml_code_function *gml_support_functions(size_t *out_count);

#endif
