// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Foundation
import Glibc
import Testing

@Suite("swrunc doctor", Host.root)
struct DoctorTests {
    /// What `doctor --format json` printed.
    private struct Report {
        let done: FinishedCommand
        let canRun: Bool
        private let checks: [[String: Any]]

        init(_ done: FinishedCommand) throws {
            self.done = done
            let value = try JSONSerialization.jsonObject(with: Data(done.output.utf8))
            let object = try #require(value as? [String: Any], "\(done)")
            canRun = object["canRunContainers"] as? Bool ?? false
            checks = object["checks"] as? [[String: Any]] ?? []
            capabilities = object["capabilities"] as? [String: [String]] ?? [:]
        }

        let capabilities: [String: [String]]

        func standing(_ name: String) -> String? { check(name)?["standing"] as? String }

        func found(_ name: String) -> String { check(name)?["found"] as? String ?? "" }

        func remedy(_ name: String) -> String { check(name)?["remedy"] as? String ?? "" }

        private func check(_ name: String) -> [String: Any]? {
            checks.first { $0["name"] as? String == name }
        }
    }

    /// Runs doctor by another command, such as setpriv, with a store of this test.
    private func report(
        _ bundle: TestBundle, _ before: [String] = [], store: String? = nil,
        options: CommandOptions = CommandOptions()
    ) throws -> Report {
        let words = [
            Host.runtime, "--root", store ?? bundle.store, "doctor", "--format", "json",
        ]
        return try Report(RunningCommand(before + words, options, token: bundle.token).wait())
    }

    private static let nobody = TestBundle.setpriv(65534)

    /// A script in a mount namespace of its own, before the command.
    private func privately(_ script: String) -> [String] {
        [
            "/usr/bin/unshare", "-m", "/bin/sh", "-c", "set -e; \(script)\nexec \"$@\"", "sh",
        ]
    }

