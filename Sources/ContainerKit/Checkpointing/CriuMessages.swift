// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// The kind of a request to CRIU; the numbers are those of its `criu_req_type`.
///
/// Source: images/rpc.proto of CRIU.
enum CriuRequestKind: Int {
    case dump = 1
    case restore = 2
    case preDump = 4
    case notify = 6
    case featureCheck = 9
    case version = 10

    /// CRIU's name, which runc's errors have always used.
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
    /// Answers a notification: whether it was handled successfully.
    var acknowledges: Bool?
    /// The features to check.
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

/// Features that CRIU and the kernel may support, `criu_features`.
struct CriuFeatures: Equatable {
    /// Tracking which pages have changed since an earlier dump.
    var tracksMemory = false
    /// Loading pages only when they are needed.
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
    /// A descriptor of this process; CRIU opens it again through /proc.
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

    /// CRIU's default.
    private static let usualCgroupsMode = 6

    /// All fields that are sent, in this order, with their names from CRIU's `rpc.proto`.
    var fields: [CriuField] {
        var list: [CriuField] = []
        func add(_ number: UInt64, _ name: String, _ value: CriuField.Value?) {
            if let value { list.append(CriuField(number: number, name: name, value: value)) }
        }
        add(1, "images_dir_fd", .descriptor(imageDirectory))
        add(2, "pid", pid.map { .integer($0) })
        add(3, "leave_running", .flag(leavesRunning))
        add(4, "ext_unix_sk", .flag(externalSockets))
        add(5, "tcp_established", .flag(tcpEstablished))
        add(6, "evasive_devices", .flag(evasiveDevices))
        add(7, "shell_job", .flag(shellJob))
        add(8, "file_locks", .flag(fileLocks))
        // Everything except debug messages.
        add(9, "log_level", .integer(4))
        add(10, "log_file", .text(logFile))
        add(
            11, "ps",
            pageServer.map { server in
                .message([
                    CriuField(number: 1, name: "address", value: .text(server.address)),
                    CriuField(number: 2, name: "port", value: .integer(server.port)),
                ])
            })
        add(12, "notify_scripts", .flag(true))
        add(13, "root", root.map { .text($0) })
        add(14, "parent_img", parentImage.map { .text($0) })
        add(15, "track_mem", .flag(tracksMemory))
        add(16, "auto_dedup", .flag(removesDuplicates))
        add(17, "work_dir_fd", workDirectory.map { .descriptor($0) })
        add(18, "link_remap", .flag(remapsLinks))
        for mount in externalMounts {
            add(23, "ext_mnt", .pair("key", mount.key, "val", mount.value))
        }
        // The mode says how.
        add(24, "manage_cgroups", .flag(true))
        for root in cgroupRoots {
            add(25, "cg_root", .pair("ctrl", root.controllers, "path", root.path))
        }
        add(26, "rst_sibling", .flag(isSibling))
        for (key, descriptor) in inherited {
            add(
                27, "inherit_fd",
                .message([
                    CriuField(number: 1, name: "key", value: .text(key)),
                    CriuField(number: 2, name: "fd", value: .descriptor(descriptor)),
                ]))
        }
        add(34, "manage_cgroups_mode", .integer(cgroupsMode?.number ?? Self.usualCgroupsMode))
        for text in external { add(37, "external", .text(text)) }
        add(38, "empty_ns", emptyNamespaces.map { .integer($0) })
        for (kind, path) in joined { add(39, "join_ns", .pair("ns", kind, "ns_file", path)) }
        add(44, "freeze_cgroup", frozenCgroup.map { .text($0) })
        add(46, "tcp_skip_in_flight", .flag(tcpSkipsInFlight))
        add(48, "lazy_pages", .flag(lazyPages))
        add(50, "orphan_pts_master", .flag(true))
        add(51, "config_file", configFile.map { .text($0) })
        add(52, "tcp_close", .flag(tcpClose))
        add(53, "lsm_profile", lsmProfile.map { .text($0) })
        add(63, "lsm_mount_context", lsmMountContext.map { .text($0) })
        add(64, "network_lock", (networkLock?.number).map { .integer($0) })
        return list
    }

    fileprivate var message: ProtobufWriter { CriuField.message(fields) }
}

/// A field of a message to CRIU, which can be sent and printed.
struct CriuField {
    /// The value of the field.
    enum Value {
        case flag(Bool)
        case integer(Int)
        /// The number of a descriptor; -1 if it is not open yet.
        case descriptor(Int)
        case text(String)
        case message([CriuField])

        /// A message with two texts, of which the first may be missing.
        fileprivate static func pair(
            _ firstName: String, _ first: String?, _ secondName: String, _ second: String
        ) -> Value {
            let head = first.map { CriuField(number: 1, name: firstName, value: .text($0)) }
            let tail = CriuField(number: 2, name: secondName, value: .text(second))
            return .message([head, tail].compactMap(\.self))
        }

        /// The value as text for people.
        var words: String {
            switch self {
            case .flag(let value): value ? "true" : "false"
            case .integer(let value): "\(value)"
            case .descriptor(let number): number < 0 ? "a descriptor" : "\(number)"
            case .text(let text): text.debugDescription
            case .message(let fields):
                fields.map { "\($0.name) \($0.value.words)" }.joined(separator: ", ")
            }
        }
    }

    let number: UInt64
    /// The name in CRIU's `rpc.proto`.
    let name: String
    let value: Value

    fileprivate static func message(_ fields: [CriuField]) -> ProtobufWriter {
        var message = ProtobufWriter()
        for field in fields {
            switch field.value {
            case .flag(let value): message.add(field.number, value)
            case .integer(let value), .descriptor(let value):
                message.add(field.number, integer: value)
            case .text(let text): message.add(field.number, text)
            case .message(let inner): message.add(field.number, Self.message(inner))
            }
        }
        return message
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

/// A message from CRIU, `criu_resp`: the answer to a request, or a notification of what it is about
/// to do.
struct CriuResponse: Equatable {
    /// The kind; nil if it is unknown.
    let kind: CriuRequestKind?
    let isSuccess: Bool
    /// For a notification, the name of the moment, such as `post-restore`.
    let script: String?
    /// The pid of the first process, as the caller sees it.
    let pid: Int32?
    let errno: Int
    /// CRIU's own description of the error.
    let message: String?
    let version: CriuVersion?
    let features: CriuFeatures?

    /// Decodes a message; nil if it is not a message of CRIU.
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

/// A version of CRIU.
struct CriuVersion: Comparable, CustomStringConvertible {
    let major: Int
    let minor: Int

    /// The oldest usable version: with external pid namespaces, changed labels, and the first error
    /// message in its answer.
    static let needed = CriuVersion(major: 3, minor: 16)
    /// The oldest version with a choice of the network lock.
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
#endif
