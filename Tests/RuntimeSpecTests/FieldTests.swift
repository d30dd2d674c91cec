// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import RuntimeSpec

/// Every Linux field of runtime-spec 1.3, as listed in spec-fixtures/fields.txt, with a good config
/// and bad ones.
///
/// `[]` stands for the elements of a list, `.*` for the members of a map. A bad config is a good
/// one with only this field changed; the errors are in field-errors.txt.
@Suite("Every field of the specification")
struct FieldTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "spec-fixtures")

    private static let renews = ProcessInfo.processInfo.environment["UPDATE_SNAPSHOTS"] == "1"
    private static let list = folder.appending(path: "fields.txt")

    /// The fields of spec-fixtures/fields.txt, or of the good configs where that is renewed.
    private func fields() throws -> [String] {
        if Self.renews { return try fieldsOfGoodConfigs() }
        return try String(contentsOf: Self.list, encoding: .utf8)
            .split(separator: "\n").map(String.init).filter { !$0.hasPrefix("#") }
    }

    private func fieldsOfGoodConfigs() throws -> [String] {
        var seen: Set<String> = []
        return try ([Fixture.good("full")] + Fixture.good).flatMap { fixture in
            try JSONValue(json: fixture.json).places().map(\.field)
                .filter { seen.insert($0).inserted }
        }
    }

    private func renewList() throws {
        let head = """
            # Every field of the runtime-spec 1.3 for Linux: config.md and config-linux.md.
            # [] are the elements of a list, .* the members of a map.
            # UPDATE_SNAPSHOTS=1 takes them from the good configs; conformance compares them with the
            # specification's own schema.
            """
        try ([head] + fields()).map { "\($0)\n" }.joined()
            .write(to: Self.list, atomically: true, encoding: .utf8)
    }

    /// Each field's first place in the good configs, the one that sets all of them first.
    private func places() throws -> [String: (document: JSONValue, place: Place)] {
        var found: [String: (JSONValue, Place)] = [:]
        for fixture in [try Fixture.good("full")] + Fixture.good {
            let document = try JSONValue(json: fixture.json)
            for place in document.places() where found[place.field] == nil {
                found[place.field] = (document, place)
            }
        }
        return found
    }

    @Test("every listed field is set in a good config, and the good configs set no other field")
    func good() throws {
        if Self.renews { try renewList() }
        let listed = try fields()
        let found = try places()
        #expect(Set(listed).count == listed.count)
        #expect(listed.count > 250)
        #expect(Set(listed).subtracting(found.keys) == [])
        #expect(Set(found.keys).subtracting(listed) == [])
    }

    @Test("every listed field is refused with the expected message when it is wrong")
    func bad() throws {
        let found = try places()
        var text = ""
        for field in try fields() {
            let (document, place) = try #require(found[field])
            let refusals = Self.wrongValues(of: place).compactMap { name, value in
                Self.errors(of: document.setting(place.steps[...], to: value)).map {
                    "    \(name): \($0)\n"
                }
            }
            #expect(!refusals.isEmpty, "nothing is ever wrong with \(field)")
            text += "\(field)\n\(refusals.joined())"
        }
        let file = Self.folder.appending(path: "field-errors.txt")
        if Self.renews {
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        let expected = try String(contentsOf: file, encoding: .utf8)
        let lines = text.split(separator: "\n")
        for (line, wanted) in zip(lines, expected.split(separator: "\n")) where line != wanted {
            Issue.record("\(line) in place of \(wanted)")
            break
        }
        #expect(text.count == expected.count)
    }

    /// The possible errors of a value: wrong type, range or word, or the value is missing.
    private static func wrongValues(of place: Place) -> [(String, JSONValue?)] {
        var values: [(String, JSONValue?)] =
            if case .bool = place.value {
                [("\"true\"", .string("true"))]
            } else {
                [("true", .bool(true))]
            }
        switch place.value {
        case .integer, .unsigned, .double:
            values += [
                ("-2", .integer(-2)), ("2^64", .double(18_446_744_073_709_551_616)),
                ("0.5", .double(0.5)),
            ]
        case .string: values += [("\"\"", .string("")), ("\"?\"", .string("?"))]
        case .array: values += [("[]", .array([]))]
        default: break
        }
        return values + [("missing", nil)]
    }

    /// The error for a config; nil if it is accepted.
    private static func errors(of document: JSONValue) -> String? {
        do {
            try Spec(json: document.encoded()).check()
            return nil
        } catch {
            return "\(error)"
        }
    }
}

/// A value inside a document.
private struct Place {
    /// The path to the value.
    var steps: [Step]
    /// The field, without the index of an element or the name of a member.
    var field: String
    var value: JSONValue

    enum Step {
        case member(String)
        case element(Int)
    }
}

extension JSONValue {
    /// Fields whose members have names chosen by the user.
    private static let maps: Set = [
        "annotations", "linux.sysctl", "linux.resources.unified", "linux.resources.rdma",
        "linux.netDevices", "linux.timeOffsets",
    ]

    /// All values inside this value.
    fileprivate func places(steps: [Place.Step] = [], field: String = "") -> [Place] {
        func below(_ value: JSONValue, _ step: Place.Step, _ name: String) -> [Place] {
            let steps = steps + [step]
            return [Place(steps: steps, field: name, value: value)]
                + value.places(steps: steps, field: name)
        }
        switch self {
        case .object(let object):
            return object.members.flatMap { member in
                let name = Self.maps.contains(field) ? "*" : member.key
                return below(
                    member.value, .member(member.key), field.isEmpty ? name : "\(field).\(name)")
            }
        case .array(let elements):
            return elements.enumerated().flatMap { index, element in
                below(element, .element(index), "\(field)[]")
            }
        default: return []
        }
    }

    /// The document with another value at this place, or without one.
    fileprivate func setting(_ steps: ArraySlice<Place.Step>, to value: JSONValue?) -> JSONValue {
        guard let step = steps.first else { return value ?? .null }
        let rest = steps.dropFirst()
        switch (self, step) {
        case (.object(let object), .member(let key)):
            var copy = JSONObject()
            for member in object.members {
                if member.key != key {
                    copy.append(member.key, member.value)
                } else if !rest.isEmpty || value != nil {
                    copy.append(key, member.value.setting(rest, to: value))
                }
            }
            return .object(copy)
        case (.array(var elements), .element(let index)):
            if rest.isEmpty, value == nil {
                elements.remove(at: index)
            } else {
                elements[index] = elements[index].setting(rest, to: value)
            }
            return .array(elements)
        default: return self
        }
    }
}
