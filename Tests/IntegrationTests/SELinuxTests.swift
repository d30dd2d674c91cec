// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Testing

/// Needs a kernel with SELinux and Debian's policy; permissive mode is enough, since the tests
/// check the labels themselves.
@Suite(
    "Labels of SELinux", Host.root,
    .enabled(if: LabelTests.hasSELinux, "this kernel has no SELinux turned on"))
struct SELinuxTests {
    private let processLabel = "system_u:system_r:container_t:s0:c1,c2"
    private let fileLabel = "system_u:object_r:container_file_t:s0:c1,c2"

    private func label(of path: String) throws -> String {
        try RunningCommand(["/usr/bin/stat", "-c", "%C", path], token: "none").wait().text
    }

    @Test("the container's process and exec run under the process label, or exec's own label")
    func process() throws {
        try TestBundle.use { bundle throws in
            bundle.process.selinuxLabel = processLabel
            let words = ["cat", "/proc/self/attr/current"]
            bundle.process.args = words
            #expect(try bundle.run().text.trimmed.filter { $0 != "\0" } == processLabel)
            try bundle.startSleeping()
            let attribute = "/proc/\(try bundle.state().pid)/attr/"
            let current = try readText("\(attribute)current").filter { $0 != "\0" }
            #expect(current.trimmed == processLabel)
            // The program inherits no label that init wrote.
            for name in ["exec", "keycreate"] {
                #expect(try readText(attribute + name) == "", "\(name)")
            }
            let entered = try bundle.swrunc("exec", bundle.id, words[0], words[1])
            #expect(entered.text.filter { $0 != "\0" } == processLabel, "\(entered)")
            let other = "system_u:system_r:container_t:s0:c3,c4"
            let told = try bundle.swrunc(
                "exec", "--process-label", other, bundle.id, words[0], words[1])
            #expect(told.text.filter { $0 != "\0" } == other, "\(told)")
        }
    }

    @Test("file systems, message queues and masked directories have the mount label")
    func mounts() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.mountLabel = fileLabel
            bundle.linux.maskedPaths = ["/proc/acpi", "/proc/kcore", "/masked"]
            try makeDirectory("\(bundle.rootfs)/masked")
            bundle.spec.mounts? += [
                Mount(
                    destination: "/fresh", type: "tmpfs", source: "tmpfs", options: ["size=64k"])
            ]
            try bundle.startSleeping()
            let root = "/proc/\(try bundle.state().pid)/root"
            for place in ["/dev", "/dev/shm", "/dev/mqueue", "/dev/pts", "/fresh", "/masked"] {
                #expect(try label(of: root + place) == fileLabel, "\(place)")
            }
            // procfs and sysfs set their own labels.
            #expect(try label(of: "\(root)/proc") != fileLabel)
            #expect(try label(of: "\(root)/sys") != fileLabel)
        }
    }

    @Test("an annotation selects the mount option that sets the label")
    func option() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.mountLabel = fileLabel
            bundle.spec.annotations = ["run.oci.mount_context_type": "rootcontext"]
            let mounts = try bundle.output(of: "touch /dev/x; cat /proc/self/mountinfo")
            #expect(mounts.contains("rootcontext=\"\(fileLabel)\""), "\(mounts)")
        }
    }

    @Test("an SELinux label unknown to the policy fails create and exec, which name it")
    func unknownLabel() throws {
        try TestBundle.use { bundle throws in
            let label = "system_u:system_r:never_heard_of_t:s0"
            bundle.process.selinuxLabel = label
            bundle.expectFailure(
                try bundle.run(), naming: ["process.selinuxLabel", label, "invalid argument"])
            bundle.process.selinuxLabel = nil
            bundle.linux.mountLabel = label
            bundle.expectFailure(
                try bundle.run(), naming: ["unable to set a label of SELinux", label])
            #expect(bundle.leftovers.found() == [])
            bundle.linux.mountLabel = nil
            try bundle.startSleeping()
            bundle.expectFailure(
                try bundle.swrunc("exec", "--process-label", label, bundle.id, "true"),
                status: 255, naming: ["process.selinuxLabel", label, "invalid argument"])
        }
    }
}
