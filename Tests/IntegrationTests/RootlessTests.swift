// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

extension TestBundle {
    /// An ordinary user without an account.
    static let userID: UInt32 = 12_345

    /// Gives the bundle and its state directory to an ordinary user, and makes the config one for
    /// that user.
    func makeRootless(for userID: UInt32 = userID) throws {
        var config = Spec.rootlessTemplate(userID: userID, groupID: userID)
        config.process?.terminal = false
        config.process?.env = spec.process?.env
        config.root?.readonly = false
        if !Host.isUnified { config.linux?.namespaces?.removeAll { $0.kind == .cgroup } }
        spec = config
        try giveToUser(userID)
    }

    func giveToUser(_ userID: UInt32 = userID) throws {
        try? makeDirectory(store, mode: 0o700)
        let words = [Host.busybox, "chown", "-Rh", "\(userID):\(userID)", directory]
        let done = try RunningCommand(words, token: token).wait()
        try #require(done.status == 0, "\(done)")
    }

    static func setpriv(_ user: UInt32 = userID) -> [String] {
        ["/usr/bin/setpriv", "--reuid", "\(user)", "--regid", "\(user)", "--clear-groups"]
    }

    /// Runs the runtime as the user.
    func asUser(_ words: String..., options: CommandOptions = CommandOptions()) throws
        -> FinishedCommand
    {
        try RunningCommand(
            Self.setpriv() + [Host.runtime, "--root", store] + words, options, token: token
        ).wait()
    }

    /// Writes the config and runs the container to its end, as the user.
    func runAsUser(
        _ words: String..., before: [String] = [], options: CommandOptions = CommandOptions()
    ) throws -> FinishedCommand {
        try writeConfig()
        return try RunningCommand(
            Self.setpriv() + before + [Host.runtime, "--root", store] + words
                + ["run", "--bundle", directory, id], options, token: token
        ).wait()
    }

    func outputAsUser(
        of text: String, before: [String] = [], sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> String {
        script(text)
        let done = try runAsUser(before: before)
        #expect(done.status == 0 && done.error == "", "\(done)", sourceLocation: sourceLocation)
        return done.text
    }

    func startSleepingAsUser() throws {
        process.args = ["/bin/sleep", "100"]
        try writeConfig()
        for words in [["create", "--bundle", directory, id], ["start", id]] {
            let done = try RunningCommand(
                Self.setpriv() + [Host.runtime, "--root", store] + words, token: token
            ).wait()
            try #require(done.status == 0 && done.error == "", "\(done)")
        }
    }
}

extension Host {
    /// Whether an ordinary user is available, can reach the binary, and may create user namespaces.
    static let rootless: ConditionTrait = .enabled(
        if: isRoot && canBeRootless,
        "needs root, setpriv, user namespaces for all, and a binary that all users can reach")

    /// Whether other users reach the binary, which a home directory may hide.
    static let reachable: ConditionTrait = .enabled(
        if: canBeReached, "needs setpriv, and a binary that all users can reach")

    static let canBeReached: Bool = {
        let words = TestBundle.setpriv() + [runtime, "--version"]
        return (try? RunningCommand(words, token: "none").wait())?.status == 0
    }()

    static let canBeRootless: Bool = {
        let words = TestBundle.setpriv() + ["/usr/bin/unshare", "--user", runtime, "--version"]
        return (try? RunningCommand(words, token: "none").wait())?.status == 0
    }()
}

@Suite("An ordinary user", Host.rootless)
struct RootlessTests {
    @Test("the config that spec --rootless writes runs as an ordinary user")
    func template() throws {
        try TestBundle.use { bundle throws in
            try bundle.giveToUser()
            let written = try bundle.asUser("spec", "--rootless", "--bundle", bundle.directory)
            #expect(written.status == 0, "\(written)")
            bundle.spec = try Spec(json: readBytes("\(bundle.directory)/config.json"))
            bundle.process.terminal = false
            let text = try bundle.outputAsUser(
                of: "id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; "
                    + "hostname; echo $$; cat /dev/null; echo > /dev/null")
            let words = text.split { $0 == " " || $0 == "\n" || $0 == "\t" }.map(String.init)
            let map = ["0", "\(TestBundle.userID)", "1"]
            #expect(words == ["0", "0"] + map + map + ["deny", "swrunc", "1"])
        }
    }

