// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Scheduler, I/O priority, CPU affinity, memory policy and personality", Host.root)
struct AttributeTests {
    /// The fields of /proc/PID/stat, which proc_pid_stat(5) numbers from 1.
    private func field(_ number: Int, of pid: Int) throws -> String {
        let text = try readText("/proc/\(pid)/stat")
        let end = try #require(text.lastIndex(of: ")"))
        // The second field ends there.
        return String(text[end...].split(separator: " ")[number - 2])
    }

    private func scheduling(of pid: Int) throws -> [String] {
        try [field(41, of: pid), field(19, of: pid), field(40, of: pid)]
    }

    /// Runs a sleep in the container and returns its pid on the host.
    private func execSleeping(_ bundle: TestBundle, _ process: String? = nil) throws -> Int {
        let pidFile = "\(bundle.directory)/pid"
        var words = ["exec", "--detach", "--pid-file", pidFile]
        if let process {
            try writeText(process, to: "\(bundle.directory)/process.json")
            words += ["--process", "\(bundle.directory)/process.json", bundle.id]
        } else {
            words += [bundle.id, "sleep", "100"]
        }
        let done = try bundle.start(words, CommandOptions()).wait()
        try #require(done.status == 0 && done.error == "", "\(done)")
        return try #require(Int(readText(pidFile)))
    }

    @Test(
        "the container's process and exec have the scheduling policy and nice value of the config",
        arguments: [
            (Scheduler(policy: .batch, nice: 19), ["3", "19", "0"]),
            (Scheduler(policy: .other, nice: -5), ["0", "-5", "0"]),
            (Scheduler(policy: .idle), ["5", "0", "0"]),
        ])
    func scheduler(_ scheduler: Scheduler, _ expected: [String]) throws {
        try TestBundle.use { bundle throws in
            bundle.process.scheduler = scheduler
            bundle.process.user = User(uid: 1000, gid: 1000)
            bundle.process.capabilities = nil
            try bundle.startSleeping()
            #expect(try scheduling(of: bundle.state().pid) == expected)
            #expect(try scheduling(of: execSleeping(bundle)) == expected)
        }
    }

    @Test("exec uses the scheduler of its own process, with the times of SCHED_DEADLINE")
    func schedulerOfExec() throws {
        try TestBundle.use { bundle throws in
            bundle.process.scheduler = Scheduler(policy: .batch)
            try bundle.startSleeping()
            let pid = try execSleeping(
                bundle,
                """
                {"args": ["/bin/sleep", "100"], "cwd": "/", "scheduler": {
                "policy": "SCHED_DEADLINE", "flags": ["SCHED_FLAG_RESET_ON_FORK"],
                "runtime": 420000, "deadline": 1000000, "period": 10000000}}
                """)
            #expect(try scheduling(of: pid)[0] == "6")
            let inherited = try execSleeping(bundle, #"{"args": ["/bin/sleep", "9"], "cwd": "/"}"#)
            #expect(try scheduling(of: inherited)[0] == "3", "that of the container's own process")
        }
    }

    @Test("a real-time policy is set, or refused with a hint to what may be missing")
    func realTime() throws {
        try TestBundle.use { bundle throws in
            bundle.process.scheduler = Scheduler(policy: .fifo, priority: 7)
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.writeConfig()
            let done = try bundle.swrunc("create", "--bundle", bundle.directory, bundle.id)
            if done.status == 0 {
                let values = try scheduling(of: bundle.state().pid)
                #expect(values == ["1", values[1], "7"])
            } else {
                bundle.expectFailure(done, naming: ["process.scheduler", "sched_setattr"])
            }
        }
    }

    @Test("a scheduler that the kernel refuses fails create, which names it")
    func refusedScheduler() throws {
        try TestBundle.use { bundle throws in
            bundle.process.scheduler = Scheduler(policy: .iso)
            try bundle.writeConfig()
            bundle.expectFailure(
                try bundle.swrunc("create", "--bundle", bundle.directory, bundle.id),
                naming: ["process.scheduler", "sched_setattr", "invalid argument"])
        }
    }

    @Test("the I/O priority is the config's, but exec uses that of its own process")
    func ioPriority() throws {
        try TestBundle.use { bundle throws in
            try check(symlink("busybox", "\(bundle.rootfs)/bin/ionice"), "symlink ionice")
            bundle.process.ioPriority = IOPriority(schedulingClass: .bestEffort, priority: 6)
            try bundle.startSleeping()
            let of1 = try bundle.swrunc("exec", bundle.id, "ionice", "-p", "1")
            #expect(of1.text == "best-effort: prio 6", "\(of1)")
            #expect(
                try bundle.swrunc("exec", bundle.id, "ionice").text == "best-effort: prio 6")
            try writeText(
                """
                {"args": ["/bin/ionice"], "cwd": "/", "ioPriority": {"class": "IOPRIO_CLASS_IDLE"}}
                """, to: "\(bundle.directory)/process.json")
            let own = try bundle.swrunc(
                "exec", "--process", "\(bundle.directory)/process.json", bundle.id)
            #expect(own.text.hasPrefix("idle"), "\(own)")
        }
    }

