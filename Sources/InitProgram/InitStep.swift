// SPDX-License-Identifier: Apache-2.0

package import ByteText
package import KernelVocabulary

/// One thing the init process does, in the order in which it does it.
///
/// A step is a plain value: it can be compared, printed (`summary`) and lowered to instructions
/// (`Lowering.swift`). Paths are inside the root file system unless a step says otherwise.
package enum InitStep: Equatable, Sendable {
    // MARK: The process itself

    /// Closes every descriptor but 0, 1, 2, the preserved ones behind them, and those named.
    ///
    /// The numbers are known at launch only: the launcher fills in the gaps between them. `phase`
    /// tells the first use in a program (0) from the second (1).
    case closeDescriptors(phase: Int, keeping: [InheritedDescriptor], preserved: Int)
    /// Makes inherited descriptors the standard input, output and error.
    case setStandardStreams([Int])
    /// Forbids ptrace and /proc access to this process until execve.
    ///
    /// Kernel: PR_SET_DUMPABLE.
    case forbidPtrace
    /// Lets who has a right over this process trace it, and so take its descriptors.
    ///
    /// Kernel: PR_SET_DUMPABLE, pidfd_getfd(2).
    case permitPtrace
    /// Becomes leader of a session of its own.
    ///
    /// Kernel: setsid(2).
    case startSession
    /// Enters `count` v1 cgroups through their `tasks` files, which the parent opened.
    ///
    /// A process that moves itself by `tasks` is spared the RCU grace period that a move by
    /// `cgroup.procs` from outside waits for.
    case enterCgroups(count: Int)
    /// Enters the v2 cgroup below the container's that is left to the container.
    case enterDelegatedCgroup
    /// Sets the OOM score adjustment.
    ///
    /// Kernel: proc_pid_oom_score_adj(5).
    case setOOMScore(Int)

    // MARK: Attributes

    /// Binds the process to CPUs.
    ///
    /// Spec: config.md, Linux Process, execCPUAffinity. Kernel: sched_setaffinity(2).
    case setCPUAffinity(NumberSet, AffinityMoment)
    /// Undoes the CPU affinity of the caller: all CPUs that the cgroup allows.
    case resetCPUAffinity
    /// Sets policy, nice value and priority.
    ///
    /// Kernel: sched_setattr(2).
    case setScheduler(SchedulingAttributes)
    /// Sets how urgent the I/O of the process is.
    ///
    /// Kernel: ioprio_set(2).
    case setIOPriority(IOPriorityValue)
    /// Sets where the process gets its memory from.
    ///
    /// Kernel: set_mempolicy(2).
    case setMemoryPolicy(MemoryPolicyChange)
    /// Enters an execution domain.
    ///
    /// Kernel: personality(2).
    case setPersonality(ExecutionDomain)

    /// Opens the host's procfs, for a label that is set once its path means the container's.
    case openHostProc
    /// Sets what security modules confine the program by.
    case setSecurityLabels([SecurityLabel])

    // MARK: Waiting for the parent

    /// Waits for one byte from the parent; ends when the parent is gone.
    case waitForParent(ParentEvent)
    /// Sends one byte to the parent.
    case reportToParent(ChildEvent)
    /// Waits until `start` connects.
    ///
    /// Its connection is closed by a successful execve.
    case waitForStart
    /// The same for the first process of a pid namespace, with all signals blocked; it ends at one that
    /// asks a process to end.
    ///
    /// The kernel spares such a process the default action of signals. Kernel: pid_namespaces(7),
    /// signalfd(2).
    case waitForStartOrSignal

    // MARK: Hooks

    /// Runs a hook as a child of this process, with the streams that the parent sends.
    ///
    /// `preparing` is what the hook's own process does before it executes. Under a filter the clone is
    /// one that a profile can judge by its flags.
    case runHook(PlannedHook, preparing: [InitStep], underFilter: Bool = false)
    /// Enters a directory of the host; one that is missing is left out.
    case enterHostDirectory(String)

    // MARK: Namespaces

    /// Enters a namespace that the parent opened.
    ///
    /// Kernel: setns(2).
    case joinNamespace(NamespaceKind)
    /// Enters the user namespace that the parent opened, and others that may belong to it or to an
    /// outer one: each is tried before it and, if refused, after it.
    ///
    /// Kernel: setns(2), user_namespaces(7).
    case joinUserNamespace(with: [NamespaceKind])
    /// Becomes a user and group of the user namespace that this process is in: its root, or, where that
    /// is not mapped, the process's own. What is made from here on is theirs.
    case becomeNamespaceUser(NamespaceUser)
    /// Enters namespaces of a running container.
    ///
    /// Kernel: setns(2) on a pidfd, Linux 5.8.
    case joinProcess(NamespaceSet)
    /// Enters new namespaces.
    ///
    /// Kernel: unshare(2).
    case unshareNamespaces(NamespaceSet)
    /// Enters a new time namespace, whose offsets are written before.
    case enterNewTimeNamespace([TimeNamespaceOffset])
    /// Clones a second process that goes on in this one's place, a child of the same parent: a joined
    /// pid namespace is for children only.
    ///
    /// Kernel: clone3(2) with CLONE_PARENT.
    case continueInChild(intoCgroup: Bool)
    /// Sets the loopback interface up.
    case bringUpLoopback
    /// Hands the parent a socket of rtnetlink that belongs to the network namespace.
    ///
    /// Kernel: rtnetlink(7).
    case sendNetworkSocket
    /// Names the host.
    ///
    /// Kernel: sethostname(2).
    case setHostname(String)
    /// Names the NIS domain.
    ///
    /// Kernel: setdomainname(2).
    case setDomainname(String)

    // MARK: The root file system

    /// Clones a mount tree of the host by its path, where the runtime has no right to do so itself.
    ///
    /// This process is root of a user namespace then, with the file permissions of the runtime's user.
    /// Kernel: open_tree(2).
    case cloneHostTree(HostTree, for: InheritedDescriptor)
    /// Cuts the new mount namespace off from the host's, so that no mount leaks out.
    case isolateMounts(private: Bool)
    /// Puts the prepared root tree onto the rootfs directory, a path of the host.
    case attachRootfs(hostPath: String)
    /// Checks that this process, root of a user namespace, may search the root directory.
    case searchRootfs(hostUser: UInt32?)
    /// Uses "/" of the joined mount namespace as root.
    case openRoot
    /// Mounts a new instance of a file system.
    case mountFilesystem(FilesystemMount)
    /// Mounts a new instance of a file system, or, where the kernel refuses it to a user namespace
    /// that does not own what the file system shows, a prepared tree.
    case mountFilesystemOrAttach(FilesystemMount, Int)
    /// Attaches a tree that the parent prepared.
    case attachMount(Int, at: String, kind: MountPointKind)
    /// Takes over a tree that the parent prepared and sends.
    ///
    /// Kernel: recvmsg(2), SCM_RIGHTS.
    case receiveMountTree(InheritedDescriptor)
    /// Clones what earlier steps have mounted at a place of the container, for `mounts[index]`.
    ///
    /// Kernel: open_tree(2).
    case cloneContainerTree(ContainerTree, for: Int)
    /// Hands the parent the tree cloned for `mounts[index]`, so that it maps the ids of its files.
    case sendMountTree(Int)
    /// Mounts a tmpfs and attaches v1 hierarchies in it, which the parent prepared; a hierarchy of
    /// several controllers gets links of their names.
    case mountCgroupHierarchies(Int, FilesystemMount, [CgroupHierarchyMount])
    /// Makes symbolic links in one directory; those that exist stay.
    case makeLinks(directory: String, [SymbolicLink])
    /// Makes a symbolic link; what is there already must be the same link.
    case copyLink(directory: String, SymbolicLink)
    /// Makes a directory and those above it; one that exists stays.
    case makeDirectory(String)
    /// Makes device nodes, all in one directory.
    case makeDevices(directory: String, [Device])
    /// Attaches device nodes that the parent made, or has of the host, all in one directory: nobody makes
    /// a device in a user namespace.
    case attachDevices(directory: String, [AttachedDevice])
    /// Sets a kernel parameter through a procfs of our own.
    case setSysctl([KernelParameter])
    /// Hides paths; `label` is the SELinux context of the tmpfs that hides directories.
    ///
    /// A missing path is not an error. Spec: config-linux.md, Masked Paths.
    case maskPaths([String], label: String?)
    /// Makes paths read-only.
    ///
    /// A missing path is not an error. Spec: config-linux.md, Readonly Paths.
    case protectPaths([String])
    /// Changes the attributes of what is mounted at a path, which leads through no link.
    ///
    /// Kernel: mount_setattr(2).
    case changeMount(at: String, [MountChange])
    /// Makes a mount read-only after its contents are made.
    case makeReadOnly(String)
    /// Changes the root to the prepared tree and drops the host's.
    ///
    /// Kernel: pivot_root(2).
    case enterRoot
    /// Unmounts instances of procfs and sysfs of the host, given by their mount points.
    ///
    /// Where the host's tree stays, hidden under the new root, the kernel would take them for a reason
    /// to let the container mount instances without the masks of its own.
    case dropKernelTrees([String])
    /// Moves the root mount over `/`, where the host's tree stays under it, and changes the root.
    ///
    /// Kernel: mount(2) with MS_MOVE, chroot(2).
    case moveRoot
    /// Changes the root directory alone: the mounts are the host's too.
    ///
    /// Kernel: chroot(2).
    case changeRoot
    /// Changes the root directory to that of the container's init, which the parent opened.
    ///
    /// Kernel: chroot(2).
    case enterRootOfInit
    /// Sets the propagation of the root mount.
    case setRootPropagation(MountPropagation)

    // MARK: The terminal

    /// Opens a pseudo-terminal of the container, hands its master out and makes it the
    /// controlling terminal.
    case openTerminal(TerminalRequest)

    // MARK: Identity

    /// Sets resource limits, while the process may still raise them.
    ///
    /// Kernel: prlimit(2).
    case setLimits([PlannedLimit])
    /// Joins the session keyring of this name, made when missing: the caller's keys stay its own.
    ///
    /// Kernel: keyctl(2), KEYCTL_JOIN_SESSION_KEYRING; session-keyring(7).
    case joinSessionKeyring(String)
    /// Gives standard streams to the user, so that it can reopen them through /proc/self/fd.
    case ownStandardStreams([Int], userID: UInt32)
    /// Opens standard streams anew by the container's own device nodes.
    case reopenStreams([DeviceStreams])
    /// Changes into the working directory as far as this user may: the one to come tries again.
    case tryDirectory(String)
    /// Changes into the working directory, unless `tryDirectory` did.
    case enterDirectory(String)
    /// Keeps capabilities over the change of user.
    ///
    /// Kernel: PR_SET_KEEPCAPS.
    case keepCapabilities
    /// Drops capabilities from the bounding set (bit n is capability n).
    case limitBoundingSet(keeping: UInt64, last: Int)
    /// Sets the supplementary groups.
    case setGroups([UInt32])
    /// Drops the supplementary groups, unless the user namespace of the runtime denies that.
    ///
    /// Kernel: proc_pid_setgroups(5).
    case dropGroups
    /// Sets real, effective and saved group.
    ///
    /// Kernel: setgid(2).
    case setGroupID(UInt32)
    /// Sets real, effective and saved user.
    ///
    /// Kernel: setuid(2).
    case setUserID(UInt32)
    /// Sets the effective, permitted and inheritable sets.
    ///
    /// Kernel: capset(2).
    case setCapabilities(CapabilitySets)
    /// Clears the ambient set and raises these.
    ///
    /// Kernel: PR_CAP_AMBIENT.
    case setAmbientCapabilities(UInt64)
    /// Raises all permitted capabilities for the steps that remain before the last capset.
    case raisePermitted(UInt64)
    /// Sets the file mode creation mask.
    case setUmask(UInt32)
    /// Gives up gaining privileges through execve.
    ///
    /// Kernel: PR_SET_NO_NEW_PRIVS.
    case forbidNewPrivileges

    // MARK: Becoming the user's process

    /// Looks for the program, so that a missing one is told at create.
    case findExecutable(name: ByteText, candidates: [ByteText])
    /// Loads a seccomp filter; where it has a listener, the runtime takes that before the program goes
    /// on.
    ///
    /// Kernel: seccomp(2), seccomp_unotify(2).
    case loadSeccomp(filter: [UInt8], flags: SeccompFilterFlags, listener: ListenerChannel? = nil)
    /// Gives every signal its default action back: what the caller ignores, such as SIGPIPE, is not
    /// the container's business, and a clone only drops handlers.
    case resetSignals
    /// Unblocks all signals.
    case unblockSignals
    /// Replaces this program by the user's.
    case execute(candidates: [ByteText], arguments: [ByteText], environment: [ByteText])
}
