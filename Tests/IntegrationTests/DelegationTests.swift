// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

extension Host {
    /// User 1000 has its own systemd with delegated controllers.
    static let delegation: ConditionTrait = .enabled(
        if: isRoot && isUnified && canBeRootless
            && access("/run/user/1000/systemd/private", F_OK) == 0,
        "needs root, a user who reaches the binary, cgroup v2 alone, and the systemd of user 1000")
}

/// Runs commands as user 1000, in a cgroup of root unless `cgroup` names one to enter first.
private struct Caller {
    let bundle: TestBundle
    var cgroup = ""

    func swrunc(_ words: String...) throws -> FinishedCommand {
        try call(words)
    }

    private func call(_ words: [String]) throws -> FinishedCommand {
        let enter = cgroup.isEmpty ? "" : "echo $$ > \(cgroup)/cgroup.procs && "
        let runtime = ["XDG_RUNTIME_DIR=/run/user/1000", Host.runtime, "--root", bundle.store]
        return try RunningCommand(
            ["/bin/sh", "-c", "\(enter)exec \"$0\" \"$@\""] + TestBundle.setpriv(1000)
                + ["/usr/bin/env"] + runtime + words, token: bundle.token
        ).wait()
    }

    func succeed(_ words: String..., sourceLocation: SourceLocation = #_sourceLocation) throws {
        let done = try call(words)
        try #require(
            done.status == 0 && done.error == "", "\(done)", sourceLocation: sourceLocation)
    }
}

@Suite("Cgroups of an ordinary user", Host.delegation)
struct DelegationTests {
    /// Changes the limits of a running container in the cgroup at `path`.
    private func checkControl(_ caller: Caller, _ path: String) throws {
        let id = caller.bundle.id
        #expect(try readText("\(path)/pids.max").trimmed == "20")
        try caller.succeed("update", "--pids-limit", "30", id)
        #expect(try readText("\(path)/pids.max").trimmed == "30")
        try caller.succeed("pause", id)
        #expect(try caller.bundle.state().status == .paused)
        try caller.succeed("resume", id)
        let events = try caller.swrunc("events", "--stats", id)
        #expect(events.output.contains("\"pids\":{\"current\":1,\"limit\":30}"), "\(events)")
        let exec = try caller.swrunc("exec", id, "/bin/cat", "/proc/self/cgroup")
        #expect(exec.status == 0 && exec.text == "0::/" && exec.error == "", "\(exec)")
        try caller.succeed("delete", "--force", id)
        #expect(!exists(path))
    }

    private func makeLimited(_ bundle: TestBundle) throws {
        try bundle.makeRootless(for: 1000)
        bundle.process.args = ["/bin/sleep", "100"]
        bundle.linux.resources = Resources(
            devices: [DeviceCgroupRule(allow: false, access: "rwm")], pids: .init(limit: 20))
    }

    @Test(
        "the user's systemd keeps a scope, even for a caller outside of the user's cgroups",
        arguments: ["", "/inner"])
    func userScope(_ subgroup: String) throws {
        try TestBundle.use { bundle throws in
            try makeLimited(bundle)
            bundle.spec.annotations = ["run.oci.systemd.subgroup": subgroup]
            try bundle.writeConfig()
            let caller = Caller(bundle: bundle)
            try caller.succeed(
                "--systemd-cgroup", "create", "--bundle", bundle.directory, bundle.id)
            try caller.succeed("start", bundle.id)
            let path =
                "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/user.slice/"
                + "runc-\(bundle.id).scope"
            let own = path + subgroup
            #expect(try readText("\(own)/cgroup.procs").lines == ["\(bundle.state().pid)"])
            try checkControl(caller, own)
            #expect(!exists(path))
        }
    }

    /// Calls `body` with a cgroup of the user's, and one below it to call from.
    private func delegated(_ body: (TestBundle, String) throws -> Void) throws {
        try TestBundle.use { bundle throws in
            let path = "/sys/fs/cgroup/\(bundle.token)"
            try makeDirectory(path)
            try makeDirectory("\(path)/callers")
            defer {
                rmdir("\(path)/callers")
                rmdir(path)
            }
            for name in [
                "", "/cgroup.procs", "/cgroup.subtree_control", "/callers", "/callers/cgroup.procs",
            ] {
                try check(chown(path + name, 1000, 1000), "chown \(path + name)")
            }
            try makeLimited(bundle)
            try body(bundle, path)
        }
    }

    @Test("a manually delegated cgroup can be used, by its path or beside the caller's")
    func byHand() throws {
        for isNamed in [true, false] {
            try delegated { bundle, path throws in
                if isNamed { bundle.linux.cgroupsPath = "/\(bundle.token)/box" }
                try bundle.writeConfig()
                let caller = Caller(bundle: bundle, cgroup: "\(path)/callers")
                try caller.succeed("create", "--bundle", bundle.directory, bundle.id)
                try caller.succeed("start", bundle.id)
                try checkControl(caller, "\(path)/\(isNamed ? "box" : bundle.id)")
            }
        }
    }

    @Test("a caller outside of the delegated cgroup cannot enter it, and is told why")
    func outside() throws {
        try delegated { bundle, path throws in
            bundle.linux.cgroupsPath = "/\(bundle.token)/box"
            try bundle.writeConfig()
            let done = try Caller(bundle: bundle).swrunc(
                "run", "--bundle", bundle.directory, bundle.id)
            bundle.expectFailure(
                done, naming: ["linux.cgroupsPath", "clone3", "permission denied"])
            #expect(done.error.contains("hint="))
            #expect(!exists("\(path)/box"))
        }
    }
}
