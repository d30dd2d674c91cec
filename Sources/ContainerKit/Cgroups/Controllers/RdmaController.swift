// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// `linux.resources.rdma`: the handles and objects of each RDMA device.
///
/// The file is the same on v1 and v2. Spec: config-linux.md, RDMA. Kernel:
/// admin-guide/cgroup-v1/rdma.rst, cgroup-v2.rst, RDMA.
enum RdmaController {
    static func plan(_ limits: [String: RdmaLimit], into writes: inout ControlWrites)
        throws(SpecError)
    {
        for (device, limit) in limits.sorted(by: { $0.key < $1.key }) {
            let field = JSONPath("rdma").appending(key: device).description
            guard !device.isEmpty, !device.utf8.contains(where: { $0 <= 0x20 }) else {
                throw writes.error(
                    field, "\"\(device)\" is not the name of a device",
                    section: "config-linux.md, RDMA")
            }
            var text = device
            if let handles = limit.hcaHandles { text += " hca_handle=\(handles)" }
            if let objects = limit.hcaObjects { text += " hca_object=\(objects)" }
            guard text != device else { continue }
            try writes.write("rdma", "rdma.max", text, from: field)
        }
    }
}

extension RdmaController {
    /// Reads the handles and objects in use: one line per device, `mlx4_0 hca_handle=2
    /// hca_object=2000`.
    static func read(_ files: ControlFiles, into statistics: inout Statistics)
        throws(CgroupError)
    {
        for words in try files.lines("rdma", "rdma.current") where !words.isEmpty {
            var device = Statistics.Rdma(device: words[0])
            for word in words.dropFirst() {
                let parts = word.split(separator: "=")
                guard parts.count == 2, let value = UInt64(parts[1]) else { continue }
                switch parts[0] {
                case "hca_handle": device.handles = value
                case "hca_object": device.objects = value
                default: break
                }
            }
            statistics.rdma.append(device)
        }
    }
}
#endif
