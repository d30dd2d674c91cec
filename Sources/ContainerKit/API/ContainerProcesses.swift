// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import SystemPackage

/// All processes of a container, found by its cgroup.
///
/// If it has no cgroup of its own, or init has left it, they are found by init: the processes in
/// init's own pid namespace, and all their descendants. Without such a namespace, a process of
/// `exec` or one whose parent has ended cannot be found by init, and is missed.
struct ContainerProcesses {
    private let record: ContainerRecord
    private let cgroup: Cgroup

    init(_ record: ContainerRecord) throws(ContainerError) {
        self.record = record
        cgroup = try record.openCgroup()
    }

    private var hasCgroup: Bool { !record.cgroups.directories.isEmpty }

    /// The pids as the caller sees them, unordered.
    ///
    /// The kernel lists processes outside the caller's pid namespace as 0; these are left out.
    func list() throws(ContainerError) -> [Int] {
        guard hasCgroup else {
            guard try record.isAlive() else { return [] }
            return try reporting { () throws(SystemCallError) in try related() }
        }
        let inside = try processesOfCgroup()
        return try inside + outsiders(inside)
    }

    /// Whether there are no processes.
    var isEmpty: Bool {
        get throws(ContainerError) { try list().isEmpty }
    }

    /// Sends a signal to each process.
    func signal(_ signal: Signal) throws(ContainerError) {
        guard hasCgroup else {
            return try send(signal, to: list)
        }
        // List these first: init may end by the signal, and without it they cannot be found.
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

    /// Sends a signal to the processes listed by `processes`; repeats SIGKILL until none is left,
    /// since a process can fork between two listings.
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

    /// The container's processes outside its cgroup; empty unless init has left the cgroup.
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
        // Each round adds one more generation of descendants.
        while true {
            let found = parents.filter { members.contains($0.value) && !members.contains($0.key) }
            if found.isEmpty { return members.sorted() }
            members.formUnion(found.keys)
        }
    }

    /// The inode of a process's pid namespace; nil if it is gone or may not be inspected.
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
#endif
