// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    private static let force = Flag(
        "force", "f", .toggle, "kill it first if it runs; one that is not there is no error")
    private static let regex = Flag(
        "regex", nil, .toggle, "delete all whose id matches an extended regular expression")

    static var delete: Command {
        Command(
            name: "delete", summary: "delete a stopped container and all it holds",
            operands: containerOperand, flags: [force, regex],
            perform: { invocation throws(ContainerError) in
                let isForced = invocation.arguments.has(force)
                guard invocation.arguments.has(regex) else {
                    try delete(invocation.containerID, in: invocation.store, force: isForced)
                    return 0
                }
                try deleteAll(
                    matching: IDPattern(invocation.containerID), in: invocation.store,
                    force: isForced)
                return 0
            })
    }

    private static func delete(
        _ id: String, in store: ContainerStore, force: Bool
    ) throws(ContainerError) {
        do throws(ContainerError) {
            try store.container(id).delete(force: force)
        } catch {
            // With --force, it is no error if the container does not exist.
            guard force, error.code == .notFound else { throw error }
        }
    }

    /// Deletes all matching containers; continues after a failure, and throws the first one at the
    /// end.
    private static func deleteAll(
        matching pattern: IDPattern, in store: ContainerStore, force: Bool
    ) throws(ContainerError) {
        var failure: ContainerError?
        var damaged: [String] = []
        let states = try store.states { id, _ in damaged.append(id) }
        for id in (states.map(\.id) + damaged).sorted() where pattern.matches(id) {
            do throws(ContainerError) {
                try delete(id, in: store, force: force)
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }
}
