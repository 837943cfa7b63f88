/* runtime/emu_wgmma.c - products of a warpgroup, as the emulator makes them.
 *
 * PTX ISA, "wgmma.mma_async": D = A B + D of 64 x n x 16, with A and B in shared memory and D
 * in the registers of 128 threads. Thread t holds of D ("D fragment layout of m64nNk16") the
 * rows 16 (t / 32) + t % 32 / 4 and the eighth below, and of every eight columns the pair 2 (t
 * % 4).
 *
 * Where an element lies is in a matrix descriptor ("Matrix descriptor format"), in 16 bytes:
 *     bits  0-13 start, 16-29 leading byte offset, 32-45 stride byte offset; 49-51 base offset;
 *     62-63 swizzle, of which 1, 128 bytes, is modelled.
 * With it ("Strides", "Canonical layouts"; elements of 2 bytes):
 *     along k  lines of 128 bytes along k, eight of them to a pattern of 1024 bytes, the next
 *              eight rows (or columns of B) a stride further; the leading offset is not used
 *     along m or n  lines of 64 elements along m or n, eight k to a pattern, the next eight k a
 *              stride further, the next 64 elements a leading offset
 * and then bits 4 to 6 of the address are replaced by their exclusive or with bits 7 to 9. The
 * start may lie inside of a line, never at another line than a pattern's first: that is what a
 * base offset of 0 says.
 *
 * A group happens at any time between its commit and the wait: here when it is issued
 * (options.early), or at the first wait that it must be over for. The sums are in no thread's
 * hands before its own wait: until then it holds tokens, NaN in arithmetic, by which the next
 * product of the chain finds them. */
#include "runtime/emu_calls.h"
#include "runtime/emu_hopper.h"

#include <stdlib.h>
#include <string.h>

#define GML_ROWS   64
#define GML_DEPTH  16
#define GML_MOST   256 /* columns */
#define GML_TOKEN  UINT32_C(0xffe00000)
#define GML_TOKENS UINT32_C(0xfffff)

/* Sums that products without a wait between them add to. */
typedef struct chain {
    uint32_t token; /* 0: free */
    unsigned n_columns, n_taken;
    uint32_t last_group;
    float sums[GML_ROWS][GML_MOST];
} chain;

typedef struct product {
    uint64_t a, b;
    uint32_t form, group;
    chain *chain;
} product;

typedef struct warpgroup {
    unsigned n_here;
    uint32_t first; /* thread */
    uint32_t *words[128];
    uint64_t a, b;
    uint32_t form;
    uint32_t n_tokens;
    product *products; /* that did not happen, oldest first */
    size_t n_products, capacity;
    chain *chains[8];
} warpgroup;

static warpgroup groups[GML_EMU_GROUPS];
static uint32_t commits[GML_EMU_THREADS]; /* groups of each thread */
static bool fenced[GML_EMU_THREADS];      /* since it had its registers */

void gml_emu_wgmma_reset(void)
{
    for (unsigned g = 0; g < GML_EMU_GROUPS; g++) {
        groups[g].n_here = groups[g].n_tokens = 0;
        groups[g].n_products = 0;
        for (unsigned i = 0; i < 8 && groups[g].chains[i]; i++)
            groups[g].chains[i]->token = 0;
    }
    memset(commits, 0, sizeof commits);
    memset(fenced, 0, sizeof fenced);
}

/* ---- operands -----------------------------------------------------------------------------
 */

typedef struct matrix {
    uint32_t start, leading, stride;
    bool is_mn; /* lines along m or n */
} matrix;

