// SPDX-License-Identifier: Apache-2.0
//
// The machine. It runs in a process without a C library and without any other code. So each
// function lies in one section and refers to nothing outside it, however the package is built
// (Tests/InitMachineTests/ObjectFileTests.swift checks the object file).
#ifdef __linux__
#include "Section.h"

#include <InitMachine.h>

enum {
    set_name = 15,
    seek_end = 2,
    read_and_write = 3,
    map_shared = 1,
    map_private = 2,
    map_fixed_noreplace = 0x100000,
    page_bytes = 4096,
    dont_need = 4,
    no_image_status = 127,
};

/// Defined in TreeCopy.c.
int machine_copy_tree(const struct tree_copy_order *order, struct machine_progress *progress)
    __attribute__((visibility("hidden")));

enum { interrupted = 4, try_again = 11, file_exists = 17, largest_errno = 4095 };

MACHINE_INLINE void end(int status) {
    for (;;) {
        raw_system_call(__NR_exit_group, status, 0, 0, 0, 0, 0);
        // exit_group fails only if a seccomp filter of the container refuses it.
        __builtin_trap();
    }
}

/// The errno of a result, or 0 if the call succeeded.
MACHINE_INLINE int error_of(long result) {
    return result < 0 && result >= -largest_errno ? (int)-result : 0;
}

MACHINE_INLINE long operand(
    const struct machine_instruction *instruction, const int64_t *cells, int index) {
    int64_t value = instruction->operand[index];
    return instruction->cell_operands >> index & 1 ? cells[value] : value;
}

/// Makes the call; returns its errno unless the program ignores it, else 0.
MACHINE_FUNCTION int perform_call(
    const struct machine_instruction *instruction, int64_t *cells) {
    unsigned attempts = instruction->retries;
    long result;
    for (;;) {
        result = raw_system_call(
            instruction->number, operand(instruction, cells, 0), operand(instruction, cells, 1),
            operand(instruction, cells, 2), operand(instruction, cells, 3),
            operand(instruction, cells, 4), operand(instruction, cells, 5));
        // Only these two may succeed on a retry (openat2 returns EAGAIN if a rename raced with it).
        if ((result != -interrupted && result != -try_again) || attempts == 0)
            break;
        attempts--;
    }
    if (instruction->result != MACHINE_NO_CELL)
        cells[instruction->result] = result;
    int error = error_of(result);
    if (error)
        for (int index = 0; index < 4; index++)
            if (instruction->ignored[index] == error)
                return 0;
    return error;
}

/// Makes the call from a copy of the instruction, after giving back the pages that hold it.
MACHINE_FUNCTION int perform_resting_call(const struct machine_program *program) {
    struct machine_instruction copy;
    // Volatile, so that the compiler does not make this a call of memcpy.
    volatile uint64_t *to = (volatile uint64_t *)&copy;
    const uint64_t *from = (const uint64_t *)program->rest;
    for (unsigned long index = 0; index < sizeof copy / sizeof *to; index++)
        to[index] = from[index];
    int64_t *cells = program->cells;
    raw_system_call(__NR_madvise, (long)program->idle, (long)program->idle_bytes, dont_need, 0, 0, 0);
    return perform_call(&copy, cells);
}

/// Stores a cell into prepared memory, byte by byte: the address may be unaligned, and the compiler
/// would make a copy of variable length a call of memcpy.
MACHINE_INLINE void perform_copy(
    const struct machine_instruction *instruction, const int64_t *cells) {
    volatile uint8_t *to = (volatile uint8_t *)instruction->operand[0];
    uint64_t value = (uint64_t)cells[instruction->result];
    for (int64_t index = 0; index < instruction->operand[1]; index++)
        to[index] = (uint8_t)(value >> 8 * index);
}

/// The number of instructions to skip: the distance if the memory matches, else 0.
MACHINE_INLINE unsigned perform_skip(const struct machine_instruction *instruction) {
    const volatile uint8_t *from = (const volatile uint8_t *)instruction->operand[0];
    uint64_t value = 0;
    for (int index = 0; index < 8; index++)
        value |= (uint64_t)from[index] << 8 * index;
    int matches = (value & (uint64_t)instruction->operand[1]) == (uint64_t)instruction->operand[2];
    return matches ? instruction->distance : 0;
}

/// Maps a part of a file at a free address; returns an errno, or 0.
MACHINE_FUNCTION int map(long file, long offset, long size, long address, long sharing) {
    long result = raw_system_call(
        __NR_mmap, address, size, read_and_write, sharing | map_fixed_noreplace, file, offset);
    return result == address ? 0 : error_of(result) ? error_of(result) : file_exists;
}

