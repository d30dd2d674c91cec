// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import RuntimeSpec

/// What makes a container weaker than Docker's default, by its config alone.
public struct AuditReport: Hashable, Sendable {
    /// One weakness.
    public struct Finding: Hashable, Sendable {
        /// The rule that it breaks.
        public var rule: AuditRule
        /// How much is at stake here.
        public var severity: AuditRule.Severity
        /// The field; for what is missing, the field that should have it.
        public var path: JSONPath
        /// The name of the list element that `path` leads into, such as the destination of a mount.
        public var subject: String?
        /// What the config says, in a sentence.
        public var message: String
    }

    /// The weaknesses, the worst first, each severity in the order of the rules.
    public let findings: [Finding]

    /// Looks for weaknesses of a config.
    public init(of spec: Spec) {
        var audit = Audit(spec)
        audit.lookAtNamespaces()
        audit.lookAtCapabilities()
        audit.lookAtProcess()
        audit.lookAtSeccomp()
        audit.lookAtKernelFiles()
        audit.lookAtSysctl()
        audit.lookAtDevices()
        audit.lookAtMounts()
        audit.lookAtHooks()
        audit.lookAtLimits()
        let found = audit.findings
        findings = AuditRule.Severity.allCases.reversed().flatMap { severity in
            found.filter { $0.severity == severity }
        }
    }
}

/// The weaknesses of one config while they are looked for.
struct Audit {
    private(set) var findings: [AuditReport.Finding] = []
    let spec: Spec
    let linux: Linux
    /// Whether root of the container is another user of the host.
    let hasUserNamespace: Bool

    init(_ spec: Spec) {
        self.spec = spec
        linux = spec.linux ?? Linux()
        hasUserNamespace = linux.namespace(.user) != nil
    }

    mutating func add(
        _ rule: AuditRule, _ path: JSONPath, _ message: String, subject: String? = nil,
        _ severity: AuditRule.Severity? = nil
    ) {
        findings.append(
            AuditReport.Finding(
                rule: rule, severity: severity ?? rule.severity, path: path, subject: subject,
                message: message))
    }
}
#endif
