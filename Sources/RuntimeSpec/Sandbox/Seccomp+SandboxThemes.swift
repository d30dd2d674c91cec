// SPDX-License-Identifier: Apache-2.0

extension Seccomp {
    /// What `sandbox()` allows: calls by theme, each theme with its reason.
    ///
    /// A name that an architecture or the library of filters does not know makes no rule.
    public static var sandboxThemes: [CallTheme] {
        [
            descriptors, directories, attributes, watching, memory, threads, processes, identity,
            signals, time, messages, sockets, facts, restriction, tracing, terminals,
            executionDomain,
        ]
    }

    private static var descriptors: CallTheme {
        CallTheme(
            "files",
            because: "what a program may do to a file, its mounts, owners and modes say",
            calls: """
                open openat openat2 creat close close_range read write readv writev pread64 pwrite64
                preadv pwritev preadv2 pwritev2 lseek _llseek dup dup2 dup3 fcntl fcntl64 flock
                truncate truncate64 ftruncate ftruncate64 fallocate fsync fdatasync sync syncfs
                sync_file_range readahead fadvise64 fadvise64_64 copy_file_range sendfile sendfile64
                splice tee vmsplice pipe pipe2 memfd_create memfd_secret cachestat
                io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents
                """)
    }

    private static var directories: CallTheme {
        CallTheme(
            "directories",
            because: "they lead to nothing outside of the mounts of the container",
            calls: """
                getcwd chdir fchdir chroot mkdir mkdirat rmdir unlink unlinkat rename renameat
                renameat2 link linkat symlink symlinkat readlink readlinkat mknod mknodat getdents
                getdents64 name_to_handle_at
                """)
    }

    private static var attributes: CallTheme {
        CallTheme(
            "attributes of files",
            because: "they are checked against the owner, with the capabilities of the container",
            calls: """
                stat fstat lstat stat64 fstat64 lstat64 newfstatat fstatat64 statx statfs fstatfs
                statfs64 fstatfs64 access faccessat faccessat2 chmod fchmod fchmodat fchmodat2 chown
                fchown lchown fchownat umask utime utimes futimesat utimensat getxattr lgetxattr
                fgetxattr listxattr llistxattr flistxattr setxattr lsetxattr fsetxattr removexattr
                lremovexattr fremovexattr setxattrat getxattrat listxattrat removexattrat
                """)
    }

    private static var watching: CallTheme {
        CallTheme(
            "waiting for descriptors",
            because: "they tell of descriptors that the program has already",
            calls: """
                select _newselect pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl
                epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2
                inotify_init inotify_init1 inotify_add_watch inotify_rm_watch
                """)
    }

    private static var memory: CallTheme {
        CallTheme(
            "memory",
            because: "it is the process's own, and the cgroup counts it",
            calls: """
                brk mmap mmap2 munmap mremap mprotect madvise msync mincore mlock mlock2 munlock
                mlockall munlockall remap_file_pages membarrier pkey_alloc pkey_free pkey_mprotect
                mseal map_shadow_stack process_mrelease
                """)
    }

    private static var threads: CallTheme {
        CallTheme(
            "threads",
            because: "each program of several threads needs them; the kernel checks priorities",
            calls: """
                futex futex_time64 futex_waitv futex_wake futex_wait futex_requeue set_robust_list
                get_robust_list set_tid_address set_thread_area get_thread_area arch_prctl rseq
                gettid getcpu sched_yield sched_getaffinity sched_setaffinity sched_getparam
                sched_setparam sched_getscheduler sched_setscheduler sched_getattr sched_setattr
                sched_get_priority_max sched_get_priority_min sched_rr_get_interval
                sched_rr_get_interval_time64 getpriority setpriority ioprio_get ioprio_set
                """)
    }

    private static var processes: CallTheme {
        CallTheme(
            "processes",
            because: "the pid namespace and the limit of processes hold them",
            rules: [
                SeccompRule(
                    names: words(
                        """
                        fork vfork execve execveat exit exit_group wait4 waitpid waitid getpid
                        getppid getpgid getpgrp setpgid getsid setsid pidfd_open getrusage getrlimit
                        ugetrlimit setrlimit prlimit64 prctl
                        """),
                    action: .allow),
                // No new namespace: in a user namespace a process has all capabilities, and with them most
                // of the kernel to try. CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
                .allowing("clone", argument: 0, without: 0x7e02_0000),
                // Its flags are in memory, where no filter looks; a C library without it calls clone.
                SeccompRule(names: ["clone3"], action: .errno, errnoRet: 38),
            ])
    }