/// Ends a process that could not map its image.
MACHINE_INLINE void refuse_image(struct machine_progress *progress, int error) {
    progress->index = (uint32_t)machine_no_image;
    progress->error = error;
    end(no_image_status);
}

/// Maps the rest of the image, which the parent writes while it starts this process, and returns
/// the program in it.
MACHINE_FUNCTION const struct machine_program *enter(
    const struct machine_instruction *instruction, struct machine_progress *progress) {
    long address = instruction->operand[0], file = instruction->operand[1];
    long offset = instruction->operand[2];
    long end = raw_system_call(__NR_lseek, file, 0, seek_end, 0, 0, 0);
    int error = end < 0 ? error_of(end) : map(file, offset, end - offset, address, map_private);
    if (error)
        refuse_image(progress, error);
    raw_system_call(__NR_close, file, 0, 0, 0, 0, 0);
    return (const struct machine_program *)address;
}

/// Runs the program until a system call replaces or ends the process.
///
/// Instructions only go forward, so the loop ends: the last one is execve or exit_group.
MACHINE_ENTRY void machine_run(const struct machine_program *program) {
    const struct machine_instruction *instruction = program->start;
    int64_t *cells = program->cells;
    struct machine_progress *progress = program->progress;
    for (;; instruction++) {
        if (instruction->kind == MACHINE_COPY) {
            perform_copy(instruction, cells);
        } else if (instruction->kind == MACHINE_SKIP) {
            instruction += perform_skip(instruction);
        } else if (instruction->kind == MACHINE_ENTER) {
            program = enter(instruction, progress);
            instruction = program->start - 1;
            cells = program->cells;
        } else {
            int32_t index = (int32_t)(instruction - program->origin);
            // Only a call can fail, and exit_group cannot. When a plan's first process ends by
            // exit_group, it must not overwrite the index of the second, and neither must
            // instructions before the origin.
            if (index >= 0 && instruction->number != __NR_exit_group)
                progress->index = (uint32_t)index;
            int error;
            if (instruction->kind == MACHINE_COPY_TREE)
                error = machine_copy_tree(
                    (const struct tree_copy_order *)instruction->operand[0], progress);
            else if (instruction == program->rest)
                error = perform_resting_call(program);
            else
                error = perform_call(instruction, cells);
            if (error) {
                progress->index = (uint32_t)index;
                progress->error = error;
                end(machine_failure_status);
            }
        }
    }
}

/// Parses a decimal number; -1 for anything else, and for more than a billion.
MACHINE_FUNCTION long read_number(const char *text) {
    long number = 0;
    if (!*text)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || number > 100000000)
            return -1;
        number = number * 10 + (*text - '0');
    }
    return number;
}

/// The start of the new process: `stack` is as the kernel leaves it, argc first, then argv.
MACHINE_ENTRY void machine_begin(const long *stack) {
    const char *const *arguments = (const char *const *)(stack + 1);
    // The second argument names the routine; "init" is the only one.
    if (stack[0] != 5 || arguments[1][0] != 'i')
        end(no_image_status);
    long image = read_number(arguments[2]), page = read_number(arguments[3]);
    long size = read_number(arguments[4]);
    // Before Linux 6.14, execveat(2) names the process after the descriptor's number.
    raw_system_call(__NR_prctl, set_name, (long)arguments[0], 0, 0, 0, 0);
    if (map(page, 0, page_bytes, machine_page_address, map_shared) != 0)
        end(no_image_status);
    struct machine_progress *progress = (struct machine_progress *)machine_page_address;
    int error = map(image, 0, size, machine_image_address, map_private);
    if (error)
        refuse_image(progress, error);
    raw_system_call(__NR_close, page, 0, 0, 0, 0, 0);
    machine_run((const struct machine_program *)machine_image_address);
}

/// The entry point. Source: the ELF psABI of each architecture, process initialization.
__attribute__((naked, MACHINE_BARE, MACHINE_SECTION, visibility("hidden"))) void machine_entry(void) {
#if defined(__x86_64__)
    __asm__("xorl %ebp, %ebp\n"
            "movq %rsp, %rdi\n"
            "andq $-16, %rsp\n"
            "call machine_begin\n"
            "ud2");
#elif defined(__aarch64__)
    __asm__("mov x29, #0\n"
            "mov x30, #0\n"
            "mov x0, sp\n"
            "bl machine_begin\n"
            "brk #1");
#endif
}
#endif
