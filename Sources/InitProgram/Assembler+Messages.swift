// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

// Passes descriptors over sockets: unix(7), SCM_RIGHTS.

extension Assembler {
    /// Receives the one descriptor of the next message; `without` is the error if no message comes.
    ///
    /// The kernel writes the descriptor, four bytes, behind the control message's header of 16
    /// bytes. The header fills the two cells before it, so the number lands in the third. Kernel:
    /// recvmsg(2), cmsg(3).
    mutating func receiveDescriptor(_ name: String, from socket: Cell, without: String) -> Cell {
        let length = cell("\(name)-length")
        _ = cell("\(name)-type")
        let descriptor = cell(name)
        let vector = words([0, 1])
        relocate(at: vector, to: bytes([0]))
        // struct msghdr: no name; one vector; 24 bytes of control.
        let message = words([0, 0, 0, 1, 0, 24, 0])
        relocate(at: message + 16, to: vector)
        relocateToCell(at: message + 32, cell: length)
        let count = cell("received")
        call(
            .recvmsg, [.cell(socket), .address(message), .literal(0)], into: count, retries: 1000)
        let received = skip(when: .equals(count, 1))
        refuse(without)
        place(received)
        // The control message is missing if the process may not have another descriptor.
        let fits = skip(when: .equals(length, 20))
        refuse("no descriptor is left for what the runtime sends (RLIMIT_NOFILE)")
        place(fits)
        return descriptor
    }

    /// Sends one SCM_RIGHTS message with one descriptor and a name as payload.
    ///
    /// Kernel: unix(7).
    mutating func sendDescriptor(
        _ descriptor: Cell, named text: String = "/dev/ptmx", over socket: Cell,
        ignoring: [Errno] = []
    ) {
        sendDescriptors(
            [descriptor], with: [(textOffset(text), text.utf8.count)], over: socket,
            ignoring: ignoring)
    }

    /// Sends a message with one or two descriptors and parts of prepared memory as payload.
    mutating func sendDescriptors(
        _ descriptors: [Cell], with parts: [(offset: Int, count: Int)], over socket: Cell,
        ignoring: [Errno] = []
    ) {
        let vectors = words(parts.flatMap { [0, UInt64($0.count)] })
        for (index, part) in parts.enumerated() {
            relocate(at: vectors + index * 16, to: part.offset)
        }
        // cmsghdr: length, level and type, then four bytes per descriptor, padded to 24.
        let kind =
            UInt64(DescriptorMessageType.level) | UInt64(DescriptorMessageType.type) << 32
        let control = words([UInt64(16 + 4 * descriptors.count), kind, 0])
        let header = words([0, 0, 0, UInt64(parts.count), 0, 24, 0])
        relocate(at: header + 16, to: vectors)
        relocate(at: header + 32, to: control)
        for (index, descriptor) in descriptors.enumerated() {
            copy(descriptor, to: control + 16 + 4 * index, width: 4)
        }
        call(
            .sendmsg, [.cell(socket), .address(header), .literal(0)], ignoring: ignoring,
            retries: 100)
    }
}
#endif
