// SPDX-License-Identifier: Apache-2.0

internal import ByteText

/// The rules for the other fields of `linux`.
let linuxRules: [Rule<Spec>] = [
    checkMaskedPaths, checkCgroupsPath, checkDeviceNodes, checkNetDevices, checkPersonality,
    checkIntelRdt, checkMemoryPolicy,
]

/// Masked and read-only paths are absolute, not too long for the kernel, and need a mount
/// namespace; an empty path counts as none.
///
/// Spec: config-linux.md, Masked Paths; Readonly Paths.
func checkMaskedPaths(_ spec: Spec, _ found: inout [SpecError]) {
    guard let linux = spec.linux else { return }
    checkMaskedPaths(
        linux.maskedPaths, of: linux, at: "linux.maskedPaths", "config-linux.md, Masked Paths",
        &found)
    checkMaskedPaths(
        linux.readonlyPaths, of: linux, at: "linux.readonlyPaths",
        "config-linux.md, Readonly Paths", &found)
}

private func checkMaskedPaths(
    _ paths: [String]?, of linux: Linux, at path: JSONPath, _ section: String,
    _ found: inout [SpecError]
) {
    guard let paths, !paths.isEmpty else { return }
    for (index, hidden) in paths.enumerated() {
        checkLength(hidden, path.appending(index: index), section, &found)
        if hidden.isEmpty || hidden.isAbsolutePath { continue }
        let message = "\(quoted(hidden)) is not an absolute path"
        found.append(SpecError(path.appending(index: index), message, section: section))
    }
    if linux.namespace(.mount) == nil {
        let message = "needs a mount namespace in linux.namespaces"
        found.append(SpecError(path, message, section: section))
    }
}

/// The cgroup path has no `..` component.
///
/// Spec: config-linux.md, Cgroups Path.
func checkCgroupsPath(_ spec: Spec, _ found: inout [SpecError]) {
    guard let path = spec.linux?.cgroupsPath, path.parts(between: "/").contains("..") else {
        return
    }
    found.append(
        SpecError(
            "linux.cgroupsPath", "\(quoted(path)) contains \"..\"",
            section: "config-linux.md, Cgroups Path"))
}

/// Device nodes have an absolute path, and permission bits and numbers in Linux's range.
///
/// Spec: config-linux.md, Devices. Kernel: mknod(2).
func checkDeviceNodes(_ spec: Spec, _ found: inout [SpecError]) {
    let section = "config-linux.md, Devices"
    for (index, device) in (spec.linux?.devices ?? []).enumerated() {
        let path: JSONPath = "linux.devices[\(index)]"
        checkLength(device.path, path.appending(key: "path"), section, &found)
        if !device.path.isAbsolutePath {
            let message = "\(quoted(device.path)) is not an absolute path"
            found.append(SpecError(path.appending(key: "path"), message, section: section))
        }
        // The file type bits, which some engines set too, are ignored.
        if let mode = device.fileMode, mode > 0o177777 {
            let message = "\(mode) is out of range (0...65535)"
            found.append(SpecError(path.appending(key: "fileMode"), message, section: section))
        }
        guard device.kind != .fifo else { continue }
        if !(0...0xFFF).contains(device.major) {
            let message = "\(device.major) is out of range (0...4095)"
            found.append(SpecError(path.appending(key: "major"), message, section: section))
        }
        if !(0...0xFFFFF).contains(device.minor) {
            let message = "\(device.minor) is out of range (0...1048575)"
            found.append(SpecError(path.appending(key: "minor"), message, section: section))
        }
    }
}

