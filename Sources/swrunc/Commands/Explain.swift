// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    private static let format = Flag("format", nil, .text, "text or json", standard: "text")
    private static let calls = Flag(
        "calls", nil, .toggle, "show the system calls that each step becomes")

    static var explain: Command {
        Command(
            name: "explain", summary: "print what create would do, step by step, and do nothing",
            operands: "[container-id]", operandCount: 0...1,
            details: """
                Each step names the field of config.json that it comes from. The id only matters to
                what is named after it, such as the cgroup.
                """,
            flags: [LaunchFlags.bundle, LaunchFlags.config, format, calls], perform: performExplain)
    }

    private static func performExplain(_ invocation: Invocation) throws(ContainerError) -> Int32 {
        let arguments = invocation.arguments
        var options = LaunchOptions()
        options.logger = invocation.logger
        options.cgroupDriver = invocation.cgroupDriver
        options.rootless = invocation.rootless
        let bundle = try invocation.bundle()
        if bundle.spec.process?.terminal ?? false { options.terminal = .master }
        let plan = try Container.plan(
            arguments.operands.first ?? "explained", from: bundle, in: invocation.store,
            options: options)
        let includesCalls = arguments.has(calls)
        let text: String
        switch arguments.text(format) ?? "text" {
        case "text": text = plan.explained(includingCalls: includesCalls)
        case "json": text = plan.explainedJSON(includingCalls: includesCalls)
        default:
            throw ContainerError(.invalidArgument, "invalid format option", hint: "text or json")
        }
        try StandardOutput.write(text.hasSuffix("\n") ? text : text + "\n")
        return 0
    }
}
