// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import KernelVocabulary
internal import SystemPackage

extension ProgramImage {
    /// A process that keeps only its end of the rendezvous open, and ends when the parent closes
    /// the other end or ends.
    ///
    /// systemd makes a scope only for existing processes; this one holds it until init has entered.
    /// If the parent sends a byte, the process leaves another one in its place, which belongs to
    /// nobody, and which says so by a byte of its own. That one waits until it is killed.
    package static var scopeKeeper: ProgramImage {
        var code = Assembler()
        code.prctl(.setDumpable, 0)
        code.closeDescriptors(0, gapCount: 2)
        let byte = code.scratch()
        let rendezvous = code.input(.rendezvous)
        let received = code.cell("received")
        code.call(
            .read, [.cell(rendezvous), .address(byte), .literal(1)], into: received, retries: 1000)
        let stays = code.skip(when: .equals(received, 1))
        code.call(.exitGroup, [.literal(0)])
        code.place(stays)
        let orphan = code.cell("orphan")
        let arguments = code.cloneArguments(.empty)
        code.call(
            .clone3, [.address(arguments), .literal(CloneLayout.sizeBytes)], into: orphan)
        let inOrphan = code.skip(when: .equals(orphan, 0))
        code.call(.exitGroup, [.literal(0)])
        code.place(inOrphan)
        code.call(.setsid, [], ignoring: [.notPermitted])
        // It must not keep a directory of the caller's in use.
        code.call(.chdir, [code.text("/")])
        // systemd ends what is left in a scope by SIGTERM.
        code.resetSignals()
        code.unblockSignals()
        code.call(.write, [.cell(rendezvous), .address(byte), .literal(1)])
        code.close(rendezvous)
        code.call(
            .ppoll,
            [
                .literal(0), .literal(0), .literal(0), .literal(0),
                .literal(SignalNumber.maskBytes),
            ], retries: 1000)
        code.call(.exitGroup, [.literal(0)])
        return code.image
    }
}

extension SystemCall {
    fileprivate static var chdir: SystemCall { SystemCall("chdir", __NR_chdir) }
}
#endif
