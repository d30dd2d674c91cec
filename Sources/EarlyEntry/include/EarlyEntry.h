// SPDX-License-Identifier: Apache-2.0
//
// An entry point before the C library's: see EarlyEntry.c.
#ifndef EARLY_ENTRY_H
#define EARLY_ENTRY_H

/// The entry point that the release link names (`-e swrunc_entry`).
void swrunc_entry(void);

/// The command line, for the standard library and swrunc's main.swift: see Arguments.c.
char **_swift_stdlib_getUnsafeArgvArgc(int *argument_count);

/// Where the program is that prints backtraces, which nobody has: see RuntimePath.c.
const char *swift_copyAuxiliaryExecutablePath(const char *name);

#endif
