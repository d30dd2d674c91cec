// SPDX-License-Identifier: Apache-2.0
//
// In place of the standard library's function of this name, as with the command line. When a program is
// loaded, it looks for the program that prints backtraces beside the library; for that it reads a link of
// /proc, and ends the process where there is no /proc.
#include "ProgramArguments.h"

#include <stddef.h>

/// There is no such program beside an executable that has its libraries within.
const char *swift_copyAuxiliaryExecutablePath(const char *name) {
    (void)name;
    return NULL;
}
