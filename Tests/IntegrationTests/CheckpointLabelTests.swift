// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// Labels of restored processes.
@Suite("Labels of restored processes", Criu.needed)
struct CheckpointLabelTests {
    private func label(_ bundle: TestBundle) throws -> String {
        try readText("/proc/\(bundle.state().pid)/attr/current").filter { $0 != "\0" }.trimmed
    }

    @Test(
        "restored processes have their AppArmor profile again, and it is enforced",
        .enabled(if: LabelTests.hasAppArmor, "this kernel has no AppArmor"))
    func appArmor() throws {
        try TestBundle.use { bundle throws in
            try LabelTests.withProfile(bundle.token) {
                bundle.process.apparmorProfile = bundle.token
                try bundle.startCounting()
                #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
                let done = try bundle.restore()
                #expect(done.status == 0, "\(done)\n\(bundle.log("restore"))")
                #expect(try label(bundle) == "\(bundle.token) (enforce)")
                #expect(bundle.counts())
                let refused = try bundle.swrunc("exec", bundle.id, "touch", "/tmp/locked")
                #expect(refused.error.contains("Permission denied"), "\(refused)")
                // Its processes end before the profile is gone.
                #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            }
        }
    }

    @Test(
        "a restore with another AppArmor profile than the config's fails and leaves nothing",
        .enabled(if: LabelTests.hasAppArmor, "this kernel has no AppArmor"))
    func otherProfile() throws {
        try TestBundle.use { bundle throws in
            try LabelTests.withProfile(bundle.token) {
                try bundle.startCounting()
                #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
                bundle.process.apparmorProfile = bundle.token
                try bundle.writeConfig()
                let done = try bundle.restore()
                bundle.expectFailure(done, naming: ["process.apparmorProfile"])
                #expect(bundle.leftovers.found() == [])
            }
        }
    }

    @Test(
        "restored processes have their SELinux label again, or are not let run",
        .enabled(if: LabelTests.hasSELinux, "this kernel has no SELinux turned on"))
    func seLinux() throws {
        try TestBundle.use { bundle throws in
            let label = "system_u:system_r:container_t:s0:c1,c2"
            bundle.process.selinuxLabel = label
            try bundle.startCounting()
            #expect(try self.label(bundle) == label)
            #expect(try bundle.checkpoint().status == 0, "\(bundle.log("dump"))")
            let done = try bundle.restore()
            // A CRIU that was built without libselinux, as Debian's, restores no label.
            guard done.status == 0 else {
                bundle.expectFailure(done, naming: ["process.selinuxLabel", label])
                #expect(bundle.leftovers.found() == [])
                return
            }
            #expect(try self.label(bundle) == label)
            #expect(bundle.counts())
        }
    }
}
