// SPDX-License-Identifier: Apache-2.0
//
// Makes the machine an executable of one segment: the ELF header, followed by a copy of the
// section's bytes from this process. The code refers to nothing outside the section, so it runs at
// any address.
#ifdef __linux__
#include <InitMachine.h>

#include <elf.h>

/// The symbols that the linker defines for the ends of the section.
extern const unsigned char __start_init_machine[] __attribute__((visibility("hidden")));
extern const unsigned char __stop_init_machine[] __attribute__((visibility("hidden")));
/// Defined in Machine.c.
void machine_entry(void) __attribute__((visibility("hidden")));

struct executable_header {
    Elf64_Ehdr file;
    Elf64_Phdr segments[2];
};

enum {
    /// The largest page size of aarch64.
    largest_page = 0x10000,
    load_address = 0x10000000,
    /// Behind the headers, and aligned enough for any function.
    code_offset = 256,
};

#if defined(__x86_64__)
enum { own_machine = EM_X86_64 };
#elif defined(__aarch64__)
enum { own_machine = EM_AARCH64 };
#endif

unsigned long machine_executable(unsigned char *buffer, unsigned long room) {
    unsigned long code_size = (unsigned long)(__stop_init_machine - __start_init_machine);
    unsigned long size = code_offset + code_size;
    unsigned long entry =
        (unsigned long)((const unsigned char *)machine_entry - __start_init_machine);
    _Static_assert(sizeof(struct executable_header) <= code_offset, "the headers fit");
    if (size > room)
        return 0;
    struct executable_header header = {
        .file = {
            .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
            .e_type = ET_EXEC,
            .e_machine = own_machine,
            .e_version = EV_CURRENT,
            .e_entry = load_address + code_offset + entry,
            .e_phoff = sizeof(Elf64_Ehdr),
            .e_ehsize = sizeof(Elf64_Ehdr),
            .e_phentsize = sizeof(Elf64_Phdr),
            .e_phnum = 2,
        },
        .segments = {
            {
                .p_type = PT_LOAD,
                .p_flags = PF_R | PF_X,
                .p_vaddr = load_address,
                .p_paddr = load_address,
                .p_filesz = size,
                .p_memsz = size,
                .p_align = largest_page,
            },
            // Without this header the kernel may make every readable page executable.
            {.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W, .p_align = 16},
        },
    };
    __builtin_memset(buffer, 0, code_offset);
    __builtin_memcpy(buffer, &header, sizeof header);
    __builtin_memcpy(buffer + code_offset, __start_init_machine, code_size);
    return size;
}
#endif
