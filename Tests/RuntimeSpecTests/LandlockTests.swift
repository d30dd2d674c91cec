// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

/// Rules that are refused, and the text of the refusal.
struct BadLandlock: Sendable, CustomTestStringConvertible {
    let json: String
    let text: String

    var testDescription: String { json }

    static let all = [
        BadLandlock(json: "{", text: "expected a member name"),
        BadLandlock(json: "[]", text: "annotations[\"a.b\"]: found an array, expected an object"),
        BadLandlock(json: "{}", text: "annotations[\"a.b\"].ruleset: is missing"),
        BadLandlock(
            json: #"{"ruleset":{}}"#, text: #"annotations["a.b"].ruleset: denies nothing"#),
        BadLandlock(
            json: #"{"ruleset":{"handledAccessFs":["execute"]}}"#,
            text: #"annotations["a.b"].ruleset.handledAccessFs: is unknown (known are: handled"#),
        BadLandlock(
            json: #"{"ruleset":{"scoped":["signal"]},"bestEffort":true}"#,
            text: #"annotations["a.b"].bestEffort: is unknown"#),
        BadLandlock(
            json: #"{"ruleset":{"handledAccessFS":["run"]}}"#,
            text: #"ruleset.handledAccessFS[0]: "run" is not a right of Landlock to files (exec"#),
        BadLandlock(
            json: #"{"ruleset":{"scoped":["abstract"]}}"#,
            text: #"ruleset.scoped[0]: "abstract" is not a scope of Landlock (abstract_unix_socket"#
        ),
        BadLandlock(
            json: """
                {"ruleset":{"handledAccessFS":["execute"]},
                 "rules":{"pathBeneath":[{"allowedAccess":["execute","read_dir"],"paths":["/"]}]}}
                """,
            text: """
                rules.pathBeneath[0].allowedAccess[1]: "read_dir" is not in \
                ruleset.handledAccessFS, so it is allowed everywhere
                """),
        BadLandlock(
            json: """
                {"ruleset":{"handledAccessFS":["execute"]},
                 "rules":{"pathBeneath":[{"allowedAccess":["execute"],"paths":["/a","b"]}]}}
                """, text: #"rules.pathBeneath[0].paths[1]: "b" is not an absolute path"#),
        BadLandlock(
            json: """
                {"ruleset":{"handledAccessFS":["execute"]},
                 "rules":{"pathBeneath":[{"allowedAccess":[],"paths":[]}]}}
                """,
            text: """
                rules.pathBeneath[0].allowedAccess: must not be empty; \
                annotations["a.b"].rules.pathBeneath[0].paths: must not be empty
                """),
        BadLandlock(
            json: """
                {"ruleset":{"handledAccessNet":["bind_tcp"]},
                 "rules":{"netPort":[{"allowedAccess":["connect_tcp"],"ports":[65536]}]}}
                """, text: "rules.netPort[0].ports[0]: 65536 is out of range (0...65535)"),
        BadLandlock(
            json: """
                {"ruleset":{"handledAccessNet":["bind_tcp"]},
                 "rules":{"netPort":[{"allowedAccess":["connect_tcp"],"ports":[80]}]}}
                """, text: "rules.netPort[0].allowedAccess[0]: \"connect_tcp\" is not in ruleset."),
        BadLandlock(
            json: """
                {"ruleset":{"handledAccessFS":["execute"]},
                 "rules":{"pathBeneath":[{"allowedAccess":["execute"],"path":["/a"]}]}}
                """, text: #"rules.pathBeneath[0].paths: is missing"#),
    ]
}

@Suite("Rules of Landlock in an annotation")
struct LandlockTests {
    @Test("rules of Landlock survive writing and reading")
    func roundTrip() throws {
        let rules = Landlock(
            ruleset: Landlock.Ruleset(
                handledAccessFS: Landlock.FileAccess.allCases,
                handledAccessNet: Landlock.NetworkAccess.allCases,
                scoped: Landlock.Scope.allCases),
            rules: Landlock.Rules(
                pathBeneath: [
                    Landlock.PathRule(
                        allowedAccess: [.readFile, .execute], paths: ["/usr", "/bin"],
                        optional: true)
                ], netPort: [Landlock.PortRule(allowedAccess: [.connect], ports: [443, 0])]),
            disableBestEffort: true)
        #expect(try Landlock(json: rules.encoded.encoded()) == rules)
    }

    @Test("rules of Landlock in the shape proposed for the specification are read")
    func proposed() throws {
        let json = """
            {"ruleset": {"handledAccessFS": ["execute", "write_file", "make_reg"]},
             "rules": {"pathBeneath": [
               {"allowedAccess": ["execute"], "paths": ["/usr", "/bin"]},
               {"allowedAccess": ["write_file", "make_reg"], "paths": ["/tmp"]}]},
             "disableBestEffort": false}
            """
        let rules = try Landlock(json: Array(json.utf8))
        #expect(rules.ruleset.handledAccessFS == [.execute, .writeFile, .makeRegularFile])
        #expect(rules.rules?.pathBeneath?.map(\.paths) == [["/usr", "/bin"], ["/tmp"]])
        #expect(!rules.disableBestEffort && rules.rules?.netPort == nil)
    }

    @Test(
        "rules of Landlock that are wrong, or that would deny nothing, are refused at their field",
        arguments: BadLandlock.all)
    func refused(_ bad: BadLandlock) throws {
        let error = try #require(throws: SpecDecodingError.self) {
            _ = try Landlock(json: Array(bad.json.utf8), at: #"annotations["a.b"]"#)
        }
        #expect(error.description.contains(bad.text), "\(error)")
    }
}
