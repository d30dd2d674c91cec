// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

/// The last part of every program: the process's identity, rights, and program.
///
/// The order is dictated by the kernel: dropping from the bounding set needs CAP_SETPCAP, so it
/// comes before the change of user; setuid(2) clears the effective set, so the sets come after it.
/// A filter without no_new_privs needs CAP_SYS_ADMIN, so it comes before the last capset; with
/// no_new_privs it comes last. So does Landlock, but always before the report that everything is
/// prepared: it denies nothing that init does afterwards, hooks of init are to be under it, and no
/// filter has to allow its calls.
struct IdentityPlan {
    let process: Process
    /// The container's own settings, which apply to all of its processes.
    let linux: Linux
    let filter: SeccompFilter?
    /// What the process gives up by Landlock.
    private let landlock: LandlockPlan?
    /// What is done with the standard streams.
    let streams: StreamPlan
    /// Limits of the caller for those that the config does not set.
    private let callerLimits: [Rlimit]
    /// The environment: of a repeated name the last value counts; a missing HOME is set from the
    /// user.
    let environment: [ByteText]
    /// The candidates for the program's path: the path itself, or one for each directory of PATH.
    let candidates: [ByteText]
    /// Whether the process is in a user namespace of the container: then the parent sets its
    /// limits, and its groups are already dropped.
    private let isInUserNamespace: Bool
    /// Whether the runtime's own user namespace may deny setgroups(2).
    private let mayDenyGroups: Bool
    /// Whether the process keeps the caller's groups.
    private let keepsGroups: Bool
    /// Whether ptrace must be permitted so that the runtime can take the seccomp listener.
    private let listenerNeedsPtrace: Bool
    /// The masks of the five sets.
    let sets: CapabilityMasks
    /// The capabilities that the runtime itself holds.
    private let grantable: UInt64

    init(
        process: Process, linux: Linux = Linux(), filter: SeccompFilter?,
        landlock: LandlockPlan? = nil, home: String, grantable: UInt64 = .max,
        isInUserNamespace: Bool = false,
        mayDenyGroups: Bool = false, keepsGroups: Bool = false, listenerNeedsPtrace: Bool = false,
        streams: StreamPlan = StreamPlan(), callerLimits: [Rlimit] = []
    ) {
        self.callerLimits = callerLimits
        self.process = process
        self.streams = streams
        self.linux = linux
        self.isInUserNamespace = isInUserNamespace
        self.mayDenyGroups = mayDenyGroups
        self.keepsGroups = keepsGroups
        self.listenerNeedsPtrace = listenerNeedsPtrace
        self.filter = filter
        self.landlock = landlock
        self.grantable = grantable
        sets = CapabilityMasks(process.capabilities, grantable: grantable)
        environment = Self.environment(process.envBytes ?? [], home: home)
        candidates = Self.candidates(process.argBytes?.first ?? "", environment)
    }

    /// Whether the filter is loaded while the process still has CAP_SYS_ADMIN.
    private var loadsFilterEarly: Bool { filter != nil && !process.noNewPrivileges }

