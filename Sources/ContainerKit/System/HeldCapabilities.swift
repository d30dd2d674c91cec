// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
internal import CLinux
internal import InitProgram
internal import KernelVocabulary

/// The capabilities of the calling thread when this value is made.
///
/// Kernel: capget(2).
struct ThreadCapabilities {
    // The version and the thread; then effective, permitted and inheritable, first their low, then
    // their high words.
    private var header: [UInt32] = [UInt32(CapabilityVersion.third.rawValue), 0]
    private var words = [UInt32](repeating: 0, count: 6)
    private let isKnown: Bool

    init() {
        isKnown = Self.call(__NR_capget, &header, &words) == 0
    }

    /// The permitted set as a mask; all capabilities if it cannot be read.
    var permitted: UInt64 { sets.permitted }

    /// The three sets; if they cannot be read, the first two are full and the third is empty.
    var sets: CapabilitySets {
        func mask(_ index: Int) -> UInt64 { UInt64(words[index + 3]) << 32 | UInt64(words[index]) }
        guard isKnown else {
            return CapabilitySets(effective: .max, permitted: .max, inheritable: 0)
        }
        return CapabilitySets(effective: mask(0), permitted: mask(1), inheritable: mask(2))
    }

    /// Restores the thread's sets.
    func restore() {
        guard isKnown else { return }
        var (header, words) = (header, words)
        _ = Self.call(__NR_capset, &header, &words)
    }

    private static func call(_ number: Int32, _ header: inout [UInt32], _ words: inout [UInt32])
        -> Int
    {
        header.withUnsafeMutableBytes { header in
            words.withUnsafeMutableBytes { words in
                raw_system_call(
                    Int(number), Int(bitPattern: header.baseAddress),
                    Int(bitPattern: words.baseAddress), 0, 0, 0, 0)
            }
        }
    }
}

/// The permitted capabilities of this process as a mask; all of them if they cannot be read.
package func heldCapabilities() -> UInt64 { ThreadCapabilities().permitted }
#endif
