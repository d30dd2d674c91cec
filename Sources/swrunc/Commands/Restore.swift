// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit

extension Command {
    private static let explains = Flag(
        "explain", nil, .toggle, "print what would be done, and do nothing")
    private static let format = Flag(
        "format", nil, .text, "of what --explain prints: text or json", standard: "text")

    static var restore: Command {
        Command(
            name: "restore", summary: "make a container from the files of a checkpoint, by CRIU",
            operands: containerOperand,
            details: """
                Makes a container whose processes go on where those of a checkpoint stood, with the
                config of the bundle, waits for its end and deletes it. The id must be new under
                --root; it may be another than the checkpoint's.

                Before the processes run, what they may do is compared with the config; more than
                that grants ends the restore.

                With --explain the restore is printed, as it would be done by the other flags, and
                nothing is changed.
                """,
            flags: CheckpointFlags.shared + [
                LaunchFlags.bundle, LaunchFlags.config, LaunchFlags.consoleSocket,
                LaunchFlags.pidFile, LaunchFlags.pidfdSocket, LaunchFlags.detach,
                LaunchFlags.noNewKeyring,
                CheckpointFlags.closeTCP, CheckpointFlags.lsmProfile,
                CheckpointFlags.lsmMountContext, CheckpointFlags.copy, CheckpointFlags.copyShares,
                explains, format,
                Flag(
                    "no-subreaper", nil, .toggle, "adopt no orphaned processes, as always",
                    support: .only(["true"])),
                Flag(
                    "no-pivot", nil, .toggle, "leave to CRIU how it changes the root, as always"),
            ],
            failureText: .plain,
            perform: performRestore)
    }

    private static func performRestore(_ invocation: Invocation) throws(ContainerError) -> Int32 {
        let id = invocation.containerID
        let bundle = try invocation.bundle()
        let detached = invocation.arguments.has(LaunchFlags.detach)
        let options = try invocation.restoreOptions(
            terminal: bundle.spec.process?.terminal ?? false, detached: detached)
        let image = try invocation.imagePath()
        if invocation.arguments.has(explains) {
            let plan = try Container.planRestore(
                id, from: image, bundle: bundle, in: invocation.store, options: options)
            try StandardOutput.write(
                invocation.explanation(format, text: plan.explained, json: plan.explainedJSON))
            return 0
        }
        guard invocation.arguments.text(format) == nil else {
            throw ContainerError(
                .invalidArgument, "--format belongs to --explain",
                hint: "a restore prints nothing that has a format")
        }
        guard !detached else {
            _ = try Container.restore(
                id, from: image, bundle: bundle, in: invocation.store, options: options)
            return 0
        }
        let signals = try ForegroundSignals()
        let process = try Container.restore(
            id, from: image, bundle: bundle, in: invocation.store, options: options)
        let status = Result { () throws(ContainerError) in
            try process.waitInForeground(signals).shellCode
        }
        invocation.removeAfterRun(id)
        return try status.get()
    }
}
