// SPDX-License-Identifier: Apache-2.0

import Foundation
import SystemPackage
import Testing

@testable import ContainerKitInspection

@Suite("What runtime and host refuse of a config")
struct RefusalTests {
    @Test("all that plans refuse on every host is found in one go")
    func runtime() throws {
        let report = try report(
            config(
                linux: """
                    , "maskedPaths": ["/"], "cgroupsPath": "/",
                      "resources": {"memory": {"limit": 100, "swap": 50}}
                    """,
                mounts: """
                    {"destination": "/proc/1", "type": "tmpfs", "source": "tmpfs"},
                    {"destination": "/ok", "type": "tmpfs", "source": "tmpfs"},
                    {"destination": "/", "type": "tmpfs", "source": "tmpfs"}
                    """))
        #expect(
            Set(report.paths(.runtime)) == [
                "linux.maskedPaths[0]", "linux.cgroupsPath", "linux.resources.memory.swap",
                "mounts[0].destination", "mounts[2].destination",
            ], "\(report.findings.map { "\($0.path): \($0.message)" })")
        for error in report.errors { #expect(error.hint != Hint.fallback, "\(error.message)") }
    }

    @Test("a profile that cannot be compiled is refused, one for another libseccomp is not")
    func seccomp() throws {
        let report = try report(
            config(
                linux: """
                    , "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                        {"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [
                          {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]}
                    """))
        #expect(report.isClean())
    }

    @Test("plans look at the rest of a config that violates rules")
    func behindRules() throws {
        let report = try report(
            """
            {"ociVersion": "0", "hostname": "box",
             "mounts": [{"destination": "/proc/1", "type": "tmpfs", "source": "tmpfs"}],
             "process": {"cwd": "x", "args": []},
             "linux": {"namespaces": [{"type": "mount"}, {"type": "user"}]}}
            """)
        #expect(report.paths(.runtime) == ["mounts[0].destination"])
        #expect(report.paths(.specification).count == 7, "\(report.paths(.specification))")
    }

    @Test("what is not on this host is told apart from what the specification forbids")
    func host() throws {
        let json = config(
            process: #", "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 99999999999, "soft": 5}]"#,
            linux: """
                , "resources": {"hugepageLimits": [{"pageSize": "3MB", "limit": 0}],
                                "cpu": {"cpus": "0-60000"}},
                  "netDevices": {"none0": {}}
                """,
            mounts: """
                {"destination": "/a", "type": "bind", "source": "/no/such/place", "options": ["bind"]},
                {"destination": "/b", "type": "tmpfs", "source": "tmpfs", "options": ["mode=bad"]},
                {"destination": "/c", "type": "nosuchfs", "source": "none"}
                """,
            top: #", "hooks": {"poststop": [{"path": "/no/such/hook"}]}"#)
        let report = try ConfigReport(
            json: Array(json.utf8), bundle: "/no/such/bundle", host: ConfigReport.Host())
        let found = Set(report.paths(.host))
        for path in [
            "root.path", "process.rlimits[0].hard", "linux.resources.hugepageLimits[0].pageSize",
            "linux.resources.cpu.cpus", "linux.netDevices.none0", "mounts[0].source",
            "mounts[2].type", "hooks.poststop[0].path",
        ] {
            #expect(found.contains(path), "\(path) of \(found)")
        }
        #expect(report.paths(.specification) == ["linux.netDevices"])
        #expect(try report.finding(at: "mounts[2].type").severity == .warning)
    }

    @Test("a sandbox has no error on any host")
    func sandbox() throws {
        let spec = try Spec.sandbox(["true"], memory: 1 << 26, pids: 10, cpus: 0.5)
        let report = ConfigReport(document: spec.encoded, host: nil)
        #expect(report.findings == [], "\(report.findings)")
    }

    @Test(
        "what is no regular file is never read as a config",
        arguments: ["/dev/zero", "/", "/no/such/file"])
    func noFile(_ path: String) {
        #expect(throws: ContainerError.self) { try ConfigFile.bytes(at: FilePath(path)) }
    }

    @Test("a pipe as a config is refused without waiting, and so is a file of more than 16 MiB")
    func pipes() throws {
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "swrunc-config-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: directory) }
        let pipe = directory.appending(path: "pipe").path
        #expect(mkfifo(pipe, 0o600) == 0)
        let error = #expect(throws: ContainerError.self) {
            try ConfigFile.bytes(at: FilePath(pipe))
        }
        #expect(error?.message.hasSuffix("is a pipe, not a file") == true)
        let long = directory.appending(path: "long").path
        #expect(FileManager.default.createFile(atPath: long, contents: nil))
        #expect(truncate(long, 17 << 20) == 0)
        let tooLong = #expect(throws: ContainerError.self) {
            try ConfigFile.bytes(at: FilePath(long))
        }
        #expect(tooLong?.failure?.errno == .fileTooLarge)
    }

    @Test("every section that a finding names is a heading of the specification")
    func sections() throws {
        let headings: Set = [
            "Specification version", "Root", "Mounts", "POSIX-platform Mounts", "Process",
            "POSIX process", "Linux Process", "User", "Hostname", "Domainname", "Annotations",
            "Platform-specific configuration", "POSIX-platform Hooks", "Prestart", "Namespaces",
            "User namespace mappings", "Offset for Time Namespace", "Devices", "Network Devices",
            "Control groups", "Cgroups Path", "Allowed Device list", "Memory", "CPU", "Block IO",
            "Huge page limits", "Network", "PIDs", "RDMA", "Unified", "IntelRdt", "Sysctl",
            "Seccomp", "Rootfs Mount Propagation", "Masked Paths", "Readonly Paths", "Mount Label",
            "Personality", "Memory policy", "The Container Process State",
        ]
        for fixture in Fixture.bad + Fixture.good {
            guard let report = try? ConfigReport(json: fixture.json, host: nil) else { continue }
            for section in report.findings.map(\.section) {
                #expect(["config.md", "config-linux.md"].contains(section.document))
                #expect(section.heading.map { headings.contains($0) } ?? true, "\(section)")
            }
        }
        let anchor = try report(config(process: #", "umask": 1"#)).findings.first?.section.anchor
        #expect(anchor == "process")
    }
}
