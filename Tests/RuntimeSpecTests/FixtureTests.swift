// SPDX-License-Identifier: Apache-2.0

import Foundation
import RuntimeSpec
import Testing

@Suite("Config fixtures")
struct FixtureTests {
    @Test("the config fixtures exist")
    func fixturesExist() {
        #expect(Fixture.good.count >= 10)
        #expect(Fixture.bad.count >= 100)
    }

    @Test("a good configuration has no violation", arguments: Fixture.good)
    func goodIsAccepted(_ fixture: Fixture) throws {
        try Spec(json: fixture.json).check()
    }

    @Test("an encoded config decodes to the same value", arguments: Fixture.good)
    func roundTrip(_ fixture: Fixture) throws {
        let spec = try Spec(json: fixture.json)
        #expect(try Spec(json: spec.encoded.encoded()) == spec)
        #expect(try Spec(json: spec.encoded.encoded(pretty: true)) == spec)
        #expect(try Spec(encoded: spec.encoded) == spec)
    }

    @Test("decoding and encoding a config loses nothing of it", arguments: Fixture.good)
    func nothingIsLost(_ fixture: Fixture) throws {
        let original = try JSONValue(json: fixture.json)
        let encoded = try Spec(json: fixture.json).encoded
        #expect(missing(from: encoded, in: original, at: .root).isEmpty)
    }

    /// The paths of all values of `original` that are missing or different in `copy`.
    private func missing(
        from copy: JSONValue?, in original: JSONValue, at path: JSONPath
    ) -> [JSONPath] {
        switch (original, copy) {
        case (.object(let original), .object(let copy)):
            return original.members.flatMap {
                missing(from: copy[$0.key], in: $0.value, at: path.appending(key: $0.key))
            }
        case (.array(let original), .array(let copy)) where original.count == copy.count:
            return zip(original, copy).enumerated().flatMap { index, pair in
                missing(from: pair.1, in: pair.0, at: path.appending(index: index))
            }
        default: return original == copy ? [] : [path]
        }
    }

    @Test("a bad configuration gives exactly the expected errors", arguments: Fixture.bad)
    func badIsRefused(_ fixture: Fixture) throws {
        let found = errorText(fixture.json)
        if ProcessInfo.processInfo.environment["UPDATE_SNAPSHOTS"] == "1" {
            try found.write(to: fixture.textURL, atomically: true, encoding: .utf8)
        }
        #expect(!found.isEmpty)
        #expect(try found == String(contentsOf: fixture.textURL, encoding: .utf8))
    }

    /// One line for each violation; empty if there is none.
    private func errorText(_ json: [UInt8]) -> String {
        do throws(SpecDecodingError) {
            let spec = try Spec(json: json)
            do throws(SpecErrors) {
                try spec.check()
                return ""
            } catch {
                return lines(error)
            }
        } catch {
            switch error {
            case .syntax(let error): return "\(error)\n"
            case .fields(let errors): return lines(errors)
            }
        }
    }

    private func lines(_ errors: SpecErrors) -> String {
        errors.violations.map { "\($0)\n" }.joined()
    }

    @Test("every violation refers to a section of the specification", arguments: Fixture.bad)
    func violationsNameTheirSection(_ fixture: Fixture) {
        for violation in violations(fixture.json) {
            #expect(violation.section?.contains(".md") == true, "\(violation)")
        }
    }

    private func violations(_ json: [UInt8]) -> [SpecError] {
        do {
            try Spec(json: json).check()
            return []
        } catch let errors as SpecErrors {
            return errors.violations
        } catch SpecDecodingError.fields(let errors) {
            return errors.violations
        } catch {
            return []
        }
    }
}
