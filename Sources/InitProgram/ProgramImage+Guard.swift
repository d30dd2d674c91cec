// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

extension ProgramImage {
    /// A process that kills another one, whose pidfd is `.kept(0)`, when the parent ends or closes
    /// its end of the rendezvous.
    package static var guardian: ProgramImage {
        var code = Assembler()
        code.prctl(.setDumpable, 0)
        code.closeDescriptors(0, gapCount: 3)
        let byte = code.scratch()
        code.call(
            .read, [.cell(code.input(.rendezvous)), .address(byte), .literal(1)],
            into: code.cell("received"), retries: 1000)
        code.call(
            .pidfdSendSignal,
            [
                .cell(code.input(.kept(0))), .named(SignalNumber.kill), .literal(0), .literal(0),
            ], ignoring: [.noSuchProcess])
        code.call(.exitGroup, [.literal(0)])
        return code.image
    }
}

extension SystemCall {
    fileprivate static var pidfdSendSignal: SystemCall {
        SystemCall("pidfd_send_signal", __NR_pidfd_send_signal)
    }
}
#endif
