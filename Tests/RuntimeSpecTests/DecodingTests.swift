// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@Suite("Decoding of documents")
struct DecodingTests {
    private func errors(_ json: String) -> String? {
        do throws(SpecDecodingError) {
            _ = try Spec(json: bytes(json))
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test("null in a document means the same as an absent field")
    func nullIsAbsent() throws {
        let spec = try Spec(
            json: bytes(
                """
                {"ociVersion": "1.3.0", "process": null, "root": {"path": "r", "readonly": null},
                 "mounts": null, "linux": {"seccomp": null, "cgroupsPath": null}}
                """))
        #expect(
            spec == Spec(ociVersion: "1.3.0", root: Root(path: "r"), linux: Linux()))
    }

    @Test("an empty word or text means the same as an absent one, where the field may be absent")
    func emptyIsAbsent() throws {
        let spec = try Spec(
            json: bytes(
                """
                {"ociVersion": "", "hostname": "", "domainname": "", "root": {"path": "r"},
                 "process": {"args": ["a"], "cwd": "/", "apparmorProfile": "", "selinuxLabel": ""},
                 "mounts": [{"destination": "/t", "type": "", "source": ""}],
                 "linux": {"rootfsPropagation": "", "mountLabel": "", "cgroupsPath": "",
                  "namespaces": [{"type": "mount", "path": ""}], "maskedPaths": [""],
                  "readonlyPaths": [""], "seccomp": {"defaultAction": ""},
                  "intelRdt": {"closID": "", "l3CacheSchema": "", "memBwSchema": ""},
                  "resources": {"cpu": {"cpus": "", "mems": ""},
                   "devices": [{"allow": false, "type": "", "access": ""}]}}}
                """))
        try spec.check()
        let linux = try #require(spec.linux)
        #expect(spec.hostname == nil && spec.domainname == nil)
        #expect(spec.process?.apparmorProfile == nil && spec.process?.selinuxLabel == nil)
        #expect(spec.mounts == [Mount(destination: "/t")])
        #expect(linux.rootfsPropagation == nil && linux.seccomp == nil)
        #expect(linux.mountLabel == nil && linux.cgroupsPath == nil)
        #expect(linux.namespaces == [Namespace(kind: .mount)])
        #expect(linux.intelRdt == IntelRdt())
        #expect(
            linux.resources
                == Resources(devices: [DeviceCgroupRule(allow: false)], cpu: CPUResources()))
    }

    @Test("a seccomp section without a defaultAction counts as absent only if it has no rules")
    func seccompWithoutAction() {
        #expect(
            errors(
                #"{"ociVersion": "1.0.0", "linux": {"seccomp": {"syscalls": [{"names": ["read"], "#
                    + #""action": "SCMP_ACT_ERRNO"}]}}}"#)
                == "linux.seccomp.defaultAction: is missing")
    }

