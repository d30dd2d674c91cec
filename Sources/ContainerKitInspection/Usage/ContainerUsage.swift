// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import ContainerKit
public import RuntimeSpec

/// What a container uses at one moment, and what it has used since the reading before.
///
/// A value is nil if it is unknown: at the first reading of a container there is no earlier one,
/// and not every container has a cgroup of each controller.
public struct ContainerUsage: Equatable, Sendable {
    /// The ID.
    public var id: String
    /// The status.
    public var status: State.Status
    /// The counters and the present values.
    public var usage: CgroupUsage
    /// CPU time since the last reading, in percent of one CPU: 200 are two CPUs without a pause.
    public var cpuPercent: Double?
    /// Bytes read from block devices per second since the last reading.
    public var readBytesPerSecond: Double?
    /// Bytes written to block devices per second since the last reading.
    public var writtenBytesPerSecond: Double?

    /// The usage between two readings.
    ///
    /// - Parameters:
    ///   - later: the reading.
    ///   - earlier: the one before; nil if there is none. One of another container of the same ID
    ///     does not count.
    package init(_ later: ContainerMeter.Reading, since earlier: ContainerMeter.Reading?) {
        id = later.id
        status = later.status
        usage = later.usage
        guard let earlier, earlier.created == later.created else { return }
        let nanoseconds = later.nanoseconds - earlier.nanoseconds
        guard nanoseconds > 0 else { return }
        func perSecond(_ counter: (CgroupUsage) -> UInt64?) -> Double? {
            // A counter that went back is that of a new cgroup.
            guard let before = counter(earlier.usage), let now = counter(later.usage),
                now >= before
            else { return nil }
            return Double(now - before) * 1e9 / Double(nanoseconds)
        }
        cpuPercent = perSecond(\.cpuNanoseconds).map { $0 / 1e7 }
        readBytesPerSecond = perSecond(\.readBytes)
        writtenBytesPerSecond = perSecond(\.writtenBytes)
    }

    /// Bytes read and written per second; nil if neither is known.
    public var ioBytesPerSecond: Double? {
        guard readBytesPerSecond != nil || writtenBytesPerSecond != nil else { return nil }
        return (readBytesPerSecond ?? 0) + (writtenBytesPerSecond ?? 0)
    }

    /// The highest of the three pressures; nil if none is known.
    public var highestPressure: Double? {
        [usage.cpuPressure, usage.memoryPressure, usage.ioPressure].compactMap { $0 }.max()
    }

    /// The usage as JSON; null stands for what is unknown.
    ///
    /// The members are id, status, cpuPercent, cpuNanoseconds, memoryBytes, memoryLimitBytes,
    /// memoryPercent, readBytes, writtenBytes, readBytesPerSecond, writtenBytesPerSecond, pids, and
    /// pressure with cpu, memory and io in percent.
    public var encoded: JSONValue {
        func count(_ number: UInt64?) -> JSONValue {
            guard let number else { return .null }
            return Int64(exactly: number).map(JSONValue.integer) ?? .unsigned(number)
        }
        // More digits would be noise.
        func share(_ number: Double?) -> JSONValue {
            number.map { .double(($0 * 100).rounded() / 100) } ?? .null
        }
        func rate(_ number: Double?) -> JSONValue {
            number.flatMap { UInt64(exactly: $0.rounded()) }.map { count($0) } ?? .null
        }
        return .object([
            "id": .string(id), "status": .string(status.rawValue),
            "cpuPercent": share(cpuPercent), "cpuNanoseconds": count(usage.cpuNanoseconds),
            "memoryBytes": count(usage.memoryBytes),
            "memoryLimitBytes": count(usage.memoryLimitBytes),
            "memoryPercent": share(usage.memoryPercent),
            "readBytes": count(usage.readBytes), "writtenBytes": count(usage.writtenBytes),
            "readBytesPerSecond": rate(readBytesPerSecond),
            "writtenBytesPerSecond": rate(writtenBytesPerSecond), "pids": count(usage.pids),
            "pressure": .object([
                "cpu": share(usage.cpuPressure), "memory": share(usage.memoryPressure),
                "io": share(usage.ioPressure),
            ]),
        ])
    }
}
#endif
