// SPDX-License-Identifier: Apache-2.0

import ContainerKit
import Glibc
import SystemPackage
import Testing

/// The effects of signals on an init between create and start.
@Suite("An init that waits for start", Host.root)
struct WaitingInitTests {
    /// Creates a container from this program, so that its init is a child of it.
    private func create(_ bundle: TestBundle) throws -> Container {
        try Container.create(
            bundle.id, from: Bundle(at: FilePath(bundle.directory), spec: bundle.spec),
            in: bundle.containerStore)
    }

    /// The wait(2) status of the ended init; nil if it does not end.
    private func end(of pid: Int32) -> CInt? {
        var status: CInt = 0
        // __WALL: init has no exit signal before its exec.
        let ended = waits { waitpid(pid, &status, WNOHANG | CInt(bitPattern: 0x4000_0000)) == pid }
        return ended ? status : nil
    }

    @Test(
        "a terminating signal ends an init that waits for start, even as pid 1 of its namespace",
        arguments: [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGABRT])
    func ends(_ signal: CInt) throws {
        try TestBundle.use { bundle throws in
            let container = try create(bundle)
            let pid = Int32(try container.state().pid)
            kill(pid, signal)
            // The status that a shell reports for a child killed by this signal.
            #expect(end(of: pid) == (128 + signal) << 8)
            #expect(try container.state().status == .stopped)
            #expect(throws: ContainerError.self) { try container.start() }
            try container.delete()
            #expect(bundle.leftovers.found() == [])
        }
    }

    @Test("a waiting init dies by the signal itself if it is not pid 1 of a pid namespace")
    func hostNamespace() throws {
        try TestBundle.use { bundle throws in
            bundle.removeNamespace(.pid)
            let container = try create(bundle)
            let pid = Int32(try container.state().pid)
            kill(pid, SIGTERM)
            #expect(end(of: pid).map { $0 & 0x7f } == SIGTERM)
            #expect(try container.state().status == .stopped)
            try container.delete()
        }
    }

    @Test("swrunc kill ends a created container")
    func killCommand() throws {
        try TestBundle.use { bundle throws in
            try bundle.create()
            #expect(try bundle.swrunc("kill", bundle.id).status == 0)
            #expect(try bundle.waits(for: .stopped))
            bundle.expectFailure(
                try bundle.swrunc("start", bundle.id),
                naming: ["cannot start a container that has stopped"])
        }
    }

    @Test("other signals to a waiting init do not reach the program, whose signals are as usual")
    func others() throws {
        try TestBundle.use { bundle throws in
            bundle.process.args = ["dd", "if=/proc/self/status", "of=/tmp/signals"]
            try bundle.create()
            let pid = Int32(try bundle.state().pid)
            for signal in [SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD] { kill(pid, signal) }
            #expect(try bundle.state().status == .created)
            #expect(try bundle.swrunc("start", bundle.id).status == 0)
            #expect(try bundle.waits(for: .stopped))
            let signals = try readText("\(bundle.rootfs)/tmp/signals")
            for name in ["ShdPnd:", "SigBlk:", "SigIgn:"] {
                #expect(signals.value(of: name) == "0000000000000000", "\(signals)")
            }
        }
    }
}
