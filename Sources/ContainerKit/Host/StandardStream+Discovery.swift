// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary
internal import SystemPackage

extension CallerFacts {
    /// Determines the types of the standard streams, unless the process gets a terminal instead.
    mutating func lookAtStreams(_ io: ProcessIO, takesTerminal: Bool) {
        var numbers: [CInt] = [0, 1, 2]
        if case .descriptors(let input, let output, let error) = io {
            replacedStreams = [0, 1, 2]
            numbers = [input, output, error]
        }
        guard !takesTerminal else { return }
        for (number, descriptor) in numbers.enumerated() {
            let status = try? status(of: descriptor)
            externalStreams.append(status.map(Self.externalKey) ?? "")
            guard let status, let stream = StandardStream(number, at: descriptor, status) else {
                continue
            }
            streams.append(stream)
        }
    }

    /// CRIU's name of a stream that is not the container's own; empty for a socket.
    ///
    /// A pipe has its name in procfs, a file is named by its mount and its inode.
    ///
    /// Source: criu(8), `--inherit-fd`.
    private static func externalKey(_ status: clinux_statx) -> String {
        switch status.kind {
        case .fifo: "pipe:[\(status.stx_ino)]"
        case .socket: ""
        default: "file[\(status.stx_mnt_id.hexadecimalText):\(status.stx_ino.hexadecimalText)]"
        }
    }
}

extension StandardStream {
    /// The type of a descriptor; nil if nothing needs to be done about it.
    fileprivate init?(_ stream: Int, at descriptor: CInt, _ status: clinux_statx) {
        number = stream
        owner = status.stx_uid
        switch status.kind {
        case .fifo: kind = .pipe
        case .socket: kind = .socket
        case .characterDevice:
            guard let kind = Kind(device: status, at: descriptor) else { return nil }
            self.kind = kind
        default: return nil
        }
    }
}

extension StandardStream.Kind {
    /// A terminal has terminal modes; those with major number 5, such as /dev/tty, are excluded,
    /// since they belong to everybody.
    fileprivate init?(device status: clinux_statx, at descriptor: CInt) {
        if status.stx_rdev_major == 1 {
            guard let device = StatelessDevice(rawValue: status.stx_rdev_minor) else { return nil }
            guard let flags = statusFlags(of: descriptor) else { return nil }
            let kept: OpenFlags = .writeOnly | .readWrite | .append | .nonBlocking
            self = .device(device, flags: flags.intersection(kept))
            return
        }
        guard status.stx_rdev_major != 5, isTerminal(descriptor) else {
            return nil
        }
        self = .terminal
    }
}
#endif
