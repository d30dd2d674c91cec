// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec

/// What a process gives up by Landlock, as far as the kernel knows it.
///
/// The kernel refuses a ruleset with a right that it does not know, and a rule that allows what the
/// ruleset does not handle. So both have only the rights of its version.
struct LandlockPlan: Equatable, Sendable {
    /// What is denied.
    private let rights: LandlockRights
    /// The rules, each a step with its field.
    private let rules: [PlannedStep]
    /// What the kernel does not know, and so is not denied.
    let warnings: [String]

    /// - Parameters:
    ///   - landlock: the rules of the config.
    ///   - abi: the version of the kernel's interface; 0 if it has no Landlock.
    /// - Throws: `unsupported` if the config demands what the kernel does not know.
    init(_ landlock: Landlock, abi: Int) throws(ContainerError) {
        let place = ConfigAnnotation.landlockPath
        let ruleset = landlock.ruleset
        var unknown = Unknown(abi: abi, isDemanded: landlock.disableBestEffort)
        if abi == 0 { try unknown.refuseWithoutLandlock(at: place) }
        let rulesetPlace = place.appending(key: "ruleset")
        rights = LandlockRights(
            files: LandlockFileAccess(
                try unknown.known(
                    ruleset.handledAccessFS, rulesetPlace.appending(key: "handledAccessFS"))),
            ports: LandlockNetworkAccess(
                try unknown.known(
                    ruleset.handledAccessNet, rulesetPlace.appending(key: "handledAccessNet"))),
            scopes: LandlockScopes(
                try unknown.known(ruleset.scoped, rulesetPlace.appending(key: "scoped"))))
        rules = Self.rules(landlock.rules ?? Landlock.Rules(), rights, place)
        warnings = unknown.warnings(place)
    }

    private static func rules(
        _ rules: Landlock.Rules, _ rights: LandlockRights, _ place: JSONPath
    ) -> [PlannedStep] {
        var steps: [PlannedStep] = []
        let place = place.appending(key: "rules")
        for (index, rule) in (rules.pathBeneath ?? []).enumerated() {
            let access = LandlockFileAccess(rule.allowedAccess).intersection(rights.files)
            // The kernel refuses a rule that allows nothing (ENOMSG).
            guard !access.isEmpty else { continue }
            let paths = place.appending(key: "pathBeneath").appending(index: index)
                .appending(key: "paths")
            for (position, path) in rule.paths.enumerated() {
                steps.append(
                    PlannedStep(
                        .config(paths.appending(index: position).description),
                        .landlock(.allowBeneath(path, access, isOptional: rule.optional))))
            }
        }
        for (index, rule) in (rules.netPort ?? []).enumerated() {
            let access = LandlockNetworkAccess(rule.allowedAccess).intersection(rights.ports)
            guard !access.isEmpty else { continue }
            let ports = place.appending(key: "netPort").appending(index: index)
                .appending(key: "ports")
            for (position, port) in rule.ports.enumerated() {
                steps.append(
                    PlannedStep(
                        .config(ports.appending(index: position).description),
                        .landlock(.allowPort(port, access))))
            }
        }
        return steps
    }

    /// Adds the ruleset and its rules; nothing if the kernel knows none of what it should deny.
    func addRuleset(to steps: inout StepList) {
        guard !rights.isEmpty else { return }
        let place = ConfigAnnotation.landlockPath.appending(key: "ruleset").description
        steps.add(.landlock(.makeRuleset(rights)), from: .config(place))
        for rule in rules { steps.add(rule.step, from: rule.origin) }
    }

    /// Adds the step after which the rules hold.
    func addRestriction(to steps: inout StepList) {
        guard !rights.isEmpty else { return }
        steps.add(
            .landlock(.restrict), from: .config(ConfigAnnotation.landlockPath.description))
    }

    /// The newest version of the kernel's interface of which a right is known.
    static var knownABI: Int {
        func newest<Word: LandlockWord>(_ words: [Word]) -> Int { words.map(\.abi).max() ?? 0 }
        return max(
            newest(Landlock.FileAccess.allCases), newest(Landlock.NetworkAccess.allCases),
            newest(Landlock.Scope.allCases))
    }
}

/// Rights that the kernel does not know.
private struct Unknown {
    let abi: Int
    let isDemanded: Bool
    private var words: [String] = []

