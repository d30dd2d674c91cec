// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

/// What is written down of a container, in its state directory and for the caller.
enum RecordStep: ParentAction {
    /// Records that the container is being created.
    case begin
    /// Records the mount of the root tree: it is going to be on this path in the host's own table of
    /// mounts, from which delete takes it.
    case rootMount(path: String)
    /// Records which process is being created, so that it can be deleted while its hooks run.
    case process
    /// Writes the container's record beside the old one, while the child works.
    case stage
    /// Puts the staged record in place: the container is created.
    case created
    /// Writes the pid file.
    case pidFile(path: String)

    var sentence: String {
        switch self {
        case .begin: "make the state directory"
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

    /// What is mounted for a container without a mount namespace is taken from the host's table again by
    /// delete, or by whoever finds that this launch died.
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

    /// Together with the config, which nobody reads earlier: the child has its own work meanwhile.
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

    /// What tells later where init is in its plan.
    private func keepPlan(in record: inout ContainerRecord) {
        record.stepStarts = plan.stepStarts(in: image)
        record.choices = choices
    }

    fileprivate func writePidFile(_ path: String) throws(ContainerError) {
        // Beside it, hidden, until it is whole.
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let nameStart = slash.map { path.utf8.index(after: $0) } ?? path.startIndex
        let temporary = String(path[..<nameStart]) + "." + String(path[nameStart...])
        let process = pid
        try reporting("unable to write the pid file") { () throws(SystemCallError) in
            let file = try Self.makeFile(temporary)
            do throws(SystemCallError) {
                try writeAll(
                    Array("\(process)".utf8), to: file.number, named: "\"\(temporary)\"")
                try renameFile(temporary, to: path, at: currentDirectory)
            } catch {
                try? removeFile(temporary)
                throw error
            }
        }
        takeBackOnFailure { _ in try? removeFile(path) }
    }

    /// Makes a file that was not there; one that a killed launch left behind is removed first.
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
