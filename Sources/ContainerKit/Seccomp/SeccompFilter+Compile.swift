// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

#if CLibraries
internal import CLinux
internal import CSeccomp
internal import KernelVocabulary
internal import SystemPackage

extension SeccompFilter {
    /// Compiles a profile for this machine.
    ///
    /// The filter always includes the native architecture. Names that no architecture knows are
    /// skipped, and so are rules with the default action. Spec: config-linux.md, Seccomp.
    init(compiling profile: Seccomp, at path: JSONPath = "linux.seccomp") throws(SeccompError) {
        let compiler = try SeccompCompiler(profile, at: path)
        self = try compiler.compile()
    }
}

/// Compiles a profile to a filter.
private struct SeccompCompiler {
    /// A rule with all names resolved.
    private struct Rule {
        var action: UInt32
        var systemCall: Int32
        var conditions: [scmp_arg_cmp]
        var field: JSONPath
    }

    private let profile: Seccomp
    private let path: JSONPath
    private let defaultAction: UInt32
    /// All names in the profile, whatever their rules.
    private let allNames: Set<String>
    /// libseccomp's numbers with their fields, the native one first, without duplicates.
    private let architectures: [(token: UInt32, field: JSONPath)]

    /// The number of rules from which a tree is faster.
    ///
    /// libseccomp 2.5 puts four calls in a leaf, and fails for a tree without rules.
    private static let ruleCountForTree = 32
    /// Kernel: MFD_CLOEXEC of memfd_create(2).
    private static let closeOnExec = 1

    init(_ profile: Seccomp, at path: JSONPath) throws(SeccompError) {
        self.profile = profile
        self.path = path
        allNames = Set((profile.syscalls ?? []).flatMap(\.names))
        guard profile.defaultAction != .notify else {
            throw SeccompError(
                .invalid, path.appending(key: "defaultAction"),
                "SCMP_ACT_NOTIFY cannot be used as default action")
        }
        defaultAction = try Self.action(
            profile.defaultAction, errno: profile.defaultErrnoRet,
            at: path.appending(key: "defaultAction"),
            errnoAt: path.appending(key: "defaultErrnoRet"))

        var architectures = [(token: SystemCallNumbers.nativeArchitecture, field: path)]
        for (index, architecture) in (profile.architectures ?? []).enumerated() {
            let field = path.appending(key: "architectures").appending(index: index)
            guard let token = architecture.libseccompToken else {
                throw SeccompError(
                    .unsupported, field,
                    "libseccomp \(libseccompVersion()) does not know \(architecture.rawValue)")
            }
            // One program cannot serve two byte orders. Kernel: __AUDIT_ARCH_LE.
            guard token & 0x4000_0000 != 0 else {
                throw SeccompError(
                    .unsupported, field,
                    "the byte order of \(architecture.rawValue) is not that of this machine")
            }
            if !architectures.contains(where: { $0.token == token }) {
                architectures.append((token, field))
            }
        }
        self.architectures = architectures
    }

    func compile() throws(SeccompError) -> SeccompFilter {
        let (rules, unknown) = try resolveRules()
        var branches: [ArchitectureDispatch.Branch] = []
        for architecture in architectures {
            branches.append(
                try branch(architecture.token, rules: rules, at: architecture.field))
        }
        let result = SeccompFilter(
            program: ArchitectureDispatch(branches: branches).assembled(), flags: try flags(),
            unknownSystemCalls: unknown)
        guard result.instructionCount <= FilterInstruction.limitOfProgram else {
            throw SeccompError(
                .unsupported, path,
                """
                the filter has \(result.instructionCount) instructions, but the kernel takes \
                \(FilterInstruction.limitOfProgram): name fewer system calls or architectures
                """)
        }
        return result
    }

    /// The filter of one architecture.
    private func branch(
        _ architecture: UInt32, rules: [Rule], at field: JSONPath
    ) throws(SeccompError) -> ArchitectureDispatch.Branch {
        let filter = try emptyFilter(for: architecture, at: field)
        for rule in rules {
            do throws(Errno) {
                try filter.add(
                    action: rule.action, systemCall: rule.systemCall, if: rule.conditions)
            } catch {
                throw SeccompError(
                    .invalid, rule.field, "libseccomp refuses the rule: \(error.words)")
            }
        }
        let numbers = allNames.compactMap { SystemCallNumbers.number($0, on: architecture) }
        if rules.count > Self.ruleCountForTree, !numbers.isEmpty {
            // A libseccomp without trees makes an equivalent but slower filter.
            try? filter.sortAsTree()
        }
        return ArchitectureDispatch.Branch(
            architecture: architecture, highestCall: refusesNewerCalls ? numbers.max() : nil,
            program: try exportProgram(of: filter))
    }

    private func emptyFilter(for architecture: UInt32, at field: JSONPath) throws(SeccompError)
        -> LibseccompFilter
    {
        do throws(Errno) {
            let filter = try LibseccompFilter(defaultAction: defaultAction)
            try filter.move(to: architecture)
            return filter
        } catch {
            throw SeccompError(
                .unsupported, field,
                "libseccomp \(libseccompVersion()) makes no such filter: \(error.words)")
        }
    }

    // MARK: - Actions and flags

