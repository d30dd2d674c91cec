// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec

/// Changes documents as trees, so that what comes out is mostly still JSON.
package struct Mutator: Sendable {
    private let words = Words()

    package init() {}

    /// A changed document; nil if it is none, or too long.
    package func changed(_ bytes: [UInt8], seed: UInt32, limitBytes: Int) -> [UInt8]? {
        guard var value = try? JSONValue(json: bytes) else { return nil }
        var dice = Dice(seed)
        for _ in 0...dice.roll(3) {
            let place = dice.roll(value.nodeCount)
            value = value.replacing(place) { change($0, &dice) } ?? .null
        }
        return written(value, &dice, limitBytes)
    }

    /// A document with a part of another one; nil if one of the two is none, or it is too long.
    package func crossed(
        _ bytes: [UInt8], _ others: [UInt8], seed: UInt32, limitBytes: Int
    ) -> [UInt8]? {
        guard let value = try? JSONValue(json: bytes), let other = try? JSONValue(json: others)
        else { return nil }
        var dice = Dice(seed)
        let (name, part) = other.node(dice.roll(other.nodeCount))
        let place = dice.roll(value.nodeCount)
        let result = value.replacing(place) { found in
            // A member goes where a member of that name is, or may be.
            guard let name, case .object(let object) = found else { return part }
            return .object(object.setting(name, part))
        }
        return written(result ?? .null, &dice, limitBytes)
    }

    private func written(_ value: JSONValue, _ dice: inout Dice, _ limitBytes: Int) -> [UInt8]? {
        let text = value.encoded(pretty: dice.roll(8) == 0)
        return text.count <= limitBytes ? text : nil
    }

    /// The changed value; nil removes it.
    private func change(_ value: JSONValue, _ dice: inout Dice) -> JSONValue? {
        switch dice.roll(12) {
        case 0: return nil
        case 1: return scalar(&dice)
        default: break
        }
        switch value {
        case .array(let elements): return .array(change(elements, &dice))
        case .object(let object): return .object(change(object, &dice))
        case .string(let text): return .string(change(text, &dice))
        case .integer(let number) where dice.roll(2) == 0:
            return .integer(number &+ Int64(dice.roll(5) - 2))
        case .bool(let flag): return .bool(!flag)
        default: return dice.pick(Words.numbers)
        }
    }

    private func scalar(_ dice: inout Dice) -> JSONValue {
        switch dice.roll(4) {
        case 0: dice.pick(Words.numbers)
        case 1: dice.pick(Words.others)
        case 2: .string(dice.pick(Words.texts))
        default: .string(dice.pick(words.names))
        }
    }

    private func change(_ text: String, _ dice: inout Dice) -> String {
        switch dice.roll(6) {
        case 0: dice.pick(Words.texts)
        case 1: text + dice.pick(Words.texts)
        case 2: dice.pick(Words.texts) + text
        case 3: String(text.prefix(dice.roll(text.count + 1)))
        default: dice.pick(words.names)
        }
    }

    private func change(_ elements: [JSONValue], _ dice: inout Dice) -> [JSONValue] {
        guard !elements.isEmpty else { return [scalar(&dice)] }
        var elements = elements
        let place = dice.roll(elements.count)
        switch dice.roll(6) {
        case 0: elements.remove(at: place)
        case 1: elements.append(elements[place])
        case 2: elements.swapAt(place, dice.roll(elements.count))
        case 3: elements += repeatElement(elements[place], count: dice.roll(40))
        case 4: elements.insert(scalar(&dice), at: place)
        default: elements = []
        }
        return elements
    }

    private func change(_ object: JSONObject, _ dice: inout Dice) -> JSONObject {
        var members = object.members.map { ($0.key, $0.value) }
        guard !members.isEmpty else { return [dice.pick(words.names): scalar(&dice)] }
        let place = dice.roll(members.count)
        switch dice.roll(6) {
        case 0: members.remove(at: place)
        case 1: members[place].0 = dice.pick(words.names)
        case 2: members[place].0 = change(members[place].0, &dice)
        case 3: members.append((dice.pick(words.names), members[place].1))
        case 4: members.append((members[place].0, scalar(&dice)))
        default: members.append((dice.pick(words.names), scalar(&dice)))
        }
        var changed = JSONObject()
        for (key, value) in members { changed.append(key, value) }
        return changed
    }
}

extension JSONObject {
    fileprivate func setting(_ name: String, _ value: JSONValue) -> JSONObject {
        var changed = JSONObject()
        for member in members where member.key != name { changed.append(member.key, member.value) }
        changed.append(name, value)
        return changed
    }
}

extension JSONValue {
    /// The number of values in the tree.
    fileprivate var nodeCount: Int {
        switch self {
        case .array(let elements): elements.reduce(1) { $0 + $1.nodeCount }
        case .object(let object): object.members.reduce(1) { $0 + $1.value.nodeCount }
        default: 1
        }
    }

    /// The value at a place, counted from the outermost one, and its name if it is a member.
    fileprivate func node(_ place: Int) -> (name: String?, value: JSONValue) {
        var found: (String?, JSONValue) = (nil, self)
        _ = walk(place, nil) { name, value in
            found = (name, value)
            return value
        }
        return found
    }

    /// The tree with another value at a place; nil if nothing is left.
    fileprivate func replacing(_ place: Int, _ change: (JSONValue) -> JSONValue?) -> JSONValue? {
        walk(place, nil) { change($1) }
    }

    private func walk(
        _ place: Int, _ name: String?, _ change: (String?, JSONValue) -> JSONValue?
    ) -> JSONValue? {
        guard place > 0 else { return place == 0 ? change(name, self) : self }
        var left = place - 1
        switch self {
        case .array(let elements):
            var changed: [JSONValue] = []
            for element in elements {
                if let value = element.walk(left, nil, change) { changed.append(value) }
                left = left < 0 ? left : left - element.nodeCount
            }
            return .array(changed)
        case .object(let object):
            var changed = JSONObject()
            for member in object.members {
                let value = member.value.walk(left, member.key, change)
                if let value { changed.append(member.key, value) }
                left = left < 0 ? left : left - member.value.nodeCount
            }
            return .object(changed)
        default: return self
        }
    }
}
