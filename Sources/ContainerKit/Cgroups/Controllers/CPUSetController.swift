// SPDX-License-Identifier: Apache-2.0

internal import RuntimeSpec

/// `linux.resources.cpu.cpus` and `.mems`: lists such as `0-3,8`.
///
/// The same files on v1 and v2.
/// On v1 a new cgroup has neither and takes no process; `Cgroup` copies the parent's values into each
/// directory it makes, before these writes.
/// Spec: config-linux.md, CPU. Kernel: admin-guide/cgroup-v1/cpusets.rst, cgroup-v2.rst, Cpuset.
enum CPUSetController {
    static let files = ["cpuset.cpus", "cpuset.mems"]

    static func plan(_ cpu: CPUResources, into writes: inout ControlWrites) throws(SpecError) {
        let lists = [("cpu.cpus", "cpuset.cpus", cpu.cpus), ("cpu.mems", "cpuset.mems", cpu.mems)]
        for case (let field, let file, let list?) in lists where !list.isEmpty {
            guard isList(list) else {
                throw writes.error(
                    field, "\"\(list)\" is not a list of numbers and ranges, such as \"0-3,8\"",
                    section: "config-linux.md, CPU")
            }
            try writes.write("cpuset", file, list, from: field)
        }
    }

    /// Whether the text has the form of the kernel's bitmap lists; their numbers it checks itself.
    private static func isList(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: ","),
                UInt8(ascii: ":"), UInt8(ascii: "/"), UInt8(ascii: " "):
                true
            default: false
            }
        }
    }
}
