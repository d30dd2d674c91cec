// SPDX-License-Identifier: Apache-2.0

/// Everything that is wrong with a config, the rules also where some fields have the wrong type.
///
/// Decoding already goes on after a wrong type, with the field absent or blank. So the rules can
/// check the rest; what they say about such a field, or because of it, is left out until its type
/// is right.
package struct DocumentCheck: Sendable {
    /// The config as far as it could be decoded; nil if the document is not an object.
    package let spec: Spec?
    /// Fields of the wrong type, missing or out of range.
    package let typeErrors: [SpecError]
    /// Fields that the specification does not have.
    package let unknownFields: [UnknownField]
    private let document: JSONValue
    /// The elements of lists that could not be decoded, so that later ones have moved up.
    private let gaps: [Gap]

    private struct Gap {
        let list: String
        var indices: [Int]
    }

    /// Decodes and searches a config.
    package init(_ document: JSONValue) {
        var context = DecodingContext(section: Spec.section)
        spec = Spec.decode(document, &context)
        typeErrors = context.violations.map { $0.naming(document) }
        unknownFields = UnknownFieldSearch.fields(of: document)
        self.document = document
        gaps = typeErrors.count <= Self.mostTypeErrors ? Self.gaps(typeErrors) : []
    }

    /// With more of them the rules stay silent: each of their violations is compared with each.
    private static let mostTypeErrors = 1000

    /// What violates the rules beyond types.
    package var ruleErrors: [SpecError] {
        do throws(SpecErrors) {
            try spec?.check(requiringProcess: false)
            return []
        } catch {
            return error.violations.compactMap(placed)
        }
    }

    /// What is allowed but probably not meant.
    package var warnings: [SpecError] { (spec?.warnings ?? []).compactMap(placed) }

    /// An error about `spec`, at its place in the document; nil if it may only be due to a field of
    /// the wrong type.
    package func placed(_ error: SpecError) -> SpecError? {
        guard !typeErrors.isEmpty else { return error.naming(document) }
        guard typeErrors.count <= Self.mostTypeErrors else { return nil }
        let path = original(error.path.description)
        let moved = SpecError(
            JSONPath(stringLiteral: path), error.message, section: error.section,
            subject: error.subject)
        if typeErrors.contains(where: { moved.mayFollow(from: $0) }) { return nil }
        return moved.naming(document)
    }

    /// The lists with elements that were not decoded; an error of that kind is at the element itself.
    private static func gaps(_ errors: [SpecError]) -> [Gap] {
        var gaps: [Gap] = []
        for error in errors {
            guard let (list, index) = error.path.description.lastElement else { continue }
            if let known = gaps.firstIndex(where: { $0.list == list }) {
                gaps[known].indices.append(index)
            } else {
                gaps.append(Gap(list: list, indices: [index]))
            }
        }
        // An outer list before those in its elements.
        return gaps.sorted { $0.list.utf8.count < $1.list.utf8.count }
    }

    /// The path in the document of a path in `spec`.
    private func original(_ path: String) -> String {
        var path = path
        for gap in gaps {
            let start = gap.list + "["
            guard path.hasPrefix(start) else { continue }
            let rest = path.dropFirst(start.count)
            guard let close = rest.firstIndex(of: "]"), var index = Int(rest[..<close]) else {
                continue
            }
            for missing in gap.indices.sorted() where missing <= index { index += 1 }
            path = "\(start)\(index)\(rest[close...])"
        }
        return path
    }
}

extension String {
    /// The list and the index of a path that ends in `[index]`.
    fileprivate var lastElement: (list: String, index: Int)? {
        guard utf8.last == UInt8(ascii: "]"), let open = lastIndex(of: "[") else { return nil }
        guard let index = Int(self[self.index(after: open)...].dropLast()) else { return nil }
        return (String(self[..<open]), index)
    }

    /// Whether one of the two paths leads to or into the other.
    fileprivate func isOnTheWay(to other: String) -> Bool {
        let (short, long) = utf8.count < other.utf8.count ? (self, other) : (other, self)
        guard long.utf8.starts(with: short.utf8) else { return false }
        let next = long.utf8.dropFirst(short.utf8.count).first
        return short.isEmpty || next == nil || next == UInt8(ascii: ".")
            || next == UInt8(ascii: "[")
    }

    /// The path of the object that has the field, and the field's name.
    fileprivate var parentAndKey: (parent: String, key: Substring)? {
        guard let dot = lastIndex(of: ".") else { return nil }
        return (String(self[..<dot]), self[index(after: dot)...])
    }
}

extension SpecError {
    /// Fields that decide which others of their object are allowed.
    private static let decidingFields: [Substring] = [
        "type", "policy", "mode", "action", "defaultAction", "op", "options",
    ]

    /// Whether this violation of a rule may only exist because `wrong` was left out.
    fileprivate func mayFollow(from wrong: SpecError) -> Bool {
        let (own, other) = (path.description, wrong.path.description)
        if own.isOnTheWay(to: other) { return true }
        if let (parent, key) = other.parentAndKey, Self.decidingFields.contains(key),
            parent.isOnTheWay(to: own)
        {
            return true
        }
        if message.hasSuffix("listed twice"), let open = own.firstIndex(of: "["),
            String(own[..<open]).isOnTheWay(to: other)
        {
            return true
        }
        return mentionedFields.contains { $0.isOnTheWay(to: other) }
    }

    /// The paths of other fields that the message names.
    private var mentionedFields: [String] {
        let words = message.split { !($0.isLetter || $0.isNumber || ".[]".contains($0)) }
        var fields = words.filter { $0.contains(".") && $0.first?.isLetter == true }.map(
            String.init)
        if words.contains("namespace") { fields.append("linux.namespaces") }
        return fields
    }
}