    /// Adds the steps up to the report that everything is prepared.
    func addPreparation(to steps: inout StepList, leavingSignalsBlocked: Bool = false) {
        let user = process.user
        streams.addSteps(to: &steps)
        // Either may have access that the other lacks: the runtime to a directory of another user,
        // the user to one where root has no rights (root_squash).
        let changesUser = user.uid != 0 || user.gid != 0 || !(user.additionalGids ?? []).isEmpty
        steps.add(
            changesUser
                ? .execution(.tryDirectory(process.cwd)) : .execution(.enterDirectory(process.cwd)),
            from: "process.cwd")
        let limits = limits.compactMap(\.whileWaiting)
        if !isInUserNamespace, !limits.isEmpty {
            steps.add(.attribute(.setLimits(limits)), from: "process.rlimits")
        }
        steps.add(.identity(.setUmask(user.umask ?? 0o022)), from: "process.user.umask")
        steps.addAttributes(of: process, in: linux)
        steps.add(.identity(.keepCapabilities), from: "process.capabilities")
        steps.add(
            .identity(.limitBoundingSet(keeping: sets.bounding, last: 63)),
            from: "process.capabilities.bounding")
        // As root of the container, whose paths the process itself may not be able to search.
        landlock?.addRuleset(to: &steps)
        if !process.noNewPrivileges { landlock?.addRestriction(to: &steps) }
        if !keepsGroups { addGroups(to: &steps) }
        steps.add(.identity(.setGroupID(user.gid)), from: "process.user.gid")
        steps.add(.identity(.setUserID(user.uid)), from: "process.user.uid")
        if changesUser { steps.add(.execution(.enterDirectory(process.cwd)), from: "process.cwd") }
        if loadsFilterEarly {
            if user.uid != 0 {
                steps.add(.identity(.raisePermitted(working)), from: "process.capabilities")
            }
        } else {
            addCapabilities(to: &steps)
        }
        // Checked with the rights of the later execve, as far as they are set by now.
        if let name = process.argBytes?.first {
            steps.add(
                .execution(.findExecutable(name: name, candidates: candidates)),
                from: "process.args[0]")
        }
        if process.noNewPrivileges {
            steps.add(.identity(.forbidNewPrivileges), from: "process.noNewPrivileges")
            landlock?.addRestriction(to: &steps)
        }
        steps.add(.process(.resetSignals), from: .runtime)
        if !leavingSignalsBlocked { steps.add(.process(.unblockSignals), from: .runtime) }
    }

    /// Sets the groups; if the namespace denies setgroups(2), only a config with groups is refused.
    private func addGroups(to steps: inout StepList) {
        let groups = process.user.additionalGids ?? []
        if !isInUserNamespace, mayDenyGroups, groups.isEmpty {
            steps.add(.identity(.dropGroups), from: "process.user.additionalGids")
        } else if !isInUserNamespace || !groups.isEmpty {
            steps.add(.identity(.setGroups(groups)), from: "process.user.additionalGids")
        }
    }

    /// The limits that the kernel knows.
    private var limits: [PlannedLimit] {
        let own = process.rlimits ?? []
        let others = callerLimits.filter { limit in !own.contains { $0.type == limit.type } }
        return (own + others).compactMap(PlannedLimit.init)
    }

    /// The parent's steps once the child is prepared.
    var parentSteps: [PlannedParentStep] {
        let limits = limits.compactMap(\.whileWaiting)
        guard isInUserNamespace, !limits.isEmpty else { return streams.parentSteps }
        return streams.parentSteps
            + [PlannedParentStep("process.rlimits", .userNamespace(.setLimits(limits)))]
    }

    /// Adds the steps after the start.
    ///
    /// A hook is confined like the program, since its own program is the image's. The hook's
    /// process loads the filter itself, because the filter could forbid calls that init needs for
    /// the hooks. But init itself loads a filter with a listener, once, so that the same listener
    /// also decides on the hooks' calls (as with runc).
    ///
    /// - Parameters:
    ///   - steps: the child's steps so far.
    ///   - channel: the connection to the process that lets this one go on.
    ///   - hooks: the hooks that run before the program, as children of the process.
    func addExecution(
        to steps: inout StepList, channel: StartChannel, after hooks: [PlannedHook] = []
    ) {
        if notifies, !hooks.isEmpty {
            addFilter(to: &steps, channel: channel)
            for hook in hooks {
                var preparing = StepList()
                addLateLimits(to: &preparing)
                steps.add(
                    .hook(
                        .runHook(
                            hook, preparing: preparing.steps.map(\.step), underFilter: true,
                            over: channel)),
                    from: .config(hook.field))
            }
            addLateLimits(to: &steps)
        } else {
            for hook in hooks {
                var preparing = StepList()
                addLateLimits(to: &preparing)
                addFilter(to: &preparing, channel: channel)
                steps.add(
                    .hook(.runHook(hook, preparing: preparing.steps.map(\.step), over: channel)),
                    from: .config(hook.field))
            }
            addLateLimits(to: &steps)
            // After the hooks, which are programs of the image and could otherwise trace init.
            if notifies, listenerNeedsPtrace {
                steps.add(.process(.permitPtrace), from: "linux.seccomp")
            }
            addFilter(to: &steps, channel: channel)
        }
        steps.add(
            .execution(
                .execute(
                    candidates: candidates, arguments: process.argBytes ?? [],
                    environment: environment)),
            from: "process.args")
    }

