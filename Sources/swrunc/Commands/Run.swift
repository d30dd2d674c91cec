// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Logging

extension Command {
    private static let keep = Flag(
        "keep", nil, .toggle, "keep the container's state after its process ended")

    static var run: Command {
        Command(
            name: "run", summary: "create and start a container", operands: containerOperand,
            details: """
                Creates a container and starts its process, waits for its end and deletes the
                container. The exit status is that of the process, or 128 and the number of the
                signal that ended it.
                """,
            flags: LaunchFlags.ofContainers + [
                LaunchFlags.detach, keep,
                Flag(
                    "no-subreaper", nil, .toggle, "adopt no orphaned processes, as always",
                    support: .only(["true"])),
            ],
            failureText: .run, perform: performRun)
    }

    private static func performRun(_ invocation: Invocation) throws(ContainerError) -> Int32 {
        let id = invocation.containerID
        let detached = invocation.arguments.has(LaunchFlags.detach)
        let signals = detached ? nil : try ForegroundSignals()
        let process = try invocation.traced("run") { trace throws(ContainerError) in
            let bundle = try invocation.bundle(in: trace)
            var options = try invocation.containerOptions(
                terminal: bundle.spec.process?.terminal ?? false, detached: detached)
            options.trace = trace
            return try Container.run(id, from: bundle, in: invocation.store, options: options)
        }
        guard let signals else {
            try process.waitUntilReady()
            return 0
        }
        let status = Result { () throws(ContainerError) in
            try process.waitInForeground(signals).shellCode
        }
        if !invocation.arguments.has(keep) { invocation.removeAfterRun(id) }
        return try status.get()
    }
}

extension Invocation {
    /// Deletes the container after its process has ended.
    ///
    /// A failure is only logged, because the exit status must be that of the process.
    func removeAfterRun(_ id: String) {
        do throws(ContainerError) {
            try store.container(id).delete(force: true)
        } catch {
            // Another command may have deleted it already.
            if error.code == .notFound { return }
            logger.error("cannot delete the container: \(error)")
        }
    }
}
