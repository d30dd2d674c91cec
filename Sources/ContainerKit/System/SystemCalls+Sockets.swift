// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import RuntimeSpec
internal import SystemPackage

/// Two connected stream sockets.
///
/// Kernel: socketpair(2), AF_UNIX.
struct SocketPair: ~Copyable {
    let first: OwnedDescriptor
    let second: OwnedDescriptor

    /// Gives up both ends without closing them.
    consuming func numbers() -> (CInt, CInt) {
        (first.release(), second.release())
    }
}

/// Makes two connected stream sockets.
///
/// Kernel: socketpair(2), AF_UNIX.
func socketPair() throws(SystemCallError) -> SocketPair {
    try socketPair(.stream())
}

/// Makes two connected sockets that preserve message boundaries.
///
/// Kernel: socketpair(2), SOCK_SEQPACKET.
func packetSocketPair() throws(SystemCallError) -> SocketPair {
    try socketPair(.packets())
}

private func socketPair(_ type: SocketType) throws(SystemCallError) -> SocketPair {
    var numbers: (CInt, CInt) = (-1, -1)
    try withAddress(of: &numbers) { (address) throws(SystemCallError) in
        _ = try systemCall(
            "socketpair", __NR_socketpair, AddressFamily.unix.rawValue, type.number, 0, address,
            describing: "\(AddressFamily.unix), \(type)")
    }
    return SocketPair(
        first: OwnedDescriptor(taking: numbers.0), second: OwnedDescriptor(taking: numbers.1))
}

/// `struct sockaddr_un` with a path.
struct UnixAddress {
    /// sun_path has 108 bytes including the NUL; a longer path is addressed through its directory.
    static let longestPath = 107

    private static let family = UInt8(AddressFamily.unix.rawValue)

    private let bytes: [UInt8]

