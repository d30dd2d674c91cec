// SPDX-License-Identifier: Apache-2.0

import CLinux
import ContainerKit
import Glibc
import Testing

extension Host {
    /// The version of Landlock that this kernel has; 0 without.
    static let landlock: Int = max(
        raw_system_call(Int(__NR_landlock_create_ruleset), 0, 0, 1, 0, 0, 0), 0)

    static func hasLandlock(_ version: Int) -> ConditionTrait {
        .enabled(
            if: isRoot && landlock >= version,
            "needs root, and version \(version) of Landlock: this kernel has \(landlock)")
    }
}

extension TestBundle {
    /// Puts rules into the annotation.
    fileprivate func annotate(_ rules: Landlock) {
        let text = String(decoding: rules.encoded.encoded(), as: UTF8.self)
        spec.annotations = ["org.swrunc.landlock": text]
    }

    /// Denies all access to files, and allows what the shell and these rules need.
    fileprivate func allow(_ rules: Landlock.PathRule...) {
        let programs = Landlock.PathRule(
            allowedAccess: [.execute, .readFile], paths: ["/bin"])
        let status = Landlock.PathRule(
            allowedAccess: [.readFile, .readDirectory], paths: ["/proc"])
        annotate(
            Landlock(
                ruleset: Landlock.Ruleset(handledAccessFS: Self.ofTheFirst),
                rules: Landlock.Rules(pathBeneath: [programs, status] + rules)))
    }

    /// The rights of the first version.
    fileprivate static let ofTheFirst = Landlock.FileAccess.allCases.filter {
        ![.refer, .truncate, .deviceCommand].contains($0)
    }
}

private let prefix = #"annotations["org.swrunc.landlock"]"#

@Suite("Landlock", Host.hasLandlock(1))
struct LandlockTests {
    @Test(
        "what no rule allows is denied: to read, write, make, list and execute",
        arguments: [true, false])
    func denials(_ noNewPrivileges: Bool) throws {
        try TestBundle.use { bundle throws in
            bundle.process.noNewPrivileges = noNewPrivileges
            try copyFile(Host.busybox, to: "\(bundle.rootfs)/home/ls")
            bundle.allow(
                Landlock.PathRule(allowedAccess: [.writeFile, .makeRegularFile], paths: ["/tmp"]),
                // Of a file, only the rights that files have can be allowed.
                Landlock.PathRule(
                    allowedAccess: [.readFile, .readDirectory], paths: ["/etc/group"]),
                Landlock.PathRule(allowedAccess: [.makeDirectory], paths: ["/etc/hosts"]))
            try writeText("", to: "\(bundle.rootfs)/etc/hosts")
            let text = try bundle.output(
                of: """
                    exec 2>&1
                    head -n 1 /etc/group; cat /etc/passwd; ls /; mkdir /tmp/x; /home/ls
                    echo x > /etc/group; echo x > /home/x; echo x > /tmp/x && cat /tmp/x
                    grep NoNewPrivs /proc/self/status
                    """)
            for words in [
                "cat: can't open '/etc/passwd': Permission denied",
                "ls: can't open '/': Permission denied",
                "mkdir: can't create directory '/tmp/x': Permission denied",
                "/home/ls: Permission denied", "can't create /etc/group: Permission denied",
                "can't create /home/x: Permission denied",
                "cat: can't open '/tmp/x': Permission denied",
            ] {
                #expect(text.contains(words), "no \"\(words)\" in: \(text)")
            }
            #expect(text.lines.first == "root:x:0:", "\(text)")
            #expect(text.value(of: "NoNewPrivs:") == (noNewPrivileges ? "1" : "0"))
            #expect(exists("\(bundle.rootfs)/tmp/x") && !exists("\(bundle.rootfs)/home/x"))
        }
    }

    @Test("a process of exec, another user too, is under the container's rules")
    func exec() throws {
        try TestBundle.use { bundle throws in
            bundle.process.noNewPrivileges = false
            bundle.linux.seccomp = Seccomp(
                defaultAction: .allow,
                syscalls: [SeccompRule(names: ["landlock_restrict_self"], action: .errno)])
            bundle.allow()
            try bundle.startSleeping()
            for user in ["0", "1000:1000"] {
                let done = try bundle.swrunc(
                    "exec", "--user", user, bundle.id, "cat", "/etc/passwd")
                #expect(done.error.contains("can't open '/etc/passwd': Permission denied"))
                #expect(done.status == 1, "\(done)")
                let allowed = try bundle.swrunc("exec", "--user", user, bundle.id, "id", "-u")
                #expect(allowed.text == String(user.prefix { $0 != ":" }), "\(allowed)")
            }
        }
    }

