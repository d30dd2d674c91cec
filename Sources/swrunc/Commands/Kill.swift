// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    private static let all = Flag(
        "all", "a", .toggle, "send it to every process of the container")

    static var kill: Command {
        Command(
            name: "kill", summary: "send a signal to a container (default: SIGTERM)",
            operands: "<container-id> [signal]", operandCount: 1...2,
            details: "The signal is a name, with or without SIG, or a number: KILL, SIGKILL, 9.",
            flags: [all],
            perform: { invocation throws(ContainerError) in
                let container = try invocation.container()
                let operands = invocation.arguments.operands
                let signal = try readSignal(operands.count > 1 ? operands[1] : "")
                try container.kill(signal, all: invocation.arguments.has(all))
                return 0
            })
    }

    private static func readSignal(_ text: String) throws(ContainerError) -> Signal {
        if text.isEmpty { return .terminate }
        do {
            return try Signal(parsing: text, allowingProbe: true)
        } catch {
            throw ContainerError(.invalidArgument, error.description)
        }
    }
}
