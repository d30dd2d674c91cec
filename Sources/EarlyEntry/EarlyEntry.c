// SPDX-License-Identifier: Apache-2.0
//
// create, run and exec start twice: the second time from a read-only detached clone of the
// executable (ContainerKit's SealedExecutable says why and checks it). Here the first start ends
// before the C library and the Swift runtime have been set up, which is most of its cost.
//
// A fast path and nothing more: on any doubt or refusal the program goes on to _start, and
// SealedExecutable does the whole work. This code runs without a C library: no thread-local storage
// (so no stack protector), no memory functions, raw system calls only.
#include "EarlyEntry.h"

#include "CLinux.h"

#include <fcntl.h>

static int is_equal(const char *one, const char *other) {
    while (*one && *one == *other) {
        one++;
        other++;
    }
    return *one == *other;
}

/// Whether a word of the command line names a command that makes processes. A flag's value that reads
/// the same costs a second start and does no harm.
static int makes_processes(char **words) {
    for (char **word = words; *word; word++)
        if (is_equal(*word, "run") || is_equal(*word, "exec") || is_equal(*word, "create"))
            return 1;
    return 0;
}

static int starts_with(const char *text, const char *prefix) {
    while (*prefix)
        if (*text++ != *prefix++)
            return 0;
    return 1;
}

enum { most_variables = 1000 };

/// Copies the environment with one variable of our own: SealedExecutable says why. Returns 0 when it is
/// too long for the room. The stores are volatile so that no call of memcpy is made of them.
static int copy_environment(char **from, char *volatile *to) {
    int count = 0;
    for (; *from; from++) {
        if (starts_with(*from, "SWIFT_BACKTRACE="))
            continue;
        if (count == most_variables)
            return 0;
        to[count++] = *from;
    }
    to[count++] = (char *)"SWIFT_BACKTRACE=enable=no,swift-backtrace=/";
    to[count] = 0;
    return 1;
}

__attribute__((used, no_stack_protector)) static void start_sealed(long *stack) {
    char **arguments = (char **)(stack + 1);
    long count = stack[0];
    if (count < 2 || !makes_processes(arguments + 1))
        return;
    static const char own[] = "/proc/self/exe";
    char target[2];
    long length = raw_system_call(__NR_readlinkat, -100, (long)own, (long)target, 2, 0, 0);
    // "/" is the root of a detached mount: this is the second start, or one that Swift looks into.
    if (length < 2)
        return;
    char *volatile environment[most_variables + 2];
    if (!copy_environment(arguments + count + 1, environment))
        return;
    long tree = raw_system_call(
        __NR_open_tree, -100, (long)own, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, 0, 0, 0);
    if (tree < 0)
        return;
    volatile uint64_t attributes[4] = {MOUNT_ATTR_RDONLY, 0, 0, 0};
    long changed = raw_system_call(
        __NR_mount_setattr, tree, (long)"", CLINUX_AT_EMPTY_PATH, (long)attributes, 32, 0);
    if (changed == 0) {
        // F_DUPFD_CLOEXEC from 200 on: SealedExecutable knows a second start by this number.
        long high = raw_system_call(__NR_fcntl, tree, 1030, 200, 0, 0, 0);
        if (high >= 0) {
            raw_system_call(
                __NR_execveat, high, (long)"", (long)arguments, (long)environment,
                CLINUX_AT_EMPTY_PATH, 0);
            raw_system_call(__NR_close, high, 0, 0, 0, 0, 0);
        }
    }
    raw_system_call(__NR_close, tree, 0, 0, 0, 0, 0);
}

// The stack pointer is where the kernel left the argument count; the register that holds the
// termination function for _start is kept. Source: the ELF psABI of each architecture, process
// initialization.
#if defined(__x86_64__)
__asm__(
    ".globl swrunc_entry\n"
    ".type swrunc_entry, @function\n"
    "swrunc_entry:\n"
    "    movq %rsp, %rdi\n"
    "    pushq %rdx\n"
    "    pushq %rdx\n"
    "    call start_sealed\n"
    "    popq %rdx\n"
    "    popq %rdx\n"
    "    jmp _start\n");
#elif defined(__aarch64__)
__asm__(
    ".globl swrunc_entry\n"
    ".type swrunc_entry, %function\n"
    "swrunc_entry:\n"
    "    mov x19, x0\n"
    "    mov x0, sp\n"
    "    bl start_sealed\n"
    "    mov x0, x19\n"
    "    b _start\n");
#endif
