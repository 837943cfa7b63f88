/* frontend/exporter.h - what the files of the exporter share. Private to the frontend.
 *
 * All messages lie in the exporter's arena; constants are views of the module's. */
#ifndef GML_FRONTEND_EXPORTER_H
#define GML_FRONTEND_EXPORTER_H

#include "base/file.h"
#include "frontend/export.h"
#include "onnx.pb-c.h"

#define GML_PAGE 4096 /* of external data, and what is large */

typedef struct gml_exporter {
    const gml_module *module;
    gml_arena scratch; /* all messages */
    gml_diags *diags;
    gml_map used;       /* names, over all graphs */
    const char **names; /* by value id; NULL: not met yet */
    bool *in_algorithm; /* by value id */
    gml_map domains;    /* of the operators met */
    gml_export_options options;
    gml_writer *data; /* NULL: constants stay inside */
    const char *data_name;
    uint64_t data_size;
} gml_exporter;

/* ---- export_value.c: names, types, tensors, attributes ----------------------------------- */

char *gml_exporter_text(gml_exporter *x, const char *text);
/* `name`, or with a number behind it when it is taken; it is then. */
char *gml_exporter_claim(gml_exporter *x, const char *name);
/* What `value` is called in the file; "" for none. */
char *gml_exporter_name(gml_exporter *x, const gml_value *value);

Onnx__ValueInfoProto *gml_export_value_info(gml_exporter *x, const char *name,
                                            const gml_type *type);
Onnx__StringStringEntryProto *gml_export_pair(gml_exporter *x, const char *key,
                                              const char *value);
/* `name` may be NULL. Large ones go to the external data where there is such a file. */
Onnx__TensorProto *gml_export_tensor(gml_exporter *x, const gml_tensor *tensor,
                                     const char *name);
/* Whether the tensor is worth a sparse one without values: what a step begins with is mostly
 * zeros. */
bool gml_export_is_zeros(const gml_tensor *tensor);
Onnx__SparseTensorProto *gml_export_zeros(gml_exporter *x, const gml_tensor *tensor,
                                          const char *name);
GML_MUST_CHECK gml_status gml_export_attr(gml_exporter *x, const gml_attr *attr,
                                          Onnx__AttributeProto *proto);

/* ---- export_graph.c: nodes and graphs ---------------------------------------------------- */

GML_MUST_CHECK gml_status gml_export_graph(gml_exporter *x, const gml_graph *graph,
                                           Onnx__GraphProto **out_proto);
/* The main graph of a model that trains: two graphs, of which the second uses names of the
 * first. */
GML_MUST_CHECK gml_status gml_export_step(gml_exporter *x, const gml_graph *graph,
                                          Onnx__ModelProto *model);

#endif
