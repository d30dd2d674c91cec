// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
package import RuntimeSpec
internal import SystemPackage

/// Reads the state and the usage of one container again and again.
///
/// What cannot change while the container runs is read once: its record is read anew only when its
/// file is another one. Nothing is held open meanwhile.
package struct ContainerMeter: Sendable {
    /// A container at one moment.
    package struct Reading: Equatable, Sendable {
        package var id: String
        package var status: State.Status
        /// When the container was created; another one of the same ID has another time.
        package var created: String
        /// When the usage was read, in nanoseconds of a clock that never goes backwards.
        package var nanoseconds: Int
        package var usage: CgroupUsage

        package init(
            id: String, status: State.Status, created: String, nanoseconds: Int,
            usage: CgroupUsage
        ) {
            self.id = id
            self.status = status
            self.created = created
            self.nanoseconds = nanoseconds
            self.usage = usage
        }
    }

    /// A record, and what tells that its file is still the same.
    private struct Known {
        var record: ContainerRecord
        var stamp: Stamp
        /// The status as it was found last: running, paused or stopped.
        var status: State.Status
    }

    /// What changes when a file is replaced or written.
    private struct Stamp: Equatable {
        var identity: FileIdentity
        var seconds: Int64
        var nanoseconds: UInt32
    }

    private let container: Container
    private var known: Known?

    /// A container that need not exist yet.
    ///
    /// - Throws: `invalidID`.
    package init(of id: String, in store: ContainerStore) throws(ContainerError) {
        try Container.check(id)
        container = Container(id: id, store: store)
    }

    /// Reads the container.
    ///
    /// - Throws: `notFound` if it does not exist or has no record yet; `state`, `cgroup` or
    ///   `systemCall` if it cannot be read.
    package mutating func read() throws(ContainerError) -> Reading {
        let stamp = stamp()
        var (record, status) = try look(stamp)
        var usage = try Self.usage(of: record, status)
        if usage == nil {
            // It may have been deleted meanwhile, or just have ended.
            known = nil
            (record, status) = try look(stamp)
            usage = try Self.usage(of: record, status)
        }
        return Reading(
            id: container.id, status: status, created: record.created,
            nanoseconds: ClockTime.monotonic.totalNanoseconds, usage: usage ?? CgroupUsage())
    }

    /// The usage; nil if a cgroup should be there, and none of its files is.
    private static func usage(of record: ContainerRecord, _ status: State.Status)
        throws(ContainerError) -> CgroupUsage?
    {
        guard status != .creating else { return CgroupUsage() }
        let usage = try reporting { () throws(CgroupError) in
            try Cgroup.open(record.cgroups).usage()
        }
        let isExpected = status != .stopped && !record.cgroups.directories.isEmpty
        return isExpected && usage == CgroupUsage() ? nil : usage
    }

    private mutating func look(_ stamp: Stamp?) throws(ContainerError)
        -> (ContainerRecord, State.Status)
    {
        if var known, known.stamp == stamp {
            known.status = try Self.standing(of: known.record, after: known.status)
            self.known = known
            return (known.record, known.status)
        }
        known = nil
        let found = try container.find(locking: false)
        guard let record = found.record else {
            throw ContainerError(.notFound, "container does not exist")
        }
        // A container that is created may start, which the record does not tell.
        if let stamp, [.running, .paused, .stopped].contains(found.status) {
            known = Known(record: record, stamp: stamp, status: found.status)
        }
        return (record, found.status)
    }

    /// The status of a container that had started.
    private static func standing(of record: ContainerRecord, after former: State.Status)
        throws(ContainerError) -> State.Status
    {
        guard former != .stopped, try record.isAlive() else { return .stopped }
        let cgroup = try record.openCgroup()
        let isFrozen = try reporting { () throws(CgroupError) in try cgroup.isFrozen }
        return isFrozen ? .paused : .running
    }

    /// Of the record's file as it is now; nil without one.
    private func stamp() -> Stamp? {
        let path = "\(container.store.path.text)/\(container.id)/\(StateDirectory.recordName)"
        guard let found = try? status(at: path) else { return nil }
        return Stamp(
            identity: found.identity, seconds: found.stx_ctime.tv_sec,
            nanoseconds: found.stx_ctime.tv_nsec)
    }
}
#endif
