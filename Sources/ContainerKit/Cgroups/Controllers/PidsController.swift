// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec

/// `linux.resources.pids`: the number of tasks.
///
/// The file is the same on v1 and v2. Spec: config-linux.md, PIDs. Kernel:
/// admin-guide/cgroup-v2.rst, PID.
enum PidsController {
    static func plan(_ pids: PidsResources, into writes: inout ControlWrites) throws(SpecError) {
        guard let limit = pids.limit else { return }
        // 0 allows no further tasks; 1 has the same effect, and systemd accepts it too.
        let text = limit < 0 ? "max" : "\(max(limit, 1))"
        // A missing controller limits nothing, as requested.
        if limit < 0, writes.layout.index(of: "pids") == nil { return }
        try writes.write("pids", "pids.max", text, from: "pids.limit")
    }
}

extension PidsController {
    /// Reads the number of tasks and its limit.
    static func read(_ files: ControlFiles, into statistics: inout Statistics)
        throws(CgroupError)
    {
        statistics.pids.current = try files.number("pids", "pids.current") ?? 0
        let limit = try files.number("pids", "pids.max") ?? 0
        statistics.pids.limit = limit == .max ? 0 : limit
    }
}
#endif
