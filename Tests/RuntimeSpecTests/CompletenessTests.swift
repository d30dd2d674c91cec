// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import RuntimeSpec

@Suite("completeness")
struct CompletenessTests {
    @Test("the full configuration sets every field of the model at least once")
    func fullSetsEverything() throws {
        var spec = try Spec(json: Fixture.good("full").json)
        var visitor = SetFields(type: "Spec")
        spec.visitFields(&visitor)
        // SCHED_DEADLINE, which the other fields require, excludes a priority; there are no flags.
        let impossible: Set = ["Scheduler.priority", "Personality.flags"]
        #expect(visitor.all.subtracting(visitor.set) == impossible)
        #expect(visitor.all.count > 150)
    }

    @Test("words that the model knows survive a round trip")
    func vocabularies() {
        roundTrip(Namespace.Kind.self)
        roundTrip(Linux.Propagation.self)
        roundTrip(Personality.Domain.self)
        roundTrip(DeviceNode.Kind.self)
        roundTrip(DeviceCgroupRule.Kind.self)
        roundTrip(Scheduler.Policy.self)
        roundTrip(Scheduler.Flag.self)
        roundTrip(IOPriority.Class.self)
        roundTrip(MemoryPolicy.Mode.self)
        roundTrip(MemoryPolicy.Flag.self)
        roundTrip(Seccomp.Action.self)
        roundTrip(Seccomp.Architecture.self)
        roundTrip(Seccomp.Flag.self)
        roundTrip(SeccompArgument.Operator.self)
        roundTrip(State.Status.self)
    }

    private func roundTrip<Words: Vocabulary & Equatable>(_ words: Words.Type) {
        var context = DecodingContext(section: "")
        for word in words.allCases {
            #expect(Words.decode(word.encode(), &context) == word)
        }
        #expect(context.violations.isEmpty)
    }
}

/// Records which fields of which types are present.
private struct SetFields: FieldVisitor {
    var type: String
    var all: Set<String> = []
    var set: Set<String> = []

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
        if let object = value as? any SpecObject {
            enterObject(object)
        } else if let list = value as? [any SpecObject] {
            for object in list { enterObject(object) }
        } else if let map = value as? [String: any SpecObject] {
            for object in map.values { enterObject(object) }
        }
    }

    private mutating func enterObject(_ object: some SpecObject) {
        let outer = type
        type = "\(Swift.type(of: object))"
        var copy = object
        copy.visitFields(&self)
        type = outer
    }
}
