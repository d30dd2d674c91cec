// SPDX-License-Identifier: Apache-2.0

internal import RuntimeSpec

/// What CRIU is asked for; the numbers are those of its `criu_req_type`.
///
/// Source: images/rpc.proto of CRIU.
enum CriuRequestKind: Int {
    case dump = 1
    case restore = 2
    case preDump = 4
    case notify = 6
    case featureCheck = 9
    case version = 10

    /// The name as CRIU's, which errors have had since runc's first.
    var name: String {
        switch self {
        case .dump: "DUMP"
        case .restore: "RESTORE"
        case .preDump: "PRE_DUMP"
        case .notify: "NOTIFY"
        case .featureCheck: "FEATURE_CHECK"
        case .version: "VERSION"
        }
    }
}

/// A request to CRIU, `criu_req`.
struct CriuRequest {
    let kind: CriuRequestKind
    var options: CriuOptions?
    /// Whether what CRIU told of went well.
    var acknowledges: Bool?
    /// Which features are asked about.
    var features: CriuFeatures?

    init(_ kind: CriuRequestKind) {
        self.kind = kind
    }

    var encoded: [UInt8] {
        var message = ProtobufWriter()
        message.add(1, integer: kind.rawValue)
        message.add(2, options?.message)
        message.add(3, acknowledges)
        message.add(5, features?.message)
        return message.bytes
    }
}

/// What CRIU and the kernel may be able to do, `criu_features`.
struct CriuFeatures: Equatable {
    /// Telling which pages have changed since an earlier dump.
    var tracksMemory = false
    /// Pages that are brought when they are needed.
    var lazyPages = false

    fileprivate var message: ProtobufWriter {
        var message = ProtobufWriter()
        if tracksMemory { message.add(1, true) }
        if lazyPages { message.add(2, true) }
        return message
    }

    init() {}

    fileprivate init(_ fields: ProtobufFields) {
        tracksMemory = fields.flag(1)
        lazyPages = fields.flag(2)
    }
}

/// The options of a dump or a restore, `criu_opts`.
struct CriuOptions {
    /// A descriptor of this process: CRIU opens it anew.
    var imageDirectory: Int
    var workDirectory: Int?
    var pid: Int?
    var leavesRunning = false
    var externalSockets = false
    var tcpEstablished = false
    var tcpClose = false
    var tcpSkipsInFlight = false
    var evasiveDevices = false
    var shellJob = false
    var fileLocks = false
    var logFile: String
    var pageServer: (address: String, port: Int)?
    var root: String?
    var parentImage: String?
    var tracksMemory = false
    var removesDuplicates = false
    var remapsLinks = false
    var externalMounts: [(key: String, value: String)] = []
    var cgroupRoots: [(controllers: String?, path: String)] = []
    var isSibling = false
    var inherited: [(key: String, descriptor: Int)] = []
    var cgroupsMode: CgroupsMode?
    var external: [String] = []
    var emptyNamespaces: Int?
    var joined: [(kind: String, path: String)] = []
    var frozenCgroup: String?
    var lazyPages = false
    var configFile: String?
    var lsmProfile: String?
    var lsmMountContext: String?
    var networkLock: NetworkLock?

    init(imageDirectory: Int, logFile: String) {
        self.imageDirectory = imageDirectory
        self.logFile = logFile
    }

    /// What CRIU does without a word on it.
    private static let usualCgroupsMode = 6

