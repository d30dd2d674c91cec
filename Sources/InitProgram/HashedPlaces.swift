// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// Finds the positions of a growing list's elements by hash.
///
/// Setting up a dictionary would cost every command time, and a linear search would be quadratic.
package struct HashedPlaces {
    private var hashes: [UInt64] = []
    /// Positions by hash, -1 if empty; the count is a power of two, at least twice that of the
    /// hashes.
    private var slots: [Int32] = []

    /// No positions yet.
    package init() {}

    /// Adds the position of the next element.
    package mutating func append(_ hash: UInt64) {
        hashes.append(hash)
        guard slots.count >= 2 * hashes.count else {
            slots = Array(repeating: -1, count: max(64, 2 * slots.count))
            for place in hashes.indices { enter(place) }
            return
        }
        enter(hashes.count - 1)
    }

    /// The position of an element with this hash for which `matches` holds; nil if there is none.
    package func place(_ hash: UInt64, where matches: (Int) -> Bool) -> Int? {
        guard !slots.isEmpty else { return nil }
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] >= 0 {
            let place = Int(slots[slot])
            if hashes[place] == hash, matches(place) { return place }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }

    private mutating func enter(_ place: Int) {
        var slot = Int(truncatingIfNeeded: hashes[place]) & (slots.count - 1)
        while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Int32(place)
    }

    /// The FNV-1a hash of bytes.
    ///
    /// Not generic: a generic function of another module resolves each call at run time.
    package static func hash(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return hash
    }
}
#endif
