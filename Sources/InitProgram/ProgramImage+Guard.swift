// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

extension ProgramImage {
    /// How long CRIU may take to undo its work once init is killed.
    private static let patienceSeconds: UInt64 = 10

    /// A process that kills init, whose pidfd is `.kept(0)`, when the parent ends or closes its end
    /// of the rendezvous; and CRIU, whose pidfd is `.kept(1)`, if that does not end then.
    ///
    /// It also has the runtime's end of CRIU's socket, `.kept(2)`: CRIU lets the processes run when
    /// that closes, so it stays open until init is killed. And CRIU may wait for ever for a process
    /// that was killed while CRIU traced it.
    package static var guardian: ProgramImage {
        var code = Assembler()
        code.prctl(.setDumpable, 0)
        code.closeDescriptors(0, gapCount: 5)
        let byte = code.scratch()
        code.call(
            .read, [.cell(code.input(.rendezvous)), .address(byte), .literal(1)],
            into: code.cell("received"), retries: 1000)
        code.kill(.kept(0))
        code.close(code.input(.kept(2)))
        let criu = code.input(.kept(1))
        let polled = code.pollEntries(criu, .readable, criu, .readable)
        let limit = code.words([Self.patienceSeconds, 0])
        code.call(
            .ppoll,
            [
                .address(polled), .literal(2), .address(limit), .literal(0),
                .literal(SignalNumber.maskBytes),
            ], retries: 1000)
        code.kill(.kept(1))
        code.call(.exitGroup, [.literal(0)])
        return code.image
    }
}

extension Assembler {
    fileprivate mutating func kill(_ process: InheritedDescriptor) {
        call(
            .pidfdSendSignal,
            [.cell(input(process)), .named(SignalNumber.kill), .literal(0), .literal(0)],
            ignoring: [.noSuchProcess])
    }
}

extension SystemCall {
    fileprivate static var pidfdSendSignal: SystemCall {
        SystemCall("pidfd_send_signal", __NR_pidfd_send_signal)
    }
}
#endif
