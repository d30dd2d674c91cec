// SPDX-License-Identifier: Apache-2.0

internal import KernelVocabulary

// What each step says of itself in `explain`: one line, imperative.

extension InitStep {
    /// One line that tells what the step does.
    package var summary: String {
        switch self {
        case .closeDescriptors: "close every inherited descriptor that is not named here"
        case .setStandardStreams(let numbers):
            "take over standard streams \(numbers.map(String.init).joined(separator: ", "))"
        case .forbidPtrace: "forbid ptrace and /proc access until the program runs"
        case .permitPtrace: "let the runtime, an ordinary user, take the seccomp listener"
        case .startSession: "start a session"
        case .enterCgroups(let count): "enter \(count) v1 cgroups"
        case .enterDelegatedCgroup: "enter the cgroup that is left to the container"
        case .setOOMScore(let score): "set the OOM score adjustment to \(score)"
        case .waitForParent(let event): "wait for the runtime: \(event.rawValue)"
        case .reportToParent(let event): "report that \(event.words)"
        case .waitForStart: "wait for start"
        case .waitForStartOrSignal: "wait for start, or for a signal to end"
        case .runHook(let hook, _, _): "run the hook \(hook.path) in the container's namespaces"
        case .enterHostDirectory(let path):
            "enter the directory \(path) of the host, if it is there"
        case .joinNamespace(let kind): "join the \(kind.rawValue) namespace"
        case .joinUserNamespace(let kinds):
            "join the user namespace"
                + (kinds.isEmpty
                    ? "" : ", and around it: \(kinds.map(\.rawValue).joined(separator: ", "))")
        case .becomeNamespaceUser(let user):
            "become user \(user.userID) and group \(user.groupID) of the user namespace"
        case .joinProcess(let kinds):
            "join the container's namespaces: \(kinds.list)"
        case .unshareNamespaces(let kinds): "enter new namespaces: \(kinds.list)"
        case .enterNewTimeNamespace(let offsets):
            "enter a new time namespace"
                + (offsets.isEmpty ? "" : ", its clocks shifted: ")
                + offsets.map { "\($0.clock) by \($0.seconds) s \($0.nanoseconds) ns" }
                .joined(separator: ", ")
        case .continueInChild: "go on in a second process"
        case .bringUpLoopback: "set the loopback interface up"
        case .sendNetworkSocket: "hand out a socket of the network namespace"
        case .setHostname(let name): "set the host name to \"\(name)\""
        case .setDomainname(let name): "set the domain name to \"\(name)\""
        default: fileSummary
        }
    }

    private var fileSummary: String {
        switch self {
        case .cloneHostTree(let tree, _):
            "clone the host's \(tree.path)" + (tree.recursive ? " and the mounts below" : "")
        case .isolateMounts(let isPrivate):
            "make all mounts \(isPrivate ? "private" : "slaves of the host's"), recursively"
        case .attachRootfs(let path): "put the root tree onto \(path)"
        case .searchRootfs: "check that the container's root may search the root directory"
        case .openRoot: "use the root of the mount namespace"
        case .mountFilesystem(let mount):
            (mount.mountFlags?.contains(.remount) == true ? "remount " : "mount \(mount.type) on ")
                + mount.destination
                + (mount.options.isEmpty ? "" : " (\(mount.options.joined(separator: ",")))")
        case .mountFilesystemOrAttach(let mount, _):
            "mount \(mount.type) on \(mount.destination), or attach the host's where that is refused"
        case .attachMount(_, let path, _): "attach the prepared tree at \(path)"
        case .cloneContainerTree(let tree, _):
            "clone what is mounted at \(tree.path) by now"
                + (tree.recursive ? ", and the mounts below" : "")
        case .receiveMountTree: "take over the prepared tree"
        case .sendMountTree: "hand out the tree"
        case .mountCgroupHierarchies(_, let mount, []): "cover \(mount.destination)"
        case .mountCgroupHierarchies(_, let mount, let hierarchies):
            "mount the cgroup hierarchies \(hierarchies.map(\.name).joined(separator: ", ")) on "
                + mount.destination
        case .makeLinks(let directory, let links):
            "link "
                + links.map { "\(directory)/\($0.name) to \($0.target)" }.joined(separator: ", ")
        case .copyLink(let directory, let link):
            "link \(directory == "/" ? "" : directory)/\(link.name) to \(link.target)"
        case .makeDirectory(let path): "make \(path) if it is missing"
        case .makeDevices(let directory, let devices):
            "make the devices "
                + devices.map { device in
                    "\(directory)/\(device.name) (\(device.major):\(device.minor), mode "
                        + "\(String(device.permissions, radix: 8)))"
                }.joined(separator: ", ")
        case .attachDevices(let directory, let devices):
            "attach the devices "
                + devices.map { "\(directory)/\($0.name)" }.joined(separator: ", ")
        case .setSysctl(let parameters):
            "set " + parameters.map { "\($0.key)=\($0.value)" }.joined(separator: ", ")
        case .maskPaths(let paths, _): "hide \(paths.joined(separator: ", "))"
        case .protectPaths(let paths): "make read-only \(paths.joined(separator: ", "))"
        case .changeMount(let path, _): "change the attributes of the mount at \(path)"
        case .makeReadOnly(let path): "make the mount at \(path) read-only"
        case .enterRoot: "enter the root and drop the host's"
        case .dropKernelTrees(let paths):
            "unmount the host's \(paths.joined(separator: ", "))"
        case .moveRoot: "move the root over the host's and enter it"
        case .changeRoot: "change the root directory"
        case .enterRootOfInit: "change the root directory to that of the container"
        case .setRootPropagation(let propagation): "make the root mount \(propagation.name)"
        case .openTerminal(let request):
            "open a terminal"
                + (request.mountsConsole ? " with /dev/console" : "") + ", send its master to "
                + (request.toConsoleSocket ? "the console socket" : "the runtime")
        default: identitySummary
        }
    }

