// SPDX-License-Identifier: Apache-2.0
//
// What the standard library would look for in /proc at each start.
#ifndef PROGRAM_ARGUMENTS_H
#define PROGRAM_ARGUMENTS_H

/// The command line, for the standard library and swrunc's main.swift.
char **_swift_stdlib_getUnsafeArgvArgc(int *argument_count);

/// Where the program is that prints backtraces, which nobody has: see RuntimePath.c.
const char *swift_copyAuxiliaryExecutablePath(const char *name);

#endif
