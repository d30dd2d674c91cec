// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@Suite("List elements in errors")
struct SubjectTests {
    private func config(_ members: String) -> [UInt8] {
        bytes(
            #"{"ociVersion":"1.0.2","root":{"path":"r"},"process":{"cwd":"/","args":["a"]},"#
                + members + "}")
    }

    private func errors(_ json: [UInt8]) -> String {
        do {
            try Spec(json: json).check()
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test(
        "an error about a list element names it as the config does",
        arguments: [
            (
                #""mounts":[{"destination":"/a"},{"destination":"/opt","options":7}]"#,
                "mounts[1].options (/opt): found a number, expected an array of strings"
            ),
            (
                #""mounts":[{"destination":"/opt","type":"bind"}]"#,
                "mounts[0].source (/opt): must not be empty for a bind mount"
            ),
            (
                #""hooks":{"poststop":[{"path":"/bin/x","timeout":0}]}"#,
                "hooks.poststop[0].timeout (/bin/x): must be greater than 0, found 0"
            ),
            (
                #""linux":{"devices":[{"path":"/dev/x","type":"c","major":5000,"minor":1}]}"#,
                "linux.devices[0].major (/dev/x): 5000 is out of range (0...4095)"
            ),
        ])
    func named(_ members: String, _ text: String) {
        #expect(errors(config(members)) == text)
    }

    @Test("an error does not repeat a name that is already in its message")
    func once() {
        #expect(
            errors(config(#""linux":{"devices":[{"path":"x","type":"p"}]}"#))
                == #"linux.devices[0].path: "x" is not an absolute path"#)
    }

    @Test("a name in an error that could break the line is quoted")
    func quotedName() {
        #expect(
            errors(config(#""mounts":[{"destination":"/a\n/b","type":"bind"}]"#))
                == #"mounts[0].source ("/a\n/b"): must not be empty for a bind mount"#)
    }

    @Test("an error about a resource limit of an exec process names the limit")
    func processAlone() {
        let error = #expect(throws: SpecErrors.self) {
            try Process(
                args: ["a"], cwd: "/", rlimits: [Rlimit(type: "RLIMIT_CPU", hard: 1, soft: 2)]
            ).check()
        }
        #expect(
            error?.description
                == "process.rlimits[0] (RLIMIT_CPU): the soft limit 2 is above the hard limit 1")
    }

    @Test("a warning names the list element, too")
    func warnings() throws {
        let spec = try Spec(json: config(#""mounts":[{"destination":"data","type":"tmpfs"}]"#))
        #expect(
            spec.warnings.map(\.description) == [
                "mounts[0].destination (data): is relative, which is deprecated; taken from /"
            ])
    }

    @Test("-1 is not a valid id, and no id range may contain it")
    func lastID() throws {
        let user = #""process":{"cwd":"/","args":["a"],"user":{"uid":4294967295,"gid":4294967294,"#
        let found = errors(config(user + #""additionalGids":[1,4294967295]}}"#))
        #expect(found.contains("process.user.uid: 4294967295 is no id"))
        #expect(found.contains("process.user.additionalGids[1]: 4294967295 is no id"))
        #expect(!found.contains("process.user.gid"))
        func range(_ size: UInt32) -> String {
            let list = #"[{"containerID":0,"hostID":0,"size":\#(size)}]"#
            return errors(
                config(
                    #""linux":{"namespaces":[{"type":"user"}],"uidMappings":\#(list),"#
                        + #""gidMappings":\#(list)}"#))
        }
        #expect(range(.max) == "")
        let shifted = #"[{"containerID":1,"hostID":0,"size":4294967295}]"#
        #expect(
            errors(config(#""linux":{"uidMappings":\#(shifted)}"#))
                .contains("exceed 4294967294, the last id"))
    }

    @Test("an effective capability must be permitted, too")
    func effective() {
        let capabilities = Capabilities(
            bounding: ["CAP_KILL", "CAP_CHOWN"], effective: ["CAP_KILL", "CAP_CHOWN", "CAP_FLY"],
            permitted: ["CAP_KILL"])
        let error = #expect(throws: SpecErrors.self) {
            try Process(args: ["a"], cwd: "/", capabilities: capabilities).check()
        }
        #expect(
            error?.description
                == "process.capabilities.effective[1]: CAP_CHOWN is not in "
                + "process.capabilities.permitted")
    }
}
