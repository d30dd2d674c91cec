// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import SystemPackage

extension RecordedInstruction {
    /// What it means that the kernel refuses the call, as the theme of its step knows it.
    func hint(_ errno: CInt) -> String? {
        let refusal = Refusal(
            call, arguments, note: note, errno: Errno(rawValue: errno), lacks: kernelLacks)
        // Of a record without themes there is left what most of them say.
        return theme.map { $0.hint(for: refusal) } ?? refusal.mountHint
    }
}
