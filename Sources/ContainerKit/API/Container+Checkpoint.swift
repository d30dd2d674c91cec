// SPDX-License-Identifier: Apache-2.0

internal import Logging
public import SystemPackage

extension Container {
    /// Writes the container's processes to files, from which `restore` makes them again; by CRIU.
    ///
    /// The container has ended then and is deleted, unless the options say that it goes on. A directory that
    /// does not exist comes to its name when the image is whole; one that does is written to in place.
    ///
    /// What is in an image is done by a restore as what is in a config is by `create`: keep it where nobody
    /// else can write.
    /// - Parameters:
    ///   - path: the directory of the image.
    ///   - options: what may be part of it, and what becomes of the container.
    /// - Throws: `criu` with CRIU's own words and the path of its log, `wrongState` when the container does
    ///   not run; it goes on as before then.
    public func checkpoint(
        to path: FilePath, options: CheckpointOptions = CheckpointOptions()
    ) throws(ContainerError) {
        let found = try find(locking: true)
        guard let record = found.record, found.status == .running || found.status == .paused else {
            // The text is runc's.
            throw ContainerError(
                .wrongState,
                "Container cannot be checkpointed in \(found.status.rawValue) state")
        }
        let spec = try Self.recordedSpec(found.state)
        let checkpointing = try Checkpointing(
            record, spec, to: try Bundle.absolute(path).text, options, store.logger)
        try checkpointing.run(wasPaused: found.status == .paused)
        guard !options.leavesRunning, !options.dumpsMemoryOnly else { return }
        // The checkpoint is there: what is left of the container matters less.
        found.state.unlock()
        do throws(ContainerError) {
            try delete(force: true)
        } catch {
            store.logger.warning("cannot delete the container after its checkpoint: \(error)")
        }
    }
}
