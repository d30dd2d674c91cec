// SPDX-License-Identifier: Apache-2.0

internal import ByteText
internal import KernelVocabulary
internal import SystemPackage

extension InitStep {
    func lowerIdentity(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .joinSessionKeyring(let name): code.joinSessionKeyring(name)
        case .setLimits(let limits): code.setLimits(limits)
        case .ownStandardStreams(let streams, let userID):
            code.ownStandardStreams(streams, userID)
        case .reopenStreams(let devices):
            for device in devices { code.reopen(device, below: state.root) }
        case .keepCapabilities: code.prctl(.keepCapabilities, 1)
        case .limitBoundingSet(let keeping, let last): code.limitBoundingSet(keeping, last)
        case .setGroups(let groups):
            let list = code.words32(groups)
            code.call(.setgroups, [.literal(groups.count), .address(list)])
        case .dropGroups: code.dropGroups()
        case .setGroupID(let id): code.call(.setgid, [.literal(Int(id))])
        case .setUserID(let id): code.call(.setuid, [.literal(Int(id))])
        case .setCapabilities(let sets): code.setCapabilities(sets)
        case .raisePermitted(let mask):
            code.setCapabilities(
                CapabilitySets(effective: mask, permitted: mask, inheritable: 0))
        case .setAmbientCapabilities(let mask): code.setAmbientCapabilities(mask)
        case .setUmask(let mask): code.call(.umask, [.literal(Int(mask))])
        case .forbidNewPrivileges: code.prctl(.noNewPrivileges, 1)
        case .findExecutable(let name, let candidates):
            state.executableChecks = code.findExecutable(name, candidates)
        case .loadSeccomp(let filter, let flags, let channel):
            let listener = code.loadSeccomp(filter, flags, &state)
            if let channel { code.handOver(listener, over: channel, state) }
        case .resetSignals:
            let action = code.defaultAction()
            for number in 1...SignalNumber.last
            where ![.kill, .stop].contains(SignalNumber(rawValue: number)) {
                code.setAction(.literal(number), action)
            }
        case .unblockSignals:
            let none = code.words([0])
            code.call(
                .rtSigprocmask,
                [
                    .named(SignalMaskChange.set), .address(none), .literal(0),
                    .literal(SignalNumber.maskBytes),
                ])
        case .execute(let candidates, let arguments, let environment):
            code.execute(candidates, arguments, environment, state.executableChecks)
        default: break
        }
    }
}

extension Assembler {
    /// A kernel without keyrings (ENOSYS) has none to keep apart.
    ///
    /// The ring can be searched by its user, so that a later exec finds it by name.
    fileprivate mutating func joinSessionKeyring(_ name: String) {
        let ring = cell("session-keyring")
        call(
            .keyctl, [.named(KeyCommand.joinSession), text(name)], into: ring,
            ignoring: [.noFunction])
        let none = skip(when: .isNegative(ring))
        let permissions: KeyPermissions = [
            .possessorAll, .userView, .userRead, .userSearch, .userLink,
        ]
        call(.keyctl, [.named(KeyCommand.setPermissions), .cell(ring), .named(permissions)])
        place(none)
    }

    fileprivate mutating func setLimits(_ limits: [PlannedLimit]) {
        for limit in limits {
            let values = words([limit.soft, limit.hard])
            call(
                .prlimit64,
                [
                    .literal(0), .named(NamedNumber(limit.resource, of: ResourceLimit.self)),
                    .address(values), .literal(0),
                ])
        }
    }

    mutating func statx(
        _ descriptor: Operand, into offset: Int, result: Cell? = nil, ignoring: [Errno] = []
    ) {
        call(
            .statx,
            [
                descriptor, text(""), .named(PathFlags.emptyPath), .named(StatusMask.basic),
                .address(offset),
            ], into: result, ignoring: ignoring)
    }

