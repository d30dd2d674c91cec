// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// The device program of cgroup v2 is loaded while init is being created.
///
/// These tests run in a mount namespace of their own in which only cgroup v2 is mounted.
@Suite("Device rules of cgroup v2", Host.root, InnerRun.outermost, InnerRun.traced)
struct UnifiedDeviceTests {
    /// Runs the container while strace delays bpf(2) or makes it fail.
    private func run(_ bundle: TestBundle, injecting words: String) throws -> FinishedCommand {
        try bundle.writeConfig()
        let unified = """
            umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"
            """
        return try RunningCommand(
            ["/usr/bin/unshare", "-m", "/bin/sh", "-c", unified, "sh"] + [
                InnerRun.strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=bpf",
                "-e", "inject=bpf:\(words)", Host.runtime,
                "--root", bundle.store, "run", "--bundle", bundle.directory, bundle.id,
            ], token: bundle.token
        ).wait()
    }

    @Test(
        "init does nothing until the device rules are in force, however long the kernel takes",
        arguments: [false, true])
    func slow(_ isAllowed: Bool) throws {
        try TestBundle.use { bundle throws in
            let kmsg = DeviceCgroupRule(
                allow: isAllowed, kind: .character, major: 1, minor: 11, access: "r")
            bundle.linux.resources?.devices = [DeviceCgroupRule(allow: false, access: "rwm"), kmsg]
            bundle.process.capabilities = Capabilities(
                bounding: ["CAP_SYSLOG"], effective: ["CAP_SYSLOG"], permitted: ["CAP_SYSLOG"])
            try check(mknod("\(bundle.rootfs)/kmsg", S_IFCHR | 0o666, 0x10b), "mknod")
            bundle.script("exec 3</kmsg && echo open")
            // strace also makes the stepping stone's signal arrive in the middle of the call.
            let done = try run(bundle, injecting: "delay_enter=300000")
            #expect((done.text == "open") == isAllowed, "\(done)")
            #expect(done.error.contains("Operation not permitted") == !isAllowed, "\(done)")
        }
    }

    @Test("device rules that the kernel refuses are a named error, and nothing is left")
    func refused() throws {
        for call in ["1", "2"] {
            try TestBundle.use { bundle throws in
                bundle.script("true")
                let done = try run(bundle, injecting: "error=E2BIG:when=\(call)")
                bundle.expectFailure(done, naming: ["linux.resources.devices", "bpf"])
                #expect(bundle.leftovers.cgroups().isEmpty)
            }
        }
    }
}
