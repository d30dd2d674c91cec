// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
package import KernelVocabulary
internal import SystemPackage

/// Steps by which the process gives up access to files, ports and other processes.
///
/// Kernel: landlock(7), Linux 5.13.
package enum LandlockStep: ChildStep {
    /// Makes a ruleset; what it handles is denied unless a rule allows it.
    ///
    /// Kernel: landlock_create_ruleset(2).
    case makeRuleset(LandlockRights)
    /// Allows access to a file, or beneath a directory.
    ///
    /// Kernel: landlock_add_rule(2).
    case allowBeneath(String, LandlockFileAccess, isOptional: Bool)
    /// Allows the use of a TCP port.
    ///
    /// Kernel: landlock_add_rule(2).
    case allowPort(UInt16, LandlockNetworkAccess)
    /// Puts this process, and all that it will start, under the ruleset.
    ///
    /// Kernel: landlock_restrict_self(2).
    case restrict
}

/// What a ruleset handles.
package struct LandlockRights: Equatable, Sendable {
    /// Access to files.
    package let files: LandlockFileAccess
    /// Use of ports.
    package let ports: LandlockNetworkAccess
    /// What ends at the processes under the same ruleset.
    package let scopes: LandlockScopes

    /// Rights of each kind.
    package init(
        files: LandlockFileAccess, ports: LandlockNetworkAccess, scopes: LandlockScopes
    ) {
        self.files = files
        self.ports = ports
        self.scopes = scopes
    }

    /// Whether nothing is handled, which the kernel refuses.
    package var isEmpty: Bool { files.isEmpty && ports.isEmpty && scopes.isEmpty }
}

extension LandlockStep {
    package var sentence: String {
        switch self {
        case .makeRuleset(let rights):
            "make a Landlock ruleset that denies "
                + [rights.files.words, rights.ports.words, rights.scopes.words]
                .filter { !$0.isEmpty }.joined(separator: ", ")
        case .allowBeneath(let path, let access, let isOptional):
            "allow at \(path)\(isOptional ? ", if it is there" : ""): \(access.words)"
        case .allowPort(let port, let access):
            "allow for port \(Int(port).decimalText): \(access.words)"
        case .restrict: "put this process under the Landlock ruleset"
        }
    }

    package var inputs: [InheritedDescriptor] { [] }
    package var exchanges: [Exchange] { [] }

    package var usesRoot: Bool {
        switch self {
        case .allowBeneath: true
        case .makeRuleset, .allowPort, .restrict: false
        }
    }

    package var usedMount: String? { nil }

    package func lower(into code: inout Assembler, _ state: inout LoweringState) {
        switch self {
        case .makeRuleset(let rights): state.openedRuleset = code.makeRuleset(rights)
        case .allowBeneath(let path, let access, let isOptional):
            code.allow(access, beneath: path, isOptional, state.root, state.ruleset)
        case .allowPort(let port, let access): code.allow(access, port, state.ruleset)
        case .restrict: code.restrict(state.ruleset)
        }
    }

    package static func hint(for refusal: Refusal) -> String? {
        switch (refusal.call, refusal.errno) {
        case ("openat2", .noSuchFileOrDirectory), ("openat2", .notDirectory):
            "a rule passes over what is missing in the container with \"optional\": true"
        case ("landlock_restrict_self", .notPermitted):
            "without process.noNewPrivileges it takes CAP_SYS_ADMIN"
        case ("landlock_restrict_self", .argListTooLong):
            "the runtime itself runs under as many Landlock rulesets as the kernel stacks (16)"
        default: nil
        }
    }
}

