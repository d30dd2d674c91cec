// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import ByteText
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

/// Makes a pipe, both ends above 2 and close-on-exec; the caller must close them.
///
/// Kernel: pipe2(2).
package func makePipe() throws(SystemCallError) -> (reader: CInt, writer: CInt) {
    var numbers: (CInt, CInt) = (-1, -1)
    try withAddress(of: &numbers) { (address) throws(SystemCallError) in
        _ = try systemCall(
            "pipe2", __NR_pipe2, address, OpenFlags.closeOnExec.rawValue, describing: "")
    }
    let (first, second) = numbers
    let writer = OwnedDescriptor(taking: second)
    let reader = try aboveStreams(OwnedDescriptor(taking: first))
    let raised = try aboveStreams(writer)
    return (reader.release(), raised.release())
}

/// Duplicates a descriptor to a number above the standard streams.
func aboveStreams(_ descriptor: consuming OwnedDescriptor) throws(SystemCallError)
    -> OwnedDescriptor
{
    guard descriptor.number < 3 else { return descriptor }
    return try duplicate(descriptor.number, from: 3)
}

/// Makes reads and writes of an open file non-blocking.
///
/// Kernel: fcntl(2), F_SETFL with O_NONBLOCK.
package func makeNonBlocking(_ descriptor: CInt) throws(SystemCallError) {
    try setStatusFlags(descriptor, .nonBlocking)
}

/// Makes writes blocking for a file that was opened non-blocking for appending.
///
/// Kernel: fcntl(2), F_SETFL.
func makeBlocking(_ descriptor: CInt) throws(SystemCallError) {
    try setStatusFlags(descriptor, .append)
}

private func setStatusFlags(_ descriptor: CInt, _ flags: OpenFlags) throws(SystemCallError) {
    let command = FileCommand.setStatusFlags
    try systemCall(
        "fcntl", __NR_fcntl, Int(descriptor), command.rawValue, flags.rawValue,
        describing: "\(descriptor), \(command), \(flags)")
}

/// The access mode and flags of an open file; nil if they cannot be read.
///
/// Kernel: fcntl(2), F_GETFL.
func statusFlags(of descriptor: CInt) -> OpenFlags? {
    let command = FileCommand.getStatusFlags
    let flags = try? systemCall(
        "fcntl", __NR_fcntl, Int(descriptor), command.rawValue,
        describing: "\(descriptor), \(command)")
    return flags.map { OpenFlags(rawValue: $0) }
}

/// Reads once, at most `limitBytes`; empty at the end, nil if there is nothing yet.
///
/// Kernel: read(2).
func readAvailable(_ descriptor: CInt, limitBytes: Int) throws(SystemCallError) -> [UInt8]? {
    do throws(SystemCallError) {
        return try bytes(atMost: limitBytes) { (address, room) throws(SystemCallError) in
            try systemCall(
                "read", __NR_read, Int(descriptor), address, room,
                describing: "descriptor \(descriptor)")
        }
    } catch  where error.errno == .resourceTemporarilyUnavailable {
        return nil
    }
}

/// Writes once; returns the number of bytes written, 0 if there is no room yet.
///
/// Kernel: write(2).
func writeAvailable(_ bytes: ArraySlice<UInt8>, to descriptor: CInt) throws(SystemCallError) -> Int
{
    do throws(SystemCallError) {
        return try withAddress(ofElements: bytes) { (address, count) throws(SystemCallError) in
            try systemCall(
                "write", __NR_write, Int(descriptor), address, count,
                describing: "descriptor \(descriptor)")
        }
    } catch  where error.errno == .resourceTemporarilyUnavailable {
        return 0
    }
}
#endif
