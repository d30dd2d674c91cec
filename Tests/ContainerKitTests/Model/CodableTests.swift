// SPDX-License-Identifier: Apache-2.0

import ContainerKitCodable
import Foundation
import Testing

@Suite("Documents for coders of the standard library")
struct CodableTests {
    private func copy<Value: Codable>(_ value: Value) throws -> Value {
        try JSONDecoder().decode(Value.self, from: JSONEncoder().encode(value))
    }

    @Test("a config, a state and features come back as they were")
    func documents() throws {
        var spec = Spec.template
        spec.linux?.resources = Resources(memory: MemoryResources(limit: 1 << 40))
        #expect(try copy(spec) == spec)
        let state = State(
            ociVersion: "1.2.0", id: "a", pid: 12, status: .running, bundle: "/b", rootfs: "/r",
            created: "2026-01-01T00:00:00Z", annotations: ["a": "b"], owner: "root")
        #expect(try copy(state).id == "a" && copy(state).pid == 12)
        let text = #"{"ociVersionMin": "1.0.0", "ociVersionMax": "1.3.0"}"#
        let features = try Features(json: Array(text.utf8))
        #expect(try copy(features) == features)
    }

    @Test("JSON of every kind comes back, and large integers stay exact")
    func values() throws {
        let value = JSONValue.array([
            .null, .bool(true), .integer(-1), .integer(.max), .unsigned(.max), .double(1.5),
            .string("a\"ö"), .object(["a": .array([]), "b": .object([:])]),
        ])
        #expect(try copy(value) == value)
    }

    @Test("what is no config is an error of the decoder, with the field's path")
    func wrong() {
        let error = #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(
                Spec.self, from: Data(#"{"ociVersion": "1.0.0", "hostname": 1}"#.utf8))
        }
        guard case .dataCorrupted(let context)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(context.debugDescription.contains("hostname"))
    }

    @Test(
        "a termination comes back as it was",
        arguments: [
            Termination(status: .unknown),
            Termination(
                status: .signaled(9), outOfMemoryKills: 2,
                usage: ResourceUsage(
                    userTime: .microseconds(5), systemTime: .seconds(70), peakMemoryBytes: 4096)),
            Termination(status: .exited(3), outOfMemoryKills: 0),
        ])
    func termination(_ termination: Termination) throws {
        #expect(try copy(termination) == termination)
    }

    @Test("statistics are written with runc's keys")
    func statistics() throws {
        var statistics = Statistics()
        statistics.pids.current = 7
        let text = String(decoding: try JSONEncoder().encode(statistics), as: UTF8.self)
        #expect(text.contains(#""pids":{"current":7}"#))
    }
}
