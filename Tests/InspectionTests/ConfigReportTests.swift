// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ContainerKitInspection

@Suite("Reports on configs")
struct ConfigReportTests {
    @Test("who imports the inspection has ContainerKit with it")
    func exported() throws { #expect(try Spec.sandbox(["true"]).process?.args == ["true"]) }

    @Test(
        "a good config of the fixtures has no error and no unknown field", arguments: Fixture.good)
    func good(_ fixture: Fixture) throws {
        let report = try ConfigReport(json: fixture.json, host: nil)
        #expect(report.errors == [])
        #expect(report.paths(.unknownField) == [])
    }

    @Test("every violation that decoding and rules know is in the report", arguments: Fixture.bad)
    func bad(_ fixture: Fixture) throws {
        let expected: [SpecError]
        do {
            try Spec(json: fixture.json).check()
            Issue.record("this fixture is good")
            return
        } catch SpecDecodingError.syntax(let error) {
            #expect(throws: error) { try ConfigReport(json: fixture.json, host: nil) }
            return
        } catch SpecDecodingError.fields(let errors) {
            expected = errors.violations
        } catch let errors as SpecErrors {
            expected = errors.violations
        }
        let report = try ConfigReport(json: fixture.json, host: nil)
        for error in expected where error.path != "process" || fixture.name != "process-missing" {
            #expect(
                report.errors.contains { $0.path == error.path && $0.message == error.message },
                "\(error)")
        }
        // The specification demands a process for start alone.
        if fixture.name == "process-missing" {
            #expect(try report.finding(at: "process").severity == .warning)
        }
    }

    @Test("every error of the fixtures has a hint", arguments: Fixture.bad)
    func hints(_ fixture: Fixture) throws {
        guard let report = try? ConfigReport(json: fixture.json, host: nil) else { return }
        for error in report.errors {
            #expect(error.hint != Hint.fallback, "\(error.path): \(error.message)")
        }
    }

