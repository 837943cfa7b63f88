/* frontend/opset_rules.h - the rules that the table in opset.c names. */
#ifndef GML_FRONTEND_OPSET_RULES_H
#define GML_FRONTEND_OPSET_RULES_H

#include "frontend/opset.h"

/* opset_attrs.c: attributes that became operands, got other names, or lost their meaning */
gml_status gml_upgrade_axes(gml_draft *draft);
gml_status gml_upgrade_cast(gml_draft *draft);
gml_status gml_upgrade_clip(gml_draft *draft);
gml_status gml_upgrade_concat(gml_draft *draft);
gml_status gml_upgrade_dft(gml_draft *draft);
gml_status gml_upgrade_dropout(gml_draft *draft);
gml_status gml_upgrade_gemm(gml_draft *draft);
gml_status gml_upgrade_grid_sample(gml_draft *draft);
gml_status gml_upgrade_label_encoder(gml_draft *draft);
gml_status gml_upgrade_lp_pool(gml_draft *draft);
gml_status gml_upgrade_pad(gml_draft *draft);
gml_status gml_upgrade_recurrent(gml_draft *draft);
gml_status gml_upgrade_reshape(gml_draft *draft);
gml_status gml_upgrade_roi_align(gml_draft *draft);
gml_status gml_upgrade_scatter(gml_draft *draft);
gml_status gml_upgrade_selu(gml_draft *draft);
gml_status gml_upgrade_slice(gml_draft *draft);
gml_status gml_upgrade_split(gml_draft *draft);
gml_status gml_upgrade_top_k(gml_draft *draft);

/* opset_math.c: operators whose meaning changed */
gml_status gml_upgrade_batch_normalization(gml_draft *draft);
gml_status gml_upgrade_broadcast(gml_draft *draft);
gml_status gml_upgrade_group_normalization(gml_draft *draft);
gml_status gml_upgrade_p_relu(gml_draft *draft);
gml_status gml_upgrade_resize(gml_draft *draft);
gml_status gml_upgrade_softmax(gml_draft *draft);
gml_status gml_upgrade_tile(gml_draft *draft);
gml_status gml_upgrade_upsample(gml_draft *draft);

#endif
