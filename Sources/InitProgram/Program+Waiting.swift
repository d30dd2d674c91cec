// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import SystemPackage

extension ProgramImage {
    /// A process that only keeps its namespaces alive until the parent closes its end of the
    /// rendezvous, or ends.
    package static func waiting() -> ProgramImage {
        var code = Assembler()
        code.beginStep(0)
        code.closeDescriptors(0, gapCount: 2)
        let byte = code.reserve(8)
        let rendezvous = code.input(.rendezvous)
        code.call(
            .read, [.cell(rendezvous), .address(byte), .literal(1)], ignoring: [.interrupted],
            retries: 1000)
        code.call(.exitGroup, [.literal(0)])
        _ = code.reserve(8)
        return code.image
    }
}
#endif