    init(abi: Int, isDemanded: Bool) {
        self.abi = abi
        self.isDemanded = isDemanded
    }

    func refuseWithoutLandlock(at place: JSONPath) throws(ContainerError) {
        guard isDemanded else { return }
        throw ContainerError(
            .unsupported, "this kernel has no Landlock, or it is switched off",
            field: place.description,
            hint: "it takes CONFIG_SECURITY_LANDLOCK and landlock among the modules of lsm=; "
                + "without disableBestEffort the container runs without these rules")
    }

    /// The rights that the kernel knows, and a note of the others.
    mutating func known<Word: LandlockWord>(_ all: [Word]?, _ place: JSONPath)
        throws(ContainerError) -> [Word]
    {
        var known: [Word] = []
        for (index, word) in (all ?? []).enumerated() {
            if word.abi <= abi {
                known.append(word)
            } else if isDemanded {
                throw ContainerError(
                    .unsupported,
                    "\"\(word.rawValue)\" is of version \(word.abi) of Landlock, and this kernel "
                        + "has version \(abi)", field: place.appending(index: index).description,
                    hint: "without disableBestEffort it is left out")
            } else {
                words.append(word.rawValue)
            }
        }
        return known
    }

    func warnings(_ place: JSONPath) -> [String] {
        if abi == 0 {
            return [
                "\(place): this kernel has no Landlock, or it is switched off: nothing is denied"
            ]
        }
        guard !words.isEmpty else { return [] }
        return [
            "\(place): version \(abi) of Landlock, which this kernel has, does not know "
                + "\(words.joined(separator: ", ")): not denied"
        ]
    }
}

/// A word for a right, with the version of Landlock that brought it.
private protocol LandlockWord: RawRepresentable, CaseIterable where RawValue == String {
    var abi: Int { get }
}

extension Landlock.FileAccess: LandlockWord {
    /// Kernel: landlock(7), versions of the interface.
    fileprivate var abi: Int {
        switch self {
        case .execute, .writeFile, .readFile, .readDirectory, .removeDirectory, .removeFile,
            .makeCharacterDevice, .makeDirectory, .makeRegularFile, .makeSocket, .makePipe,
            .makeBlockDevice, .makeSymbolicLink:
            1
        case .refer: 2
        case .truncate: 3
        case .deviceCommand: 5
        }
    }

    fileprivate var kernelValue: LandlockFileAccess {
        switch self {
        case .execute: .execute
        case .writeFile: .writeFile
        case .readFile: .readFile
        case .readDirectory: .readDirectory
        case .removeDirectory: .removeDirectory
        case .removeFile: .removeFile
        case .makeCharacterDevice: .makeCharacterDevice
        case .makeDirectory: .makeDirectory
        case .makeRegularFile: .makeRegularFile
        case .makeSocket: .makeSocket
        case .makePipe: .makePipe
        case .makeBlockDevice: .makeBlockDevice
        case .makeSymbolicLink: .makeSymbolicLink
        case .refer: .refer
        case .truncate: .truncate
        case .deviceCommand: .deviceCommand
        }
    }
}

extension Landlock.NetworkAccess: LandlockWord {
    fileprivate var abi: Int {
        switch self {
        case .bind, .connect: 4
        }
    }

    fileprivate var kernelValue: LandlockNetworkAccess {
        switch self {
        case .bind: .bind
        case .connect: .connect
        }
    }
}

extension Landlock.Scope: LandlockWord {
    fileprivate var abi: Int {
        switch self {
        case .abstractSocket, .signal: 6
        }
    }

    fileprivate var kernelValue: LandlockScopes {
        switch self {
        case .abstractSocket: .abstractSocket
        case .signal: .signal
        }
    }
}

extension LandlockFileAccess {
    fileprivate init(_ words: [Landlock.FileAccess]) {
        self = words.reduce(.empty) { $0 | $1.kernelValue }
    }
}

extension LandlockNetworkAccess {
    fileprivate init(_ words: [Landlock.NetworkAccess]) {
        self = words.reduce(.empty) { $0 | $1.kernelValue }
    }
}

extension LandlockScopes {
    fileprivate init(_ words: [Landlock.Scope]) {
        self = words.reduce(.empty) { $0 | $1.kernelValue }
    }
}
#endif