    fileprivate mutating func limitBoundingSet(_ keeping: UInt64, _ last: Int) {
        // CAP_CHECKPOINT_RESTORE: the last of Linux 5.9, which every kernel here knows.
        let lastKnown = 40
        var unknown: [Label] = []
        for capability in 0...last where keeping & (1 << UInt64(capability)) == 0 {
            // EINVAL: a capability that this kernel does not know cannot be held either, and it knows
            // none of those behind it.
            let result = capability > lastKnown ? cell("drop-result") : nil
            call(
                .prctl,
                [
                    .named(ProcessControl.dropFromBoundingSet), .literal(capability), .literal(0),
                    .literal(0), .literal(0),
                ], into: result, ignoring: [.invalidArgument])
            if let result { unknown.append(skip(when: .isNegative(result))) }
        }
        for label in unknown { place(label) }
    }

    /// The low and the high words of 32 bits of each set.
    ///
    /// Kernel: capset(2).
    mutating func setCapabilities(_ sets: CapabilitySets) {
        let header = words32([UInt32(CapabilityVersion.third.rawValue), 0])
        func low(_ mask: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: mask) }
        func high(_ mask: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: mask >> 32) }
        let masks = [sets.effective, sets.permitted, sets.inheritable]
        let body = words32(masks.map(low) + masks.map(high))
        call(.capset, [.address(header), .address(body)])
    }

    /// One that is not inheritable and permitted cannot be raised (EPERM); as with runc that is no
    /// error, and RuntimeSpec warns of it.
    mutating func setAmbientCapabilities(_ mask: UInt64) {
        prctl(.ambientSet, .named(AmbientCommand.clearAll))
        for capability in 0..<64 where mask & (1 << UInt64(capability)) != 0 {
            call(
                .prctl,
                [
                    .named(ProcessControl.ambientSet), .named(AmbientCommand.raise),
                    .literal(capability), .literal(0), .literal(0),
                ], ignoring: [.notPermitted, .invalidArgument])
        }
    }

    /// Checks the candidates in turn; returns a cell for each, negative where it cannot be run.
    ///
    /// A file of PATH with a permission to be executed that this process has not (it is another's, or the
    /// mount is one without execution) was found: it is refused as that, unless another can be run.
    fileprivate mutating func findExecutable(_ name: ByteText, _ candidates: [ByteText]) -> [Cell] {
        // A single candidate is a path that the user wrote: the kernel's own word on it is best.
        if name.bytes.contains(UInt8(ascii: "/")) {
            return candidates.map { findExecutable(atPath: $0) }
        }
        let ignored: [Errno] = [
            .noSuchFileOrDirectory, .permissionDenied, .notDirectory, .tooManySymbolicLinkLevels,
        ]
        var checks: [Cell] = []
        var found: [Label] = []
        var denied: [(candidate: ByteText, check: Cell)] = []
        for candidate in candidates {
            let check = cell("executable")
            checks.append(check)
            let refusal = cell("refused")
            denied.append((candidate, refusal))
            let status = scratch()
            statx(atPath: candidate, into: status, result: check, ignoring: ignored)
            let missing = skip(when: .isNegative(check))
            let isDirectory = skip(when: .isFile(status, .directory))
            let isForNobody = skip(when: .isForNobody(status))
            mayExecute(candidate, into: check, ignoring: ignored)
            found.append(skip(when: .isNotNegative(check)))
            fail(into: refusal)
            let unusable = skip(when: .always)
            place(isDirectory)
            place(isForNobody)
            fail(into: check)
            place(unusable)
            place(missing)
        }
        for (candidate, refusal) in denied {
            let isNot = skip(when: .isNotNegative(refusal))
            mayExecute(candidate, note: "exec: \"\(name)\"")
            place(isNot)
        }
        refuse("exec: \"\(name)\": executable file not found in $PATH")
        for label in found { place(label) }
        return checks
    }

    private mutating func findExecutable(atPath path: ByteText) -> Cell {
        let check = cell("executable")
        let status = scratch()
        statx(
            atPath: path, into: status, result: check, note: "exec: \"\(path)\": stat \(path)")
        let isDirectory = skip(when: .isFile(status, .directory))
        let isFile = skip(when: .always)
        place(isDirectory)
        refuse("exec: \"\(path)\": is a directory")
        place(isFile)
        mayExecute(path, into: check, note: "exec: \"\(path)\"")
        return check
    }

    private mutating func statx(
        atPath path: ByteText, into offset: Int, result: Cell, ignoring: [Errno] = [],
        note: String? = nil
    ) {
        call(
            .statx,
            [
                .named(DirectoryDescriptor.current), text(path), .literal(0),
                .named(StatusMask.basic), .address(offset),
            ], into: result, ignoring: ignoring, note: note)
    }

    private mutating func mayExecute(
        _ path: ByteText, into result: Cell? = nil, ignoring: [Errno] = [], note: String? = nil
    ) {
        call(
            .faccessat2,
            [
                .named(DirectoryDescriptor.current), text(path), .named(AccessMode.execute),
                .named(AccessFlag.effective),
            ], into: result, ignoring: ignoring, note: note)
    }

    /// Makes a cell negative, as the result of a call that fails with EBADF.
    private mutating func fail(into cell: Cell) {
        call(.close, [.literal(-1)], into: cell, ignoring: [.badFileDescriptor])
    }

    fileprivate mutating func loadSeccomp(
        _ filter: [UInt8], _ flags: SeccompFilterFlags, _ state: inout LoweringState
    ) -> Cell {
        let listener = cell("seccomp-listener")
        let known = state.filters.first { $0.filter == filter }?.offset
        let instructions = known ?? bytes(filter)
        if known == nil { state.filters.append((filter, instructions)) }
        let program = words([UInt64(filter.count / 8), 0])
        relocate(at: program + 8, to: instructions)
        call(
            .seccomp,
            [
                .named(SeccompOperation.setFilter), .named(flags), .address(program),
            ], into: listener)
        return listener
    }

    /// The number goes out by write(2) and the answer comes by read(2), the calls that runc needs there
    /// too; the runtime takes the descriptor itself, by pidfd_getfd(2).
    fileprivate mutating func handOver(
        _ listener: Cell, over channel: ListenerChannel, _ state: LoweringState
    ) {
        let socket: Cell
        switch (channel, state.startConnection) {
        case (.startConnection, let connection?): socket = connection
        case (.startConnection, nil): preconditionFailure("a start is answered before it came")
        case (.rendezvous, _): socket = input(.rendezvous)
        }
        let note = "unable to hand the seccomp listener over: the profile refuses"
        let message = bytes([ChildEvent.listening.rawValue, 0, 0, 0, 0, 0, 0, 0])
        copy(listener, to: message + 4, width: 4)
        call(
            .write, [.cell(socket), .address(message), .literal(8)], retries: 1000, note: note)
        let byte = scratch()
        let count = cell("received")
        call(
            .read, [.cell(socket), .address(byte), .literal(1)], into: count, retries: 1000,
            note: note)
        let received = skip(when: .equals(count, 1))
        refuse("the runtime ended before it had the seccomp listener")
        place(received)
    }

    /// Tries the candidates that were found, in the order of PATH.
    fileprivate mutating func execute(
        _ candidates: [ByteText], _ arguments: [ByteText], _ environment: [ByteText],
        _ checks: [Cell]
    ) {
        let argv = textArray(arguments)
        let envp = textArray(environment)
        for (index, candidate) in candidates.enumerated() {
            let path = text(candidate)
            let call = [path, Operand.address(argv), .address(envp)]
            guard index < checks.count else {
                self.call(.execve, call)
                continue
            }
            // A later candidate's cell is still zero when an earlier one was found; zero also means
            // "found", but the earlier execve never returns successfully.
            let unusable = skip(when: .isNegative(checks[index]))
            self.call(.execve, call, note: "exec \(candidate)")
            place(unusable)
        }
        refuse("no executable was found")
    }
}
