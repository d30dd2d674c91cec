// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import SystemPackage

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

extension ContainerError {
    /// A file that could not be used; `cause` is the error thrown by swift-system.
    static func file(
        _ message: String, call: String, _ path: String, _ cause: any Error
    ) -> ContainerError {
        let errno = cause as? Errno ?? .ioError
        return ContainerError(
            .systemCall, message,
            failure: SystemCallError(call, path.debugDescription, errno: errno))
    }
}

/// The absolute path without `.`, `..` and doubled slashes; symbolic links are not resolved.
func absolutePath(_ text: String) throws(ContainerError) -> FilePath {
    let path = FilePath(text)
    if path.isAbsolute { return path.lexicallyNormalized() }
    guard let directory = getcwd(nil, 0) else {
        throw .file("no working directory", call: "getcwd", text, Errno(rawValue: errno))
    }
    defer { free(directory) }
    guard String(validatingCString: directory) != nil else {
        throw ContainerError(
            .invalidArgument, "the working directory's path is not UTF-8",
            hint: "give an absolute path")
    }
    return FilePath(platformString: directory).pushing(path).lexicallyNormalized()
}

/// Reads all bytes of a file; a FIFO without a writer is empty, instead of blocking.
func readFile(_ path: FilePath) throws(ContainerError) -> [UInt8] {
    let name = path.string
    do {
        let descriptor = try FileDescriptor.open(
            path, .readOnly, options: [.closeOnExec, .nonBlocking])
        defer { try? descriptor.close() }
        return try readAll(descriptor)
    } catch {
        throw .file("cannot read the file", call: "open", name, error)
    }
}

/// Reads all bytes of a file, or of standard input for `-`; with the name for messages.
func readFileOrInput(_ path: FilePath) throws(ContainerError) -> (bytes: [UInt8], name: String) {
    try path == "-" ? (readStandardInput(), "standard input") : (readFile(path), path.string)
}

/// Reads all bytes of standard input.
func readStandardInput() throws(ContainerError) -> [UInt8] {
    do {
        return try readAll(.standardInput)
    } catch {
        throw .file("cannot read the input", call: "read", "standard input", error)
    }
}

/// Reads to the end of the file.
///
/// - Throws: EFBIG if there are more than 16 MiB.
private func readAll(_ descriptor: FileDescriptor) throws -> [UInt8] {
    var bytes: [UInt8] = []
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 1)
    defer { chunk.deallocate() }
    while bytes.count <= 16 << 20 {
        do {
            let count = try descriptor.read(into: chunk)
            if count == 0 { return bytes }
            bytes += chunk.prefix(count)
        } catch Errno.resourceTemporarilyUnavailable where isWaitedFor(descriptor) {
            // A FIFO opened with O_NONBLOCK, whose writer is slow.
            var entry = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
            _ = poll(&entry, 1, -1)
        }
    }
    throw Errno.fileTooLarge
}

/// Whether more can come of a file that has nothing to read now; others, such as /proc/kmsg, have no
/// end.
private func isWaitedFor(_ descriptor: FileDescriptor) -> Bool {
    var status = stat()
    guard fstat(descriptor.rawValue, &status) == 0 else { return false }
    switch status.st_mode & S_IFMT {
    case S_IFREG, S_IFCHR: return isatty(descriptor.rawValue) == 1
    default: return true
    }
}

extension FileDescriptor {
    /// Opens a file to which several commands append, which is made if it is missing.
    ///
    /// A FIFO without a reader is refused with ENXIO, and a full one takes nothing: a command must
    /// not wait for a reader.
    static func openForAppending(
        _ path: FilePath, _ mode: AccessMode = .writeOnly, options: OpenOptions = []
    ) throws(Errno) -> FileDescriptor {
        do {
            return try open(
                path, mode,
                options: options.union([.append, .create, .closeOnExec, .nonBlocking]),
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
        } catch {
            throw error as? Errno ?? .ioError
        }
    }

    /// The last byte of a file; nil if it is empty, or cannot be read.
    var lastByte: UInt8? {
        guard let size = try? seek(offset: 0, from: .end), size > 0 else { return nil }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1, alignment: 1)
        defer { buffer.deallocate() }
        let count = try? read(fromAbsoluteOffset: size - 1, into: buffer)
        return count == 1 ? buffer[0] : nil
    }
}

/// Creates a file; fails if it exists.
func writeNewFile(_ path: FilePath, _ bytes: [UInt8]) throws(Errno) {
    do {
        let descriptor = try FileDescriptor.open(
            path, .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec],
            permissions: [.ownerReadWrite, .groupRead, .otherRead])
        try descriptor.closeAfter { _ = try descriptor.writeAll(bytes) }
    } catch {
        throw error as? Errno ?? .ioError
    }
}
