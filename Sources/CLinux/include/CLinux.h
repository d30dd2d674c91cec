// SPDX-License-Identifier: Apache-2.0
//
// What Swift cannot express itself, in one header:
//   - the raw system call, for x86_64 and aarch64, which returns -errno and takes no lock;
//   - the kernel's structures and constants that the glibc module map leaves out;
//   - the layout of the init machine's instructions, which the Swift side prepares and runs.
// Nothing here is linked: every function is inlined into its Swift caller.
#ifndef CLINUX_H
#define CLINUX_H
#ifdef __linux__

#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/if.h>
#include <linux/keyctl.h>
#include <linux/ioprio.h>
#include <linux/magic.h>
#include <linux/mempolicy.h>
#include <linux/mount.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <linux/personality.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <linux/stat.h>
#include <linux/types.h>
#include <asm/ioctls.h>
#include <stdint.h>
#include <sys/auxv.h>

// Declared by errno.h of the C library under _GNU_SOURCE.
extern char *program_invocation_short_name;

/// The name by which this process was called, without directories; "" if it has none.
static inline const char *calling_name(void) {
    return program_invocation_short_name ? program_invocation_short_name : "";
}

/// One system call. Returns the kernel's result; an error is -errno (-4095...-1).
///
/// Without any instrumentation, because it also becomes part of the machine
/// (InitMachine/Section.h).
__attribute__((always_inline, disable_sanitizer_instrumentation, no_profile_instrument_function,
               no_instrument_function, no_sanitize("all")))
static inline long raw_system_call(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory", "cc");
    return x0;
#else
#error "swrunc runs on x86_64 and aarch64"
#endif
}

// MARK: - The init machine

/// The kinds of instruction. See InitMachine/Machine.c for what each does.
enum { MACHINE_CALL = 0, MACHINE_COPY = 1, MACHINE_SKIP = 2, MACHINE_COPY_TREE = 3, MACHINE_ENTER = 4 };

/// The value of `machine_instruction.result` for a call whose result is not used.
#define MACHINE_NO_CELL 0xffff

/// One instruction of 72 bytes; all addresses in it are final.
///
///   call: system call `number` with `operand`; bit i of `cell_operands` says that operand i is the
///         index of a cell. The result goes to cell `result`. EINTR and EAGAIN are retried up to
///         `retries` times; an errno in `ignored` is stored as -errno and the program goes on.
///   copy: the low `operand[1]` (1, 2, 4, 8) bytes of cell `result` go to address `operand[0]`.
///   skip: the next `distance` instructions are skipped if the 8 bytes at address `operand[0]`,
///         masked by `operand[1]`, equal `operand[2]`.
///   copy_tree: a directory is copied as the order at address `operand[0]` says (TreeCopy.h).
///   enter: the program in file `operand[1]` from byte `operand[2]` on is mapped at address
///          `operand[0]`, the file is closed, and that program begins.
struct machine_instruction {
    uint8_t kind;
    uint8_t cell_operands;
    uint16_t result;
    uint16_t retries;
    uint16_t distance;
    int16_t ignored[4];
    int64_t number;
    int64_t operand[6];
};

/// The report of a running child, in a page that it shares with its parent.
///
/// `index` is stored before each call but exit_group; `error` (an errno) is stored if a call stops
/// the program. Instructions before the plan's own program have negative indices, which are stored
/// only with an error. The parent writes `init_word` for the process that a stepping stone clones,
/// and `second_word` for the one that a plan's first process clones: 1 to go on, 2 to end. The
/// parent trusts the page only for the child's progress, since any process that may trace the child
/// can write to it.
struct machine_progress {
    volatile uint32_t index;
    volatile int32_t error;
    volatile uint32_t init_word;
    volatile uint32_t second_word;
};

// MARK: - Kernel structures that a header of Debian 12 or glibc hides

/// `struct clone_args` of linux/sched.h, under a name that does not clash with glibc's.
typedef struct clone_args clinux_clone_args;

/// `struct statx` of linux/stat.h (glibc declares one of its own under the same name).
typedef struct statx clinux_statx;

/// The kernel's `struct winsize`.
struct clinux_winsize {
    uint16_t ws_row;
    uint16_t ws_col;
    uint16_t ws_xpixel;
    uint16_t ws_ypixel;
};

/// The kernel's `struct statfs` on 64-bit machines.
struct clinux_statfs {
    long f_type;
    long f_bsize;
    long f_blocks;
    long f_bfree;
    long f_bavail;
    long f_files;
    long f_ffree;
    long f_fsid;
    long f_namelen;
    long f_frsize;
    long f_flags;
    long f_spare[4];
};

enum {
    CLINUX_AT_FDCWD = -100,
    CLINUX_AT_EMPTY_PATH = 0x1000,
    CLINUX_AT_RECURSIVE = 0x8000,
    CLINUX_AT_SYMLINK_NOFOLLOW = 0x100,
    CLINUX_AT_EACCESS = 0x200,
    CLINUX_AT_REMOVEDIR = 0x200,
};

// Macros with casts, 64-bit values or unsigned suffixes, which Swift does not import.
static const uint64_t clinux_clone_into_cgroup = 0x200000000ULL;
static const uint64_t clinux_clone_clear_sighand = 0x100000000ULL;
static const uint64_t clinux_clone_newtime = 0x80;
static const uint64_t clinux_ns_get_nstype = 0xb703;
static const uint64_t clinux_tiocgptpeer = 0x5441;
static const uint64_t clinux_tiocsptlck = 0x40045431;
static const int clinux_p_pidfd = 3;

#endif
#endif
