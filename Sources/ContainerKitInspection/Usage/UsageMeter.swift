// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
public import ContainerKit

/// Reads what the containers of a store use, again and again.
///
/// The cost is linear in the number of containers: after the first reading, each costs the files of
/// its cgroup and a look at its init. Nothing is held open between two readings, and no container
/// is locked.
public struct UsageMeter: Sendable {
    private let store: ContainerStore
    private let chosen: [String]?
    private var meters: [String: ContainerMeter] = [:]
    private var former: [String: ContainerMeter.Reading] = [:]
    private var isFirst = true

    /// A meter that has read nothing yet.
    ///
    /// - Parameters:
    ///   - store: the store.
    ///   - ids: the containers; nil for all that there are at each reading.
    public init(of store: ContainerStore, ids: [String]? = nil) {
        self.store = store
        chosen = ids.map { Set($0).sorted() }
    }

    /// Reads the containers.
    ///
    /// The first reading has no rates. A container that is deleted meanwhile is left out.
    ///
    /// - Parameter skip: is called with each container that cannot be read, and the reason.
    /// - Returns: the usage of each container, in the order of their IDs.
    /// - Throws: `notFound` if the store does not exist or, at the first reading, one of the chosen
    ///   containers; `invalidID` for one that cannot exist.
    public mutating func read(
        skipping skip: (_ id: String, _ reason: ContainerError) -> Void = { _, _ in }
    ) throws(ContainerError) -> [ContainerUsage] {
        let names: [String]
        if let chosen { names = chosen } else { names = try store.names() }
        var usages: [ContainerUsage] = []
        usages.reserveCapacity(names.count)
        // Made anew, so that nothing is kept of containers that are gone.
        var meters: [String: ContainerMeter] = [:]
        var readings: [String: ContainerMeter.Reading] = [:]
        for id in names {
            do throws(ContainerError) {
                var meter: ContainerMeter
                if let known = self.meters[id] {
                    meter = known
                } else {
                    meter = try ContainerMeter(of: id, in: store)
                }
                let reading = try meter.read()
                meters[id] = meter
                readings[id] = reading
                usages.append(ContainerUsage(reading, since: former[id]))
            } catch {
                guard error.code == .notFound || error.code == .invalidID else {
                    skip(id, error)
                    continue
                }
                if isFirst, chosen != nil {
                    throw ContainerError(error.code, "\(id): \(error.message)")
                }
            }
        }
        self.meters = meters
        former = readings
        isFirst = false
        return usages
    }
}
#endif
