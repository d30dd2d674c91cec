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

    static let mapping = [IDMapping(containerID: 0, hostID: 0, size: 1)]

    static let all: [UnsupportedField] = [
        UnsupportedField("mounts[0].uidMappings") { $0.mounts?[0].uidMappings = mapping },
        UnsupportedField("mounts[1].uidMappings") { $0.mounts?[1].gidMappings = mapping },
        UnsupportedField("mounts[2].options") { $0.mounts?[2].options = ["bind", "idmap"] },
        UnsupportedField("mounts[2].options") { $0.mounts?[2].options = ["ridmap"] },
        UnsupportedField("linux.namespaces[6] (user namespace)") {
            $0.linux?.namespaces?.append(Namespace(kind: .user))
        },
        UnsupportedField("linux.intelRdt") { $0.linux?.intelRdt = IntelRdt() },
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
        spec.mounts?[1].uidMappings = UnsupportedField.mapping
        spec.linux?.intelRdt = IntelRdt()
        #expect(
            Unsupported.fields(of: spec).map(\.path.description)
                == ["mounts[1].uidMappings", "linux.intelRdt"])
    }
}
