// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// What to do about a refusal in init.
///
/// A hint is true whenever it is given: of several reasons for one errno it names all that people meet,
/// or says when it holds.
enum InitHint {
    static func text(for instruction: RecordedInstruction, _ errno: CInt) -> String? {
        let errno = Errno(rawValue: errno)
        switch instruction.call {
        case "fsopen", "fsconfig", "fsmount", "fsetxattr", "open_tree", "move_mount",
            "mount_setattr", "mount", "pivot_root", "mkdirat", "mknodat", "openat2":
            return mount(instruction, errno)
        case "sched_setattr", "ioprio_set", "sched_setaffinity", "set_mempolicy", "keyctl",
            "write", "seccomp", "clone3", "unshare", "setns":
            return process(instruction, errno)
        default: return identity(instruction, errno)
        }
    }

    // MARK: Identity

    private static func identity(_ instruction: RecordedInstruction, _ errno: Errno) -> String? {
        switch (instruction.call, errno) {
        case ("capset", .notPermitted):
            "an inheritable capability must be in process.capabilities.bounding, and the runtime must "
                + "itself have all that it grants"
        case ("prctl", .notPermitted) where instruction.arguments.begins(with: "PR_CAPBSET_DROP"):
            "to leave out capabilities of the bounding set takes CAP_SETPCAP"
        case ("prctl", .notPermitted): "securebits that the runtime was started with may forbid it"
        case ("prlimit64", .notPermitted): limit(instruction.arguments)
        case ("setgroups", .invalidArgument), ("setuid", .invalidArgument),
            ("setgid", .invalidArgument):
            "the id has no mapping in the user namespace that the process is in"
        case ("setgroups", .notPermitted):
            "it takes CAP_SETGID, and a user namespace that does not deny groups (/proc/self/setgroups)"
        case ("setgid", .notPermitted): "it takes CAP_SETGID"
        case ("setuid", .notPermitted): "it takes CAP_SETUID"
        case ("faccessat2", .permissionDenied) where instruction.origin == "root.path":
            "give it to that user (chown), or let others search it (chmod o+x)"
        case ("openat", .permissionDenied) where instruction.origin == "root.path":
            "each directory on the way must let the container's root search it (chmod o+x)"
        case ("sethostname", .notPermitted), ("setdomainname", .notPermitted):
            "the uts namespace belongs to another user namespace than the process is in"
        default: nil
        }
    }

    /// Why a limit may not be set (EPERM); `name` is the kernel's, among other text.
    static func limit(_ name: String) -> String {
        let base = "a hard limit above the runtime's own takes CAP_SYS_RESOURCE"
        guard name.parts(between: " ").contains(where: { $0.begins(with: "RLIMIT_NOFILE") }) else {
            return base
        }
        return base + ", and one of files may not be above the sysctl fs.nr_open"
    }

    // MARK: The process

    private static func process(_ instruction: RecordedInstruction, _ errno: Errno) -> String? {
        switch (instruction.call, errno) {
        case ("sched_setattr", .notPermitted):
            instruction.note.ends(with: "SCHED_DEADLINE")
                ? "process scheduler can't be used together with AllowedCPUs "
                    + "(linux.resources.cpu.cpus), and needs CAP_SYS_NICE"
                : "it needs CAP_SYS_NICE, and a real-time policy also real-time shares of the "
                    + "cgroup (linux.resources.cpu.realtimeRuntime) where the kernel counts them"
        case ("sched_setattr", .invalidArgument):
            "SCHED_FIFO and SCHED_RR take a priority of 1 to 99; SCHED_DEADLINE takes a runtime of at "
                + "least 1024 ns, not above the deadline, and that not above the period"
        case ("sched_setattr", .resourceBusy):
            "the CPUs have not that much time left to promise (sysctl kernel.sched_rt_runtime_us)"
        case ("ioprio_set", .notPermitted): "IOPRIO_CLASS_RT takes CAP_SYS_NICE or CAP_SYS_ADMIN"
        case ("sched_setaffinity", .invalidArgument):
            "none of the CPUs is there, or the cpuset has none of them"
        case ("set_mempolicy", .invalidArgument):
            "nodes that this machine or the cpuset lacks, or flags that the mode does not take"
        case ("set_mempolicy", .noFunction): "this kernel has no memory policies (CONFIG_NUMA)"
        case ("keyctl", .diskQuotaExceeded), ("keyctl", .noMemory):
            "the keys of the user that runs the runtime reach their quota (sysctls kernel.keys.maxkeys "
                + "and maxbytes, for root root_maxkeys and root_maxbytes); --no-new-keyring takes none"
        case ("keyctl", .permissionDenied):
            "another user has a session keyring of this name; --no-new-keyring takes none"
        case ("keyctl", _): "--no-new-keyring leaves session keyrings alone"
        case ("write", .permissionDenied) where instruction.origin == "process.oomScoreAdj":
            oomScore
        case ("seccomp", .resourceBusy):
            "a filter that the runtime itself runs under has a listener already"
        case ("seccomp", .permissionDenied):
            "without process.noNewPrivileges it takes CAP_SYS_ADMIN"
        case ("seccomp", .invalidArgument):
            "this kernel does not know one of linux.seccomp.flags, or the filter is longer than 4096 "
                + "instructions"
        case ("clone3", _), ("unshare", _):
            newNamespaces(
                NamespaceKind.allCases.filter { kind in
                    let name = Substring(kind.cloneFlag.description)
                    return instruction.arguments.parts(between: " ").contains {
                        String($0).parts(between: "|").contains(name)
                    }
                }, errno)
        case ("setns", .notPermitted):
            "it takes CAP_SYS_ADMIN in the user namespace that the namespace belongs to"
        default: nil
        }
    }

