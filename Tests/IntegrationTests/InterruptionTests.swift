// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

/// Commands that are killed, and hosts without space: nothing may be left, or only what can be
/// removed.
@Suite("Interruption", Host.root)
struct InterruptionTests {
    /// A command that changes a container, and the container's state before it.
    struct Interrupted: Sendable, CustomTestStringConvertible {
        let words: [String]
        let needs: State.Status?
        let rounds: Int
        var testDescription: String { words.joined(separator: " ") }

        static let all = [
            Interrupted(words: ["create", "--bundle", "."], needs: nil, rounds: 80),
            Interrupted(words: ["run", "-d", "--bundle", "."], needs: nil, rounds: 40),
            Interrupted(words: ["run", "--bundle", "."], needs: nil, rounds: 20),
            Interrupted(words: ["start"], needs: .created, rounds: 20),
            Interrupted(words: ["exec", "-d"], needs: .running, rounds: 20),
            Interrupted(words: ["delete"], needs: .created, rounds: 20),
        ]

        func call(_ bundle: TestBundle) throws -> RunningCommand {
            var options = CommandOptions()
            options.directory = bundle.directory
            let isExec = words[0] == "exec"
            let takesPidFile = isExec || words[0] == "create" || words[0] == "run"
            return try bundle.start(
                words + (takesPidFile ? ["--pid-file", "\(bundle.directory)/pid"] : [])
                    + [bundle.id] + (isExec ? ["sleep", "100"] : []), options)
        }

        func prepare(_ bundle: TestBundle) throws {
            if needs != nil { try bundle.create() }
            if needs == .running { try #require(bundle.swrunc("start", bundle.id).status == 0) }
        }
    }

