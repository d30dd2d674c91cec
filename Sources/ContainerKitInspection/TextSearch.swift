// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
extension String {
    /// Whether `part` is anywhere in the text, byte for byte.
    func holds(_ part: String) -> Bool { place(of: part) != nil }

    /// Where `part` begins for the first time.
    ///
    /// The search of the standard library would bring its machinery for patterns into the command.
    func place(of part: String) -> Index? {
        guard let first = part.utf8.first else { return startIndex }
        var rest = utf8[...]
        while let start = rest.firstIndex(of: first) {
            if utf8[start...].starts(with: part.utf8) { return start }
            rest = rest[utf8.index(after: start)...]
        }
        return nil
    }
}
#endif