    @Test("twenty thousand unknown keys are read quickly", .timeLimit(.minutes(1)))
    func manyKeys() throws {
        let keys = (0..<20_000).map { "\"key\($0)\": 1" }.joined(separator: ", ")
        let start = ContinuousClock.now
        let spec = try Spec(
            json: bytes("{\(keys), \"OCIVERSION\": \"1.0.0\", \"root\": {\"path\": \"r\"}}"))
        #expect(spec.ociVersion == "1.0.0")
        // Quadratic time would take minutes.
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    @Test("null for a required field is a missing field")
    func nullIsMissing() {
        #expect(errors(#"{"ociVersion": null}"#) == "ociVersion: is missing")
    }

    @Test("nil and empty lists are different, and an empty text is absent")
    func nilAndEmpty() throws {
        let json = #"{"ociVersion": "", "hostname": "", "mounts": [], "annotations": {}}"#
        let spec = try Spec(json: bytes(json))
        #expect(spec.mounts == [])
        #expect(spec.annotations == [:])
        #expect(spec.hooks == nil)
        #expect(spec.hostname == nil)
        #expect(text(spec.encoded.encoded()) == #"{"ociVersion":"","mounts":[],"annotations":{}}"#)
    }

    @Test("unknown fields and other platforms are ignored, whatever they hold")
    func unknownFields() throws {
        let json = #"{"ociVersion": "1.3.0", "windows": 5, "new": [{}], "linux": {"x": [null]}}"#
        #expect(try Spec(json: bytes(json)) == Spec(ociVersion: "1.3.0", linux: Linux()))
    }

    @Test("field names that differ only in capitals are one field, as in Go")
    func spellings() throws {
        let json = #"""
            {"ociVersion": "1", "Root": {"path": "a", "readonly": true}, "linux": {"resources": {
                "cpu": {"shares": 2, "cpus": "1"}, "new": 1, "CPU": {"Cpus": "0", "MEMS": "3"},
                "Unified": {"a": "1", "A": "2"}, "unified": {"b": "3"}, "pids": {"limit": 1},
                "PIDS": null, "cPU": {"idle": 1}}},
             "root": {"Path": "b"}, "OCIVERSION": "2"}
            """#
        let spec = try Spec(json: bytes(json))
        #expect(spec.ociVersion == "2")
        #expect(spec.root == Root(path: "b", readonly: true))
        let resources = try #require(spec.linux?.resources)
        #expect(resources.cpu == CPUResources(shares: 2, cpus: "0", mems: "3", idle: 1))
        // The keys of a map are not names of fields.
        #expect(resources.unified == ["a": "1", "A": "2", "b": "3"])
        #expect(resources.pids == nil)
        // Each violation is reported once, and only for the value that counts.
        #expect(errors(#"{"ociVersion": 5, "OCIVersion": "1"}"#) == nil)
        #expect(
            errors(#"{"OCIVersion": "1", "ociVersion": 5, "hostname": 1}"#)
                == "ociVersion: found a number, expected a string; "
                + "hostname: found a number, expected a string")
    }

    @Test("a field is found even if its name is written with other capitals")
    func otherCapitals() throws {
        let one = #"{"OCIVersion": "1.3.0", "root": {"PATH": "r"}}"#
        #expect(
            try Spec(json: bytes(one)) == Spec(ociVersion: "1.3.0", root: Root(path: "r")))
        let both = #"{"ociversion": "x", "ociVersion": "1.3.0", "Hostname": "h", "Hostnamé": 1}"#
        #expect(try Spec(json: bytes(both)) == Spec(ociVersion: "1.3.0", hostname: "h"))
        let deep = #"{"ociVersion": "1", "Linux": {"resources": {"CPU": {"Cpus": "0"}}}}"#
        #expect(try Spec(json: bytes(deep)).linux?.resources?.cpu?.cpus == "0")
        #expect(errors(#"{"ociversion": null}"#) == "ociVersion: is missing")
        #expect(errors(#"{"OCIVERSION": 1}"#)?.hasPrefix("ociVersion: found a number") == true)
    }

    @Test("fields are found in any order")
    func anyOrder() throws {
        let json = #"{"root": {"readonly": true, "path": "r"}, "hostname": "h", "ociVersion": "1"}"#
        #expect(
            try Spec(json: bytes(json))
                == Spec(
                    ociVersion: "1", root: Root(path: "r", readonly: true), hostname: "h"))
    }

    @Test("all wrong fields of a document are reported at once")
    func allAtOnce() {
        #expect(
            errors(#"{"process": {"args": "x"}, "mounts": [{}, 1], "annotations": {"a.b": 1}}"#)
                == """
                ociVersion: is missing; process.args: found a string, expected an array of strings; \
                process.cwd: is missing; mounts[0].destination: is missing; \
                mounts[1]: found a number, expected an object; \
                annotations["a.b"]: found a number, expected a string
                """)
    }

    @Test("an error refers to the specification's section of the object that it is in")
    func section() throws {
        let json = #"{"ociVersion":"1","linux":{"namespaces":[{"type":"x"}],"devices":1}}"#
        let error = #expect(throws: SpecDecodingError.self) { try Spec(json: bytes(json)) }
        guard case .fields(let errors) = error else {
            Issue.record("not an error of fields")
            return
        }
        #expect(
            errors.violations.map(\.section)
                == ["config-linux.md, Namespaces", "config-linux.md"])
    }

    @Test("user IDs may be absent and are then 0")
    func absentUser() throws {
        let process = try Process(json: bytes(#"{"cwd": "/", "user": {"additionalGids": [1]}}"#))
        #expect(process.user == User(uid: 0, gid: 0, additionalGids: [1]))
        #expect(try Process(json: bytes(#"{"cwd": "/"}"#)).user == User())
    }

    @Test("field paths of a separate process document begin with process")
    func processPaths() {
        let error = #expect(throws: SpecDecodingError.self) {
            try Process(json: bytes(#"{"args": [1], "cwd": "/"}"#))
        }
        #expect(error?.description == "process.args[0]: found a number, expected a string")
    }

    @Test("field paths of a separate resources document begin with linux.resources")
    func resourcesPaths() {
        let error = #expect(throws: SpecDecodingError.self) {
            try Resources(json: bytes(#"{"memory": {"limit": "x"}}"#))
        }
        #expect(
            error?.description
                == "linux.resources.memory.limit: found a string, expected an integer")
    }

    @Test("a process and resources survive decoding and encoding on their own")
    func partsRoundTrip() throws {
        let spec = try Spec(json: Fixture.good("full").json)
        let process = try #require(spec.process)
        let resources = try #require(spec.linux?.resources)
        #expect(try Process(json: process.encoded.encoded()) == process)
        #expect(try Process(encoded: process.encoded) == process)
        #expect(try Resources(json: resources.encoded.encoded()) == resources)
        #expect(try Resources(encoded: resources.encoded) == resources)
    }

    @Test(
        "field paths quote unusual names",
        arguments: [
            ("plain_Key-1", "a.plain_Key-1"), ("a.b", #"a["a.b"]"#), ("", #"a[""]"#),
            ("x\"y\n", #"a["x\"y\n"]"#), ("é", #"a["é"]"#),
        ])
    func oddNames(_ key: String, _ expected: String) {
        #expect(JSONPath("a").appending(key: key).description == expected)
    }

    @Test("a field path does not begin with a dot")
    func firstName() {
        #expect(JSONPath.root.appending(key: "a").appending(index: 2) == "a[2]")
        #expect(JSONPath.root.appending(key: "a.b") == #"["a.b"]"#)
    }
    @Test(
        "an interpolated number is its decimal digits",
        arguments: [0, 7, 10, 4096, -1, -255, Int.max, Int.min])
    func numbers(_ number: Int) {
        #expect("<\(number)>" == "<" + number.description + ">")
    }
}
