// SPDX-License-Identifier: Apache-2.0
//
// The routine of a process that fills a tmpfs. An error ends the process, and the report says which
// call failed. Each name is opened once, without following a link, and its type is taken from that
// descriptor, so a name that changes meanwhile cannot lead elsewhere.
#ifdef __linux__
#include "Section.h"

#include <InitMachine.h>

enum {
    O_WRITE_ONLY = 01,
    O_CREATE = 0100,
    O_EXCLUSIVE = 0200,
#if defined(__aarch64__)
    O_ONLY_DIRECTORY = 040000,
    O_NO_FOLLOW = 0100000,
#else
    O_ONLY_DIRECTORY = 0200000,
    O_NO_FOLLOW = 0400000,
#endif
    O_CLOSE_ON_EXEC = 02000000,
    O_PATH_ONLY = 010000000,
    TYPE_MASK = 0170000,
    TYPE_DIRECTORY = 0040000,
    TYPE_REGULAR = 0100000,
    TYPE_LINK = 0120000,
    ERRNO_INTERRUPTED = 4,
    ERRNO_NO_DATA_LEFT = 6, // ENXIO
    ERRNO_TOO_DEEP = 36,    // ENAMETOOLONG
    ERRNO_NOT_SUPPORTED = 95,
    LONGEST_LINK = 4096,
    LONGEST_ATTRIBUTE = 1 << 16,
};

/// The kernel's `struct timespec`.
struct moment {
    int64_t seconds, nanoseconds;
};

/// A directory that is being copied, at one depth.
struct level {
    int source, target;
    uint32_t path_length;
    uint32_t position, length;
    clinux_statx status;
    char entries[4096];
};

/// The working memory of the routine.
struct job {
    struct machine_progress *progress;
    struct tree_copy_report *report;
    /// "" and ".".
    char nothing[8], itself[8];
    char link[LONGEST_LINK + 1];
    char descriptor_path[32];
    struct moment times[2];
    clinux_statx status;
    char names[LONGEST_ATTRIBUTE + 1];
    char value[LONGEST_ATTRIBUTE];
    struct level levels[TREE_COPY_DEEPEST];
};

MACHINE_FUNCTION __attribute__((noreturn)) void stop(struct job *job, uint32_t call, long error) {
    job->report->call = call;
    job->progress->error = (int32_t)error;
    for (;;) {
        raw_system_call(__NR_exit_group, machine_failure_status, 0, 0, 0, 0, 0);
        __builtin_trap();
    }
}

/// Makes a call, and repeats it if it was interrupted.
MACHINE_FUNCTION long attempt(long number, long a, long b, long c, long d, long e) {
    long result;
    do {
        result = raw_system_call(number, a, b, c, d, e, 0);
    } while (result == -ERRNO_INTERRUPTED);
    return result;
}

/// Makes a call that must succeed.
MACHINE_FUNCTION long call(
    struct job *job, uint32_t name, long number, long a, long b, long c, long d, long e) {
    long result = attempt(number, a, b, c, d, e);
    if (result < 0 && result >= -4095)
        stop(job, name, -result);
    return result;
}

MACHINE_FUNCTION void close_descriptor(int number) {
    raw_system_call(__NR_close, number, 0, 0, 0, 0, 0);
}

MACHINE_FUNCTION int open_at(struct job *job, int directory, const char *name, int flags) {
    return (int)call(
        job, TREE_COPY_OPENAT, __NR_openat, directory, (long)name, flags | O_CLOSE_ON_EXEC, 0600, 0);
}

// MARK: - The path

/// Appends a name to the path in the report; the part that does not fit is dropped.
MACHINE_FUNCTION void go_to(struct job *job, const char *name) {
    uint32_t length = job->report->path_length;
    for (const char *from = name - 1;; from++) {
        char byte = from < name ? '/' : *from;
        if (!byte)
            break;
        if (length < sizeof job->report->path)
            job->report->path[length] = byte;
        length++;
    }
    job->report->path_length = length;
}

// MARK: - Attributes

