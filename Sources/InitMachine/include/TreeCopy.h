// SPDX-License-Identifier: Apache-2.0
//
// A routine of the machine that copies a directory of an image into a tmpfs. Its process is in the
// container's cgroup, so that the memory is charged to the container and not to the runtime.
#ifndef TREE_COPY_H
#define TREE_COPY_H
#ifdef __linux__

#include <stdint.h>

/// The maximum depth of directories.
enum { TREE_COPY_DEEPEST = 128 };

/// What the routine was doing: an index into the parent's list of names.
enum tree_copy_call {
    TREE_COPY_MMAP,
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
    TREE_COPY_FGETXATTR,
    TREE_COPY_FSETXATTR,
    TREE_COPY_UTIMENSAT,
};

/// The report of the routine, in the progress page behind `struct machine_progress`. It survives a
/// kill.
struct tree_copy_report {
    /// 1 once everything is copied.
    volatile uint32_t done;
    /// The `tree_copy_call` at which it stopped.
    volatile uint32_t call;
    /// The length of the path in bytes; `path` holds as much of it as fits.
    volatile uint32_t path_length;
    /// The file being copied, relative to the source directory, with a slash before each name.
    volatile char path[1900];
};

/// The offset of the report in the progress page, in bytes.
enum { TREE_COPY_REPORT_OFFSET = 64 };

/// The order for the routine.
struct tree_copy_order {
    /// Descriptors open for reading: the directory to copy, and an empty one.
    int64_t source, target;
    /// Owner, group and mode of the target itself; -1 leaves each unchanged.
    int64_t owner, group, mode;
};

#endif
#endif
