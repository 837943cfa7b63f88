/* api/model.h - the programs of a model. Private to api/.
 *
 * A program is made for a signature: the inputs' types and shapes, and the elements of those
 * inputs that decide shapes. The GML_MODEL_PROGRAMS used last are kept.
 */
#ifndef GML_API_MODEL_H
#define GML_API_MODEL_H

#include "api/session.h"

#define GML_MODEL_PROGRAMS 16

gml_device_kind gml_model_device(const gml_model *model);
int gml_model_device_number(const gml_model *model);
gml_precision gml_model_precision(const gml_model *model);
/* NULL: what runs it has no memory of its own. */
gml_device *gml_model_remote(const gml_model *model);
/* True when the elements of the graph's parameter `index` are part of the signature. */
bool gml_model_reads(const gml_model *model, uint32_t index);
/* As asked for, or one a processor. */
int gml_model_threads(const gml_model *model);

/* Parameters and results of the graph that are no states: they come first. */
uint32_t gml_model_count_inputs(const gml_model *model);
uint32_t gml_model_count_outputs(const gml_model *model);

/* Replaces the contents of `key` by the signature of these inputs, states among them. */
void gml_model_signature(const gml_model *model, const gml_rvalue *inputs, gml_str *key);
/* On ref: the graph to interpret for `inputs`, derivatives spelled out. The caller's. */
GML_MUST_CHECK gml_status gml_model_spell_out(const gml_model *model, const gml_rvalue *inputs,
                                              gml_module **out_module, gml_diags *diags);
/* The program for `key`, the signature of `inputs`, compiled if need be. The caller gets a
 * reference. Any thread; one compiles at a time. */
GML_MUST_CHECK gml_status gml_model_find_program(gml_model *model, const gml_rvalue *inputs,
                                                 const gml_str *key, gml_program **out_program,
                                                 gml_diags *diags);

#endif