/// Sets the times for utimensat(2), in its order: last access, last modification.
MACHINE_FUNCTION void take_times(struct job *job, const clinux_statx *status) {
    job->times[0].seconds = status->stx_atime.tv_sec;
    job->times[0].nanoseconds = status->stx_atime.tv_nsec;
    job->times[1].seconds = status->stx_mtime.tv_sec;
    job->times[1].nanoseconds = status->stx_mtime.tv_nsec;
}

/// Whether an attribute is the SELinux label, which the security module sets on the tmpfs itself.
MACHINE_FUNCTION int is_label(const char *name) {
    // "security" and ".selinux"; both architectures are little-endian.
    const uint64_t first = 0x7974697275636573, second = 0x78756e696c65732e;
    for (int at = 0; at < 16; at++)
        if ((unsigned char)name[at] != (unsigned char)((at < 8 ? first : second) >> at % 8 * 8))
            return 0;
    return name[16] == 0;
}

/// Copies extended attributes such as file capabilities and ACLs, except those that tmpfs refuses.
MACHINE_FUNCTION void copy_extended(struct job *job, int source, int target) {
    long size = attempt(__NR_flistxattr, source, 0, 0, 0, 0);
    if (size == 0 || size == -ERRNO_NOT_SUPPORTED)
        return;
    // The kernel's limit is 64 KiB for the names and 64 KiB for a value.
    long length = call(
        job, TREE_COPY_FLISTXATTR, __NR_flistxattr, source, (long)job->names, LONGEST_ATTRIBUTE, 0,
        0);
    job->names[length] = 0;
    for (const char *name = job->names; name < job->names + length;) {
        if (!is_label(name)) {
            long count = call(
                job, TREE_COPY_FGETXATTR, __NR_fgetxattr, source, (long)name, (long)job->value,
                LONGEST_ATTRIBUTE, 0);
            long result =
                attempt(__NR_fsetxattr, target, (long)name, (long)job->value, count, 0);
            if (result < 0 && result != -ERRNO_NOT_SUPPORTED)
                stop(job, TREE_COPY_FSETXATTR, -result);
        }
        while (*name)
            name++;
        name++;
    }
}

/// The owner comes first: changing it clears set-user-ID bits and file capabilities.
MACHINE_FUNCTION void copy_attributes(
    struct job *job, int source, const clinux_statx *status, int target, long owner, long group,
    long mode) {
    call(job, TREE_COPY_FCHOWN, __NR_fchown, target, owner, group, 0, 0);
    if (mode >= 0)
        call(job, TREE_COPY_FCHMOD, __NR_fchmod, target, mode, 0, 0, 0);
    copy_extended(job, source, target);
    take_times(job, status);
    call(job, TREE_COPY_UTIMENSAT, __NR_utimensat, target, 0, (long)job->times, 0, 0);
}

/// Sets owner and times of a file that cannot be opened.
MACHINE_FUNCTION void own(
    struct job *job, int target, const char *name, const clinux_statx *status) {
    call(
        job, TREE_COPY_FCHOWN, __NR_fchownat, target, (long)name, status->stx_uid, status->stx_gid,
        CLINUX_AT_SYMLINK_NOFOLLOW);
    take_times(job, status);
    call(
        job, TREE_COPY_UTIMENSAT, __NR_utimensat, target, (long)name, (long)job->times,
        CLINUX_AT_SYMLINK_NOFOLLOW, 0);
}

// MARK: - Kinds

/// Copies the data but not the holes, which could be larger than the memory.
MACHINE_FUNCTION void copy_data(struct job *job, int source, int target, int64_t bytes) {
    call(job, TREE_COPY_FTRUNCATE, __NR_ftruncate, target, bytes, 0, 0, 0);
    int64_t position = 0;
    while (position < bytes) {
        // SEEK_DATA is 3, SEEK_HOLE 4. A file system without these counts as data everywhere.
        long start = attempt(__NR_lseek, source, position, 3, 0, 0);
        if (start == -ERRNO_NO_DATA_LEFT)
            return;
        long end = attempt(__NR_lseek, source, start < 0 ? 0 : start, 4, 0, 0);
        if (start >= 0)
            position = start;
        int64_t limit = end < 0 || end > bytes ? bytes : end;
        call(job, TREE_COPY_LSEEK, __NR_lseek, target, position, 0, 0, 0);
        int64_t offset = position;
        while (offset < limit) {
            int64_t rest = limit - offset;
            long count = call(
                job, TREE_COPY_SENDFILE, __NR_sendfile, target, source, (long)&offset,
                rest < 1 << 30 ? rest : 1 << 30, 0);
            if (count == 0)
                return; // the file became shorter
        }
        position = offset;
    }
}

