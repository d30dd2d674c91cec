// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import RuntimeSpec

/// The full configuration sets every field of the model; here each of them gets a wrong type in
/// turn.
///
/// Wrong values of the right type have fixtures in bad.
@Suite("Values of the wrong type")
struct WrongTypeTests {
    @Test("every field of the model is refused by its path when it has the wrong type")
    func everyField() throws {
        let whole = try JSONValue(json: Fixture.good("full").json)
        let places = variants(of: whole, at: .root)
        #expect(places.count > 250)
        for (path, document) in places {
            do throws(SpecDecodingError) {
                _ = try Spec(json: document.encoded())
                Issue.record("\(path) is taken")
            } catch .fields(let errors) {
                #expect(errors.violations.contains { $0.path == path }, "\(path): \(errors)")
            } catch {
                Issue.record("\(path): \(error)")
            }
        }
    }

    /// The document with each value in turn replaced by a value of another type.
    private func variants(of value: JSONValue, at path: JSONPath) -> [(JSONPath, JSONValue)] {
        var found: [(JSONPath, JSONValue)] = []
        if path != .root { found.append((path, wrong(value))) }
        switch value {
        case .object(let object):
            for (index, member) in object.members.enumerated() {
                for (place, value) in variants(
                    of: member.value, at: path.appending(key: member.key))
                {
                    var copy = JSONObject()
                    for (other, member) in object.members.enumerated() {
                        copy.append(member.key, other == index ? value : member.value)
                    }
                    found.append((place, .object(copy)))
                }
            }
        case .array(let list):
            for (index, element) in list.enumerated() {
                for (place, value) in variants(of: element, at: path.appending(index: index)) {
                    var copy = list
                    copy[index] = value
                    found.append((place, .array(copy)))
                }
            }
        default: break
        }
        return found
    }

    private func wrong(_ value: JSONValue) -> JSONValue {
        if case .bool = value { .string("true") } else { .bool(true) }
    }
}
