// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import RuntimeSpec

/// The transient unit of one container.
///
/// Its name follows from `linux.cgroupsPath`; the state file records it.
struct SystemdScope: Equatable, Sendable {
    /// The name, such as `docker-0123.scope`.
    var unit: String
    /// The slice that it is in, such as `machine.slice`.
    var slice: String
    /// The systemd that manages it.
    var instance: SystemdInstance
    /// The version of that systemd, which decides on the properties to use.
    var version: Int
    /// The container's cgroup below the unit's, as `/a`; usually empty.
    var subgroup = ""
    /// Whether a process stays in the scope until the container is deleted, in the cgroup
    /// `keeperSubgroup`.
    var keepsAccounting = false
    /// The cgroup, below the unit's, of the process that stays.
    static let keeperSubgroup = "/swrunc-keeper"

    /// Parses `slice:prefix:name`; without a path the unit is `runc-ID.scope` in the default slice,
    /// where users of runc look for it.
    ///
    /// Spec: config-linux.md, Cgroups Path, leaves the form to the driver.
    init(cgroupsPath: String?, id: String, host: SystemdHost) throws(SpecError) {
        instance = host.instance
        version = host.version
        let usual = host.instance == .user ? "user.slice" : "system.slice"
        guard let path = cgroupsPath, !path.isEmpty else {
            slice = usual
            unit = try Self.unit(prefix: "runc", name: id, in: id)
            return
        }
        let parts = path.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3 else {
            throw Self.error(
                "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, "
                    + "got \"\(path)\" instead")
        }
        slice = parts[0].isEmpty ? usual : parts[0]
        unit = try Self.unit(prefix: parts[1], name: parts[2], in: path)
        _ = try Self.expanded(slice)
    }

    init(unit: String, slice: String, instance: SystemdInstance, version: Int) {
        self.unit = unit
        self.slice = slice
        self.instance = instance
        self.version = version
    }

    private static func unit(prefix: String, name: String, in path: String) throws(SpecError)
        -> String
    {
        guard !name.ends(with: ".slice") else {
            throw error("\"\(path)\" names a slice, in which systemd lets no process be")
        }
        let unit = "\(prefix)-\(name).scope"
        guard !name.isEmpty, unit.utf8.count < 256, unit.utf8.allSatisfy(isUnitCharacter) else {
            throw error("\"\(unit)\" is not the name of a systemd unit")
        }
        return unit
    }

    /// Keeps the scope until the container is deleted.
    ///
    /// The container gets a cgroup below it, beside that of the process that stays.
    mutating func keepAccounting(_ host: CgroupHierarchies) throws(SpecError) {
        guard host.mode == .unified else {
            throw Self.error("accounting after a container's end needs cgroup v2 alone")
        }
        keepsAccounting = true
        subgroup = "/container"
    }

    /// Letters, digits and `:-_.\@`; the `+` of a container's ID is not allowed.
    ///
    /// Source: systemd.unit(5).
    private static func isUnitCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ":"), UInt8(ascii: "-"),
            UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "\\"), UInt8(ascii: "@"):
            true
        default: false
        }
    }

    /// The path of a slice's cgroup: `a-b.slice` is in `a.slice`, `-.slice` is the root.
    static func expanded(_ slice: String) throws(SpecError) -> String {
        if slice == "-.slice" { return "" }
        let name = slice.dropLast(".slice".count)
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard slice.ends(with: ".slice"), slice.utf8.count < 256,
            parts.allSatisfy({ !$0.isEmpty }), name.utf8.allSatisfy(isUnitCharacter)
        else {
            throw error("invalid slice name: \"\(slice)\"")
        }
        var path = ""
        var prefix = ""
        for part in parts {
            path += "/\(prefix)\(part).slice"
            prefix += "\(part)-"
        }
        return path
    }

    private static func error(_ message: String) -> SpecError {
        SpecError("linux.cgroupsPath", message, section: "config-linux.md, Cgroups Path")
    }
}

extension SystemdScope {
    /// The part of the state file for the scope.
    var record: JSONValue {
        var object: JSONObject = [
            "unit": .string(unit), "slice": .string(slice),
            "instance": .string(instance.rawValue), "version": .integer(Int64(version)),
        ]
        if !subgroup.isEmpty { object.append("subgroup", .string(subgroup)) }
        if keepsAccounting { object.append("keepsAccounting", .bool(true)) }
        return .object(object)
    }

    /// Decodes a record; nil if it is none.
    init?(record: JSONValue) {
        guard case .object(let object) = record, case .string(let unit)? = object["unit"],
            case .string(let slice)? = object["slice"],
            case .string(let name)? = object["instance"],
            let instance = SystemdInstance(rawValue: name),
            case .integer(let version)? = object["version"]
        else { return nil }
        self.init(
            unit: unit, slice: slice, instance: instance, version: Int(version))
        if case .string(let path)? = object["subgroup"] { subgroup = path }
        if case .bool(true)? = object["keepsAccounting"] { keepsAccounting = true }
    }
}

extension CgroupLayout {
    /// The layout of a container where systemd places its unit, in every hierarchy.
    init(scope: SystemdScope, host: SystemdHost, in hierarchies: CgroupHierarchies)
        throws(SpecError)
    {
        guard host.instance == .system || hierarchies.mode == .unified else {
            throw SpecError(
                "linux.cgroupsPath", "the systemd of a user keeps cgroups of cgroup v2 only")
        }
        let cgroup =
            try host.controlGroup + SystemdScope.expanded(scope.slice)
            + "/\(scope.unit)\(scope.subgroup)"
        self.init(
            mode: hierarchies.mode,
            directories: hierarchies.hierarchies.map {
                CgroupDirectory(
                    controllers: $0.controllers, mountPoint: $0.mountPoint, cgroup: cgroup)
            }, unifiedControllers: hierarchies.unifiedControllers)
        self.scope = scope
    }
}
#endif