    @Test("an ordinary user can create, start, exec, kill and delete a container")
    func lifecycle() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            try bundle.startSleepingAsUser()
            let state = try State(json: Array(bundle.asUser("state", bundle.id).output.utf8))
            #expect(state.status == .running)
            let pids = try bundle.asUser("ps", "--format", "json", bundle.id)
            #expect(pids.text == "[\(state.pid)]")
            #expect(try bundle.asUser("list", "-q").text == bundle.id)
            let done = try bundle.asUser("exec", bundle.id, "/bin/sh", "-c", "id -u; echo $$")
            #expect(done.status == 0 && done.error == "", "\(done)")
            #expect(done.text.lines.first == "0")
            #expect(try bundle.asUser("kill", bundle.id, "KILL").status == 0)
            #expect(try bundle.waits(for: .stopped))
            let deleted = try bundle.asUser("delete", bundle.id)
            #expect(deleted.status == 0 && deleted.error == "", "\(deleted)")
        }
    }

    @Test("an ordinary user's state is below XDG_RUNTIME_DIR, readable only by that user")
    func runtimeDirectory() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            bundle.script("true")
            try bundle.writeConfig()
            let words =
                TestBundle.setpriv() + ["/usr/bin/env", "XDG_RUNTIME_DIR=\(bundle.directory)"]
                + [Host.runtime]
            let create = ["create", "--bundle", bundle.directory, bundle.id]
            let done = try RunningCommand(words + create, token: bundle.token).wait()
            #expect(done.status == 0 && done.error == "", "\(done)")
            #expect(exists("\(bundle.directory)/swrunc/\(bundle.id)/state.json"))
            var status = stat()
            #expect(lstat("\(bundle.directory)/swrunc", &status) == 0)
            #expect(status.st_mode & 0o777 == 0o700)
            let deleted = try RunningCommand(
                words + ["delete", bundle.id], token: bundle.token
            ).wait()
            #expect(deleted.status == 0, "\(deleted)")
        }
    }

    @Test("an ordinary user's runtime executable is sealed, even if mounts cannot be cloned")
    func sealed() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            bundle.script("true")
            try bundle.writeConfig()
            let done = try bundle.asUser("create", "--bundle", bundle.directory, bundle.id)
            #expect(done.status == 0 && done.error == "", "\(done)")
            var target = [CChar](repeating: 0, count: 64)
            let count = readlink("/proc/\(try bundle.state().pid)/exe", &target, 63)
            let text = String(decoding: target.prefix(max(count, 0)).map(UInt8.init), as: UTF8.self)
            #expect(text.hasPrefix("/memfd:"), "\(text)")
            let exec = try bundle.asUser("exec", bundle.id, "/bin/true")
            bundle.expectFailure(exec, status: 255, naming: ["before it is started"])
        }
    }

    @Test("v1 cgroups delegated by hand are used, without the v2 cgroup beside them")
    func delegatedByHand() throws {
        guard !Host.isUnified else { return print("skipped: this host has no cgroup v1") }
        try TestBundle.use { bundle throws in
            func forEachHierarchy(_ words: String) throws {
                let script =
                    "for d in /sys/fs/cgroup/*; do [ -L $d ] || [ ! -e $d/tasks ] || ( \(words) "
                    + "); done"
                let done = try RunningCommand(
                    [Host.busybox, "sh", "-c", script], token: bundle.token
                )
                .wait()
                try #require(done.status == 0, "\(done)")
            }
            let name = "swrunc-test-\(bundle.id)"
            try forEachHierarchy(
                "mkdir $d/\(name) && chown -R \(TestBundle.userID) $d/\(name)")
            defer { try? forEachHierarchy("rmdir $d/\(name)") }
            try bundle.makeRootless()
            bundle.linux.cgroupsPath = "/\(name)/box"
            bundle.linux.resources = Resources(pids: .init(limit: 20))
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.writeConfig()
            let done = try bundle.asUser("create", "--bundle", bundle.directory, bundle.id)
            try #require(done.status == 0, "\(done)")
            #expect(try readText("/sys/fs/cgroup/pids/\(name)/box/pids.max") == "20\n")
            #expect(try bundle.asUser("start", bundle.id).status == 0)
            #expect(try bundle.asUser("pause", bundle.id).status == 0)
            #expect(try bundle.state().status == .paused)
            let deleted = try bundle.asUser("delete", "--force", bundle.id)
            #expect(deleted.status == 0 && deleted.error == "", "\(deleted)")
            #expect(!exists("/sys/fs/cgroup/pids/\(name)/box"))
        }
    }

    @Test("an ordinary user without a cgroup namespace sees the caller's v1 cgroups, read-only")
    func ownCgroups() throws {
        guard !Host.isUnified else { return print("skipped: this host has no cgroup v1") }
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            bundle.spec.mounts?.removeAll { $0.destination == "/sys/fs/cgroup" }
            bundle.addMount("cgroup", "cgroup", at: "/sys/fs/cgroup", "nosuid")
            let text = try bundle.outputAsUser(
                of: "cd /sys/fs/cgroup/pids && cat tasks >/dev/null && echo seen; "
                    + "mkdir x 2>/dev/null || echo refused")
            #expect(text.lines == ["seen", "refused"])
            let mounts = try bundle.outputAsUser(of: "grep ' /sys/fs/cgroup' /proc/mounts").lines
            #expect(mounts.count > 2)
            for mount in mounts {
                #expect(mount.split(separator: " ")[3].hasPrefix("ro,"), "\(mount)")
            }
        }
    }

    @Test("an ordinary user's seccomp agent gets the listener of the filter, at run and at start")
    func listener() throws {
        for starts in [false, true] {
            try TestBundle.use { bundle throws in
                try bundle.makeRootless()
                let agent = try NotifyAgent("\(bundle.directory)/agent.sock")
                try bundle.giveToUser()
                bundle.linux.seccomp = Seccomp(
                    defaultAction: .allow, listenerPath: agent.path,
                    syscalls: [SeccompRule(names: ["mkdir", "mkdirat"], action: .notify)])
                bundle.script("mkdir /tmp/x")
                try bundle.writeConfig()
                var words = ["run", "--detach", "--bundle", bundle.directory, bundle.id]
                if starts {
                    let made = try bundle.asUser(
                        "create", "--bundle", bundle.directory, bundle.id)
                    try #require(made.status == 0, "\(made)")
                    words = ["start", bundle.id]
                }
                let running = try RunningCommand(
                    TestBundle.setpriv() + [Host.runtime, "--root", bundle.store] + words,
                    CommandOptions(), token: bundle.token)
                let connection = try agent.accept()
                #expect(connection.message.contains("\"id\":\"\(bundle.id)\""))
                #expect(try agent.serve(connection, .error(ENOMEDIUM)) == 1)
                let done = try running.wait()
                #expect(done.status == 0, "\(done)")
            }
        }
    }

    @Test("an ordinary user can write nothing below /sys, with or without cgroup mounts")
    func systemFiles() throws {
        for mountsCgroups in [true, false] {
            try TestBundle.use { bundle throws in
                try bundle.makeRootless()
                if !mountsCgroups {
                    bundle.spec.mounts?.removeAll { $0.type == "cgroup" }
                }
                let text = try bundle.outputAsUser(of: "cat /proc/mounts")
                let mounts = text.lines.map { $0.split(separator: " ") }.filter {
                    $0.count > 3 && ($0[1] == "/sys" || $0[1].hasPrefix("/sys/"))
                }
                #expect(!mounts.isEmpty)
                for mount in mounts {
                    #expect(mount[3].split(separator: ",").first == "ro", "\(mount)")
                }
            }
        }
    }

    @Test("an ordinary user without a network namespace gets the host's sysfs, read-only")
    func hostSysfs() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            let index = try #require(
                bundle.spec.mounts?.firstIndex { $0.destination == "/sys" })
            bundle.spec.mounts?[index].type = "sysfs"
            bundle.spec.mounts?[index].source = "sysfs"
            bundle.spec.mounts?[index].options = ["nosuid", "noexec", "nodev", "ro"]
            let text = try bundle.outputAsUser(
                of: "ls /sys/class/net; touch /sys/x 2> /dev/null || echo refused")
            #expect(text.lines.contains("lo") && text.lines.last == "refused", "\(text)")
        }
    }

    @Test("an ordinary user's network namespace has a loopback interface and nothing else")
    func emptyNetwork() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            bundle.setNamespace(.network)
            let text = try bundle.outputAsUser(of: "cut -d: -f1 /proc/net/dev | tail -n +3")
            #expect(text == "lo")
        }
    }

    @Test(
        "an ordinary user's bind mount shows the user's files, and the volume's own options apply")
    func volumes() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            try makeDirectory("\(bundle.directory)/volume")
            try writeText("here", to: "\(bundle.directory)/volume/file")
            try bundle.giveToUser()
            bundle.addMount(nil, "\(bundle.directory)/volume", at: "/data", "rbind", "ro", "nosuid")
            bundle.addMount(nil, "\(bundle.directory)/volume/file", at: "/etc/one", "bind", "rw")
            let text = try bundle.outputAsUser(
                of: "cat /data/file /etc/one; echo new > /etc/one; cat /data/file; "
                    + "touch /data/x 2> /dev/null || echo refused")
            #expect(text == "hereherenew\nrefused")
        }
    }

    @Test("a volume from a read-only mount of the host stays read-only, whatever its options")
    func lockedVolume() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            let volume = "\(bundle.directory)/volume"
            try makeDirectory(volume)
            let flags = UInt(MS_RDONLY | MS_NOSUID | MS_NODEV)
            try check(mount("tmpfs", volume, "tmpfs", flags, nil), "mount")
            defer { umount2(volume, CInt(MNT_DETACH)) }
            for options in [["rw", "rprivate", "nosuid", "nodev", "rbind"], ["dev", "suid"]] {
                bundle.spec.mounts?.append(
                    Mount(
                        destination: "/mnt", type: "bind", source: volume, options: options))
                bundle.script("grep ' /mnt ' /proc/mounts")
                let done = try bundle.runAsUser("--log", "/dev/null")
                #expect(done.text.contains(" ro,nosuid,nodev"), "\(done)")
                bundle.spec.mounts?.removeLast()
            }
        }
    }

    @Test(
        "an ordinary user's privileged settings are refused with their field, and nothing is left",
        arguments: [
            ("linux.namespaces", "requires user namespaces"),
            ("linux.resources.memory.limit", "has no cgroup for this limit"),
            ("linux.cgroupsPath", "permission denied"),
            ("process.oomScoreAdj", "permission denied"),
            ("process.rlimits", "operation not permitted"),
            ("mounts[7]", "no such file or directory"),
            ("linux.devices[0]", "the host has no device 1:250 at /dev/null"),
            ("mounts[7].options", "cannot map the ids"),
        ])
    func refusals(_ field: String, _ words: String) throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            switch field {
            case "linux.namespaces":
                bundle.removeNamespace(.user)
                bundle.linux.uidMappings = nil
                bundle.linux.gidMappings = nil
            case "linux.resources.memory.limit":
                bundle.linux.resources = Resources(memory: .init(limit: 64 << 20))
            case "linux.cgroupsPath": bundle.linux.cgroupsPath = "/\(bundle.id)"
            case "process.oomScoreAdj": bundle.process.oomScoreAdj = -1000
            case "process.rlimits":
                bundle.process.rlimits = [Rlimit(type: "RLIMIT_NOFILE", hard: 1 << 40, soft: 5)]
            case "mounts[7]": bundle.addMount(nil, "/nowhere", at: "/data", "bind")
            case "mounts[7].options": bundle.addMount(nil, "/srv", at: "/data", "bind", "idmap")
            default:
                bundle.linux.devices = [
                    DeviceNode(kind: .character, path: "/dev/null", major: 1, minor: 250)
                ]
            }
            bundle.script("true")
            bundle.expectFailure(try bundle.runAsUser(), naming: [field, words])
        }
    }

    @Test("all processes are found and killed without a cgroup and without a pid namespace")
    func allProcesses() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            bundle.removeNamespace(.pid)
            // This is the host's procfs: a new one needs a pid namespace.
            let index = try #require(bundle.spec.mounts?.firstIndex { $0.type == "proc" })
            bundle.spec.mounts?[index] = Mount(
                destination: "/proc", type: nil, source: "/proc", options: ["rbind"])
            bundle.linux.maskedPaths = nil
            bundle.linux.readonlyPaths = nil
            bundle.script("sleep 100 & sleep 100 & wait")
            try bundle.writeConfig()
            let words = ["run", "-d", "--bundle", bundle.directory, bundle.id]
            let done = try RunningCommand(
                TestBundle.setpriv() + [Host.runtime, "--root", bundle.store] + words,
                token: bundle.token
            ).wait()
            #expect(done.status == 0 && done.error.lines.count == 1, "\(done)")
            #expect(done.error.contains("Such configuration is strongly discouraged"))
            #expect(
                try waits {
                    try bundle.asUser("ps", "-f", "json", bundle.id).text.split(separator: ",")
                        .count == 3
                })
            let killed = try bundle.asUser("kill", bundle.id, "KILL")
            #expect(killed.status == 0, "\(killed)")
            #expect(waits { bundle.leftovers.processes().isEmpty })
        }
    }

    @Test("pause reports that an ordinary user's container has no cgroup to freeze")
    func noFreezer() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            try bundle.startSleepingAsUser()
            bundle.expectFailure(
                try bundle.asUser("pause", bundle.id), naming: ["cgroups not configured"])
        }
    }
}
