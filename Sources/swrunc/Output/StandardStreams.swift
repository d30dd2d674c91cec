// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import SystemPackage

#if canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// Standard input, output and error, as the caller left them.
enum StandardStreams {
    /// Opens /dev/null for each standard stream that the caller left closed.
    ///
    /// Otherwise the first file that is opened, such as the log, would get its number and become
    /// the container's standard stream.
    static func fillGaps() {
        for number: CInt in 0...2 where fcntl(number, F_GETFD) == -1 {
            // open(2) uses the lowest free number, which is this one. A failure cannot be helped.
            _ = open("/dev/null", O_RDWR)
        }
    }
}

/// Messages of a command besides its output.
enum StandardError {
    /// Writes as much as possible; a failure cannot be reported anywhere.
    static func write(_ text: String) {
        _ = try? FileDescriptor.standardError.writeAll(text.utf8)
    }
}

/// The output of a command, written without a buffer.
enum StandardOutput {
    /// Whether a person reads the output, as far as this can be known.
    static var isTerminal: Bool { isatty(1) == 1 }

    static func write(_ text: String) throws(ContainerError) {
        try write(Array(text.utf8))
    }

    static func write(_ bytes: [UInt8]) throws(ContainerError) {
        do {
            // Continues after short writes, which happen on pipes and full disks.
            try FileDescriptor.standardOutput.writeAll(bytes)
        } catch {
            throw .file("cannot write the output", call: "write", "standard output", error)
        }
    }
}
