// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import ContainerKitInspection

@Suite("Audit of a config")
struct AuditTests {
    /// What Docker makes of `docker run IMAGE`, but for what does not matter here.
    private var docker: Spec {
        get throws {
            var spec = try Spec.sandbox(["sh"], readonly: false, network: .none)
            spec.process?.noNewPrivileges = false
            spec.process?.apparmorProfile = "docker-default"
            spec.linux?.resources = Resources(devices: [
                DeviceCgroupRule(allow: false, access: "rwm"),
                DeviceCgroupRule(allow: true, kind: .character, major: 1, minor: 5, access: "rwm"),
                DeviceCgroupRule(allow: true, kind: .character, major: 1, minor: 3, access: "rwm"),
                DeviceCgroupRule(allow: true, kind: .character, major: 1, minor: 9, access: "rwm"),
                DeviceCgroupRule(allow: true, kind: .character, major: 1, minor: 8, access: "rwm"),
                DeviceCgroupRule(allow: true, kind: .character, major: 5, minor: 0, access: "rwm"),
                DeviceCgroupRule(allow: true, kind: .character, major: 5, minor: 1, access: "rwm"),
                DeviceCgroupRule(
                    allow: false, kind: .character, major: 10, minor: 229, access: "rwm"),
            ])
            let files = "/var/lib/docker/containers/0123456789abcdef"
            for (source, destination) in [
                ("\(files)/resolv.conf", "/etc/resolv.conf"),
                ("\(files)/hostname", "/etc/hostname"),
                ("\(files)/hosts", "/etc/hosts"),
            ] {
                spec.mounts?.append(
                    Mount(
                        destination: destination, type: "bind", source: source,
                        options: ["rbind", "rprivate"]))
            }
            return spec
        }
    }

    private func ids(_ spec: Spec) -> Set<String> {
        Set(AuditReport(of: spec).findings.map(\.rule.id))
    }

    /// The findings that a change adds to Docker's default.
    private func added(_ change: (inout Spec) -> Void) throws -> [AuditReport.Finding] {
        var spec = try docker
        let before = AuditReport(of: spec).findings
        change(&spec)
        return AuditReport(of: spec).findings.filter { !before.contains($0) }
    }

    /// The rules that a change breaks.
    private func rules(_ change: (inout Spec) -> Void) throws -> [String] {
        try added(change).map(\.rule.id)
    }

    @Test("Docker's default gives nothing but hardenings that it does not set by default")
    func dockersDefault() throws {
        let report = AuditReport(of: try docker)
        #expect(report.findings.map(\.rule.id) == ["SWA007", "SWA014", "SWA050", "SWA051"])
        #expect(report.findings.allSatisfy { $0.severity == .low })
    }

    @Test("a sandbox with limits lacks a user namespace and a label, and nothing else")
    func sandbox() throws {
        let spec = try Spec.sandbox(["sh"], memory: 1 << 26, pids: 100)
        #expect(AuditReport(of: spec).findings.map(\.rule.id) == ["SWA007", "SWA015"])
    }

    @Test("a sandbox with all of that has no finding")
    func nothing() throws {
        var spec = try Spec.sandbox(["sh"], memory: 1 << 26, pids: 100)
        spec.process?.apparmorProfile = "box"
        spec.linux?.namespaces?.append(Namespace(kind: .user))
        #expect(AuditReport(of: spec).findings == [])
    }

    /// A config that breaks every rule but those that exclude another.
    private var privileged: Spec {
        get throws {
            var spec = try docker
            let all = Capability.all.map(\.description)
            spec.process?.capabilities = Capabilities(
                bounding: all, effective: all, inheritable: all, permitted: all, ambient: all)
            spec.process?.apparmorProfile = "unconfined"
            spec.process?.oomScoreAdj = -900
            spec.hooks = Hooks(prestart: [Hook(path: "/usr/bin/hook")])
            spec.mounts = spec.mounts?.map { mount in
                var mount = mount
                mount.options?.removeAll { $0 == "ro" }
                return mount
            }
            spec.mounts? += [
                Mount(
                    destination: "/var/run/docker.sock", type: "bind",
                    source: "/var/run/docker.sock", options: ["rbind"]),
                Mount(
                    destination: "/host", type: "bind", source: "//", options: ["rbind", "rshared"]),
            ]
            spec.linux?.namespaces = nil
            spec.linux?.maskedPaths = nil
            spec.linux?.readonlyPaths = nil
            spec.linux?.namespaces = [Namespace(kind: .mount)]
            spec.linux?.rootfsPropagation = .shared
            spec.linux?.seccomp = Seccomp(defaultAction: .allow)
            spec.linux?.sysctl = ["kernel.core_pattern": "|/x"]
            spec.linux?.devices = [DeviceNode(kind: .block, path: "/dev/sda", major: 8, minor: 0)]
            spec.linux?.resources = Resources(devices: [
                DeviceCgroupRule(allow: true, access: "rwm")
            ])
            return spec
        }
    }

