// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// Facts about single entries of `mounts`, by their index.
///
/// It is a list, because it has few entries, mostly none; setting up a dictionary would cost more.
struct MountFacts<Value: Sendable>: Sendable, ExpressibleByDictionaryLiteral {
    private var entries: [(index: Int, value: Value)] = []

    init(dictionaryLiteral elements: (Int, Value)...) {
        for (index, value) in elements { self[index] = value }
    }

    /// The fact about one entry; set only once.
    subscript(index: Int) -> Value? {
        get { entries.first { $0.index == index }?.value }
        set {
            guard let newValue else { return }
            entries.append((index, newValue))
        }
    }
}
#endif
