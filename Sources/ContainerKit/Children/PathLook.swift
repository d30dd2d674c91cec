// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import SystemPackage

/// Looks in time whether file systems answer that a call will use.
///
/// A call of the kernel's on a dead network file system or a silent FUSE cannot be broken off, so a
/// process that can be given up makes it first. A file system that answers then and not a moment
/// later still holds the caller up.
struct PathLook {
    /// A path, and its field of the config.
    private struct Place {
        var looked: LookedPath
        var field: String?
    }

    private var places: [Place] = []

    /// A program has a limited size.
    private static let mostPathsAtOnce = 128
    /// How long a killed process may take to end before it counts as stuck.
    private static let patienceMilliseconds = 300

    /// Adds a path, of the host or below a root; an empty one is left out.
    mutating func add(
        _ path: String?, below root: String? = nil, _ field: String? = nil
    ) {
        guard let path, !path.isEmpty else { return }
        places.append(Place(looked: LookedPath(path, below: root), field: field))
    }

    /// Looks at all paths; that one is missing or refused is no error here.
    ///
    /// - Throws: `timedOut` with the path that did not answer.
    func check(within limit: TimeLimit) throws(ContainerError) {
        var rest = places[...]
        var count = Self.mostPathsAtOnce
        while let first = rest.first {
            guard !limit.isOver else { throw Self.overdue(first, limit, stuck: nil) }
            let part = rest.prefix(count)
            guard try look(at: part, limit) || count == 1 else {
                count = 1
                continue
            }
            rest = rest.dropFirst(part.count)
        }
    }

    /// Looks at some paths; returns false if one is refused, since those behind it are not looked at
    /// then.
    private func look(
        at part: ArraySlice<Place>, _ limit: TimeLimit
    ) throws(ContainerError) -> Bool {
        var helper = try reporting { () throws(SystemCallError) in try HelperChild() }
        let image = ProgramImage.look(at: part.map(\.looked), parent: ownProcessID)
        let child: ChildProcess
        do throws(SystemCallError) {
            child = try helper.start(image)
        } catch {
            throw ContainerError(
                error, "unable to start the process that looks at the paths of the config")
        }
        let process = OwnedDescriptor(taking: child.pidfd)
        let time = limit.deadline.remainingMilliseconds
        let number = process.number
        let hasEnded = try reporting { () throws(SystemCallError) in
            try ContainerKit.hasEnded(number, withinMilliseconds: time)
        }
        guard hasEnded else {
            let index = helper.page.index
            let steps = image.stepOfInstruction
            let step = steps.indices.contains(index) ? steps[index] : 0
            let stuck = Self.end(child.pid, number)
            throw Self.overdue(part[part.startIndex + max(step - 1, 0)], limit, stuck: stuck)
        }
        _ = try? waitProcess(number)
        return helper.page.error == 0
    }

    /// Kills the process and its child; returns the child's pid if that does not end.
    private static func end(_ pid: Int32, _ pidfd: CInt) -> Int32? {
        // Opened before its parent ends, until when its pid is not used again.
        let child = childIDs(of: pid).first ?? 0
        let looking = (child > 0 ? try? openProcess(child).release() : nil) ?? -1
        defer { if looking >= 0 { _ = OwnedDescriptor(taking: looking) } }
        if looking >= 0 { try? sendSignal(looking, Signal.kill.rawValue) }
        try? sendSignal(pidfd, Signal.kill.rawValue)
        _ = try? waitProcess(pidfd)
        guard looking >= 0 else { return nil }
        let ends = (try? hasEnded(looking, withinMilliseconds: patienceMilliseconds)) == true
        return ends ? nil : child
    }

    private static func overdue(
        _ place: Place, _ limit: TimeLimit, stuck: Int32?
    ) -> ContainerError {
        limit.passed(
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
}
#endif
