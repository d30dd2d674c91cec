// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// A create or run that must fail: what makes it fail, and what its one error line must name.
struct FailureCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let words: [String]
    var flags: [String] = []
    let prepare: @Sendable (TestBundle) throws -> Void

    init(
        _ name: String, naming words: String..., flags: [String] = [],
        prepare: @escaping @Sendable (TestBundle) throws -> Void
    ) {
        testDescription = name
        self.words = words
        self.flags = flags
        self.prepare = prepare
    }

    static let mounts: [FailureCase] = [
        FailureCase(
            "a file system type that the kernel does not know",
            naming: "mounts[7]", "fsopen", "nosuchfs", "no such device"
        ) { $0.addMount("nosuchfs", "none", at: "/mnt") },
        FailureCase(
            "a bind source that is missing",
            naming: "mounts[7]", "/no/such/source", "no such file or directory"
        ) { $0.addMount(nil, "/no/such/source", at: "/mnt", "bind") },
        FailureCase(
            "a mount option that the file system refuses",
            naming: "mounts[7] (/mnt)", "fsconfig", "invalid argument"
        ) { $0.addMount("tmpfs", "tmpfs", at: "/mnt", "size=bogus") },
        FailureCase(
            "a directory on a file",
            naming: "mounts[7]", "a directory onto a file", "/etc/passwd", "not a directory"
        ) { $0.addMount(nil, $0.rootfs, at: "/etc/passwd", "bind") },
        FailureCase(
            "a file on a directory",
            naming: "mounts[7]", "a file onto a directory", "at /etc", "not a directory"
        ) { $0.addMount(nil, "\($0.rootfs)/etc/passwd", at: "/etc", "bind") },
        FailureCase(
            "a file in the way of a destination", naming: "mounts[7]", "/etc/passwd/deep",
            "not a directory"
        ) { $0.addMount("tmpfs", "tmpfs", at: "/etc/passwd/deep") },
        FailureCase(
            "tmpcopyup from a file", naming: "mounts[7]", "not a directory"
        ) { $0.addMount("tmpfs", "tmpfs", at: "/etc/passwd", "tmpcopyup") },
        FailureCase(
            "a rootfs that is missing", naming: "root.path", "no such file or directory"
        ) { $0.spec.root?.path = "missing" },
        FailureCase(
            "a rootfs that is a file", naming: "root.path", "not a directory"
        ) { $0.spec.root?.path = "rootfs/etc/passwd" },
        FailureCase(
            "a device where the image has another one", naming: "linux.devices[0]", "/dev/fuse"
        ) {
            $0.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            $0.linux.devices = [
                DeviceNode(kind: .character, path: "/dev/fuse", major: 10, minor: 229)
            ]
            // 1:3 is the null device.
            try check(mknod("\($0.rootfs)/dev/fuse", S_IFCHR | 0o666, 0x103), "mknod")
        },
    ]

    static let process: [FailureCase] = [
        FailureCase(
            "an unknown program", naming: "process.args", "executable file not found in $PATH"
        ) { $0.process.args = ["no-such-program"] },
        FailureCase(
            "a program of PATH on a mount without execution", naming: "process.args",
            "exec: \"tool\": permission denied"
        ) {
            try writeText("#!/bin/sh\n", to: "\($0.rootfs)/tmp/tool", mode: 0o755)
            $0.process.args = ["tool"]
            $0.process.env = ["PATH=/no/such:/mnt:/bin"]
            $0.addMount(nil, "\($0.rootfs)/tmp", at: "/mnt", "bind", "noexec")
        },
        FailureCase(
            "a program of PATH that nobody may execute", naming: "process.args",
            "executable file not found in $PATH"
        ) {
            try writeText("#!/bin/sh\n", to: "\($0.rootfs)/bin/tool", mode: 0o644)
            $0.process.args = ["tool"]
        },
        FailureCase(
            "a working directory that is a file", naming: "process.cwd", "/etc/passwd"
        ) { $0.process.cwd = "/etc/passwd" },
        FailureCase(
            "a limit that the kernel refuses", naming: "process.rlimits", "RLIMIT_NOFILE",
            "operation not permitted"
        ) {
            $0.process.rlimits = [Rlimit(type: "RLIMIT_NOFILE", hard: .max - 1, soft: 10)]
        },
        FailureCase(
            "a terminal without a devpts", naming: "process.terminal", "/dev/pts/ptmx",
            flags: ["--console-socket", "console"]
        ) {
            $0.process.terminal = true
            $0.spec.mounts?.removeAll { $0.destination == "/dev/pts" }
        },
        FailureCase(
            "a group of resctrl where there is none", naming: "linux.intelRdt",
            "Intel RDT resctrl mount point not found"
        ) { $0.linux.intelRdt = IntelRdt() },
        FailureCase(
            "a hook that is not there", naming: "hooks.prestart[0]",
            "error running prestart hook #0", "execve", "/no/such/hook", "no such file or directory"
        ) { $0.spec.hooks = Hooks(prestart: [Hook(path: "/no/such/hook")]) },
    ]

    static let linux: [FailureCase] = [
        FailureCase(
            "a namespace that is not there", naming: "linux.namespaces[5]", "/no/such/namespace",
            "no such file or directory"
        ) {
            $0.removeNamespace(.ipc)
            $0.linux.namespaces?.append(Namespace(kind: .ipc, path: "/no/such/namespace"))
        },
        FailureCase(
            "a kernel parameter that does not exist", naming: "linux.sysctl", "net/ipv4/no_such",
            "no such file or directory"
        ) { $0.linux.sysctl = ["net.ipv4.no_such": "1"] },
        FailureCase(
            "a value that a kernel parameter refuses", naming: "linux.sysctl", "invalid argument"
        ) { $0.linux.sysctl = ["net.ipv4.ip_forward": "nonsense"] },
        FailureCase(
            "a kernel parameter of the host", naming: "linux.sysctl", "kernel.panic"
        ) { $0.linux.sysctl = ["kernel.panic": "10"] },
        FailureCase(
            "a limit that the cgroup refuses", naming: "linux.resources.cpu", "invalid argument"
        ) { $0.linux.resources?.cpu = CPUResources(quota: 1, period: 100_000) },
        FailureCase(
            "a host name that is too long", naming: "hostname"
        ) { $0.spec.hostname = String(repeating: "h", count: 65) },
        FailureCase(
            "a seccomp listener that is not there", naming: "linux.seccomp.listenerPath",
            "seccomp agent", "/no/such/socket", "no such file or directory"
        ) {
            $0.linux.seccomp = Seccomp(
                defaultAction: .allow, listenerPath: "/no/such/socket",
                syscalls: [SeccompRule(names: ["mkdir"], action: .notify)])
        },
        FailureCase(
            "a cgroupsPath that names no cgroup", naming: "linux.cgroupsPath"
        ) { $0.linux.cgroupsPath = "/" },
    ]

    static let files: [FailureCase] = [
        FailureCase(
            "a pid file in a directory that is missing", naming: "pid file", "/no/such",
            "no such file or directory", flags: ["--pid-file", "/no/such/pid"]
        ) { _ in }
    ]

    static let all = mounts + process + linux + files
}

