/* api/artifact_cc.h - the system's C compiler, run to link an artifact. Private to api/. */
#ifndef GML_API_ARTIFACT_CC_H
#define GML_API_ARTIFACT_CC_H

#include "base/diag.h"

typedef struct gml_cc_job {
    const char *cc; /* NULL: "cc" */
    const char *output, *stub, *runtime, *exports;
    const char *const *objects;   /* ends with NULL */
    const char *log;              /* gets what the compiler says; the caller removes it */
    const char *const *libraries; /* further arguments, "-lpcre2-8"; ends with NULL */
} gml_cc_job;

/* GML_E_DEVICE with the first line of what the compiler said. */
GML_MUST_CHECK gml_status gml_cc_link(const gml_cc_job *job, gml_diags *diags);

#endif
