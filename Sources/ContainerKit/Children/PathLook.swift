// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import SystemPackage

/// Looks in time whether file systems answer that a call will use.
///
/// A call of the kernel's on a dead network file system or a silent FUSE cannot be broken off, so a
/// process that can be given up looks first. A file system that answers that look, and not what
/// follows, still holds the caller up.
struct PathLook {
    /// A path, and its field of the config.
    private struct Place {
        var looked: LookedPath
        var field: String?
    }

    private var places: [Place] = []

    /// A program has a limited size, and a path at most 4 KiB.
    private static let mostPathsAtOnce = 64
    /// How long a killed process may take to end before it counts as stuck.
    private static let patienceMilliseconds = 300

    /// Adds a path, of the host or below a root; an empty one is left out.
    mutating func add(
        _ path: String?, below root: String? = nil, isRead: Bool = false, _ field: String? = nil
    ) {
        guard let path, !path.isEmpty else { return }
        places.append(
            Place(looked: LookedPath(path, below: root, isRead: isRead), field: field))
    }

    /// Looks at all paths; that one is missing or refused is no error here.
    ///
    /// - Throws: `timedOut` with the path that did not answer.
    func check(within limit: TimeLimit) throws(ContainerError) {
        var rest = places[...]
        while !rest.isEmpty {
            let part = rest.prefix(Self.mostPathsAtOnce)
            rest = rest.dropFirst(part.count)
            guard try !look(at: part, limit) else { continue }
            // Once more for each: behind a failed call, the process looks at nothing.
            for place in part { _ = try look(at: [place], limit) }
        }
    }

    /// Looks at some paths.
    ///
    /// - Returns: false if a call failed with an errno that is not expected of a path.
    private func look(at part: ArraySlice<Place>, _ limit: TimeLimit) throws(ContainerError)
        -> Bool
    {
        let seen: Sight
        do throws(SystemCallError) {
            seen = try Self.look(at: part.map(\.looked), before: limit.deadline)
        } catch {
            throw ContainerError(
                error, "unable to start the process that looks at the paths of the config")
        }
        switch seen {
        case .all: return true
        case .failure: return false
        case .silence(let step, let stuck):
            let place = step > 0 ? part[part.startIndex + step - 1] : nil
            throw Self.overdue(place, limit, stuck: stuck)
        }
    }

    /// What a process has seen.
    private enum Sight {
        /// All paths, whatever is there.
        case all
        /// An unexpected errno.
        case failure
        /// It was killed at this step; the process that does not end even then.
        case silence(step: Int, stuck: Int32?)
    }

    private static func look(at paths: [LookedPath], before deadline: Deadline)
        throws(SystemCallError) -> Sight
    {
        let image = ProgramImage.look(at: paths, parent: ownProcessID)
        var helper = try HelperChild()
        let child = try helper.start(image)
        let process = OwnedDescriptor(taking: child.pidfd)
        let time = deadline.remainingMilliseconds
        guard try hasEnded(process.number, withinMilliseconds: time) else {
            return .silence(
                step: image.step(of: helper.page.index) ?? 0,
                stuck: end(child.pid, process.number))
        }
        _ = try? waitProcess(process.number)
        if helper.hasTold() { return .all }
        let (index, error) = (helper.page.index, helper.page.error)
        // It waits for its child only once that exists, so then the error is the child's.
        if error != 0, image.packed.indices.contains(index),
            case .call(let call, _, _, _, _) = image.instruction(index), call.name == "waitid"
        {
            return .failure
        }
        throw SystemCallError(
            "clone3", "the process that looks at paths",
            errno: error == 0 ? .canceled : Errno(rawValue: error))
    }

    /// Kills the process and its child; returns the child's pid if that does not end.
    private static func end(_ pid: Int32, _ pidfd: CInt) -> Int32? {
        let child = childIDs(of: pid).first ?? 0
        let looking = (child > 0 ? try? openProcess(child).release() : nil) ?? -1
        defer { if looking >= 0 { _ = OwnedDescriptor(taking: looking) } }
        var stuck: Int32?
        // Once it is open, its number is its own; so then it is asked for its parent.
        if looking >= 0, (try? stat(of: child))?.parent == pid {
            try? sendSignal(looking, Signal.kill.rawValue)
            let ends = (try? hasEnded(looking, withinMilliseconds: patienceMilliseconds)) == true
            if !ends { stuck = child }
        }
        // A child that has ended is waited for by the process itself, which then ends.
        if stuck == nil, (try? hasEnded(pidfd, withinMilliseconds: patienceMilliseconds)) == true {
            _ = try? waitProcess(pidfd)
            return nil
        }
        try? sendSignal(pidfd, Signal.kill.rawValue)
        _ = try? waitProcess(pidfd)
        return stuck
    }

    private static func overdue(
        _ place: Place?, _ limit: TimeLimit, stuck: Int32?
    ) -> ContainerError {
        guard let place else { return limit.passed("the runtime looks at the config's paths") }
        return limit.passed(
            "the file system of \(place.looked.root ?? "")\(place.looked.path) does not answer",
            field: place.field,
            hint: stuck.map(stuckHint) ?? "look at what is mounted there")
    }
}

extension PathLook {
    /// Some paths of the host; nil is none.
    init(_ paths: String?...) {
        for path in paths { add(path) }
    }

    /// A file of the host that is read.
    init(reading path: String) {
        add(path, isRead: true)
    }
}
#endif
