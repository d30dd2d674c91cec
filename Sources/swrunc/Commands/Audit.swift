// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import ContainerKitInspection

extension Command {
    private static let format = Flag(
        "format", nil, .text, "text, json or sarif", standard: "text")

    static var audit: Command {
        Command(
            name: "audit", summary: "print what makes a container weaker than Docker's default",
            operands: "[FILE|-]", operandCount: 0...1,
            details: """
                Looks at the config alone, which is that of the bundle, a file, or standard input if
                the operand is -. Each finding has the field, a severity, why it matters and what to
                do. The identifiers of the rules are stable. Low findings are hardenings that Docker
                does not set by default either.

                The status is 0 without findings, 1 with findings, and 2 if there is no config to
                look at.
                """,
            flags: [LaunchFlags.bundle, format],
            isQuery: true, failureStatus: 2,
            perform: performAudit)
    }

    private static func performAudit(_ invocation: Invocation) throws(ContainerError) -> Int32 {
        let format = try invocation.reportFormat(Command.format, among: ["text", "json", "sarif"])
        let source = try ConfigSource(invocation.arguments)
        let spec: Spec
        do {
            spec = try Spec(encoded: source.document())
        } catch let error as ContainerError {
            throw error
        } catch {
            // What cannot be decoded cannot be judged either.
            throw ContainerError(
                .invalidSpec, "\(source.name): \(error)", hint: "see \(invocation.program) validate"
            )
        }
        let report = AuditReport(of: spec)
        let json: JSONValue? =
            switch format {
            case "json": report.encoded
            case "sarif": report.sarif(of: source.name, version: RuntimeVersion.string)
            default: nil
            }
        if let json {
            try StandardOutput.write(json.encoded(pretty: true) + [UInt8(ascii: "\n")])
        } else {
            try StandardOutput.write(
                ReportText.of(report, named: source.name, TerminalStyle(of: 1)))
        }
        return report.findings.isEmpty ? 0 : 1
    }
}
