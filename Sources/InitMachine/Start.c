// SPDX-License-Identifier: Apache-2.0
//
// The clones. A child begins on a stack of its own: it may share its parent's memory, and must
// leave the parent's stack unchanged.
#ifdef __linux__
#include "Section.h"

#include <InitMachine.h>

/// Defined in Machine.c.
void machine_run(const struct machine_program *program);

/// clone3(2); the child calls `begin(context)` on the stack that `arguments` names. `begin` must
/// not return.
long machine_clone(
    const clinux_clone_args *arguments, unsigned long size, void (*begin)(void *), void *context);

#if defined(__x86_64__)
__asm__(
    ".pushsection .text.machine_clone,\"ax\",@progbits\n"
    ".hidden machine_clone\n"
    ".globl machine_clone\n"
    ".type machine_clone, @function\n"
    "machine_clone:\n"
    "    endbr64\n"
    "    movq %rdx, %r8\n"
    "    movq %rcx, %r9\n"
    "    movl $435, %eax\n"
    "    syscall\n"
    "    testq %rax, %rax\n"
    "    jz 1f\n"
    "    ret\n"
    "1:  xorl %ebp, %ebp\n"
    "    movq %r9, %rdi\n"
    "    call *%r8\n"
    "    ud2\n"
    ".size machine_clone, . - machine_clone\n"
    ".popsection\n");
#elif defined(__aarch64__)
__asm__(
    ".pushsection .text.machine_clone,\"ax\",@progbits\n"
    ".hidden machine_clone\n"
    ".globl machine_clone\n"
    ".type machine_clone, %function\n"
    "machine_clone:\n"
    "    hint #34\n"
    "    mov x9, x2\n"
    "    mov x10, x3\n"
    "    mov x8, #435\n"
    "    svc #0\n"
    "    cbz x0, 1f\n"
    "    ret\n"
    "1:  mov x29, #0\n"
    "    mov x30, #0\n"
    "    mov x0, x10\n"
    "    blr x9\n"
    "    brk #1\n"
    ".size machine_clone, . - machine_clone\n"
    ".popsection\n");
#endif

enum { stack_bytes = 16384, set_mask = 2, mask_bytes = 8 };

MACHINE_WINDOW void run(void *program) {
    machine_run(program);
}

/// Blocks all signals, clones, and restores the signal mask in the parent.
MACHINE_WINDOW long start(
    const clinux_clone_args *arguments, void (*begin)(void *), void *context) {
    _Alignas(64) char stack[stack_bytes];
    clinux_clone_args own = *arguments;
    own.stack = (uint64_t)stack;
    own.stack_size = sizeof stack;
    uint64_t all = ~(uint64_t)0, before = 0;
    raw_system_call(__NR_rt_sigprocmask, set_mask, (long)&all, (long)&before, mask_bytes, 0, 0);
    long pid = machine_clone(&own, sizeof own, begin, context);
    raw_system_call(__NR_rt_sigprocmask, set_mask, (long)&before, 0, mask_bytes, 0, 0);
    return pid;
}

long machine_start(const clinux_clone_args *arguments, const struct machine_program *program) {
    return start(arguments, run, (void *)program);
}

enum {
    capability_version = 0x20080522,
    set_descriptor_flags = 2,
    ambient = 47,
    ambient_raise = 2,
    capability_count = 64,
    refused_status = 127,
};

MACHINE_INLINE void refuse(struct machine_executable_start *exec, long call, long result) {
    exec->refused_call = call;
    exec->error = (int32_t)-result;
    for (;;)
        raw_system_call(__NR_exit_group, refused_status, 0, 0, 0, 0, 0);
}

/// Everything that a child does in its parent's memory; it may make no other calls than these four.
///
/// fcntl changes the child's copy of the descriptor table. capset and prctl change the child's own
/// credentials, which include the ambient capabilities. execveat ends the sharing.
MACHINE_WINDOW void leave(void *context) {
    struct machine_executable_start *exec = context;
    for (unsigned long index = 0; index < exec->kept_count; index++)
        raw_system_call(__NR_fcntl, exec->kept[index], set_descriptor_flags, 0, 0, 0, 0);
    if (exec->sets_capabilities) {
        volatile uint32_t header[2] = {capability_version, 0};
        long result = raw_system_call(
            __NR_capset, (long)header, (long)exec->capabilities, 0, 0, 0, 0);
        if (result < 0)
            refuse(exec, __NR_capset, result);
    }
    for (long number = 0; number < capability_count; number++) {
        if (!(exec->ambient >> number & 1))
            continue;
        long result = raw_system_call(__NR_prctl, ambient, ambient_raise, number, 0, 0, 0);
        if (result < 0)
            refuse(exec, __NR_prctl, result);
    }
    const char *volatile environment[1] = {0};
    long result = raw_system_call(
        __NR_execveat, exec->executable, (long)"", (long)exec->arguments, (long)environment,
        CLINUX_AT_EMPTY_PATH, 0);
    refuse(exec, __NR_execveat, result);
}

long machine_start_executable(
    const clinux_clone_args *arguments, struct machine_executable_start *exec) {
    exec->refused_call = 0;
    exec->error = 0;
    return start(arguments, leave, exec);
}
#endif
