// SPDX-License-Identifier: Apache-2.0

extension Substring {
    /// The parts between occurrences of an ASCII character, without empty ones.
    ///
    /// Works on bytes: `split` looks for grapheme boundaries, which takes many times as long and
    /// misses a separator that is followed by a combining mark.
    package func parts(between separator: Unicode.Scalar) -> [Substring] {
        let separator = UInt8(ascii: separator)
        var parts: [Substring] = []
        let bytes = utf8
        var start = bytes.startIndex
        var index = start
        while index != bytes.endIndex {
            if bytes[index] == separator {
                if start != index { parts.append(self[start..<index]) }
                start = bytes.index(after: index)
            }
            index = bytes.index(after: index)
        }
        if start != index { parts.append(self[start..<index]) }
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
    package var rootedPath: String { "/" + rootedComponents.relativePath }

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