    @Test(
        "the bad configs of the specification's schema are found, and its good ones pass",
        arguments: [
            (#"{"hugepageLimits": [{"limit": 1234123, "pageSize": "64kB"}]}"#, false),
            (#"{"rdma": {"mlx5_1": {"hcaHandles": "not a uint32"}}}"#, false),
            (
                #"{"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}, "rxe3": {"hcaObjects": 10000}}}"#,
                true
            ),
            ("{}", true),
        ])
    func schema(_ resources: String, _ isGood: Bool) throws {
        let json =
            #"{"ociVersion": "1.0.0", "root": {"path": "rootfs"}, "zos": {}, "linux": {"resources": \#(resources)}}"#
        #expect(try report(json).isClean() == isGood)
    }

    @Test("strict makes every warning an error")
    func strict() throws {
        let report = try report(config(top: #", "zos": {}"#))
        #expect(report.isClean() && !report.isClean(strict: true))
        #expect(!report.strict.isClean() && report.strict.warnings.isEmpty)
    }

    @Test("a report in JSON has the counts, and the section's link and the hint of each finding")
    func json() throws {
        let json = try report(config(process: #", "oomScoreAdj": 5000"#)).encoded
        guard case .object(let object) = json, case .array(let findings)? = object["findings"],
            case .object(let finding)? = findings.first,
            case .object(let section)? = finding["section"]
        else {
            Issue.record("\(json)")
            return
        }
        #expect(object["errors"] == .integer(1) && object["warnings"] == .integer(0))
        #expect(finding["path"] == .string("process.oomScoreAdj"))
        #expect(finding["kind"] == .string("specification"))
        #expect(finding["hint"] == .string("choose a number in the range"))
        #expect(section["name"] == .string("config.md, Linux Process"))
        guard case .string(let link)? = section["link"] else { return }
        #expect(link.hasSuffix("/config.md#linux-process"))
    }
}

@Suite("Configs with fields of the wrong type")
struct WrongTypeReportTests {
    @Test("the rest of a config is checked although some fields have the wrong type")
    func rest() throws {
        let report = try report(
            """
            {"ociVersion": "x", "root": {"path": ""}, "hostname": 7,
             "process": {"cwd": "srv", "args": "sh", "user": {"umask": 9999}},
             "linux": {"maskedPaths": ["relative"], "namespaces": [{"type": "mount"}],
                       "resources": {"pids": {"limit": "many"}}}}
            """)
        #expect(
            Set(report.paths(.specification)) == [
                "hostname", "process.args", "linux.resources.pids.limit", "ociVersion", "root.path",
                "process.cwd", "process.user.umask", "linux.maskedPaths[0]",
            ])
    }

    @Test("an element after one that could not be decoded keeps its place in the list")
    func gaps() throws {
        let report = try report(
            config(
                linux: """
                    , "maskedPaths": [1, "/a", 2, "b", "/c", "d"],
                      "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                        7, {"names": ["read"], "action": "SCMP_ACT_ERRNO",
                            "args": [1, {"index": 9, "value": 0, "op": "SCMP_CMP_EQ"}]}]}
                    """))
        #expect(
            report.paths(.specification) == [
                "linux.seccomp.syscalls[0]", "linux.seccomp.syscalls[1].args[0]",
                "linux.maskedPaths[0]", "linux.maskedPaths[2]", "linux.maskedPaths[3]",
                "linux.maskedPaths[5]", "linux.seccomp.syscalls[1].args[1].index",
            ])
    }

    @Test(
        "what a rule says only because of a field of the wrong type is left out",
        arguments: [
            #"{"ociVersion": "1.3.0", "root": {"path": "r"}, "hostname": "box", "process": {"cwd": "/", "args": ["sh"]}, "linux": {"namespaces": 1, "maskedPaths": ["/a"], "sysctl": {"net.ipv4.ip_forward": "1"}}}"#,
            #"{"ociVersion": "1.3.0", "root": {"path": "r"}, "hostname": "box", "process": {"cwd": "/", "args": ["sh"]}, "linux": 1}"#,
            #"{"ociVersion": "1.3.0", "root": {"path": "r"}, "process": 1}"#,
            #"{"ociVersion": "1.3.0", "root": 1, "process": {"cwd": "/", "args": ["sh"]}}"#,
            #"{"ociVersion": "1.3.0", "root": {"path": "r"}, "process": {"cwd": "/", "args": ["sh"], "scheduler": {"policy": "SCHED_FIFI", "priority": 5}}}"#,
            #"{"ociVersion": "1.3.0", "root": {"path": "r"}, "process": {"cwd": "/", "args": ["sh"]}, "linux": {"namespaces": [{"type": "mont"}, {"type": "mount"}]}}"#,
            #"{"ociVersion": "1.3.0", "root": {"path": "r"}, "process": {"cwd": "/", "args": ["sh"], "user": {"uid": 5}}, "linux": {"namespaces": [{"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 9, "size": "1"}], "gidMappings": [{"containerID": 0, "hostID": 9, "size": 1}]}}"#,
            #"{"ociVersion": "1.3.0", "root": {"path": "r"}, "process": {"cwd": "/", "args": ["sh"], "capabilities": {"effective": ["CAP_KILL"], "permitted": "CAP_KILL"}}}"#,
            "[]", "7",
        ])
    func followUps(_ json: String) throws {
        let report = try report(json)
        #expect(report.errors.count == 1, "\(report.errors.map { "\($0.path): \($0.message)" })")
    }

    @Test("a config with very many errors is reported on at once", .timeLimit(.minutes(1)))
    func many() throws {
        let numbers = Array(repeating: "1", count: 10_000).joined(separator: ",")
        let report = try report(
            config(linux: #", "maskedPaths": [\#(numbers)], "readonlyPaths": [\#(numbers)]"#))
        #expect(report.errors.count == 20_000)
        // Errors of both kinds: none is compared with all others.
        let nodes = Array(
            repeating: #"{"path": "x", "type": "c", "major": 1, "minor": 1}"#, count: 5_000)
        let both = try self.report(
            config(
                linux: #", "maskedPaths": [\#(numbers)], "devices": [1, "#
                    + #"\#(nodes.joined(separator: ","))]"#))
        #expect(both.errors.count == 15_001)
        #expect(both.errors.last?.path == "linux.devices[5000].path")
        let keys = (0..<2_000).map { #", "field\#($0)": 1"# }.joined()
        #expect(try self.report(config(process: keys)).warnings.count == 2_000)
    }

    private func report(_ json: String) throws -> ConfigReport {
        try InspectionTests.report(json)
    }

    @Test("a config that is nested too deep, or is not UTF-8, is refused with its place")
    func limits() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: JSONSyntaxError.self) { try report(deep) }
        #expect(throws: JSONSyntaxError.self) {
            try ConfigReport(json: [0x22, 0xff, 0x22], host: nil)
        }
        #expect(throws: JSONSyntaxError.self) { try ConfigReport(json: [], host: nil) }
    }
}

@Suite("Fields without effect")
struct FieldUseTests {
    @Test(
        "an unknown field is a warning, with the field that it was meant to be",
        arguments: [
            (
                config(process: #", "noNewPriviliges": true"#), "process.noNewPriviliges",
                "noNewPrivileges"
            ),
            (config(top: #", "hostnmae": "box""#), "hostnmae", "hostname"),
            (
                config(linux: #", "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscals": []}"#),
                "linux.seccomp.syscals", "syscalls"
            ),
            (
                config(mounts: #"{"destination": "/a", "type": "tmpfs", "option": ["ro"]}"#),
                "mounts[0].option", "options"
            ),
            (
                config(linux: #", "resources": {"memory": {"limti": 5}}"#),
                "linux.resources.memory.limti", "limit"
            ),
            (
                config(
                    linux: #", "resources": {"rdma": {"a": {"hcaHandles": 1, "hcaObject": 5}}}"#),
                "linux.resources.rdma.a.hcaObject", "hcaObjects"
            ),
        ])
    func misspelt(_ json: String, _ path: String, _ meant: String) throws {
        let finding = try report(json).finding(at: JSONPath(stringLiteral: path))
        #expect(finding.kind == .unknownField && finding.severity == .warning)
        #expect(finding.hint == "did you mean \(meant)?")
    }

    @Test("an unknown field like no other gets the list of the fields there")
    func unlike() throws {
        let report = try report(config(top: #", "root2": 1, "somethingElse": {"limit": 1}"#))
        #expect(report.paths(.unknownField) == ["root2", "somethingElse"])
        #expect(
            try report.finding(at: "somethingElse").hint.contains("ociVersion, process"))
    }

    @Test("a field in other letters of case is read, and the report says as what")
    func letters() throws {
        let report = try report(config(process: #", "Terminal": true, "CWD": "/""#))
        #expect(report.isClean())
        #expect(try report.finding(at: "process.Terminal").hint == "write terminal")
    }

    @Test("names that a config may choose are not fields")
    func chosen() throws {
        let json = config(
            linux:
                #", "sysctl": {"net.ipv4.ip_forward": "1"}, "resources": {"unified": {"memory.high": "max"}}"#,
            top: #", "annotations": {"anything": "at all"}"#)
        #expect(try report(json).paths(.unknownField) == [])
    }

    @Test(
        "a deprecated field is a warning",
        arguments: [
            (config(top: #", "hooks": {"prestart": [{"path": "/bin/true"}]}"#), "hooks.prestart"),
            (
                config(linux: #", "resources": {"memory": {"kernel": 1000000}}"#),
                "linux.resources.memory.kernel"
            ),
            (
                config(mounts: #"{"destination": "a", "type": "tmpfs", "source": "tmpfs"}"#),
                "mounts[0].destination"
            ),
        ])
    func deprecated(_ json: String, _ path: String) throws {
        let report = try report(json)
        #expect(report.isClean(), "\(report.errors)")
        #expect(report.paths(.deprecated) == [path])
    }

    @Test(
        "a field without effect on Linux is a warning, and not an unknown field",
        arguments: [
            (config(top: #", "windows": {"servicing": true}"#), "windows"),
            (config(process: #", "commandLine": "sh""#), "process.commandLine"),
            (config(process: #", "user": {"username": "me"}"#), "process.user.username"),
            (config(process: #", "consoleSize": {"height": 1, "width": 1}"#), "process"),
            (config(linux: #", "seccomp": {"defaultAction": ""}"#), "linux.seccomp"),
            (
                config(process: #", "capabilities": {"bounding": ["CAP_KILLS"]}"#),
                "process.capabilities"
            ),
        ])
    func ignored(_ json: String, _ path: String) throws {
        let report = try report(json)
        #expect(report.paths(.ignored) == [path])
        #expect(report.findings.count == 1)
    }

    @Test(
        "the distance of two words counts letters inserted, left out, replaced and swapped",
        arguments: [
            ("", "", 0), ("limit", "limit", 0), ("limti", "limit", 1), ("limi", "limit", 1),
            ("llimit", "limit", 1), ("lymit", "limit", 1), ("abc", "", 3), ("kitten", "sitting", 3),
        ])
    func distance(_ one: String, _ other: String, _ distance: Int) {
        #expect(NearestWord.distance(Array(one.utf8), Array(other.utf8)) == distance)
        #expect(NearestWord.distance(Array(other.utf8), Array(one.utf8)) == distance)
    }
}
