// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// A config that grants less than the checkpoint's config.
struct StricterConfig: Sendable, CustomTestStringConvertible {
    let field: String
    let change: @Sendable (TestBundle) -> Void

    var testDescription: String { field }

    static let all = [
        StricterConfig(field: "process.capabilities") { bundle in
            bundle.process.capabilities = Capabilities()
        },
        StricterConfig(field: "process.noNewPrivileges") { bundle in
            bundle.process.noNewPrivileges = true
        },
        StricterConfig(field: "linux.seccomp") { bundle in
            bundle.linux.seccomp = Seccomp(defaultAction: .allow)
        },
        StricterConfig(field: "root.readonly") { $0.spec.root?.readonly = true },
        StricterConfig(field: "linux.maskedPaths") { $0.linux.maskedPaths = ["/etc/passwd"] },
        StricterConfig(field: "linux.readonlyPaths") { $0.linux.readonlyPaths = ["/etc"] },
        StricterConfig(field: "linux.namespaces") { bundle in
            bundle.setNamespace(.user)
            bundle.linux.uidMappings = [IDMapping(containerID: 0, hostID: 100_000, size: 65536)]
            bundle.linux.gidMappings = [IDMapping(containerID: 0, hostID: 100_000, size: 65536)]
        },
    ]
}

@Suite("Restores that are refused", Criu.needed)
struct RestoreRefusalTests {
    @Test(
        "a restored process with more rights than the config never runs, and the restore fails",
        arguments: StricterConfig.all)
    func stricter(_ config: StricterConfig) throws {
        try TestBundle.use { bundle throws in
            bundle.process.noNewPrivileges = false
            try bundle.startCounting()
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            let before = bundle.count
            config.change(bundle)
            try bundle.writeConfig()
            let pidFile = "\(bundle.directory)/pid"
            let done = try bundle.restore("--pid-file", pidFile)
            // CRIU before 4.2 makes such a root read-only, as the config demands.
            if config.field == "root.readonly", done.status == 0 {
                let look = try bundle.swrunc("exec", bundle.id, "touch", "/new")
                #expect(look.status != 0 && !exists("\(bundle.rootfs)/new"), "\(look)")
                return
            }
            #expect(done.status == 1 && done.message.hasPrefix(config.field), "\(done)")
            #expect(bundle.count == before)
            #expect(access(pidFile, F_OK) != 0)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("a failing hook fails the restore, and nothing is left")
    func failingHook() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            bundle.spec.hooks = Hooks(createRuntime: [Hook(path: "/bin/false")])
            try bundle.writeConfig()
            bundle.expectFailure(
                try bundle.restore(), naming: ["error running createRuntime hook #0"])
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("a resource limit under which CRIU cannot work is named")
    func memoryLimit() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            bundle.linux.resources = Resources(memory: MemoryResources(limit: 1 << 20))
            try bundle.writeConfig()
            bundle.expectFailure(
                try bundle.restore(), naming: ["linux.resources.memory.limit", "OOM-killed"])
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("restore refuses the id of an existing container, which stays")
    func takenID() throws {
        try TestBundle.use { bundle throws in
            try bundle.startCounting()
            #expect(try bundle.checkpoint("--leave-running").status == 0)
            bundle.expectFailure(
                try bundle.restore(), naming: ["container with given ID already exists"])
            #expect(bundle.counts())
        }
    }
}

@Suite("checkpoint and restore without a CRIU that works", Host.root)
struct CriuLackTests {
    private var options: CommandOptions {
        var options = CommandOptions()
        options.environment["PATH"] = "/nonexistent"
        return options
    }

    @Test("a missing CRIU is reported with its package and version; the container continues")
    func missing() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let done = try bundle.start(
                ["checkpoint", "--image-path", bundle.image, bundle.id], options
            ).wait()
            bundle.expectFailure(done, naming: ["criu is not in $PATH"])
            #expect(done.error.contains("install the package criu, version 3.16 or later"))
            #expect(access(bundle.image, F_OK) != 0)
            #expect(try bundle.state().status == .running)
        }
    }

    @Test("a CRIU that is too old, or ends without an answer, is reported as that")
    func broken() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let directory = "\(bundle.directory)/programs"
            try makeDirectory(directory)
            try writeText(
                "#!/bin/sh\necho no library >&2\nexit 3\n", to: "\(directory)/criu", mode: 0o755)
            var options = CommandOptions()
            options.environment["PATH"] = "\(directory):/bin:/usr/bin"
            let done = try bundle.start(
                ["checkpoint", "--image-path", bundle.image, bundle.id], options
            ).wait()
            bundle.expectFailure(
                done, naming: ["criu failed without an answer: exit status 3: no library"])
            #expect(try bundle.state().status == .running)
        }
    }

    @Test("checkpoint refuses a container that is not running")
    func wrongState() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/true"]
            try bundle.create()
            bundle.expectFailure(
                try bundle.checkpoint(),
                naming: ["Container cannot be checkpointed in created state"])
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(try bundle.waits(for: .stopped))
            bundle.expectFailure(
                try bundle.checkpoint(),
                naming: ["Container cannot be checkpointed in stopped state"])
        }
    }

    @Test(
        "an invalid value of a checkpoint or restore flag is refused with the flag's name",
        arguments: [
            (["--manage-cgroups-mode", "firm"], "manage-cgroups-mode"),
            (["--network-lock", "firm"], "network-lock"),
            (["--empty-ns", "pid"], #"namespace "pid" is not supported"#),
            (["--page-server", "host"], "Use --page-server ADDRESS:PORT"),
            (["--page-server", "host:70000"], "Use --page-server ADDRESS:PORT"),
            (["--status-fd", "77"], "invalid --status-fd argument 77"),
            (["--parent-path", "/tmp"], "--parent-path must be relative"),
            (["--parent-path", "../absent"], "invalid --parent-path"),
        ])
    func wrongFlags(_ words: [String], _ message: String) throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let done = try bundle.start(
                ["checkpoint", "--image-path", bundle.image] + words + [bundle.id]
            ).wait()
            bundle.expectFailure(done, naming: [message])
            #expect(try bundle.state().status == .running)
        }
    }
}
