// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    static var update: Command {
        Command(
            name: "update", summary: "change the limits of a container",
            operands: containerOperand,
            details: """
                Limits that are not named stay as they are. When one is refused, none is changed.

                The file of --resources has the form of linux.resources of config.json, such as
                {"memory": {"limit": 67108864}, "cpu": {"quota": 20000, "period": 100000}}; of the other
                flags only the two schemas may stand beside it. Bytes may have a unit: 64M, 1.5g, 512KiB.
                """,
            flags: UpdateFlags.all,
            perform: { invocation throws(ContainerError) in
                let resources = try UpdateFlags.resources(
                    invocation.arguments, invocation.logger)
                try invocation.container().update(
                    resources, intelRdt: UpdateFlags.intelRdt(invocation.arguments))
                return 0
            })
    }
}
