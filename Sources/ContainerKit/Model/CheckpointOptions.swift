// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import SystemPackage

/// How CRIU treats the cgroups of the container's processes.
public enum CgroupsMode: String, Sendable, CaseIterable {
    /// Ignores cgroups.
    case ignore
    /// Restores cgroups that do not exist, with their properties.
    case soft
    /// Restores cgroups, and the properties of existing ones.
    case full
    /// Restores cgroups, and fails if one exists.
    case strict
}

/// How the container's network is locked while its connections are dumped or restored.
public enum NetworkLock: String, Sendable, CaseIterable {
    /// By iptables-restore(8).
    case iptables
    /// By libnftables.
    case nftables
    /// Not at all.
    case skip
}

/// A server that receives the memory pages, which are then not written to the image.
public struct PageServer: Sendable, Equatable {
    /// The name or address of a host.
    public var address: String
    /// The TCP port.
    public var port: UInt16

    /// A server at an address.
    public init(address: String, port: UInt16) {
        self.address = address
        self.port = port
    }
}

/// Options for both a checkpoint and a restore; what one of them allows, the other must allow too.
public struct ConnectionOptions: Sendable {
    /// Whether established TCP connections are part of the image.
    public var allowsEstablishedTCP = false
    /// Whether unix sockets may be connected to processes outside of the container.
    public var allowsExternalSockets = false
    /// Whether processes may belong to a session, and have a terminal, from outside the container.
    public var allowsShellJob = false
    /// Whether file locks are part of the image.
    public var keepsFileLocks = false
    /// Whether memory pages are transferred on first use, by CRIU's lazy-pages daemon.
    public var usesLazyPages = false
    /// Whether the contents of the network namespace are left out, so that it is restored empty.
    ///
    /// They are always left out if the config has prestart or createRuntime hooks: these make the
    /// network again at a restore.
    public var emptiesNetwork = false
    /// Whether pages are removed from an earlier image when a later one contains them.
    public var removesDuplicates = false
    /// How cgroups are treated; nil means CRIU's default, `soft`.
    public var cgroupsMode: CgroupsMode?
    /// How the network is locked; nil means CRIU's default, iptables.
    public var networkLock: NetworkLock?

    /// Allows nothing.
    public init() {}
}

/// The options of a checkpoint.
public struct CheckpointOptions: Sendable {
    /// The options that the restore must be given, too.
    public var connections = ConnectionOptions()
    /// The directory for CRIU's log, `dump.log`; nil means the image's directory.
    public var workPath: FilePath?
    /// The directory of an earlier memory dump, relative to the image's directory: `../first`.
    public var parentPath: FilePath?
    /// Whether the container goes on; otherwise it is stopped and deleted.
    public var leavesRunning = false
    /// Whether only memory is dumped, for a later checkpoint with this one as `parentPath`; the
    /// container goes on.
    public var dumpsMemoryOnly = false
    /// Whether TCP connections that are still being established are left out.
    public var skipsConnectionsInFlight = false
    /// Whether open files without a name get one in their directory.
    public var remapsLinks = false
    /// The server that receives the pages.
    public var pageServer: PageServer?
    /// With lazy pages, a descriptor that gets a NUL byte when their server is ready, and is then
    /// closed.
    public var readyDescriptor: CInt?
    /// How long the checkpoint may take, from the call to the complete image, and with lazy pages
    /// until these are fetched; nil means for ever.
    ///
    /// After that the call fails with `timedOut` and tells what CRIU is doing. The container goes on,
    /// and the image is removed, as after any failure. Directories on a file system that does not
    /// answer are noticed before CRIU begins; a call that waits for one later is not broken off.
    public var timeout: Duration?
    /// Called with the progress of the checkpoint: at each phase, and twice a second during long
    /// ones.
    public var progress: (@Sendable (CheckpointProgress) -> Void)?

    /// A checkpoint that stops the container.
    public init() {}
}

/// The progress of a checkpoint or a restore, and the size of the memory in the image so far.
public struct CheckpointProgress: Sendable, Equatable {
    /// The last completed phase.
    public var phase: CheckpointPhase
    /// The size of the memory in the image, in bytes.
    public var memoryBytes: Int
}

/// A completed phase of a checkpoint or a restore.
public enum CheckpointPhase: String, Sendable {
    /// CRIU has received the request.
    case asked
    /// The processes are frozen, and their network is locked.
    case frozen
    /// The image is complete.
    case dumped
    /// The namespaces exist, but no processes yet.
    case namespaces
    /// The processes exist, and are stopped.
    case restored
    /// The rights of the processes have been compared with the config.
    case verified
    /// The processes run.
    case running
}

/// What copies of one image may share, although each of them would take it for its own.
public struct CopySharing: OptionSet, Sendable {
    /// The raw bits; their values have no meaning outside this type.
    public let rawValue: Int

    /// A set from its raw bits.
    public init(rawValue: Int) {
        self.rawValue = rawValue
    }

    /// Established TCP connections: one address, port and peer.
    public static let establishedTCP = CopySharing(rawValue: 1)
    /// Unix sockets connected to processes outside the container.
    public static let externalSockets = CopySharing(rawValue: 2)
    /// Writable bind mounts.
    public static let writableMounts = CopySharing(rawValue: 4)
    /// Namespaces that the config joins.
    public static let joinedNamespaces = CopySharing(rawValue: 8)
}

/// The options of a restore.
public struct RestoreOptions: Sendable {
    /// Streams, terminal, pid file, cgroup driver and logger, as for a new container.
    ///
    /// Its `timeout` limits the restore until the processes go on.
    public var launch = LaunchOptions()
    /// The options that the checkpoint was given.
    public var connections = ConnectionOptions()
    /// The directory for CRIU's log, `restore.log`; nil means the image's directory.
    public var workPath: FilePath?
    /// Whether established TCP connections of the image are restored as closed ones.
    public var closesTCP = false
    /// A label in place of the image's: `apparmor:PROFILE` or `selinux:LABEL`.
    public var lsmProfile: String?
    /// An SELinux context for the mounts in place of the image's.
    public var lsmMountContext: String?
    /// What copies of one image may share; nil for a single restore.
    public var sharing: CopySharing?
    /// Called with the progress of the restore.
    public var progress: (@Sendable (CheckpointProgress) -> Void)?

    /// A restore with the caller's own streams.
    public init() {}
}
#endif