    @Test("a privileged container breaks every rule, but those that exclude another")
    func allRules() throws {
        // The host's mounts, no profile at all or one that cannot be read, no label, no device rules.
        let others: Set = ["SWA005", "SWA020", "SWA023", "SWA015", "SWA032"]
        let expected = Set(AuditRule.all.map(\.id)).subtracting(others)
        let found = ids(try privileged)
        #expect(found == expected)
        let worst = try #require(AuditReport(of: privileged).findings.first)
        #expect(worst.severity == .critical)
    }

    @Test("the other rules are broken by configs of their own")
    func otherRules() throws {
        let mounts = try rules { spec in
            spec.linux?.namespaces?.removeAll { $0.kind == .mount }
        }
        #expect(mounts.first == "SWA005")
        let noProfile = try rules { spec in spec.linux?.seccomp = nil }
        #expect(noProfile == ["SWA020"])
        let opaque = try rules { spec in
            spec.annotations = ["run.oci.seccomp_bpf_data": "AA=="]
        }
        #expect(opaque == ["SWA023"])
        let noLabel = try rules { spec in spec.process?.apparmorProfile = nil }
        #expect(noLabel == ["SWA015"])
        let noRules = try rules { spec in spec.linux?.resources?.devices = [] }
        #expect(noRules == ["SWA032"])
        let unconfined = try rules { spec in
            spec.process?.selinuxLabel = "system_u:system_r:spc_t:s0"
        }
        #expect(unconfined == ["SWA016"])
    }

    @Test("every capability of Linux is Docker's or has a reason", arguments: Capability.all)
    func capabilities(_ capability: Capability) throws {
        let name = capability.description
        let isDockers = try docker.process?.capabilities?.bounding?.contains(name) == true
        #expect(isDockers == (CapabilityPower.beyondDocker[name] == nil), "\(name)")
        let found = try added { $0.process?.capabilities?.bounding?.append(name) }
        #expect(found.count == (isDockers ? 0 : 1))
    }

    @Test("a capability is found in every set, once, and matters less in a user namespace")
    func sets() throws {
        let found = try added { spec in
            spec.process?.capabilities?.permitted?.append("CAP_SYS_ADMIN")
            spec.process?.capabilities?.effective?.append("CAP_SYS_ADMIN")
        }
        #expect(found.map(\.path.description) == ["process.capabilities.effective[14]"])
        #expect(found.map(\.severity) == [.critical])
        var spec = try docker
        spec.linux?.namespaces?.append(Namespace(kind: .user))
        spec.process?.capabilities?.bounding?.append("CAP_SYS_ADMIN")
        let inside = AuditReport(of: spec).findings.first { $0.rule == .rootCapability }
        #expect(inside?.severity == .low)
    }

    @Test("a namespace of the host's first process is the host's, one of another is not")
    func joined() throws {
        let found = try rules { spec in
            spec.linux?.namespaces?[0].path = "/proc/1/ns/pid"
            spec.linux?.namespaces?[1].path = "/run/ipc/pod"
        }
        #expect(found == ["SWA001"])
    }

    private struct SourceCase: Sendable, CustomTestStringConvertible {
        let source: String
        let rule: String?

        init(_ source: String, _ rule: String? = nil) {
            self.source = source
            self.rule = rule
        }

        var testDescription: String { source }
    }

