/* examples/run_model.c - one inference: run_model MODEL.onnx, whose input is one f32[1,3]. */
#include "gemel/gemel.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    gml_model *model = NULL;
    gml_session *session = NULL;
    float values[3] = {1, -2, 3};
    gml_tensor x = {.dtype = GML_F32, .rank = 2, .dims = {1, 3}, .data = values};
    gml_tensor y;
    if (gml_model_load(argc > 1 ? argv[1] : "model.onnx", &model) != GML_OK ||
        gml_session_create(model, &session) != GML_OK ||
        gml_session_set_input(session, gml_model_input(model, 0)->name, &x) != GML_OK ||
        gml_session_run(session) != GML_OK || gml_session_output(session, 0, &y) != GML_OK)
        return fputs(gml_error_text(), stderr), 1;
    for (int64_t i = 0; i < gml_tensor_numel(&y); i++)
        printf("%g\n", (double)((const float *)y.data)[i]);
    gml_session_destroy(session);
    gml_model_release(model);
    return 0;
}