@Suite("Failure", Host.root)
struct FailureTests {
    @Test(
        "a failing create or run gives the reason in one line and leaves nothing",
        arguments: FailureCase.all)
    func launch(_ failure: FailureCase) throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            try failure.prepare(bundle)
            try bundle.writeConfig()
            let socket = try ConsoleSocket("\(bundle.directory)/console")
            let file = "\(bundle.directory)/pid"
            let before = entries(of: bundle.directory) + ["root"]
            for command in ["create", "run -d"] {
                var options = CommandOptions()
                options.directory = bundle.directory
                let words = command.split(separator: " ").map(String.init)
                let done = try bundle.start(
                    words + ["--pid-file", file] + failure.flags + [bundle.id], options
                ).wait()
                bundle.expectFailure(done, naming: ["\(words[0]) failed: "] + failure.words)
                #expect(bundle.leftovers.found() == [])
                #expect(entries(of: bundle.directory).filter { !before.contains($0) } == [])
                #expect(!exists(file))
            }
            withExtendedLifetime(socket) {}
        }
    }

    @Test("a console socket without a listener is an error")
    func missingConsoleSocket() throws {
        try TestBundle.use { bundle throws in
            bundle.process.terminal = true
            try bundle.writeConfig()
            let path = "\(bundle.directory)/no-socket"
            let done = try bundle.swrunc(
                "create", "--bundle", bundle.directory, "--console-socket", path, bundle.id)
            bundle.expectFailure(
                done, naming: ["console socket", path, "no such file or directory"])
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("a program that cannot be executed is reported by start, and the container is stopped")
    func badFormatAtStart() throws {
        try TestBundle.use { bundle throws in
            try writeText("not a program", to: "\(bundle.rootfs)/bin/odd", mode: 0o755)
            bundle.process.args = ["/bin/odd"]
            try bundle.create()
            bundle.expectFailure(
                try bundle.swrunc("start", bundle.id),
                naming: ["process.args", "exec format error (neither a program nor a script"])
            #expect(try bundle.state().status == .stopped)
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)
        }
    }

    @Test(
        "a config that cannot be read is reported with the place of the error",
        arguments: [
            ("{\n  \"ociVersion\": ,\n}", ["line 2", "column 17"]),
            ("[]", ["config.json", "object"]),
            (
                #"{"ociVersion":"1.0.0","linux":{"namespaces":[{"type":"nett"}]}}"#,
                ["linux.namespaces[0].type", "\"nett\" is not a namespace type"]
            ),
            (#"{"ociVersion":"1.0.0","process":{"cwd":7}}"#, ["process.cwd"]),
        ])
    func badConfig(_ text: String, _ words: [String]) throws {
        try TestBundle.use { bundle throws in
            try writeText(text, to: "\(bundle.directory)/config.json")
            bundle.expectFailure(
                try bundle.swrunc("create", "--bundle", bundle.directory, bundle.id), naming: words)
        }
    }

    @Test("a bundle without a config is an error")
    func noConfig() throws {
        try TestBundle.use { bundle throws in
            bundle.expectFailure(
                try bundle.swrunc("run", "--bundle", bundle.directory, bundle.id),
                naming: ["\(bundle.directory)/config.json", "no such file or directory"])
        }
    }

    // MARK: exec

    @Test(
        "a failing exec ends with 255, gives the reason in one line and leaves nothing",
        arguments: [
            (["no-such-program"], ["executable file not found in $PATH"]),
            (["--cwd", "/no/such", "true"], ["process.cwd", "no such file or directory"]),
            (["--cwd", "relative", "true"], ["process.cwd"]),
            (["-t", "-d", "true"], ["cannot allocate tty if"]),
            (
                ["-t", "-d", "--console-socket", "/no/such", "true"],
                ["console socket", "/no/such"]
            ),
            (["--pid-file", "/no/such/pid", "true"], ["pid file", "/no/such"]),
            (["--process", "/no/such.json"], ["/no/such.json", "no such file or directory"]),
            ([], ["exec args cannot be empty"]),
        ] as [([String], [String])])
    func exec(_ flags: [String], _ words: [String]) throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let count = flags.lastIndex { $0.hasPrefix("/no/such") || $0 == "relative" }.map {
                $0 + 1
            }
            let split = flags.first?.hasPrefix("-") == true ? max(count ?? 0, 2) : 0
            let call = ["exec"] + flags.prefix(split) + [bundle.id] + flags.dropFirst(split)
            let done = try bundle.start(call).wait()
            bundle.expectFailure(done, status: 255, naming: words)
            #expect(bundle.leftovers.processes().count == 1)
            #expect(try bundle.state().status == .running)
        }
    }
}