    @Test("where the other tests of this suite run containers, doctor says that they can run")
    func canRun() throws {
        try TestBundle.use { bundle throws in
            let done = try bundle.swrunc("doctor")
            #expect(done.status == 0 && done.error == "", "\(done)")
            #expect(done.output.lines.last?.hasPrefix("Containers can run here") == true)
            #expect(!done.output.contains("\u{1b}"), "no colours in a file")
            let report = try report(bundle)
            #expect(report.canRun && report.done.status == 0)
            for name in [
                "clone3", "openat2", "mount_setattr", "CLONE_INTO_CGROUP", "namespace.mount",
                "namespace.pid", "namespace.user", "root",
            ] {
                #expect(report.standing(name) == "ok", "\(name): \(report.found(name))")
            }
            #expect(report.found("root").contains(bundle.store))
            #expect(access(bundle.store, F_OK) != 0, "the store is not made")
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("doctor leaves no process, mount or descriptor, and the sysctls as they were")
    func leavesNothing() throws {
        try TestBundle.use { bundle throws in
            let script = """
                mounts=$(cat /proc/self/mountinfo | cut -d' ' -f5- | sort)
                "$@" >/dev/null || exit 9
                [ "$(ls -d /proc/[0-9]* | wc -l)" -le 5 ] || exit 8
                [ "$mounts" = "$(cat /proc/self/mountinfo | cut -d' ' -f5- | sort)" ] || exit 7
                """
            let words = [
                "/usr/bin/unshare", "-pf", "--mount-proc", "/bin/sh", "-c", script, "sh",
                Host.runtime, "--root", bundle.store, "doctor",
            ]
            let done = try RunningCommand(words, token: bundle.token).wait()
            #expect(done.status == 0, "\(done)")
        }
    }

    @Test(
        "an ordinary user learns what only root can do, and that containers can run",
        Host.rootless)
    func ordinaryUser() throws {
        try TestBundle.use { bundle throws in
            try bundle.giveToUser(65534)
            let report = try report(bundle, Self.nobody)
            #expect(report.canRun && report.done.status == 0, "\(report.done)")
            #expect(report.standing("MOUNT_ATTR_IDMAP") == "limited")
            #expect(report.standing("runtime.rights") == "limited")
            #expect(report.standing("namespace.user") == "ok")
            #expect(report.standing("namespace.mount") == "ok")
            #expect(report.capabilities["effective"] == [])
        }
    }

    @Test(
        "the tools for subordinate IDs are judged by their rights and by no_new_privs",
        Host.reachable)
    func tools() throws {
        try TestBundle.use { bundle throws in
            try bundle.giveToUser(65534)
            var options = CommandOptions()
            let directory = "\(bundle.directory)/bin"
            try makeDirectory(directory)
            options.environment["PATH"] = directory
            var report = try report(bundle, Self.nobody, options: options)
            #expect(report.found("newuidmap") == "not in PATH")
            #expect(report.standing("criu") == "limited")
            let tool = "\(directory)/newuidmap"
            try copyFile(Host.busybox, to: tool)
            report = try self.report(bundle, Self.nobody, options: options)
            #expect(report.found("newuidmap").contains("neither setuid root"))
            try check(chmod(tool, 0o4755), "chmod")
            report = try self.report(bundle, Self.nobody, options: options)
            var mount = statvfs()
            try check(statvfs(directory, &mount), "statvfs")
            guard mount.f_flag & UInt(ST_NOSUID) == 0 else {
                // As a tmpfs on /tmp is under systemd.
                #expect(report.found("newuidmap").contains("on a mount with nosuid"))
                #expect(report.standing("newuidmap") == "limited")
                return
            }
            #expect(report.standing("newuidmap") == "ok", "\(report.found("newuidmap"))")
            report = try self.report(
                bundle, Self.nobody + ["--no-new-privs"], options: options)
            #expect(report.found("newuidmap").contains("no_new_privs"))
            #expect(report.standing("runtime.no_new_privs") == "limited")
        }
    }

    @Test(
        "a store on a read-only mount or of another user is missing, and no container can run",
        Host.reachable)
    func closedStore() throws {
        try TestBundle.use { bundle throws in
            let place = "\(bundle.directory)/place"
            try makeDirectory(place)
            var report = try report(
                bundle, privately("mount -t tmpfs -o ro none '\(place)'"), store: "\(place)/root")
            #expect(!report.canRun && report.done.status == 1, "\(report.done)")
            #expect(report.standing("root") == "missing")
            #expect(report.found("root").contains("tmpfs, read-only"))
            report = try self.report(bundle, Self.nobody, store: "\(place)/root")
            #expect(report.standing("root") == "missing" && report.done.status == 1)
            #expect(report.found("root").contains("not writable"))
        }
    }

    @Test(
        "without user namespaces an ordinary user cannot run containers, with the sysctl as reason")
    func noUserNamespaces() throws {
        try TestBundle.use { bundle throws in
            // The limit is that of the user namespace in which it is set.
            let script = """
                echo 0 >/proc/sys/user/max_user_namespaces
                exec setpriv --bounding-set=-all --inh-caps=-all "$@"
                """
            let report = try report(
                bundle,
                [
                    "/usr/bin/unshare", "-U", "--map-root-user", "-m", "/bin/sh", "-c", script,
                    "sh",
                ])
            #expect(!report.canRun && report.done.status == 1, "\(report.done)")
            #expect(report.standing("namespace.user") == "missing")
            #expect(report.standing("user.max_user_namespaces") == "missing")
            #expect(report.remedy("user.max_user_namespaces").contains("sysctl -w"))
        }
    }

    @Test(
        "a sysctl that forbids executable memory files makes init a copy, and doctor names it",
        .enabled(if: exists("/proc/sys/vm/memfd_noexec"), "needs vm.memfd_noexec"))
    func copiedInit() throws {
        try TestBundle.use { bundle throws in
            let report = try report(
                bundle, InnerRun.inPidNamespace("echo 2 >/proc/sys/vm/memfd_noexec || exit 9"))
            #expect(report.canRun && report.done.status == 0, "\(report.done)")
            #expect(report.standing("init.start") == "limited")
            #expect(report.found("init.start").contains("vm.memfd_noexec is 2"))
        }
    }

    @Test(
        "a call that is refused is missing, and without openat2 no container can run",
        InnerRun.traced)
    func refusedCalls() throws {
        try TestBundle.use { bundle throws in
            func without(_ call: String, _ errno: String) throws -> Report {
                try self.report(
                    bundle,
                    [
                        InnerRun.strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)",
                        "-e", "inject=\(call):error=\(errno)",
                    ])
            }
            let first = try without("openat2", "ENOSYS")
            #expect(first.standing("openat2") == "missing")
            #expect(!first.canRun && first.done.status == 1)
            let other = try without("execveat", "EACCES")
            #expect(other.standing("init.start") == "limited", "\(other.found("init.start"))")
            #expect(other.canRun && other.done.status == 0)
        }
    }

    @Test("without procfs the kernel is unknown, and no container can run")
    func noProc() throws {
        try TestBundle.use { bundle throws in
            let report = try report(bundle, privately("mount -t tmpfs none /proc"))
            #expect(!report.canRun && report.done.status == 1, "\(report.done)")
            #expect(report.standing("kernel") == "missing")
        }
    }

    @Test("capabilities that are taken from the runtime are named")
    func lackingCapabilities() throws {
        try TestBundle.use { bundle throws in
            let report = try report(
                bundle, ["/usr/bin/setpriv", "--bounding-set=-mknod,-net_admin"])
            #expect(report.found("runtime.rights").contains("CAP_MKNOD"))
            #expect(report.found("runtime.rights").contains("CAP_NET_ADMIN"))
            #expect(report.capabilities["bounding"]?.contains("CAP_MKNOD") == false)
            #expect(report.capabilities["effective"]?.contains("CAP_CHOWN") == true)
        }
    }

    @Test(
        "inside of a container doctor reports the container's rights and filter",
        .enabled(if: Host.runtimeIsStatic, "needs the static binary"))
    func insideContainer() throws {
        try TestBundle.use { bundle throws in
            bundle.addMount("bind", Host.runtime, at: "/swrunc", "bind", "ro")
            bundle.linux.seccomp = Seccomp(
                defaultAction: .allow,
                syscalls: [SeccompRule(names: ["mount_setattr"], action: .errno)])
            bundle.process.args = ["/swrunc", "--root", "/run", "doctor", "--format", "json"]
            let report = try Report(bundle.run())
            #expect(!report.canRun && report.done.status == 1)
            #expect(report.standing("mount_setattr") == "missing")
            #expect(report.found("mount_setattr").contains("seccomp filter"))
            #expect(report.standing("runtime.seccomp") == "limited")
            let kept = bundle.process.capabilities?.effective ?? []
            #expect(report.capabilities["effective"]?.sorted() == kept.sorted())
        }
    }

    @Test("an unknown format is refused")
    func unknownFormat() throws {
        try TestBundle.use { bundle throws in
            bundle.expectFailure(
                try bundle.swrunc("doctor", "--format", "xml"), naming: ["invalid format option"])
        }
    }
}
