// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import SystemPackage

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

extension Command {
    private static let bundle = Flag(
        "bundle", "b", .text, "directory to write config.json to",
        standard: "the working directory")
    private static let rootless = Flag(
        "rootless", nil, .toggle, "write one for the calling user, who need not be root")

    static var spec: Command {
        Command(
            name: "spec", summary: "write a config.json to start from", operandCount: 0...0,
            details: """
                The container it describes runs sh on a terminal, in a file system in "rootfs"
                that it cannot write to.
                """,
            flags: [bundle, rootless],
            perform: { invocation throws(ContainerError) in
                let directory = try absolutePath(invocation.arguments.text(bundle) ?? ".")
                var spec =
                    invocation.arguments.has(rootless)
                    ? Spec.rootlessTemplate(userID: geteuid(), groupID: getegid()) : .template
                // As in runc: on cgroup v1 the container sees the cgroups of the host.
                if access("/sys/fs/cgroup/cgroup.controllers", F_OK) != 0 {
                    spec.linux?.namespaces?.removeAll { $0.kind == .cgroup }
                }
                try write(spec, to: directory.appending("config.json"))
                return 0
            })
    }

    private static func write(_ spec: Spec, to path: FilePath) throws(ContainerError) {
        let bytes = spec.encoded.encoded(pretty: true) + [UInt8(ascii: "\n")]
        do {
            try writeNewFile(path, bytes)
        } catch .fileExists {
            throw ContainerError(
                .alreadyExists, "File config.json exists. Remove it first", hint: "\(path)")
        } catch {
            throw .file("cannot write config.json", call: "open", path.string, error)
        }
    }
}
