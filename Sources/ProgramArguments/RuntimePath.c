// SPDX-License-Identifier: Apache-2.0
//
// This replaces the standard library's function of the same name, which runs when a program is
// loaded and looks beside the library for the program that prints backtraces. For that it reads a
// link of /proc, and ends the process if there is no /proc.
#ifdef __linux__
#include "ProgramArguments.h"

#include <stddef.h>

/// A statically linked executable has no such program beside it.
const char *swift_copyAuxiliaryExecutablePath(const char *name) {
    (void)name;
    return NULL;
}
#endif
