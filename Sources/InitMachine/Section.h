// SPDX-License-Identifier: Apache-2.0
//
// What makes a function part of the machine: its section, and no instrumentation of any kind, whose counters
// and callbacks are outside of it.
#ifndef SECTION_H
#define SECTION_H

#include <CLinux.h>

#define MACHINE_BARE                                                                             \
    no_stack_protector, disable_sanitizer_instrumentation, no_profile_instrument_function,      \
        no_instrument_function, no_builtin

#define MACHINE_SECTION section("init_machine"), used, retain, noinline

/// A function that only others of the section call.
#define MACHINE_FUNCTION static __attribute__((MACHINE_BARE, MACHINE_SECTION, no_sanitize("all")))
/// A function that is called from outside, too.
#define MACHINE_ENTRY                                                                            \
    __attribute__((MACHINE_BARE, MACHINE_SECTION, no_sanitize("all"), visibility("hidden")))
/// A function that becomes part of its callers.
#define MACHINE_INLINE                                                                           \
    static inline __attribute__((MACHINE_BARE, always_inline, no_sanitize("all")))
/// A function outside of the section in which a child runs that shares its parent's memory.
#define MACHINE_WINDOW static __attribute__((MACHINE_BARE, used, noinline, no_sanitize("all")))

/// One system call; an error is -errno.
MACHINE_INLINE long machine_call(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory", "cc");
    return x0;
#endif
}

#endif
