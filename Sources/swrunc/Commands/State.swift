// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    static var state: Command {
        Command(
            name: "state", summary: "print the state of a container as JSON",
            operands: containerOperand,
            isQuery: true,
            perform: { invocation throws(ContainerError) in
                let state = try invocation.container().state()
                // Without a newline at the end, as in runc.
                try StandardOutput.write(state.encoded.encoded(pretty: true))
                return 0
            })
    }
}
