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
                LaunchFlags.noNewKeyring, LaunchFlags.timeout,
                CheckpointFlags.closeTCP, CheckpointFlags.lsmProfile,
                CheckpointFlags.lsmMountContext, CheckpointFlags.copy, CheckpointFlags.copyShares,
                explains, format,
                Flag(
                    "no-subreaper", nil, .toggle, "adopt no orphaned processes, as always",
                    support: .only(["true"])),
                Flag(
                    "no-pivot", nil, .toggle, "leave to CRIU how it changes the root, as always"),
            ] + TraceFlags.all,
            failureText: .plain,
            perform: performRestore)
    }

    private static func performRestore(_ invocation: Invocation) throws(ContainerError) -> Int32 {
        if invocation.arguments.has(explains) {
            try explain(invocation)
            return 0
        }
        guard invocation.arguments.text(format) == nil else {
            throw ContainerError(
                .invalidArgument, "--format belongs to --explain",
                hint: "a restore prints nothing that has a format")
        }
        let id = invocation.containerID
        let detached = invocation.arguments.has(LaunchFlags.detach)
        let signals = detached ? nil : try ForegroundSignals()
        let process = try invocation.traced("restore") { trace throws(ContainerError) in
            let bundle = try invocation.bundle(in: trace)
            var options = try invocation.restoreOptions(
                terminal: bundle.spec.process?.terminal ?? false, detached: detached)
            options.launch.trace = trace
            return try Container.restore(
                id, from: invocation.imagePath(), bundle: bundle, in: invocation.store,
                options: options)
        }
        guard let signals else { return 0 }
        let status = Result { () throws(ContainerError) in
            try process.waitInForeground(signals).shellCode
        }
        invocation.removeAfterRun(id)
        return try status.get()
    }

    private static func explain(_ invocation: Invocation) throws(ContainerError) {
        guard TraceFlags.all.allSatisfy({ invocation.arguments.text($0) == nil }) else {
            throw ContainerError(
                .invalidArgument, "--explain excludes --timings and --trace",
                hint: "what is only explained takes no time")
        }
        let bundle = try invocation.bundle()
        let options = try invocation.restoreOptions(
            terminal: bundle.spec.process?.terminal ?? false,
            detached: invocation.arguments.has(LaunchFlags.detach))
        let plan = try Container.planRestore(
            invocation.containerID, from: invocation.imagePath(), bundle: bundle,
            in: invocation.store, options: options)
        try StandardOutput.write(
            invocation.explanation(format, text: plan.explained, json: plan.explainedJSON))
    }
}
