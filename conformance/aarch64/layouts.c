// SPDX-License-Identifier: Apache-2.0
//
// The structures of the kernel as the sources of swrunc write and read them: their layout in the headers of the
// architecture that this is compiled for. Nothing runs: a wrong one does not compile.
#define _GNU_SOURCE
#include <CLinux.h>

#include <elf.h>

#include <linux/audit.h>
#include <linux/if_addr.h>
#include <linux/inotify.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/signalfd.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <time.h>

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has " #bytes " bytes")
#define AT(type, member, bytes) \
    _Static_assert(offsetof(type, member) == (bytes), #type "." #member " is at " #bytes)

#if defined(__x86_64__)
_Static_assert(EM_X86_64 == 62 && AUDIT_ARCH_X86_64 == 0xc000003e, "x86_64");
SIZE(struct epoll_event, 12);
AT(struct epoll_event, data, 4);
#elif defined(__aarch64__)
_Static_assert(EM_AARCH64 == 183 && AUDIT_ARCH_AARCH64 == 0xc00000b7, "aarch64");
SIZE(struct epoll_event, 16);
AT(struct epoll_event, data, 8);
#else
#error "swrunc runs on x86_64 and aarch64"
#endif
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers in memory begin with their lowest byte");
SIZE(long, 8);
SIZE(void *, 8);

// Sources/CLinux
SIZE(struct machine_instruction, 72);
SIZE(struct machine_progress, 16);
SIZE(struct clinux_statfs, sizeof(struct statfs));
AT(struct clinux_statfs, f_type, offsetof(struct statfs, f_type));
AT(struct clinux_statfs, f_blocks, offsetof(struct statfs, f_blocks));
AT(struct clinux_statfs, f_namelen, offsetof(struct statfs, f_namelen));
AT(struct clinux_statfs, f_flags, offsetof(struct statfs, f_flags));
_Static_assert(__NR_clone3 == 435, "Sources/InitMachine/Start.c");
_Static_assert(__NR_close_range == 436 && __NR_openat2 == 437 && __NR_mount_setattr == 442, "the same on both");

// Sources/InitProgram/KernelStructures.swift
SIZE(clinux_statx, 256);
AT(clinux_statx, stx_attributes, 8);
AT(clinux_statx, stx_mode, 28);
AT(clinux_statx, stx_rdev_major, 128);
AT(clinux_statx, stx_rdev_minor, 132);
SIZE(clinux_clone_args, 88);
AT(clinux_clone_args, pidfd, 8);
AT(clinux_clone_args, exit_signal, 32);
AT(clinux_clone_args, cgroup, 80);
SIZE(struct open_how, 24);
AT(struct open_how, resolve, 16);
SIZE(struct mount_attr, 32);
AT(struct mount_attr, userns_fd, 24);
AT(struct landlock_path_beneath_attr, parent_fd, 8);
SIZE(struct pollfd, 8);
AT(struct pollfd, revents, 6);
SIZE(struct sigaction, 152);

// Messages, signals, times and filters, as both sides write them.
SIZE(struct msghdr, 56);
AT(struct msghdr, msg_iov, 16);
AT(struct msghdr, msg_control, 32);
AT(struct msghdr, msg_controllen, 40);
SIZE(struct cmsghdr, 16);
SIZE(struct sockaddr_un, 110);
SIZE(struct sockaddr_nl, 12);
SIZE(struct nlmsghdr, 16);
SIZE(struct ifinfomsg, 16);
SIZE(struct ifaddrmsg, 8);
SIZE(struct inotify_event, 16);
SIZE(struct signalfd_siginfo, 128);
SIZE(struct timespec, 16);
SIZE(struct sock_fprog, 16);
SIZE(struct sock_filter, 8);
SIZE(struct seccomp_notif, 80);
SIZE(struct seccomp_notif_resp, 24);
SIZE(struct __user_cap_header_struct, 8);
SIZE(struct __user_cap_data_struct, 12);
SIZE(struct ifreq, 40);
_Static_assert(SIGCHLD == 17 && SIGUSR1 == 10 && SIGBUS == 7, "Sources/ContainerKit/Model/Signal.swift");