/// Network devices have valid names that differ in the container, and need a network namespace.
///
/// Spec: config-linux.md, Network Devices.
func checkNetDevices(_ spec: Spec, _ found: inout [SpecError]) {
    guard let linux = spec.linux, let devices = linux.netDevices, !devices.isEmpty else { return }
    let section = "config-linux.md, Network Devices"
    if linux.namespace(.network) == nil {
        let message = "unable to move network devices without a NET namespace"
        found.append(SpecError("linux.netDevices", message, section: section))
    }
    var seen: Set<String> = []
    for (hostName, device) in devices.sorted(by: { $0.key < $1.key }) {
        let path = JSONPath("linux.netDevices").appending(key: hostName)
        let name = device.name.flatMap { $0.isEmpty ? nil : $0 } ?? hostName
        if !isInterfaceName(hostName) {
            let message = "\(quoted(hostName)) is not a name of a network device"
            found.append(SpecError(path, message, section: section))
        }
        if let name = device.name, !name.isEmpty, !isInterfaceName(name) {
            let message = "\(quoted(name)) is not a name of a network device"
            found.append(SpecError(path.appending(key: "name"), message, section: section))
        }
        if !seen.insert(name).inserted {
            let message = "\(quoted(name)) is the name of two devices in the container"
            found.append(SpecError(path, message, section: section))
        }
    }
}

/// The kernel's `dev_valid_name`: 1 to 15 bytes without `/`, `:` and white space.
///
/// `%` is refused too, because the kernel would replace it by a number of its choice.
private func isInterfaceName(_ name: String) -> Bool {
    guard (1...15).contains(name.utf8.count), name != ".", name != ".." else { return false }
    return name.utf8.allSatisfy { byte in
        switch byte {
        case 0x09...0x0D, 0x20, 0xA0, UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: "%"): false
        default: true
        }
    }
}

/// A personality has no flags, since the specification defines none.
///
/// Spec: config-linux.md, Personality.
func checkPersonality(_ spec: Spec, _ found: inout [SpecError]) {
    guard spec.linux?.personality?.flags?.isEmpty == false else { return }
    found.append(
        SpecError(
            "linux.personality.flags", "must be empty, no flags are defined",
            section: "config-linux.md, Personality"))
}

/// A class of service is a directory name, or `/` for the default class; each line of its schemata
/// is a single line.
///
/// Spec: config-linux.md, IntelRdt.
func checkIntelRdt(_ spec: Spec, _ found: inout [SpecError]) {
    guard let rdt = spec.linux?.intelRdt else { return }
    let section = "config-linux.md, IntelRdt"
    if let name = rdt.closID, name == "." || name == ".." || (name != "/" && name.hasByte("/")) {
        let message = "\(quoted(name)) is not a name of a directory"
        found.append(SpecError("linux.intelRdt.closID", message, section: section))
    }
    if let line = rdt.memBwSchema, !line.begins(with: "MB:") || line.hasByte("\n") {
        let message = "\(quoted(line)) is not one line that begins with MB:"
        found.append(SpecError("linux.intelRdt.memBwSchema", message, section: section))
    }
    for (index, line) in (rdt.schemata ?? []).enumerated() where line.hasByte("\n") {
        let path: JSONPath = "linux.intelRdt.schemata[\(index)]"
        found.append(SpecError(path, "must not contain a line break", section: section))
    }
}

/// A memory policy lists nodes if its mode needs them.
///
/// Kernel: set_mempolicy(2).
func checkMemoryPolicy(_ spec: Spec, _ found: inout [SpecError]) {
    guard let policy = spec.linux?.memoryPolicy else { return }
    let section = "config-linux.md, Memory policy"
    let nodes: JSONPath = "linux.memoryPolicy.nodes"
    let mode = policy.mode.rawValue
    switch policy.mode {
    case .systemDefault, .local:
        if !policy.nodes.isEmpty {
            let message = "must be empty for \(mode)"
            found.append(SpecError(nodes, message, section: section))
        }
    case .bind, .interleave, .weightedInterleave, .preferredMany:
        if policy.nodes.isEmpty {
            let message = "must not be empty for \(mode)"
            found.append(SpecError(nodes, message, section: section))
        }
    case .preferred: break
    }
    if !policy.nodes.isEmpty, !isNumberList(policy.nodes) {
        let message = "\(quoted(policy.nodes)) is not a list of nodes such as 0-3,7"
        found.append(SpecError(nodes, message, section: section))
    }
    let flags = policy.flags ?? []
    if flags.contains(.staticNodes), flags.contains(.relativeNodes) {
        let message = "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other"
        found.append(SpecError("linux.memoryPolicy.flags", message, section: section))
    }
}
