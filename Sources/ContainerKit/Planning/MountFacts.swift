// SPDX-License-Identifier: Apache-2.0

/// What is known of single entries of `mounts`, by their index there.
///
/// A row: of a few entries, in most containers of none, and a dictionary would cost its set-up.
struct MountFacts<Value: Sendable>: Sendable, ExpressibleByDictionaryLiteral {
    private var entries: [(index: Int, value: Value)] = []

    init(dictionaryLiteral elements: (Int, Value)...) {
        for (index, value) in elements { self[index] = value }
    }

    /// What is known of one entry; set once.
    subscript(index: Int) -> Value? {
        get { entries.first { $0.index == index }?.value }
        set {
            guard let newValue else { return }
            entries.append((index, newValue))
        }
    }
}
