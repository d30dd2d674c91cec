// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
package import RuntimeSpec
internal import SystemPackage

extension ContainerStore {
    /// A container's state and its resource usage at the same moment.
    package struct Sample: Sendable {
        package var state: State
        /// Nil if it is being created, or its cgroup has gone with its last process.
        package var statistics: Statistics?

        package init(state: State, statistics: Statistics?) {
            self.state = state
            self.statistics = statistics
        }
    }

    /// The names of the containers in this store, sorted; some may be gone or be damaged.
    ///
    /// A missing store counts as empty if it is the standard one.
    /// - Throws: `notFound` if the store is missing and not the standard one.
    package func names() throws(ContainerError) -> [String] {
        do throws(SystemCallError) {
            return try directoryEntries(path.text).filter { (try? Container.check($0)) != nil }
                .sorted()
        } catch  where error.errno == .noSuchFileOrDirectory {
            if path == Self.ownPath { return [] }
            throw ContainerError(.notFound, "the store does not exist", failure: error)
        } catch {
            throw ContainerError(error)
        }
    }

    /// Reads a container once, for its state and its statistics.
    ///
    /// - Throws: the errors of `state` and `statistics`, except that a cgroup that is gone is no
    ///   error.
    package func sample(_ id: String) throws(ContainerError) -> Sample {
        try Container.check(id)
        let container = Container(id: id, store: self)
        let found = try container.find(locking: false)
        guard let record = found.record else {
            throw ContainerError(.notFound, "container does not exist")
        }
        var sample = Sample(state: container.state(record, found.status), statistics: nil)
        guard found.status != .creating else { return sample }
        let source = try StatisticsSource(record)
        guard source.isThere else {
            // It may have been deleted, which `find` tells, or just have ended.
            if found.status != .stopped { sample.state = try container.state() }
            return sample
        }
        do throws(ContainerError) {
            sample.statistics = try source.read()
        } catch  where !source.isThere {
            sample.state = try container.state()
        }
        return sample
    }
}
#endif
