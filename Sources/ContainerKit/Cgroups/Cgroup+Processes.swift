// SPDX-License-Identifier: Apache-2.0

internal import RuntimeSpec
internal import SystemPackage

extension Cgroup {
    /// The processes of the cgroup and of the cgroups below it, in no order; none if it is gone.
    func processes() throws(CgroupError) -> [Int] {
        do throws(SystemCallError) {
            guard let mainDirectory else { return [] }
            return try CgroupTree.processes(in: mainDirectory)
        } catch {
            throw CgroupError(
                failure: error, message: "unable to list the processes of the container's cgroup")
        }
    }

    /// The processes that the freezer stops; on v1 its hierarchy alone tells.
    func frozenProcesses() throws(CgroupError) -> [Int] {
        let index = layout.isUnified ? 0 : layout.index(of: "freezer")
        guard let index, layout.directories.indices.contains(index) else { return [] }
        do throws(SystemCallError) {
            return try CgroupTree.processes(in: layout.directories[index].path)
        } catch {
            throw CgroupError(
                failure: error, message: "unable to list the processes of the container's cgroup")
        }
    }

    /// Whether no process is in the cgroup or below it.
    var isEmpty: Bool {
        get throws(CgroupError) { try processes().isEmpty }
    }

    /// Sends SIGKILL to every process of the cgroup and below it, also if it is frozen.
    ///
    /// The processes may still be dying when this returns.
    func killAll() throws(CgroupError) {
        if let index = layout.unifiedIndex {
            let file = "\(layout.directories[index].path)/cgroup.kill"
            do throws(SystemCallError) {
                try writeControlFile(file, "1")
            } catch  where Self.isGone(error.errno) {
                // Before Linux 5.14, or the cgroup is gone.
            } catch {
                throw CgroupError(
                    failure: error, message: "unable to kill the container's cgroup")
            }
            // Whoever was killed may be listed for a moment yet; in hybrid mode a process may also be in
            // the v1 cgroups only, and die no sooner than these are thawed.
            if try isFrozen { try thaw() }
            for _ in 0..<20 {
                if try isEmpty { return }
                wait(milliseconds: 1)
            }
        }
        try killOneByOne()
    }

    /// Sends a signal to every process of the cgroup and below it.
    ///
    /// The processes are stopped meanwhile, where they can be, so that no child is missed.
    func signalAll(_ signal: CInt) throws(CgroupError) {
        let wasFrozen = try isFrozen
        let stopped = !wasFrozen && freezer != nil && (try? freeze()) != nil
        var refusal: CgroupError?
        do throws(CgroupError) {
            let found = try processes()
            do throws(SystemCallError) {
                try sendSignal(signal, toEach: found)
            } catch {
                throw CgroupError(
                    failure: error, message: "unable to signal the container's processes")
            }
        } catch {
            refusal = error
        }
        if stopped { try thaw() }
        if let refusal { throw refusal }
    }

    /// The number of processes that the kernel killed for want of memory; 0 without the controller.
    ///
    /// On v1 those below it are passed over: `outOfMemoryKills` counts them too.
    var oomKillCount: UInt64 {
        guard let index = layout.index(of: "memory") else { return 0 }
        let file = layout.isUnified ? "memory.events" : "memory.oom_control"
        let text = try? readFile("\(layout.directories[index].path)/\(file)")
        return text.flatMap(Self.kills) ?? 0
    }

    /// The number of processes that the kernel killed for want of memory, since the cgroup was made; nil
    /// without the controller, and where the cgroup is gone.
    ///
    /// The kernel counts before it kills: who sees the end of a process sees its count. On v1 each cgroup
    /// counts its own processes only.
    var outOfMemoryKills: UInt64? {
        guard let index = layout.index(of: "memory") else { return nil }
        let path = layout.directories[index].path
        guard !layout.isUnified else {
            return (try? readFile("\(path)/memory.events")).flatMap(Self.kills)
        }
        let counts = try? CgroupTree.contents(of: "memory.oom_control", in: path).map(Self.kills)
        guard let counts, !counts.isEmpty else { return nil }
        return counts.reduce(0) { $0 &+ ($1 ?? 0) }
    }

    private static func kills(_ text: [UInt8]) -> UInt64? {
        let words = words(of: text)
        guard let key = words.firstIndex(of: "oom_kill"), key + 1 < words.count else { return nil }
        return UInt64(words[key + 1])
    }

    // MARK: - Freezing

