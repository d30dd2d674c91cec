// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// Steps that record the container, in its state directory and for the caller.
enum RecordStep: ParentAction {
    /// Records that the container is being created.
    case begin
    /// Records that the cgroup is the container's own, before another process than init enters it;
    /// delete kills what is in it.
    case ownCgroup
    /// Records the mount of the root tree, which will be on this path in the host's mount table;
    /// delete unmounts it.
    case rootMount(path: String)
    /// Records the process that is being created, so that it can be deleted while its hooks run.
    case process
    /// Writes the container's record next to the old one, while the child works.
    case stage
    /// Replaces the record by the staged one: the container is created.
    case created
    /// Writes the pid file.
    case pidFile(path: String)

    var sentence: String {
        switch self {
        case .begin: "make the state directory"
        case .ownCgroup: "record that the cgroup is the container's own"
        case .rootMount(let path): "record the mount that will be on \(path), among the host's"
        case .process: "record the process, so that it can be deleted while its hooks run"
        case .stage: "write the record of the container beside the old one"
        case .created: "put the record in place: the container is created"
        case .pidFile(let path): "write the pid file \(path)"
        }
    }

    var exchanges: [Exchange] { [] }
    var provides: [InheritedDescriptor] { [] }

    func perform(on launcher: Launcher, for origin: Origin) throws(ContainerError) {
        switch self {
        case .begin: try launcher.recordCreating()
        case .ownCgroup: try launcher.recordOwnCgroup()
        case .rootMount(let path): try launcher.recordRootMount(path, origin)
        case .process: try launcher.recordProcess()
        case .stage: try launcher.stageRecord()
        case .created: try launcher.state?.putRecordInPlace()
        case .pidFile(let path): try launcher.writePidFile(path)
        }
    }
}

extension Launcher {
    fileprivate func recordCreating() throws(ContainerError) {
        guard let record else { return }
        try state?.stage(record)
        try state?.putFirstRecordInPlace()
    }

    fileprivate func recordOwnCgroup() throws(ContainerError) {
        record?.ownsCgroup = true
        guard let record else { return }
        try state?.stage(record)
        try state?.putRecordInPlace()
    }

    /// Records the mount of the rootfs of a container that shares the host's mounts.
    ///
    /// A delete, or whoever finds that this launch has died, must unmount it.
    fileprivate func recordRootMount(_ path: String, _ origin: Origin) throws(ContainerError) {
        let tree = rootTree
        let isHostRoot = try reporting("unable to open the rootfs", field: origin.path) {
            () throws(SystemCallError) in
            let (root, host) = try (status(at: path), status(at: "/"))
            return root.stx_ino == host.stx_ino && root.stx_mnt_id == host.stx_mnt_id
        }
        guard !isHostRoot else {
            throw ContainerError(
                .invalidSpec,
                "a container without a mount namespace cannot have the host's root as its own",
                field: origin.path)
        }
        record?.rootMount = try reporting(field: origin.path) { () throws(SystemCallError) in
            try mountIdentity(of: tree)
        }
        takeBackOnFailure { try? $0.record?.detachRootMount() }
        guard let record else { return }
        try state?.stage(record)
        try state?.putRecordInPlace()
    }

    fileprivate func recordProcess() throws(ContainerError) {
        guard var record else { return }
        record.pid = pid
        record.startTime = startTime
        keepPlan(in: &record)
        self.record = record
        try state?.stage(record)
        try state?.putRecordInPlace()
    }

    /// Writes the config as well; nobody reads it earlier, and the child works meanwhile.
    fileprivate func stageRecord() throws(ContainerError) {
        guard var record else { return }
        try state?.writeConfig(config)
        record.pid = pid
        record.startTime = startTime
        record.isComplete = true
        record.startWaitIndex = plan.startWaitIndex(in: image)
        record.lastInstructions = plan.instructionsAfterReport(image)
        keepPlan(in: &record)
        self.record = record
        try state?.stage(record)
    }

    /// Adds to the record what is needed to find init's position in its plan later.
    private func keepPlan(in record: inout ContainerRecord) {
        record.stepStarts = image.stepStarts
        record.isTimed = !image.timedSteps.isEmpty
        record.timedSteps = plan.timedStepsAfterWait(image)
        record.choices = choices
    }

    fileprivate func writePidFile(_ path: String) throws(ContainerError) {
        // Write a hidden file next to it first, and rename it once complete.
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let nameStart = slash.map { path.utf8.index(after: $0) } ?? path.startIndex
        let temporary = String(path[..<nameStart]) + "." + String(path[nameStart...])
        let process = pid
        try reporting("unable to write the pid file") { () throws(SystemCallError) in
            let file = try Self.makeFile(temporary)
            try completing(temporary, as: path, at: currentDirectory) {
                () throws(SystemCallError) in
                try writeAll(
                    Array("\(process)".utf8), to: file.number, named: "\"\(temporary)\"")
            }
        }
        takeBackOnFailure { _ in try? removeFile(path) }
    }

    /// Makes a new file, removing one that a killed launch has left behind.
    private static func makeFile(_ path: String) throws(SystemCallError) -> OwnedDescriptor {
        let flags: OpenFlags = .writeOnly | .create | .exclusive
        do throws(SystemCallError) {
            return try openFile(path, flags, mode: 0o666)
        } catch  where error.errno == .fileExists {
            try removeFile(path)
            return try openFile(path, flags, mode: 0o666)
        }
    }
}
#endif
