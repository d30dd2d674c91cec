// SPDX-License-Identifier: Apache-2.0

internal import ByteText
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

/// The last part of every program: who the process is, what it may do, and what it runs.
///
/// The order is the kernel's: the bounding set needs CAP_SETPCAP, so it comes before the change of
/// user; setuid(2) clears the effective set, so the sets come after it. A filter without
/// no_new_privs needs CAP_SYS_ADMIN, so it comes before the last capset; with it, it comes last.
struct IdentityPlan {
    let process: Process
    /// The container's own settings, for what counts for each of its processes.
    let linux: Linux
    let filter: SeccompFilter?
    /// What becomes of the standard streams.
    let streams: StreamPlan
    /// Limits of the caller that count where the config says nothing of them.
    private let callerLimits: [Rlimit]
    /// The environment: of a repeated name the last one counts; HOME is the user's where it is missing.
    let environment: [ByteText]
    /// Where the program may be: the path itself, or each directory of PATH.
    let candidates: [ByteText]
    /// Whether the process is in a user namespace of the container: its limits are the parent's to
    /// raise, and its groups are dropped already.
    private let isInUserNamespace: Bool
    /// Whether the runtime's own user namespace may deny setgroups(2).
    private let mayDenyGroups: Bool
    /// Whether the groups of the caller stay.
    private let keepsGroups: Bool
    /// Whether only a process that may be traced can have its seccomp listener taken from it.
    private let listenerNeedsPtrace: Bool
    /// Masks of the five sets.
    let sets: CapabilityMasks
    /// The capabilities that the runtime itself holds.
    private let grantable: UInt64

    init(
        process: Process, linux: Linux = Linux(), filter: SeccompFilter?, home: String,
        grantable: UInt64 = .max, isInUserNamespace: Bool = false,
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
        self.grantable = grantable
        sets = CapabilityMasks(process.capabilities, grantable: grantable)
        environment = Self.environment(process.envBytes ?? [], home: home)
        candidates = Self.candidates(process.argBytes?.first ?? "", environment)
    }

    /// Whether the filter is loaded while CAP_SYS_ADMIN is still there.
    private var loadsFilterEarly: Bool { filter != nil && !process.noNewPrivileges }

    /// Everything up to the word that all is prepared.
    func addPreparation(to steps: inout StepList, leavingSignalsBlocked: Bool = false) {
        let user = process.user
        streams.addSteps(to: &steps)
        // Either may have the right that the other lacks: the runtime over a directory of another user,
        // the user over one where root is nobody (root_squash).
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
        // With the rights that execve will have, as far as they are set by now.
        if let name = process.argBytes?.first {
            steps.add(
                .execution(.findExecutable(name: name, candidates: candidates)),
                from: "process.args[0]")
        }
        if process.noNewPrivileges {
            steps.add(.identity(.forbidNewPrivileges), from: "process.noNewPrivileges")
        }
        steps.add(.process(.resetSignals), from: .runtime)
        if !leavingSignalsBlocked { steps.add(.process(.unblockSignals), from: .runtime) }
    }

    /// Where the namespace denies setgroups(2), only who asks for groups is refused.
    private func addGroups(to steps: inout StepList) {
        let groups = process.user.additionalGids ?? []
        if !isInUserNamespace, mayDenyGroups, groups.isEmpty {
            steps.add(.identity(.dropGroups), from: "process.user.additionalGids")
        } else if !isInUserNamespace || !groups.isEmpty {
            steps.add(.identity(.setGroups(groups)), from: "process.user.additionalGids")
        }
    }

    /// The limits that this kernel has.
    private var limits: [PlannedLimit] {
        let own = process.rlimits ?? []
        let others = callerLimits.filter { limit in !own.contains { $0.type == limit.type } }
        return (own + others).compactMap(PlannedLimit.init)
    }

    /// What the parent does once the child is prepared.
    var parentSteps: [PlannedParentStep] {
        let limits = limits.compactMap(\.whileWaiting)
        guard isInUserNamespace, !limits.isEmpty else { return streams.parentSteps }
        return streams.parentSteps
            + [PlannedParentStep("process.rlimits", .userNamespace(.setLimits(limits)))]
    }

    /// Everything after the start.
    ///
    /// A hook is confined as the program will be, since its own is the image's. It does so for itself,
    /// because the filter may forbid init what hooks take; but a filter with a listener is loaded once,
    /// by init, so that the one listener decides on the hooks' calls as well (as runc does).
    ///
    /// - Parameters:
    ///   - steps: what the child does so far.
    ///   - channel: the connection to who let the process go on.
    ///   - hooks: what runs before the program, as children of the process.
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
            // After the hooks: they are programs of the image, and could trace init.
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

    /// Whether somebody else decides on some of the calls.
    var notifies: Bool { filter?.flags.contains(.newListener) == true }

    /// The limits under which init could not do its own work.
    private func addLateLimits(to steps: inout StepList) {
        let late = limits.filter { $0.whileWaiting != $0 }
        if !late.isEmpty { steps.add(.attribute(.setLimits(late)), from: "process.rlimits") }
    }

    /// What is left between a waiting init and the rights of the user's process.
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

    /// The container's sets, and what loading a filter and changing the sets takes: CAP_SYS_ADMIN and
    /// CAP_SETPCAP.
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
        // A relative directory would make the program depend on the working directory.
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

    /// No capabilities at all when the config names none, as runc does; none that cannot be granted.
    init(_ capabilities: Capabilities?, grantable: UInt64 = .max) {
        bounding = Self.mask(capabilities?.bounding)
        effective = Self.mask(capabilities?.effective) & grantable
        permitted = Self.mask(capabilities?.permitted) & grantable
        inheritable = Self.mask(capabilities?.inheritable) & grantable
        ambient = Self.mask(capabilities?.ambient) & grantable
    }

    /// Unknown names are left out; RuntimeSpec warns of them.
    ///
    /// Spec: config.md, Linux Process.
    private static func mask(_ names: [String]?) -> UInt64 {
        (names ?? []).reduce(0) { mask, name in
            Capability(name: name).map { mask | 1 << UInt64($0.number) } ?? mask
        }
    }
}
