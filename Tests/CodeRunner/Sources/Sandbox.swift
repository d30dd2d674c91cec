// SPDX-License-Identifier: Apache-2.0

internal import ContainerKitCodable
internal import FoundationEssentials
internal import SystemPackage

/// The config of a program: no network, a root that nobody can write to, few system calls, a user
/// without rights.
func sandbox(_ words: [String], _ limits: Limits) throws(SpecErrors) -> Spec {
    var spec = try Spec.sandbox(
        words, memory: limits.memory, pids: limits.processes, cpus: limits.cpus,
        user: User(uid: 65534, gid: 65534))
    spec.process?.cwd = "/tmp"
    spec.process?.env?.append("HOME=/tmp")
    // The service's own limit of descriptors is higher, and its core files belong to nobody.
    spec.process?.rlimits = [
        Rlimit(type: "RLIMIT_NOFILE", hard: 1024, soft: 1024),
        Rlimit(type: "RLIMIT_CORE", hard: 0, soft: 0),
    ]
    // Its files are in memory, and are counted there.
    spec.mounts?.append(
        Mount(
            destination: "/tmp", type: "tmpfs", source: "tmp",
            options: ["nosuid", "nodev", "mode=1777", "size=16m"]))
    return spec
}

/// The config.json of a shell program.
func configText(_ program: String, _ options: Options) throws -> String {
    var spec = try sandbox(["sh", "-c", program], options.limits)
    spec.root = Root(path: options.rootfs.string, readonly: true)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(spec), as: UTF8.self)
}