    @Test("the rules hold for a user without capabilities, and for hooks of init")
    func usersAndHooks() throws {
        try TestBundle.use { bundle throws in
            bundle.process.user = User(uid: 1000, gid: 1000)
            bundle.process.capabilities = nil
            bundle.process.noNewPrivileges = false
            // The directory is closed to the user, and the rule for it is made nevertheless.
            try makeDirectory("\(bundle.rootfs)/srv")
            try makeDirectory("\(bundle.rootfs)/srv/inner")
            try check(chmod("\(bundle.rootfs)/srv", 0o700), "chmod")
            bundle.allow(
                Landlock.PathRule(allowedAccess: [.readDirectory], paths: ["/srv/inner"]))
            bundle.spec.hooks = Hooks(
                startContainer: [
                    Hook(path: "/bin/sh", args: ["sh", "-c", "cat /etc/group || exit 0; exit 9"])
                ])
            let text = try bundle.output(of: "cat /etc/passwd 2>&1; id -u")
            #expect(text.lines == ["cat: can't open '/etc/passwd': Permission denied", "1000"])
        }
    }

    @Test("a path is resolved in the container's root: links lead nowhere else")
    func links() throws {
        try TestBundle.use { bundle throws in
            try writeText("secret", to: "\(bundle.rootfs)/tmp/file")
            try check(symlink("../../../tmp/file", "\(bundle.rootfs)/home/link"), "symlink")
            bundle.allow(
                Landlock.PathRule(allowedAccess: [.readFile], paths: ["/home/../home/link"]))
            #expect(try bundle.output(of: "cat /home/link") == "secret")
            try check(symlink("/proc/1/root", "\(bundle.rootfs)/tmp/magic"), "symlink")
            bundle.allow(Landlock.PathRule(allowedAccess: [.readFile], paths: ["/tmp/magic/etc"]))
            bundle.expectFailure(
                try bundle.run(), naming: ["\(prefix).rules.pathBeneath[2].paths[0]", "openat2"])
        }
    }

    @Test("a missing path is an error that names its index, unless the rule is optional")
    func missing() throws {
        try TestBundle.use { bundle throws in
            for path in ["/nowhere", "/etc/passwd/x"] {
                bundle.allow(Landlock.PathRule(allowedAccess: [.readFile], paths: ["/tmp", path]))
                bundle.expectFailure(
                    try bundle.run(),
                    naming: ["\(prefix).rules.pathBeneath[2].paths[1]", "openat2"])
                #expect(bundle.leftovers.found() == [])
                bundle.allow(
                    Landlock.PathRule(
                        allowedAccess: [.readFile], paths: [path], optional: true))
                #expect(try bundle.output(of: "echo runs") == "runs")
            }
        }
    }

    @Test("rules that are wrong are refused before anything is made")
    func refused() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.annotations = [
                "org.swrunc.landlock": #"{"ruleset":{"handledAccessFS":["read"]}}"#
            ]
            bundle.expectFailure(
                try bundle.run(), naming: ["\(prefix).ruleset.handledAccessFS[0]: \"read\" is not"])
            #expect(entries(of: bundle.store).isEmpty)
        }
    }

    @Test("explain shows each rule with its field, and features what is known")
    func explained() throws {
        try TestBundle.use { bundle throws in
            bundle.allow(Landlock.PathRule(allowedAccess: [.readFile], paths: ["/etc"]))
            try bundle.writeConfig()
            let text = try bundle.swrunc("explain", "--bundle", bundle.directory, bundle.id).text
            for words in [
                "\(prefix).ruleset", "\(prefix).rules.pathBeneath[2].paths[0]",
                "allow at /etc: read_file", "put this process under the Landlock ruleset",
            ] {
                #expect(text.contains(words), "\(text)")
            }
            let features = try bundle.swrunc("features").text
            #expect(features.contains("\"org.swrunc.landlock.abi\": \"6\""))
        }
    }

    @Test("a container under Landlock cannot be checkpointed: CRIU would restore it without")
    func checkpoint() throws {
        try TestBundle.use { bundle throws in
            bundle.allow()
            try bundle.startSleeping()
            bundle.expectFailure(
                try bundle.swrunc(
                    "checkpoint", "--image-path", "\(bundle.directory)/image", bundle.id),
                naming: [prefix, "CRIU does not keep"])
            #expect(try bundle.state().status == .running)
        }
    }
}

