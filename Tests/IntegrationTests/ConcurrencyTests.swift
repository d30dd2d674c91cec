// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import Testing

@Suite("Concurrency", Host.root)
struct ConcurrencyTests {
    /// Starts all calls before it waits for the first.
    private func together(
        _ bundle: TestBundle, _ calls: [[String]]
    ) throws -> [FinishedCommand] {
        try calls.map { try bundle.start($0) }.map { try $0.wait() }
    }

    @Test("exactly one of several concurrent creates of an id succeeds")
    func racingCreates() throws {
        try TestBundle.use { bundle throws in
            try bundle.writeConfig()
            for round in Host.rounds(20) {
                let call = ["create", "--bundle", bundle.directory, bundle.id]
                let done = try together(bundle, [call, call, call])
                #expect(done.filter { $0.status == 0 }.count == 1, "round \(round): \(done)")
                for loser in done where loser.status != 0 {
                    bundle.expectFailure(
                        loser, naming: ["container with given ID already exists"])
                }
                #expect(try bundle.state().status == .created)
                #expect(bundle.leftovers.processes().count == 1)
                #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
            }
        }
    }

    @Test("exactly one of several concurrent starts starts the container")
    func racingStarts() throws {
        try TestBundle.use { bundle throws in
            for round in Host.rounds(8) {
                bundle.process.args = ["sleep", "100"]
                try bundle.create()
                let call = ["start", bundle.id]
                let done = try together(bundle, [call, call, call])
                #expect(done.filter { $0.status == 0 }.count == 1, "round \(round): \(done)")
                for loser in done where loser.status != 0 {
                    bundle.expectFailure(
                        loser, naming: ["cannot start an already running container"])
                }
                #expect(try bundle.swrunc("delete", "-f", bundle.id).status == 0)
            }
        }
    }

    @Test("concurrent start, kill and delete end in an orderly way and leave nothing")
    func mixedCommands() throws {
        try TestBundle.use { bundle throws in
            for round in Host.rounds(10) {
                bundle.process.args = ["sleep", "100"]
                try bundle.create()
                let done = try together(
                    bundle,
                    [
                        ["start", bundle.id], ["kill", bundle.id, "KILL"], ["state", bundle.id],
                        ["delete", "--force", bundle.id], ["delete", "--force", bundle.id],
                        ["kill", "--all", bundle.id, "KILL"],
                    ])
                for one in done {
                    #expect(
                        one.status == 0 || one.status == 1 && one.error.lines.count == 1,
                        "round \(round): \(one)")
                    #expect(!one.error.contains("damaged"), "round \(round): \(one)")
                }
                for deletion in [done[3], done[4]] {
                    #expect(deletion.status == 0, "round \(round): \(deletion)")
                }
                let found = bundle.leftovers.found()
                #expect(found == [], "round \(round)")
            }
        }
    }

    @Test("delete --force during create leaves a complete container or nothing")
    func deleteDuringCreate() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["sleep", "100"]
            try bundle.writeConfig()
            for round in Host.rounds(15) {
                let creating = try bundle.start(["create", "--bundle", bundle.directory, bundle.id])
                usleep(useconds_t(round * 300 * Host.slowness))
                let deleted = try bundle.swrunc("delete", "--force", bundle.id)
                #expect(deleted.status == 0, "round \(round): \(deleted)")
                let created = try creating.wait()
                if created.status == 0, exists("\(bundle.store)/\(bundle.id)") {
                    #expect(try bundle.state().status == .created)
                    #expect(try bundle.swrunc("delete", "--force", bundle.id).status == 0)
                }
                #expect(bundle.leftovers.found() == [], "round \(round): \(created)")
            }
        }
    }

    @Test("list works while containers are created and deleted")
    func listMeanwhile() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["true"]
            try bundle.writeConfig()
            try makeDirectory(bundle.store)
            for round in Host.rounds(10) {
                let runs = (0..<3).map {
                    ["run", "--bundle", bundle.directory, "\(bundle.id)-\($0)"]
                }
                let done = try together(
                    bundle, runs + [["list"], ["list", "-f", "json"], ["list", "-q"]])
                for one in done {
                    #expect(one.status == 0 && one.error == "", "round \(round): \(one)")
                }
            }
        }
    }
}
