// SPDX-License-Identifier: Apache-2.0

extension Substring {
    /// The parts between occurrences of an ASCII character, without empty ones.
    ///
    /// Works on bytes: `split` looks for the borders of characters of the written language, which takes
    /// many times as long and hides a separator that a combining mark follows.
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

// Byte by byte, as the kernel takes paths and names. Swift's own comparisons are of written language: for
// them "/" with a combining mark behind it is another character, and accents composed in two ways are one.
extension StringProtocol {
    /// Whether the first bytes are those of `prefix`.
    @inlinable package func begins(with prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }

    /// Whether the last bytes are those of `suffix`.
    @inlinable package func ends(with suffix: String) -> Bool {
        utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
    }
}

extension String {
    /// Whether both are the same bytes.
    package func isSame(_ other: String) -> Bool { utf8.elementsEqual(other.utf8) }

    /// The texts with `separator` between them.
    ///
    /// The standard library's `joined` looks for its collection's conformances at run time, at each call.
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
    /// The parts between occurrences of an ASCII character, without empty ones; as bytes.
    package func parts(between separator: Unicode.Scalar) -> [Substring] {
        Substring(self).parts(between: separator)
    }

    /// This path, counted from a directory where it is relative.
    package func path(from directory: String) -> String {
        utf8.first == UInt8(ascii: "/") ? self : directory + "/" + self
    }

    /// This path from "/", also where it is relative, in the one spelling that paths are compared by.
    package var rootedPath: String { "/" + rootedComponents.relativePath }

    /// The components of a path, with `.` and `..` taken out as in a root directory.
    package var rootedComponents: [Substring] {
        var components: [Substring] = []
        for part in parts(between: "/") where part != "." {
            if part == ".." { _ = components.popLast() } else { components.append(part) }
        }
        return components
    }
}

extension [Substring] {
    /// A path of these components as `/a/b`; empty if there are none.
    package var pathBelow: String { isEmpty ? "" : "/" + relativePath }

    /// A path of these components, relative to where it is used; empty if there are none.
    package var relativePath: String {
        var path = ""
        for component in self {
            if !path.isEmpty { path += "/" }
            // A substring's own `+=` looks for its conformances at run time.
            path += String(component)
        }
        return path
    }
}
