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
        streams = numbers.enumerated().compactMap { StandardStream($0.offset, at: $0.element) }
    }
}

extension StandardStream {
    /// The type of a descriptor; nil if nothing needs to be done about it.
    fileprivate init?(_ stream: Int, at descriptor: CInt) {
        guard let status = try? status(of: descriptor) else { return nil }
        number = stream
        owner = status.stx_uid
        inode = status.stx_ino
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
