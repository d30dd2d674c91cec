// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Foundation
import RuntimeSpec
import SystemPackage
import Testing

@testable import ContainerKitInspection

@Suite("The report on a host")
struct HostReportTests {
    /// A machine on which root can do everything.
    private var healthy: HostFindings {
        var found = HostFindings()
        found.kernel = "6.18.44"
        for call in KernelCall.allCases { found.answers[call] = .invalidArgument }
        found.answers[.intoCgroup] = .badFileDescriptor
        found.answers[.mappedMounts] = .badFileDescriptor
        for kind in Namespace.Kind.allCases { found.namespaces[kind] = .worked }
        found.userNames = ["0", "root"]
        for key in ["CapPrm", "CapEff", "CapBnd"] { found.capabilities[key] = 0x1ff_ffff_ffff }
        found.capabilities["CapInh"] = 0
        found.capabilities["CapAmb"] = 0
        found.capabilityText = "=ep"
        found.files = [
            "/proc/sys/user/max_user_namespaces": "15000", "/proc/sys/vm/memfd_noexec": "0",
            "/proc/sys/kernel/keys/root_maxkeys": "1000000",
            "/proc/sys/kernel/keys/root_maxbytes": "25000000",
            "/sys/kernel/security/lsm": "capability,apparmor",
            "/proc/self/attr/current": "unconfined",
        ]
        var cgroups = HostProbe.Cgroups()
        cgroups.mode = "v2"
        cgroups.hierarchies = [
            .init(controllers: [], mountPoint: "/sys/fs/cgroup", isOpen: true)
        ]
        cgroups.parent = "/sys/fs/cgroup"
        cgroups.delegated = ["cpuset", "cpu", "io", "memory", "pids"]
        cgroups.offered = cgroups.delegated
        cgroups.hasKill = true
        found.cgroups = .found(cgroups)
        found.hasSystemd = true
        found.systemd = .found(.init(isUser: false, version: 252, controlGroup: ""))
        found.seccompActions = Seccomp.Action.allCases
        found.hasAppArmor = true
        found.hasSELinux = true
        found.criu = .found("CRIU 4.2, /usr/sbin/criu")
        found.keyUse = ["3/1000000", "40/25000000"]
        found.limits = [
            .init(name: "Max open files", soft: 1024, hard: 524_288),
            .init(name: "Max processes", soft: nil, hard: nil),
            .init(name: "Max locked memory", soft: 8_388_608, hard: 8_388_608),
        ]
        found.rootPath = "/run/swrunc"
        found.root = .found(
            .init(
                path: "/run", isWritable: true, owner: 0, filesystem: "tmpfs",
                isOnReadOnlyMount: false))
        return found
    }

    /// An ordinary user on the same machine, who may make user namespaces.
    private var ordinary: HostFindings {
        var found = healthy
        found.userID = 1000
        found.userNames = ["1000", "alice"]
        for key in ["CapPrm", "CapEff"] { found.capabilities[key] = 0 }
        for call in KernelCall.allCases where call.asksForRightsFirst {
            found.answers[call] = .notPermitted
        }
        found.mappedMount = .skipped("")
        found.subordinateUsers = [.init(first: 100_000, count: 65536)]
        found.subordinateGroups = [.init(first: 100_000, count: 65536)]
        for name in ["newuidmap", "newgidmap"] {
            found.tools[name] = ProgramRights(
                path: "/usr/bin/\(name)", owner: 0, isSetUserID: true,
                hasFileCapabilities: false, isOnNosuidMount: false)
        }
        found.files["/proc/sys/kernel/keys/maxkeys"] = "200"
        found.files["/proc/sys/kernel/keys/maxbytes"] = "20000"
        return found
    }

    private func names(of report: HostReport, _ standing: HostReport.Standing) -> [String] {
        report.checks.filter { $0.standing == standing }.map(\.name)
    }

    // MARK: The whole

    @Test("a machine that has everything is ok in each check")
    func everything() {
        let report = HostReport(healthy)
        #expect(report.checks.filter { $0.standing != .ok } == [])
        #expect(report.canRunContainers)
        #expect(report.verdict == "Containers can run here.")
    }

