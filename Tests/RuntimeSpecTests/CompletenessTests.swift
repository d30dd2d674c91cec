// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import RuntimeSpec

@Suite("Completeness of the model")
struct CompletenessTests {
    @Test("the full config of the fixtures sets every field of the model at least once")
    func fullSetsEverything() throws {
        var spec = try Spec(json: Fixture.good("full").json)
        var visitor = SetFields(type: "Spec")
        spec.visitFields(&visitor)
        // SCHED_DEADLINE, which the other fields require, excludes a priority; there are no flags.
        let impossible: Set = ["Scheduler.priority", "Personality.flags"]
        #expect(visitor.all.subtracting(visitor.set) == impossible)
        #expect(visitor.all.count > 150)
    }

    @Test("enumerated words that the model knows survive decoding and encoding")
    func vocabularies() throws {
        var spec = try Spec(json: Fixture.good("full").json)
        var visitor = SetFields(type: "Spec")
        spec.visitFields(&visitor)
        #expect(visitor.vocabularies.count >= 14)
        for words in visitor.vocabularies.values { roundTrip(words) }
        roundTrip(State.Status.self)
    }

    private func roundTrip<Words: Vocabulary>(_ words: Words.Type) {
        var context = DecodingContext(section: "")
        for word in words.allCases {
            #expect(Words.decode(word.encode(), &context)?.rawValue == word.rawValue)
        }
        #expect(context.violations.isEmpty)
    }
}

/// Records which fields of which types are present.
private struct SetFields: FieldVisitor {
    var type: String
    var all: Set<String> = []
    var set: Set<String> = []
    /// The sets of words that it came across.
    var vocabularies: [ObjectIdentifier: any Vocabulary.Type] = [:]

    mutating func required<Value: SpecValue>(_ key: String, _ value: inout Value) {
        note(key, isSet: true)
        enter(value)
    }

    mutating func optional<Value: SpecValue>(_ key: String, _ value: inout Value?) {
        note(key, isSet: value != nil)
        if let value { enter(value) }
    }

    mutating func defaulted<Value: SpecValue & Equatable>(
        _ key: String, _ value: inout Value, absent: Value
    ) {
        note(key, isSet: value != absent)
        enter(value)
    }

    mutating func kept<Value: SpecValue>(_ key: String, _ value: inout Value) {
        required(key, &value)
    }

    mutating func text(_ key: String, _ value: inout String?) {
        optional(key, &value)
    }

    mutating func word<Value: Vocabulary>(_ key: String, _ value: inout Value?) {
        optional(key, &value)
    }

    private mutating func note(_ key: String, isSet: Bool) {
        all.insert("\(type).\(key)")
        if isSet { set.insert("\(type).\(key)") }
    }

    private mutating func enter(_ value: any SpecValue) {
        if let word = value as? any Vocabulary {
            note(word)
        } else if let words = value as? [any Vocabulary] {
            for word in words { note(word) }
        } else if let object = value as? any SpecObject {
            enterObject(object)
        } else if let list = value as? [any SpecObject] {
            for object in list { enterObject(object) }
        } else if let map = value as? [String: any SpecObject] {
            for object in map.values { enterObject(object) }
        }
    }

    private mutating func note<Word: Vocabulary>(_ word: Word) {
        vocabularies[ObjectIdentifier(Word.self)] = Word.self
    }

    private mutating func enterObject(_ object: some SpecObject) {
        let outer = type
        type = "\(Swift.type(of: object))"
        var copy = object
        copy.visitFields(&self)
        type = outer
    }
}