    @Test(
        "delete --force removes everything left by a command killed at any moment",
        arguments: Interrupted.all)
    func killedCommand(_ interrupted: Interrupted) throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["sleep", "100"]
            try bundle.writeConfig()
            var whole = try microseconds(interrupted, bundle)
            var killed = 0
            let rounds = Host.rounds(interrupted.rounds)
            for round in rounds {
                try interrupted.prepare(bundle)
                let command = try interrupted.call(bundle)
                usleep(useconds_t(whole * round / rounds.count))
                kill(command.pid, SIGKILL)
                let done = try command.wait()
                if done.status == 128 + SIGKILL {
                    killed += 1
                } else {
                    // The machine has become faster since the command was timed.
                    whole = whole * 4 / 5
                }
                try expectRemovable(bundle, "round \(round)")
            }
            #expect(killed > rounds.count / 4, "the commands ended before they were killed")
        }
    }

    /// How long the undisturbed command takes.
    private func microseconds(_ interrupted: Interrupted, _ bundle: TestBundle) throws -> Int {
        var shortest = Duration.seconds(1)
        for _ in 0..<3 {
            try interrupted.prepare(bundle)
            let start = ContinuousClock.now
            let command = try interrupted.call(bundle)
            if interrupted.words.first == "run", interrupted.words[1] != "-d" {
                // The command waits for the container.
                _ = try waits { try bundle.swrunc("state", bundle.id).output.contains("running") }
            } else {
                let done = try command.wait()
                try #require(done.status == 0, "\(done)")
            }
            shortest = min(shortest, start.duration(to: .now))
            try expectRemovable(bundle, "unhurt")
        }
        return Int(shortest / .microseconds(1))
    }

    private func expectRemovable(_ bundle: TestBundle, _ round: String) throws {
        let deleted = try bundle.swrunc("delete", "--force", bundle.id)
        #expect(deleted.status == 0, "\(round): \(deleted)")
        #expect(bundle.leftovers.found() == [], "\(round)")
        // The ID is free again.
        try bundle.create("--pid-file", "\(bundle.directory)/pid")
        #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0, "\(round)")
    }

    @Test("a pid file left half-written by a killed command does not block the next one")
    func stalePidFile() throws {
        try TestBundle.use { bundle throws in
            try writeText("12", to: "\(bundle.directory)/.pid")
            try bundle.create("--pid-file", "\(bundle.directory)/pid")
            #expect(try readText("\(bundle.directory)/pid") == "\(bundle.state().pid)")
        }
    }

    @Test("a pid file that cannot be put in place leaves no temporary file")
    func refusedPidFile() throws {
        try TestBundle.use { bundle throws in
            try bundle.writeConfig()
            try makeDirectory("\(bundle.directory)/pid")
            bundle.expectFailure(
                try bundle.swrunc(
                    "create", "--bundle", bundle.directory, "--pid-file",
                    "\(bundle.directory)/pid", bundle.id),
                naming: ["unable to write the pid file", "is a directory"])
            #expect(!exists("\(bundle.directory)/.pid"))
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("an init killed before start leaves a stopped container, which can be deleted")
    func killedInit() throws {
        try TestBundle.use { bundle throws in
            try bundle.create()
            try check(kill(pid_t(bundle.state().pid), SIGKILL), "kill init")
            #expect(try bundle.waits(for: .stopped))
            bundle.expectFailure(
                try bundle.swrunc("start", bundle.id),
                naming: ["cannot start a container that has stopped"])
            #expect(try bundle.swrunc("delete", bundle.id).status == 0)
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("start ends if the init that it waits for is killed")
    func killedInitDuringStart() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["sleep", "100"]
            for round in 0..<20 {
                try bundle.create()
                let pid = try pid_t(bundle.state().pid)
                let start = try bundle.start(["start", bundle.id])
                usleep(useconds_t(round * 200))
                kill(pid, SIGKILL)
                // The command came before or after the kill, but it ended.
                let done = try start.wait()
                #expect(done.status == 0 || done.error.lines.count == 1, "\(done)")
                #expect(try bundle.waits(for: .stopped))
                #expect(try bundle.swrunc("delete", bundle.id).status == 0)
                #expect(bundle.leftovers.found() == [])
            }
        }
    }

    @Test(
        "a memory limit that is too low for init is reported, and nothing is left",
        .enabled(
            if: Host.isUnified || Host.hierarchies.contains { $0.controllers.contains("memory") },
            "needs the memory controller"),
        arguments: [4096, 64 << 10, 256 << 10, 512 << 10, 1 << 20] as [Int64])
    func lowMemory(_ limitBytes: Int64) throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            bundle.linux.resources?.memory = MemoryResources(limit: limitBytes)
            try bundle.writeConfig()
            for command in [["create"], ["run", "--keep"]] {
                let done = try bundle.start(
                    command + ["--bundle", bundle.directory, bundle.id]
                ).wait()
                if done.status == 0 || done.status == 128 + SIGKILL && done.error == "" {
                    #expect(try bundle.swrunc("delete", bundle.id).status == 0)
                } else {
                    // Init was killed, or the kernel refused to give it memory.
                    bundle.expectFailure(done, naming: ["memory"])
                }
                #expect(bundle.leftovers.found() == [])
            }
        }
    }

    /// File systems with too little space: a number of pages, or of files.
    static let smallStores = (1...8).map { "size=\($0 * 4096)" } + (2...7).map { "nr_inodes=\($0)" }

    @Test(
        "a full state directory is a clear error, and nothing is left",
        arguments: smallStores)
    func fullStore(_ size: String) throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            try bundle.writeConfig()
            try makeDirectory(bundle.store)
            try check(mount("tmpfs", bundle.store, "tmpfs", 0, size), "mount")
            defer { umount2(bundle.store, CInt(MNT_DETACH)) }
            for command in [["create"], ["run", "--keep"]] {
                let done = try bundle.start(
                    command + ["--bundle", bundle.directory, bundle.id]
                ).wait()
                if done.status == 0 {
                    #expect(try bundle.swrunc("delete", bundle.id).status == 0)
                } else {
                    bundle.expectFailure(
                        done, naming: ["no space left on device", bundle.store])
                }
                let leftovers = bundle.leftovers
                #expect(leftovers.processes().isEmpty && leftovers.cgroups() == [])
                #expect(leftovers.states() == [])
            }
        }
    }
}
