// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

// rtnetlink: the part that is needed to move a network device with its addresses.
//
// Numbers are in the machine's byte order, and the parts of a message are aligned to four bytes.
// All lengths in the kernel's answers are checked against the bytes received.

/// The types and flags of messages.
///
/// Source: linux/netlink.h, linux/rtnetlink.h.
enum NetlinkNumber {
    static let error: UInt16 = 2
    static let done: UInt16 = 3
    static let newLink: UInt16 = 16
    static let getLink: UInt16 = 18
    static let newAddress: UInt16 = 20
    static let getAddress: UInt16 = 22
    /// NLM_F_REQUEST.
    static let request: UInt16 = 0x1
    /// NLM_F_ACK.
    static let acknowledge: UInt16 = 0x4
    /// NLM_F_ROOT and NLM_F_MATCH.
    static let dump: UInt16 = 0x300
    /// NLM_F_DUMP_INTR: the dumped data changed during the dump.
    static let interrupted: UInt16 = 0x10
    /// NLM_F_EXCL and NLM_F_CREATE.
    static let createNew: UInt16 = 0x600
    /// NLM_F_ACK_TLVS.
    static let hasExplanation: UInt16 = 0x200
}

/// One message: a header, a structure of its family, and attributes.
struct NetlinkMessage: Equatable, Sendable {
    /// The type of the request or answer.
    var type: UInt16
    /// NLM_F_* bits.
    var flags: UInt16
    /// The number of the request that it belongs to.
    var sequence: UInt32 = 0
    /// The structure of the family, and the attributes.
    var payload: [UInt8] = []

    static let headerSize = 16

    /// A request with an empty payload.
    init(_ type: UInt16, _ flags: UInt16) {
        self.type = type
        self.flags = flags
    }

    /// Appends a structure in the machine's own layout.
    mutating func append(_ value: some BitwiseCopyable) {
        withUnsafeBytes(of: value) { payload.append(contentsOf: $0) }
    }

    /// Appends an attribute, padded to four bytes.
    mutating func append(_ attribute: UInt16, _ value: [UInt8]) {
        append(UInt16(4 + value.count))
        append(attribute)
        payload.append(contentsOf: value)
        payload.append(contentsOf: repeatElement(0, count: (4 - value.count % 4) % 4))
    }

    /// Appends a 32-bit attribute.
    mutating func append(_ attribute: UInt16, number: UInt32) {
        append(attribute, withUnsafeBytes(of: number) { Array($0) })
    }

    /// The message as sent to the kernel.
    var bytes: [UInt8] {
        var message = NetlinkMessage(0, 0)
        message.append(UInt32(Self.headerSize + payload.count))
        message.append(type)
        message.append(flags)
        message.append(sequence)
        message.append(UInt32(0))
        return message.payload + payload
    }

