// SPDX-License-Identifier: Apache-2.0

internal import InitProgram
internal import SystemPackage

extension RecordedInstruction {
    /// What it means that the kernel refuses the call, as the theme of its step knows it.
    func hint(_ errno: CInt) -> String? {
        let refusal = Refusal(
            call, arguments, note: note, errno: Errno(rawValue: errno), lacks: kernelLacks)
        // A record of version 0.1 has no themes: what most themes would say is tried.
        return theme.map { $0.hint(for: refusal) } ?? refusal.mountHint
    }
}
