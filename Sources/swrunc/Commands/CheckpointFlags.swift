// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import SystemPackage

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// The flags that checkpoint and restore share, and the options made from them.
///
/// The names are those of runc and crun.
enum CheckpointFlags {
    static let imagePath = Flag(
        "image-path", nil, .text, "directory of the image", standard: "checkpoint")
    static let workPath = Flag(
        "work-path", nil, .text, "directory of CRIU's log and statistics",
        standard: "that of the image")
    static let establishedTCP = Flag(
        "tcp-established", nil, .toggle, "allow established TCP connections")
    static let externalSockets = Flag(
        "ext-unix-sk", nil, .toggle, "allow unix sockets connected to others than the container")
    static let shellJob = Flag(
        "shell-job", nil, .toggle, "allow a session, and a terminal, of others")
    static let fileLocks = Flag("file-locks", nil, .toggle, "allow locks of files")
    static let lazyPages = Flag(
        "lazy-pages", nil, .toggle, "bring pages when they are needed, by criu's lazy-pages daemon")
    static let cgroupsMode = Flag(
        "manage-cgroups-mode", nil, .text,
        "what CRIU does about cgroups: soft, full, strict, ignore",
        standard: "soft")
    static let emptyNamespace = Flag(
        "empty-ns", nil, .text, "namespace that is left empty: network")
    static let removesDuplicates = Flag(
        "auto-dedup", nil, .toggle, "take pages that an earlier image has out of that one")
    static let networkLock = Flag(
        "network-lock", nil, .text,
        "how the network is kept still: iptables, nftables, skip", standard: "iptables")

    static var shared: [Flag] {
        [
            imagePath, workPath, establishedTCP, externalSockets, shellJob, fileLocks, lazyPages,
            cgroupsMode, emptyNamespace, removesDuplicates, networkLock,
        ]
    }

    // Only for checkpoint.

    static let parentPath = Flag(
        "parent-path", nil, .text,
        "directory of an earlier dump of memory, relative to that of the image")
    static let leaveRunning = Flag(
        "leave-running", nil, .toggle, "let the container go on after the checkpoint")
    static let preDump = Flag(
        "pre-dump", nil, .toggle, "dump memory only, and let the container go on")
    static let skipInFlight = Flag(
        "tcp-skip-in-flight", nil, .toggle, "leave out TCP connections that are about to be made")
    static let linkRemap = Flag(
        "link-remap", nil, .toggle, "give names to files that are open without one")
    static let statusDescriptor = Flag(
        "status-fd", nil, .number,
        "with lazy pages, descriptor that gets a NUL when their server is ready")
    static let pageServer = Flag(
        "page-server", nil, .text, "ADDRESS:PORT of the server that takes the pages")
    static let timeout = Flag(
        LaunchFlags.timeout.name, nil, .text,
        "time for the image, such as 30s or 1m30s, then the container goes on without one")

    // Only for restore.

    static let closeTCP = Flag(
        "tcp-close", nil, .toggle, "restore established TCP connections as closed ones")
    static let lsmProfile = Flag(
        "lsm-profile", nil, .text, "label for the processes: apparmor:PROFILE or selinux:LABEL")
    static let lsmMountContext = Flag(
        "lsm-mount-context", nil, .text, "SELinux context for the mounts")
    static let copy = Flag(
        "copy", nil, .toggle,
        "refuse what copies of one image would share; each needs an id of its own")
    static let copyShares = Flag(
        "copy-shares", nil, .text,
        "what copies may share all the same: tcp, unix, mounts, namespaces")
}

extension Invocation {
    /// The directory of the image; by default `checkpoint` in the working directory.
    func imagePath() throws(ContainerError) -> FilePath {
        let text = arguments.text(CheckpointFlags.imagePath) ?? ""
        return try absolutePath(text.isEmpty ? "checkpoint" : text)
    }

    func workPath() throws(ContainerError) -> FilePath? {
        guard let text = arguments.text(CheckpointFlags.workPath), !text.isEmpty else { return nil }
        return try absolutePath(text)
    }

    func connectionOptions() throws(ContainerError) -> ConnectionOptions {
        var options = ConnectionOptions()
        options.allowsEstablishedTCP = arguments.has(CheckpointFlags.establishedTCP)
        options.allowsExternalSockets = arguments.has(CheckpointFlags.externalSockets)
        options.allowsShellJob = arguments.has(CheckpointFlags.shellJob)
        options.keepsFileLocks = arguments.has(CheckpointFlags.fileLocks)
        options.usesLazyPages = arguments.has(CheckpointFlags.lazyPages)
        options.removesDuplicates = arguments.has(CheckpointFlags.removesDuplicates)
        options.cgroupsMode = try choice(CheckpointFlags.cgroupsMode)
        options.networkLock = try choice(CheckpointFlags.networkLock)
        for kind in arguments.texts(CheckpointFlags.emptyNamespace) {
            guard kind == "network" else {
                // The text is runc's.
                throw ContainerError(
                    .invalidArgument, "namespace \(kind.debugDescription) is not supported",
                    hint: "--empty-ns takes network")
            }
            options.emptiesNetwork = true
        }
        return options
    }