    /// An address for a path of at most `longestPath` bytes.
    init(_ path: String) {
        bytes = [Self.family, 0] + Array(path.utf8) + [0]
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// An address in the notation of NOTIFY_SOCKET; an abstract name has no NUL at its end.
    init(listener address: String) {
        guard address.begins(with: "@") else {
            self.init(address)
            return
        }
        self.init(bytes: [Self.family, 0, 0] + Array(address.utf8.dropFirst()))
    }

    func with(_ body: (_ address: Int, _ length: Int) throws(SystemCallError) -> Void)
        throws(SystemCallError)
    {
        try withAddress(ofElements: bytes, body)
    }
}

/// Makes a socket.
///
/// Kernel: socket(2).
func makeSocket(
    _ type: SocketType, _ family: AddressFamily = .unix, _ netlink: NetlinkProtocol? = nil
) throws(SystemCallError) -> OwnedDescriptor {
    let number = try systemCall(
        "socket", __NR_socket, family.rawValue, type.number, netlink?.rawValue ?? 0,
        describing: "\(family), \(type)\(netlink.map { ", \($0)" } ?? "")")
    return OwnedDescriptor(taking: CInt(number))
}

/// Connects to a listening stream socket; the path may be longer than 107 bytes.
///
/// Kernel: connect(2), unix(7).
///
/// A listener whose queue is full is waited for, at most until the deadline.
func connectUnixSocket(path: String, before deadline: Deadline? = nil) throws(SystemCallError)
    -> OwnedDescriptor
{
    guard let deadline else { return try connectUnixSocket(path: path, .stream()) }
    while true {
        do throws(SystemCallError) {
            let socket = try connectUnixSocket(path: path, .stream(.nonBlocking))
            try makeBlocking(socket.number)
            return socket
        } catch  where error.errno == .resourceTemporarilyUnavailable {
            guard deadline.remainingMilliseconds > 0 else {
                throw SystemCallError("connect", "\"\(path)\"", errno: .timedOut)
            }
            wait(milliseconds: 10)
        }
    }
}

private func connectUnixSocket(path: String, _ type: SocketType) throws(SystemCallError)
    -> OwnedDescriptor
{
    let socket = try makeSocket(type)
    if path.utf8.count <= UnixAddress.longestPath {
        try connect(socket.number, to: path, named: path)
        return socket
    }
    // The path of a descriptor of the socket's file is always short enough.
    let file = try openFile(path, .pathOnly)
    try connect(socket.number, to: "/proc/self/fd/\(file.number)", named: path)
    return socket
}

private func connect(_ socket: CInt, to address: String, named path: String)
    throws(SystemCallError)
{
    try UnixAddress(address).with { (address, length) throws(SystemCallError) in
        try systemCall(
            "connect", __NR_connect, Int(socket), address, length, describing: "\"\(path)\"")
    }
}

/// Makes a listening stream socket `name` in an open directory, with a backlog of one connection.
///
/// Kernel: bind(2), listen(2), unix(7).
func listenUnixSocket(in directory: CInt, name: String) throws(SystemCallError) -> OwnedDescriptor {
    let path = "/proc/self/fd/\(directory)/\(name)"
    guard path.utf8.count <= UnixAddress.longestPath else {
        throw SystemCallError("bind", "\"\(name)\"", errno: .fileNameTooLong)
    }
    let socket = try makeSocket(.stream())
    let number = socket.number
    // The socket's file gets the mode of the socket, whatever the umask: only the owner may
    // connect.
    try systemCall("fchmod", __NR_fchmod, Int(number), 0o600, describing: "\"\(name)\"")
    try UnixAddress(path).with { (address, length) throws(SystemCallError) in
        try systemCall(
            "bind", __NR_bind, Int(number), address, length, describing: "\"\(name)\"")
    }
    try systemCall("listen", __NR_listen, Int(number), 1, describing: "\"\(name)\"")
    return socket
}

/// Connects to the listening socket `name` in an open directory.
///
/// Kernel: connect(2), unix(7).
func connectUnixSocket(in directory: CInt, name: String) throws(SystemCallError)
    -> OwnedDescriptor
{
    let path = "/proc/self/fd/\(directory)/\(name)"
    guard path.utf8.count <= UnixAddress.longestPath else {
        throw SystemCallError("connect", "\"\(name)\"", errno: .fileNameTooLong)
    }
    let socket = try makeSocket(.stream())
    try connect(socket.number, to: path, named: name)
    return socket
}

/// `struct msghdr`, with one `struct iovec`.
private struct MessageHeader {
    var name = 0
    var nameLength: UInt64 = 0
    var vectors: Int
    var vectorCount = 1
    var control: Int
    var controlLength: Int
    var flags: UInt64 = 0
}

/// `struct cmsghdr` of SOL_SOCKET, SCM_RIGHTS with room for two descriptors.
private struct DescriptorMessage {
    var length: Int = 20
    var level = DescriptorMessageType.level
    var type = DescriptorMessageType.type
    var first: Int32 = -1
    var second: Int32 = -1
}

/// One message received from a socket.
struct ReceivedMessage: ~Copyable {
    let bytes: [UInt8]
    let descriptor: OwnedDescriptor
    /// The second descriptor, if there are two.
    let second: OwnedDescriptor?
    /// The number of the second descriptor.
    let secondNumber: CInt?