    fileprivate var message: ProtobufWriter {
        var message = ProtobufWriter()
        message.add(1, integer: imageDirectory)
        message.add(2, integer: pid)
        message.add(3, leavesRunning)
        message.add(4, externalSockets)
        message.add(5, tcpEstablished)
        message.add(6, evasiveDevices)
        message.add(7, shellJob)
        message.add(8, fileLocks)
        // All that CRIU says short of debugging.
        message.add(9, integer: 4)
        message.add(10, logFile)
        if let pageServer {
            var server = ProtobufWriter()
            server.add(1, pageServer.address)
            server.add(2, integer: pageServer.port)
            message.add(11, server)
        }
        // notify_scripts
        message.add(12, true)
        message.add(13, root)
        message.add(14, parentImage)
        message.add(15, tracksMemory)
        message.add(16, removesDuplicates)
        message.add(17, integer: workDirectory)
        message.add(18, remapsLinks)
        for mount in externalMounts { message.add(23, Self.pair(mount.key, mount.value)) }
        // manage_cgroups, of which the mode says how
        message.add(24, true)
        for root in cgroupRoots { message.add(25, Self.pair(root.controllers, root.path)) }
        message.add(26, isSibling)
        for (key, descriptor) in inherited {
            var inherited = ProtobufWriter()
            inherited.add(1, key)
            inherited.add(2, integer: descriptor)
            message.add(27, inherited)
        }
        message.add(34, integer: cgroupsMode?.number ?? Self.usualCgroupsMode)
        for text in external { message.add(37, text) }
        message.add(38, integer: emptyNamespaces)
        for (kind, path) in joined { message.add(39, Self.pair(kind, path)) }
        message.add(44, frozenCgroup)
        message.add(46, tcpSkipsInFlight)
        message.add(48, lazyPages)
        // orphan_pts_master
        message.add(50, true)
        message.add(51, configFile)
        message.add(52, tcpClose)
        message.add(53, lsmProfile)
        message.add(63, lsmMountContext)
        message.add(64, integer: networkLock?.number)
        return message
    }

    private static func pair(_ first: String?, _ second: String) -> ProtobufWriter {
        var pair = ProtobufWriter()
        pair.add(1, first)
        pair.add(2, second)
        return pair
    }
}

extension CgroupsMode {
    /// The number of `criu_cg_mode`.
    fileprivate var number: Int {
        switch self {
        case .ignore: 0
        case .soft: 3
        case .full: 4
        case .strict: 5
        }
    }
}

extension NetworkLock {
    /// The number of `criu_network_lock_method`.
    fileprivate var number: Int {
        switch self {
        case .iptables: 1
        case .nftables: 2
        case .skip: 3
        }
    }
}

/// What CRIU says, `criu_resp`: the answer to a request, or what it is about to do.
struct CriuResponse: Equatable {
    /// Nil for one of a kind that was not asked for.
    let kind: CriuRequestKind?
    let isSuccess: Bool
    /// What CRIU tells of: the name of the moment, such as `post-restore`.
    let script: String?
    /// The first process, as the caller sees it.
    let pid: Int32?
    let errno: Int
    /// CRIU's own words for what went wrong.
    let message: String?
    let version: CriuVersion?
    let features: CriuFeatures?

    /// Reads a message; nil if it is none of CRIU's.
    init?(_ bytes: [UInt8]) {
        guard let fields = ProtobufFields(bytes[...]), let number = fields.integer(1) else {
            return nil
        }
        kind = CriuRequestKind(rawValue: number)
        isSuccess = fields.flag(2)
        let notification = fields.message(5)
        script = notification?.text(1)
        pid = (notification?.integer(2) ?? fields.message(4)?.integer(1)).map {
            Int32(truncatingIfNeeded: $0)
        }
        errno = fields.integer(7) ?? 0
        features = fields.message(8).map(CriuFeatures.init)
        message = fields.text(9)
        version = fields.message(10).flatMap(CriuVersion.init)
    }
}

/// A release of CRIU.
struct CriuVersion: Comparable, CustomStringConvertible {
    let major: Int
    let minor: Int

    /// The first that can do all that is asked of it here: external pid namespaces, other labels, a first
    /// message of its errors.
    static let needed = CriuVersion(major: 3, minor: 16)
    /// The first whose network lock can be chosen.
    static let withNetworkLock = CriuVersion(major: 3, minor: 17)

    init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    fileprivate init?(_ fields: ProtobufFields) {
        guard let major = fields.integer(1), let minor = fields.integer(2) else { return nil }
        self.init(major: major, minor: minor)
    }

    static func < (one: CriuVersion, other: CriuVersion) -> Bool {
        (one.major, one.minor) < (other.major, other.minor)
    }

    var description: String { "\(major).\(minor)" }
}
