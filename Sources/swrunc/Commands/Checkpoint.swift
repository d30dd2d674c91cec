// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    static var checkpoint: Command {
        Command(
            name: "checkpoint", summary: "write a running container to files, by CRIU",
            operands: containerOperand,
            details: """
                Writes the container's processes to a directory, from which restore makes them
                again, and deletes the container. It goes on as before where that fails.

                A directory that does not exist comes to its name when the image is whole; one that
                is there is written to in place. A restore does what the image says, as create does
                what the config says: keep it where nobody else can write.

                CRIU, version 3.16 or later, has to be in $PATH. Its settings are read from the file
                that the annotation org.criu.config names, else from /etc/criu/swrunc.conf or
                /etc/criu/runc.conf; they overrule these options.
                """,
            flags: CheckpointFlags.shared + [
                CheckpointFlags.parentPath, CheckpointFlags.leaveRunning, CheckpointFlags.preDump,
                CheckpointFlags.skipInFlight, CheckpointFlags.linkRemap,
                CheckpointFlags.statusDescriptor, CheckpointFlags.pageServer,
                CheckpointFlags.timeout,
            ],
            perform: { invocation throws(ContainerError) in
                try invocation.container().checkpoint(
                    to: invocation.imagePath(), options: invocation.checkpointOptions())
                return 0
            })
    }
}
