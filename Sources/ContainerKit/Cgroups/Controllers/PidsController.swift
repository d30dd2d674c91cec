// SPDX-License-Identifier: Apache-2.0

internal import RuntimeSpec

/// `linux.resources.pids`: how many tasks there may be.
///
/// The same file on v1 and v2.
/// Spec: config-linux.md, PIDs. Kernel: admin-guide/cgroup-v2.rst, PID.
enum PidsController {
    static func plan(_ pids: PidsResources, into writes: inout ControlWrites) throws(SpecError) {
        guard let limit = pids.limit else { return }
        // 0 is a limit of nothing; 1 means the same and is what systemd also takes.
        let text = limit < 0 ? "max" : "\(max(limit, 1))"
        // An absent controller limits nothing, which is what is asked for.
        if limit < 0, writes.layout.index(of: "pids") == nil { return }
        try writes.write("pids", "pids.max", text, from: "pids.limit")
    }
}

extension PidsController {
    /// Reads how many tasks there are and may be.
    static func read(_ files: ControlFiles, into statistics: inout Statistics)
        throws(CgroupError)
    {
        statistics.pids.current = try files.number("pids", "pids.current") ?? 0
        let limit = try files.number("pids", "pids.max") ?? 0
        statistics.pids.limit = limit == .max ? 0 : limit
    }
}
