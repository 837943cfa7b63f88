/* scripts/gpu/launch.cu - what it costs to launch a kernel that does nothing: alone and waited for, in
 * a stream, and as a node of a CUDA graph. */
#include "report.h"

#include <cuda_runtime.h>

__global__ void nothing() {}

static report r;

static void check(const char *what, cudaError_t status)
{
    if (status != cudaSuccess)
        report_fail(&r, what, cudaGetErrorString(status));
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median over repeats of the microseconds that one launch takes. */
static void measure(const char *name, int launches, cudaStream_t stream, cudaGraphExec_t graph)
{
    enum { REPEATS = 21 };
    double us[REPEATS];
    for (int i = -3; i < REPEATS; i++) {
        double begin = report_now();
        if (graph)
            check("cudaGraphLaunch", cudaGraphLaunch(graph, stream));
        else
            for (int k = 0; k < launches; k++)
                nothing<<<1, 1, 0, stream>>>();
        check("launch", cudaGetLastError());
        check("wait", cudaStreamSynchronize(stream));
        if (i >= 0)
            us[i] = (report_now() - begin) * 1e6 / launches;
    }
    qsort(us, REPEATS, sizeof *us, ascending);
    report_add(&r, REPORT_RESULTS,
               "{\"name\": \"%s\", \"launches\": %d, \"us_each\": {\"median\": %.3f, \"p10\": %.3f, "
               "\"p90\": %.3f}}",
               name, launches, us[REPEATS / 2], us[REPEATS / 10], us[REPEATS * 9 / 10]);
}

int main(int argc, char **argv)
{
    report_begin(&r, "launch", argc, argv);
    int launches = r.smoke ? 10 : 1000;
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    check("cudaStreamCreate", cudaStreamCreate(&stream));
    measure("one launch and wait", 1, stream, NULL);
    measure("launches in a stream", launches, stream, NULL);
    check("capture", cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    for (int k = 0; k < launches; k++)
        nothing<<<1, 1, 0, stream>>>();
    check("capture", cudaStreamEndCapture(stream, &graph));
    check("cudaGraphInstantiate", cudaGraphInstantiate(&exec, graph, 0));
    measure("nodes of a graph", launches, stream, exec);
    return 0;
}
