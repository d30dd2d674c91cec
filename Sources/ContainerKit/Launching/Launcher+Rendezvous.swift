// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

// The socket between the runtime and its child.

extension Launcher {
    /// Before anybody outside hears of this launch: whether this program has to start itself again first.
    ///
    /// Whoever listens for the terminal accepts one connection only, and takes its end for the end of the
    /// launch: after a second start of this program nobody would listen any more.
    func decideOnSealedStart() throws(ContainerError) {
        guard options.startsAgainSealed, let refusal = ChildStart.expectedRefusal() else { return }
        isToBeSealed = try reporting { () throws(SystemCallError) in
            try !SealedExecutable.isSealed()
        }
        if isToBeSealed { throw ContainerError(refusal, "unable to start the init process") }
    }

    /// One byte: go on.
    func release() throws(ContainerError) {
        do throws(SystemCallError) {
            try sendPacket([1], over: rendezvous)
        } catch {
            throw childFailure()
        }
    }

    /// Reads the child's next byte; nil when it ended without one.
    func receiveByte() -> UInt8? {
        let socket = rendezvous
        var byte: UInt8 = 0
        let count = try? withAddress(of: &byte) { (address) throws(SystemCallError) in
            try systemCall("read", __NR_read, Int(socket), address, 1, describing: "rendezvous")
        }
        return count == 1 ? byte : nil
    }

    func awaitEvent(_ event: ChildEvent) throws(ContainerError) {
        try answerRequests()
        guard receiveByte() == event.rawValue else { throw childFailure() }
    }

    /// Takes a descriptor that the child sends; it is the caller's to close.
    func receiveFromChild() throws(ContainerError) -> CInt {
        try answerRequests()
        let socket = rendezvous
        do throws(SystemCallError) {
            return try receiveDescriptor(from: socket).release()
        } catch {
            throw childFailure()
        }
    }

    // MARK: Mount points that the child asks for

    /// Answers the child's requests, until it says something else.
    ///
    /// What comes next is left in the socket for who waits for it.
    func answerRequests() throws(ContainerError) {
        while peekByte() == ChildEvent.mountPointMissing.rawValue { try answerRequest() }
    }

    private func answerRequest() throws(ContainerError) {
        let (socket, index) = (rendezvous, progress?.index ?? 0)
        let field = plan.recordedInstructions(image, from: index).first?.origin.path
        let (process, owner) = (pid, mountPointOwner)
        try reporting("unable to make the mount point", field: field) {
            () throws(SystemCallError) in
            let message = try receiveMessage(from: socket)
            let root = message.descriptor.number
            guard let mountPoint = MissingMountPoint(message: message.bytes),
                let answer = message.secondNumber
            else {
                throw SystemCallError("recvmsg", "rendezvous", errno: .badMessage)
            }
            if let owner {
                let maps = try IDMaps.read(of: process)
                try actingAs(maps.outside(owner)) { () throws(SystemCallError) in
                    try mountPoint.make(below: root)
                }
            } else {
                try mountPoint.make(below: root)
            }
            // What an eventfd takes is a number of eight bytes.
            try writeAll([1, 0, 0, 0, 0, 0, 0, 0], to: answer, named: "answer")
            // Until here the descriptors stay open.
            _ = consume message
        }
    }

    /// Waits until the child takes more, and answers what it asks meanwhile: it may be waiting itself.
    func waitForRoom() throws(ContainerError) {
        let socket = rendezvous
        let seen = try reporting { () throws(SystemCallError) in
            var entries = [PollEntry(socket, .readable | .writable)]
            _ = try poll(&entries, timeoutMilliseconds: -1)
            return entries[0].seen
        }
        // One at a time: the next may come only after trees that are still to be sent.
        if seen.contains(.readable), peekByte() == ChildEvent.mountPointMissing.rawValue {
            try answerRequest()
        }
    }

    private func peekByte() -> UInt8? {
        var byte: UInt8 = 0
        let socket = rendezvous
        let count = try? withAddress(of: &byte) { (address) throws(SystemCallError) in
            try systemCall(
                "recvfrom", __NR_recvfrom, Int(socket), address, 1, MessageFlags.peek.rawValue, 0,
                0,
                describing: "rendezvous")
        }
        return count == 1 ? byte : nil
    }
}
