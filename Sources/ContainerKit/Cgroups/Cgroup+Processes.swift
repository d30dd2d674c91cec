// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import RuntimeSpec
internal import SystemPackage

extension Cgroup {
    /// The processes of the cgroup and the cgroups below it, unordered; none if it is gone.
    func processes() throws(CgroupError) -> [Int] {
        do throws(SystemCallError) {
            guard layout.adopted == nil else {
                // Each directory must be empty for the next container.
                var found: Set<Int> = []
                for directory in layout.directories {
                    found.formUnion(try CgroupTree.processes(in: directory.path))
                }
                return Array(found)
            }
            guard let mainDirectory else { return [] }
            return try CgroupTree.processes(in: mainDirectory)
        } catch {
            throw CgroupError(
                failure: layout.named(error),
                message: "unable to list the processes of the cgroup")
        }
    }

    /// The processes that the freezer stops; on v1 those in the freezer's own hierarchy.
    func frozenProcesses() throws(CgroupError) -> [Int] {
        let index = layout.isUnified ? 0 : layout.index(of: "freezer")
        guard let index, layout.directories.indices.contains(index) else { return [] }
        do throws(SystemCallError) {
            return try CgroupTree.processes(in: layout.directories[index].path)
        } catch {
            throw CgroupError(
                failure: layout.named(error),
                message: "unable to list the processes of the cgroup")
        }
    }

    /// Whether no process is in the cgroup or below it.
    var isEmpty: Bool {
        get throws(CgroupError) { try processes().isEmpty }
    }

    /// Sends SIGKILL to every process of the cgroup and below it, even if it is frozen.
    ///
    /// The processes may still be ending when this returns.
    ///
    /// In a cgroup of the caller's, which may be used again, the processes are killed one by one:
    /// from Linux 6.14 on, a cgroup that was once killed as a whole also kills whatever is cloned
    /// into it from another cgroup (seen on 6.18).
    func killAll() throws(CgroupError) {
        if let index = layout.unifiedIndex, !layout.directories[index].isHeld {
            let file = "\(layout.directories[index].path)/cgroup.kill"
            do throws(SystemCallError) {
                try writeControlFile(file, "1")
            } catch  where Self.isGone(error.errno) {
                // A kernel before Linux 5.14, or the cgroup is gone.
            } catch  where error.errno == .notSupported {
                // A threaded cgroup can hold a part of a process, and is not killed as a whole.
                return try killOneByOne()
            } catch {
                throw CgroupError(
                    failure: layout.named(error),
                    message: "unable to kill the cgroup")
            }
            // A killed process may still be listed for a moment. In hybrid mode a process may also
            // be in the v1 cgroups alone, and dies only once these are thawed.
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
    /// If possible the processes are stopped meanwhile, so that no new child is missed.
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

    /// The number of OOM kills; 0 without the memory controller.
    ///
    /// On v1 this omits the cgroups below, which `outOfMemoryKills` includes.
    var oomKillCount: UInt64 {
        guard let index = layout.index(of: "memory") else { return 0 }
        let file = layout.isUnified ? "memory.events" : "memory.oom_control"
        let text = try? readFile("\(layout.directories[index].path)/\(file)")
        return text.flatMap(Self.kills) ?? 0
    }

    /// The number of OOM kills since the cgroup was made; nil without the memory controller, or if
    /// the cgroup is gone.
    ///
    /// The kernel counts before it kills, so the end of a process is never seen before its count.
    /// On v1 each cgroup counts only its own processes, so those below are added.
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

    /// Whether the cgroup is frozen or freezing; false without a freezer.
    var isFrozen: Bool {
        get throws(CgroupError) {
            guard let freezer = freezer else { return false }
            do throws(SystemCallError) {
                let state = words(of: try readLine(freezer.stateFile)).first
                return state != freezer.thawed
            } catch  where Self.isGone(error.errno) {
                return false
            } catch {
                throw CgroupError(
                    failure: layout.named(error),
                    message: "unable to tell whether the container is paused")
            }
        }
    }

    /// Whether a read failed because the cgroup does not exist, or is being removed.
    static func isGone(_ errno: Errno) -> Bool {
        errno == .noSuchFileOrDirectory || errno == .operationNotSupportedByDevice
    }

    /// Stops every process of the cgroup, and returns once all have stopped.
    func freeze() throws(CgroupError) {
        guard let freezer = freezer else { throw freezerIsMissing }
        do throws(SystemCallError) {
            // A process in an uninterruptible sleep stops only when it wakes. On v1 a forking
            // process may escape a single order.
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
                failure: layout.named(error),
                message: isGone
                    ? "unable to freeze: the container's cgroup is gone" : "unable to freeze")
        }
        try thaw()
        throw CgroupError(message: "unable to freeze: processes did not stop within 5 seconds")
    }

    /// Resumes the processes of the cgroup; does nothing if it is gone.
    func thaw() throws(CgroupError) {
        guard let freezer = freezer else { throw freezerIsMissing }
        do throws(SystemCallError) {
            try writeControlFile(freezer.stateFile, freezer.thawed)
        } catch  where Self.isGone(error.errno) {
            return
        } catch {
            throw CgroupError(failure: layout.named(error), message: "unable to thaw")
        }
    }

    /// The text is runc's.
    private var freezerIsMissing: CgroupError {
        CgroupError(
            message: "cannot toggle freezer: cgroups not configured for container",
            hint: layout.adopted == nil
                ? nil
                : "the adopted cgroup has no directory of the controller \"freezer\": create the "
                    + "container with one")
    }

    /// The file names and values of the v1 or v2 freezer.
    private struct Freezer {
        var stateFile: String
        var frozen: String
        var thawed: String
        /// The file that shows when all processes have stopped: it then contains the words
        /// `isDone`.
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

    /// The directory that lists the processes; on v1 any hierarchy will do, as a process is in all
    /// of them.
    ///
    /// Nil for a layout without directories, from a damaged record.
    var mainDirectory: String? {
        if layout.isUnified { return layout.directories.first?.path }
        let index = layout.index(of: "devices") ?? layout.index(of: "freezer")
        return index.map { layout.directories[$0].path } ?? layout.directories.first?.path
    }

    /// Kills the listed processes until none is left; a process can fork between two listings, so
    /// they are frozen meanwhile if possible.
    private func killOneByOne() throws(CgroupError) {
        var refusal: SystemCallError?
        var canStop = freezer != nil
        for round in 0..<100 {
            var remaining = try processes()
            if remaining.isEmpty { break }
            // Without the permission to kill, there is nothing to wait for.
            if let refusal { throw CgroupError(failure: refusal) }
            var stopped = false
            if round > 0, canStop {
                stopped = (try? freeze()) != nil
                // Finding out that a process cannot be frozen took seconds; do not try again.
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
        // A killed process in a frozen v1 cgroup dies once it is thawed.
        if try isFrozen { try thaw() }
    }
}

extension Array where Element == String {
    /// Whether the words of `sequence` occur in this list in direct succession.
    fileprivate func contains(pair sequence: [String]) -> Bool {
        indices.contains { self[$0...].starts(with: sequence) }
    }
}
#endif
