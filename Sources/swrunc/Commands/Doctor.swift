// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import ContainerKitInspection

extension Command {
    private static let format = Flag("format", nil, .text, "text or json", standard: "text")

    static var doctor: Command {
        Command(
            name: "doctor", summary: "print what this machine can run, and why not",
            operandCount: 0...0,
            details: """
                Each line has a name, ok, limited or missing, and what was found; below it what follows
                for containers (so:) and what to do about it (fix:). What can be tried is tried, for
                the user who asks, and nothing is changed by it.

                The exit status is 0 if containers can run here, and 1 if none can.
                """,
            flags: [format], isQuery: true, perform: performDoctor)
    }

    private static func performDoctor(_ invocation: Invocation) throws(ContainerError) -> Int32 {
        let report: HostReport
        switch invocation.arguments.text(format) ?? "text" {
        case "text":
            report = .current(for: invocation.store)
            let style = TerminalStyle(of: 1)
            let text = report.text { standing, name in
                switch standing {
                case .ok: style.apply(.green, to: name)
                case .limited: style.apply(.yellow, to: name)
                case .missing: style.apply(.bold, .red, to: name)
                }
            }
            try StandardOutput.write(text)
        case "json":
            report = .current(for: invocation.store)
            try StandardOutput.write(
                report.encoded.encoded(pretty: true) + [UInt8(ascii: "\n")])
        default:
            throw ContainerError(.invalidArgument, "invalid format option", hint: "text or json")
        }
        return report.canRunContainers ? 0 : 1
    }
}
