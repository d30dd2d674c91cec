// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ContainerKit
internal import SystemPackage

/// Lets launches begin only while the limit of open files leaves room for them, and for the end of
/// the containers that run.
///
/// Without that, a container might not be deleted for lack of a descriptor. A launch waits for
/// other launches, which end by themselves, but not for running containers, which may wait for each
/// other: then it is refused.
final class DescriptorBudget: Sendable {
    static let shared = DescriptorBudget()

    /// How many descriptors a launch needs: on v1 it has about fifteen open at most, and the streams.
    static let ofLaunch = 24
    /// How many stay free for what observes and ends containers.
    static let reserve = 12

    private struct Claims {
        /// The sum for the launches that have begun.
        var count = 0
        var waiting: [Semaphore] = []
    }

    private let claims = GuardedValue(Claims())

    /// Calls `body`, which launches a process, once there is room for it.
    ///
    /// - Throws: `systemCall` with EMFILE if there is no room and no other launch will make some.
    func spend<Value>(_ body: () throws(ContainerError) -> Value)
        throws(ContainerError) -> Value
    {
        while let turn = try claim(Self.ofLaunch) { turn.wait() }
        defer { release(Self.ofLaunch) }
        return try body()
    }

    /// Claims room; nil once there is some, else what to wait for before the next attempt.
    private func claim(_ need: Int) throws(ContainerError) -> Semaphore? {
        try claims.withLock { (claims) throws(ContainerError) -> Semaphore? in
            guard let files = openFileCount() else {
                claims.count += need
                return nil
            }
            // Some of what is claimed is open already; counting it twice is on the safe side.
            if files.limit - files.open >= claims.count + need + Self.reserve {
                claims.count += need
                return nil
            }
            guard claims.count > 0 else { throw Self.refusal(files, need) }
            let turn = Semaphore()
            claims.waiting.append(turn)
            return turn
        }
    }

    private func release(_ need: Int) {
        let waiting = claims.withLock { claims in
            claims.count -= need
            defer { claims.waiting = [] }
            return claims.waiting
        }
        for turn in waiting { turn.post() }
    }

    private static func refusal(_ files: (limit: Int, open: Int), _ need: Int) -> ContainerError {
        ContainerError(
            .systemCall,
            "unable to start a process: \(files.open) of \(files.limit) files are open, a launch "
                + "needs \(need), and \(reserve) are kept to end containers",
            failure: SystemCallError("open", "", errno: .tooManyOpenFiles))
    }
}
#endif
