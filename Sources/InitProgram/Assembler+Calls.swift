// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary
internal import SystemPackage

// Calls that steps of several themes use.

extension Assembler {
    mutating func prctl(_ option: ProcessControl, _ value: Int) {
        prctl(option, .literal(value))
    }

    mutating func prctl(_ option: ProcessControl, _ value: Operand) {
        call(.prctl, [.named(option), value, .literal(0), .literal(0), .literal(0)])
    }

    /// Kills this process when the thread that started it ends.
    ///
    /// - Parameter parent: the ID of that thread's process.
    mutating func endWithParent(_ parent: Int32) {
        prctl(.endWithParent, .named(SignalNumber.kill))
        // The parent may have ended before the prctl took effect.
        let found = cell("parent")
        call(.getppid, [], into: found)
        let isThere = skip(when: .equals(found, Int(parent)))
        call(.exitGroup, [.literal(0)])
        place(isThere)
    }

    mutating func close(_ descriptor: Cell) {
        call(.close, [.cell(descriptor)])
    }

    /// Opens a file of the host for writing; used before the root changes, while paths are the
    /// host's.
    mutating func openHostFile(_ path: String, _ name: String) -> Cell {
        let file = cell(name)
        open(text(path), .writeOnly, into: file)
        return file
    }

    mutating func statx(
        _ descriptor: Operand, into offset: Int, result: Cell? = nil, ignoring: [Errno] = []
    ) {
        call(
            .statx,
            [
                descriptor, text(""), .named(PathFlags.emptyPath), .named(StatusMask.basic),
                .address(offset),
            ], into: result, ignoring: ignoring)
    }

    /// The socket of the connection to the process that lets this one go on.
    mutating func socket(of channel: StartChannel, _ state: LoweringState) -> Cell {
        switch (channel, state.startConnection) {
        case (.startConnection, let connection?): connection
        case (.startConnection, nil): preconditionFailure("a start is answered before it came")
        case (.rendezvous, _): input(.rendezvous)
        }
    }
}
#endif
