// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Foundation
import Glibc
import Testing

@Suite("Annotations that change what is done", Host.root)
struct AnnotationTests {
    private let groups = ["grep", "Groups", "/proc/self/status"]

    /// Runs the command as a user with these groups.
    private func swrunc(_ bundle: TestBundle, in groups: String, _ words: String...) throws
        -> FinishedCommand
    {
        let python =
            "import os, sys; os.setgroups([\(groups)]); os.execv(sys.argv[1], sys.argv[1:])"
        return try RunningCommand(
            ["/usr/bin/python3", "-c", python, Host.runtime, "--root", bundle.store] + words,
            token: bundle.token
        ).wait()
    }

    @Test(
        "run and exec keep the caller's groups on request, also in a user namespace",
        .enabled(if: exists("/usr/bin/python3"), "no python3 to change groups with"),
        arguments: [false, true])
    func keptGroups(_ hasUserNamespace: Bool) throws {
        try TestBundle.use { bundle throws in
            if hasUserNamespace { try bundle.makeUserNamespace() }
            bundle.process.user.additionalGids = hasUserNamespace ? [] : [7]
            bundle.process.args = groups
            let ids = hasUserNamespace ? "100005,100006" : "5,6"
            func lines(_ keeps: Bool) throws -> [String] {
                bundle.spec.annotations = keeps ? ["run.oci.keep_original_groups": "1"] : nil
                bundle.process.args = groups
                try bundle.writeConfig()
                let ran = try swrunc(
                    bundle, in: ids, "run", "--bundle", bundle.directory, bundle.id)
                try bundle.startSleeping()
                let entered = try swrunc(
                    bundle, in: ids, "exec", bundle.id, groups[0], groups[1], groups[2])
                #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
                return [ran.text, entered.text]
            }
            let own = hasUserNamespace ? "Groups:" : "Groups:\t7"
            #expect(try lines(true) == ["Groups:\t5 6", "Groups:\t5 6"])
            let without = try lines(false)
            #expect(without[0] == own && !without[1].contains("5 6"), "\(without)")
        }
    }

    @Test("an unknown system call in a seccomp profile is an error if an annotation asks for that")
    func unknownSystemCall() throws {
        try TestBundle.use { bundle throws in
            bundle.linux.seccomp = Seccomp(
                defaultAction: .allow,
                syscalls: [SeccompRule(names: ["of_tomorrow", "mkdir"], action: .errno)])
            #expect(try bundle.output(of: "echo runs").trimmed == "runs")
            bundle.spec.annotations = ["run.oci.seccomp_fail_unknown_syscall": ""]
            bundle.expectFailure(
                try bundle.run(),
                naming: ["linux.seccomp.syscalls", "unknown system calls: of_tomorrow"])
        }
    }

    @Test("an annotated base64 filter is loaded in place of the seccomp profile, also by exec")
    func givenFilter() throws {
        try TestBundle.use { bundle throws in
            #if arch(arm64)
            let calls: [UInt8] = [34, 0, 34, 0]
            #else
            let calls: [UInt8] = [83, 0, 2, 1]  // mkdir, and mkdirat as 258
            #endif
            // Loads the number of the call; mkdir and mkdirat fail with ENOMEDIUM.
            let program: [UInt8] = [
                0x20, 0, 0, 0, 0, 0, 0, 0,
                0x15, 0, 2, 0, calls[0], calls[1], 0, 0,
                0x15, 0, 1, 0, calls[2], calls[3], 0, 0,
                0x06, 0, 0, 0, 0, 0, 0xff, 0x7f,
                0x06, 0, 0, 0, UInt8(ENOMEDIUM), 0, 5, 0,
            ]
            bundle.linux.seccomp = Seccomp(defaultAction: .kill)
            bundle.spec.annotations = [
                "run.oci.seccomp_bpf_data": Data(program).base64EncodedString()
            ]
            bundle.script("mkdir /tmp/x; grep Seccomp: /proc/self/status")
            let done = try bundle.run()
            #expect(done.error.contains("No medium found"), "\(done)")
            #expect(done.text == "Seccomp:\t2", "\(done)")
            try bundle.startSleeping()
            let entered = try bundle.swrunc("exec", bundle.id, "mkdir", "/tmp/y")
            #expect(entered.error.contains("No medium found"), "\(entered)")
            #expect(!exists("\(bundle.rootfs)/tmp/x") && !exists("\(bundle.rootfs)/tmp/y"))
        }
    }

    @Test("an annotated filter that is invalid or refused by the kernel fails the launch")
    func refusedFilter() throws {
        try TestBundle.use { bundle throws in
            // A filter program must end with a return.
            for (text, words) in [
                ("IAAAAAAAAAA=", ["linux.seccomp", "invalid argument"]),
                ("nothing", ["annotations", "run.oci.seccomp_bpf_data", "is not base64"]),
            ] {
                bundle.spec.annotations = ["run.oci.seccomp_bpf_data": text]
                bundle.expectFailure(try bundle.run(), naming: words)
                #expect(bundle.leftovers.found() == [])
            }
        }
    }

    @Test("an annotation that names a mount option that sets no label is refused")
    func labelOption() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.annotations = ["run.oci.mount_context_type": "nosuchcontext"]
            bundle.expectFailure(
                try bundle.run(),
                naming: ["annotations.run.oci.mount_context_type", "rootcontext"])
        }
    }
}

@Suite("A config without a process", Host.root)
struct WithoutProcessTests {
    @Test("a container without a process is created and deleted; start and run refuse it unchanged")
    func noProcess() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.process = nil
            try bundle.create()
            #expect(try bundle.state().status == .created)
            let words = ["process property must not be empty"]
            bundle.expectFailure(try bundle.swrunc("start", bundle.id), naming: words)
            #expect(try bundle.state().status == .created)
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)
            bundle.expectFailure(
                try bundle.swrunc("run", "--bundle", bundle.directory, bundle.id), naming: words)
            #expect(entries(of: bundle.store).isEmpty)
        }
    }
}
