// SPDX-License-Identifier: Apache-2.0
//
// Replacements for functions of the standard library that would read /proc at each start.
#ifndef PROGRAM_ARGUMENTS_H
#define PROGRAM_ARGUMENTS_H
#ifdef __linux__

/// The command line, for the standard library and swrunc's main.swift.
char **_swift_stdlib_getUnsafeArgvArgc(int *argument_count);

/// The path of the program that prints backtraces: always null, see RuntimePath.c.
const char *swift_copyAuxiliaryExecutablePath(const char *name);

#endif
#endif
