// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import Logging
public import SystemPackage

extension Container {
    /// Writes the container's processes to files from which `restore` can recreate them, using
    /// CRIU.
    ///
    /// Afterwards the container is stopped and deleted, unless the options leave it running. A
    /// directory that does not exist gets its name once the image is complete; an existing one is
    /// written in place.
    ///
    /// A restore obeys an image just as `create` obeys a config, so keep images where nobody else
    /// can write.
    /// - Parameters:
    ///   - path: the directory of the image.
    ///   - options: what the image may include, and whether the container goes on.
    /// - Throws: `criu` with CRIU's own message and the path of its log, or `wrongState` if the
    ///   container is not running; `timedOut` after `options.timeout`; the container then goes on
    ///   as before.
    public func checkpoint(
        to path: FilePath, options: CheckpointOptions = CheckpointOptions()
    ) throws(ContainerError) {
        var limit: TimeLimit?
        if let timeout = options.timeout { limit = try TimeLimit(checking: timeout) }
        if let limit {
            let parent = options.parentPath.map { path.appending($0.components) }
            try PathLook(path.string, options.workPath?.string, parent?.string).check(within: limit)
        }
        let found = try find(locking: true, within: limit)
        guard let record = found.record, found.status == .running || found.status == .paused else {
            // The text is runc's.
            throw ContainerError(
                .wrongState,
                "Container cannot be checkpointed in \(found.status.rawValue) state")
        }
        // A restored container gets the mounts of its config alone.
        guard record.addedMounts.isEmpty else {
            let places = record.addedMounts.map(\.mount.destination).joined(separator: ", ")
            throw ContainerError(
                .wrongState, "mounts were added to the container since its creation: \(places)",
                hint: "unmount them first: mounts remove")
        }
        guard record.addedDevices.isEmpty else {
            let places = record.addedDevices.map(\.device.node.path).joined(separator: ", ")
            throw ContainerError(
                .wrongState, "devices were added to the container since its creation: \(places)",
                hint: "remove them first: devices remove")
        }
        let spec = try Self.recordedSpec(found.state)
        let checkpointing = try Checkpointing(
            record, spec, to: try Bundle.absolute(path).text, options, within: limit,
            store.logger)
        try checkpointing.run(wasPaused: found.status == .paused)
        guard !options.leavesRunning, !options.dumpsMemoryOnly else { return }
        // The checkpoint is complete, so a failure to delete the container is only a warning.
        found.state.unlock()
        do throws(ContainerError) {
            try delete(force: true)
        } catch {
            store.logger.warning("cannot delete the container after its checkpoint: \(error)")
        }
    }
}
#endif
