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

#endif