static matrix read_descriptor(uint64_t bits, bool is_mn, const char *site)
{
    matrix m = {.start = (uint32_t)(bits & 0x3fff) << 4,
                .leading = (uint32_t)(bits >> 16 & 0x3fff) << 4,
                .stride = (uint32_t)(bits >> 32 & 0x3fff) << 4,
                .is_mn = is_mn};
    if (bits >> 62 != 1 || bits & UINT64_C(0x3ff1c000c000c000))
        gml_emu_stop(gml_emu.current,
                     "%s: matrix descriptor %016llx has another swizzle than of 128 bytes, or "
                     "unused bits set",
                     site, (unsigned long long)bits);
    if (bits >> 49 & 7 || m.start >> 7 & 7)
        gml_emu_stop(
            gml_emu.current,
            "%s: a matrix at byte %u of shared memory with base offset %u begins inside "
            "of a pattern of 1024 bytes",
            site, m.start, (unsigned)(bits >> 49 & 7));
    return m;
}

static uint32_t place_of(const matrix *m, unsigned mn, unsigned k)
{
    uint32_t at = m->start;
    if (m->is_mn)
        at += mn % 64 * 2 + mn / 64 * m->leading + k % 8 * 128 + k / 8 * m->stride;
    else
        at += mn % 8 * 128 + mn / 8 * m->stride + k * 2;
    return at ^ (at >> 7 & 7) << 4;
}

