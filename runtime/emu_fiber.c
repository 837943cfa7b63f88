/* runtime/emu_fiber.c - stacks that take turns on one thread.
 *
 * A switch saves the registers that a call preserves and jumps: some 3 ns, where swapcontext
 * asks the kernel for the signal mask and takes 100 times as long. It ends in a jump and not in
 * a return, which processors foretell from the calls that came before. */
#define _DEFAULT_SOURCE
#include "runtime/emu_fiber.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#    define HAS_ASAN 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define HAS_ASAN 1
#    endif
#endif
#ifdef HAS_ASAN
#    include <sanitizer/asan_interface.h>
#    include <sanitizer/common_interface_defs.h>
#endif

#define STACK_BYTES ((size_t)256 << 10)

#ifdef __x86_64__

bool gml_fiber_exists(void)
{
    return true;
}

/* rdi: where to leave the stack pointer; rsi: the one to go on with. Outside of any function:
 * the compiler may suppose nothing of what it leaves in registers. */
void gml_fiber_swap(void **save, void *to);
__asm__(".text\n"
        ".p2align 4\n"
        ".globl gml_fiber_swap\n"
        ".hidden gml_fiber_swap\n"
        ".type gml_fiber_swap, @function\n"
        "gml_fiber_swap:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    popq %rcx\n"
        "    jmpq *%rcx\n"
        ".size gml_fiber_swap, .-gml_fiber_swap\n");

#else

bool gml_fiber_exists(void)
{
    return false;
}

static void gml_fiber_swap(void **save, void *to)
{
    (void)save;
    (void)to;
}

#endif

#ifdef HAS_ASAN

static gml_fiber *leaving;

/* The sanitizer tells the bounds of the stack that was left: of a thread's own, all there is to
 * know of them. */
static void finish(void *fake)
{
    const void *bottom = NULL;
    size_t size = 0;
    __sanitizer_finish_switch_fiber(fake, &bottom, &size);
    if (!leaving->stack || leaving->size == 0) {
        leaving->stack = (char *)(uintptr_t)bottom;
        leaving->size = size;
    }
}

void gml_fiber_started(void)
{
    finish(NULL);
}

void gml_fiber_switch(gml_fiber *from, gml_fiber *to)
{
    leaving = from;
    __sanitizer_start_switch_fiber(&from->fake, to->stack, to->size);
    gml_fiber_swap(&from->sp, to->sp);
    finish(from->fake);
}

#else

void gml_fiber_started(void) {}

void gml_fiber_switch(gml_fiber *from, gml_fiber *to)
{
    gml_fiber_swap(&from->sp, to->sp);
}

#endif

bool gml_fiber_create(gml_fiber *fiber)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, page + STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    if (mprotect(memory, page, PROT_NONE) != 0) {
        munmap(memory, page + STACK_BYTES);
        return false;
    }
    fiber->stack = memory + page;
    fiber->size = STACK_BYTES;
    return true;
}

void gml_fiber_reset(gml_fiber *fiber, unsigned number, void (*start)(void))
{
#ifdef HAS_ASAN
    __asan_unpoison_memory_region(fiber->stack, fiber->size);
#endif
    char *top = fiber->stack + fiber->size - (size_t)(number % 61) * 64;
    void **sp = (void **)(void *)top;
    *--sp = NULL; /* where `start` would return to: it is entered as if by a call, 8 bytes below
                     a multiple of 16 */
    sp -= 7;
    for (int i = 0; i < 6; i++)
        sp[i] = NULL;
    sp[6] = (void *)(uintptr_t)start;
    fiber->sp = sp;
    fiber->fake = NULL;
}
