// SPDX-License-Identifier: Apache-2.0

import KernelVocabulary
import SystemPackage
import Testing

@testable import InitProgram

@Suite("Steps and instructions as text")
struct ExplanationTests {
    @Test("an instruction prints as a person would write it")
    func instructions() {
        var code = Assembler()
        let file = code.cell("file")
        let memory = code.reserve(16)
        code.call(
            .openat, [.named(DirectoryDescriptor.current), code.text("/a"), .literal(0)], into: file
        )
        code.call(
            .mkdirat, [.cell(file), .cellAddress(file), .progress(8)],
            ignoring: [.fileExists, .noSuchFileOrDirectory])
        code.copy(file, to: memory, width: 4)
        let labels = [
            code.skip(when: .isNegative(file)), code.skip(when: .isNotNegative(file)),
            code.skip(when: .equals(file, 3)),
            code.skip(when: .memory(memory, mask: 0xf000, value: 0x4000)),
            code.skip(when: .always),
        ]
        code.refuse("it is not so")
        for label in labels { code.place(label) }
        code.call(.exitGroup, [.literal(0)])
        let image = code.image
        #expect(
            image.instructions.indices.map(image.rendered) == [
                #"openat(AT_FDCWD, "/a", 0) -> $file"#,
                "mkdirat($file, &$file, progress) unless EEXIST, ENOENT",
                "copy $file into memory (4 bytes)",
                "skip 5 if $file failed",
                "skip 4 if $file succeeded",
                "skip 3 if $file is 3",
                "skip 2 if memory & 0xf000 is 0x4000",
                "skip 1 if always",
                "stop: it is not so",
                "exit_group(0)",
            ])
    }

    /// The calls of a step with this name, as text.
    private func rendered(_ name: String, of step: InitStep) -> [String] {
        let image = ProgramImage(of: step)
        return image.instructions(ofStep: 1).map(image.rendered).filter {
            $0.hasPrefix(name + "(")
        }
    }

    @Test("openat2 and mount_setattr show the fields of their structures by name")
    func openAndAttributes() {
        let step = InitStep.root(
            .setRootPropagation(MountPropagation(flag: .slave, recursive: true, name: "rslave")))
        #expect(
            rendered("mount_setattr", of: step) == [
                #"mount_setattr($rootfs, "", AT_EMPTY_PATH|AT_RECURSIVE, {propagation=MS_SLAVE}, 32)"#
            ])
        #expect(
            rendered("openat2", of: .execution(.enterDirectory("/srv"))).first
                == #"openat2($rootfs, "srv", {flags=O_PATH|O_DIRECTORY|O_CLOEXEC, "#
                + "resolve=RESOLVE_NO_MAGICLINKS|RESOLVE_IN_ROOT}, 24) -> $working-directory")
    }

    @Test("the structures of Landlock show rights, scopes and ports by name")
    func landlock() {
        let rights = LandlockRights(files: .execute, ports: .connect, scopes: .signal)
        let image = ProgramImage(lowering: [
            .root(.attachRootfs(hostPath: "/rootfs")), .landlock(.makeRuleset(rights)),
            .landlock(.allowBeneath("/bin", .execute, isOptional: false)),
            .landlock(.allowPort(443, .connect)),
            .execution(.execute(candidates: ["/bin/true"], arguments: [], environment: [])),
        ])
        let calls = image.instructions.indices.map(image.rendered).filter {
            $0.hasPrefix("landlock_")
        }
        #expect(
            calls == [
                "landlock_create_ruleset({handled_access_fs=LANDLOCK_ACCESS_FS_EXECUTE, "
                    + "handled_access_net=LANDLOCK_ACCESS_NET_CONNECT_TCP, "
                    + "scoped=LANDLOCK_SCOPE_SIGNAL}, 24, 0) -> $landlock-ruleset",
                "landlock_add_rule($landlock-ruleset, LANDLOCK_RULE_PATH_BENEATH, "
                    + "{allowed_access=LANDLOCK_ACCESS_FS_EXECUTE, parent_fd=$landlock-path}, 0)",
                "landlock_add_rule($landlock-ruleset, LANDLOCK_RULE_NET_PORT, "
                    + "{allowed_access=LANDLOCK_ACCESS_NET_CONNECT_TCP, port=443}, 0)",
            ])
    }

    @Test("the attributes of a process show their structures, lists and names")
    func attributes() {
        let scheduler = SchedulingAttributes(
            policy: .deadline, flags: .resetOnFork, runtime: 2000, deadline: 3000, period: 4000)
        #expect(
            rendered("sched_setattr", of: .attribute(.setScheduler(scheduler))) == [
                "sched_setattr(0, {sched_policy=SCHED_DEADLINE, sched_flags=SCHED_FLAG_RESET_ON_FORK, "
                    + "sched_runtime=2000, sched_deadline=3000, sched_period=4000}, 0)"
            ])
        let nice = SchedulingAttributes(policy: .batch, nice: -5)
        #expect(
            rendered("sched_setattr", of: .attribute(.setScheduler(nice))) == [
                "sched_setattr(0, {sched_policy=SCHED_BATCH, sched_nice=-5}, 0)"
            ])
        let limits = [
            PlannedLimit(name: "RLIMIT_NOFILE", resource: 7, soft: 1024, hard: .max)
        ]
        #expect(
            rendered("prlimit64", of: .attribute(.setLimits(limits))) == [
                "prlimit64(0, RLIMIT_NOFILE, {rlim_cur=1024, rlim_max=RLIM64_INFINITY}, 0)"
            ])
        let cpus = NumberSet(text: "0-3,7,65", words: [0x8f, 2])
        #expect(
            rendered("sched_setaffinity", of: .attribute(.setCPUAffinity(cpus, .final))) == [
                "sched_setaffinity(0, 16, [0-3,7,65])"
            ])
        let nodes = MemoryPolicyChange(
            mode: MemoryPolicyWord(.bind), nodes: NumberSet(text: "1", words: [2]))
        #expect(
            rendered("set_mempolicy", of: .attribute(.setMemoryPolicy(nodes))) == [
                "set_mempolicy(MPOL_BIND, [1], 65)"
            ])
        let priority = IOPriorityValue(schedulingClass: .idle, level: 7)
        #expect(
            rendered("ioprio_set", of: .attribute(.setIOPriority(priority))) == [
                "ioprio_set(IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 7))"
            ])
    }

    @Test("capabilities print by name, equal sets once, and a umask in octal")
    func identity() {
        let sets = CapabilitySets(
            effective: 1 << 5, permitted: 1 << 5, inheritable: 1 << 39 | 1 << 0)
        #expect(
            rendered("capset", of: .identity(.setCapabilities(sets))) == [
                "capset({version=_LINUX_CAPABILITY_VERSION_3}, {effective=permitted=CAP_KILL, "
                    + "inheritable=CAP_CHOWN|CAP_BPF})"
            ])
        #expect(
            rendered("prctl", of: .identity(.limitBoundingSet(keeping: ~(1 << 21), last: 40))) == [
                "prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0) unless EINVAL"
            ])
        #expect(rendered("umask", of: .identity(.setUmask(0o27))) == ["umask(027)"])
        #expect(
            rendered("setgroups", of: .identity(.setGroups([5, 10]))) == ["setgroups(2, [5, 10])"])
    }

    @Test("a device prints its numbers, and the test of an existing one names the field")
    func devices() {
        let device = Device(
            name: "x", mode: FileMode(.characterDevice, 0o666), major: 1, minor: 300)
        let image = ProgramImage(of: .device(.makeDevices(directory: "/dev", [device])))
        let lines = image.instructions(ofStep: 1).map(image.rendered)
        #expect(lines.contains { $0.contains(#""x", S_IFCHR|0666, makedev(1, 300)) -> $made"#) })
        #expect(lines.contains("skip 1 if stx_mode & S_IFMT is S_IFCHR"))
        #expect(lines.contains("skip 1 if stx_rdev is makedev(1, 300)"))
    }

    @Test("a clone shows its flags and where its descriptors come from and go to")
    func clone() {
        let image = ProgramImage(of: .namespace(.continueInChild(intoCgroup: true)))
        let lines = image.instructions(ofStep: 1).map(image.rendered)
        #expect(
            lines.contains {
                $0.contains("clone3({flags=CLONE_PIDFD|CLONE_PARENT|CLONE_INTO_CGROUP, pidfd=&$")
                    && $0.contains("cgroup=$cgroup}, 88)")
            })
        #expect(
            lines.contains { $0.contains(#"sendmsg($rendezvous, {iov=["p"], SCM_RIGHTS=[$"#) })
        // The parent has a minute.
        let limits = [1, 9, 50].map { seconds in
            lines.contains {
                $0.contains("futex(") && $0.contains("{tv_sec=\(seconds), tv_nsec=0}")
            }
        }
        #expect(limits == [true, true, true])
    }

    @Test("a waiting init shows its signals and what it polls")
    func waiting() {
        let image = ProgramImage(of: .exchange(.waitForStartOrSignal))
        let lines = image.instructions(ofStep: 1).map(image.rendered)
        #expect(
            lines.contains {
                $0.hasPrefix("signalfd4(-1, [SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGTERM], 8")
            })
        #expect(
            lines.contains {
                $0.hasPrefix(
                    "ppoll([{fd=$signals, events=POLLIN}, {fd=$start-socket, events=POLLIN}], 2")
            })
        #expect(lines.contains { $0.hasSuffix("if $signals is not readable") })
        #expect(lines.contains { $0.hasSuffix("if ssi_signo is SIGTERM") })
    }

    @Test("execve shows the arguments, and of the environment only how large it is")
    func execution() {
        let step = InitStep.execution(
            .execute(
                candidates: ["/bin/sh"], arguments: ["sh", "-c", "true"],
                environment: ["TOKEN=secret", "A=b"]))
        #expect(
            rendered("execve", of: step) == [
                #"execve("/bin/sh", ["sh", "-c", "true"], [2 variables])"#
            ])
    }

    @Test("the arguments in an error show texts, names and numbers, but no addresses")
    func arguments() {
        var code = Assembler()
        let file = code.cell("file")
        let operands: [Operand] = [
            .cell(file), code.text("proc"), code.text(""), .address(0), .literal(0), .literal(24),
            .named(AccessMode.execute),
        ]
        #expect(code.image.renderedArguments(operands) == #"$file, "proc", 24, X_OK"#)
    }

    @Test("namespaces print in one fixed order")
    func namespaceOrder() {
        let all: NamespaceSet = [.time, .cgroup, .mount, .uts, .ipc, .network, .pid, .user]
        #expect(
            InitStep.namespace(.unshareNamespaces(all)).sentence
                == "enter new namespaces: user, pid, network, ipc, uts, mount, cgroup, time")
        #expect(InitStep.namespace(.unshareNamespaces([])).sentence == "enter new namespaces: none")
    }
}
