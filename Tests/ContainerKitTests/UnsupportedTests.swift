// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@testable import ContainerKit

/// A config with a field that is not acted on, and the path that the error must name.
struct UnsupportedField: Sendable, CustomTestStringConvertible {
    var path: String
    var change: @Sendable (inout Spec) -> Void
    var testDescription: String { path }

    init(_ path: String, _ change: @escaping @Sendable (inout Spec) -> Void) {
        self.path = path
        self.change = change
    }

    static let all: [UnsupportedField] = [
        UnsupportedField("hooks.startContainer") {
            $0.hooks = Hooks(startContainer: [Hook(path: "/bin/true")])
            $0.linux?.seccomp = Seccomp(
                defaultAction: .allow,
                syscalls: [SeccompRule(names: ["mkdir"], action: .notify)])
        }
    ]
}

@Suite("Fields that are not acted on yet")
struct UnsupportedTests {
    @Test("such a field is refused by its path, and by no other", arguments: UnsupportedField.all)
    func fields(_ field: UnsupportedField) {
        var spec = Spec.template
        field.change(&spec)
        #expect(Unsupported.fields(of: spec).map(\.path.description) == [field.path])
    }

    @Test("a config that uses none of them is taken")
    func nothing() {
        var spec = Spec.template
        #expect(Unsupported.fields(of: spec).isEmpty)
        spec.mounts?[0].options = []
        #expect(Unsupported.fields(of: spec).isEmpty, "empty asks for nothing")
    }

    @Test("all such fields are refused in one go")
    func together() {
        var spec = Spec.template
        for field in UnsupportedField.all { field.change(&spec) }
        #expect(
            Set(Unsupported.fields(of: spec).map(\.path.description))
                == Set(UnsupportedField.all.map(\.path)))
    }
}
