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
    private let wrong: WrongPlaces
    /// The elements of lists that could not be decoded, so that later ones have moved up.
    private let gaps: [String: [Int]]

    /// Decodes and searches a config.
    package init(_ document: JSONValue) {
        var context = DecodingContext(section: Spec.section)
        spec = Spec.decode(document, &context)
        typeErrors = context.violations.map { $0.naming(document) }
        unknownFields = UnknownFieldSearch.fields(of: document)
        self.document = document
        wrong = WrongPlaces(typeErrors)
        gaps = Self.gaps(typeErrors)
    }

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
        let path = original(error.path.description)
        let moved = SpecError(
            JSONPath(stringLiteral: path), error.message, section: error.section,
            subject: error.subject)
        if moved.mayFollow(from: wrong) { return nil }
        return moved.naming(document)
    }

    /// The indices of elements that were not decoded, ascending, by their list; an error of that kind
    /// is at the element itself.
    private static func gaps(_ errors: [SpecError]) -> [String: [Int]] {
        var gaps: [String: [Int]] = [:]
        for error in errors {
            guard let (list, index) = error.path.description.lastElement else { continue }
            gaps[list, default: []].append(index)
        }
        return gaps.mapValues { $0.sorted() }
    }

    /// The path in the document of a path in `spec`.
    private func original(_ path: String) -> String {
        guard !gaps.isEmpty else { return path }
        var result = ""
        var rest = path[...]
        // Outer lists come first, so the text before an index is that of the document already.
        while let open = rest.firstIndex(of: "[") {
            result += rest[..<open]
            rest = rest[rest.index(after: open)...]
            if let missing = gaps[result], let close = rest.firstIndex(of: "]"),
                let index = Int(rest[..<close])
            {
                result += "[\(index + Self.count(of: missing, beforeElement: index))"
                rest = rest[close...]
            } else {
                result += "["
            }
        }
        return result + rest
    }

    /// How many of the missing indices are before the element that has this index without them.
    private static func count(of missing: [Int], beforeElement index: Int) -> Int {
        var (low, high) = (0, missing.count)
        while low < high {
            let middle = (low + high) / 2
            if missing[middle] - middle <= index { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// The places of errors, to tell at once whether one of them concerns another place: a config may
/// have very many errors of both kinds.
private struct WrongPlaces {
    /// The paths, and what is above them.
    private var all = PathSet()
    /// The objects in which a field is wrong that decides about others.
    private var undecided = PathSet()

    /// Fields that decide which others of their object are allowed.
    private static let decidingFields: [Substring] = [
        "type", "policy", "mode", "action", "defaultAction", "op", "options",
    ]

    init(_ errors: [SpecError]) {
        for error in errors {
            let path = error.path.description
            all.insert(path)
            if let (parent, key) = path.parentAndKey, Self.decidingFields.contains(key) {
                undecided.insert(parent)
            }
        }
    }

    /// Whether an error is at the path, above it, or below it.
    func concern(_ path: String) -> Bool { all.touches(path) }

    /// Whether a field of an object at, above or below the path is wrong and decides about others.
    func leaveOpen(_ path: String) -> Bool { undecided.touches(path) }
}

/// Paths, and all the places above them.
private struct PathSet {
    private var paths: Set<String> = []
    private var above: Set<String> = []

    mutating func insert(_ path: String) {
        guard paths.insert(path).inserted else { return }
        above.formUnion(path.placesAbove)
    }

    /// Whether one of the paths is this one, or one of the two leads into the other.
    func touches(_ path: String) -> Bool {
        paths.contains(path) || above.contains(path)
            || path.placesAbove.contains { paths.contains($0) }
    }
}

extension String {
    /// The list and the index of a path that ends in `[index]`.
    fileprivate var lastElement: (list: String, index: Int)? {
        guard utf8.last == UInt8(ascii: "]"), let open = lastIndex(of: "[") else { return nil }
        guard let index = Int(self[self.index(after: open)...].dropLast()) else { return nil }
        return (String(self[..<open]), index)
    }

    /// The paths that lead to this one, from the whole document on.
    fileprivate var placesAbove: [String] {
        [""]
            + utf8.indices.filter { utf8[$0] == UInt8(ascii: ".") || utf8[$0] == UInt8(ascii: "[") }
            .map { String(self[..<$0]) }
    }

    /// The path of the object that has the field, and the field's name.
    fileprivate var parentAndKey: (parent: String, key: Substring)? {
        guard let dot = lastIndex(of: ".") else { return nil }
        return (String(self[..<dot]), self[index(after: dot)...])
    }
}

extension SpecError {
    /// Whether this violation of a rule may only exist because something wrong was left out.
    fileprivate func mayFollow(from wrong: WrongPlaces) -> Bool {
        let own = path.description
        if wrong.concern(own) || wrong.leaveOpen(own) { return true }
        if message.hasSuffix("listed twice"), let open = own.firstIndex(of: "["),
            wrong.concern(String(own[..<open]))
        {
            return true
        }
        return mentionedFields.contains { wrong.concern($0) }
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
