// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import ContainerKitInspection

extension Command {
    private static let format = Flag("format", nil, .text, "text or json", standard: "text")
    private static let strict = Flag("strict", nil, .toggle, "take warnings for errors")
    private static let specOnly = Flag(
        "spec-only", nil, .toggle, "leave out what this host cannot do")

    static var validate: Command {
        Command(
            name: "validate", summary: "print everything that is wrong with a config",
            operands: "[FILE|-]", operandCount: 0...1,
            details: """
                Each finding has the field, the section of the specification and a hint. What the
                specification forbids, what this runtime refuses and what this host cannot do stand
                apart. Unknown, deprecated and ignored fields are warnings.

                The config is that of the bundle, a file, or standard input if the operand is -.
                Whether the root file system and what relative paths name is there is checked for
                a bundle only.

                The status is 0 without errors, 1 with errors, and 2 if there is no config to check.
                """,
            flags: [LaunchFlags.bundle, format, strict, specOnly],
            isQuery: true, failureStatus: 2,
            perform: performValidate)
    }

    private static func performValidate(_ invocation: Invocation) throws(ContainerError) -> Int32 {
        let arguments = invocation.arguments
        let format = try invocation.reportFormat(Command.format, among: ["text", "json"])
        let source = try ConfigSource(arguments)
        let host = ConfigReport.Host(
            cgroupDriver: invocation.cgroupDriver, rootless: invocation.rootless)
        var report = ConfigReport(
            document: try source.document(), bundle: source.bundle,
            host: arguments.has(specOnly) ? nil : host)
        if arguments.has(strict) { report = report.strict }
        if format == "json" {
            try StandardOutput.write(report.encoded.encoded(pretty: true) + [UInt8(ascii: "\n")])
        } else {
            try StandardOutput.write(
                ReportText.of(
                    report, named: source.name, forHost: !arguments.has(specOnly),
                    TerminalStyle(of: 1)))
        }
        return report.isClean() ? 0 : 1
    }
}

extension Invocation {
    /// The format that the flag names; the first is the standard.
    func reportFormat(_ flag: Flag, among formats: [String]) throws(ContainerError) -> String {
        let format = arguments.text(flag) ?? formats[0]
        guard formats.contains(format) else {
            throw ContainerError(
                .invalidArgument, "invalid format option",
                hint: formats.dropLast().joined(separator: ", ") + " or "
                    + formats[formats.count - 1])
        }
        return format
    }
}