    private static let sourceCases: [SourceCase] = [
        SourceCase("/var/run/docker.sock", "SWA040"),
        SourceCase("/run/containerd/containerd.sock", "SWA040"),
        SourceCase("/run/podman/podman.sock", "SWA040"),
        SourceCase("/run/crio/crio.sock", "SWA040"),
        SourceCase("/", "SWA041"),
        SourceCase("/etc/", "SWA041"),
        SourceCase("/proc/sys", "SWA041"),
        SourceCase("/var//run", "SWA041"),
        SourceCase("/root", "SWA041"),
        SourceCase("/var/lib/docker", "SWA041"),
        SourceCase("/srv/../etc", "SWA041"),
        SourceCase("/dev/sda1", "SWA031"),
        SourceCase("/dev/mapper/root", "SWA031"),
        SourceCase("/dev/mem", "SWA031"),
        SourceCase("/srv/data"),
        SourceCase("/var/lib/docker/volumes/v/_data"),
        SourceCase("/etc/localtime"),
        SourceCase("/dev/null"),
        SourceCase("/etcetera"),
    ]

    @Test("a mount of the host is judged by its source", arguments: sourceCases)
    private func sources(_ source: SourceCase) throws {
        let mount = Mount(
            destination: "/x", type: "bind", source: source.source, options: ["rbind"])
        let found = try added { spec in spec.mounts?.append(mount) }
        let expected = source.rule.map { [$0] } ?? []
        #expect(found.map(\.rule.id) == expected)
        #expect(found.allSatisfy { $0.subject == "/x" })
    }

    @Test("a sensitive path matters less read-only, an engine's socket does not")
    func readOnly() throws {
        let severities: [String: AuditRule.Severity] = [
            "/etc": .medium, "/": .high, "/run/docker.sock": .critical,
        ]
        for (source, severity) in severities {
            let mount = Mount(
                destination: "/x", type: "bind", source: source, options: ["bind", "ro"])
            let found = try added { spec in spec.mounts?.append(mount) }
            #expect(found.map(\.severity) == [severity])
        }
    }

    @Test("device rules are judged in their order, and for reading and writing")
    func deviceRules() throws {
        let everything = DeviceCgroupRule(allow: true, kind: .all, access: "rwm")
        let nothing = DeviceCgroupRule(allow: false, access: "rwm")
        let nodes = DeviceCgroupRule(allow: true, kind: .block, major: -1, minor: -1, access: "m")
        let disk = DeviceCgroupRule(allow: true, kind: .block, major: 8, minor: 0, access: "r")
        let memory = DeviceCgroupRule(allow: true, kind: .character, major: 1, minor: 1)
        let cases: [(rules: [DeviceCgroupRule], expected: [String])] = [
            ([everything], ["SWA030"]), ([nothing, everything], ["SWA030"]),
            ([everything, nothing], []), ([nothing, nodes], []), ([nothing, disk], ["SWA031"]),
            ([nothing, memory], ["SWA031"]),
        ]
        for (list, expected) in cases {
            let found = try rules { spec in spec.linux?.resources?.devices = list }
            #expect(found == expected, "\(list)")
        }
    }

    @Test("a profile is judged by what it lets pass without conditions")
    func seccomp() throws {
        let mount = SeccompRule(names: ["mount", "read"], action: .allow)
        let condition = SeccompRule(
            names: ["unshare"], action: .allow,
            args: [SeccompArgument(index: 0, value: 0, op: .equal)])
        let cases: [(profile: Seccomp, expected: [String])] = [
            (Seccomp(defaultAction: .errno, syscalls: [mount]), ["SWA022"]),
            (Seccomp(defaultAction: .errno, syscalls: [condition]), []),
            (Seccomp(defaultAction: .log), ["SWA021", "SWA022"]), (Seccomp.sandbox(), []),
        ]
        for (profile, expected) in cases {
            let found = try rules { spec in spec.linux?.seccomp = profile }
            #expect(found == expected)
        }
    }

    @Test("what Docker masks and makes read-only is expected below its mounts only")
    func kernelFiles() throws {
        let early = try added { spec in
            spec.linux?.maskedPaths?.removeAll { $0 == "/proc/kcore" }
        }
        #expect(early.map(\.severity) == [.medium])
        let late = try added { spec in
            spec.linux?.maskedPaths?.removeAll { $0 == "/proc/interrupts" }
        }
        #expect(late.map(\.severity) == [.low])
        let parameters = try rules { spec in
            spec.linux?.readonlyPaths?.removeAll { $0 == "/proc/sys" }
        }
        #expect(parameters == ["SWA025"])
        let covered = try rules { spec in
            spec.linux?.maskedPaths = ["/proc", "/sys"]
            spec.linux?.readonlyPaths = []
        }
        #expect(covered == [])
        let unmounted = try rules { spec in
            spec.mounts?.removeAll { $0.destination == "/proc" || $0.destination == "/sys" }
            spec.linux?.maskedPaths = []
            spec.linux?.readonlyPaths = []
        }
        #expect(unmounted == [])
    }

