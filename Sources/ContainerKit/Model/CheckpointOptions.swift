// SPDX-License-Identifier: Apache-2.0

public import SystemPackage

/// What CRIU does about the cgroups that the container's processes are in.
public enum CgroupsMode: String, Sendable, CaseIterable {
    /// Nothing.
    case ignore
    /// Restores them with their properties where they are not there.
    case soft
    /// Restores them, and the properties of those that are there.
    case full
    /// Restores them, and fails where one is there.
    case strict
}

/// How the network of a container is kept still while its connections are dumped or restored.
public enum NetworkLock: String, Sendable, CaseIterable {
    /// By iptables-restore(8).
    case iptables
    /// By libnftables.
    case nftables
    /// Not at all.
    case skip
}

/// The server that takes the pages of memory: they are not written to the image then.
public struct PageServer: Sendable, Equatable {
    /// A host's name or address.
    public var address: String
    /// The TCP port.
    public var port: UInt16

    /// The server at an address.
    public init(address: String, port: UInt16) {
        self.address = address
        self.port = port
    }
}

/// What both a checkpoint and a restore are told; what one allows, the other has to.
public struct ConnectionOptions: Sendable {
    /// Whether established TCP connections are part of the image.
    public var allowsEstablishedTCP = false
    /// Whether unix sockets may be connected to processes outside of the container.
    public var allowsExternalSockets = false
    /// Whether the container may be part of a session, and have a terminal, of others.
    public var allowsShellJob = false
    /// Whether locks of files are part of the image.
    public var keepsFileLocks = false
    /// Whether pages are brought when they are first needed, by CRIU's lazy-pages daemon.
    public var usesLazyPages = false
    /// Whether the image lacks what is in the network namespace, which is restored empty.
    public var emptiesNetwork = false
    /// Whether pages that an earlier image has are taken out of that one.
    public var removesDuplicates = false
    /// What is done about cgroups; nil is CRIU's choice, which is `soft`.
    public var cgroupsMode: CgroupsMode?
    /// How the network is kept still; nil is CRIU's choice, which is iptables.
    public var networkLock: NetworkLock?

    /// Nothing is allowed.
    public init() {}
}

/// What the caller of a checkpoint chooses.
public struct CheckpointOptions: Sendable {
    /// What the restore has to be told, too.
    public var connections = ConnectionOptions()
    /// Where CRIU writes its log, `dump.log`; nil is the image's directory.
    public var workPath: FilePath?
    /// The directory of an earlier dump of memory, as the image's directory leads to it: `../first`.
    public var parentPath: FilePath?
    /// Whether the container goes on; else it is ended and deleted.
    public var leavesRunning = false
    /// Whether only memory is dumped, for a later checkpoint with this as its `parentPath`; the container
    /// goes on.
    public var dumpsMemoryOnly = false
    /// Whether TCP connections that are about to be made are left out.
    public var skipsConnectionsInFlight = false
    /// Whether files that are open but have no name any more get one, where they are.
    public var remapsLinks = false
    /// The server that takes the pages.
    public var pageServer: PageServer?
    /// With lazy pages, a descriptor that gets a NUL when their server is ready; it is closed then.
    public var readyDescriptor: CInt?
    /// Who is told how far the checkpoint is: at each phase, and twice a second while it takes long.
    public var progress: (@Sendable (CheckpointProgress) -> Void)?

    /// A checkpoint that ends the container.
    public init() {}
}

/// How far a checkpoint or a restore is, and how much of memory is in the image by then.
public struct CheckpointProgress: Sendable, Equatable {
    /// What has been done last.
    public var phase: CheckpointPhase
    /// The bytes of memory that the image has.
    public var memoryBytes: Int
}

/// A step of a checkpoint or a restore that is behind it.
public enum CheckpointPhase: String, Sendable {
    /// CRIU has been asked.
    case asked
    /// The processes stand still, and so does their network.
    case frozen
    /// The image is whole.
    case dumped
    /// The namespaces are there, the processes are not.
    case namespaces
    /// The processes are there, and stand still.
    case restored
    /// What they may do has been compared with the config.
    case verified
    /// They run.
    case running
}

/// What containers that are copies of one image may have in common, though each of them takes it for its own.
public struct CopySharing: OptionSet, Sendable {
    /// The numbers are of no meaning.
    public let rawValue: Int

    /// Those of a number.
    public init(rawValue: Int) {
        self.rawValue = rawValue
    }

    /// Established TCP connections: one address, one port, one peer.
    public static let establishedTCP = CopySharing(rawValue: 1)
    /// Unix sockets that are connected to processes outside.
    public static let externalSockets = CopySharing(rawValue: 2)
    /// Bind mounts that can be written to.
    public static let writableMounts = CopySharing(rawValue: 4)
    /// Namespaces that the config joins.
    public static let joinedNamespaces = CopySharing(rawValue: 8)
}

/// What the caller of a restore chooses.
public struct RestoreOptions: Sendable {
    /// Streams, terminal, pid file, cgroup driver and logger, as for a new container.
    public var launch = LaunchOptions()
    /// What the checkpoint was told.
    public var connections = ConnectionOptions()
    /// Where CRIU writes its log, `restore.log`; nil is the image's directory.
    public var workPath: FilePath?
    /// Whether established TCP connections of the image are restored as closed ones.
    public var closesTCP = false
    /// Another label than the image's: `apparmor:PROFILE` or `selinux:LABEL`.
    public var lsmProfile: String?
    /// Another SELinux context than the image's for its mounts.
    public var lsmMountContext: String?
    /// What copies of one image may share; nil for a restore that is to be the only one.
    public var sharing: CopySharing?
    /// Who is told how far the restore is.
    public var progress: (@Sendable (CheckpointProgress) -> Void)?

    /// The caller's own streams.
    public init() {}
}