    private static func action(
        _ action: Seccomp.Action, errno: UInt?, at path: JSONPath, errnoAt errnoPath: JSONPath
    ) throws(SeccompError) -> UInt32 {
        guard let errno else {
            return action.kernelValue(errno: UInt16(Errno.notPermitted.rawValue))
        }
        guard action == .errno || action == .trace else {
            throw SeccompError(.invalid, errnoPath, "\(action.rawValue) takes no errno")
        }
        guard let errno = UInt16(exactly: errno) else {
            throw SeccompError(.invalid, errnoPath, "\(errno) is no errno: it is above 65535")
        }
        return action.kernelValue(errno: errno)
    }

    private func flags() throws(SeccompError) -> SeccompFilterFlags {
        let listener: SeccompFilterFlags = profile.notifies ? .newListener : .empty
        guard let named = profile.flags else { return listener.union(.speculationAllow) }
        if profile.notifies, let index = named.firstIndex(of: .waitKillableReceive),
            !SeccompSupport.supports(.waitKillableReceive)
        {
            throw SeccompError(
                .unsupported, path.appending(key: "flags").appending(index: index),
                "this kernel does not know \(Seccomp.Flag.waitKillableReceive.rawValue)")
        }
        return named.reduce(into: listener) { flags, flag in
            switch flag {
            // The process that loads the filter has only one thread.
            case .threadSync: break
            // The flag changes the wait for a listener; without SCMP_ACT_NOTIFY there is none, and
            // the kernel refuses the flag.
            case .waitKillableReceive:
                if profile.notifies { flags |= flag.kernelValue }
            case .log, .speculationAllow: flags |= flag.kernelValue
            }
        }
    }

    // MARK: - Rules

    private func resolveRules() throws(SeccompError) -> (rules: [Rule], unknown: [String]) {
        var rules: [Rule] = []
        var unknown: [String] = []
        for (index, rule) in (profile.syscalls ?? []).enumerated() {
            let rulePath = path.appending(key: "syscalls").appending(index: index)
            let action = try Self.action(
                rule.action, errno: rule.errnoRet, at: rulePath.appending(key: "action"),
                errnoAt: rulePath.appending(key: "errnoRet"))
            let alternatives = try Self.conditions(of: rule, at: rulePath)
            let namesPath = rulePath.appending(key: "names")
            if let unnamed = rule.names.firstIndex(of: "") {
                throw SeccompError(
                    .invalid, namesPath.appending(index: unnamed), "a system call must have a name")
            }
            // libseccomp refuses rules that have the default action.
            guard action != defaultAction else { continue }
            for (nameIndex, name) in rule.names.enumerated() {
                guard let number = SystemCallNumbers.native(name) else {
                    unknown.append(name)
                    continue
                }
                rules += alternatives.map { conditions in
                    Rule(
                        action: action, systemCall: number, conditions: conditions,
                        field: namesPath.appending(index: nameIndex))
                }
            }
        }
        return (rules, unknown)
    }

    /// The conditions of a rule: it matches if all conditions of one of the lists hold.
    ///
    /// libseccomp accepts one condition per argument. If a rule has two for the same argument, each
    /// of its conditions becomes a separate rule, as with runc.
    private static func conditions(of rule: SeccompRule, at path: JSONPath) throws(SeccompError)
        -> [[scmp_arg_cmp]]
    {
        let arguments = rule.args ?? []
        for (index, argument) in arguments.enumerated() where argument.index > 5 {
            let argumentPath = path.appending(key: "args").appending(index: index)
            throw SeccompError(
                .invalid, argumentPath.appending(key: "index"),
                "a system call has arguments 0 to 5, not \(argument.index)")
        }
        let conditions = arguments.map(\.libseccompCondition)
        let hasDistinctIndices = Set(arguments.map(\.index)).count == arguments.count
        return hasDistinctIndices ? [conditions] : conditions.map { [$0] }
    }

    // MARK: - The program

    /// Whether calls newer than the profile get ENOSYS: if the default action would refuse them in
    /// another way.
    private var refusesNewerCalls: Bool {
        switch profile.defaultAction {
        // A default that permits calls also permits new ones; a tracer decides for itself.
        case .allow, .log, .trace: false
        case .errno: profile.defaultErrnoRet != UInt(Errno.noFunction.rawValue)
        case .kill, .killThread, .killProcess, .trap, .notify: true
        }
    }

    private func exportProgram(of filter: borrowing LibseccompFilter) throws(SeccompError)
        -> [UInt8]
    {
        do throws(SystemCallError) {
            let number = try withPath("seccomp") { (name) throws(SystemCallError) in
                try systemCall(
                    "memfd_create", __NR_memfd_create, name, Self.closeOnExec, describing: "")
            }
            let file = OwnedDescriptor(taking: CInt(number))
            let errno = try withoutFileSizeSignal { () throws(SystemCallError) -> Errno? in
                do throws(Errno) {
                    try filter.export(to: file.number)
                    return nil
                } catch {
                    return error
                }
            }
            if let errno { throw SystemCallError("seccomp_export_bpf", "", errno: errno) }
            try systemCall("lseek", __NR_lseek, Int(file.number), describing: "\(file.number), 0")
            return try readFile(file.number, named: "seccomp program")
        } catch {
            let hint = error.errno == .fileTooLarge ? ": \(ContainerError.fileSizeHint)" : ""
            throw SeccompError(.unsupported, path, "\(error)\(hint)")
        }
    }
}
#else
extension SeccompFilter {
    /// Refuses every profile.
    init(compiling profile: Seccomp, at path: JSONPath = "linux.seccomp") throws(SeccompError) {
        throw SeccompError(
            .unsupported, path,
            """
            ContainerKit was built without its package trait CLibraries, and compiles no profile: \
            build it with the trait, or leave linux.seccomp out
            """)
    }
}
#endif
#endif