    @Test("a check that is not ok tells what follows; one that is ok has nothing to fix")
    func consequences() {
        var bare = HostFindings()
        bare.childStart = .failed(.init("clone3", "", errno: .resourceTemporarilyUnavailable))
        for report in [HostReport(bare), HostReport(ordinary), HostReport(healthy)] {
            for check in report.checks {
                #expect((check.standing == .ok) == (check.consequence == nil), "\(check)")
                #expect(check.standing != .ok || check.remedy == nil, "\(check)")
                #expect(!check.found.isEmpty, "\(check)")
            }
        }
    }

    @Test("names of checks are unique, also on other machines")
    func uniqueNames() {
        for report in [HostReport(HostFindings()), HostReport(healthy), HostReport(ordinary)] {
            #expect(Set(report.checks.map(\.name)).count == report.checks.count)
        }
    }

    @Test("this machine's report has the capabilities of this process")
    func thisMachine() throws {
        let report = HostReport.current()
        #expect(
            report.capabilities.map(\.set) == [
                "inheritable", "permitted", "effective", "bounding", "ambient",
            ])
        #expect(report.capabilityText?.hasPrefix("=") == true || report.capabilityText == "")
        #expect(report["kernel"]?.standing == .ok)
        #expect(report["clone3"] != nil && report["nothing"] == nil)
    }

    // MARK: Calls

    @Test(
        "a call that the kernel lacks is missing; without those that have no replacement nothing runs",
        arguments: KernelCall.allCases)
    func lackingCall(_ call: KernelCall) {
        var found = healthy
        found.answers[call] = .noFunction
        let report = HostReport(found)
        #expect(names(of: report, .missing) == [call.rawValue])
        let replaced: [KernelCall] = [
            .execveat, .memfdCreate, .seccomp, .faccessat2, .mappedMounts,
        ]
        #expect(report.canRunContainers == replaced.contains(call))
        #expect(report[call.rawValue]?.remedy?.hasPrefix("boot Linux ") == true)
    }

    @Test(
        "a call that a filter refuses is missing because of the filter",
        arguments: [Errno.notPermitted, .noFunction])
    func filteredCall(_ errno: Errno) {
        var found = healthy
        found.seccompMode = 2
        found.answers[.openat2] = errno
        let report = HostReport(found)
        #expect(!report.canRunContainers)
        #expect(report["openat2"]?.found.contains("seccomp filter") == true)
        #expect(report["openat2"]?.remedy?.contains("seccomp profile") == true)
        #expect(report["runtime.seccomp"]?.standing == .limited)
    }

    @Test("flags of calls that the kernel does not know are missing, of which v1 needs none")
    func flags() {
        var found = healthy
        found.answers[.intoCgroup] = .argListTooLong
        found.answers[.mappedMounts] = .invalidArgument
        #expect(
            names(of: HostReport(found), .missing) == ["CLONE_INTO_CGROUP", "MOUNT_ATTR_IDMAP"])
        #expect(!HostReport(found).canRunContainers)
        var cgroups = HostProbe.Cgroups()
        cgroups.mode = "v1"
        found.cgroups = .found(cgroups)
        #expect(HostReport(found).canRunContainers)
    }

    @Test(
        "an old kernel is limited, and a later one of any digits is ok",
        arguments: [
            ("5.13.0-generic", HostReport.Standing.limited), ("4.19", .limited),
            ("5.14.0", .ok), ("6.1.0-18-amd64", .ok), ("10.0-rc1", .ok), ("", .missing),
        ])
    func versions(_ version: String, _ expected: HostReport.Standing) {
        var found = healthy
        found.kernel = version
        #expect(HostReport(found)["kernel"]?.standing == expected)
    }

    @Test("init that is copied is limited, with the refusal and the sysctl as the reason")
    func copiedInit() throws {
        var found = healthy
        found.childStart = .copied(.init("memfd_create", "init", errno: .permissionDenied))
        found.files["/proc/sys/vm/memfd_noexec"] = "2"
        let check = try #require(HostReport(found)["init.start"])
        #expect(check.standing == .limited)
        #expect(check.found.contains("memfd_create(init): permission denied"))
        #expect(check.found.contains("vm.memfd_noexec is 2"))
        #expect(check.remedy == "set the sysctl vm.memfd_noexec to 1 or 0")
        #expect(HostReport(found).canRunContainers)
    }

    // MARK: Users

    @Test("an ordinary user can run containers where user namespaces can be made")
    func ordinaryUser() {
        let report = HostReport(ordinary)
        #expect(report.canRunContainers)
        #expect(names(of: report, .missing) == [])
        #expect(
            names(of: report, .limited) == [
                "MOUNT_ATTR_IDMAP", "mounts.idmapped", "runtime.rights",
            ])
    }

    @Test("an ordinary user without user namespaces cannot run any container, but root can")
    func withoutUserNamespaces() throws {
        var found = ordinary
        found.namespaces[.user] = .refused("clone3(): no space left", hint: "raise the sysctl")
        for kind in Namespace.Kind.allCases where kind != .user {
            found.namespaces[kind] = .skipped("needs a user namespace")
        }
        found.files["/proc/sys/user/max_user_namespaces"] = "0"
        let report = HostReport(found)
        #expect(!report.canRunContainers)
        #expect(report["namespace.user"]?.remedy == "raise the sysctl")
        #expect(report["user.max_user_namespaces"]?.standing == .missing)
        var root = healthy
        root.namespaces[.user] = found.namespaces[.user]
        #expect(HostReport(root).canRunContainers)
    }

    @Test("sysctls that only some kernels have are reported only there")
    func optionalSysctls() {
        var found = healthy
        #expect(HostReport(found)["kernel.unprivileged_userns_clone"] == nil)
        found.files["/proc/sys/kernel/unprivileged_userns_clone"] = "0"
        found.files["/proc/sys/kernel/apparmor_restrict_unprivileged_userns"] = "1"
        let limited = names(of: HostReport(found), .limited)
        #expect(
            limited == [
                "kernel.unprivileged_userns_clone", "kernel.apparmor_restrict_unprivileged_userns",
            ])
    }

    @Test("subordinate IDs are those of the user by name or number")
    func subordinateRanges() {
        let text = "alice:100000:65536\nbob:165536:65536\n1000:300000:10\nalice:x:1\nalice:5:0"
        #expect(
            HostFindings.ranges(of: ["1000", "alice"], in: text) == [
                .init(first: 100_000, count: 65536), .init(first: 300_000, count: 10),
            ])
        #expect(HostFindings.ranges(of: ["1001"], in: text) == [])
        var found = ordinary
        found.subordinateUsers = []
        #expect(HostReport(found)["subuid"]?.standing == .limited)
        #expect(HostReport(found)["subuid"]?.remedy?.contains("--add-subuids") == true)
    }

    @Test(
        "the tools that map IDs need rights that nothing takes away from them",
        arguments: [
            (true, false, false, false, HostReport.Standing.ok),
            (false, true, false, false, .ok),
            (false, false, false, false, .limited),
            (true, false, true, false, .limited),
            (false, true, false, true, .limited),
        ])
    func tools(
        _ isSetUserID: Bool, _ hasCapabilities: Bool, _ isNosuid: Bool, _ isKept: Bool,
        _ expected: HostReport.Standing
    ) {
        var found = ordinary
        found.noNewPrivileges = isKept
        found.tools["newuidmap"] = ProgramRights(
            path: "/usr/bin/newuidmap", owner: 0, isSetUserID: isSetUserID,
            hasFileCapabilities: hasCapabilities, isOnNosuidMount: isNosuid)
        #expect(HostReport(found)["newuidmap"]?.standing == expected)
        found.tools["newuidmap"] = nil
        #expect(HostReport(found)["newuidmap"]?.found == "not in PATH")
    }

    // MARK: Cgroups

    @Test("controllers that are in the kernel but not delegated are limited, with how to delegate")
    func delegatedControllers() throws {
        guard case .found(var cgroups) = healthy.cgroups else { return }
        cgroups.delegated = ["memory", "pids"]
        var found = ordinary
        found.cgroups = .found(cgroups)
        let check = try #require(HostReport(found)["cgroups.controllers"])
        #expect(check.standing == .limited)
        #expect(check.consequence == "limits and statistics are missing of cpu, cpuset, io")
        #expect(check.remedy?.contains("Delegate=") == true)
    }

    @Test("without the right to make cgroups containers still run")
    func closedCgroups() {
        guard case .found(var cgroups) = healthy.cgroups else { return }
        cgroups.hierarchies[0].isOpen = false
        var found = ordinary
        found.cgroups = .found(cgroups)
        #expect(HostReport(found)["cgroups.access"]?.standing == .missing)
        #expect(HostReport(found).canRunContainers)
        found.cgroups = .failed("no cgroup file system can be used")
        #expect(HostReport(found)["cgroups"]?.standing == .missing)
        #expect(HostReport(found).canRunContainers)
    }

    // MARK: The rest

    @Test("few keys that are left are limited, and those of root are counted by root's limits")
    func keys() {
        var found = ordinary
        found.keyUse = ["150/200", "40/20000"]
        #expect(HostReport(found)["keys"]?.standing == .limited)
        #expect(HostReport(found)["keys"]?.consequence?.contains("about 50 more") == true)
        found.keyUse = ["200/200", "40/20000"]
        #expect(HostReport(found)["keys"]?.consequence?.contains("--no-new-keyring") == true)
        #expect(HostReport(healthy)["keys"]?.found.hasPrefix("3 of 1000000 ") == true)
        let table = "    0:     9 8/8 3/1000000 40/25000000\n 1000: 1 1/1 7/200 9/20000\n"
        #expect(HostFindings.keyUse(of: 1000, in: table) == ["7/200", "9/20000"])
        #expect(HostFindings.keyUse(of: 1, in: table) == [])
    }

    @Test("a store that cannot be written to is missing, and nothing runs")
    func closedStore() {
        var found = healthy
        for (isWritable, isReadOnly) in [(false, false), (true, true)] {
            found.root = .found(
                .init(
                    path: "/run", isWritable: isWritable, owner: 0, filesystem: "tmpfs",
                    isOnReadOnlyMount: isReadOnly))
            #expect(HostReport(found)["root"]?.standing == .missing)
            #expect(!HostReport(found).canRunContainers)
        }
    }

    @Test("a capability without a name is its number")
    func capabilityNames() {
        let set = HostReport.Capabilities("effective", 1 << 0 | 1 << 40 | 1 << 41 | 1 << 63)
        #expect(set.names == ["CAP_CHOWN", "CAP_CHECKPOINT_RESTORE", "41", "63"])
    }

    @Test("capabilities that a launch uses and root lacks are named")
    func lackingCapabilities() {
        var found = healthy
        found.capabilities["CapEff"] = 0x1ff_feff_ffff
        let check = HostReport(found)["runtime.rights"]
        #expect(check?.found == "user root, without CAP_SYS_RESOURCE")
        #expect(check?.standing == .limited)
    }

    // MARK: Output

    @Test("the text has a line per check, and below it what follows and what to do")
    func text() {
        var found = healthy
        found.answers[.openat2] = .noFunction
        let lines = HostReport(found).text().split(separator: "\n").map { line in
            line.split(separator: " ").joined(separator: " ")
        }
        let place = lines.firstIndex(of: "openat2 missing not in this kernel") ?? 0
        #expect(lines[place + 1] == "so: no container can be created")
        #expect(lines[place + 2] == "fix: boot Linux 5.6 or later")
        #expect(lines.contains("capabilities.ambient none"))
        #expect(lines.contains("capabilities.text =ep"))
        #expect(lines.last == "Containers cannot run here, for lack of: openat2.")
    }

    @Test("the text escapes control characters, and only standings are emphasised")
    func escapes() {
        var found = healthy
        found.kernel = "6.1\u{1b}[31m"
        let text = HostReport(found).text { standing, name in "<\(standing)>\(name)</>" }
        #expect(text.contains("kernel"))
        #expect(!text.contains("\u{1b}"))
        #expect(text.contains("<ok>ok       </>Linux 6.1\\x1b[31m\n"))
    }

    @Test("the JSON has the verdict, each check, and the capabilities by set")
    func json() throws {
        var found = healthy
        found.answers[.seccomp] = .noFunction
        let value = HostReport(found).encoded
        guard case .object(let object) = value, case .array(let checks)? = object["checks"],
            case .object(let sets)? = object["capabilities"]
        else {
            Issue.record("\(value)")
            return
        }
        #expect(object["canRunContainers"] == .bool(true))
        #expect(object["capabilityText"] == .string("=ep"))
        #expect(
            checks.contains(
                .object([
                    "name": .string("seccomp"), "standing": .string("missing"),
                    "required": .bool(false), "found": .string("not in this kernel"),
                    "consequence": .string("a config with linux.seccomp is refused"),
                    "remedy": .string("boot Linux 3.17 or later"),
                ])))
        #expect(sets["ambient"] == .array([]))
    }
}
