// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

// Unix sockets for whole messages, as used by service managers: unix(7), SOCK_DGRAM.

/// Makes a socket `name` in an open directory, to which everybody may send; replaces an existing
/// one.
///
/// Kernel: bind(2), unix(7).
func bindDatagramSocket(in directory: CInt, name: String) throws(SystemCallError)
    -> OwnedDescriptor
{
    do throws(SystemCallError) {
        try removeFile(name, at: directory)
    } catch  where error.errno == .noSuchFileOrDirectory {
        // There is no existing socket.
    }
    let socket = try makeSocket(.datagram(.nonBlocking))
    let number = socket.number
    try UnixAddress("/proc/self/fd/\(directory)/\(name)").with {
        (address, length) throws(SystemCallError) in
        try systemCall(
            "bind", __NR_bind, Int(number), address, length, describing: "\"\(name)\"")
    }
    // bind(2) has applied the umask of the process.
    try withPath(name) { (path) throws(SystemCallError) in
        _ = try systemCall(
            "fchmodat", __NR_fchmodat, Int(directory), path, 0o777, describing: "\"\(name)\"")
    }
    return socket
}

/// A socket that sends to one address: a path, or an abstract name after "@".
///
/// Kernel: connect(2), unix(7).
func connectDatagramSocket(_ address: String) throws(SystemCallError) -> OwnedDescriptor {
    let socket = try makeSocket(.datagram(.nonBlocking))
    let number = socket.number
    try UnixAddress(listener: address).with { (bytes, length) throws(SystemCallError) in
        try systemCall(
            "connect", __NR_connect, Int(number), bytes, length, describing: "\"\(address)\"")
    }
    return socket
}

/// Sends one message to the connected address.
func sendDatagram(_ text: String, over socket: CInt) throws(SystemCallError) {
    try withPath(text) { (address) throws(SystemCallError) in
        _ = try systemCall(
            "sendto", __NR_sendto, Int(socket), address, text.utf8.count,
            MessageFlags.noSignal.rawValue, 0, 0, describing: "\"\(text)\"")
    }
}
#endif
