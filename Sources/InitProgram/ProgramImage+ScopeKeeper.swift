// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import KernelVocabulary

extension ProgramImage {
    /// A process that keeps only its end of the rendezvous open, and ends when the parent closes
    /// the other end or ends.
    ///
    /// systemd makes a scope only for existing processes; this one holds it until init has entered.
    package static var scopeKeeper: ProgramImage {
        var code = Assembler()
        code.prctl(.setDumpable, 0)
        code.closeDescriptors(0, gapCount: 2)
        let byte = code.scratch()
        let rendezvous = code.input(.rendezvous)
        code.call(
            .read, [.cell(rendezvous), .address(byte), .literal(1)], into: code.cell("received"),
            retries: 1000)
        code.call(.exitGroup, [.literal(0)])
        return code.image
    }
}
#endif
