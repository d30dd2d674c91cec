// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// A set of descriptors to wait for, which any thread may change during the wait.
///
/// Kernel: epoll(7).
package struct ReadinessQueue: Sendable {
    private let number: CInt

    /// The kinds of readiness to wait for, or seen.
    package struct Readiness: Equatable, Sendable {
        fileprivate var events: PollEvents

        /// There is something to read, or the end is reached.
        package static let readable = Readiness(events: .readable)
        /// There is room to write.
        package static let writable = Readiness(events: .writable)
        /// Nothing.
        package static let none = Readiness(events: .empty)

        /// Both together.
        package func union(_ other: Readiness) -> Readiness {
            Readiness(events: events | other.events)
        }

        /// Whether a wait for this ends if `seen` was seen: errors and hang-ups always end it.
        package func isMet(by seen: Readiness) -> Bool {
            let always: PollEvents = .error | .hungUp
            return !seen.events.intersection(events | always).isEmpty
        }
    }

    /// Makes a queue, which exists until `end`.
    package init() throws(SystemCallError) {
        let flags = OpenFlags.closeOnExec
        number = CInt(
            try systemCall(
                "epoll_create1", __NR_epoll_create1, flags.rawValue, describing: "EPOLL_CLOEXEC"))
    }

    /// Closes the queue.
    package func end() { _ = OwnedDescriptor(taking: number) }

    /// Waits for a descriptor from now on; replaces an earlier setting.
    ///
    /// - Returns: false for a file, which is always ready.
    package func set(_ wanted: Readiness, of descriptor: CInt) throws(SystemCallError) -> Bool {
        do throws(SystemCallError) {
            do throws(SystemCallError) {
                try control(.change, descriptor, wanted)
            } catch  where error.errno == .noSuchFileOrDirectory {
                try control(.add, descriptor, wanted)
            }
            return true
        } catch  where error.errno == .notPermitted {
            return false
        }
    }

    /// Stops waiting for a descriptor.
    package func remove(_ descriptor: CInt) {
        // A closed descriptor is removed automatically.
        try? control(.remove, descriptor, .none)
    }

    private func control(_ command: QueueCommand, _ descriptor: CInt, _ wanted: Readiness)
        throws(SystemCallError)
    {
        var event = Event(wanted.events, descriptor)
        try withAddress(of: &event) { (event) throws(SystemCallError) in
            _ = try systemCall(
                "epoll_ctl", __NR_epoll_ctl, Int(number), command.rawValue, Int(descriptor), event,
                describing: "\(command), \(descriptor)")
        }
    }

    /// Waits until a descriptor is ready; returns none if the kernel refuses the wait.
    package func next() -> [(descriptor: CInt, seen: Readiness)] {
        var events = [Event](repeating: Event(.empty, -1), count: 64)
        let count = try? withAddress(ofElements: &events) {
            (address, count) throws(SystemCallError) in
            // A negative time waits for ever; no signal mask is set.
            try systemCall(
                "epoll_pwait", __NR_epoll_pwait, Int(number), address, count, -1, 0, 0,
                describing: "\(number)")
        }
        return events.prefix(count ?? 0).map {
            ($0.descriptor, Readiness(events: PollEvents(rawValue: Int($0.events))))
        }
    }
}

/// `struct epoll_event`: 16 bytes, or 12 on x86_64, where it is packed.
private struct Event {
    let events: UInt32
    #if !arch(x86_64)
    private let gap: UInt32 = 0
    #endif
    let descriptor: CInt
    private let rest: UInt32 = 0

    init(_ wanted: PollEvents, _ descriptor: CInt) {
        events = UInt32(wanted.rawValue)
        self.descriptor = descriptor
    }
}
#endif
