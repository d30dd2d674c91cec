// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import RuntimeSpec

extension ConfigReport {
    /// The report for programs: `{"errors", "warnings", "findings": [...]}`.
    ///
    /// `errors` and `warnings` are counts. A finding has `kind`, `severity`, `path`, `message`,
    /// `section` (`name` and `link`), `hint`, and `subject` if it has one.
    public var encoded: JSONValue {
        .object([
            "errors": .integer(Int64(errors.count)), "warnings": .integer(Int64(warnings.count)),
            "findings": .array(findings.map(\.encoded)),
        ])
    }
}

extension ConfigReport.Finding {
    fileprivate var encoded: JSONValue {
        var object: JSONObject = [
            "kind": .string(kind.rawValue), "severity": .string(severity.rawValue),
            "path": .string(path.description),
        ]
        if let subject { object.append("subject", .string(subject)) }
        object.append("message", .string(message))
        object.append(
            "section", .object(["name": .string("\(section)"), "link": .string(section.link)]))
        object.append("hint", .string(hint))
        return .object(object)
    }
}
#endif