static float element(const matrix *m, unsigned mn, unsigned k)
{
    uint16_t bits = 0;
    memcpy(&bits, gml_emu.shared + place_of(m, mn, k), sizeof bits);
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* What all threads of the current one's warpgroup know to be over. */
static gml_emu_clock common_clock(void)
{
    uint32_t first = gml_emu.current & ~127U;
    gml_emu_clock least = gml_emu_clocks[first];
    for (uint32_t t = first + 1; t < first + 128; t++)
        for (unsigned i = 0; i < GML_EMU_MBARRIERS; i++)
            if (gml_emu_clocks[t].of[i] < least.of[i])
                least.of[i] = gml_emu_clocks[t].of[i];
    return least;
}

/* Of 16 bytes that a warpgroup is to read: what was written there has arrived, for each of its
 * threads. */
static void check_piece(uint32_t piece, const gml_emu_clock *common, const char *site)
{
    const gml_emu_writer *w = &gml_emu_writers[piece];
    const gml_emu_piece *p = &gml_emu_pieces[piece];
    uint32_t first = gml_emu.current & ~127U;
    if (w->thread) {
        gml_emu_access(gml_emu.shared + (size_t)piece * 16, 16, 16, GML_EMU_LOAD, site);
        if (gml_emu_fences[w->thread - 1] <= w->fences)
            gml_emu_stop(
                gml_emu.current,
                "%s reads byte %u of shared memory, which thread %u wrote without a proxy "
                "fence behind it",
                site, piece * 16, w->thread - 1);
    }
    if (p->barrier && common->of[p->barrier - 1] <= p->phase)
        for (uint32_t t = first; t < first + 128; t++)
            gml_emu_check_arrived(piece, t, site);
}

/* Marks what the warpgroup reads from here on. */
static void claim(const matrix *m, unsigned extent, uint32_t group, const char *site)
{
    unsigned number = gml_emu.current / 128;
    gml_emu_clock common = common_clock();
    for (unsigned mn = 0; mn < extent; mn += m->is_mn ? 8 : 1)
        for (unsigned k = 0; k < GML_DEPTH; k += m->is_mn ? 1 : 8) {
            uint32_t at = place_of(m, mn, k);
            if (at > gml_emu.n_shared - 16)
                gml_emu_stop(gml_emu.current, "%s reads byte %u of %u of shared memory", site,
                             at, gml_emu.n_shared);
            check_piece(at / 16, &common, site);
            gml_emu_pieces[at / 16].readers[number] = group + 1;
        }
}

/* ---- products -----------------------------------------------------------------------------
 */

static void happen(const product *p, const char *site)
{
    static float b[GML_DEPTH][GML_MOST];
    unsigned n = p->form & GML_EMU_WGMMA_N;
    matrix rows = read_descriptor(p->a, p->form & GML_EMU_WGMMA_A_IS_MN, site);
    matrix columns = read_descriptor(p->b, p->form & GML_EMU_WGMMA_B_IS_MN, site);
    for (unsigned k = 0; k < GML_DEPTH; k++)
        for (unsigned j = 0; j < n; j++)
            b[k][j] = element(&columns, j, k);
    for (unsigned i = 0; i < GML_ROWS; i++) {
        float *sums = p->chain->sums[i];
        for (unsigned k = 0; k < GML_DEPTH; k++) {
            float a = element(&rows, i, k);
            for (unsigned j = 0; j < n; j++)
                sums[j] += a * b[k][j];
        }
    }
}

/* All of the warpgroup's groups below `end`. */
static void happen_until(warpgroup *g, uint32_t end, const char *site)
{
    size_t n = 0;
    for (; n < g->n_products && g->products[n].group < end; n++)
        happen(&g->products[n], site);
    if (n == 0)
        return;
    g->n_products -= n;
    memmove(g->products, g->products + n, g->n_products * sizeof *g->products);
}

/* Word i of a thread. */
static float *sum_of(chain *c, unsigned thread, unsigned i)
{
    return &c->sums[thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8]
                   [i / 4 * 8 + thread % 4 * 2 + i % 2];
}

static chain *find_chain(const warpgroup *g, const uint32_t *words, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (words[i] != words[0])
            return NULL;
    for (unsigned i = 0; i < 8 && g->chains[i]; i++)
        if (g->chains[i]->token && g->chains[i]->token == words[0])
            return g->chains[i];
    return NULL;
}

static chain *free_chain(warpgroup *g, const char *site)
{
    unsigned i = 0;
    while (i < 8 && g->chains[i] && g->chains[i]->token)
        i++;
    if (i < 8 && !g->chains[i])
        g->chains[i] = malloc(sizeof(chain));
    if (i == 8 || !g->chains[i])
        gml_emu_stop(gml_emu.current, "%s: more than 8 products whose sums nobody waits for",
                     site);
    chain *c = g->chains[i];
    c->n_taken = 0;
    c->token = GML_TOKEN | g->n_tokens++ % GML_TOKENS;
    return c;
}

/* Sums that all threads hold themselves. */
static chain *begin_chain(warpgroup *g, unsigned n, const char *site)
{
    uint32_t first = gml_emu.current & ~127U;
    chain *c = free_chain(g, site);
    c->n_columns = n;
    for (unsigned t = 0; t < 128; t++) {
        if (!fenced[first + t])
            gml_emu_stop(first + t, "%s takes sums out of registers without wgmma.fence", site);
        for (unsigned i = 0; i < n / 2; i++) {
            float *sum = sum_of(c, t, i);
            memcpy(sum, &g->words[t][i], sizeof *sum);
            *sum = g->form & GML_EMU_WGMMA_ACCUMULATE ? *sum : 0;
        }
    }
    return c;
}

static void add_product(warpgroup *g, const product *p, const char *site)
{
    if (g->n_products == g->capacity) {
        size_t more = g->capacity ? g->capacity * 2 : 16;
        product *grown = realloc(g->products, more * sizeof *grown);
        if (!grown)
            gml_emu_stop(gml_emu.current, "%s: no memory", site);
        g->products = grown;
        g->capacity = more;
    }
    g->products[g->n_products++] = *p;
}

/* All threads of the warpgroup are here. */
static void issue(warpgroup *g, const char *site)
{
    uint32_t first = gml_emu.current & ~127U;
    unsigned n = g->form & GML_EMU_WGMMA_N;
    chain *c = find_chain(g, g->words[0], n / 2);
    bool goes_on = c && g->form & GML_EMU_WGMMA_ACCUMULATE && c->n_columns == n;
    for (unsigned t = 0; t < 128; t++) {
        if (commits[first + t] != commits[first])
            gml_emu_stop(first + t, "%s: threads of a warpgroup committed other groups", site);
        if (find_chain(g, g->words[t], n / 2) != c)
            gml_emu_stop(first + t, "%s: its sums are another product's than thread %u's", site,
                         first);
    }
    product p = {.a = g->a,
                 .b = g->b,
                 .form = g->form,
                 .group = commits[first],
                 .chain = goes_on ? c : begin_chain(g, n, site)};
    p.chain->last_group = p.group;
    if (!gml_emu.options.unchecked) {
        matrix rows = read_descriptor(p.a, p.form & GML_EMU_WGMMA_A_IS_MN, site);
        matrix columns = read_descriptor(p.b, p.form & GML_EMU_WGMMA_B_IS_MN, site);
        claim(&rows, GML_ROWS, p.group, site);
        claim(&columns, n, p.group, site);
    }
    if (gml_emu.options.early)
        happen(&p, site);
    else
        add_product(g, &p, site);
    for (unsigned t = 0; t < 128; t++)
        for (unsigned i = 0; i < n / 2; i++)
            g->words[t][i] = p.chain->token;
}

void gml_emu_wgmma(uint32_t *words, uint64_t a, uint64_t b, uint32_t form, const char *site)
{
    warpgroup *g = &groups[gml_emu.current / 128];
    uint32_t first = gml_emu.current & ~127U;
    unsigned n = form & GML_EMU_WGMMA_N;
    gml_emu_hopper_begin();
    if (first + 128 > gml_emu.threads || n == 0 || n % 8 || n > GML_MOST)
        gml_emu_stop(gml_emu.current, "%s: %u columns, in a block of %u threads", site, n,
                     gml_emu.threads);
    if (g->n_here == 0) {
        g->first = gml_emu.current;
        g->a = a;
        g->b = b;
        g->form = form;
    }
    const gml_emu_thread_state *other = &gml_emu.all[g->first];
    if (g->n_here > 0 && other->site != site) {
        gml_emu.all[gml_emu.current].wait = GML_EMU_IN_WGMMA;
        gml_emu.all[gml_emu.current].site = site;
        gml_emu_stop_waiting(g->first, gml_emu.current);
    }
    if (g->a != a || g->b != b || g->form != form)
        gml_emu_stop(gml_emu.current, "%s: its operands are others than thread %u's", site,
                     g->first);
    g->words[gml_emu.current - first] = words;
    gml_emu.all[gml_emu.current].site = site;
    if (++g->n_here < 128) {
        gml_emu_wait_for(GML_EMU_IN_WGMMA, site);
        return;
    }
    g->n_here = 0;
    issue(g, site);
    for (uint32_t t = first; t < first + 128; t++)
        if (t != gml_emu.current)
            gml_emu_make_ready(t);
}

void gml_emu_wgmma_fence(const char *site)
{
    (void)site;
    fenced[gml_emu.current] = true;
}

void gml_emu_wgmma_commit(const char *site)
{
    (void)site;
    commits[gml_emu.current]++;
}

/* The words of sums that are done become the sums. */
void gml_emu_wgmma_wait(uint32_t pending, uint32_t *words, uint32_t n_words, const char *site)
{
    uint32_t me = gml_emu.current;
    warpgroup *g = &groups[me / 128];
    uint32_t end = commits[me] > pending ? commits[me] - pending : 0;
    happen_until(g, end, site);
    uint32_t *known = &gml_emu_clocks[me].of[GML_EMU_CLOCK_WARP + me / 32];
    *known = end > *known ? end : *known;
    chain *c = n_words ? find_chain(g, words, n_words) : NULL;
    if (!c || c->last_group >= end)
        return;
    for (unsigned i = 0; i < n_words; i++)
        memcpy(&words[i], sum_of(c, me % 128, i), sizeof *words);
    fenced[me] = false;
    if (++c->n_taken == 128)
        c->token = 0;
}
