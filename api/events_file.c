/* api/events_file.c - TensorBoard's records. */
#include "api/events_file.h"

#include <events.pb-c.h>
#include <string.h>

#define GML_EVENTS_VERSION "brain.Event:2"
#define GML_RECORD_HEAD    12 /* length and its checksum */
#define GML_RECORD_TAIL    4

/* ---- records ------------------------------------------------------------------------------
 */

/* Bit by bit: a record has some hundred bytes. */
uint32_t gml_crc32c(const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

static uint32_t masked(const void *bytes, size_t len)
{
    uint32_t crc = gml_crc32c(bytes, len);
    return (crc >> 15 | crc << 17) + UINT32_C(0xa282ead8);
}

static void put_number(gml_str *out, uint64_t value, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++)
        gml_str_putc(out, (char)(value >> 8 * i & 0xff));
}

static uint64_t get_number(const unsigned char *at, int n_bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < n_bytes; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* ---- events -------------------------------------------------------------------------------
 */

static void put_event(const Gemel__Event *event, gml_str *out)
{
    size_t len = gemel__event__get_packed_size(event);
    size_t start = out->len;
    put_number(out, len, 8);
    put_number(out, masked(out->text + start, 8), 4);
    for (size_t i = 0; i < len; i++)
        gml_str_putc(out, '\0');
    uint8_t *bytes = (uint8_t *)out->text + start + GML_RECORD_HEAD;
    (void)gemel__event__pack(event, bytes);
    put_number(out, masked(bytes, len), 4);
}

void gml_events_begin(double time, gml_str *out)
{
    char version[] = GML_EVENTS_VERSION;
    Gemel__Event event = GEMEL__EVENT__INIT;
    event.wall_time = time;
    event.file_version = version;
    put_event(&event, out);
}

void gml_events_add(int64_t step, double time, const gml_scalar *scalars, size_t n,
                    gml_str *out)
{
    gml_arena arena;
    gml_arena_init(&arena);
    Gemel__EventSummary summary = GEMEL__EVENT_SUMMARY__INIT;
    Gemel__EventScalar *values = gml_new_array(&arena, Gemel__EventScalar, n + 1);
    summary.n_value = n;
    summary.value = gml_new_array(&arena, Gemel__EventScalar *, n + 1);
    for (size_t i = 0; i < n; i++) {
        values[i] = (Gemel__EventScalar)GEMEL__EVENT_SCALAR__INIT;
        values[i].tag = gml_arena_text(&arena, scalars[i].name, strlen(scalars[i].name));
        values[i].simple_value = (float)scalars[i].value;
        summary.value[i] = &values[i];
    }
    Gemel__Event event = GEMEL__EVENT__INIT;
    event.wall_time = time;
    event.step = step;
    event.summary = &summary;
    put_event(&event, out);
    gml_arena_reset(&arena);
}

/* The step of an event; -1 when the bytes are none. */
static int64_t step_of(const unsigned char *bytes, size_t len)
{
    Gemel__Event *event = gemel__event__unpack(NULL, len, bytes);
    int64_t step = event != NULL ? event->step : -1;
    gemel__event__free_unpacked(event, NULL);
    return step;
}

size_t gml_events_keep(const void *bytes, size_t len, int64_t step)
{
    const unsigned char *at = bytes;
    size_t kept = 0;
    while (len - kept >= GML_RECORD_HEAD + GML_RECORD_TAIL) {
        const unsigned char *record = at + kept;
        uint64_t size = get_number(record, 8);
        if (get_number(record + 8, 4) != masked(record, 8) ||
            size > len - kept - GML_RECORD_HEAD - GML_RECORD_TAIL)
            break;
        const unsigned char *event = record + GML_RECORD_HEAD;
        if (get_number(event + size, 4) != masked(event, (size_t)size))
            break;
        int64_t found = step_of(event, (size_t)size);
        if (found < 0 || found > step)
            break;
        kept += GML_RECORD_HEAD + (size_t)size + GML_RECORD_TAIL;
    }
    return kept;
}
