// SPDX-License-Identifier: Apache-2.0
//
// The child: everything that runs between a clone and the program that it becomes.
//
//   Machine.c     interprets prepared instructions; a section of its own, which refers to nothing else
//   Start.c       the clones, and what a child does that has its parent's memory
//   TreeCopy.c    an instruction of the machine that copies a directory; in the same section
//   Executable.c  the machine as a program of its own: an ELF file with the section's bytes
//   Section.h     what makes a function part of the section
//
// Why it is C, and freestanding: Decisions/0001 and Decisions/0025.
#ifndef INIT_MACHINE_H
#define INIT_MACHINE_H

#include <CLinux.h>
#include <TreeCopy.h>

/// The exit status of a child whose program stopped at an error; the progress page says which.
enum { machine_failure_status = 125 };

/// A program where the machine finds it.
struct machine_program {
    /// The first instruction that runs.
    const struct machine_instruction *start;
    /// The instruction with the number 0; those before it have negative numbers.
    const struct machine_instruction *origin;
    int64_t *cells;
    struct machine_progress *progress;
    /// The call at which the process waits long, or null: before it, the memory at `idle`, which is a file's
    /// and unchanged, is given back, and comes again when the process goes on.
    const struct machine_instruction *rest;
    void *idle;
    uint64_t idle_bytes;
};

/// Clones a child that runs `program` in its memory; gives its pid, or -errno.
///
/// The memory is a copy of the caller's, or with CLONE_VM and CLONE_VFORK the caller's own until the child
/// executes or ends. All signals are blocked across the clone, so that no handler of the host runs in the
/// child, and the caller's mask is restored in the parent; the program restores its own.
long machine_start(const clinux_clone_args *arguments, const struct machine_program *program);

/// Where a process that was born empty has its image, which begins with a struct machine_program, and the
/// progress page. Both are below 4 GiB and far from all that the kernel chooses itself.
enum { machine_image_address = 0x20000000, machine_page_address = 0x1f000000 };

/// The index in the progress page of a process that could not map its image: no instruction has it.
enum { machine_no_image = -0x7fffffff };

/// Writes the executable into `buffer` and gives its size; 0 when there is too little room.
///
/// Its arguments are a name for the process, the routine ("init"), the numbers of two descriptors, the image
/// and the page, and how many bytes of the image it begins with. It maps both, and closes the page; the image
/// is closed by MACHINE_ENTER, which maps the rest. Without these arguments it ends.
unsigned long machine_executable(unsigned char *buffer, unsigned long room);

/// What a child does to be born empty.
struct machine_birth {
    /// The executable, in a sealed memory file.
    int executable;
    /// Descriptors that are closed by no exec; those that are not open are passed over.
    const int *kept;
    unsigned long kept_count;
    /// Whether capset(2) is called before: what is inheritable is not lost by root.
    int sets_capabilities;
    /// Its data: effective, permitted, inheritable, twice.
    uint32_t capabilities[6];
    /// Capabilities to be made ambient besides, which nobody else loses; 0 for none.
    uint64_t ambient;
    const char *const *arguments;
    /// What was refused, by its number, and the errno; 0 when the child runs the executable.
    volatile int64_t refused_call;
    volatile int32_t error;
};

/// Clones a child that shares this memory until it has executed `birth->executable`; gives its pid, or -errno.
///
/// `arguments` has CLONE_VM and CLONE_VFORK. The signals are as with machine_start; a child that was refused
/// something has ended.
long machine_bear(const clinux_clone_args *arguments, struct machine_birth *birth);

#endif