@Suite("Landlock of an ordinary user", Host.hasLandlock(1), Host.rootless)
struct RootlessLandlockTests {
    @Test(
        "rules of Landlock hold in a rootless container, and for exec", arguments: [true, false])
    func rootless(_ noNewPrivileges: Bool) throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            bundle.process.noNewPrivileges = noNewPrivileges
            bundle.allow()
            #expect(
                try bundle.outputAsUser(of: "cat /etc/passwd 2>&1; echo $?").lines
                    == ["cat: can't open '/etc/passwd': Permission denied", "1"])
            try bundle.startSleepingAsUser()
            let done = try bundle.asUser("exec", bundle.id, "cat", "/etc/passwd")
            #expect(done.error.contains("Permission denied"), "\(done)")
        }
    }
}

@Suite("Landlock of later kernels")
struct LaterLandlockTests {
    @Test("a port without a rule is denied, to bind and to connect to", Host.hasLandlock(4))
    func ports() throws {
        try TestBundle.use { bundle throws in
            bundle.annotate(
                Landlock(
                    ruleset: Landlock.Ruleset(handledAccessNet: [.bind, .connect]),
                    rules: Landlock.Rules(netPort: [
                        Landlock.PortRule(allowedAccess: [.connect], ports: [81]),
                        Landlock.PortRule(allowedAccess: [.bind], ports: [82]),
                    ])))
            let text = try bundle.output(
                of: """
                    exec 2>&1
                    nc() { busybox nc "$@"; }
                    nc 127.0.0.1 80 < /dev/null; nc 127.0.0.1 81 < /dev/null
                    nc -l -p 83 -w 1 < /dev/null; nc -l -p 82 -w 1 < /dev/null; echo end
                    """)
            let lines = text.lines
            #expect(lines.contains { $0.contains("(127.0.0.1): Permission denied") }, "\(text)")
            #expect(lines.contains { $0.contains("(127.0.0.1): Connection refused") }, "\(text)")
            #expect(lines.filter { $0.contains("bind: Permission denied") }.count == 1, "\(text)")
        }
    }

    @Test("a signal scope ends at the processes under the same ruleset", Host.hasLandlock(6))
    func scope() throws {
        try TestBundle.use { bundle throws in
            bundle.annotate(Landlock(ruleset: Landlock.Ruleset(scoped: [.signal])))
            #expect(try bundle.output(of: "sleep 9 & kill $! && echo sent") == "sent")
            try bundle.startSleeping()
            let done = try bundle.swrunc("exec", bundle.id, "kill", "-0", "1")
            #expect(done.status == 1 && done.error.contains("not permitted"), "\(done)")
            #expect(try bundle.swrunc("kill", bundle.id, "KILL").status == 0)
        }
    }

    @Test("rights of this kernel's version hold, also when they are demanded", Host.hasLandlock(5))
    func demanded() throws {
        try TestBundle.use { bundle throws in
            try writeText("text", to: "\(bundle.rootfs)/etc/file")
            bundle.annotate(
                Landlock(
                    ruleset: Landlock.Ruleset(handledAccessFS: [.truncate, .deviceCommand]),
                    disableBestEffort: true))
            let text = try bundle.output(
                of: "busybox truncate -s 0 /etc/file 2>&1; cat /etc/file")
            #expect(text.contains("Permission denied") && text.hasSuffix("text"), "\(text)")
        }
    }
}

@Suite("No Landlock", .enabled(if: Host.isRoot && Host.landlock == 0, "this kernel has Landlock"))
struct WithoutLandlockTests {
    @Test(
        "without Landlock, best effort warns and runs, and a demand fails before anything is made")
    func without() throws {
        try TestBundle.use { bundle throws in
            var rules = Landlock(ruleset: Landlock.Ruleset(handledAccessFS: [.execute]))
            bundle.annotate(rules)
            bundle.process.args = ["echo", "runs"]
            let done = try bundle.run()
            #expect(done.text == "runs" && done.message.contains("nothing is denied"), "\(done)")
            rules.disableBestEffort = true
            bundle.annotate(rules)
            bundle.expectFailure(
                try bundle.run(), naming: [prefix, "this kernel has no Landlock"])
            #expect(entries(of: bundle.store).isEmpty)
        }
    }
}
