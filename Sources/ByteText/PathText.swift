// SPDX-License-Identifier: Apache-2.0

extension Substring {
    /// The parts between occurrences of an ASCII character, without empty ones.
    ///
    /// Works on bytes: `split` looks for grapheme boundaries, which takes many times as long and
    /// misses a separator that is followed by a combining mark.
    package func parts(between separator: Unicode.Scalar) -> [Substring] {
        let separator = UInt8(ascii: separator)
        var parts: [Substring] = []
        var text = self
        text.withUTF8 { bytes in
            var start = 0
            for index in 0...bytes.count where index == bytes.count || bytes[index] == separator {
                if start < index {
                    let first = utf8.index(utf8.startIndex, offsetBy: start)
                    parts.append(self[first..<utf8.index(first, offsetBy: index - start)])
                }
                start = index + 1
            }
        }
        return parts
    }
}

// These compare byte by byte, as the kernel does with paths and names. Swift compares by Unicode
// equivalence: "/" followed by a combining mark is another character, and an accent composed in two
// ways is the same.
extension StringProtocol {
    /// Whether the first bytes are those of `prefix`.
    @inlinable package func begins(with prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }

    /// Whether the last bytes are those of `suffix`.
    @inlinable package func ends(with suffix: String) -> Bool {
        utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
    }
}

extension String {
    /// Whether both have the same bytes.
    package func isSame(_ other: String) -> Bool { utf8.elementsEqual(other.utf8) }

    /// The texts with `separator` between them.
    ///
    /// The standard library's `joined` looks up its collection's conformances at run time, on each
    /// call.
    package static func joined(_ texts: [String], by separator: String) -> String {
        var result = ""
        for (index, text) in texts.enumerated() {
            if index > 0 { result += separator }
            result += text
        }
        return result
    }
}

extension String {
    /// The parts between occurrences of an ASCII character, without empty ones; compares bytes.
    package func parts(between separator: Unicode.Scalar) -> [Substring] {
        Substring(self).parts(between: separator)
    }

    /// This path, resolved against `directory` if it is relative.
    package func path(from directory: String) -> String {
        utf8.first == UInt8(ascii: "/") ? self : directory + "/" + self
    }

    /// This path as an absolute one (a relative path counts from "/"), normalized for comparisons.
    package var rootedPath: String {
        isPlainPath ? self : "/" + rootedComponents.relativePath
    }

    /// Whether this is an absolute path other than "/" with nothing to resolve: no empty component,
    /// no `.`, no `..`, and no slash at the end.
    package var isPlainPath: Bool {
        var text = self
        return text.withUTF8 { bytes in
            guard bytes.first == UInt8(ascii: "/") else { return false }
            var start = 1
            for index in 1...bytes.count
            where index == bytes.count || bytes[index] == UInt8(ascii: "/") {
                let count = index - start
                let isDotted = count > 0 && bytes[start] == UInt8(ascii: ".")
                if count == 0 || (isDotted && count == 1) { return false }
                if isDotted && count == 2 && bytes[start + 1] == UInt8(ascii: ".") { return false }
                start = index + 1
            }
            return true
        }
    }

    /// The components of a path, with `.` and `..` resolved as if it began at the root directory.
    package var rootedComponents: [Substring] {
        var components: [Substring] = []
        for part in parts(between: "/") where part != "." {
            if part == ".." { _ = components.popLast() } else { components.append(part) }
        }
        return components
    }
}

extension [Substring] {
    /// These components as the path `/a/b`; empty if there are none.
    package var pathBelow: String { isEmpty ? "" : "/" + relativePath }

    /// These components as the relative path `a/b`; empty if there are none.
    package var relativePath: String {
        var path = ""
        for component in self {
            if !path.isEmpty { path += "/" }
            // A substring's own `+=` looks up its conformances at run time.
            path += String(component)
        }
        return path
    }
}
