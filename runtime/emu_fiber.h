/* runtime/emu_fiber.h - stacks that take turns on one thread. Private to the emulator.
 *
 * A fiber starts its function again each time it is reset. Stacks are mapped once, with a page
 * below that faults, and kept. Only x86-64 has them (gml_fiber_exists). One thread at a time.
 */
#ifndef GML_RUNTIME_EMU_FIBER_H
#define GML_RUNTIME_EMU_FIBER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct gml_fiber {
    void *sp;
    char *stack; /* NULL: the stack that the process gave to a thread */
    size_t size;
    void *fake; /* AddressSanitizer's */
} gml_fiber;

bool gml_fiber_exists(void);
/* Maps a stack; false: there is no memory. */
bool gml_fiber_create(gml_fiber *fiber);
/* The next switch to it calls `start`, which never returns. `number` moves the top a little, so
 * that stacks do not meet in the same lines of the cache. */
void gml_fiber_reset(gml_fiber *fiber, unsigned number, void (*start)(void));
/* Goes on in `to`; returns when someone switches back to `from`. */
void gml_fiber_switch(gml_fiber *from, gml_fiber *to);
/* First in `start`. */
void gml_fiber_started(void);

#endif
