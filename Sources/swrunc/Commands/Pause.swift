// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    static var pause: Command {
        Command(
            name: "pause", summary: "stop all processes of a container until resume",
            operands: containerOperand,
            perform: { invocation throws(ContainerError) in
                try invocation.container().pause()
                return 0
            })
    }

    static var resume: Command {
        Command(
            name: "resume", summary: "let the processes of a paused container run again",
            operands: containerOperand,
            perform: { invocation throws(ContainerError) in
                try invocation.container().resume()
                return 0
            })
    }
}
