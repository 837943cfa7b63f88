/* api/artifact_elf.c - a note of an ELF file becomes a segment behind it. */
#include "api/artifact_elf.h"

#include "runtime/artifact.h"

#include <elf.h>
#include <string.h>

/* The tables of the file, copied out: in it they have any alignment. */
typedef struct library {
    char *bytes;
    size_t len;
    Elf64_Ehdr header;
} library;

static bool is_inside(const library *lib, uint64_t at, uint64_t size)
{
    return at <= lib->len && size <= lib->len - at;
}

static Elf64_Phdr get_segment(const library *lib, unsigned i)
{
    Elf64_Phdr segment;
    memcpy(&segment, lib->bytes + lib->header.e_phoff + i * sizeof segment, sizeof segment);
    return segment;
}

static void set_segment(const library *lib, unsigned i, const Elf64_Phdr *segment)
{
    memcpy(lib->bytes + lib->header.e_phoff + i * sizeof *segment, segment, sizeof *segment);
}

static Elf64_Shdr get_section(const library *lib, unsigned i)
{
    Elf64_Shdr section;
    memcpy(&section, lib->bytes + lib->header.e_shoff + i * sizeof section, sizeof section);
    return section;
}

static bool open_library(library *lib)
{
    Elf64_Ehdr *header = &lib->header;
    if (lib->len < sizeof *header)
        return false;
    memcpy(header, lib->bytes, sizeof *header);
    return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
           header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB &&
           header->e_phentsize == sizeof(Elf64_Phdr) &&
           header->e_shentsize == sizeof(Elf64_Shdr) &&
           is_inside(lib, header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr)) &&
           is_inside(lib, header->e_shoff, header->e_shnum * sizeof(Elf64_Shdr)) &&
           header->e_shstrndx < header->e_shnum;
}

/* The number of the section with the image's name; 0 when there is none. */
static unsigned find_section(const library *lib)
{
    Elf64_Shdr names = get_section(lib, lib->header.e_shstrndx);
    size_t len = sizeof GML_IMAGE_SECTION;
    if (!is_inside(lib, names.sh_offset, names.sh_size))
        return 0;
    for (unsigned i = 1; i < lib->header.e_shnum; i++) {
        Elf64_Shdr section = get_section(lib, i);
        if (section.sh_name <= names.sh_size && len <= names.sh_size - section.sh_name &&
            memcmp(lib->bytes + names.sh_offset + section.sh_name, GML_IMAGE_SECTION, len) == 0)
            return i;
    }
    return 0;
}

static uint64_t align(uint64_t value, uint64_t page)
{
    return (value + page - 1) / page * page;
}

/* The place of the image in memory and file, behind everything else in both. */
static Elf64_Phdr place_image(const library *lib, uint64_t size)
{
    Elf64_Phdr image = {.p_type = PT_LOAD,
                        .p_flags = PF_R,
                        .p_filesz = size,
                        .p_memsz = size,
                        .p_align = GML_ARTIFACT_ALIGN};
    uint64_t end = 0;
    for (unsigned i = 0; i < lib->header.e_phnum; i++) {
        Elf64_Phdr segment = get_segment(lib, i);
        if (segment.p_type != PT_LOAD)
            continue;
        if (segment.p_align > image.p_align)
            image.p_align = segment.p_align;
        if (segment.p_vaddr + segment.p_memsz > end)
            end = segment.p_vaddr + segment.p_memsz;
    }
    image.p_offset = align(lib->len, image.p_align);
    image.p_vaddr = align(end, image.p_align);
    image.p_paddr = image.p_vaddr;
    return image;
}

/* Loaded segments stand in the order of their addresses: the entry of the note goes behind the
 * last of them. */
static void replace_note(const library *lib, unsigned note, const Elf64_Phdr *image)
{
    unsigned at = note;
    for (unsigned i = note + 1; i < lib->header.e_phnum; i++)
        if (get_segment(lib, i).p_type == PT_LOAD)
            at = i;
    for (unsigned i = note; i < at; i++) {
        Elf64_Phdr next = get_segment(lib, i + 1);
        set_segment(lib, i, &next);
    }
    set_segment(lib, at, image);
}

const char *gml_elf_add_image(char *bytes, size_t len, uint64_t size, uint64_t *out_offset)
{
    library lib = {.bytes = bytes, .len = len};
    if (!open_library(&lib))
        return "it is no 64-bit ELF file";
    unsigned number = find_section(&lib);
    if (number == 0)
        return "it has lost the section " GML_IMAGE_SECTION;
    Elf64_Shdr section = get_section(&lib, number);
    unsigned note = 0;
    while (note < lib.header.e_phnum && (get_segment(&lib, note).p_type != PT_NOTE ||
                                         get_segment(&lib, note).p_offset != section.sh_offset))
        note++;
    if (note == lib.header.e_phnum)
        return "it has no segment for the section " GML_IMAGE_SECTION;
    Elf64_Phdr image = place_image(&lib, size);
    replace_note(&lib, note, &image);
    section.sh_type = SHT_PROGBITS;
    section.sh_addr = image.p_vaddr;
    section.sh_offset = image.p_offset;
    section.sh_size = size;
    section.sh_addralign = GML_ARTIFACT_ALIGN;
    memcpy(bytes + lib.header.e_shoff + number * sizeof section, &section, sizeof section);
    *out_offset = image.p_offset;
    return NULL;
}
