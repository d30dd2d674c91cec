// SPDX-License-Identifier: Apache-2.0
//
// The commit is set when linking (--defsym, see the Makefile), not when compiling. So a new commit
// recompiles nothing, and no generated file lies in the source tree. Its text is cut into words of
// eight bytes, and each word is the value, that is the address, of a symbol. If the link defines
// none of the symbols, the words are 0 and the text is empty.
#ifdef __linux__
#include "BuildCommit.h"

#include <stdint.h>

#define WORD(number) extern const char build_commit_##number[] __attribute__((weak))
WORD(0);
WORD(1);
WORD(2);
WORD(3);
WORD(4);
WORD(5);

/// The last 0 terminates the text in any case.
static const uintptr_t words[7] = {
    (uintptr_t)build_commit_0, (uintptr_t)build_commit_1, (uintptr_t)build_commit_2,
    (uintptr_t)build_commit_3, (uintptr_t)build_commit_4, (uintptr_t)build_commit_5, 0,
};

const char *build_commit(void) { return (const char *)words; }
#endif
