// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
public import ContainerKit
public import RuntimeSpec
internal import SystemPackage

/// What this machine can run and why not, as this process and its user find it.
///
/// What can be tried without an effect is tried, not concluded from the version of the kernel.
/// Nothing on the machine is changed: trials leave no process, namespace, mount or file.
public struct HostReport: Equatable, Sendable {
    /// How well one thing is there.
    public enum Standing: String, CaseIterable, Sendable {
        /// It can be used.
        case ok
        /// It can be used in part, or something else is used in its place.
        case limited
        /// It cannot be used.
        case missing
    }

    /// One thing that containers need or may use.
    public struct Check: Equatable, Sendable {
        /// A stable name, such as `clone3` or `namespace.user`.
        public let name: String
        /// How well it is there.
        public let standing: Standing
        /// Whether no container can be created where it is missing.
        public let isRequired: Bool
        /// What was found.
        public let found: String
        /// What follows for containers; nil if nothing is amiss.
        public let consequence: String?
        /// What to do about it; nil if nothing is amiss, or nothing can be done.
        public let remedy: String?

        init(
            _ name: String, _ standing: Standing, _ found: String, consequence: String? = nil,
            remedy: String? = nil, isRequired: Bool = false
        ) {
            self.name = name
            self.standing = standing
            self.isRequired = isRequired
            self.found = found
            self.consequence = consequence
            self.remedy = remedy
        }
    }

    /// A capability set of this process as the kernel has it.
    public struct Capabilities: Equatable, Sendable {
        /// `inheritable`, `permitted`, `effective`, `bounding` or `ambient`.
        public let set: String
        /// The set as a mask: bit N is capability number N.
        public let mask: UInt64

        init(_ set: String, _ mask: UInt64) {
            self.set = set
            self.mask = mask
        }

        /// The capabilities in the set, in their order; one without a name as its number.
        public var names: [String] {
            CapabilityNames.names(in: mask)
        }
    }

    /// The checks, in the order of a launch.
    public let checks: [Check]
    /// The capability sets of this process.
    public let capabilities: [Capabilities]
    /// The permitted, effective and inheritable sets in libcap's notation, such as `=ep`, which
    /// getpcaps(8) and setpriv(1) users know; nil without the package trait CLibraries.
    public let capabilityText: String?

    init(checks: [Check], capabilities: [Capabilities], capabilityText: String? = nil) {
        self.checks = checks
        self.capabilities = capabilities
        self.capabilityText = capabilityText
    }

    /// Looks at this machine.
    ///
    /// - Parameter store: the store that containers would be in.
    /// - Returns: the report.
    public static func current(for store: ContainerStore = ContainerStore()) -> HostReport {
        HostReport(HostFindings.collected(for: store.path.string))
    }

    /// Whether containers can be created here, if not with all that a config may ask for.
    public var canRunContainers: Bool {
        !checks.contains { $0.isRequired && $0.standing == .missing }
    }

    /// The check with this name.
    public subscript(name: String) -> Check? { checks.first { $0.name == name } }

    // MARK: Output

    /// The report as text: a line per check, and below it what follows and what to do.
    ///
    /// - Parameter emphasised: is called with each standing and its padded name.
    /// - Returns: lines, each with a newline.
    public func text(
        emphasised: (_ standing: Standing, _ name: String) -> String = { $1 }
    ) -> String {
        let width = (checks.map(\.name.utf8.count).max() ?? 0) + 2
        var text = ""
        func padded(_ word: String, to width: Int) -> String {
            word + String(repeating: " ", count: max(1, width - word.utf8.count))
        }
        for check in checks {
            let standing = emphasised(check.standing, padded(check.standing.rawValue, to: 9))
            text += padded(check.name, to: width) + standing + Printable.text(check.found) + "\n"
            let indent = String(repeating: " ", count: width + 9)
            if let consequence = check.consequence {
                text += indent + "so: " + Printable.text(consequence) + "\n"
            }
            if let remedy = check.remedy {
                text += indent + "fix: " + Printable.text(remedy) + "\n"
            }
        }
        for set in capabilities {
            let names = set.names
            text += padded("capabilities.\(set.set)", to: width + 9)
            text += names.isEmpty ? "none\n" : String.joined(names, by: " ") + "\n"
        }
        if let capabilityText {
            text += padded("capabilities.text", to: width + 9) + capabilityText + "\n"
        }
        return text + verdict + "\n"
    }

    /// One sentence: whether containers can run.
    public var verdict: String {
        guard !canRunContainers else {
            let amiss = checks.filter { $0.standing != .ok }.count
            return amiss == 0
                ? "Containers can run here."
                : "Containers can run here; \(amiss) checks are not ok."
        }
        let lacks = checks.filter { $0.isRequired && $0.standing == .missing }.map(\.name)
        return "Containers cannot run here, for lack of: \(String.joined(lacks, by: ", "))."
    }

    /// The report as JSON.
    public var encoded: JSONValue {
        var object: JSONObject = [
            "canRunContainers": .bool(canRunContainers),
            "checks": .array(checks.map(\.encoded)),
            "capabilities": .object(
                capabilities.reduce(into: [:]) { object, set in
                    object.append(set.set, .array(set.names.map(JSONValue.string)))
                }),
        ]
        if let capabilityText { object.append("capabilityText", .string(capabilityText)) }
        return .object(object)
    }
}

extension HostReport.Check {
    /// The check as JSON; what is nil is left out.
    fileprivate var encoded: JSONValue {
        var object: JSONObject = [
            "name": .string(name), "standing": .string(standing.rawValue),
            "required": .bool(isRequired), "found": .string(found),
        ]
        if let consequence { object.append("consequence", .string(consequence)) }
        if let remedy { object.append("remedy", .string(remedy)) }
        return .object(object)
    }
}
#endif
