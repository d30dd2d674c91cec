// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary

/// The capabilities of the calling thread that an exec would change, and how a child keeps them.
///
/// An exec gives root all inheritable capabilities and those in its bounding set, and leaves other
/// users only the ambient ones. So before the exec, the child makes all its permitted capabilities
/// inheritable, and also ambient if it is not root; after the exec, it restores the caller's sets.
///
/// Kernel: capabilities(7), Transformation of capabilities during execve(); capget(2).
struct CallerRights {
    /// The sets to restore after the exec; nil if it changes nothing.
    var capabilities: CapabilitySets?
    /// The ambient set to restore; nil if it is unchanged.
    var ambient: UInt64?
    /// The capabilities that must be ambient for the exec; 0 for none.
    var carried: UInt64 = 0

    /// The rights of the calling thread; nil if an exec would change a saved ID, which cannot be
    /// restored.
    static func ofThisThread() -> CallerRights? {
        guard let user = onlyID(Int(__NR_getresuid)), onlyID(Int(__NR_getresgid)) != nil else {
            return nil
        }
        let sets = ThreadCapabilities().sets
        let bits = SecureBits(rawValue: prctl(.getSecureBits))
        let isRoot = user == 0 && !bits.contains(.noRoot)
        if isRoot { return CallerRights(capabilities: sets) }
        if sets.permitted == 0 { return CallerRights() }
        let possible = sets.permitted & sets.inheritable
        let ambient = (0..<64).reduce(UInt64(0)) { mask, number in
            let isSet =
                possible & 1 << UInt64(number) != 0
                && prctl(.ambientSet, AmbientCommand.isSet.rawValue, number) == 1
            return isSet ? mask | 1 << UInt64(number) : mask
        }
        return CallerRights(
            capabilities: sets, ambient: ambient, carried: sets.permitted)
    }

    /// The ID, if the real, effective and saved IDs are the same; else nil.
    private static func onlyID(_ call: Int) -> UInt32? {
        var ids: InlineArray<3, UInt32> = .init(repeating: 0)
        withUnsafeMutableBytes(of: &ids) { bytes in
            let first = Int(bitPattern: bytes.baseAddress)
            _ = raw_system_call(call, first, first + 4, first + 8, 0, 0, 0)
        }
        return ids[0] == ids[1] && ids[1] == ids[2] ? ids[0] : nil
    }

    private static func prctl(_ option: ProcessControl, _ a: Int = 0, _ b: Int = 0) -> Int {
        raw_system_call(Int(__NR_prctl), option.rawValue, a, b, 0, 0, 0)
    }
}
#endif
