// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import SystemPackage

/// The processes of a container, by its cgroup; or, where it has none of its own or init has left it, by
/// its init: those in the pid namespace that init has to itself, and the descendants of all of these.
///
/// Without a pid namespace of its own, a process that exec started, or whose parent has ended, is nobody's
/// child that could be known: it is missed.
struct ContainerProcesses {
    private let record: ContainerRecord
    private let cgroup: Cgroup

    init(_ record: ContainerRecord) {
        self.record = record
        cgroup = Cgroup(record.cgroups)
    }

    private var hasCgroup: Bool { !record.cgroups.directories.isEmpty }

    /// Their pids as the caller sees them, in no order.
    ///
    /// The kernel lists a process of another pid namespace than the caller's as 0; such are left out.
    func list() throws(ContainerError) -> [Int] {
        guard hasCgroup else {
            guard try record.isAlive() else { return [] }
            return try reporting { () throws(SystemCallError) in try related() }
        }
        let inside = try processesOfCgroup()
        return try inside + outsiders(inside)
    }

    /// Whether none is left.
    var isEmpty: Bool {
        get throws(ContainerError) { try list().isEmpty }
    }

    /// Sends a signal to each.
    func signal(_ signal: Signal) throws(ContainerError) {
        guard hasCgroup else {
            return try send(signal, to: list)
        }
        // Before init may end, which tells which they are.
        let outside = try outsiders(try processesOfCgroup())
        try reporting { () throws(CgroupError) in
            if signal == .kill {
                try cgroup.killAll()
            } else {
                try cgroup.signalAll(signal.rawValue)
            }
        }
        guard !outside.isEmpty else { return }
        try send(signal) { () throws(ContainerError) in
            try outsiders(try processesOfCgroup())
        }
    }

    /// Sends a signal to what `processes` lists; SIGKILL is repeated until none is left, since a process
    /// can fork between two looks.
    private func send(
        _ signal: Signal, to processes: () throws(ContainerError) -> [Int]
    ) throws(ContainerError) {
        for _ in 0..<(signal == .kill ? 100 : 1) {
            let found = try processes()
            if found.isEmpty { return }
            try reporting { () throws(SystemCallError) in
                try sendSignal(signal.rawValue, toEach: found)
            }
            if signal == .kill { wait(milliseconds: 1) }
        }
    }

    private func processesOfCgroup() throws(ContainerError) -> [Int] {
        try reporting { () throws(CgroupError) in try cgroup.processes().filter { $0 > 0 } }
    }

    /// The container's processes that are not `inside` the cgroup, where init has left that.
    ///
    /// Those of the cgroup alone are not all then.
    private func outsiders(_ inside: [Int]) throws(ContainerError) -> [Int] {
        guard record.pid > 0, !inside.contains(Int(record.pid)), try record.isAlive() else {
            return []
        }
        return try reporting { () throws(SystemCallError) in
            try related().filter { !inside.contains($0) }
        }
    }

    private func related() throws(SystemCallError) -> [Int] {
        var parents: [Int: Int] = [:]
        var members: Set<Int> = []
        let initProcess = Int(record.pid)
        let namespace = record.hasPidNamespace ? try Self.pidNamespace(of: initProcess) : nil
        for name in try directoryEntries("/proc") {
            guard let pid = Int(name), let stat = try stat(of: Int32(truncatingIfNeeded: pid)),
                !stat.hasEnded
            else { continue }
            parents[pid] = Int(stat.parent)
            if pid == initProcess { members.insert(pid) }
            if let namespace, try Self.pidNamespace(of: pid) == namespace { members.insert(pid) }
        }
        // Down the tree: each round finds one generation.
        while true {
            let found = parents.filter { members.contains($0.value) && !members.contains($0.key) }
            if found.isEmpty { return members.sorted() }
            members.formUnion(found.keys)
        }
    }

    /// Nil for a process that is gone, or that forbids the look: another user's.
    private static func pidNamespace(of pid: Int) throws(SystemCallError) -> UInt64? {
        do throws(SystemCallError) {
            return try status(at: "/proc/\(pid)/ns/pid").stx_ino
        } catch
            where [.noSuchFileOrDirectory, .noSuchProcess, .permissionDenied, .notPermitted]
            .contains(error.errno)
        {
            return nil
        }
    }
}
