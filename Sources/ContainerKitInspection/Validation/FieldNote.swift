// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// A field that is deprecated, or that has no effect on a Linux container.
struct FieldNote: Sendable {
    let field: String
    let kind: ConfigReport.Finding.Kind
    let message: String
    let hint: String
    var section: String?
    /// Which values of the field it concerns.
    var concerns: @Sendable (JSONValue) -> Bool = { _ in true }

    static let all: [FieldNote] = platforms + deprecated + ignored

    private static let platforms = ["solaris", "windows", "vm", "zos", "freebsd"].map { name in
        FieldNote(
            field: name, kind: .ignored, message: "is for another platform, and has no effect",
            hint: "remove it, unless the config is for several platforms",
            section: "config.md, Platform-specific configuration")
    }

    private static let deprecated = [
        FieldNote(
            field: "hooks.prestart", kind: .deprecated, message: "is deprecated",
            hint: "use createRuntime, createContainer or startContainer",
            section: "config.md, Prestart",
            concerns: { $0 != .array([]) }),
        FieldNote(
            field: "linux.resources.memory.kernel", kind: .deprecated,
            message: "is not recommended: Linux has no such limit since 5.16 and in cgroup v2",
            hint: "remove it; memory.limit counts the kernel's memory too"),
        FieldNote(
            field: "linux.resources.memory.kernelTCP", kind: .deprecated,
            message: "is not recommended: cgroup v2 has no such limit",
            hint: "remove it; memory.limit counts the buffers too"),
        FieldNote(
            field: "linux.resources.memory.useHierarchy", kind: .deprecated,
            message: "has no effect since Linux 5.11 and in cgroup v2: children always count",
            hint: "remove it"),
    ]

    private static let ignored = [
        FieldNote(
            field: "process.commandLine", kind: .ignored,
            message: "is for Windows, and has no effect", hint: "use process.args"),
        FieldNote(
            field: "process.user.username", kind: .ignored,
            message: "is for Windows, and has no effect", hint: "use uid and gid"),
        FieldNote(
            field: "linux.intelRdt.enableCMT", kind: .ignored,
            message: "was removed from the specification in 1.3.0, and has no effect",
            hint: "use enableMonitoring"),
        FieldNote(
            field: "linux.intelRdt.enableMBM", kind: .ignored,
            message: "was removed from the specification in 1.3.0, and has no effect",
            hint: "use enableMonitoring"),
        FieldNote(
            field: "linux.resources.memory.checkBeforeUpdate", kind: .ignored,
            message: "has no effect on a new container", hint: "it is for update",
            concerns: { $0 == .bool(true) }),
        FieldNote(
            field: "linux.seccomp", kind: .ignored,
            message: "has neither a default action nor rules, and so is no filter",
            hint: "set defaultAction, or remove it",
            concerns: { value in
                func isBlank(_ value: JSONValue?, _ empty: JSONValue) -> Bool {
                    value == nil || value == .null || value == empty
                }
                guard case .object(let object) = value else { return false }
                return isBlank(object["defaultAction"], .string(""))
                    && isBlank(object["syscalls"], .array([]))
            }),
        FieldNote(
            field: "process", kind: .ignored,
            message: "has a consoleSize without terminal, which has no effect",
            hint: "set terminal to true, or remove consoleSize",
            concerns: { value in
                guard case .object(let object) = value else { return false }
                let size = object["consoleSize"] ?? .null
                return size != .null && object["terminal"] != .bool(true)
            }),
    ]
}
#endif
