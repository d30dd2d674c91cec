// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("AppArmor and SELinux", Host.root)
struct LabelTests {
    static let hasSELinux = access("/sys/fs/selinux/enforce", F_OK) == 0
    static let hasAppArmor =
        (try? readText("/sys/module/apparmor/parameters/enabled"))?.hasPrefix("Y") == true
        && access("/sys/kernel/security/apparmor/profiles", F_OK) == 0

    /// Loads a profile that allows everything except writing to /tmp/locked; unloads it after
    /// `body`.
    static func withProfile(_ name: String, _ body: () throws -> Void) throws {
        let text = """
            profile \(name) flags=(attach_disconnected,mediate_deleted) {
              file, capability, network, mount, umount, pivot_root, signal, ptrace, unix, dbus,
              deny /tmp/locked w,
            }
            """
        let path = "/tmp/\(name).profile"
        try writeText(text, to: path)
        defer { unlink(path) }
        let loaded = try RunningCommand(["/usr/sbin/apparmor_parser", "-Kr", path], token: "none")
            .wait()
        try #require(loaded.status == 0, "\(loaded)")
        defer {
            _ = try? RunningCommand(["/usr/sbin/apparmor_parser", "-R", path], token: "none").wait()
        }
        try body()
    }

    @Test(
        "the container's process and exec run under the AppArmor profile, which is enforced",
        .enabled(if: hasAppArmor, "this kernel has no AppArmor"), arguments: [true, false])
    func apparmor(_ noNewPrivileges: Bool) throws {
        try TestBundle.use { bundle throws in
            try Self.withProfile(bundle.token) {
                bundle.process.apparmorProfile = bundle.token
                bundle.process.noNewPrivileges = noNewPrivileges
                let script = "cat /proc/self/attr/current; echo x > /tmp/open; echo x > /tmp/locked"
                bundle.script("\(script); sleep 100")
                try bundle.create()
                _ = try bundle.swrunc("start", bundle.id)
                let attribute = "/proc/\(try bundle.state().pid)/attr/current"
                let isConfined = try waits {
                    try readText(attribute) == "\(bundle.token) (enforce)\n"
                }
                #expect(isConfined)
                #expect(waits { exists("\(bundle.rootfs)/tmp/open") })
                #expect(!exists("\(bundle.rootfs)/tmp/locked"))

                let own = try bundle.swrunc("exec", bundle.id, "sh", "-c", script)
                #expect(own.output.hasPrefix("\(bundle.token) (enforce)"), "\(own)")
                #expect(own.error.contains("Permission denied"), "\(own)")
                let other = try bundle.swrunc(
                    "exec", "--apparmor", "unconfined", bundle.id, "sh", "-c", script)
                #expect(
                    other.output.hasPrefix("unconfined") || other.status != 0, "\(other)")
            }
        }
    }

    @Test(
        "an AppArmor profile that is not loaded fails create and exec, which name it",
        .enabled(if: hasAppArmor, "this kernel has no AppArmor"))
    func unloadedProfile() throws {
        try TestBundle.use { bundle throws in
            bundle.process.apparmorProfile = "swrunc-never-loaded"
            try bundle.writeConfig()
            bundle.expectFailure(
                try bundle.swrunc("create", "--bundle", bundle.directory, bundle.id),
                naming: [
                    "process.apparmorProfile",
                    "unable to apply apparmor profile \"swrunc-never-loaded\"",
                    "`/proc/self/attr/apparmor/exec`", "no such file or directory",
                ])
            bundle.process.apparmorProfile = nil
            try bundle.startSleeping()
            bundle.expectFailure(
                try bundle.swrunc("exec", "--apparmor", "swrunc-never-loaded", bundle.id, "true"),
                status: 255, naming: ["process.apparmorProfile", "swrunc-never-loaded"])
        }
    }

    @Test(
        "create and exec refuse a profile on a host without AppArmor",
        .enabled(if: !hasAppArmor, "this kernel has AppArmor"))
    func noAppArmor() throws {
        try TestBundle.use { bundle throws in
            let words = [
                "process.apparmorProfile", "apparmor: config provided but apparmor not supported",
            ]
            bundle.process.apparmorProfile = "docker-default"
            try bundle.writeConfig()
            bundle.expectFailure(
                try bundle.swrunc("create", "--bundle", bundle.directory, bundle.id), naming: words)
            bundle.process.apparmorProfile = ""
            try bundle.startSleeping()
            bundle.expectFailure(
                try bundle.swrunc("exec", "--apparmor", "p", bundle.id, "true"), status: 255,
                naming: words)
        }
    }

    @Test(
        "create and exec refuse a label on a host without SELinux",
        .enabled(if: !hasSELinux, "this kernel has SELinux"))
    func noSELinux() throws {
        try TestBundle.use { bundle throws in
            let text = "selinux label is specified in config, but selinux is disabled"
            bundle.process.selinuxLabel = "system_u:system_r:container_t:s0"
            try bundle.writeConfig()
            bundle.expectFailure(
                try bundle.swrunc("create", "--bundle", bundle.directory, bundle.id),
                naming: ["process.selinuxLabel", text])
            bundle.process.selinuxLabel = nil
            bundle.linux.mountLabel = "system_u:object_r:container_file_t:s0"
            try bundle.writeConfig()
            bundle.expectFailure(
                try bundle.swrunc("create", "--bundle", bundle.directory, bundle.id),
                naming: ["linux.mountLabel", text])
            bundle.linux.mountLabel = nil
            try bundle.startSleeping()
            bundle.expectFailure(
                try bundle.swrunc("exec", "--process-label", "l", bundle.id, "true"), status: 255,
                naming: ["process.selinuxLabel", text])
        }
    }
}
