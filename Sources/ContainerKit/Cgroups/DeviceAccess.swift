// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

/// The operations on a device that a rule allows or denies.
struct DeviceOperations: OptionSet, Hashable, Sendable {
    let rawValue: UInt32
    // The bits of `bpf_cgroup_dev_ctx.access_type` (BPF_DEVCG_ACC_*).
    static let makeNode = DeviceOperations(rawValue: 1)
    static let read = DeviceOperations(rawValue: 2)
    static let write = DeviceOperations(rawValue: 4)
    static let all: DeviceOperations = [.makeNode, .read, .write]

    /// The letters in the kernel's order: `rwm`.
    var letters: String {
        (contains(.read) ? "r" : "") + (contains(.write) ? "w" : "")
            + (contains(.makeNode) ? "m" : "")
    }
}

/// The devices that a rule applies to; nil means any number.
struct DeviceRange: Hashable, Sendable {
    /// The type of device; the raw values are BPF_DEVCG_DEV_*.
    enum Kind: UInt32, Sendable {
        case block = 1
        case character = 2
    }

    var kind: Kind
    var major: UInt32?
    var minor: UInt32?

    /// The wider ranges that contain all of these devices.
    var wider: [DeviceRange] {
        [
            DeviceRange(kind: kind, major: major), DeviceRange(kind: kind, minor: minor),
            DeviceRange(kind: kind),
        ].filter { $0 != self }
    }
}

/// An exception from the default: devices and operations.
struct DeviceException: Equatable, Sendable {
    var devices: DeviceRange
    var access: DeviceOperations

    init(_ kind: DeviceRange.Kind, _ major: UInt32?, _ minor: UInt32?, _ access: DeviceOperations) {
        devices = DeviceRange(kind: kind, major: major, minor: minor)
        self.access = access
    }

    func with(access: DeviceOperations) -> DeviceException {
        var copy = self
        copy.access = access
        return copy
    }

    /// The exception as a line for the v1 files: `c 1:3 rwm`.
    var line: String {
        let kind = devices.kind == .block ? "b" : "c"
        let major = devices.major.map { "\(Int($0))" } ?? "*"
        let minor = devices.minor.map { "\(Int($0))" } ?? "*"
        return "\(kind) \(major):\(minor) \(access.letters)"
    }
}

/// The access to devices: a default and the exceptions from it.
///
/// This is what the kernel's v1 controller makes of a list of rules; the v2 program does the same.
struct DeviceAccess: Equatable, Sendable {
    /// Whether a device without an exception is allowed.
    var allowsByDefault = false
    /// The exceptions, one per range, in the order of the rules.
    var exceptions: [DeviceException] = []

    /// Combines rules, starting from no access; then allows the standard devices.
    ///
    /// A rule cannot deny a part of a wider exception. Such a rule is an error, since it would have
    /// no effect. Spec: config-linux.md, Allowed Device list and Default Devices.
    init(rules: [DeviceCgroupRule]) throws(SpecError) {
        var fold = DeviceFold()
        for (index, rule) in rules.enumerated() {
            let path = JSONPath("linux.resources.devices").appending(index: index)
            let access = try Self.operations(rule, at: path)
            let kind: DeviceRange.Kind
            switch rule.kind ?? .all {
            case .all:
                fold = DeviceFold(allowsByDefault: rule.allow)
                continue
            case .character: kind = .character
            case .block: kind = .block
            }
            let exception = DeviceException(
                kind, try Self.number(rule.major, "major", at: path),
                try Self.number(rule.minor, "minor", at: path), access)
            try fold.apply(exception, allow: rule.allow, at: path)
        }
        for device in Self.standardDevices {
            try fold.apply(device, allow: true, at: "linux.resources.devices")
        }
        allowsByDefault = fold.allowsByDefault
        exceptions = fold.exceptions.filter { !$0.access.isEmpty }
    }

    /// An access without exceptions.
    init(allowsByDefault: Bool) { self.allowsByDefault = allowsByDefault }

    private static func operations(_ rule: DeviceCgroupRule, at path: JSONPath)
        throws(SpecError) -> DeviceOperations
    {
        guard let text = rule.access, !text.isEmpty else { return .all }
        var operations: DeviceOperations = []
        for letter in text.utf8 {
            switch letter {
            case UInt8(ascii: "r"): operations.insert(.read)
            case UInt8(ascii: "w"): operations.insert(.write)
            case UInt8(ascii: "m"): operations.insert(.makeNode)
            default: continue
            }
        }
        guard !operations.isEmpty else {
            throw SpecError(
                path.appending(key: "access"), "\"\(text)\" is not made of r, w and m",
                section: "config-linux.md, Allowed Device list")
        }
        return operations
    }

    private static func number(_ value: Int64?, _ name: String, at path: JSONPath)
        throws(SpecError) -> UInt32?
    {
        guard let value, value != -1 else { return nil }
        guard let number = UInt32(exactly: value) else {
            throw SpecError(
                path.appending(key: name), "\(value) is not the \(name) number of a device",
                section: "config-linux.md, Allowed Device list")
        }
        return number
    }

    /// The access of every container, as runc's default: make any node; use null, zero, full,
    /// random, urandom, tty, ptmx and the pseudo-terminals.
    private static let standardDevices: [DeviceException] = [
        DeviceException(.character, nil, nil, .makeNode),
        DeviceException(.block, nil, nil, .makeNode),
        DeviceException(.character, 1, 3, .all),
        DeviceException(.character, 1, 8, .all),
        DeviceException(.character, 1, 7, .all),
        DeviceException(.character, 5, 0, .all),
        DeviceException(.character, 1, 5, .all),
        DeviceException(.character, 1, 9, .all),
        DeviceException(.character, 136, nil, .all),
        DeviceException(.character, 5, 2, .all),
    ]
}

/// Collects rules into an access.
private struct DeviceFold {
    var allowsByDefault = false
    /// One per range; an exception that later rules have used up is empty.
    var exceptions: [DeviceException] = []
    private var places = HashedPlaces()

    init(allowsByDefault: Bool = false) { self.allowsByDefault = allowsByDefault }

    mutating func apply(_ rule: DeviceException, allow: Bool, at path: JSONPath)
        throws(SpecError)
    {
        let present = place(rule.devices)
        if allow != allowsByDefault {
            if let present {
                exceptions[present].access.formUnion(rule.access)
            } else {
                places.append(Self.hash(rule.devices))
                exceptions.append(rule)
            }
            return
        }
        for range in rule.devices.wider {
            guard let wider = place(range).map({ exceptions[$0] }),
                !wider.access.isDisjoint(with: rule.access)
            else { continue }
            throw SpecError(
                path,
                "\"\(rule.line)\" cannot be taken out of the rule \"\(wider.line)\" before it",
                section: "config-linux.md, Allowed Device list")
        }
        if let present { exceptions[present].access.subtract(rule.access) }
    }

    private func place(_ devices: DeviceRange) -> Int? {
        places.place(Self.hash(devices)) { exceptions[$0].devices == devices }
    }

    private static func hash(_ devices: DeviceRange) -> UInt64 {
        let any: UInt64 = 1 << 32
        let numbers = (devices.major.map(UInt64.init) ?? any, devices.minor.map(UInt64.init) ?? any)
        var hash = numbers.0 &* 0x9e37_79b9_7f4a_7c15 ^ numbers.1
        hash = hash &* 0x9e37_79b9_7f4a_7c15 ^ UInt64(devices.kind.rawValue)
        return hash ^ hash >> 32
    }
}
#endif