    private var identitySummary: String {
        switch self {
        case .setLimits(let limits):
            "set limits: "
                + limits.map { "\($0.name) \($0.soft):\($0.hard)" }.joined(separator: ", ")
        case .joinSessionKeyring(let name): "join the session keyring \(name)"
        case .ownStandardStreams(let streams, let id):
            "give the \(streams.streamWords) to user \(id)"
        case .reopenStreams(let devices):
            devices.map {
                "open the \($0.streams.streamWords) anew by the container's /dev/\($0.name)"
            }.joined(separator: ", ")
        case .tryDirectory(let path): "enter \(path), if root may"
        case .enterDirectory(let path): "enter \(path)"
        case .keepCapabilities: "keep capabilities over the change of user"
        case .limitBoundingSet(let mask, _): "limit the bounding set to \(CapabilityMask(mask))"
        case .setGroups(let groups):
            groups.isEmpty
                ? "drop the supplementary groups"
                : "set the groups \(groups.map(String.init).joined(separator: ", "))"
        case .dropGroups: "drop the supplementary groups, if the user namespace lets it"
        case .setGroupID(let id): "become group \(id)"
        case .setUserID(let id): "become user \(id)"
        case .setCapabilities(let sets):
            "set capabilities: effective \(CapabilityMask(sets.effective)), permitted "
                + "\(CapabilityMask(sets.permitted)), inheritable \(CapabilityMask(sets.inheritable))"
        case .raisePermitted: "raise the capabilities that the next steps need"
        case .setAmbientCapabilities(let mask): "set the ambient set to \(CapabilityMask(mask))"
        case .setUmask(let mask): "set the umask to 0\(String(mask, radix: 8))"
        case .forbidNewPrivileges: "forbid new privileges"
        case .findExecutable(let name, _): "find the program \"\(name)\""
        case .loadSeccomp(let filter, _, let listener):
            "load the seccomp filter (\(filter.count / 8) instructions)"
                + (listener == nil ? "" : ", give its listener to the runtime")
        case .resetSignals: "give all signals their default action"
        case .unblockSignals: "unblock all signals"
        case .execute(_, let arguments, _):
            "execute " + arguments.map { "\"\($0)\"" }.joined(separator: " ")
        default: attributeSummary
        }
    }
}

extension InitStep {
    fileprivate var attributeSummary: String {
        switch self {
        case .setCPUAffinity(let set, .initial):
            "bind to the CPUs \(set.text) until the container's cgroup is entered"
        case .setCPUAffinity(let set, .final): "bind to the CPUs \(set.text)"
        case .resetCPUAffinity: "take all CPUs that the cgroup allows"
        case .setScheduler(let attributes): attributes.summary
        case .setIOPriority(let priority):
            "set the I/O priority to \(priority.schedulingClass) \(priority.level)"
        case .setMemoryPolicy(let change):
            "set the memory policy to \(change.mode)"
                + (change.nodes.map { " on the nodes \($0.text)" } ?? "")
        case .openHostProc: "open the host's procfs"
        case .setSecurityLabels(let labels):
            "write " + labels.map { "\"\($0.text)\" to \($0.file)" }.joined(separator: ", ")
        case .setPersonality(let domain): "enter the execution domain \(domain.name)"
        default: "\(self)"
        }
    }
}

extension SchedulingAttributes {
    fileprivate var summary: String {
        var text = "set the scheduler to \(policy)"
        if nice != 0 { text += ", nice \(nice)" }
        if priority != 0 { text += ", priority \(priority)" }
        if !flags.isEmpty { text += ", \(flags)" }
        if runtime != 0 || deadline != 0 || period != 0 {
            text += ", \(runtime) ns in \(deadline) of every \(period) ns"
        }
        return text
    }
}

extension ChildEvent {
    /// What the child tells, in words.
    package var words: String {
        switch self {
        case .ready: "all is prepared"
        case .mounted: "the mounts are made"
        case .mountPointMissing: "a mount point is behind a link to nothing"
        case .listening: "the seccomp filter notifies"
        }
    }
}

extension [Int] {
    /// The numbers of standard streams in words.
    fileprivate var streamWords: String {
        (count == 1 ? "standard stream " : "standard streams ")
            + map(\.decimalText).joined(separator: ", ")
    }
}

extension NamespaceSet {
    /// The kinds in words.
    var list: String {
        isEmpty ? "none" : kinds.map(\.rawValue).joined(separator: ", ")
    }
}

/// A capability mask as a reader likes it: a count and the hexadecimal form of /proc/PID/status.
private struct CapabilityMask: CustomStringConvertible {
    let mask: UInt64

    init(_ mask: UInt64) {
        self.mask = mask
    }

    var description: String {
        guard mask != 0 else { return "none" }
        let digits = String(mask, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
