// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    static var create: Command {
        Command(
            name: "create", summary: "create a container", operands: containerOperand,
            details: """
                Makes everything that config.json describes and leaves the container's process
                waiting: start lets it run. The id must be new under --root.
                """,
            flags: LaunchFlags.ofContainers + [
                // Engines pass this flag to create as well as to run and exec.
                Flag(
                    "detach", nil, .toggle, "return when the process waits, as always",
                    support: .only(["true"]))
            ],
            failureText: .create,
            perform: { invocation throws(ContainerError) in
                try invocation.traced("create") { trace throws(ContainerError) in
                    let bundle = try invocation.bundle(in: trace)
                    var options = try invocation.containerOptions(
                        terminal: bundle.spec.process?.terminal ?? false, detached: true)
                    options.trace = trace
                    try Container.create(
                        invocation.containerID, from: bundle, in: invocation.store,
                        options: options)
                }
                return 0
            })
    }
}
