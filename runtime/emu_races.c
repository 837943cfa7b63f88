/* runtime/emu_races.c - races in device memory: what the blocks of one launch, and the threads
 * of a block between two barriers, do to the same bytes.
 *
 * Time is counted in stamps: every launch, block and barrier begins a new one. Some bytes have
 * two words, of who wrote them last and of who read them: the stamp, the thread and the site. A
 * stamp before the launch's first says nothing, one before the block's first says another
 * block, that of now says a thread that no barrier is between. Nothing is ever cleared.
 *
 * That is enough to miss nothing. Bytes have one block that writes them, or the launch has
 * ended, and of a block one thread a stamp; so its last write stands for all. Of reads the word
 * says whether other threads or blocks made some, too. Blocks run one after the other:
 * whichever of two accesses comes second finds the first.
 *
 * Words lie in pages, apart for reads and writes, since most memory has but one of them in a
 * launch. A page begins with a word for as many bytes as its first access claims, up to 16, and
 * becomes finer when a narrower one comes: neighbours of a byte never meet in a word, and a
 * vector is one look. */
#include "runtime/emu_calls.h"
#include "runtime/emu_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE     UINT64_C(4096)
#define COARSEST 4U /* log2 of the bytes that a word is of */

/* A word: stamp (30 bits), thread (10), three marks, and where the site's text lies (21). */
#define STAMP_SHIFT  34
#define THREAD_SHIFT 24
#define BLOCKS       (UINT64_C(1) << 23) /* other blocks read it, too */
#define THREADS      (UINT64_C(1) << 22) /* since the barrier, other threads of the block */
#define OPEN         (UINT64_C(1) << 21) /* an asynchronous copy reads it until waited for */
#define SITE_MASK    ((UINT64_C(1) << 21) - 1)
#define LAST_STAMP   ((UINT32_C(1) << 30) - 1)

typedef struct layer {
    uint64_t *words;  /* NULL: never any */
    unsigned shift;   /* there is room for words of 1 << shift bytes */
    uint32_t used_in; /* the launch */
} layer;

typedef struct page {
    uint32_t launch; /* its first stamp */
    unsigned shift;
    layer reads, writes;
} page;

struct gml_emu_shadow {
    uint64_t bytes;
    page pages[];
};

/* What is asked about. */
typedef struct access {
    gml_emu_shadow *shadow;
    uint64_t offset, bytes;
    uint64_t word; /* what it leaves behind */
    uint32_t kind;
    const char *site;
} access;

static uint32_t now, block_begin, launch_begin; /* stamps */
static uint32_t *block_begins;                  /* of the launch's blocks, up to this one */
static size_t most_blocks;
static const char *near_sites; /* of the launch: words have a site's distance from there */

gml_emu_shadow *gml_emu_shadow_create(size_t bytes)
{
    size_t n = bytes / PAGE + 1;
    gml_emu_shadow *shadow = calloc(1, sizeof *shadow + n * sizeof(page));
    if (shadow)
        shadow->bytes = bytes;
    return shadow;
}

void gml_emu_shadow_reset(gml_emu_shadow *shadow)
{
    for (uint64_t i = 0; i <= shadow->bytes / PAGE; i++) {
        free(shadow->pages[i].reads.words);
        free(shadow->pages[i].writes.words);
        shadow->pages[i] = (page){0};
    }
}

void gml_emu_shadow_destroy(gml_emu_shadow *shadow)
{
    if (shadow)
        gml_emu_shadow_reset(shadow);
    free(shadow);
}

/* ---- time ---------------------------------------------------------------------------------
 */

/* No stamp says anything any more. */
static void begin_again(void)
{
    gml_emu_reset_shadows();
    now = block_begin = launch_begin = 1;
}

void gml_emu_next_stamp(void)
{
    if (++now > LAST_STAMP)
        begin_again(); /* a launch of so many barriers misses what it did before */
}

bool gml_emu_begin_races(uint32_t blocks)
{
    near_sites = NULL;
    if (++now > LAST_STAMP / 2)
        begin_again();
    launch_begin = block_begin = now;
    if (blocks <= most_blocks)
        return true;
    uint32_t *grown = realloc(block_begins, blocks * sizeof *grown);
    if (!grown)
        return false;
    block_begins = grown;
    most_blocks = blocks;
    return true;
}

void gml_emu_begin_block(void)
{
    gml_emu_next_stamp();
    block_begin = now;
    block_begins[gml_emu.block] = now;
}

