// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Testing

@Suite(
    "Where a security module refuses signals", Host.root, InnerRun.outermost, InnerRun.traced)
struct RefusedSignalTests {
    @Test("delete --force kills the cgroup, which no module is asked about")
    func delete() throws {
        try TestBundle.use { bundle throws in
            bundle.script("exec sleep 1000")
            try bundle.writeConfig()
            let script = """
                umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 99
                "$1" --root "$2" run -d --bundle "$3" "$4" </dev/null >/dev/null 2>&1 || exit 98
                \(InnerRun.strace) -qq -o /dev/null -e trace=pidfd_send_signal \
                    -e inject=pidfd_send_signal:error=EACCES "$1" --root "$2" delete --force "$4"
                """
            let done = try RunningCommand(
                [
                    "/usr/bin/unshare", "-m", "/bin/sh", "-c", script, "sh", Host.runtime,
                    bundle.store, bundle.directory, bundle.id,
                ], token: bundle.token
            ).wait()
            #expect(done.status == 0, "\(done)")
            #expect(bundle.leftovers.cgroups().isEmpty)
            #expect(bundle.leftovers.processes().isEmpty)
        }
    }
}
