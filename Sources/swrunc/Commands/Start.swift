// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    static var start: Command {
        Command(
            name: "start", summary: "start the process of a created container",
            operands: containerOperand,
            flags: [LaunchFlags.timeout] + TraceFlags.all,
            perform: { invocation throws(ContainerError) in
                try invocation.traced("start") { trace throws(ContainerError) in
                    try invocation.container().start(
                        notifySocket: invocation.notifySocket, timeout: invocation.timeout(),
                        trace: trace)
                }
                return 0
            })
    }
}