    /// Whether the cgroup is frozen, or being frozen; false without a freezer.
    var isFrozen: Bool {
        get throws(CgroupError) {
            guard let freezer = freezer else { return false }
            do throws(SystemCallError) {
                let state = words(of: try readFile(freezer.stateFile)).first
                return state != freezer.thawed
            } catch  where Self.isGone(error.errno) {
                return false
            } catch {
                throw CgroupError(
                    failure: error, message: "unable to tell whether the container is paused")
            }
        }
    }

    /// What the file of a cgroup answers that is not there, or goes away while it is read.
    private static func isGone(_ errno: Errno) -> Bool {
        errno == .noSuchFileOrDirectory || errno == .operationNotSupportedByDevice
    }

    /// Stops every process of the cgroup, and returns when all have stopped.
    func freeze() throws(CgroupError) {
        guard let freezer = freezer else {
            throw CgroupError(
                message: "cannot toggle freezer: cgroups not configured for container")
        }
        do throws(SystemCallError) {
            // A process in an uninterruptible sleep stops when it wakes; on v1, one that forks may
            // escape a single order.
            for round in 0..<1000 {
                if round == 0 || !layout.isUnified {
                    try writeControlFile(freezer.stateFile, freezer.frozen)
                }
                if try words(of: readFile(freezer.resultFile)).contains(pair: freezer.isDone) {
                    return
                }
                wait(milliseconds: round < 10 ? 1 : 5)
            }
        } catch {
            let isGone = error.errno == .noSuchFileOrDirectory && !exists
            throw CgroupError(
                failure: error,
                message: isGone
                    ? "unable to freeze: the container's cgroup is gone" : "unable to freeze")
        }
        try thaw()
        throw CgroupError(message: "unable to freeze: processes did not stop within 5 seconds")
    }

    /// Lets the processes of the cgroup run again; one that is gone has none.
    func thaw() throws(CgroupError) {
        guard let freezer = freezer else {
            throw CgroupError(
                message: "cannot toggle freezer: cgroups not configured for container")
        }
        do throws(SystemCallError) {
            try writeControlFile(freezer.stateFile, freezer.thawed)
        } catch  where Self.isGone(error.errno) {
            return
        } catch {
            throw CgroupError(failure: error, message: "unable to thaw")
        }
    }

    /// The files and words of the v1 or v2 freezer.
    private struct Freezer {
        var stateFile: String
        var frozen: String
        var thawed: String
        /// The file that tells when all processes have stopped, by holding the words `isDone`.
        var resultFile: String
        var isDone: [String]
    }

    private var freezer: Freezer? {
        if layout.isUnified {
            let path = layout.directories[0].path
            return Freezer(
                stateFile: "\(path)/cgroup.freeze", frozen: "1", thawed: "0",
                resultFile: "\(path)/cgroup.events", isDone: ["frozen", "1"])
        }
        guard let index = layout.index(of: "freezer") else { return nil }
        let file = "\(layout.directories[index].path)/freezer.state"
        return Freezer(
            stateFile: file, frozen: "FROZEN", thawed: "THAWED", resultFile: file,
            isDone: ["FROZEN"])
    }

    /// The hierarchy whose membership counts: on v1 any does, as a process enters all of them.
    ///
    /// Nil for a layout without directories, of a record that lost them.
    var mainDirectory: String? {
        if layout.isUnified { return layout.directories.first?.path }
        let index = layout.index(of: "devices") ?? layout.index(of: "freezer")
        return index.map { layout.directories[$0].path } ?? layout.directories.first?.path
    }

    /// Kills what is listed until nothing is: a process can fork between two looks, so that they are
    /// stopped while there is a way to.
    private func killOneByOne() throws(CgroupError) {
        var refusal: SystemCallError?
        var canStop = freezer != nil
        for round in 0..<100 {
            var remaining = try processes()
            if remaining.isEmpty { break }
            // Whoever may not kill does not wait for it.
            if let refusal { throw CgroupError(failure: refusal) }
            var stopped = false
            if round > 0, canStop {
                stopped = (try? freeze()) != nil
                // It took seconds to find out that one of them does not stop.
                canStop = stopped
            }
            if stopped { remaining = try processes() }
            do throws(SystemCallError) {
                try sendSignal(9, toEach: remaining)
            } catch {
                refusal = error
            }
            if stopped { try thaw() }
            wait(milliseconds: 1)
        }
        // A killed process of a frozen v1 cgroup dies when it is thawed.
        if try isFrozen { try thaw() }
    }
}

extension Array where Element == String {
    /// Whether the words of `sequence` stand in this list one after the other.
    fileprivate func contains(pair sequence: [String]) -> Bool {
        indices.contains { self[$0...].starts(with: sequence) }
    }
}
