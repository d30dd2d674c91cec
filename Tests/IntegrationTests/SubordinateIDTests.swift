// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Ranges of subordinate ids", Host.rootless)
struct SubordinateIDTests {
    private static let hasTools =
        access("/usr/bin/newuidmap", X_OK) == 0 && access("/usr/bin/newgidmap", X_OK) == 0

    private func map(_ bundle: TestBundle) {
        let maps = [
            IDMapping(containerID: 0, hostID: TestBundle.userID, size: 1),
            IDMapping(containerID: 1, hostID: 300_000, size: 65536),
        ]
        bundle.linux.uidMappings = maps
        bundle.linux.gidMappings = maps
    }

    /// Runs the runtime as the user, who has an account and ranges only there.
    private func run(_ bundle: TestBundle, ranges: String) throws -> FinishedCommand {
        try bundle.writeConfig()
        let accounts = try readText("/etc/passwd")
        try writeText(
            accounts + "swrunc-it:x:\(TestBundle.userID):\(TestBundle.userID)::/:/bin/sh\n",
            to: "\(bundle.directory)/passwd")
        try writeText(ranges, to: "\(bundle.directory)/ranges")
        let text = """
            for name in subuid subgid; do
                [ -e /etc/$name ] || exit 99
                mount --bind $0/ranges /etc/$name || exit 99
            done
            mount --bind $0/passwd /etc/passwd || exit 99
            exec "$@"
            """
        let words = ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", text, bundle.directory]
        return try RunningCommand(
            words + TestBundle.setpriv() + [Host.runtime, "--root", bundle.store] + [
                "run", "--bundle", bundle.directory, bundle.id,
            ], token: bundle.token
        ).wait()
    }

    @Test(
        "newuidmap and newgidmap map the user's subordinate ids, and groups are allowed",
        .enabled(if: hasTools, "needs newuidmap and newgidmap"))
    func mapped() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            map(bundle)
            bundle.process.user = User(uid: 1000, gid: 7, additionalGids: [8])
            bundle.script("id -u; id -G; touch /tmp/new; cat /proc/self/setgroups")
            let done = try run(bundle, ranges: "swrunc-it:300000:65536\n")
            #expect(done.status == 0, "\(done)")
            #expect(done.text.lines == ["1000", "7 8", "allow"])
            var status = stat()
            #expect(lstat("\(bundle.rootfs)/tmp/new", &status) == 0)
            #expect(status.st_uid == 300_999 && status.st_gid == 300_006)
        }
    }

    @Test(
        "a range of ids that is not the user's is an error with a remedy",
        .enabled(if: hasTools, "needs newuidmap and newgidmap"))
    func foreignRange() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            map(bundle)
            bundle.script("true")
            let done = try run(bundle, ranges: "swrunc-it:400000:65536\n")
            bundle.expectFailure(done, naming: ["linux.uidMappings", "newuidmap", "not allowed"])
            #expect(done.error.contains("/etc/subuid"))
        }
    }

    @Test("a missing newuidmap or newgidmap is an error with a remedy")
    func missingTools() throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            map(bundle)
            bundle.script("true")
            let done = try bundle.runAsUser(before: ["/usr/bin/env", "PATH=/nowhere"])
            bundle.expectFailure(done, naming: ["linux.uidMappings", "newuidmap is not installed"])
            #expect(done.error.contains("package uidmap"))
        }
    }
}

@Suite("Root of a user namespace", Host.rootless)
struct NamespaceRootTests {
    /// A config without a user namespace, since there is one already.
    private func plain(_ bundle: TestBundle) throws {
        try bundle.makeRootless()
        bundle.removeNamespace(.user)
        bundle.linux.uidMappings = nil
        bundle.linux.gidMappings = nil
    }

    @Test(
        "a container of a user namespace's root needs no user namespace of its own",
        arguments: [["--user", "--map-root-user", "--mount"], ["--user", "--map-root-user"]])
    func withoutOwn(_ flags: [String]) throws {
        try TestBundle.use { bundle throws in
            try plain(bundle)
            let text = try bundle.outputAsUser(
                of: "id -u; echo > /dev/null; cat /proc/self/uid_map",
                before: ["/usr/bin/unshare"] + flags)
            let words = text.split { $0 == " " || $0 == "\n" }.map(String.init)
            #expect(words == ["0", "0", "\(TestBundle.userID)", "1"])
        }
    }

    @Test(
        "a container of a user namespace's root may have a user namespace of its own",
        arguments: [["--mount"], []])
    func nested(_ flags: [String]) throws {
        try TestBundle.use { bundle throws in
            try bundle.makeRootless()
            bundle.linux.uidMappings = [IDMapping(containerID: 0, hostID: 0, size: 1)]
            bundle.linux.gidMappings = bundle.linux.uidMappings
            let text = try bundle.outputAsUser(
                of: "id -u; echo > /dev/null",
                before: ["/usr/bin/unshare", "--user", "--map-root-user"] + flags)
            #expect(text == "0")
        }
    }

    @Test(
        "limits are refused to a user namespace's root; with --rootless=false so is the cgroup")
    func limits() throws {
        try TestBundle.use { bundle throws in
            try plain(bundle)
            bundle.script("true")
            let unshare = ["/usr/bin/unshare", "--user", "--map-root-user", "--mount"]
            bundle.linux.resources = Resources(memory: .init(limit: 64 << 20))
            bundle.expectFailure(
                try bundle.runAsUser(before: unshare),
                naming: ["linux.resources.memory.limit", "has no cgroup for this limit"])
            bundle.linux.resources = nil
            bundle.expectFailure(
                try bundle.runAsUser("--rootless=false", before: unshare),
                naming: ["linux.cgroupsPath", "permission denied"])
        }
    }
}
