// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

/// Reports when a cgroup has run out of memory.
///
/// Kernel: admin-guide/cgroup-v1/memory.rst, OOM Control (by an eventfd); cgroup-v2.rst,
/// memory.events (by inotify).
struct OutOfMemoryWatch: ~Copyable {
    private let cgroup: Cgroup
    /// The directory of the memory controller.
    private let directory: String
    private let events: OwnedDescriptor
    /// v1 only: the file of the events; events come as long as it is open.
    private let control: OwnedDescriptor?
    private var seenKills: UInt64

    /// Becomes readable when `hasNews` may return true.
    var descriptor: CInt { events.number }

    private init(
        _ cgroup: Cgroup, at directory: String, _ events: consuming OwnedDescriptor,
        _ control: consuming OwnedDescriptor? = nil
    ) {
        self.cgroup = cgroup
        self.directory = directory
        self.events = events
        self.control = control
        seenKills = cgroup.oomKillCount
    }

    /// Starts to watch; nil without a memory controller.
    static func start(of cgroup: Cgroup) throws(CgroupError) -> OutOfMemoryWatch? {
        guard let index = cgroup.layout.index(of: "memory") else { return nil }
        let path = cgroup.layout.directories[index].path
        do throws(SystemCallError) {
            return cgroup.layout.isUnified
                ? try startUnified(cgroup, path) : try startLegacy(cgroup, path)
        } catch {
            throw CgroupError(
                failure: cgroup.layout.named(error),
                message: "unable to watch the container's memory")
        }
    }

    private static func startUnified(_ cgroup: Cgroup, _ path: String) throws(SystemCallError)
        -> OutOfMemoryWatch
    {
        let changes = try makeChangeQueue()
        try watchModifications(of: "\(path)/memory.events", in: changes.number)
        // This file changes when the last process ends.
        try watchModifications(of: "\(path)/cgroup.events", in: changes.number)
        return OutOfMemoryWatch(cgroup, at: path, changes)
    }

    private static func startLegacy(_ cgroup: Cgroup, _ path: String) throws(SystemCallError)
        -> OutOfMemoryWatch
    {
        let counter = try makeEventCounter()
        let file = try openFile("\(path)/memory.oom_control", .readOnly)
        try writeControlFile(
            "\(path)/cgroup.event_control", "\(counter.number) \(file.number)")
        return OutOfMemoryWatch(cgroup, at: path, counter, file)
    }

    private var isGone: Bool {
        do throws(SystemCallError) {
            // A removed directory that is held open can still be examined.
            _ = try status(at: "\(directory)/memory.oom_control")
            return false
        } catch {
            return error.errno == .noSuchFileOrDirectory
        }
    }

    /// Whether memory ran out since the last call.
    ///
    /// On v1, removing the cgroup also raises the counter, which does not count. On v2, another
    /// line of the file may have changed.
    mutating func hasNews() -> Bool {
        let isReady = drain(events.number)
        if !cgroup.layout.isUnified { return isReady && !isGone }
        let kills = cgroup.oomKillCount
        defer { seenKills = max(kills, seenKills) }
        return kills > seenKills
    }
}
#endif
