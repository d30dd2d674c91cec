// SPDX-License-Identifier: Apache-2.0

import RuntimeSpec
import Testing

@Suite("Rules beyond the fixtures")
struct RuleTests {
    @Test("a config without a process is valid if the caller does not require a process")
    func processIsOptional() throws {
        let spec = Spec(ociVersion: "1.3.0", root: Root(path: "rootfs"))
        try spec.check(requiringProcess: false)
        #expect(throws: SpecErrors.self) { try spec.check() }
    }

    @Test("the process of exec can be checked on its own")
    func processAlone() {
        let error = #expect(throws: SpecErrors.self) { try Process(cwd: "x").check() }
        #expect(
            error?.description
                == "process.args: must not be empty; process.cwd: \"x\" is not an absolute path")
    }

    @Test("the resources of an update can be checked on their own")
    func resourcesAlone() {
        let error = #expect(throws: SpecErrors.self) {
            try Resources(unified: ["a/b": "1"]).check()
        }
        #expect(
            error?.description
                == "linux.resources.unified[\"a/b\"]: \"a/b\" is not a name of a file")
    }

    @Test(
        "ociVersion follows SemVer 2.0.0",
        arguments: [
            ("1.0.0", true), ("1.0.2-dev", true), ("1.2.0-rc.1", true), ("1.0.0+b.01", true),
            ("1.0.0-0a.x-y+z", true), ("1.0", false), ("1.0.0.0", false), ("v1.0.0", false),
            ("1.0.0-", false), ("1.0.0-01", false), ("1.0.0+", false), ("1.0.0-a..b", false),
            ("1.0.0-é", false), ("01.0.0", false), ("1.0.0+a+b", false), (" 1.0.0", false),
            ("0.5.0", false),
        ])
    func versions(_ version: String, _ isValid: Bool) {
        let spec = Spec(
            ociVersion: version, process: Process(args: ["sh"], cwd: "/"), root: Root(path: "r"))
        #expect(((try? spec.check()) != nil) == isValid)
    }

    @Test("a config that is allowed but suspicious causes a warning")
    func warnings() throws {
        let spec = Spec(
            ociVersion: "1.3.0",
            process: Process(
                args: ["sh"], cwd: "/",
                capabilities: Capabilities(
                    bounding: ["CAP_KILL", "CAP_WALK", "CAP_FLY"], effective: ["CAP_FLY"],
                    inheritable: ["CAP_KILL"],
                    permitted: ["CAP_KILL", "CAP_CHOWN"], ambient: ["CAP_KILL", "CAP_CHOWN"])),
            root: Root(path: "r"), mounts: [Mount(destination: "data", type: "tmpfs")],
            linux: Linux(
                resources: Resources(devices: [DeviceCgroupRule(allow: false, access: "rwa")])))
        try spec.check()
        #expect(
            spec.warnings.map(\.description) == [
                "mounts[0].destination (data): is relative, which is deprecated; taken from /",
                "process.capabilities: ignoring unknown or unavailable capabilities: "
                    + "[CAP_FLY CAP_WALK]",
                "process.capabilities.ambient: can't raise ambient capability CAP_CHOWN: "
                    + "not both permitted and inheritable",
                "linux.resources.devices[0].access: \"rwa\" has other letters than r, w and m, "
                    + "which are left out",
            ])
    }

    @Test(
        "a kernel parameter must stay below /proc/sys",
        arguments: [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/conf/eno2.100/rp_filter", "net/ipv4/conf/eno2.100/rp_filter"),
            ("net.ipv4.conf.eno2/100.rp_filter", "net/ipv4/conf/eno2.100/rp_filter"),
            ("net/../../x", nil), ("net.//.x", nil), ("net..x", nil), ("/net/x", nil), ("", nil),
            ("net/./x", nil), ("net.x.", nil),
            // To Swift, a separator and a combining mark are one character.
            ("net/../\u{301}x", nil), ("net.ipv4.\u{301}x", "net/ipv4/\u{301}x"),
        ] as [(String, String?)])
    func sysctlPaths(_ name: String, _ path: String?) {
        #expect(Linux.sysctlPath(name) == path)
    }

    @Test(
        "a name or a line is checked byte by byte, whatever Swift takes for a character",
        arguments: [
            (Linux(cgroupsPath: "/a/../\u{301}b"), "linux.cgroupsPath"),
            (Linux(intelRdt: IntelRdt(closID: "a/\u{301}b")), "linux.intelRdt.closID"),
            (Linux(intelRdt: IntelRdt(closID: "a\u{600}/b")), "linux.intelRdt.closID"),
            (
                Linux(intelRdt: IntelRdt(schemata: ["MB:0=9\r\nL3:0=f"])),
                "linux.intelRdt.schemata[0]"
            ),
            (
                Linux(intelRdt: IntelRdt(memBwSchema: "MB:0=9\r\nL3:0=f")),
                "linux.intelRdt.memBwSchema"
            ),
            (
                Linux(resources: Resources(unified: ["a/\u{301}b": "1"])),
                "linux.resources.unified[\"a/\u{301}b\"]"
            ),
        ])
    func bytes(_ linux: Linux, _ path: String) {
        let spec = Spec(
            ociVersion: "1.3.0", process: Process(args: ["sh"], cwd: "/"), root: Root(path: "r"),
            linux: linux)
        let error = #expect(throws: SpecErrors.self) { try spec.check() }
        #expect(error?.violations.map(\.path.description) == [path])
    }

    @Test("a warning of unknown capabilities is one line, whatever their names are")
    func controlCharacters() {
        let capabilities = Capabilities(bounding: ["CAP_\n\u{1B}[31m"])
        let process = Process(args: ["sh"], cwd: "/", capabilities: capabilities)
        #expect(
            process.warnings.map(\.description) == [
                "process.capabilities: ignoring unknown or unavailable capabilities: "
                    + "[CAP_\\n\\x1b[31m]"
            ])
    }

    @Test("capabilities have the kernel's numbers")
    func capabilities() {
        #expect(Capability.all.count == 41)
        let numbers = ["CAP_CHOWN": 0, "CAP_SYS_ADMIN": 21, "CAP_CHECKPOINT_RESTORE": 40]
        for (name, number) in numbers {
            #expect(Capability(name: name).map { Int($0.number) } == number)
        }
        #expect(Capability.all.allSatisfy { Capability(name: $0.description) == $0 })
        #expect(Capability(name: "cap_kill") == nil)
    }

    @Test(
        "resource limits have the kernel's numbers",
        arguments: [("RLIMIT_CPU", 0), ("RLIMIT_NOFILE", 7), ("RLIMIT_RTTIME", 15)])
    func rlimits(_ type: String, _ number: Int32) {
        #expect(Rlimit(type: type, hard: 0, soft: 0).resourceNumber == number)
    }
}