    @Test("execCPUAffinity binds exec to the final CPUs, and does not bind the container's process")
    func affinity() throws {
        try TestBundle.use { bundle throws in
            bundle.process.execCPUAffinity = CPUAffinity(initial: "0", final: "1")
            bundle.script("grep Cpus_allowed_list /proc/self/status; sleep 100")
            try bundle.startSleeping()
            let list = "Cpus_allowed_list:"
            let own = try readText("/proc/\(bundle.state().pid)/status").value(of: list)
            #expect(try own == readText("/proc/self/status").value(of: list))
            guard sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 else { return }
            let done = try bundle.swrunc("exec", bundle.id, "grep", list, "/proc/self/status")
            #expect(done.text.value(of: list) == "1", "\(done)")
        }
    }

    @Test("the CPU affinity of the caller binds neither a container nor exec")
    func callersCPUs() throws {
        try TestBundle.use { bundle throws in
            let all = try readText("/proc/self/status").value(of: "Cpus_allowed_list:")
            bundle.process.args = ["sleep", "100"]
            try bundle.writeConfig()
            func bound(_ words: String...) throws -> FinishedCommand {
                let call = [Host.busybox, "taskset", "1", Host.runtime, "--root", bundle.store]
                return try RunningCommand(call + words, token: bundle.token).wait()
            }
            let created = try bound("run", "-d", "-b", bundle.directory, bundle.id)
            try #require(created.status == 0, "\(created)")
            for pid in ["1", "self"] {
                let done = try bound("exec", bundle.id, "cat", "/proc/\(pid)/status")
                #expect(done.output.value(of: "Cpus_allowed_list:") == all, "\(done)")
            }
        }
    }

    @Test("exec keeps its initial CPUs if there are no final ones; missing CPUs fail exec")
    func initialAffinity() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            func exec(_ affinity: String) throws -> FinishedCommand {
                try writeText(
                    """
                    {"args": ["/bin/true"], "cwd": "/", "execCPUAffinity": {\(affinity)}}
                    """, to: "\(bundle.directory)/process.json")
                return try bundle.swrunc(
                    "exec", "--process", "\(bundle.directory)/process.json", bundle.id)
            }
            #expect(try exec(#""initial": "0""#).status == 0)
            #expect(try exec(#""initial": "", "final": """#).status == 0)
            bundle.expectFailure(
                try exec(#""initial": "60000""#), status: 255,
                naming: ["process.execCPUAffinity.initial", "sched_setaffinity"])
            bundle.expectFailure(
                try exec(#""final": "60000""#), status: 255,
                naming: ["process.execCPUAffinity.final", "sched_setaffinity"])
        }
    }

    @Test(
        "the container's process and exec have the memory policy of the config",
        .enabled(if: exists("/proc/self/numa_maps"), "this kernel has no NUMA"),
        arguments: [
            (MemoryPolicy(mode: .interleave, nodes: "0"), ["interleave:0"]),
            (MemoryPolicy(mode: .bind, nodes: "0", flags: [.staticNodes]), ["bind", "static"]),
            (MemoryPolicy(mode: .preferred, nodes: "0", flags: [.relativeNodes]), ["prefer"]),
            (MemoryPolicy(mode: .systemDefault), ["default"]),
        ])
    func memoryPolicy(_ policy: MemoryPolicy, _ words: [String]) throws {
        try TestBundle.use { bundle throws in
            bundle.linux.memoryPolicy = policy
            try bundle.startSleeping()
            let script = "head -n 1 /proc/self/numa_maps | cut -d ' ' -f 2"
            let text = try bundle.swrunc("exec", bundle.id, "sh", "-c", script).text
            let own = try #require(readText("/proc/\(bundle.state().pid)/numa_maps").lines.first)
            for word in words {
                #expect(text.contains(word) && own.contains(word), "\(text), \(own)")
            }
        }
    }

    @Test("a memory policy with missing nodes fails create, which names them")
    func missingNodes() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.memoryPolicy = MemoryPolicy(mode: .bind, nodes: "0-4000")
            try bundle.writeConfig()
            bundle.expectFailure(
                try bundle.swrunc("create", "--bundle", bundle.directory, bundle.id),
                naming: ["linux.memoryPolicy", "set_mempolicy", "MPOL_BIND", "invalid argument"])
        }
    }

    #if arch(x86_64)
    @Test(
        "the container's process and exec get the personality, whatever seccomp forbids",
        arguments: [(Personality.Domain.linux32, "i686"), (.linux, "x86_64")], [true, false])
    func personality(_ example: (Personality.Domain, String), _ noNewPrivileges: Bool) throws {
        try TestBundle.use { bundle throws in
            bundle.process.noNewPrivileges = noNewPrivileges
            bundle.linux.personality = Personality(domain: example.0)
            bundle.linux.seccomp = Seccomp(
                defaultAction: .allow,
                syscalls: [SeccompRule(names: ["personality"], action: .errno)])
            #expect(try bundle.output(of: "uname -m").trimmed == example.1)
            try bundle.startSleeping(id: bundle.id + "-b")
            let done = try bundle.swrunc("exec", bundle.id + "-b", "uname", "-m")
            #expect(done.text == example.1, "\(done)")
        }
    }
    #endif
}