    /// Parses the messages of one datagram; nil if a length does not fit.
    static func messages(in datagram: ArraySlice<UInt8>) -> [NetlinkMessage]? {
        var found: [NetlinkMessage] = []
        var rest = datagram
        while !rest.isEmpty {
            guard let length = rest.number(at: 0, as: UInt32.self).map(Int.init),
                let type = rest.number(at: 4, as: UInt16.self),
                let flags = rest.number(at: 6, as: UInt16.self),
                let sequence = rest.number(at: 8, as: UInt32.self),
                length >= headerSize, length <= rest.count
            else { return nil }
            var message = NetlinkMessage(type, flags)
            message.sequence = sequence
            message.payload = Array(rest.dropFirst(headerSize).prefix(length - headerSize))
            found.append(message)
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return found
    }

    /// The value of an attribute that follows the first `offset` bytes of the payload.
    func attribute(_ number: UInt16, after offset: Int) -> [UInt8]? {
        var rest = payload.dropFirst(offset)
        while let length = rest.number(at: 0, as: UInt16.self).map(Int.init),
            let type = rest.number(at: 2, as: UInt16.self), length >= 4, length <= rest.count
        {
            // The two upper bits are flags for nested attributes and network byte order.
            if type & 0x3fff == number { return Array(rest.dropFirst(4).prefix(length - 4)) }
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return nil
    }
}

extension Collection<UInt8> {
    /// The number at an offset, in the machine's byte order; nil if it does not fit.
    func number<Number: FixedWidthInteger>(at offset: Int, as type: Number.Type) -> Number? {
        let bytes = dropFirst(offset).prefix(MemoryLayout<Number>.size)
        guard bytes.count == MemoryLayout<Number>.size else { return nil }
        return bytes.reversed().reduce(0) { $0 << 8 | Number(truncatingIfNeeded: $1) }
    }
}

/// An rtnetlink socket; it belongs to the network namespace in which it was made, wherever it is
/// used.
///
/// Kernel: rtnetlink(7).
struct NetlinkSocket: ~Copyable {
    /// The size of the kernel's answers to a dump.
    private static let bufferSize = 1 << 16
    /// A limit above the number of datagrams for a hundred thousand addresses.
    private static let mostDatagrams = 1 << 14
    private static let levelNetlink = 270

    private let descriptor: OwnedDescriptor
    private var sequence: UInt32 = 0

    /// Makes a socket in the namespace of this thread.
    init() throws(SystemCallError) {
        try self.init(taking: makeSocket(.raw(), .netlink, .route))
    }

    /// Takes over a socket that was made in another namespace.
    init(taking descriptor: consuming OwnedDescriptor) throws(SystemCallError) {
        self.descriptor = descriptor
        // Errors come without the request (NETLINK_CAP_ACK) and with a text (NETLINK_EXT_ACK).
        for option in [10, 11] {
            var one: Int32 = 1
            let number = Int(self.descriptor.number)
            try withAddress(of: &one) { (address) throws(SystemCallError) in
                _ = try systemCall(
                    "setsockopt", __NR_setsockopt, number, Self.levelNetlink, option, address, 4,
                    describing: "SOL_NETLINK, \(option)")
            }
        }
    }

    /// The network namespace that the socket belongs to.
    ///
    /// Kernel: SIOCGSKNS, Linux 4.10.
    borrowing func namespace() throws(SystemCallError) -> OwnedDescriptor {
        let number = try systemCall(
            "ioctl", __NR_ioctl, Int(descriptor.number),
            DeviceRequest.networkNamespaceOfSocket.rawValue, 0,
            describing: "\(DeviceRequest.networkNamespaceOfSocket)")
        return OwnedDescriptor(taking: CInt(number))
    }

    /// Sends a request and returns its answers.
    ///
    /// - Parameters:
    ///   - request: the request, with `NLM_F_ACK` or as a dump.
    ///   - name: the name of the request, for error messages.
    ///   - arguments: the subject of the request, for error messages.
    /// - Returns: the answers without the acknowledgement.
    /// - Throws: the kernel's refusal, with its own text after the arguments.
    mutating func send(
        _ request: NetlinkMessage, _ name: String, _ arguments: @autoclosure () -> String
    ) throws(SystemCallError) -> [NetlinkMessage] {
        // A dump is repeated if the data changed meanwhile.
        for _ in 0..<16 {
            sequence += 1
            var request = request
            request.sequence = sequence
            try write(request.bytes, name)
            if let answers = try receive(name, arguments()) { return answers }
        }
        throw SystemCallError(name, arguments(), errno: .resourceTemporarilyUnavailable)
    }

    private borrowing func write(_ bytes: [UInt8], _ name: String) throws(SystemCallError) {
        let socket = Int(descriptor.number)
        try withAddress(ofElements: bytes) { (address, count) throws(SystemCallError) in
            _ = try systemCall(
                "sendto", __NR_sendto, socket, address, count, 0, 0, 0, describing: name)
        }
    }

    /// The answers to the last request; nil if a dump is inconsistent.
    private borrowing func receive(_ name: String, _ arguments: String) throws(SystemCallError)
        -> [NetlinkMessage]?
    {
        var answers: [NetlinkMessage] = []
        var isConsistent = true
        for _ in 0..<Self.mostDatagrams {
            for message in try readDatagram() where message.sequence == sequence {
                if message.flags & NetlinkNumber.interrupted != 0 { isConsistent = false }
                switch message.type {
                case NetlinkNumber.error:
                    try Self.checkRefusal(message, name, arguments)
                    return answers
                case NetlinkNumber.done:
                    return isConsistent ? answers : nil
                default: answers.append(message)
                }
            }
        }
        throw SystemCallError(name, arguments, errno: .messageTooLong)
    }

    /// Throws the error of a message; in an acknowledgement the error number is 0.
    private static func checkRefusal(
        _ message: NetlinkMessage, _ name: String, _ arguments: String
    ) throws(SystemCallError) {
        guard let number = message.payload.number(at: 0, as: Int32.self) else {
            throw SystemCallError(name, arguments, errno: .badMessage)
        }
        guard number != 0 else { return }
        var words = arguments
        // The text (NLMSGERR_ATTR_MSG) comes after the error number and the request's header.
        if message.flags & NetlinkNumber.hasExplanation != 0,
            let text = message.attribute(1, after: 4 + NetlinkMessage.headerSize)
        {
            words += ", \"\(String(decoding: text.prefix { $0 != 0 }, as: UTF8.self))\""
        }
        throw SystemCallError(name, words, errno: Errno(rawValue: -number))
    }

    /// Reads one datagram; those not from the kernel are skipped.
    private borrowing func readDatagram() throws(SystemCallError) -> [NetlinkMessage] {
        let socket = Int(descriptor.number)
        // struct sockaddr_nl: family 2, padding 2, port 4, groups 4.
        var sender: (UInt32, UInt32, UInt32) = (0, 0, 0)
        var length = 0
        let bytes = try bytes(atMost: Self.bufferSize) { (address, room) throws(SystemCallError) in
            length = try withAddress(of: &sender) { (from) throws(SystemCallError) in
                var size: UInt32 = 12
                return try withAddress(of: &size) { (size) throws(SystemCallError) in
                    // The length is the datagram's own, even if it does not fit.
                    try systemCall(
                        "recvfrom", __NR_recvfrom, socket, address, room,
                        MessageFlags.truncated.rawValue, from, size,
                        describing: "rtnetlink")
                }
            }
            return min(length, room)
        }
        // The kernel's port ID is 0.
        guard sender.1 == 0 else { return [] }
        guard length <= Self.bufferSize, let messages = NetlinkMessage.messages(in: bytes[...])
        else {
            throw SystemCallError("recvfrom", "rtnetlink, \(length) bytes", errno: .badMessage)
        }
        return messages
    }
}
#endif
