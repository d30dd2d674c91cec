// SPDX-License-Identifier: Apache-2.0
//
// A process that copies a directory of an image into a tmpfs, from inside the container's cgroup: what
// it writes is charged to the container and not to the runtime.
#ifndef TREE_COPY_H
#define TREE_COPY_H

#include <stdint.h>

/// How many directories deep a copy goes.
enum { TREE_COPY_DEEPEST = 128 };

/// What the process was doing: an index into the names that the parent has for these.
enum tree_copy_call {
    TREE_COPY_START,
    TREE_COPY_MMAP,
    TREE_COPY_ENTER,
    TREE_COPY_OPENAT,
    TREE_COPY_STATX,
    TREE_COPY_GETDENTS,
    TREE_COPY_DEPTH,
    TREE_COPY_MKDIRAT,
    TREE_COPY_MKNODAT,
    TREE_COPY_READLINKAT,
    TREE_COPY_SYMLINKAT,
    TREE_COPY_FTRUNCATE,
    TREE_COPY_LSEEK,
    TREE_COPY_SENDFILE,
    TREE_COPY_FCHOWN,
    TREE_COPY_FCHMOD,
    TREE_COPY_FLISTXATTR,
    TREE_COPY_FSETXATTR,
    TREE_COPY_UTIMENSAT,
};

/// What the process tells, in memory that it shares with its parent. It outlives a kill.
struct tree_copy_report {
    /// 1 when all is copied.
    volatile uint32_t done;
    /// The errno at which it stopped, or 0.
    volatile int32_t error;
    /// The `tree_copy_call` at which it stopped.
    volatile uint32_t call;
    /// The bytes of the path; as many of them as there is room for are in `path`.
    volatile uint32_t path_length;
    /// What it is copying, below the directory that it was given, with a slash before each name.
    volatile char path[4080];
};

/// What the process is to do. All descriptors are the parent's.
struct tree_copy_order {
    /// Both open for reading: the directory to copy, and an empty one.
    int32_t source, target;
    /// Owner, group and mode of the target itself; -1 leaves each as it is.
    int32_t owner, group, mode;
    /// The directory of cgroup v2 that the process is born in, or -1.
    int32_t cgroup;
    /// Open `tasks` files of cgroup v1 by which it enters.
    const int32_t *entrances;
    int32_t entrance_count;
    struct tree_copy_report *report;
};

/// Starts the process. Returns its pid and stores a descriptor of it, or returns -errno.
///
/// It has no exit signal, gets none but SIGKILL, and ends with the thread that started it. Between clone
/// and exit it makes system calls alone: it can be cloned from a host with any number of threads.
long tree_copy_start(const struct tree_copy_order *order, int32_t *pidfd);

#endif