    private static var identity: CallTheme {
        CallTheme(
            "users, groups and capabilities",
            because: "an identity is given up by them, and none beyond the container's is gained",
            calls: """
                getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid
                getresuid32 getresgid getresgid32 getgroups getgroups32 setuid setuid32 setgid
                setgid32 setreuid setreuid32 setregid setregid32 setresuid setresuid32 setresgid
                setresgid32 setgroups setgroups32 setfsuid setfsuid32 setfsgid setfsgid32 capget
                capset
                """)
    }

    private static var signals: CallTheme {
        CallTheme(
            "signals",
            because: "they reach processes of the pid namespace alone",
            calls: """
                kill tkill tgkill pidfd_send_signal rt_sigaction rt_sigprocmask rt_sigpending
                rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_sigqueueinfo
                rt_tgsigqueueinfo sigaltstack signalfd signalfd4 sigreturn sigaction sigprocmask
                sigpending sigsuspend signal pause alarm restart_syscall
                """)
    }

    private static var time: CallTheme {
        CallTheme(
            "time",
            because: "clocks are read, not set; timers are the process's own",
            calls: """
                time gettimeofday clock_gettime clock_gettime64 clock_getres clock_getres_time64
                clock_nanosleep clock_nanosleep_time64 nanosleep times getitimer setitimer
                timer_create timer_delete timer_gettime timer_gettime64 timer_settime
                timer_settime64 timer_getoverrun timerfd_create timerfd_gettime timerfd_gettime64
                timerfd_settime timerfd_settime64
                """)
    }

    private static var messages: CallTheme {
        CallTheme(
            "queues, semaphores and shared memory",
            because: "they are of the ipc namespace, which is the container's own",
            calls: """
                mq_open mq_unlink mq_notify mq_getsetattr mq_timedsend mq_timedsend_time64
                mq_timedreceive mq_timedreceive_time64 msgget msgsnd msgrcv msgctl semget semop
                semtimedop semtimedop_time64 semctl shmget shmat shmdt shmctl ipc
                """)
    }

    private static var sockets: CallTheme {
        CallTheme(
            "sockets",
            because: "the network namespace says what they reach",
            rules: [
                SeccompRule(
                    names: words(
                        """
                        socketpair bind connect listen accept accept4 getsockname getpeername send
                        sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64
                        shutdown getsockopt setsockopt
                        """),
                    action: .allow)
            ]
                // AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: what is common. Others are code of the kernel that
                // hardly anybody uses, or reach the machine's own hypervisor (AF_VSOCK).
                + SeccompRule.allowing("socket", argument: 0, in: [1, 2, 10, 16]))
    }

    private static var facts: CallTheme {
        CallTheme(
            "facts of the system",
            because: "most is in /proc, too, and namespaces hide the rest",
            calls: "uname sysinfo getrandom sethostname setdomainname")
    }

    private static var restriction: CallTheme {
        CallTheme(
            "giving up rights",
            because: "a program in the sandbox may build a smaller one in it",
            calls: "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self")
    }

    private static var tracing: CallTheme {
        CallTheme(
            "tracing",
            because: "for debuggers and sanitizers: of the same user, in the pid namespace",
            calls: "ptrace process_vm_readv process_vm_writev process_madvise kcmp")
    }

    private static var terminals: CallTheme {
        CallTheme(
            "devices and terminals",
            because: "what a device takes is its own affair; the cgroup says which there are",
            // TIOCSTI types into a terminal, TIOCLINUX pastes: into the caller's shell, where the terminal is
            // the caller's.
            rules: SeccompRule.allowing("ioctl", argument: 1, notIn: [0x5412, 0x541c]))
    }

    private static var executionDomain: CallTheme {
        CallTheme(
            "the execution domain",
            because: "programs ask for it; of others, `setarch linux32` is in use",
            // PER_LINUX, PER_LINUX32, and the number that only asks. None without random addresses.
            rules: SeccompRule.allowing("personality", argument: 0, in: [0, 8, .max]))
    }

    private static func words(_ text: String) -> [String] {
        text.split { $0 == " " || $0 == "\n" }.map(String.init)
    }
}
