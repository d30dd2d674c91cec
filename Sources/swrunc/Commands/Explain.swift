// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    private static let format = Flag("format", nil, .text, "text or json", standard: "text")
    private static let calls = Flag(
        "calls", nil, .toggle, "show the system calls that each step becomes")
    private static let existing = Flag(
        "container", nil, .container, "container that exists: show its plan, and where its init is")

    static var explain: Command {
        Command(
            name: "explain", summary: "print what create would do, step by step, and do nothing",
            operands: "[container-id]", operandCount: 0...1,
            details: """
                Each step names the field of config.json that it comes from. The id only matters to
                what is named after it, such as the cgroup.

                With --container it is the plan by which a container was created, from the config
                that create kept. The mark => stands at the step where its init is, or where it
                stopped; also while a create or start hangs, or after one has died.
                """,
            flags: [LaunchFlags.bundle, LaunchFlags.config, existing, format, calls],
            perform: performExplain)
    }

    private static func performExplain(_ invocation: Invocation) throws(ContainerError) -> Int32 {
        let includesCalls = invocation.arguments.has(calls)
        let text: String
        if let id = invocation.arguments.text(existing) {
            try checkThatOnlyContainer(invocation.arguments)
            let progress = try invocation.store.container(id).progress()
            text = try invocation.explanation(
                format, text: progress.explained(includingCalls: includesCalls),
                json: progress.explainedJSON(includingCalls: includesCalls))
        } else {
            let plan = try plan(invocation)
            text = try invocation.explanation(
                format, text: plan.explained(includingCalls: includesCalls),
                json: plan.explainedJSON(includingCalls: includesCalls))
        }
        try StandardOutput.write(text)
        return 0
    }

    /// Refuses flags that describe a new container beside --container.
    private static func checkThatOnlyContainer(_ arguments: Arguments) throws(ContainerError) {
        for flag in [LaunchFlags.bundle, LaunchFlags.config] where arguments.text(flag) != nil {
            throw ContainerError(
                .invalidArgument, "--container and --\(flag.name) exclude each other",
                hint: "a container that exists has its own bundle and config")
        }
        guard arguments.operands.isEmpty else {
            throw ContainerError(
                .invalidArgument, "--container names the container already",
                hint: "leave out \(arguments.operands[0].debugDescription)")
        }
        guard arguments.texts(existing).count == 1 else {
            throw ContainerError(.invalidArgument, "--container is given more than once")
        }
    }

    private static func plan(_ invocation: Invocation) throws(ContainerError) -> ContainerPlan {
        var options = LaunchOptions()
        options.logger = invocation.logger
        options.cgroupDriver = invocation.cgroupDriver
        options.rootless = invocation.rootless
        let bundle = try invocation.bundle()
        if bundle.spec.process?.terminal ?? false { options.terminal = .master }
        return try Container.plan(
            invocation.arguments.operands.first ?? "explained", from: bundle,
            in: invocation.store, options: options)
    }
}

extension Invocation {
    /// The plan in the format that the flag names, with a newline at the end.
    func explanation(
        _ format: Flag, text: @autoclosure () -> String, json: @autoclosure () -> String
    ) throws(ContainerError) -> String {
        let words: String
        switch arguments.text(format) ?? "text" {
        case "text": words = text()
        case "json": words = json()
        default:
            throw ContainerError(.invalidArgument, "invalid format option", hint: "text or json")
        }
        return words.hasSuffix("\n") ? words : words + "\n"
    }
}
