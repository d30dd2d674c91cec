// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import InitProgram
internal import SystemPackage

extension RecordedInstruction {
    /// The hint for a refused call, from the theme of its step.
    func hint(_ errno: CInt) -> String? {
        let refusal = Refusal(
            call, arguments, note: note, errno: Errno(rawValue: errno), lacks: kernelLacks)
        // A record of version 0.1 has no themes: use the hint that most themes would give.
        return theme.map { $0.hint(for: refusal) } ?? refusal.mountHint
    }
}
#endif