    /// Takes the descriptor out without closing it.
    consuming func takeDescriptor() -> OwnedDescriptor { descriptor }
}

/// Receives a message with exactly one descriptor, which is close-on-exec.
func receiveDescriptor(from socket: CInt) throws(SystemCallError) -> OwnedDescriptor {
    let message = try receiveMessage(from: socket)
    guard message.secondNumber == nil else {
        throw SystemCallError(
            "recvmsg", "descriptor \(socket), one descriptor expected", errno: .badMessage)
    }
    return message.takeDescriptor()
}

/// Receives a message with one or two descriptors, which are close-on-exec.
///
/// A message with none or more, or the end of the stream, causes EBADMSG; received descriptors are
/// closed.
///
/// Kernel: recvmsg(2), SCM_RIGHTS.
func receiveMessage(from socket: CInt) throws(SystemCallError) -> ReceivedMessage {
    // The longest name that runc sends, and the longest path of a child's request, have 4096 bytes.
    let packet = try receivePacket(from: socket, limitBytes: 4096 + 64)
    let second = packet.descriptors.dropFirst().first
    guard let first = packet.descriptors.first else {
        throw SystemCallError(
            "recvmsg", "descriptor \(socket), one descriptor expected", errno: .badMessage)
    }
    return ReceivedMessage(
        bytes: packet.bytes, descriptor: OwnedDescriptor(taking: first),
        second: second == nil ? nil : OwnedDescriptor(taking: second ?? -1), secondNumber: second)
}

/// Receives a message with at most two descriptors, which are close-on-exec; the caller must close
/// them.
///
/// A message with more, or a longer one, causes EBADMSG; received descriptors are closed.
///
/// Kernel: recvmsg(2), SCM_RIGHTS.
func receivePacket(from socket: CInt, limitBytes: Int) throws(SystemCallError)
    -> (bytes: [UInt8], descriptors: [CInt])
{
    var text = [UInt8](repeating: 0, count: limitBytes)
    var control = DescriptorMessage(length: 0, level: 0, type: 0)
    var flags: MessageFlags = .empty
    let length = try withAddress(ofElements: &text) { (base, room) throws(SystemCallError) in
        var vector = (base: base, length: room)
        return try withAddress(of: &vector) { (vector) throws(SystemCallError) in
            try withAddress(of: &control) { (address) throws(SystemCallError) in
                var header = MessageHeader(
                    vectors: vector, control: address,
                    controlLength: MemoryLayout<DescriptorMessage>.size)
                let count = try withAddress(of: &header) { (header) throws(SystemCallError) in
                    try systemCall(
                        "recvmsg", __NR_recvmsg, Int(socket), header,
                        MessageFlags.closeOnExec.rawValue,
                        describing: "descriptor \(socket)")
                }
                flags = MessageFlags(rawValue: Int(header.flags))
                return count
            }
        }
    }
    // There is no padding: 16 bytes of header and 4 per descriptor.
    let isRights =
        control.level == DescriptorMessageType.level && control.type == DescriptorMessageType.type
    let count = isRights ? max(0, (control.length - 16) / 4) : 0
    let descriptors = Array([control.first, control.second].prefix(count))
    // There is room for two: the kernel drops further ones, and sets a flag.
    guard count <= 2, flags.isDisjoint(with: .truncatedControl | .truncated) else {
        for number in descriptors { _ = OwnedDescriptor(taking: number) }
        throw SystemCallError(
            "recvmsg", "descriptor \(socket), more than was expected", errno: .badMessage)
    }
    return (Array(text.prefix(length)), descriptors)
}

/// Sends a whole message; without SIGPIPE if the receiver is gone.
///
/// Kernel: sendto(2).
func sendPacket(_ bytes: [UInt8], over socket: CInt, named name: String? = nil)
    throws(SystemCallError)
{
    try withAddress(ofElements: bytes) { (address, count) throws(SystemCallError) in
        _ = try systemCall(
            "sendto", __NR_sendto, Int(socket), address, count, MessageFlags.noSignal.rawValue,
            0, 0, describing: name ?? "descriptor \(socket)")
    }
}

/// Ends both directions of a socket.
///
/// Kernel: shutdown(2), SHUT_RDWR.
func shutDown(_ socket: CInt) {
    _ = raw_system_call(Int(__NR_shutdown), Int(socket), 2, 0, 0, 0, 0)
}

/// Sends a descriptor and a text of at least one byte.
///
/// Kernel: sendmsg(2), SCM_RIGHTS.
///
/// With `waits` false, a full socket causes EAGAIN.
func sendDescriptor(_ descriptor: CInt, text: String, over socket: CInt, waits: Bool = true)
    throws(SystemCallError)
{
    var control = DescriptorMessage(first: descriptor)
    try withPath(text) { (address) throws(SystemCallError) in
        var vector = (base: address, length: max(1, text.utf8.count))
        try withAddress(of: &vector) { (vector) throws(SystemCallError) in
            try withAddress(of: &control) { (control) throws(SystemCallError) in
                var header = MessageHeader(vectors: vector, control: control, controlLength: 20)
                try withAddress(of: &header) { (header) throws(SystemCallError) in
                    let flags: MessageFlags = waits ? .noSignal : .noSignal | .noWait
                    _ = try systemCall(
                        "sendmsg", __NR_sendmsg, Int(socket), header, flags.rawValue,
                        describing: "descriptor \(socket), SCM_RIGHTS")
                }
            }
        }
    }
}
#endif
