// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import InitProgram
internal import KernelVocabulary

/// The capabilities of the calling thread, as they are when this is made.
///
/// Kernel: capget(2).
struct ThreadCapabilities {
    // The version and the caller; then effective, permitted, inheritable, twice.
    private var header: [UInt32] = [UInt32(CapabilityVersion.third.rawValue), 0]
    private var words = [UInt32](repeating: 0, count: 6)
    private let isKnown: Bool

    init() {
        isKnown = Self.call(__NR_capget, &header, &words) == 0
    }

    /// What may be used and passed on, as a mask; all if that cannot be told.
    var permitted: UInt64 { sets.permitted }

    /// The three sets; all of the first two and none of the third if that cannot be told.
    var sets: CapabilitySets {
        func mask(_ index: Int) -> UInt64 { UInt64(words[index + 3]) << 32 | UInt64(words[index]) }
        guard isKnown else {
            return CapabilitySets(effective: .max, permitted: .max, inheritable: 0)
        }
        return CapabilitySets(effective: mask(0), permitted: mask(1), inheritable: mask(2))
    }

    /// Gives the thread the same sets again.
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

/// The capabilities that this process may use and pass on, as a mask; all if that cannot be told.
func heldCapabilities() -> UInt64 { ThreadCapabilities().permitted }
