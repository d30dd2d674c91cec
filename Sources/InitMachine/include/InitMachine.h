// SPDX-License-Identifier: Apache-2.0
//
// The code of a child between its clone and the program that it executes.
//
//   Machine.c     interprets prepared instructions; in a section that refers to nothing outside
//   Start.c       the clones, and the code of a child that shares its parent's memory
//   TreeCopy.c    an instruction of the machine that copies a directory; in the same section
//   Executable.c  makes an executable of the machine: an ELF file with the section's bytes
//   Section.h     what makes a function part of the section
//
// Why it is C, and freestanding: Decisions/0001 and Decisions/0025.
#ifndef INIT_MACHINE_H
#define INIT_MACHINE_H
#ifdef __linux__

#include <CLinux.h>
#include <TreeCopy.h>

/// The exit status of a child whose program stopped at an error; the progress page says which.
enum { machine_failure_status = 125 };

/// A program as the machine runs it.
struct machine_program {
    /// The first instruction that runs.
    const struct machine_instruction *start;
    /// The instruction with the number 0; those before it have negative numbers.
    const struct machine_instruction *origin;
    int64_t *cells;
    struct machine_progress *progress;
    /// The call at which the process waits for long, or null. Before that call the machine gives
    /// back the memory at `idle`, an unchanged mapping of a file, which is read again when the
    /// process goes on.
    const struct machine_instruction *rest;
    void *idle;
    uint64_t idle_bytes;
};

/// Clones a child that runs `program`; returns its pid, or -errno.
///
/// The child runs in a copy of the caller's memory, or with CLONE_VM and CLONE_VFORK in the
/// caller's own until it executes or ends. All signals are blocked during the clone, so that no
/// handler of the host runs in the child. The parent gets its mask back; the child's program sets
/// its own.
long machine_start(const clinux_clone_args *arguments, const struct machine_program *program);

/// The addresses of the image of a process that was born empty, which begins with a struct
/// machine_program, and of the progress page. Both are below 4 GiB and far from all addresses that
/// the kernel chooses itself.
enum { machine_image_address = 0x20000000, machine_page_address = 0x1f000000 };

/// The index in the progress page of a process that could not map its image; no instruction has it.
enum { machine_no_image = -0x7fffffff };

/// Writes the executable into `buffer` and returns its size, or 0 if it does not fit.
///
/// Its arguments are: a name for the process, the routine ("init"), the descriptors of the image
/// and of the page, and the size of the first part of the image. It maps that part and the page,
/// and closes the page's descriptor. MACHINE_ENTER maps the rest of the image and closes its
/// descriptor. With other arguments it ends.
unsigned long machine_executable(unsigned char *buffer, unsigned long room);

/// The data for a child that executes the machine in an empty address space.
struct machine_executable_start {
    /// The executable, in a sealed memory file.
    int executable;
    /// Descriptors to keep open across the exec; those that are not open are ignored.
    const int *kept;
    unsigned long kept_count;
    /// Whether to call capset(2) before the exec, so that the exec does not take capabilities away.
    int sets_capabilities;
    /// The data of capset(2): effective, permitted and inheritable, first their low, then their
    /// high words.
    uint32_t capabilities[6];
    /// The capabilities to make ambient, so that a user other than root keeps them; 0 for none.
    uint64_t ambient;
    const char *const *arguments;
    /// The number of the call that was refused, and its errno; 0 if the executable runs.
    volatile int64_t refused_call;
    volatile int32_t error;
};

/// Clones a child that shares this memory until it executes `start->executable`; returns its pid,
/// or -errno.
///
/// `arguments` must include CLONE_VM and CLONE_VFORK. Signals are treated as by machine_start. If a
/// call of the child is refused, it has ended when this returns.
long machine_start_executable(
    const clinux_clone_args *arguments, struct machine_executable_start *start);

#endif
#endif
