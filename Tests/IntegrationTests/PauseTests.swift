// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("pause, resume and ps", Host.root)
struct PauseTests {
    @Test("a paused container stops, has the status paused, and continues when it is resumed")
    func pauseAndResume() throws {
        try TestBundle.use { bundle throws in
            bundle.script("while :; do echo x >> /tmp/beat; sleep 0.01; done")
            try bundle.create()
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            let beat = "\(bundle.rootfs)/tmp/beat"
            #expect(waits { (try? readText(beat))?.isEmpty == false })

            let done = try bundle.swrunc("pause", bundle.id)
            #expect(done.status == 0 && done.output == "" && done.error == "", "\(done)")
            #expect(try bundle.state().status == .paused)
            let before = try readText(beat).utf8.count
            usleep(100_000)
            #expect(try readText(beat).utf8.count == before)
            bundle.expectFailure(
                try bundle.swrunc("pause", bundle.id), naming: ["container not running"])
            bundle.expectFailure(
                try bundle.swrunc("exec", bundle.id, "true"), status: 255,
                naming: ["cannot exec in a paused container (use --ignore-paused to override)"])

            #expect(try bundle.swrunc("resume", bundle.id).status == 0)
            #expect(try bundle.state().status == .running)
            #expect(try waits { try readText(beat).utf8.count > before })
            bundle.expectFailure(
                try bundle.swrunc("resume", bundle.id), naming: ["container not paused"])
        }
    }

    @Test("a paused container in the created state cannot be started before it is resumed")
    func pausedBeforeStart() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/sleep", "100"]
            try bundle.create()
            #expect(try bundle.swrunc("pause", bundle.id).status == 0)
            #expect(try bundle.state().status == .paused)
            bundle.expectFailure(
                try bundle.swrunc("start", bundle.id),
                naming: ["cannot start a container in the paused state"])
            #expect(try bundle.swrunc("resume", bundle.id).status == 0)
            #expect(try bundle.state().status == .created)
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(try bundle.state().status == .running)
        }
    }

    @Test("a stopped container can be neither paused nor resumed")
    func stopped() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["/bin/true"]
            try bundle.create()
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(try bundle.waits(for: .stopped))
            bundle.expectFailure(
                try bundle.swrunc("pause", bundle.id), naming: ["container not running"])
            bundle.expectFailure(
                try bundle.swrunc("resume", bundle.id), naming: ["container not paused"])
        }
    }

    @Test("exec --ignore-paused runs its process when the container is resumed")
    func ignorePaused() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            #expect(try bundle.swrunc("pause", bundle.id).status == 0)
            let exec = try bundle.start(["exec", "--ignore-paused", bundle.id, "echo", "ran"])
            usleep(200_000)
            #expect(exec.output == "")
            #expect(try bundle.swrunc("resume", bundle.id).status == 0)
            let done = try exec.wait()
            #expect(done.status == 0 && done.text == "ran", "\(done)")
        }
    }

    @Test("kill and delete --force work on a paused container")
    func deletePaused() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            #expect(try bundle.swrunc("pause", bundle.id).status == 0)
            bundle.expectFailure(
                try bundle.swrunc("delete", bundle.id), naming: ["is not stopped: paused"])
            #expect(try bundle.swrunc("kill", bundle.id, "KILL").status == 0)
            #expect(try bundle.waits(for: .stopped))
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)

            try bundle.startSleeping()
            #expect(try bundle.swrunc("pause", bundle.id).status == 0)
            #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            #expect(bundle.leftovers.cgroups().isEmpty)
        }
    }

    // MARK: ps

    private static let findsPS = ["/bin", "/usr/bin"].contains { exists("\($0)/ps") }

    @Test(
        "ps lists only the container's processes, as pids or with ps's columns",
        .enabled(if: findsPS, "needs ps"))
    func ps() throws {
        try TestBundle.use { bundle throws in
            bundle.script("sleep 100 & wait")
            try bundle.create()
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            let pid = try bundle.state().pid
            #expect(
                try waits {
                    let json = try bundle.swrunc("ps", "--format", "json", bundle.id).text
                    return json.hasPrefix("[\(pid),") && json.split(separator: ",").count == 2
                })
            let table = try bundle.swrunc("ps", bundle.id)
            try #require(table.status == 0 && table.error == "", "\(table)")
            #expect(table.text.lines.count == 3, "\(table)")
            #expect(table.text.lines[0].contains("PID"))
            #expect(table.text.contains("sleep 100"))
            let own = try bundle.swrunc("ps", bundle.id, "-o", "pid,args", "-e")
            #expect(own.text.lines[0].split(separator: " ") == ["PID", "COMMAND"], "\(own)")
            #expect(own.text.lines.count == 3)
            #expect(try bundle.swrunc("ps", bundle.id, "-eo pid,args").output == own.output)
        }
    }

    @Test(
        "ps reports wrong options, and lists nothing for a stopped container",
        .enabled(if: findsPS, "needs ps"))
    func psFailures() throws {
        try TestBundle.use { bundle throws in
            try bundle.startSleeping()
            bundle.expectFailure(
                try bundle.swrunc("ps", bundle.id, "-e", "-o", "args"),
                naming: ["couldn't find PID field in ps output"])
            bundle.expectFailure(
                try bundle.swrunc("ps", bundle.id, "--no-such-option"),
                naming: ["ps failed with exit status 1"])
            bundle.expectFailure(
                try bundle.swrunc("ps", "--format", "xml", bundle.id),
                naming: ["invalid format option"])
            #expect(try bundle.swrunc("kill", bundle.id, "KILL").status == 0)
            #expect(try bundle.waits(for: .stopped))
            let table = try bundle.swrunc("ps", bundle.id)
            #expect(table.status == 0 && table.text.lines.count == 1, "\(table)")
            #expect(try bundle.swrunc("ps", "-f", "json", bundle.id).text == "null")
        }
    }
}
