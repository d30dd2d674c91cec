// SPDX-License-Identifier: Apache-2.0
//
// The commit that a binary was built from: see BuildCommit.c.
#ifndef BUILD_COMMIT_H
#define BUILD_COMMIT_H
#ifdef __linux__

/// The commit as text; empty if the build did not set it.
const char *build_commit(void);

#endif
#endif
