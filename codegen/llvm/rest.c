/* codegen/llvm/rest.c - gives back the memory that LLVM's library fills with its file.
 *
 * Compiling reads some fifty megabytes of it, which stay resident beside a training that runs
 * for days. They are clean pages of a file: whoever compiles again reads them again. */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include "codegen/codegen.h"

#include <llvm-c/Core.h>

#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uintptr_t address_of_llvm(void)
{
    LLVMContextRef (*function)(void) = LLVMContextCreate;
    uintptr_t address = 0;
    memcpy(&address, &function, sizeof address);
    return address;
}

static bool holds(const struct dl_phdr_info *library, uintptr_t address)
{
    for (size_t i = 0; i < library->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &library->dlpi_phdr[i];
        if (part->p_type == PT_LOAD &&
            address - (library->dlpi_addr + part->p_vaddr) < part->p_memsz)
            return true;
    }
    return false;
}

static int forget(struct dl_phdr_info *library, size_t size, void *context)
{
    (void)size;
    (void)context;
    if (!holds(library, address_of_llvm()))
        return 0;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < library->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &library->dlpi_phdr[i];
        uintptr_t begin = (library->dlpi_addr + part->p_vaddr) / page * page;
        uintptr_t end = library->dlpi_addr + part->p_vaddr + part->p_filesz;
        union {
            uintptr_t number;
            void *pointer;
        } at = {.number = begin};
        if (part->p_type == PT_LOAD && !(part->p_flags & PF_W))
            (void)madvise(at.pointer, end - begin, MADV_DONTNEED);
    }
    return 1;
}

void gml_codegen_rest(void)
{
    (void)dl_iterate_phdr(forget, NULL);
}
