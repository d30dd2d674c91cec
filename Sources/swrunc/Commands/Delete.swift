// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    private static let force = Flag(
        "force", "f", .toggle, "kill it first if it runs; one that is not there is no error")

    static var delete: Command {
        Command(
            name: "delete", summary: "delete a stopped container and all it holds",
            operands: containerOperand, flags: [force],
            perform: { invocation throws(ContainerError) in
                let isForced = invocation.arguments.has(force)
                do throws(ContainerError) {
                    try invocation.container().delete(force: isForced)
                } catch {
                    // With --force, a container that is not there is what was asked for.
                    guard isForced, error.code == .notFound else { throw error }
                }
                return 0
            })
    }
}