/// The path below /proc of an open file, by which it is reopened for reading.
MACHINE_FUNCTION const char *path_of(struct job *job, int number) {
    // "/proc/se" and "lf/fd/".
    const uint64_t first = 0x65732f636f72702f, second = 0x2f64662f666c;
    // Volatile, so that the compiler for aarch64 does not make vectors of this, whose constants would be
    // outside the section.
    volatile char *to = job->descriptor_path + sizeof job->descriptor_path - 1;
    *to = 0;
    do {
        *--to = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (int at = 13; at >= 0; at--)
        *--to = (char)((at < 8 ? first : second) >> at % 8 * 8);
    return (const char *)to;
}

MACHINE_FUNCTION void copy_file(
    struct job *job, int found, int target, const char *name, const clinux_statx *status) {
    int file = open_at(job, CLINUX_AT_FDCWD, path_of(job, found), 0);
    int made =
        open_at(job, target, name, O_WRITE_ONLY | O_CREATE | O_EXCLUSIVE | O_NO_FOLLOW);
    copy_data(job, file, made, (int64_t)status->stx_size);
    copy_attributes(
        job, file, status, made, status->stx_uid, status->stx_gid, status->stx_mode & 07777);
    close_descriptor(made);
    close_descriptor(file);
}

MACHINE_FUNCTION void copy_link(
    struct job *job, int found, int target, const char *name, const clinux_statx *status) {
    long length = call(
        job, TREE_COPY_READLINKAT, __NR_readlinkat, found, (long)job->nothing, (long)job->link,
        LONGEST_LINK, 0);
    job->link[length] = 0;
    call(job, TREE_COPY_SYMLINKAT, __NR_symlinkat, (long)job->link, target, (long)name, 0, 0);
    own(job, target, name, status);
}

/// Copies a FIFO, socket or device.
MACHINE_FUNCTION void copy_node(
    struct job *job, int target, const char *name, const clinux_statx *status) {
    uint32_t minor = status->stx_rdev_minor;
    // Source: new_encode_dev of linux/kdev_t.h.
    uint32_t device = (minor & 0xff) | status->stx_rdev_major << 8 | (minor & ~0xffu) << 12;
    call(
        job, TREE_COPY_MKNODAT, __NR_mknodat, target, (long)name, status->stx_mode, device, 0);
    own(job, target, name, status);
    call(
        job, TREE_COPY_FCHMOD, __NR_fchmodat, target, (long)name, status->stx_mode & 07777, 0, 0);
}

// MARK: - The tree

/// Opens source and target of a subdirectory as the next level.
MACHINE_FUNCTION void descend(
    struct job *job, int depth, int found, const char *name, const clinux_statx *status,
    uint32_t path_length) {
    if (depth + 1 >= TREE_COPY_DEEPEST)
        stop(job, TREE_COPY_DEPTH, ERRNO_TOO_DEEP);
    struct level *from = &job->levels[depth], *below = &job->levels[depth + 1];
    call(job, TREE_COPY_MKDIRAT, __NR_mkdirat, from->target, (long)name, 0700, 0, 0);
    below->source = open_at(job, found, job->itself, O_ONLY_DIRECTORY);
    below->target = open_at(job, from->target, name, O_ONLY_DIRECTORY | O_NO_FOLLOW);
    below->path_length = path_length;
    below->position = below->length = 0;
    // Field by field: a copy of the whole struct could become a call of memcpy.
    below->status.stx_uid = status->stx_uid;
    below->status.stx_gid = status->stx_gid;
    below->status.stx_mode = status->stx_mode;
    below->status.stx_atime.tv_sec = status->stx_atime.tv_sec;
    below->status.stx_atime.tv_nsec = status->stx_atime.tv_nsec;
    below->status.stx_mtime.tv_sec = status->stx_mtime.tv_sec;
    below->status.stx_mtime.tv_nsec = status->stx_mtime.tv_nsec;
}

/// Copies one entry; returns 1 if it is a directory, whose contents are copied next.
MACHINE_FUNCTION int copy_entry(struct job *job, int depth, const char *name) {
    struct level *level = &job->levels[depth];
    uint32_t path_length = job->report->path_length;
    go_to(job, name);
    int found = open_at(job, level->source, name, O_PATH_ONLY | O_NO_FOLLOW);
    clinux_statx *status = &job->status;
    call(
        job, TREE_COPY_STATX, __NR_statx, found, (long)job->nothing, CLINUX_AT_EMPTY_PATH, 0x7ff,
        (long)status);
    int type = status->stx_mode & TYPE_MASK;
    if (type == TYPE_DIRECTORY)
        descend(job, depth, found, name, status, path_length);
    else if (type == TYPE_REGULAR)
        copy_file(job, found, level->target, name, status);
    else if (type == TYPE_LINK)
        copy_link(job, found, level->target, name, status);
    else
        copy_node(job, level->target, name, status);
    close_descriptor(found);
    if (type == TYPE_DIRECTORY)
        return 1;
    job->report->path_length = path_length;
    return 0;
}

/// The next entry of a directory other than `.` and `..`; null at its end.
///
/// struct linux_dirent64: ino 8, off 8, reclen 2, type 1, then the name.
MACHINE_FUNCTION const char *next_name(struct job *job, struct level *level) {
    for (;;) {
        if (level->position >= level->length) {
            level->position = 0;
            level->length = (uint32_t)call(
                job, TREE_COPY_GETDENTS, __NR_getdents64, level->source, (long)level->entries,
                sizeof level->entries, 0, 0);
            if (level->length == 0)
                return 0;
        }
        const unsigned char *entry = (const unsigned char *)level->entries + level->position;
        level->position += (uint32_t)entry[16] | (uint32_t)entry[17] << 8;
        const char *name = (const char *)entry + 19;
        if (name[0] != '.' || (name[1] && (name[1] != '.' || name[2])))
            return name;
    }
}

MACHINE_FUNCTION void copy_tree(struct job *job, const struct tree_copy_order *order) {
    struct level *top = &job->levels[0];
    top->source = order->source;
    top->target = order->target;
    call(
        job, TREE_COPY_STATX, __NR_statx, order->source, (long)job->nothing, CLINUX_AT_EMPTY_PATH,
        0x7ff, (long)&top->status);
    for (int depth = 0;;) {
        struct level *level = &job->levels[depth];
        const char *name = next_name(job, level);
        if (name) {
            depth += copy_entry(job, depth, name);
            continue;
        }
        if (depth == 0)
            break;
        const clinux_statx *status = &level->status;
        copy_attributes(
            job, level->source, status, level->target, status->stx_uid, status->stx_gid,
            status->stx_mode & 07777);
        close_descriptor(level->source);
        close_descriptor(level->target);
        job->report->path_length = level->path_length;
        depth--;
    }
    copy_attributes(
        job, top->source, &top->status, top->target, order->owner, order->group, order->mode);
}

// MARK: - The routine

/// Copies the tree. Returns the errno of a failed start, or 0; a later error ends the process.
MACHINE_ENTRY int machine_copy_tree(
    const struct tree_copy_order *order, struct machine_progress *progress) {
    struct tree_copy_report *report =
        (struct tree_copy_report *)((char *)progress + TREE_COPY_REPORT_OFFSET);
    // PROT_READ | PROT_WRITE; MAP_PRIVATE | MAP_ANONYMOUS.
    long memory = raw_system_call(__NR_mmap, 0, sizeof(struct job), 3, 0x22, -1, 0);
    if (memory < 0 && memory >= -4095) {
        report->call = TREE_COPY_MMAP;
        return (int)-memory;
    }
    struct job *job = (struct job *)memory;
    job->progress = progress;
    job->report = report;
    job->itself[0] = '.';
    copy_tree(job, order);
    report->done = 1;
    return 0;
}
#endif