static uint32_t stamp_of(uint64_t word)
{
    return (uint32_t)(word >> STAMP_SHIFT);
}

static uint32_t thread_of(uint64_t word)
{
    return (word >> THREAD_SHIFT) % GML_EMU_THREADS;
}

/* The block that ran then. */
static uint32_t block_at(uint32_t stamp)
{
    uint32_t low = 0;
    uint32_t high = gml_emu.block;
    while (low < high) {
        uint32_t middle = high - (high - low) / 2;
        if (block_begins[middle] <= stamp)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* ---- reports ------------------------------------------------------------------------------
 */

/* The site in a word, 0 where it is too far away. */
static uint64_t code_of(const char *site)
{
    if (!near_sites)
        near_sites = site - SITE_MASK / 2;
    uint64_t far = (uint64_t)((uintptr_t)site - (uintptr_t)near_sites);
    return far <= SITE_MASK ? far : 0;
}

/* "Thread 3 of block 1 wrote in store 2 of k", of a word that an access races with. */
static void describe(uint64_t word, bool wrote, char *text, size_t size)
{
    const char *did = wrote ? "wrote" : "read";
    const char *since = "";
    char who[64];
    uint64_t site = word & SITE_MASK;
    if (stamp_of(word) < block_begin) {
        snprintf(who, sizeof who, "thread %u of block %u", thread_of(word),
                 block_at(stamp_of(word)));
    } else if (word & BLOCKS) {
        snprintf(who, sizeof who, "another block");
        site = 0;
    } else {
        snprintf(who, sizeof who, "thread %u%s", thread_of(word),
                 word & THREADS ? " and others" : "");
        since = stamp_of(word) == now ? " since the last barrier" : " while the copy was open";
    }
    snprintf(text, size, "%s %s%s%s%s", who, did, since, site ? ", in " : "",
             site ? near_sites + site : "");
}

static _Noreturn void stop_race(const access *a, uint64_t at, uint64_t word, bool wrote)
{
    char other[320];
    describe(word, wrote, other, sizeof other);
    gml_emu_stop(gml_emu.current,
                 "%s races: it %s byte %llu of an allocation of %llu bytes, which %s", a->site,
                 a->kind == GML_EMU_STORE ? "writes" : "reads",
                 (unsigned long long)(at < a->offset ? a->offset : at),
                 (unsigned long long)a->shadow->bytes, other);
}

static _Noreturn void stop_without_memory(const access *a)
{
    gml_emu_stop(gml_emu.current, "%s: no memory to look for races", a->site);
}

/* ---- pages --------------------------------------------------------------------------------
 */

static bool is_used(const layer *l)
{
    return l->used_in == launch_begin;
}

/* Room for words of 1 << shift bytes; those that are there stay. */
static void make_room(const access *a, layer *l, unsigned shift)
{
    if (l->words && l->shift <= shift)
        return;
    size_t old = l->words ? PAGE >> l->shift : 0;
    size_t count = PAGE >> shift;
    uint64_t *grown = realloc(l->words, count * sizeof *grown);
    if (!grown)
        stop_without_memory(a);
    memset(grown + old, 0, (count - old) * sizeof *grown);
    l->words = grown;
    l->shift = shift;
}

/* Each word becomes one for each of its parts. */
static void spread(const access *a, layer *l, unsigned from, unsigned to)
{
    if (!is_used(l))
        return;
    make_room(a, l, to);
    for (size_t i = PAGE >> to; i > 0; i--)
        l->words[i - 1] = l->words[(i - 1) >> (from - to)];
}

/* The page's words are of no more bytes than an access needs, given all its bounds. */
static void prepare_page(const access *a, page *p, uint64_t bounds)
{
    unsigned shift = (unsigned)__builtin_ctzll(bounds | UINT64_C(1) << COARSEST);
    if (p->launch == launch_begin && shift >= p->shift)
        return;
    if (p->launch == launch_begin) {
        spread(a, &p->reads, p->shift, shift);
        spread(a, &p->writes, p->shift, shift);
    }
    p->launch = launch_begin;
    p->shift = shift;
}

/* ---- accesses -----------------------------------------------------------------------------
 */

/* Others wrote it, in this launch or since the barrier. */
static bool is_written(uint64_t word, uint64_t mine)
{
    uint32_t stamp = stamp_of(word);
    if (stamp < launch_begin)
        return false;
    return stamp < block_begin || (stamp == now && thread_of(word) != thread_of(mine));
}

/* Others read it, or a copy does. */
static bool is_read(uint64_t word, uint64_t mine)
{
    uint32_t stamp = stamp_of(word);
    if (stamp < launch_begin)
        return false;
    if (stamp < block_begin || word & BLOCKS)
        return true;
    return stamp == now && (word & (THREADS | OPEN) || thread_of(word) != thread_of(mine));
}

/* The word of reads after one. */
static uint64_t add_read(uint64_t word, uint64_t mine)
{
    uint32_t stamp = stamp_of(word);
    if (stamp < launch_begin)
        return mine;
    if (stamp < block_begin)
        return mine | BLOCKS;
    if (stamp < now)
        return mine | (word & BLOCKS);
    return word | (thread_of(word) == thread_of(mine) ? mine & OPEN : THREADS);
}

/* Its words, of the page's shift: who uses a layer has room for them. */
static uint64_t *use(const access *a, layer *l, unsigned shift)
{
    if (!is_used(l))
        make_room(a, l, shift);
    l->used_in = launch_begin;
    return l->words;
}

static void touch_page(const access *a, uint64_t number, uint64_t from, uint64_t to)
{
    page *p = &a->shadow->pages[number];
    prepare_page(a, p, from | to);
    size_t first = from >> p->shift;
    size_t end = to >> p->shift;
    if (is_used(&p->writes))
        for (size_t i = first; i < end; i++)
            if (is_written(p->writes.words[i], a->word))
                stop_race(a, number * PAGE + (i << p->shift), p->writes.words[i], true);
    if (a->kind != GML_EMU_STORE) {
        uint64_t *words = use(a, &p->reads, p->shift);
        for (size_t i = first; i < end; i++)
            words[i] = add_read(words[i], a->word);
        return;
    }
    if (is_used(&p->reads))
        for (size_t i = first; i < end; i++)
            if (is_read(p->reads.words[i], a->word))
                stop_race(a, number * PAGE + (i << p->shift), p->reads.words[i], false);
    uint64_t *words = use(a, &p->writes, p->shift);
    for (size_t i = first; i < end; i++)
        words[i] = a->word;
}

static uint64_t word_of(const char *site)
{
    return (uint64_t)now << STAMP_SHIFT | (uint64_t)gml_emu.current << THREAD_SHIFT |
           code_of(site);
}

static void touch(const access *a)
{
    for (uint64_t at = a->offset; at < a->offset + a->bytes;) {
        uint64_t page_begin = at / PAGE * PAGE;
        uint64_t end = page_begin + PAGE;
        end = end < a->offset + a->bytes ? end : a->offset + a->bytes;
        touch_page(a, at / PAGE, at - page_begin, end - page_begin);
        at = end;
    }
}

void gml_emu_touch(gml_emu_shadow *shadow, uint64_t offset, uint64_t bytes, uint32_t kind,
                   const char *site)
{
    if (kind == GML_EMU_ATOMIC)
        return;
    touch(&(access){shadow, offset, bytes, word_of(site), kind, site});
}

/* ---- asynchronous copies ------------------------------------------------------------------
 */

uint32_t gml_emu_touch_open(gml_emu_shadow *shadow, uint64_t offset, const char *site)
{
    touch(&(access){shadow, offset, 16, word_of(site) | OPEN, GML_EMU_LOAD, site});
    return now;
}

/* Whoever writes the source in the stamp of the issue is stopped there, this thread by the mark
 * of open copies; whoever writes it in this one, by the read that the wait is. */
void gml_emu_touch_closed(gml_emu_shadow *shadow, uint64_t offset, uint32_t issued,
                          const char *site)
{
    access a = {shadow, offset, 16, word_of(site), GML_EMU_LOAD, site};
    uint64_t begin = offset % PAGE; /* of 16 aligned bytes, which are in one page */
    page *p = &shadow->pages[offset / PAGE];
    if (is_used(&p->writes))
        for (size_t i = begin >> p->shift; i < (begin + 16) >> p->shift; i++)
            if (stamp_of(p->writes.words[i]) > issued)
                stop_race(&a, offset - begin + (i << p->shift), p->writes.words[i], true);
    touch(&a);
    for (size_t i = begin >> p->shift; i < (begin + 16) >> p->shift; i++)
        p->reads.words[i] &= ~OPEN;
}
