// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

// The socket between the runtime and its child.

extension Launcher {
    /// Decides whether this program must start itself again first, before any other program notices
    /// this launch.
    ///
    /// A console socket's listener accepts one connection, and takes its close for the end of the
    /// launch. After a second start of this program nobody would listen any more.
    func decideOnSealedStart() throws(ContainerError) {
        guard options.startsAgainSealed, let refusal = ChildStart.expectedRefusal() else { return }
        isToBeSealed = try reporting { () throws(SystemCallError) in
            try !SealedExecutable.isSealed()
        }
        if isToBeSealed { throw ContainerError(refusal, "unable to start the init process") }
    }

    /// Sends one byte, on which the child goes on.
    func release() throws(ContainerError) {
        do throws(SystemCallError) {
            try sendPacket([1], over: rendezvous)
        } catch {
            throw childFailure()
        }
    }

    /// Reads the child's next byte; nil if it has ended without one.
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

    /// Receives a descriptor from the child; the caller must close it.
    func receiveFromChild() throws(ContainerError) -> CInt {
        try answerRequests()
        let socket = rendezvous
        do throws(SystemCallError) {
            return try receiveDescriptor(from: socket).release()
        } catch {
            throw childFailure()
        }
    }

    // MARK: Mount points for the child

    /// Answers the child's requests for mount points until another message comes, which is left in
    /// the socket.
    func answerRequests() throws(ContainerError) {
        try awaitChild()
        while peekByte() == ChildEvent.mountPointMissing.rawValue {
            try answerRequest()
            try awaitChild()
        }
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
            // An eventfd takes a number of eight bytes.
            try writeAll([1, 0, 0, 0, 0, 0, 0, 0], to: answer, named: "answer")
            // The descriptors must stay open until here.
            _ = consume message
        }
    }

    /// Waits until the child can receive more; answers its requests meanwhile, for which it may
    /// wait itself.
    func waitForRoom() throws(ContainerError) {
        let socket = rendezvous
        let limit = options.timeLimit
        let seen = try reporting { () throws(SystemCallError) in
            var entries = [PollEntry(socket, .readable | .writable)]
            _ = try poll(
                &entries, timeoutMilliseconds: limit?.deadline.remainingMilliseconds ?? -1)
            return entries[0].seen
        }
        if seen.isEmpty, let limit { throw overdue(limit) }
        // One request at a time: the next may come only after further trees have been sent.
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
#endif
