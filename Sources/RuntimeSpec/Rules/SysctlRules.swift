// SPDX-License-Identifier: Apache-2.0

internal import ByteText

/// The rules of kernel parameters.
let sysctlRules: [Rule<Spec>] = [
    checkSysctl
]

extension Linux {
    /// The file of a kernel parameter, as a path below `/proc/sys`.
    ///
    /// The first `.` or `/` of the name is its separator; the other character then stands for a dot
    /// within a part. So `net.ipv4.conf.eno2/100.rp_filter` and `net/ipv4/conf/eno2.100/rp_filter`
    /// are both `net/ipv4/conf/eno2.100/rp_filter`. Nil if a part is empty, `.` or `..`, so that a
    /// path never leaves `/proc/sys`. Source: sysctl(8).
    public static func sysctlPath(_ name: String) -> String? {
        // Bytes, since Swift joins a combining mark with the separator before it.
        let (dot, slash) = (UInt8(ascii: "."), UInt8(ascii: "/"))
        let usesSlashes = name.utf8.first { $0 == dot || $0 == slash } == slash
        let path = name.utf8.map { byte in
            usesSlashes || byte != dot && byte != slash ? byte : byte == dot ? slash : dot
        }
        let parts = path.split(separator: slash, omittingEmptySubsequences: false)
        let isInside = parts.allSatisfy { !$0.isEmpty && $0 != [dot] && $0 != [dot, dot] }
        return isInside ? String(decoding: path, as: UTF8.self) : nil
    }
}

/// Kernel parameters belong to a namespace that the container has.
///
/// Whether a joined network namespace is the host's own is checked when planning. Spec:
/// config-linux.md, Sysctl. Kernel: namespaces(7).
func checkSysctl(_ spec: Spec, _ found: inout [SpecError]) {
    guard let linux = spec.linux else { return }
    for name in (linux.sysctl ?? [:]).keys.sorted() {
        guard let message = sysctlViolation(name, linux) else { continue }
        let path = JSONPath("linux.sysctl").appending(key: name)
        found.append(SpecError(path, message, section: "config-linux.md, Sysctl"))
    }
}

/// The System V IPC parameters that each ipc namespace has for itself.
private let ipcSysctlPaths: Set = [
    "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall",
    "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced",
]

private func sysctlViolation(_ name: String, _ linux: Linux) -> String? {
    guard let path = Linux.sysctlPath(name) else {
        return "\(quoted(name)) is not a name of a kernel parameter"
    }
    if ipcSysctlPaths.contains(path) || path.begins(with: "fs/mqueue/") {
        guard linux.namespace(.ipc) == nil else { return nil }
        return "sysctl \(quoted(name)) is not allowed in the host's ipc namespace"
    }
    if path.begins(with: "net/") {
        guard linux.namespace(.network) == nil else { return nil }
        return "sysctl \(quoted(name)) is not allowed in the host's network namespace"
    }
    if path.begins(with: "user/") {
        guard linux.namespace(.user) == nil else { return nil }
        return "sysctl \(quoted(name)) is not allowed in the host's user namespace"
    }
    if linux.namespace(.uts) != nil {
        if path == "kernel/domainname" { return nil }
        if path == "kernel/hostname" {
            return "sysctl \(quoted(name)) conflicts with the field hostname"
        }
    }
    return "sysctl \(quoted(name)) is not in a separate kernel namespace"
}
