// SPDX-License-Identifier: Apache-2.0

import FuzzRules

@testable import RuntimeSpec

extension Target {
    /// Any bytes are a value or an error with a place; a value survives being written.
    static let reader = Target("reader", treeShare: 1) { bytes in
        // Of a cut text only the last bracket is looked at, whatever is in front of it.
        _ = try? JSONReader.read(bytes.span, upTo: "a")
        let value: JSONValue
        do throws(JSONSyntaxError) {
            value = try JSONValue(json: bytes)
        } catch {
            return check(error, in: bytes)
        }
        checkReading(of: value, depth: 1)
        checkText(of: value)
        checkNesting(of: value)
        if case .object(let object) = value { checkCuts(of: object) }
    }
}

/// What was read keeps the reader's promises: depth, finite numbers, names that do not repeat.
private func checkReading(of value: JSONValue, depth: Int) {
    switch value {
    case .double(let number): expect(number.isFinite, "a number is not finite")
    case .unsigned(let number):
        expect(Int64(exactly: number) == nil, "a number that fits 63 bits is not an integer")
    case .array(let elements):
        expect(depth <= JSONReader.nestingLimit, "arrays are nested \(depth) deep")
        for element in elements { checkReading(of: element, depth: depth + 1) }
    case .object(let object):
        expect(depth <= JSONReader.nestingLimit, "objects are nested \(depth) deep")
        var names: Set<[UInt8]> = []
        for member in object.members {
            let isNew = names.insert(Array(member.key.utf8)).inserted
            expect(isNew, "a name is twice in an object")
            checkReading(of: member.value, depth: depth + 1)
        }
    case .null, .bool, .integer, .string: break
    }
}

/// One level more is read up to the limit, and refused beyond it.
private func checkNesting(of value: JSONValue) {
    let depth = value.depth
    let text = value.encoded()
    for more in [JSONReader.nestingLimit - depth, JSONReader.nestingLimit - depth + 1] {
        let deep =
            [UInt8](repeating: UInt8(ascii: "["), count: more) + text
            + [UInt8](repeating: UInt8(ascii: "]"), count: more)
        let isRead = (try? JSONValue(json: deep)) != nil
        expect(
            isRead == (depth + more <= JSONReader.nestingLimit),
            "\(depth + more) levels are \(isRead ? "read" : "refused")")
    }
}

/// An object read up to a member has the members before it.
private func checkCuts(of object: JSONObject) {
    let text = JSONValue.object(object).encoded()
    for (index, member) in object.members.prefix(4).enumerated() {
        // The reader compares names as Swift does.
        let first = object.members.firstIndex { $0.key == member.key } ?? index
        var front = JSONObject()
        for member in object.members[..<first] { front.append(member.key, member.value) }
        let cut = try? JSONReader.read(text.span, upTo: member.key)
        expect(cut == .object(front), "the members before \(member.key.debugDescription) differ")
    }
}

extension JSONValue {
    /// How deep arrays and objects are nested.
    fileprivate var depth: Int {
        switch self {
        case .array(let elements): 1 + (elements.map(\.depth).max() ?? 0)
        case .object(let object): 1 + (object.members.map(\.value.depth).max() ?? 0)
        default: 0
        }
    }
}