    /// Whether a listener decides on some of the calls.
    var notifies: Bool { filter?.flags.contains(.newListener) == true }

    /// Adds the limits under which init could not do its own work.
    private func addLateLimits(to steps: inout StepList) {
        let late = limits.filter { $0.whileWaiting != $0 }
        if !late.isEmpty { steps.add(.attribute(.setLimits(late)), from: "process.rlimits") }
    }

    /// Adds the filter, and the capabilities that are set after it.
    private func addFilter(to steps: inout StepList, channel: StartChannel) {
        if let filter {
            steps.add(
                .filter(
                    .loadSeccomp(
                        filter: filter.program, flags: filter.flags,
                        listener: notifies ? channel : nil)),
                from: "linux.seccomp")
        }
        if loadsFilterEarly { addCapabilities(to: &steps) }
    }

    private func addCapabilities(to steps: inout StepList) {
        steps.add(
            .identity(
                .setCapabilities(
                    CapabilitySets(
                        effective: sets.effective, permitted: sets.permitted,
                        inheritable: sets.inheritable))), from: "process.capabilities")
        steps.add(
            .identity(.setAmbientCapabilities(sets.ambient)), from: "process.capabilities.ambient")
    }

    /// The container's sets, plus the capabilities for loading a filter and changing the sets:
    /// CAP_SYS_ADMIN and CAP_SETPCAP.
    private var working: UInt64 {
        (sets.permitted | sets.effective | sets.inheritable | 1 << 21 | 1 << 8) & grantable
    }

    // MARK: Environment and program

    private static func environment(_ entries: [ByteText], home: String) -> [ByteText] {
        var kept: [ByteText] = []
        var places = HashedPlaces()
        for entry in entries.reversed() {
            let name = entry.bytes.prefix { $0 != UInt8(ascii: "=") }
            let hash = HashedPlaces.hash(name)
            let known = places.place(hash) { place in
                kept[place].bytes.prefix { $0 != UInt8(ascii: "=") }.elementsEqual(name)
            }
            guard known == nil else { continue }
            places.append(hash)
            kept.append(entry)
        }
        kept.reverse()
        if !kept.contains(where: { $0.begins(with: "HOME=") && $0 != "HOME=" }) {
            kept.removeAll { $0.begins(with: "HOME=") }
            kept.append("HOME=\(home)")
        }
        return kept
    }

    private static func candidates(_ name: ByteText, _ environment: [ByteText]) -> [ByteText] {
        guard !name.bytes.isEmpty else { return [] }
        let slash = UInt8(ascii: "/")
        guard !name.bytes.contains(slash) else { return [name] }
        guard let path = environment.first(where: { $0.begins(with: "PATH=") })?.bytes.dropFirst(5)
        else { return [] }
        // With a relative directory, the program would depend on the working directory.
        return path.split(separator: UInt8(ascii: ":")).filter { $0.first == slash }.map {
            ByteText(bytes: $0 + ($0.last == slash ? [] : [slash]) + name.bytes)
        }
    }
}

/// The five sets of capabilities(7) as bit masks.
struct CapabilityMasks: Equatable, Sendable {
    let bounding: UInt64
    let effective: UInt64
    let permitted: UInt64
    let inheritable: UInt64
    let ambient: UInt64

    /// The sets without capabilities that cannot be granted; empty if the config has none, as with
    /// runc.
    init(_ capabilities: Capabilities?, grantable: UInt64 = .max) {
        bounding = Self.mask(capabilities?.bounding)
        effective = Self.mask(capabilities?.effective) & grantable
        permitted = Self.mask(capabilities?.permitted) & grantable
        inheritable = Self.mask(capabilities?.inheritable) & grantable
        ambient = Self.mask(capabilities?.ambient) & grantable
    }

    /// The mask of a set; unknown names are ignored, and RuntimeSpec warns of them.
    ///
    /// Spec: config.md, Linux Process.
    private static func mask(_ names: [String]?) -> UInt64 {
        (names ?? []).reduce(0) { mask, name in
            Capability(name: name).map { mask | 1 << UInt64($0.number) } ?? mask
        }
    }
}
#endif
