// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import ContainerKitInspection

/// Reports on configs, drawn for people.
enum ReportText {
    /// More of a text from a config than this says no more.
    private static let longestText = 400

    /// A text from a config, which may have control characters and any length.
    static func safe(_ text: String) -> String {
        let start = String(text.prefix(longestText))
        return Printable.text(start) + (start.utf8.count < text.utf8.count ? "..." : "")
    }

    /// `1 error`, `2 errors`.
    static func count(_ number: Int, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }

    /// The report of validate: one paragraph for each kind of finding.
    static func of(
        _ report: ConfigReport, named name: String, forHost: Bool, _ style: TerminalStyle = .plain
    ) -> String {
        var text =
            style.apply(.bold, to: safe(name)) + ": " + summary(report, forHost: forHost) + "\n"
        for kind in ConfigReport.Finding.Kind.allCases {
            let findings = report.findings.filter { $0.kind == kind }
            guard !findings.isEmpty else { continue }
            text += "\n" + style.apply(.bold, to: title(kind)) + "\n"
            for finding in findings { text += paragraph(finding, style) }
        }
        return text
    }

    private static func summary(_ report: ConfigReport, forHost: Bool) -> String {
        let (errors, warnings) = (report.errors.count, report.warnings.count)
        if errors == 0, warnings == 0 {
            return "keeps the specification" + (forHost ? ", and this host can run it" : "")
        }
        let warned = warnings == 0 ? "" : ", " + count(warnings, "warning")
        return (errors == 0 ? "no errors" : count(errors, "error")) + warned
    }

    private static func title(_ kind: ConfigReport.Finding.Kind) -> String {
        switch kind {
        case .specification: "The specification says otherwise"
        case .runtime: "This runtime refuses it on every host"
        case .host: "This host cannot do it"
        case .unknownField: "Unknown fields"
        case .deprecated: "Deprecated"
        case .ignored: "Without effect"
        }
    }

    private static func paragraph(
        _ finding: ConfigReport.Finding, _ style: TerminalStyle
    ) -> String {
        let isError = finding.severity == .error
        let label = isError ? "error  " : "warning"
        let indent = String(repeating: " ", count: 2 + label.count + 2)
        let path = finding.path.description
        let place =
            path.isEmpty
            ? "the config" : SpecError.place(path, finding.subject, before: finding.message)
        let lines = [
            safe(finding.message), "hint: " + safe(finding.hint),
            style.apply(.dim, to: "\(finding.section): \(finding.section.link)"),
        ]
        return "  " + style.apply(isError ? .red : .yellow, to: label) + "  "
            + style.apply(.bold, to: safe(place)) + "\n" + lines.map { indent + $0 + "\n" }.joined()
    }
}

extension ReportText {
    /// The report of audit: one paragraph for each severity, the worst first.
    static func of(
        _ report: AuditReport, named name: String, _ style: TerminalStyle = .plain
    ) -> String {
        let counts = AuditRule.Severity.allCases.reversed().compactMap { severity in
            let number = report.findings.count { $0.severity == severity }
            return number == 0 ? nil : "\(number) \(severity.rawValue)"
        }
        let summary =
            counts.isEmpty
            ? "nothing weaker than Docker's default"
            : count(report.findings.count, "finding") + " (" + counts.joined(separator: ", ") + ")"
        var text = style.apply(.bold, to: safe(name)) + ": " + summary + "\n"
        for severity in AuditRule.Severity.allCases.reversed() {
            let findings = report.findings.filter { $0.severity == severity }
            guard !findings.isEmpty else { continue }
            let title = severity.rawValue.prefix(1).uppercased() + severity.rawValue.dropFirst()
            text += "\n" + style.apply(.bold, to: title) + "\n"
            for finding in findings { text += paragraph(finding, style) }
        }
        return text
    }

    private static func paragraph(
        _ finding: AuditReport.Finding, _ style: TerminalStyle
    ) -> String {
        let indent = String(repeating: " ", count: 2 + finding.rule.id.count + 2)
        let place = SpecError.place(
            finding.path.description, finding.subject, before: finding.message)
        let lines = [
            safe(finding.message), "why: " + finding.rule.reason, "remedy: " + finding.rule.remedy,
        ]
        return "  " + style.apply(finding.severity >= .high ? .red : .yellow, to: finding.rule.id)
            + "  " + style.apply(.bold, to: safe(place)) + "\n"
            + lines.map { indent + $0 + "\n" }.joined()
    }
}
