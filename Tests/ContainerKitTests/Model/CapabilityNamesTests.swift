// SPDX-License-Identifier: Apache-2.0

import CCap
import RuntimeSpec
import Testing

@testable import ContainerKit

@Suite("Names of capabilities")
struct CapabilityNamesTests {
    /// libcap's name for a number; it tells a number for one that it does not know.
    private func name(_ number: Int) -> String? {
        guard let text = cap_to_name(cap_value_t(number)) else { return nil }
        defer { cap_free(text) }
        return String(cString: text)
    }

    @Test("the list of RuntimeSpec is libcap's, by name and by number")
    func sameList() {
        #expect(Capability.all.count == Int(CAP_LAST_CAP) + 1)
        for capability in Capability.all {
            let written = capability.description
            #expect(name(Int(capability.number)) == written.lowercased())
            var number = cap_value_t(-1)
            #expect(cap_from_name(written.lowercased(), &number) == 0, "\(written)")
            #expect(UInt8(exactly: number) == capability.number, "\(written)")
        }
    }

    @Test("libcap names no capability that the list of RuntimeSpec lacks")
    func noFurtherOne() {
        for number in Capability.all.count..<64 {
            let text = name(number)
            #expect(text.map { Int($0) == number } ?? true, "\(number): \(text ?? "")")
            #expect(CapabilityNames.name(of: number) == nil)
        }
    }

    @Test("a mask is told by names, and by numbers where there are none")
    func masks() {
        #expect(CapabilityNames.names(in: 0) == [])
        #expect(CapabilityNames.names(in: 1 << 5 | 1 << 21) == ["CAP_KILL", "CAP_SYS_ADMIN"])
        #expect(CapabilityNames.names(in: 1 << 40 | 1 << 63) == ["CAP_CHECKPOINT_RESTORE", "63"])
        let all = Capability.all.map(\.description)
        #expect(CapabilityNames.names(in: 1 << UInt64(all.count) - 1) == all)
    }

    @Test(
        "a name is a capability's only as the specification writes it",
        arguments: [
            ("CAP_KILL", 5), ("CAP_CHECKPOINT_RESTORE", 40), ("cap_kill", nil), ("KILL", nil),
            ("5", nil), ("CAP_5", nil), ("CAP_KILLS", nil), ("CAP_", nil), ("", nil),
        ] as [(String, UInt64?)])
    func numbers(_ name: String, _ number: UInt64?) {
        #expect(CapabilityNames.number(of: name) == number)
    }

    @Test("the own sets are told in libcap's notation")
    func ownText() throws {
        let text = try #require(CapabilityNames.ownText)
        let sets = try #require(cap_from_text(text))
        defer { cap_free(UnsafeMutableRawPointer(sets)) }
        let own = try #require(cap_get_proc())
        defer { cap_free(UnsafeMutableRawPointer(own)) }
        #expect(cap_compare(sets, own) == 0, "\(text)")
    }
}
