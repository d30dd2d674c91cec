// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("State", Host.root)
struct StateTests {
    @Test(
        "state prints runc's keys in runc's order, indented by two spaces, without a final newline")
    func stateKeys() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.annotations = ["org.example": "value"]
            try bundle.create()
            let text = try bundle.swrunc("state", bundle.id).output
            let keys = text.lines.filter { $0.hasPrefix("  \"") }.compactMap {
                $0.split(separator: "\"").dropFirst().first.map(String.init)
            }
            #expect(
                keys == [
                    "ociVersion", "id", "pid", "status", "bundle", "rootfs", "created",
                    "annotations", "owner",
                ])
            #expect(text.hasPrefix("{\n") && text.hasSuffix("\n}"))
            let state = try State(json: Array(text.utf8))
            #expect(state.id == bundle.id && state.bundle == bundle.directory)
            #expect(state.rootfs == bundle.rootfs)
            #expect(state.annotations == ["org.example": "value"])
            #expect(state.ociVersion == Spec.modeledVersion)
            let created = try #require(state.created)
            #expect(created.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/) != nil)
        }
    }

    // The spec means the version of the state's format; runc prints the config's, which engines
    // expect.
    @Test("ociVersion in the state is the config's, as in runc")
    func stateVersion() throws {
        try TestBundle.use { bundle throws in
            bundle.spec.ociVersion = "1.0.2"
            try bundle.create()
            #expect(try bundle.state().ociVersion == "1.0.2")
        }
    }

    @Test(
        "a container is the same from every time namespace, whichever it was created in",
        .enabled(if: exists("/proc/self/ns/time"), "needs time namespaces"),
        arguments: [true, false], [true, false])
    func timeNamespaces(_ createsInOther: Bool, _ isEarlier: Bool) throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.writeConfig()
            func call(_ isInOther: Bool, _ words: String...) throws -> FinishedCommand {
                // Its boot is long before that of the machine, or less than a second ago.
                var time = timespec()
                clock_gettime(CLOCK_BOOTTIME, &time)
                let other = [
                    "/usr/bin/unshare", "--time", "--fork", "--boottime",
                    isEarlier ? "100000" : "-\(time.tv_sec)",
                ]
                return try RunningCommand(
                    (isInOther ? other : []) + [Host.runtime, "--root", bundle.store] + words,
                    token: bundle.token
                ).wait()
            }
            let created = try call(
                createsInOther, "run", "-d", "--bundle", bundle.directory, bundle.id)
            try #require(created.status == 0, "\(created)")
            // Init then has started before the other's boot, below zero in its time.
            if !isEarlier { usleep(1_100_000) }
            let seen = try call(!createsInOther, "state", bundle.id)
            #expect(try State(json: Array(seen.output.utf8)).status == .running)
            let refused = try call(!createsInOther, "delete", bundle.id)
            #expect(refused.status == 1 && refused.message.contains("running"), "\(refused)")
            #expect(try call(!createsInOther, "exec", bundle.id, "true").status == 0)
            #expect(try call(!createsInOther, "delete", "--force", bundle.id).status == 0)
        }
    }

    @Test("list prints a table, JSON, or only ids")
    func list() throws {
        try TestBundle.use { bundle throws in
            try bundle.create(id: "\(bundle.id)-b")
            try bundle.startSleeping(id: "\(bundle.id)-a")
            let table = try bundle.swrunc("list").output.lines
            #expect(table.count == 3)
            let header = table[0].split(separator: " ").map(String.init)
            #expect(header == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"])
            let first = table[1].split(separator: " ").map(String.init)
            let state = try bundle.state("\(bundle.id)-a")
            #expect(
                Array(first.prefix(4)) == [
                    "\(bundle.id)-a", "\(state.pid)", "running", bundle.directory,
                ])
            #expect(
                try bundle.swrunc("list", "-q").output == "\(bundle.id)-a\n\(bundle.id)-b\n")

            let json = try bundle.swrunc("list", "--format", "json").output
            guard case .array(let items) = try JSONValue(json: Array(json.utf8)) else {
                Issue.record("not an array: \(json)")
                return
            }
            let ids = items.compactMap { item in
                if case .object(let state) = item { state["id"] } else { nil }
            }
            #expect(ids == [.string("\(bundle.id)-a"), .string("\(bundle.id)-b")])
        }
    }

    @Test("list prints the owner of each container")
    func owner() throws {
        try TestBundle.use { bundle throws in
            try bundle.create()
            let row = try bundle.swrunc("list").output.lines[1].split(separator: " ")
            #expect(row.last == "root")
        }
    }

    @Test("list of an empty store prints a header, null, or nothing")
    func emptyList() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory(bundle.store)
            #expect(try bundle.swrunc("list").output.lines.count == 1)
            #expect(try bundle.swrunc("list", "-f", "json").text == "null")
            #expect(try bundle.swrunc("list", "-q").output == "")
        }
    }

    @Test("list of a missing store is an error")
    func missingStore() throws {
        try TestBundle.use { bundle throws in
            let done = try bundle.swrunc("list")
            bundle.expectFailure(done, naming: [bundle.store, "no such file or directory"])
        }
    }

    @Test("changes of the bundle after create have no effect")
    func configChange() throws {
        try TestBundle.use { bundle throws in
            bundle.script("echo old >/tmp/out; sleep 100")
            try bundle.create()
            bundle.script("echo new >/tmp/out")
            bundle.process.env = ["PATH=/nowhere"]
            try bundle.writeConfig()
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(waits { (try? readText("\(bundle.rootfs)/tmp/out")) == "old\n" })
            unlink("\(bundle.directory)/config.json")
            let done = try bundle.swrunc("exec", bundle.id, "echo", "still")
            #expect(done.text == "still", "\(done)")
        }
    }

    @Test(
        "damaged state stops every command but delete --force",
        arguments: ["", "{", "{}", #"{"version":99}"#])
    func damaged(_ text: String) throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            #expect(try bundle.run("--keep").status == 0)
            try writeText(text, to: "\(bundle.store)/\(bundle.id)/state.json")
            for command in ["state", "start", "kill", "delete"] {
                let done = try bundle.swrunc(command, bundle.id)
                #expect(done.status == 1 && done.error.lines.count == 1, "\(command): \(done)")
            }
            let done = try bundle.swrunc("delete", "--force", bundle.id)
            #expect(done.status == 0, "\(done)")
            #expect(bundle.leftovers.states() == [])
            // Only the record said where the cgroup is.
            for cgroup in bundle.leftovers.cgroups().reversed() { rmdir(cgroup) }
        }
    }

    @Test("state without files is removed by delete --force")
    func unfinished() throws {
        try TestBundle.use { bundle throws in
            try makeDirectory(bundle.store)
            try makeDirectory("\(bundle.store)/\(bundle.id)")
            let done = try bundle.swrunc("delete", "--force", bundle.id)
            #expect(done.status == 0, "\(done)")
            #expect(bundle.leftovers.states() == [])
        }
    }

    @Test("delete --force removes what a runtime killed in the middle of create leaves")
    func killedCreate() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["sleep", "100"]
            try bundle.writeConfig()
            for round in Host.rounds(12) {
                let words = ["create", "--bundle", bundle.directory, bundle.id]
                let running = try bundle.start(words)
                usleep(useconds_t(round * 400 * Host.slowness))
                kill(running.pid, SIGKILL)
                _ = try running.wait()
                let done = try bundle.swrunc("delete", "--force", bundle.id)
                #expect(done.status == 0, "\(done)")
                let found = bundle.leftovers.found()
                #expect(found.isEmpty, "round \(round): \(found)")
            }
        }
    }

    @Test("another process with a reused pid is not taken for the container")
    func pidReuse() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            #expect(try bundle.run("--keep").status == 0)
            let file = "\(bundle.store)/\(bundle.id)/state.json"
            let text = try readText(file)
            let changed = text.replacing(/"pid":\d+/, with: "\"pid\":\(getpid())")
            #expect(changed != text)
            try writeText(changed, to: file)
            #expect(try bundle.state().status == .stopped)
            bundle.expectFailure(
                try bundle.swrunc("kill", bundle.id, "KILL"), naming: ["container not running"])
        }
    }

    @Test("the log has one JSON object per failure, with level, message and time")
    func jsonLog() throws {
        try TestBundle.use { bundle throws in
            let log = "\(bundle.directory)/log.json"
            let words = ["--log", log, "--log-format", "json", "state", "\(bundle.id)-unknown"]
            let done = try bundle.start(words).wait()
            #expect(done.status == 1 && done.error == "container does not exist\n", "\(done)")
            let lines = try readText(log).lines
            #expect(lines.count == 1)
            guard case .object(let record) = try JSONValue(json: Array(lines[0].utf8)) else {
                Issue.record("not an object: \(lines[0])")
                return
            }
            #expect(record["level"] == .string("error"))
            #expect(record["msg"] == .string("container does not exist"))
            guard case .string(let time)? = record["time"] else {
                Issue.record("no time: \(lines[0])")
                return
            }
            #expect(
                time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/)
                    != nil)
        }
    }

    @Test("the state of a running container needs no progress page, that of a waiting init does")
    func withoutProgressPage() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            let page = "\(bundle.store)/\(bundle.id)/progress"
            try check(rename(page, page + ".kept"), "rename")
            #expect(try bundle.state().status == .running)
            #expect(try bundle.swrunc("pause", bundle.id).status == 0)
            #expect(try bundle.state().status == .paused)
            #expect(try bundle.swrunc("resume", bundle.id).status == 0)
            try check(rename(page + ".kept", page), "rename")
        }
        try TestBundle.use { bundle throws in
            try bundle.create()
            let page = "\(bundle.store)/\(bundle.id)/progress"
            try check(rename(page, page + ".kept"), "rename")
            bundle.expectFailure(try bundle.swrunc("state", bundle.id), naming: ["progress"])
            try check(rename(page + ".kept", page), "rename")
            #expect(try bundle.state().status == .created)
        }
    }
}