extension KernelFlags {
    /// The names without what all have in common, as the config spells them.
    fileprivate var words: String {
        let known = Self.names.filter { contains($0.flag) }.map(\.name)
        return known.map { name in
            let word = ["LANDLOCK_ACCESS_FS_", "LANDLOCK_ACCESS_NET_", "LANDLOCK_SCOPE_"]
                .first { name.begins(with: $0) }
            let letters = name.utf8.dropFirst(word?.utf8.count ?? 0)
            return String(
                decoding: letters.map {
                    $0 == UInt8(ascii: "_") ? $0 : $0 + UInt8(ascii: "a") - UInt8(ascii: "A")
                }, as: UTF8.self)
        }.joined(separator: ", ")
    }
}

extension Assembler {
    /// `struct landlock_ruleset_attr`; a kernel that knows only its first members takes it while
    /// the others are zero.
    fileprivate mutating func makeRuleset(_ rights: LandlockRights) -> Cell {
        let ruleset = cell("landlock-ruleset")
        let attributes = words([
            UInt64(rights.files.rawValue), UInt64(rights.ports.rawValue),
            UInt64(rights.scopes.rawValue),
        ])
        call(
            .landlockCreateRuleset,
            [.address(attributes), .literal(LandlockLayout.rulesetBytes), .literal(0)],
            into: ruleset)
        return ruleset
    }

    /// Of a file, only the rights of files can be allowed, and the path's text does not tell what
    /// is there.
    fileprivate mutating func allow(
        _ access: LandlockFileAccess, beneath path: String, _ isOptional: Bool, _ root: Cell,
        _ ruleset: Cell
    ) {
        let place = cell("landlock-path")
        let inner = path.rootedComponents.relativePath
        resolve(
            inner.isEmpty ? "." : inner, below: root, into: place,
            ignoring: isOptional ? [.noSuchFileOrDirectory, .notDirectory] : [])
        let missing = isOptional ? skip(when: .isNegative(place)) : nil
        let ofFile = access.intersection(.ofFiles)
        if ofFile == access {
            add(access, beneath: place, ruleset)
        } else {
            let status = scratch()
            statx(.cell(place), into: status)
            let isDirectory = skip(when: .isFile(status, .directory))
            // Without a right that a file has, there is nothing to allow (ENOMSG).
            if !ofFile.isEmpty { add(ofFile, beneath: place, ruleset) }
            let isAllowed = skip(when: .always)
            self.place(isDirectory)
            add(access, beneath: place, ruleset)
            self.place(isAllowed)
        }
        close(place)
        if let missing { self.place(missing) }
    }

    /// `struct landlock_path_beneath_attr`, which ends with the descriptor.
    private mutating func add(_ access: LandlockFileAccess, beneath place: Cell, _ ruleset: Cell) {
        let rule = words([UInt64(access.rawValue), 0])
        copy(place, to: rule + LandlockLayout.descriptor, width: 4)
        addRule(.beneathPath, rule, to: ruleset)
    }

    /// `struct landlock_net_port_attr`.
    fileprivate mutating func allow(
        _ access: LandlockNetworkAccess, _ port: UInt16, _ ruleset: Cell
    ) {
        let rule = words([UInt64(access.rawValue), UInt64(port)])
        addRule(.port, rule, to: ruleset)
    }

    private mutating func addRule(_ kind: LandlockRule, _ rule: Int, to ruleset: Cell) {
        call(
            .landlockAddRule, [.cell(ruleset), .named(kind), .address(rule), .literal(0)])
    }

    fileprivate mutating func restrict(_ ruleset: Cell) {
        call(.landlockRestrictSelf, [.cell(ruleset), .literal(0)])
        close(ruleset)
    }
}

extension SystemCall {
    static var landlockCreateRuleset: SystemCall {
        SystemCall("landlock_create_ruleset", __NR_landlock_create_ruleset)
    }
    static var landlockAddRule: SystemCall {
        SystemCall("landlock_add_rule", __NR_landlock_add_rule)
    }
    static var landlockRestrictSelf: SystemCall {
        SystemCall("landlock_restrict_self", __NR_landlock_restrict_self)
    }
}
#endif
