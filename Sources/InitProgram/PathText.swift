// SPDX-License-Identifier: Apache-2.0

extension Substring {
    /// The parts between occurrences of an ASCII character, without empty ones.
    ///
    /// Works on bytes: `split` looks for the borders of characters of the written language, which takes
    /// many times as long and hides a separator that a combining mark follows.
    public func parts(between separator: Unicode.Scalar) -> [Substring] {
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

extension String {
    /// The parts between occurrences of an ASCII character, without empty ones; as bytes.
    public func parts(between separator: Unicode.Scalar) -> [Substring] {
        Substring(self).parts(between: separator)
    }

    /// This path, counted from a directory where it is relative.
    public func path(from directory: String) -> String {
        utf8.first == UInt8(ascii: "/") ? self : directory + "/" + self
    }

    /// The components of a path, with `.` and `..` taken out as in a root directory.
    public var rootedComponents: [Substring] {
        var components: [Substring] = []
        for part in parts(between: "/") where part != "." {
            if part == ".." { _ = components.popLast() } else { components.append(part) }
        }
        return components
    }
}

extension [Substring] {
    /// A path of these components as `/a/b`; empty if there are none.
    public var pathBelow: String { isEmpty ? "" : "/" + relativePath }

    /// A path of these components, relative to where it is used; empty if there are none.
    public var relativePath: String {
        var path = ""
        for component in self {
            if !path.isEmpty { path += "/" }
            path += component
        }
        return path
    }
}
