/* tests/unit/test_artifact_elf.c - api/artifact_elf.h: a note becomes a segment. */
#include "api/artifact_elf.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { N_SEGMENTS = 4, N_SECTIONS = 3 };

/* As a linker may order things: the note stands before a segment that is loaded. */
typedef struct elf_file {
    Elf64_Ehdr header;
    Elf64_Phdr segments[N_SEGMENTS];
    char note[20];
    char names[32];
    Elf64_Shdr sections[N_SECTIONS];
    char end[3];
} elf_file;

static elf_file make_file(void)
{
    elf_file f = {.header = {.e_phoff = offsetof(elf_file, segments),
                             .e_phentsize = sizeof(Elf64_Phdr),
                             .e_phnum = N_SEGMENTS,
                             .e_shoff = offsetof(elf_file, sections),
                             .e_shentsize = sizeof(Elf64_Shdr),
                             .e_shnum = N_SECTIONS,
                             .e_shstrndx = 2}};
    memcpy(f.header.e_ident, ELFMAG, SELFMAG);
    f.header.e_ident[EI_CLASS] = ELFCLASS64;
    f.header.e_ident[EI_DATA] = ELFDATA2LSB;
    f.segments[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_filesz = 100, .p_memsz = 100};
    f.segments[1] = (Elf64_Phdr){
        .p_type = PT_NOTE, .p_offset = offsetof(elf_file, note), .p_filesz = sizeof f.note};
    f.segments[2] = (Elf64_Phdr){.p_type = PT_LOAD,
                                 .p_vaddr = 0x5000,
                                 .p_filesz = 1,
                                 .p_memsz = 0x2001,
                                 .p_align = 0x4000};
    f.segments[3] = (Elf64_Phdr){.p_type = PT_GNU_STACK};
    memcpy(f.names, "\0.names\0" GML_IMAGE_SECTION, sizeof ".names" + sizeof GML_IMAGE_SECTION);
    f.sections[1] = (Elf64_Shdr){.sh_name = 8,
                                 .sh_type = SHT_NOTE,
                                 .sh_offset = offsetof(elf_file, note),
                                 .sh_size = sizeof f.note};
    f.sections[2] = (Elf64_Shdr){.sh_name = 1,
                                 .sh_type = SHT_STRTAB,
                                 .sh_offset = offsetof(elf_file, names),
                                 .sh_size = sizeof f.names};
    return f;
}

static void the_note_becomes_the_last_loaded_segment(void **state)
{
    (void)state;
    elf_file f = make_file();
    uint64_t offset = 0;
    assert_null(gml_elf_add_image((char *)&f, sizeof f, 12345, &offset));
    assert_true(offset >= sizeof f && offset < sizeof f + 0x4000 && offset % 0x4000 == 0);
    assert_int_equal(f.segments[0].p_filesz, 100);
    assert_int_equal(f.segments[1].p_vaddr, 0x5000);
    assert_int_equal(f.segments[3].p_type, PT_GNU_STACK);
    const Elf64_Phdr *image = &f.segments[2];
    assert_int_equal(image->p_type, PT_LOAD);
    assert_int_equal(image->p_flags, PF_R);
    assert_int_equal(image->p_offset, offset);
    assert_int_equal(image->p_vaddr, 0x8000); /* behind 0x7001 */
    assert_int_equal(image->p_filesz, 12345);
    assert_int_equal(image->p_memsz, 12345);
    assert_int_equal(image->p_align, 0x4000);
    assert_int_equal(f.sections[1].sh_type, SHT_PROGBITS);
    assert_int_equal(f.sections[1].sh_addr, image->p_vaddr);
    assert_int_equal(f.sections[1].sh_offset, offset);
    assert_int_equal(f.sections[1].sh_size, 12345);
}

static void assert_refused(elf_file f, size_t len, const char *why)
{
    uint64_t offset = 0;
    elf_file before = f;
    const char *fault = gml_elf_add_image((char *)&f, len, 1, &offset);
    assert_non_null(fault);
    assert_non_null(strstr(fault, why));
    assert_memory_equal(&f, &before, sizeof f);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    elf_file f = make_file();
    for (size_t len = 0; len < offsetof(elf_file, end); len++)
        assert_refused(f, len, "no 64-bit ELF file");
    f.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_refused(f, sizeof f, "no 64-bit ELF file");
    f = make_file();
    f.header.e_shstrndx = N_SECTIONS;
    assert_refused(f, sizeof f, "no 64-bit ELF file");
    f = make_file();
    f.header.e_phoff = UINT64_MAX - 8;
    assert_refused(f, sizeof f, "no 64-bit ELF file");
    f = make_file();
    f.sections[1].sh_name = sizeof f.names + 1;
    assert_refused(f, sizeof f, "lost the section");
    f = make_file();
    f.sections[2].sh_offset = sizeof f;
    assert_refused(f, sizeof f, "lost the section");
    f = make_file();
    f.segments[1].p_type = PT_NULL;
    assert_refused(f, sizeof f, "no segment for the section");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_note_becomes_the_last_loaded_segment),
        cmocka_unit_test(other_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