    @Test("a kernel parameter without a namespace of the container's is the host's")
    func sysctl() throws {
        let own = try rules { spec in
            spec.linux?.sysctl = ["net.ipv4.ip_forward": "1", "kernel.shmmax": "1"]
        }
        #expect(own == [])
        let hosts = try rules { spec in spec.linux?.sysctl = ["vm.overcommit_memory": "1"] }
        #expect(hosts == ["SWA029"])
        let network = try rules { spec in
            spec.linux?.namespaces?.removeAll { $0.kind == .network }
            spec.linux?.sysctl = ["net.ipv4.ip_forward": "1"]
        }
        #expect(network == ["SWA002", "SWA029"])
    }

    @Test("limits may be set by files of cgroup v2 too; no limit is none")
    func limits() throws {
        var spec = try docker
        spec.linux?.resources?.unified = ["memory.max": "1000000", "pids.max": "max"]
        spec.linux?.resources?.pids = PidsResources(limit: -1)
        #expect(ids(spec).contains("SWA051") && !ids(spec).contains("SWA050"))
    }
}

@Suite("Rules and formats of the audit")
struct AuditFormatTests {
    @Test("identifiers of rules are stable, and each stands once")
    func identifiers() {
        let ids = AuditRule.all.map(\.id)
        #expect(Set(ids).count == ids.count && ids == ids.sorted())
        #expect(ids.allSatisfy { $0.count == 6 && $0.hasPrefix("SWA") })
        // One that is added goes here; one that is given up leaves its number unused.
        let known = """
            001 002 003 004 005 006 007 010 011 012 013 014 015 016 017 020 021 022 023 024 025 \
            026 027 028 029 030 031 032 040 041 042 043 044 050 051
            """
        let numbers: [Substring] = ids.map { $0.dropFirst(3) }
        #expect(numbers.joined(separator: " ") == known)
    }

    @Test("the article on checking a config lists every rule with its severity")
    func article() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Sources/ContainerKit/ContainerKit.docc/CheckAConfig.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        for rule in AuditRule.all {
            let row = "| \(rule.id) | \(rule.name) | \(rule.severity.rawValue) |"
            #expect(text.contains(row), "\(row)")
        }
    }

    @Test("JSON has rule, field, severity, reason and remedy of each finding")
    func json() throws {
        let json = AuditReport(of: .template).encoded
        guard case .object(let object) = json, case .array(let findings)? = object["findings"],
            case .object(let finding)? = findings.first
        else {
            Issue.record("\(json)")
            return
        }
        #expect(finding["rule"] == .string("SWA020"))
        for key in ["name", "severity", "path", "message", "reason", "remedy"] {
            #expect(finding[key] != nil, "\(key)")
        }
    }

    @Test("SARIF has the version, every rule, and each result with its rule, level and place")
    func sarif() throws {
        let report = AuditReport(of: .template)
        let log = report.sarif(of: "a b/config.json", version: "1.2.3")
        guard case .object(let object) = log, case .array(let runs)? = object["runs"],
            case .object(let run)? = runs.first, case .array(let results)? = run["results"],
            case .object(let result)? = results.first,
            case .object(let driver)? = run["tool"]?["driver"],
            case .array(let rules)? = driver["rules"],
            case .array(let locations)? = result["locations"], let location = locations.first
        else {
            Issue.record("\(log)")
            return
        }
        #expect(object["version"] == .string("2.1.0"))
        #expect(rules.count == AuditRule.all.count)
        #expect(results.count == report.findings.count)
        #expect(result["ruleId"] == .string("SWA020") && result["level"] == .string("error"))
        #expect(
            location["physicalLocation"]?["artifactLocation"]?["uri"]
                == .string("a%20b/config.json"))
        for case .object(let result) in results {
            guard case .integer(let index)? = result["ruleIndex"] else {
                Issue.record("no index")
                continue
            }
            #expect(rules[Int(index)]["id"] == result["ruleId"])
        }
    }
}

extension JSONValue {
    fileprivate subscript(key: String) -> JSONValue? {
        if case .object(let object) = self { object[key] } else { nil }
    }
}
