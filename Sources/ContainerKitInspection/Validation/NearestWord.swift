// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
/// The known word that a misspelt one was probably meant to be.
enum NearestWord {
    /// The word of `known` with the fewest letters inserted, left out, replaced or swapped; nil if
    /// all differ in more than a third of their letters.
    static func of(_ word: String, in known: [String]) -> String? {
        // Longer than every field; the comparison takes the product of both lengths.
        guard word.utf8.count <= 64 else { return nil }
        let wanted = Array(word.lowercased().utf8)
        var best: (word: String, distance: Int)?
        for candidate in known {
            let letters = Array(candidate.lowercased().utf8)
            let distance = distance(wanted, letters)
            let limit = max(1, max(wanted.count, letters.count) / 3)
            if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.word
    }

    /// The distance of Damerau and Levenshtein, in which swapping two neighbours is one change.
    static func distance(_ one: [UInt8], _ other: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...other.count)
        for row in 0..<one.count {
            var next = [row + 1]
            for column in 0..<other.count {
                var least = min(
                    last[column + 1] + 1, next[column] + 1,
                    last[column] + (one[row] == other[column] ? 0 : 1))
                if row > 0, column > 0, one[row] == other[column - 1],
                    one[row - 1] == other[column]
                {
                    least = min(least, beforeLast[column - 1] + 1)
                }
                next.append(least)
            }
            (beforeLast, last) = (last, next)
        }
        return last[other.count]
    }
}
#endif
