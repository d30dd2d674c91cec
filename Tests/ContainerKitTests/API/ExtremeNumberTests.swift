// SPDX-License-Identifier: Apache-2.0

internal import Foundation
internal import SystemPackage
internal import Testing

@testable import ContainerKit

/// A trap would end the whole test program.
@Suite("Extreme numbers in a config")
struct ExtremeNumberTests {
    private let temporary: TemporaryDirectory
    private var directory: String { temporary.path }

    init() throws {
        temporary = try TemporaryDirectory()
        try FileManager.default.createDirectory(
            atPath: directory + "/rootfs", withIntermediateDirectories: true)
    }

    private static let numbers = [
        "0", "-1", "1", "1.5", "1e18", "1e400", "65536", "2147483648", "4294967295", "4294967296",
        "9223372036854775807", "-9223372036854775808", "18446744073709551615",
        "99999999999999999999",
    ]

    /// Members of process, of linux, of linux.resources and of the config, with # in place of the
    /// number.
    private static let members: [Members] =
        process.map { Members(process: $0) } + linux.map { Members(linux: $0) }
        + resources.map { Members(resources: $0) }
        + [Members(whole: #""hooks": {"prestart": [{"path": "/bin/true", "timeout": #}]}"#)]

    private struct Members {
        var process = ""
        var linux = ""
        var resources = ""
        var whole = ""
    }

    private static let process = [
        #""user": {"uid": #, "gid": #, "umask": #, "additionalGids": [#]}"#,
        #""user": {"uid": #}"#, #""user": {"gid": #}"#, #""user": {"umask": #}"#,
        #""oomScoreAdj": #"#, #""terminal": true, "consoleSize": {"height": #, "width": #}"#,
        #""rlimits": [{"type": "RLIMIT_NOFILE", "hard": #, "soft": #}]"#,
        #""scheduler": {"policy": "SCHED_OTHER", "nice": #}"#,
        #""scheduler": {"policy": "SCHED_FIFO", "priority": #}"#,
        #""scheduler": {"policy": "SCHED_DEADLINE", "runtime": #, "deadline": #, "period": #}"#,
        #""ioPriority": {"class": "IOPRIO_CLASS_RT", "priority": #}"#,
        ##""execCPUAffinity": {"initial": "#-#", "final": "#"}"##,
    ]

    private static let linux = [
        #""devices": [{"type": "c", "path": "/dev/x", "major": #, "minor": #, "fileMode": #}]"#,
        #""devices": [{"type": "c", "path": "/dev/x", "major": 1, "minor": 3, "uid": #, "gid": #}]"#,
        #""timeOffsets": {"monotonic": {"secs": #}, "boottime": {"nanosecs": #}}"#,
        #""uidMappings": [{"containerID": #, "hostID": #, "size": #}], "#
            + #""gidMappings": [{"containerID": 0, "hostID": #, "size": #}]"#,
        ##""memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0-#"}"##,
        #""seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": #}"#,
        #""seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "#
            + #""action": "SCMP_ACT_ERRNO", "errnoRet": #}]}"#,
        #""seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "#
            + #""action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": #, "valueTwo": #, "#
            + #""op": "SCMP_CMP_MASKED_EQ"}]}]}"#,
    ]

    private static let resources: [String] = {
        let memory = ["limit", "reservation", "swap", "kernel", "kernelTCP", "swappiness"]
        let cpu = [
            "shares", "quota", "burst", "period", "realtimeRuntime", "realtimePeriod", "idle",
        ]
        let several: [String] = [
            #""memory": {"limit": #, "swap": #, "reservation": #}"#,
            #""memory": {"limit": -1, "swap": #}"#, #""memory": {"limit": #, "swap": -1}"#,
            #""cpu": {"quota": #, "period": #}"#, #""cpu": {"quota": #, "period": 100000}"#,
            #""cpu": {"quota": 9223372036854775807, "period": #}"#,
            ##""cpu": {"cpus": "#-#", "mems": "#"}"##, #""pids": {"limit": #}"#,
            #""blockIO": {"weight": #}"#, #""blockIO": {"leafWeight": #}"#,
            #""blockIO": {"weightDevice": [{"major": #, "minor": #, "weight": #}]}"#,
            #""blockIO": {"throttleReadBpsDevice": [{"major": #, "minor": #, "rate": #}]}"#,
            #""blockIO": {"throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": #}]}"#,
            #""hugepageLimits": [{"pageSize": "2MB", "limit": #}]"#,
            ##""hugepageLimits": [{"pageSize": "#GB", "limit": 1}]"##,
            #""network": {"classID": #, "priorities": [{"name": "lo", "priority": #}]}"#,
            #""rdma": {"m": {"hcaHandles": #, "hcaObjects": #}}"#,
            #""devices": [{"allow": true, "type": "c", "major": #, "minor": #, "access": "r"}]"#,
        ]
        return several + memory.map { "\"memory\": {\"\($0)\": #}" }
            + cpu.map { "\"cpu\": {\"\($0)\": #}" }
    }()

    @Test(
        "an extreme number in a config is planned or refused, and never traps", arguments: numbers)
    func neverTraps(_ number: String) throws {
        var plannedCount = 0
        for member in Self.members {
            func filled(_ text: String) -> String {
                (text.isEmpty ? "" : ", ") + text.replacingOccurrences(of: "#", with: number)
            }
            let text = """
                {"ociVersion": "1.0.2", "root": {"path": "rootfs"}\(filled(member.whole)),
                 "process": {"args": ["sh"], "cwd": "/"\(filled(member.process))},
                 "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "network"},
                  {"type": "time"}\(member.linux.contains("uidM") ? #", {"type": "user"}"# : "")],
                  "resources": {"unified": {}\(filled(member.resources))}\(filled(member.linux))}}
                """
            let path = "\(directory)/config.json"
            #expect(FileManager.default.createFile(atPath: path, contents: Data(text.utf8)))
            var options = LaunchOptions()
            if text.contains("\"terminal\"") { options.terminal = .master }
            for driver in [CgroupDriver.cgroupfs, .systemd] {
                options.cgroupDriver = driver
                do throws(ContainerError) {
                    let bundle = try Bundle(at: FilePath(directory))
                    let plan = try Container.plan(
                        "numbers", from: bundle, in: ContainerStore(at: FilePath(directory)),
                        options: options)
                    _ = plan.explained(includingCalls: true)
                    plannedCount += 1
                } catch {
                    #expect(!error.description.isEmpty)
                }
            }
        }
        // If every config were refused, the test would prove nothing.
        if number == "1" { #expect(plannedCount > 10) }
    }

    @Test(
        "a number of preserved descriptors that no process can have is refused",
        arguments: [-1, .max, .min])
    func preservedDescriptors(_ count: Int) {
        var options = LaunchOptions()
        options.preservedDescriptorCount = count
        #expect(throws: ContainerError.self) { try options.checkPreservedDescriptors() }
    }
}
