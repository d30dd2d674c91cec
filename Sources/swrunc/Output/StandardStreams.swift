// SPDX-License-Identifier: Apache-2.0

internal import ContainerKit
internal import Glibc
internal import SystemPackage

/// Standard input, output and error as the caller left them.
enum StandardStreams {
    /// Puts /dev/null where the caller left a standard stream closed.
    ///
    /// Otherwise the first file that is opened, such as the log, would take its number and be the
    /// container's standard stream.
    static func fillGaps() {
        for number: CInt in 0...2 where fcntl(number, F_GETFD) == -1 {
            // The lowest free number is this one. Without /dev/null nothing can be done.
            _ = open("/dev/null", O_RDWR)
        }
    }
}

/// What a command says beside its answer.
enum StandardError {
    /// Writes as much as is taken: nobody can be told of what is not.
    static func write(_ text: String) {
        _ = try? FileDescriptor.standardError.writeAll(text.utf8)
    }
}

/// What a command answers, written without a buffer.
enum StandardOutput {
    static func write(_ text: String) throws(ContainerError) {
        try write(Array(text.utf8))
    }

    static func write(_ bytes: [UInt8]) throws(ContainerError) {
        do {
            // Goes on after a short write, as pipes and full disks cause.
            try FileDescriptor.standardOutput.writeAll(bytes)
        } catch {
            throw .file("cannot write the output", call: "write", "standard output", error)
        }
    }
}
