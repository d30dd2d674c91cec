// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// `linux.resources.network`: the v1 controllers `net_cls` and `net_prio`; v2 has neither.
///
/// Spec: config-linux.md, Network. Kernel: admin-guide/cgroup-v1/net_cls.rst, net_prio.rst.
enum NetworkController {
    static func plan(_ network: NetworkResources, into writes: inout ControlWrites)
        throws(SpecError)
    {
        if let classID = network.classID, classID != 0 {
            try writes.write("net_cls", "net_cls.classid", "\(classID)", from: "network.classID")
        }
        for (index, priority) in (network.priorities ?? []).enumerated() {
            let field = "network.priorities[\(index)]"
            guard !priority.name.isEmpty, !priority.name.utf8.contains(where: { $0 <= 0x20 })
            else {
                throw writes.error(
                    "\(field).name", "\"\(priority.name)\" is not the name of an interface",
                    section: "config-linux.md, Network")
            }
            try writes.write(
                "net_prio", "net_prio.ifpriomap", "\(priority.name) \(priority.priority)",
                from: field)
        }
    }
}
#endif
