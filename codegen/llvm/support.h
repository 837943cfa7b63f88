/* codegen/llvm/support.h - C functions of ours in code for a GPU. Private to codegen/llvm.
 *
 * codegen/device_code, and what casts of small floats call, are compiled to LLVM bitcode when
 * gemel is built, if clang is there. */
#ifndef GML_CODEGEN_LLVM_SUPPORT_H
#define GML_CODEGEN_LLVM_SUPPORT_H

#include "codegen/llvm/emit.h"
#include "runtime/code_support.h"

typedef struct gml_bitcode {
    const char *name; /* NULL ends the list */
    const unsigned char *bytes;
    size_t size;
} gml_bitcode;

extern const gml_bitcode gml_device_bitcode[];

/* Takes the functions that the module calls and does not have out of the bitcode, as code of
 * its own target. GML_E_UNSUPPORTED when one is nowhere. */
GML_MUST_CHECK gml_status gml_backend_link_support(gml_backend *be, gml_diags *diags);

/* The functions of codegen/device_code in this process. */
const gml_code_function *gml_device_functions(size_t *out_count);

#endif