    private func choice<Choice: RawRepresentable<String> & CaseIterable>(_ flag: Flag)
        throws(ContainerError) -> Choice?
    {
        guard let text = arguments.text(flag), !text.isEmpty else { return nil }
        guard let choice = Choice(rawValue: text) else {
            let choices = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw ContainerError(
                .invalidArgument, "invalid \(flag.name) value \(text.debugDescription)",
                hint: "one of \(choices)")
        }
        return choice
    }

    func checkpointOptions() throws(ContainerError) -> CheckpointOptions {
        var options = CheckpointOptions()
        options.connections = try connectionOptions()
        options.workPath = try workPath()
        options.timeout = try timeout()
        options.progress = progress(doing: "checkpoint")
        options.parentPath = arguments.path(CheckpointFlags.parentPath)
        options.leavesRunning = arguments.has(CheckpointFlags.leaveRunning)
        options.dumpsMemoryOnly = arguments.has(CheckpointFlags.preDump)
        options.skipsConnectionsInFlight = arguments.has(CheckpointFlags.skipInFlight)
        options.remapsLinks = arguments.has(CheckpointFlags.linkRemap)
        if let text = arguments.text(CheckpointFlags.pageServer), !text.isEmpty {
            options.pageServer = try Self.pageServer(text)
        }
        if let number = arguments.number(CheckpointFlags.statusDescriptor), number != -1 {
            guard let descriptor = CInt(exactly: number), descriptor >= 0 else {
                throw ContainerError(.invalidArgument, "invalid --status-fd argument \(number)")
            }
            options.readyDescriptor = descriptor
        }
        return options
    }

    /// Parses ADDRESS:PORT; an IPv6 address is in brackets.
    private static func pageServer(_ text: String) throws(ContainerError) -> PageServer {
        var address = text
        let port = text.lastIndex(of: ":").flatMap { colon -> UInt16? in
            address = String(text[..<colon])
            return UInt16(text[text.index(after: colon)...])
        }
        if address.hasPrefix("["), address.hasSuffix("]") {
            address = String(address.dropFirst().dropLast())
        }
        guard let port, port > 0, !address.isEmpty else {
            // The text is runc's.
            throw ContainerError(
                .invalidArgument, "Use --page-server ADDRESS:PORT to specify page server")
        }
        return PageServer(address: address, port: port)
    }

    /// What the copies may share; nil if the restore does not make a copy.
    private func sharing() throws(ContainerError) -> CopySharing? {
        let names = arguments.texts(CheckpointFlags.copyShares)
        guard arguments.has(CheckpointFlags.copy) || !names.isEmpty else { return nil }
        var sharing: CopySharing = []
        for name in names {
            switch name {
            case "tcp": sharing.insert(.establishedTCP)
            case "unix": sharing.insert(.externalSockets)
            case "mounts": sharing.insert(.writableMounts)
            case "namespaces": sharing.insert(.joinedNamespaces)
            default:
                throw ContainerError(
                    .invalidArgument, "invalid copy-shares value \(name.debugDescription)",
                    hint: "one of tcp, unix, mounts, namespaces")
            }
        }
        return sharing
    }

    /// Shows the progress on a terminal; nil if standard error is not one.
    private func progress(doing name: String) -> (@Sendable (CheckpointProgress) -> Void)? {
        guard isatty(2) == 1 else { return nil }
        return { progress in
            let memory = progress.memoryBytes >> 20
            let isLast = progress.phase == .dumped || progress.phase == .running
            let text = "\r\(name): \(progress.phase.rawValue), \(memory) MiB of memory\u{1b}[K"
            let bytes = Array((text + (isLast ? "\n" : "")).utf8)
            _ = write(2, bytes, bytes.count)
        }
    }

    func restoreOptions(terminal: Bool, detached: Bool) throws(ContainerError) -> RestoreOptions {
        var options = RestoreOptions()
        options.connections = try connectionOptions()
        options.launch = try launchOptions(terminal: terminal, detached: detached)
        options.launch.startsAgainSealed = false
        options.workPath = try workPath()
        options.closesTCP = arguments.has(CheckpointFlags.closeTCP)
        options.sharing = try sharing()
        options.progress = progress(doing: "restore")
        options.lsmProfile = arguments.text(CheckpointFlags.lsmProfile).flatMap {
            $0.isEmpty ? nil : $0
        }
        options.lsmMountContext = arguments.text(CheckpointFlags.lsmMountContext).flatMap {
            $0.isEmpty ? nil : $0
        }
        return options
    }
}
