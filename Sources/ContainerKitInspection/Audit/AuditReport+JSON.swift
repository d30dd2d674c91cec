// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import RuntimeSpec

extension AuditReport {
    /// The report for programs: `{"findings": [...]}`.
    ///
    /// A finding has `rule`, `name`, `severity`, `path`, `message`, `reason`, `remedy`, and `subject`
    /// if it has one.
    public var encoded: JSONValue {
        .object([
            "findings": .array(
                findings.map { finding in
                    var object: JSONObject = [
                        "rule": .string(finding.rule.id), "name": .string(finding.rule.name),
                        "severity": .string(finding.severity.rawValue),
                        "path": .string(finding.path.description),
                    ]
                    if let subject = finding.subject { object.append("subject", .string(subject)) }
                    object.append("message", .string(finding.message))
                    object.append("reason", .string(finding.rule.reason))
                    object.append("remedy", .string(finding.rule.remedy))
                    return .object(object)
                })
        ])
    }

    /// The report as a SARIF 2.1.0 log, for code scanning.
    ///
    /// - Parameters:
    ///   - uri: the config's file as a relative or absolute URI reference, or its path.
    ///   - version: the version of the tool.
    /// - Returns: the log, with all rules.
    public func sarif(of uri: String, version: String) -> JSONValue {
        let driver: JSONObject = [
            "name": .string("swrunc"), "version": .string(version),
            "semanticVersion": .string(version),
            "rules": .array(AuditRule.all.map(\.sarif)),
        ]
        let run: JSONObject = [
            "tool": .object(["driver": .object(driver)]),
            "results": .array(findings.map { $0.sarif(of: uri) }),
        ]
        return .object([
            "$schema": .string(
                "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
            ),
            "version": .string("2.1.0"), "runs": .array([.object(run)]),
        ])
    }
}

extension AuditRule.Severity {
    /// The level of SARIF.
    fileprivate var level: String {
        switch self {
        case .critical, .high: "error"
        case .medium: "warning"
        case .low: "note"
        }
    }

    /// The number by which code scanning sorts, from 0 to 10.
    fileprivate var score: String {
        switch self {
        case .critical: "9.5"
        case .high: "8.0"
        case .medium: "5.5"
        case .low: "2.0"
        }
    }
}

extension AuditRule {
    fileprivate var sarif: JSONValue {
        func text(_ text: String) -> JSONValue { .object(["text": .string(text)]) }
        return .object([
            "id": .string(id), "name": .string(camelCaseName),
            "shortDescription": text(name), "fullDescription": text(reason),
            "help": text(remedy),
            "defaultConfiguration": .object(["level": .string(severity.level)]),
            "properties": .object([
                "security-severity": .string(severity.score), "tags": .array([.string("security")]),
            ]),
        ])
    }

    /// `HostPidNamespace` for `host pid namespace`: SARIF wants names without spaces.
    private var camelCaseName: String {
        name.split { !$0.isLetter && !$0.isNumber }
            .map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    }
}

extension AuditReport.Finding {
    fileprivate func sarif(of uri: String) -> JSONValue {
        let index = AuditRule.all.firstIndex { $0.id == rule.id } ?? 0
        let location: JSONObject = [
            "physicalLocation": .object([
                "artifactLocation": .object(["uri": .string(uri.percentEncoded)])
            ]),
            "logicalLocations": .array([
                .object([
                    "fullyQualifiedName": .string(path.description), "kind": .string("property"),
                ])
            ]),
        ]
        return .object([
            "ruleId": .string(rule.id), "ruleIndex": .integer(Int64(index)),
            "level": .string(severity.level),
            "message": .object([
                "text": .string(
                    "\(SpecError.place(path.description, subject, before: message)): \(message). "
                        + "\(rule.reason). \(rule.remedy).")
            ]),
            "locations": .array([.object(location)]),
        ])
    }
}

extension String {
    /// The text as a URI reference: all but the characters of a path is escaped.
    fileprivate var percentEncoded: String {
        let plain = Set("-._~/!$&'()*+,;=@".utf8)
        return utf8.reduce(into: "") { text, byte in
            let isLetter = (0x61...0x7a).contains(byte | 0x20)
            if isLetter || (0x30...0x39).contains(byte) || plain.contains(byte) {
                text.unicodeScalars.append(UnicodeScalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                text += "%" + (byte < 16 ? "0" : "") + digits
            }
        }
    }
}
#endif