    /// Why a score may not be set (EACCES).
    static let oomScore = "a score below the runtime's own takes CAP_SYS_RESOURCE"

    // MARK: Mounts

    private static func mount(_ instruction: RecordedInstruction, _ errno: Errno) -> String? {
        switch (instruction.call, errno) {
        case ("fsconfig", .invalidArgument) where !instruction.note.isEmpty,
            ("fsetxattr", .invalidArgument):
            "the policy does not know the label (linux.mountLabel, or an option of the mount)"
        case ("fsconfig", .invalidArgument)
        where instruction.arguments.utf8.contains(UInt8(ascii: "\"")):
            "the file system does not know the option, or does not take its value"
        case ("fsopen", .notPermitted):
            "it takes CAP_SYS_ADMIN in the user namespace that the mounts belong to"
        case ("fsconfig", .notPermitted), ("mount", .notPermitted):
            "a user namespace may mount tmpfs, overlay and such, proc with a pid namespace of its own, "
                + "sysfs with a network namespace, mqueue with an ipc namespace; nothing that is on a device"
        case ("fsmount", .notPermitted):
            "in a user namespace proc and sysfs may be mounted only where those of the host are not "
                + "partly covered by other mounts"
        case ("fsopen", .operationNotSupportedByDevice)
        where ["FSOPEN_CLOEXEC", "\"none\", FSOPEN_CLOEXEC"].contains(instruction.arguments):
            "to show a file or directory of the host takes the option bind or rbind"
        case ("fsopen", .operationNotSupportedByDevice):
            "this kernel does not know the file system type, or lacks its module"
        case ("move_mount", .tooManySymbolicLinkLevels):
            "the destination is inside of what is mounted there"
        case ("move_mount", .noSpace), ("fsmount", .noSpace): Self.mostMounts
        case ("mkdirat", .permissionDenied), ("mknodat", .permissionDenied), ("mkdirat", .overflow),
            ("mknodat", .overflow):
            "the container's root user may not write there: does it own the rootfs?"
        case ("mkdirat", .readOnlyFileSystem), ("mknodat", .readOnlyFileSystem):
            "what is missing cannot be made, since the file system there is read-only: the rootfs, or an "
                + "earlier mount, must have it already"
        case ("mknodat", .notPermitted):
            "to make a device takes CAP_MKNOD outside of any user namespace, and a cgroup that permits it"
        case ("openat2", .notDirectory): "something on the way there is a file"
        case ("openat2", .tooManySymbolicLinkLevels):
            "a link is on the way where none may be, or too many are"
        case ("pivot_root", .invalidArgument):
            "if the runtime runs on the initial ramfs, --no-pivot is the way"
        default:
            hostTree(SystemCallError(instruction.call, instruction.arguments, errno: errno))
        }
    }

    private static let mostMounts =
        "a mount namespace has no more mounts than the sysctl fs.mount-max says"

    /// Why a tree of mounts cannot be cloned or changed.
    static func hostTree(_ failure: SystemCallError) -> String? {
        switch (failure.call, failure.errno) {
        case ("open_tree", .noSpace): mostMounts
        case ("open_tree", .invalidArgument):
            "if the runtime is in a user namespace, it may show a tree of the host only with all that "
                + "is mounted below: use rbind; and a mount that is unbindable is never cloned"
        case ("mount_setattr", .notPermitted):
            "in a user namespace a mount of the host keeps its ro, nosuid, nodev, noexec and atime "
                + "options"
        default: nil
        }
    }

    // MARK: Namespaces

    /// Why a process, or this one, gets no new namespaces.
    static func newNamespaces(_ kinds: [NamespaceKind], _ errno: Errno) -> String? {
        switch errno {
        case .noSpace:
            return "the limit of a kind of namespaces is reached (sysctls user.max_*_namespaces), "
                + "or they are nested 32 deep"
        case .notPermitted where kinds.contains(.user):
            return "who is in a chroot, or has no mapping of its own ids, makes no user namespace, "
                + "nor does who the host denies it (sysctls kernel.unprivileged_userns_clone and "
                + "kernel.apparmor_restrict_unprivileged_userns)"
        case .notPermitted:
            return "without a user namespace in linux.namespaces it takes CAP_SYS_ADMIN"
        case .invalidArgument:
            let missing = kinds.filter { kind in
                do throws(SystemCallError) {
                    _ = try status(at: "/proc/self/ns/\(kind.procName)")
                    return false
                } catch {
                    return error.errno == .noSuchFileOrDirectory
                }
            }
            guard !missing.isEmpty else { return nil }
            return "this kernel has no namespaces of type "
                + String.joined(missing.map(\.rawValue), by: ", ")
        case .resourceTemporarilyUnavailable:
            return "no more processes are allowed (RLIMIT_NPROC, pids.max of the cgroup, sysctls "
                + "kernel.threads-max and kernel.pid_max)"
        default: return nil
        }
    }
}
