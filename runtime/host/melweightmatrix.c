/* runtime/host/melweightmatrix.c - triangles that add spectrogram bins up to mel bands.
 *
 * Band edges lie at equal steps of the mel scale, 2595 log10(1 + f / 700), and are rounded down
 * to bins of the spectrum. Column b rises from 0 at edge b to 1 at edge b + 1 and falls to 0 at
 * edge b + 2. */
#include "runtime/host/host_util.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static double mel_of(double hertz)
{
    return 2595 * log10(1 + hertz / 700);
}

/* The five operands. */
typedef struct mel {
    int64_t n_bands, dft_length, sample_rate;
    double lowest, highest; /* hertz */
} mel;

static int64_t edge(const mel *m, int64_t i)
{
    double low = mel_of(m->lowest);
    double step = (mel_of(m->highest) - low) / (double)(m->n_bands + 2);
    double hertz = 700 * (pow(10, (low + (double)i * step) / 2595) - 1);
    double bin = floor((double)(m->dft_length + 1) * hertz / (double)m->sample_rate);
    return bin > 0 ? (int64_t)bin : 0; /* rounding may have gone below zero hertz */
}

static gml_status read_operands(gml_host_call *call, mel *m)
{
    for (unsigned k = 0; k < 5; k++) {
        const gml_tensor *operand = NULL;
        GML_TRY(gml_host_require(call, k, &operand));
        if (gml_tensor_numel(operand) != 1)
            return gml_host_fail(call, GML_E_SHAPE, "operand %u is no scalar", k);
    }
    m->n_bands = gml_host_get_int(&call->inputs[0].tensor, 0);
    m->dft_length = gml_host_get_int(&call->inputs[1].tensor, 0);
    m->sample_rate = gml_host_get_int(&call->inputs[2].tensor, 0);
    m->lowest = gml_host_get_float(&call->inputs[3].tensor, 0);
    m->highest = gml_host_get_float(&call->inputs[4].tensor, 0);
    const int64_t limit = 1 << 24;
    if (m->n_bands < 1 || m->n_bands > limit || m->dft_length < 1 || m->dft_length > limit ||
        m->sample_rate < 1)
        return gml_host_fail(call, GML_E_RANGE,
                             "%" PRId64 " bands, DFT length %" PRId64 ", sample rate %" PRId64,
                             m->n_bands, m->dft_length, m->sample_rate);
    if (!(m->lowest >= 0 && m->lowest <= m->highest && m->highest <= (double)m->sample_rate))
        return gml_host_fail(call, GML_E_RANGE, "the band edges %g to %g Hz", m->lowest,
                             m->highest);
    return GML_OK;
}

gml_status gml_host_melweightmatrix(gml_host_call *call)
{
    mel m = {0};
    GML_TRY(read_operands(call, &m));
    int64_t n_bins = m.dft_length / 2 + 1;
    const gml_tensor *y = NULL; /* (n_bins, n_bands) */
    GML_TRY(gml_host_alloc(call, 0, (gml_dtype)gml_host_int(call, "output_datatype", GML_F32),
                           2, (const int64_t[]){n_bins, m.n_bands}, &y));
    memset(y->data, 0, (size_t)gml_tensor_numel(y) * gml_dtype_size(y->dtype));
    for (int64_t band = 0; band < m.n_bands; band++) {
        int64_t low = edge(&m, band);
        int64_t centre = edge(&m, band + 1);
        int64_t high = edge(&m, band + 2);
        if (low == centre && centre < n_bins)
            gml_host_put(y, centre * m.n_bands + band, 1);
        for (int64_t i = low; low != centre && i <= centre && i < n_bins; i++)
            gml_host_put(y, i * m.n_bands + band, (double)(i - low) / (double)(centre - low));
        for (int64_t i = centre; centre != high && i < high && i < n_bins; i++)
            gml_host_put(y, i * m.n_bands + band, (double)(high - i) / (double)(high - centre));
    }
    return GML_OK;
}
