// SPDX-License-Identifier: Apache-2.0
//
// The command line for main.swift and for Swift's CommandLine, as glibc passes it to every function
// of .init_array. This replaces the standard library's function of the same name, which would read
// /proc/self/maps at each start to find the command line, and would need stdio's scanf for that.
#ifdef __linux__
#include "ProgramArguments.h"

#include <features.h>

#ifdef __GLIBC__

static char *none[] = {0};
static char **arguments = none;
static int count;

static void keep_arguments(int argument_count, char **argument_list, char **environment) {
    (void)environment;
    count = argument_count;
    arguments = argument_list;
}

__attribute__((section(".init_array"), used)) static void (*const keeper)(int, char **, char **) =
    keep_arguments;

char **_swift_stdlib_getUnsafeArgvArgc(int *argument_count) {
    *argument_count = count;
    return arguments;
}

#endif
#endif
