// SPDX-License-Identifier: Apache-2.0
//
// The attributes that put a function into the machine's section, and keep out all instrumentation,
// whose counters and callbacks are outside the section.
#ifndef SECTION_H
#define SECTION_H
#ifdef __linux__

#include <CLinux.h>

#define MACHINE_BARE                                                                             \
    no_stack_protector, disable_sanitizer_instrumentation, no_profile_instrument_function,      \
        no_instrument_function, no_builtin

#define MACHINE_SECTION section("init_machine"), used, retain, noinline

/// A function that is called only from the section.
#define MACHINE_FUNCTION static __attribute__((MACHINE_BARE, MACHINE_SECTION, no_sanitize("all")))
/// A function that is also called from outside.
#define MACHINE_ENTRY                                                                            \
    __attribute__((MACHINE_BARE, MACHINE_SECTION, no_sanitize("all"), visibility("hidden")))
/// A function that is inlined into its callers.
#define MACHINE_INLINE                                                                           \
    static inline __attribute__((MACHINE_BARE, always_inline, no_sanitize("all")))
/// A function outside the section, run by a child that shares its parent's memory.
#define MACHINE_WINDOW static __attribute__((MACHINE_BARE, used, noinline, no_sanitize("all")))

#endif
#endif
